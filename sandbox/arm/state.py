"""What ARM knows: the resources, the types in its catalogue, the running operations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute

from sandbox.arm.ids import parse, spelled
from sandbox.arm.model import Json, Resource, ResourceType, View
from sandbox.arm.operations import Operations
from sandbox.kernel.context import Sandbox
from sandbox.kernel.tokens import Principal


class ArmState:
    """Resources by id, matched without case. Other services read and write theirs here directly."""

    def __init__(self, sandbox: Sandbox) -> None:
        from sandbox.arm.catalogue import TYPES

        self.sandbox = sandbox
        self._resources = sandbox.store.collection("arm.resources")
        self._owner = sandbox.owner
        self._types: dict[str, ResourceType] = {}
        #: Keys by lower-case type, so that a lookup by type need not read every resource.
        self._by_type: dict[str, set[str]] = defaultdict(set)
        for key, document in self._resources.items():
            self._by_type[document["type"].lower()].add(key)
        #: Routes that other services serve on ARM's port, before the generic ones.
        self.mounted: list[BaseRoute] = []
        self.operations = Operations(sandbox, self)
        for resource_type in TYPES:
            self.register(resource_type)

    async def start(self) -> None:
        self.operations.recover()

    async def stop(self) -> None:
        await self.operations.stop()

    def reset(self) -> None:
        self.operations.reset()
        self._resources.clear()
        self._by_type.clear()

    # Types

    def register(self, resource_type: ResourceType) -> None:
        """Teach ARM a type; the last registration of a name holds."""
        self._types[resource_type.name.lower()] = resource_type

    def type(self, name: str) -> ResourceType | None:
        return self._types.get(name.lower())

    def types(self) -> Iterable[ResourceType]:
        return self._types.values()

    def mount(self, routes: Sequence[BaseRoute]) -> None:
        """Serve `routes` on ARM's port, before the generic ones. The caller's token is checked before they run
        and is in `request.state.principal`. To be called before the app is made."""
        self.mounted.extend(routes)

    # Resources

    def get(self, resource_id: str) -> Resource | None:
        """A copy of the resource with its private part."""
        document = self._resources.get(_key(resource_id))
        return Resource.from_document(document) if document else None

    def put(self, resource: Resource, caller: Principal | None = None) -> Resource:
        """Keep `resource` as it is, with a new etag and systemData. No hook runs and nothing is checked."""
        resource.stamp(caller or self._owner)
        self._resources.put(_key(resource.id), resource.stored())
        self._by_type[resource.type.lower()].add(_key(resource.id))
        return resource

    def new(self, resource_id: str, *, location: str | None = None, properties: Json | None = None) -> Resource:
        """A resource with the id's name and type, not kept yet."""
        identity = parse(resource_id)
        known = self.type(identity.type)
        return Resource(
            id=spelled(identity, known.name) if known else identity.text,
            name=identity.name,
            type=known.name if known else identity.type,
            location=location,
            properties=properties if properties is not None else {},
        )

    def delete(self, resource_id: str) -> bool:
        """Remove the resource and everything below it, extension resources included. No hook runs."""
        for below in self.children(resource_id):
            self._forget(below)
        own = self.get(resource_id)
        if own is not None:
            self._forget(own)
        return own is not None

    def _forget(self, resource: Resource) -> None:
        self._resources.delete(_key(resource.id))
        self._by_type[resource.type.lower()].discard(_key(resource.id))

    def children(self, parent_id: str, type: str | None = None) -> list[Resource]:
        """Everything below `parent_id` at any depth, or only what is of `type`, in id order."""
        prefix = _key(parent_id) + "/" if parent_id else ""
        if type is None:
            return [Resource.from_document(document) for _, document in self._resources.items(prefix)]
        # Copied in one step: services may write from threads of their own.
        known = tuple(self._by_type.get(type.lower(), ()))
        keys = sorted(key for key in known if key.startswith(prefix))
        return [resource for key in keys if (resource := self.get(key)) is not None]

    def of_type(self, type: str) -> list[Resource]:
        """Every resource of `type` in the sandbox, in id order."""
        return self.children("", type)

    # What callers see

    def show(self, resource: Resource, view: View) -> Json:
        """The document of a GET: what is kept, without secrets, with what is computed at read time."""
        document = resource.document()
        known = self.type(resource.type)
        if known is None:
            return document
        for path in known.secrets:
            _remove(document, path.split("."))
        if known.computed is not None:
            document["properties"] = {**document.get("properties", {}), **known.computed(resource, view)}
        return known.shown(document, resource, view) if known.shown is not None else document


def _key(resource_id: str) -> str:
    return "/" + resource_id.strip("/").lower()


def _remove(document: Json, path: list[str]) -> None:
    for part in path[:-1]:
        inner = document.get(part)
        if not isinstance(inner, dict):
            return
        document = inner
    document.pop(path[-1], None)
