"""Live traffic is `rollout`'s; an update of the endpoint by Pulumi carries it through (docs/adr/0002-live-traffic.md).

A batch endpoint's default deployment is to it what weights are to an online endpoint, and is carried the same way.

Azure's update of an endpoint is a full PUT: what it leaves out is reset. So, at the moment
the endpoint is registered, its live weights are read and put into what is sent:

- nothing but traffic differs from what is declared: traffic is ignored, there is no update at all;
- something else differs: the update carries the live weights;
- just before the PUT they are read again; have they moved since, the update stops and nothing is sent.

`carry` and `moved` are pure; `Carrier` does the reading.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pulumi

TOKEN = "azure-native:machinelearningservices:getOnlineEndpoint"  # nosec B105  # a Pulumi function token, not a secret
BATCH_TOKEN = "azure-native:machinelearningservices:getBatchEndpoint"  # nosec B105  # likewise

POLL_SECONDS = 1.0

#: With status 404. UserError is how Azure ML itself says that an endpoint is not there.
_ABSENT_CODES = frozenset(
    {"ResourceNotFound", "ResourceGroupNotFound", "ParentResourceNotFound", "NotFound", "UserError"}
)
_STATUS_404 = re.compile(r"Status(?:Code)?\s*[=:]\s*404\b|\bRESPONSE 404\b")
_CODE = re.compile(r'(?:\bCode\s*[=:]|ERROR CODE:)\s*"?(\w+)"?')
_SETTLED = frozenset({"", "Succeeded", "Failed", "Canceled"})
_DOCUMENT_KEYS = ("authMode", "description", "compute", "publicNetworkAccess", "properties")

Document = Mapping[str, Any]
Read = Callable[[], Awaitable[Document | None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of endpoint: how it is read, and which of its properties are not Pulumi's."""

    token: str
    live: tuple[str, ...]

    @property
    def ignored(self) -> list[str]:
        return [f"properties.{key}" for key in self.live]


ONLINE = Kind(TOKEN, ("traffic", "mirrorTraffic"))
BATCH = Kind(BATCH_TOKEN, ("defaults",))


class LiveTrafficUnknown(RuntimeError):
    """The live weights could not be read, so nothing may be sent."""


class TrafficMoved(RuntimeError):
    """The live weights are not those that were about to be sent."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What to send: the declared inputs with the live weights; `ignored`: nothing but traffic differs."""

    properties: dict[str, Any]
    ignored: bool


def is_absent(message: str) -> bool:
    """Whether the provider's error says that the endpoint is not there; any other error is not an answer."""
    codes = set(_CODE.findall(message))
    return bool(_STATUS_404.search(message)) and bool(codes) and codes <= _ABSENT_CODES


def live_value(document: Document | None, key: str) -> dict[str, Any]:
    """A live property as the service keeps it: weights in percent without zeros, or the default deployment."""
    raw = ((document or {}).get("properties") or {}).get(key) or {}
    if key == "defaults":
        return {str(name): value for name, value in raw.items() if value}
    return {str(name): int(percent) for name, percent in raw.items() if int(percent)}


def carry(live: Document | None, declared: Document, kind: Kind = ONLINE) -> Carried:
    """The endpoint's `properties` with the live weights in them, whatever the declared ones say."""
    properties = {key: value for key, value in declared["properties"].items() if key not in kind.live}
    if live is None:
        return Carried(properties, ignored=False)
    for key in kind.live:
        if found := live_value(live, key):
            properties[key] = found
    return Carried(properties, ignored=_same(live, declared))


def moved(live: Document | None, about_to_send: Document, kind: Kind = ONLINE) -> str:
    """Why the update must not be sent, or nothing. An endpoint that is gone has no traffic to lose."""
    if live is None:
        return ""
    for key in kind.live:
        now, then = live_value(live, key), live_value(about_to_send, key)
        if now != then:
            return f"{key} is {now}, not {then} as about to be sent"
    return ""


