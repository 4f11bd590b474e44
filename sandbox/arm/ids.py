"""Resource ids: `/subscriptions/{s}/resourceGroups/{g}/providers/{namespace}/{type}/{name}...`, matched without case."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.kernel.errors import AzureError

GROUP_TYPE = "Microsoft.Resources/resourceGroups"
SUBSCRIPTION_TYPE = "Microsoft.Resources/subscriptions"
_PROVIDERS = "/providers/"
#: Names become folders in places; no name may lead out of one.
_DOTS = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A parsed id. `scope` is what comes before the last `/providers/`: a group, a subscription or a resource."""

    text: str
    scope: str
    type: str
    names: tuple[str, ...]

    @property
    def key(self) -> str:
        """The same for every spelling of the id."""
        return self.text.lower()

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> str:
        """The id one level up: the parent resource of a child type, else the scope."""
        if len(self.names) > 1:
            return self.text.rsplit("/", 2)[0]
        return self.scope

    @property
    def subscription(self) -> str:
        parts = self.text.split("/")
        return parts[2] if len(parts) > 2 and parts[1].lower() == "subscriptions" else ""

    @property
    def group(self) -> str:
        """The group's name; empty above group scope."""
        parts = self.text.split("/")
        return parts[4] if len(parts) > 4 and parts[3].lower() == "resourcegroups" else ""


def parse(text: str) -> ResourceId:
    """The id in `text`, its fixed parts spelled as ARM spells them; AzureError 400 when it is not one."""
    text = _spelled("/" + text.strip("/"))
    if not _DOTS.isdisjoint(text.split("/")):
        raise invalid(text)
    at = text.lower().rfind(_PROVIDERS)
    if at < 0:
        return _above_providers(text)
    scope, parts = text[:at], text[at + len(_PROVIDERS) :].split("/")
    if len(parts) < 3 or len(parts) % 2 == 0 or not all(parts):
        raise invalid(text)
    type_name = "/".join([parts[0], *parts[1::2]])
    return ResourceId(text, scope, type_name, tuple(parts[2::2]))


def _spelled(text: str) -> str:
    parts = text.split("/")
    for at, part in enumerate(parts):
        lowered = part.lower()
        if (at == 1 and lowered == "subscriptions") or lowered == "providers":
            parts[at] = lowered
        elif at == 3 and lowered == "resourcegroups":
            parts[at] = "resourceGroups"
    return "/".join(parts)


def spelled(identity: ResourceId, type_name: str) -> str:
    """The id with the type as the catalogue spells it."""
    if not identity.scope or identity.type == GROUP_TYPE:
        return identity.text
    namespace, *kinds = type_name.split("/")
    pairs = zip(kinds, identity.names, strict=True)
    return f"{identity.scope}{_PROVIDERS}{namespace}/" + "/".join(f"{kind}/{name}" for kind, name in pairs)


def _above_providers(text: str) -> ResourceId:
    parts = text.split("/")[1:]
    if not all(parts):
        raise invalid(text)
    lowered = [part.lower() for part in parts[::2]]
    if lowered == ["subscriptions"] and len(parts) == 2:
        return ResourceId(text, "", SUBSCRIPTION_TYPE, (parts[1],))
    if lowered == ["subscriptions", "resourcegroups"] and len(parts) == 4:
        return ResourceId(text, "/" + "/".join(parts[:2]), GROUP_TYPE, (parts[3],))
    raise invalid(text)


def invalid(text: str) -> AzureError:
    return AzureError(400, "InvalidResourceId", f"'{text}' is not a valid resource id.")


def group_id(subscription: str, group: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}"
