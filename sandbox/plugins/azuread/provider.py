"""`pulumi-resource-azuread`: the engine's calls, answered from the sandbox's Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty

from sandbox.plugins.azure_client import AzureClient, Credentials, credentials, loopback
from sandbox.plugins.azuread.kinds import KINDS, Kind
from sandbox.plugins.azuread.resources import Handler, handlers
from sandbox.plugins.diffing import carry_over, difference
from sandbox.plugins.protocol import provider_pb2, provider_pb2_grpc
from sandbox.plugins.servicer import BaseProvider, Refused, sdk_version, token_of, told
from sandbox.plugins.serving import serve
from sandbox.plugins.values import UNKNOWN, from_struct, to_struct

_GRAPH_AUDIENCE = "https://graph.microsoft.com"
_CLIENT_CONFIG = "azuread:index/getClientConfig:getClientConfig"
_Response = provider_pb2.DiffResponse


class AzureAd(BaseProvider):
    """One configured provider: one tenant, one identity."""

    package = "azuread"

    def __init__(self) -> None:
        self.version = sdk_version(self.package)
        self._who: Credentials | None = None
        self._client: AzureClient | None = None
        self._handlers: dict[str, Handler] = {}

    def configure(self, config: Mapping[str, str]) -> None:
        self._who = credentials(config)
        self._client = AzureClient(loopback("ROLLOUT_AZURE_GRAPH"), self._who, _GRAPH_AUDIENCE)
        self._handlers = handlers(self._client)

    @told
    def Check(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:
        kind, news = _kind(request.urn), from_struct(request.news)
        reasons = [f"missing required property '{name}'" for name in kind.required if name not in news]
        reasons += [
            f"the sandbox's azuread does not imitate '{name}' of {kind.token}; it knows: {', '.join(sorted(kind.inputs))}"
            for name in news
            if name not in kind.inputs and not name.startswith("__")
        ]
        return provider_pb2.CheckResponse(
            inputs=to_struct(news), failures=[provider_pb2.CheckFailure(reason=reason) for reason in reasons]
        )

    @told
    def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        kind = _kind(request.urn)
        olds, news = from_struct(request.old_inputs), from_struct(request.news)
        changes = difference(olds, news, kind.immutable, lambda _, old, new: bool(old == new))
        return _Response(
            changes=_Response.DIFF_SOME if changes.detailed else _Response.DIFF_NONE,
            replaces=changes.replaces,
            diffs=changes.changed,
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=each, inputDiff=True) for path, each in changes.detailed.items()
            },
            hasDetailedDiff=True,
        )

    @told
    def Create(self, request: provider_pb2.CreateRequest, context: Any) -> provider_pb2.CreateResponse:
        kind, inputs = _kind(request.urn), from_struct(request.properties)
        if request.preview:
            unknown = dict.fromkeys(kind.outputs, UNKNOWN)
            return provider_pb2.CreateResponse(properties=to_struct({**unknown, **inputs}))
        resource_id, view = self._handler(kind).create(inputs)
        return provider_pb2.CreateResponse(id=resource_id, properties=to_struct({**_kept(kind, inputs), **view}))

    @told
    def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:
        kind = _kind(request.urn)
        old_inputs, old_outputs = from_struct(request.inputs), from_struct(request.properties)
        view = self._handler(kind).read(request.id)
        if view is None:
            return provider_pb2.ReadResponse()
        writable = {name: value for name, value in view.items() if name in kind.inputs}
        if old_inputs:
            before = {name: value for name, value in old_outputs.items() if name in writable}
            writable = carry_over(old_inputs, before, writable)
        kept = {**_kept(kind, old_inputs), **{key: old_outputs[key] for key in ("value",) if key in old_outputs}}
        return provider_pb2.ReadResponse(
            id=request.id, properties=to_struct({**kept, **view}), inputs=to_struct(writable)
        )

    @told
    def Update(self, request: provider_pb2.UpdateRequest, context: Any) -> provider_pb2.UpdateResponse:
        kind, inputs = _kind(request.urn), from_struct(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_struct({**from_struct(request.olds), **inputs}))
        view = self._handler(kind).update(request.id, inputs)
        return provider_pb2.UpdateResponse(properties=to_struct({**_kept(kind, inputs), **view}))

    @told
    def Delete(self, request: provider_pb2.DeleteRequest, context: Any) -> Empty:
        self._handler(_kind(request.urn)).delete(request.id, from_struct(request.old_inputs))
        return Empty()

    @told
    def Invoke(self, request: provider_pb2.InvokeRequest, context: Any) -> provider_pb2.InvokeResponse:
        if request.tok != _CLIENT_CONFIG:
            raise Refused(f"the sandbox's azuread does not imitate {request.tok}; it knows: {_CLIENT_CONFIG}")
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(self._client_config()))
        return response

    def Cancel(self, request: Empty, context: Any) -> Empty:
        self.stop()
        return Empty()

    def stop(self) -> None:
        """Let what is under way fail soon."""
        if self._client is not None:
            self._client.cancel()

    def _client_config(self) -> dict[str, Any]:
        if self._who is None or self._client is None:
            raise Refused("the provider is not configured")
        claims = self._client.claims()
        own = {"clientId": self._who.client_id, "tenantId": self._who.tenant_id, "objectId": claims.get("oid", "")}
        return {**own, "id": f"{own['tenantId']}-{own['clientId']}-{own['objectId']}"}

    def _handler(self, kind: Kind) -> Handler:
        if kind.token not in self._handlers:
            raise Refused("the provider is not configured")
        return self._handlers[kind.token]


def _kept(kind: Kind, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: inputs[name] for name in kind.kept if name in inputs}


def _kind(urn: str) -> Kind:
    token = token_of(urn)
    if token not in KINDS:
        raise Refused(
            f"the sandbox's azuread does not imitate {token}; it knows: {', '.join(sorted(KINDS))}. "
            "Add it to sandbox/plugins/azuread/kinds.py"
        )
    return KINDS[token]


def main() -> None:
    """Entry point."""
    provider = AzureAd()
    serve(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server),
        on_stop=provider.stop,
    )


if __name__ == "__main__":
    main()
