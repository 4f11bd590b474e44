"""The ARM document, and what the sandbox knows about a resource type."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sandbox.kernel.context import Sandbox
from sandbox.kernel.tokens import Principal

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

Json = dict[str, Any]
#: Top-level keys that `Resource` has fields for.
_FIELDS = ("id", "name", "type", "location", "tags", "properties", "identity", "sku", "kind", "etag", "systemData")


@dataclass(slots=True)
class Resource:
    """One resource as ARM keeps it. `private` (keys, passwords) is stored and never shown; `extra` holds
    the other top-level keys (zones, plan, managedBy ...)."""

    id: str
    name: str
    type: str
    location: str | None = None
    tags: dict[str, str] | None = None
    properties: Json = field(default_factory=dict)
    identity: Json | None = None
    sku: Json | None = None
    kind: str | None = None
    etag: str = ""
    system_data: Json = field(default_factory=dict)
    private: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.id.lower()

    @property
    def provisioning_state(self) -> str:
        return str(self.properties.get("provisioningState", "Succeeded"))

    @provisioning_state.setter
    def provisioning_state(self, value: str) -> None:
        self.properties["provisioningState"] = value

    def document(self) -> Json:
        """What a GET shows, without what is computed at read time."""
        values = (
            self.id, self.name, self.type, self.location, self.tags, self.properties, self.identity, self.sku,
            self.kind, self.etag or None, self.system_data or None,
        )  # fmt: skip
        shown = {key: value for key, value in zip(_FIELDS, values, strict=True) if value is not None}
        return copy.deepcopy({**self.extra, **shown})

    def stored(self) -> Json:
        return {**self.document(), "_private": self.private}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Resource:
        """The resource that `document` shows; also reads what `stored` wrote."""
        known = {*_FIELDS, "_private"}
        return cls(
            id=document["id"],
            name=document["name"],
            type=document["type"],
            location=document.get("location"),
            tags=document.get("tags"),
            properties=document.get("properties") or {},
            identity=document.get("identity"),
            sku=document.get("sku"),
            kind=document.get("kind"),
            etag=document.get("etag") or "",
            system_data=document.get("systemData") or {},
            private=document.get("_private") or {},
            extra={key: value for key, value in document.items() if key not in known},
        )

    def stamp(self, caller: Principal) -> None:
        """A new etag, and who changed it when."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        who = {"By": caller.client_id, "ByType": "Application", "At": now}
        for verb in ("created", "lastModified"):
            if verb == "created" and "createdAt" in self.system_data:
                continue
            self.system_data |= {verb + key: value for key, value in who.items()}
        self.etag = f'"{uuid.uuid4()}"'


@dataclass(frozen=True, slots=True)
class View:
    """How a reader sees resources: with Azure's public names (through the proxy) or the sandbox's addresses."""

    sandbox: Sandbox
    public: bool = False

    @property
    def arm(self) -> ArmState:
        state: ArmState = self.sandbox.states["arm"]
        return state


@dataclass(slots=True)
class Change:
    """A PUT, PATCH or DELETE in progress. `resource` is the wanted document and may be edited; `before` the old one."""

    arm: ArmState
    resource: Resource
    before: Resource | None
    caller: Principal


@dataclass(frozen=True, slots=True)
class Action:
    """A POST on a resource, e.g. listKeys. `body` is its JSON object, `query` its parameters."""

    arm: ArmState
    resource: Resource
    body: Json
    query: Mapping[str, str]
    caller: Principal
    view: View


Computed = Callable[[Resource, View], Json]
Hook = Callable[[Change], None]
AsyncHook = Callable[[Change], Awaitable[None]]
#: Returns the answer's JSON, or None for 204. AzureError for a refusal.
ActionHandler = Callable[[Action], Awaitable[Json | None]]
#: Where resources of the type may live.
Scope = Literal["group", "subscription", "extension"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceType:
    """A type in the catalogue; most need only `name` and `versions`.

    `validate` refuses (AzureError) before anything is kept, `may_delete` a DELETE of the resource itself; `before_put` fills in what the service makes (keys, ids);
    `after_put` and `before_delete` do the service's work, within the long-running operation if `long`.
    `computed` gives properties that are made at read time, `shown` edits the whole document that is shown.
    """

    name: str
    versions: frozenset[str]
    scopes: frozenset[Scope] = frozenset({"group"})
    #: What a list at a scope holds: all below it, what is on the scope itself, or also what is above (role assignments).
    listing: Literal["below", "scope", "around"] = "below"
    #: required: PUT needs it and it can't change; global: filled in; parent: filled in with the parent's;
    #: none: the type has none.
    location: Literal["required", "global", "parent", "none"] = "required"
    taggable: bool = True
    #: PUT and DELETE answer with a long-running operation; `long_delete`: only DELETE does.
    long: bool = False
    long_delete: bool = False
    #: Top-level keys that PUT accepts besides the common ones.
    keys: frozenset[str] = frozenset()
    #: Dotted paths that can't change after creation, e.g. "properties.isHnsEnabled".
    immutable: tuple[str, ...] = ()
    #: Dotted paths of `properties` that PUT must give.
    required: tuple[str, ...] = ()
    #: Properties that PUT fills in when they are left out.
    defaults: Mapping[str, Any] = field(default_factory=dict)
    #: Dotted paths of what PUT takes and GET never shows.
    secrets: tuple[str, ...] = ()
    #: Regular expression of a valid name, and what it says in words.
    name_rule: tuple[str, str] | None = None
    #: Set when the name must be free in the whole cloud: the code of the refusal.
    global_name: str = ""
    patchable: bool = True
    #: Properties carry `provisioningState`.
    provisioned: bool = True
    computed: Computed | None = None
    shown: Callable[[Json, Resource, View], Json] | None = None
    validate: Hook | None = None
    may_delete: Hook | None = None
    before_put: Hook | None = None
    after_put: AsyncHook | None = None
    before_delete: AsyncHook | None = None
    actions: Mapping[str, ActionHandler] = field(default_factory=dict)
