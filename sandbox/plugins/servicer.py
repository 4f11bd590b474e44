"""What every provider of the sandbox does alike: handshake, configuration, and errors as the engine wants them."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty

from rollout.errors import RolloutError
from sandbox.plugins.azure_client import AzureServiceError, Cancelled
from sandbox.plugins.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from sandbox.plugins.values import from_struct, to_struct

#: What `timeout` of a request means when it is 0.
DEFAULT_SECONDS = 7200.0

_Method = TypeVar("_Method", bound=Callable[..., Any])


class InitFailed(Exception):
    """A resource exists, and its creation or update did not end well; its state has to be kept."""

    def __init__(self, resource_id: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any], reason: str) -> None:
        super().__init__(reason)
        self.resource_id, self.outputs, self.inputs, self.reason = resource_id, outputs, inputs, reason


class Refused(Exception):
    """What the provider won't do; the text is for the user."""


def told(method: _Method) -> _Method:
    """Turn what a call raises into the status that the engine prints."""

    @functools.wraps(method)
    def wrapper(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except InitFailed as error:
            context.set_trailing_metadata((("grpc-status-details-bin", _init_failed(error)),))
            context.abort(grpc.StatusCode.UNKNOWN, error.reason)
        except RolloutError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{error.message} ({error.way_out})")
        except (AzureServiceError, Cancelled, Refused) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:  # noqa: BLE001 - the engine shows only the status: the stack goes along
            frames = traceback.format_exc()
            context.abort(grpc.StatusCode.INTERNAL, f"the sandbox's provider failed: {error!r}\n{frames}")

    return wrapper  # type: ignore[return-value]


def _init_failed(error: InitFailed) -> bytes:
    detail = AnyMessage()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id,
            properties=to_struct(error.outputs),
            inputs=to_struct(error.inputs),
            reasons=[error.reason],
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=error.reason, details=[detail])
    return bytes(status.SerializeToString())


class BaseProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Handshake and configuration; subclasses make their clients in `configure`."""

    package = ""
    version = ""

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the provider's configuration; RolloutError when it can't work with it."""
        raise TypeError(f"{type(self).__name__} has no configure")

    def Handshake(self, request: Any, context: Any) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(supports_autonaming_configuration=True)

    def GetPluginInfo(self, request: Empty, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.GetSchemaResponse:
        # Only code generation asks for it, and the real schema is not in the Python package.
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"the sandbox's {self.package} has no schema to generate code from; pulumi import needs --generate-code=false",
        )
        raise AssertionError("abort raises")

    def GetMapping(self, request: Any, context: Any) -> provider_pb2.GetMappingResponse:
        return provider_pb2.GetMappingResponse()

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    @told
    def Configure(self, request: provider_pb2.ConfigureRequest, context: Any) -> provider_pb2.ConfigureResponse:
        given = {key: value for key, value in from_struct(request.args).items() if isinstance(value, str)}
        variables = {key.rsplit(":", 1)[-1]: value for key, value in request.variables.items()}
        self.configure({**variables, **given})
        return provider_pb2.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Any) -> Empty:
        return Empty()


def token_of(urn: str) -> str:
    """The type token of a URN: urn:pulumi:stack::project::parent$token::name."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def name_of(urn: str) -> str:
    """The logical name of a URN."""
    return urn.split("::", 3)[3]


def sdk_version(package: str) -> str:
    """The version of the installed SDK, which the engine expects of the plugin too."""
    from importlib.metadata import version

    return version(f"pulumi-{package}")
