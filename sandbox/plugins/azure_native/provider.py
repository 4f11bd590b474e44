"""`pulumi-resource-azure-native`: the engine's calls, answered as the real provider answers them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty

from sandbox.plugins.azure_client import AzureClient, AzureServiceError, credentials, loopback, setting
from sandbox.plugins.azure_native import invokes, naming, shape, validation
from sandbox.plugins.azure_native.catalogue import UnknownType, lookup
from sandbox.plugins.azure_native.resources import Resources
from sandbox.plugins.azure_native.row import Row
from sandbox.plugins.diffing import difference
from sandbox.plugins.protocol import provider_pb2, provider_pb2_grpc
from sandbox.plugins.servicer import DEFAULT_SECONDS, BaseProvider, Refused, name_of, sdk_version, token_of, told
from sandbox.plugins.serving import serve
from sandbox.plugins.values import UNKNOWN, contains_unknown, from_struct, to_struct

_ARM_AUDIENCE = "https://management.azure.com"
_GROUP_API_VERSION = "2020-10-01"
#: Outputs that no update changes, so that a preview may tell them.
_STABLE = ("name", "location")
_Response = provider_pb2.DiffResponse


class AzureNative(BaseProvider):
    """One configured provider: one subscription, one identity."""

    package = "azure-native"

    def __init__(self) -> None:
        self.version = sdk_version(self.package)
        self._client: AzureClient | None = None
        self._subscription_id = ""
        self._location = ""
        self._group_locations: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def configure(self, config: Mapping[str, str]) -> None:
        self._subscription_id = setting(config, "subscriptionId", "ARM_SUBSCRIPTION_ID")
        self._location = config.get("location", "")
        self._client = AzureClient(loopback("ROLLOUT_AZURE_RESOURCE_MANAGER"), credentials(config), _ARM_AUDIENCE)

    @property
    def client(self) -> AzureClient:
        if self._client is None:
            raise Refused("the provider is not configured")
        return self._client

    @told
    def Check(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:
        row, api_version = _lookup(request.urn)
        olds, news = from_struct(request.olds), from_struct(request.news)
        if row.name_parameter not in news:
            options = request.autonaming if request.HasField("autonaming") else None
            named = naming.default_name(row, name_of(request.urn), request.randomSeed, options, olds)
            news.update({key: value for key, value in named.items() if value is not None})
        if row.located and "location" not in news and (location := self._default_location(olds, news)) is not None:
            news["location"] = location
        news.setdefault("azureApiVersion", api_version)
        return provider_pb2.CheckResponse(
            inputs=to_struct(news),
            failures=[provider_pb2.CheckFailure(reason=reason) for reason in validation.failures(row, news)],
        )

    @told
    def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        row, _ = _lookup(request.urn)
        olds, news = from_struct(request.old_inputs), from_struct(request.news)
        changes = difference(olds, news, {*row.parameters, *row.immutable}, _equal)
        replaces = bool(changes.replaces)
        return _Response(
            changes=_Response.DIFF_SOME if changes.detailed else _Response.DIFF_NONE,
            replaces=changes.replaces,
            diffs=changes.changed,
            # A name that the program fixed can't be taken twice; a random one can have a twin.
            deleteBeforeReplace=replaces and not olds.get(naming.CREATE_BEFORE_DELETE, False),
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=kind, inputDiff=True) for path, kind in changes.detailed.items()
            },
            hasDetailedDiff=True,
        )

    @told
    def Create(self, request: provider_pb2.CreateRequest, context: Any) -> provider_pb2.CreateResponse:
        row, api_version = _lookup(request.urn)
        inputs = from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct(shape.preview(row, inputs)))
        resource_id, outputs = self._resources(row, api_version).create(inputs, request.timeout or DEFAULT_SECONDS)
        return provider_pb2.CreateResponse(id=resource_id, properties=to_struct(outputs))

    @told
    def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:
        row, api_version = _lookup(request.urn)
        old_inputs, old_outputs = from_struct(request.inputs), from_struct(request.properties)
        found = self._resources(row, api_version).read(request.id, old_inputs, old_outputs)
        if found is None:
            return provider_pb2.ReadResponse()
        outputs, inputs = found
        inputs.setdefault("azureApiVersion", api_version)
        return provider_pb2.ReadResponse(id=request.id, properties=to_struct(outputs), inputs=to_struct(inputs))

    @told
    def Update(self, request: provider_pb2.UpdateRequest, context: Any) -> provider_pb2.UpdateResponse:
        row, api_version = _lookup(request.urn)
        inputs = from_struct(request.news)
        if request.preview:
            olds = from_struct(request.olds)
            expected = shape.preview(row, inputs)
            expected.update({name: olds[name] for name in _STABLE if name in olds})
            return provider_pb2.UpdateResponse(properties=to_struct(expected))
        outputs = self._resources(row, api_version).update(inputs, request.timeout or DEFAULT_SECONDS)
        return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    @told
    def Delete(self, request: provider_pb2.DeleteRequest, context: Any) -> Empty:
        row, api_version = _lookup(request.urn)
        self._resources(row, api_version).delete(request.id, request.timeout or DEFAULT_SECONDS)
        return Empty()

    @told
    def Invoke(self, request: provider_pb2.InvokeRequest, context: Any) -> provider_pb2.InvokeResponse:
        arguments = from_struct(request.args)
        answer = invokes.invoke(self.client, self._subscription_id, request.tok, arguments)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(answer))
        return response

    def Cancel(self, request: Empty, context: Any) -> Empty:
        self.stop()
        return Empty()

    def stop(self) -> None:
        """Let what is under way fail soon."""
        if self._client is not None:
            self._client.cancel()

    def _resources(self, row: Row, api_version: str) -> Resources:
        return Resources(self.client, self._subscription_id, row, api_version)

    def _default_location(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Any:
        """The old location, the configured one, or the resource group's; None if there is none of them."""
        if "location" in olds:
            return olds["location"]
        if self._location:
            return self._location
        group = news.get("resourceGroupName")
        if group is None:
            return None
        return UNKNOWN if contains_unknown(group) else self._group_location(str(group))

    def _group_location(self, group: str) -> str | None:
        with self._lock:
            if group in self._group_locations:
                return self._group_locations[group]
        path = f"/subscriptions/{self._subscription_id}/resourceGroups/{group}"
        try:
            location = self.client.get(path, api_version=_GROUP_API_VERSION).get("location")
        except AzureServiceError as error:
            if error.status != 404:
                raise
            return None  # validation will ask for the location
        with self._lock:
            self._group_locations[group] = location
        return str(location)


def _lookup(urn: str) -> tuple[Row, str]:
    try:
        return lookup(token_of(urn))
    except UnknownType as error:
        raise Refused(str(error)) from error


def _equal(path: str, old: Any, new: Any) -> bool:
    """Locations are the same in any case and with spaces: 'East US' is 'eastus'."""
    if path == "location" and isinstance(old, str) and isinstance(new, str):
        return old.replace(" ", "").lower() == new.replace(" ", "").lower()
    return bool(old == new)


def main() -> None:
    """Entry point."""
    provider = AzureNative()
    serve(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server),
        on_stop=provider.stop,
    )


if __name__ == "__main__":
    main()
