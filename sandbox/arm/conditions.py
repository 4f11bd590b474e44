"""Conditions of role assignments: the one form that the project uses; any other is refused, not ignored.

It reads: unless the action is one of these, or the container is another than this, the assignment does not hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sandbox.kernel.errors import AzureError

_CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
_ACTION = re.compile(r"!\s*\(\s*ActionMatches\s*\{\s*'([^']+)'\s*\}\s*\)")
_FORM = re.compile(
    r"\(\((?P<actions>.+)\)\s*OR\s*\(@Resource\["
    + re.escape(_CONTAINER)
    + r":name\]\s*StringNotEquals\s*'(?P<name>[^']+)'\)\)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """No `actions` on the container `name`."""

    actions: tuple[str, ...]
    name: str

    def holds(self, action: str, scope: str) -> bool:
        """Whether the assignment counts for `action` on the resource `scope`."""
        if not any(fnmatchcase(action.lower(), each.lower()) for each in self.actions):
            return True
        parts = scope.strip("/").split("/")
        at = next((number for number, part in enumerate(parts) if part.lower() == "containers"), None)
        return at is None or at + 1 >= len(parts) or parts[at + 1].lower() != self.name.lower()


def parse(text: str, version: object) -> Condition:
    """AzureError 400 for another version, 501 for another form."""
    if version != "2.0":
        raise AzureError(400, "InvalidConditionVersion", f"'conditionVersion' is {version!r}; allowed: 2.0.")
    found = _FORM.fullmatch(text.strip())
    if found is None or _ACTION.sub("", found["actions"]).replace("AND", "").strip():
        raise AzureError(501, "NotImplemented", f"The sandbox does not imitate this role assignment condition: {text}")
    return Condition(tuple(_ACTION.findall(found["actions"])), found["name"])
