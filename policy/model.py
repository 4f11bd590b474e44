"""What a rule sees and says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


class Unknown:
    """A value that only the update can tell. Rules leave it to the update."""

    def __repr__(self) -> str:
        return "unknown"


class Hidden:
    """A value that the program marked as secret."""

    def __repr__(self) -> str:
        return "secret"


UNKNOWN: Final = Unknown()
HIDDEN: Final = Hidden()


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A declared resource. `type` is without the `azure-native:` in front, e.g. `storage:StorageAccount`."""

    type: str
    name: str = "it"
    props: Mapping[str, Any]
    urn: str = ""
    protect: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and with which resource (none: the stack)."""

    message: str
    urn: str = ""


ResourceCheck = Callable[[str, Mapping[str, Any], str], Iterator[str]]
StackCheck = Callable[[Sequence[Resource]], Iterator[Finding]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceRule:
    """`check(type, props, environment)` gives one message for each thing that is wrong."""

    name: str
    description: str
    check: ResourceCheck
    #: Evaluated for prod only: elsewhere it is no fault.
    prod_only: bool = False
    #: Set: never stops an update, for this reason.
    advisory_because: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StackRule:
    """`check(resources)` looks at the whole stack, its outputs too."""

    name: str
    description: str
    check: StackCheck
    prod_only: bool = False
    advisory_because: str = ""


Rule = ResourceRule | StackRule


def at(props: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where it is missing, `UNKNOWN` where a part of the way is unknown."""
    value: Any = props
    for part in path.split("."):
        if value is UNKNOWN or value is HIDDEN:
            return value
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def known_and_not(value: Any, *allowed: Any) -> bool:
    """Whether a value is known, a missing one included, and none of the allowed."""
    return value is not UNKNOWN and value is not HIDDEN and value not in allowed


def listed(value: Any) -> Sequence[Any]:
    """A list as it is; anything else, unknowns too, as an empty one."""
    return value if isinstance(value, list | tuple) else ()