def _same(live: Document, declared: Document) -> bool:
    """Whether the service shows what the program declares, traffic aside. In doubt: no, then the weights are carried."""
    have, want = live.get("properties") or {}, declared["properties"]
    if any((have.get(key) or None) != (want.get(key) or None) for key in _DOCUMENT_KEYS):
        return False
    if dict(live.get("tags") or {}) != dict(declared.get("tags") or {}):
        return False
    return _identity(live) == _identity(declared) and _region(live) == _region(declared)


def _identity(document: Document) -> tuple[str, frozenset[str]]:
    identity = document.get("identity") or {}
    return str(identity.get("type", "None")), frozenset(
        str(each).lower() for each in identity.get("userAssignedIdentities") or ()
    )


def _region(document: Document) -> str:
    return str(document.get("location", "")).lower().replace(" ", "")


@dataclass(frozen=True, slots=True)
class Carrier:
    """Reads one endpoint. All names are plain. `seconds`: how long to wait for an update in progress to end."""

    resource_group: str
    workspace: str
    endpoint: str
    seconds: float = 300.0
    kind: Kind = ONLINE

    async def read(self) -> Document | None:
        """The endpoint's document, None when it does not exist; `LiveTrafficUnknown` on any other answer."""
        args = {
            "resourceGroupName": self.resource_group,
            "workspaceName": self.workspace,
            "endpointName": self.endpoint,
        }
        try:
            found: Document = await pulumi.runtime.invoke_async(
                self.kind.token, args, pulumi.InvokeOptions(version=_sdk_version())
            )
        except Exception as error:  # Pulumi raises plain Exception for a failed invoke
            if is_absent(str(error)):
                return None
            raise LiveTrafficUnknown(
                f"endpoint '{self.endpoint}': its live traffic can't be read, so it is not touched: {error}"
            ) from error
        return found

    async def read_settled(self) -> Document | None:
        """Like `read`, once no update of the endpoint is in progress: somebody may be moving traffic."""
        deadline = asyncio.get_running_loop().time() + self.seconds
        while True:
            found = await self.read()
            state = str(((found or {}).get("properties") or {}).get("provisioningState") or "")
            if state in _SETTLED:
                return found
            if asyncio.get_running_loop().time() > deadline:
                raise LiveTrafficUnknown(
                    f"endpoint '{self.endpoint}' has been {state} for {self.seconds:g} s; "
                    "nothing was sent: look at it with `rollout status`, then run `pulumi up` again"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def transform(self, args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
        """Puts the live weights into the endpoint's inputs, as late as Pulumi allows."""
        live = await (self.read() if pulumi.runtime.is_dry_run() else self.read_settled())
        carried = carry(live, args.props, self.kind)
        options = args.opts
        if carried.ignored:
            options = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(ignore_changes=self.kind.ignored))
        return pulumi.ResourceTransformResult({**args.props, "properties": carried.properties}, options)

    async def guard(self, args: pulumi.ResourceHookArgs) -> None:
        """Before an update: stops it when traffic has moved since it was read."""
        if why := moved(await self.read_settled(), args.new_inputs or {}, self.kind):
            raise TrafficMoved(
                f"endpoint '{self.endpoint}': {why}: nothing was sent. A rollout moved traffic meanwhile, or the last "
                "`pulumi up` was cut off: run `pulumi refresh`, then `pulumi up` again"
            )

    def options(self, name: str) -> pulumi.ResourceOptions:
        """The options with which the endpoint resource `name` carries its live traffic."""
        hook = pulumi.ResourceHook(f"{name}-live-traffic", self.guard)
        return pulumi.ResourceOptions(
            transforms=[self.transform],
            hooks=pulumi.ResourceHookBinding(before_update=[hook]),
        )


def _sdk_version() -> str:
    # the same provider instance as the resources, not a second one
    return version("pulumi-azure-native")
