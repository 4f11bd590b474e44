"""Which storage accounts exist, and their keys: ARM's resources."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.kernel.context import Sandbox
from sandbox.storage.errors import StorageError

TYPE = "Microsoft.Storage/storageAccounts"
#: Seconds for which a found account is taken as it was, so that a burst of small calls need not search ARM each time.
_FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account: its ARM id and its two keys (base64)."""

    name: str
    id: str
    keys: tuple[str, ...]
    sku: str
    kind: str
    shared_key: bool


class Accounts:
    """Looks accounts up by name, in every resource group."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._seen: dict[str, tuple[float, Account]] = {}

    def get(self, name: str) -> Account:
        """StorageError 404 for an account that ARM does not know."""
        seen = self._seen.get(name)
        if seen is not None and time.monotonic() - seen[0] < _FRESH:
            return seen[1]
        account = self._find(name)
        if account is None:
            self._seen.pop(name, None)
            raise StorageError(404, "ResourceNotFound", f"The storage account '{name}' does not exist in this sandbox.")
        self._seen[name] = (time.monotonic(), account)
        return account

    def forget(self) -> None:
        self._seen.clear()

    def _find(self, name: str) -> Account | None:
        arm = self._sandbox.states.get("arm")
        resources: Iterable[Any] = arm.of_type(TYPE) if arm is not None else ()
        for resource in resources:
            if resource.name == name:
                return Account(
                    name,
                    resource.id,
                    _keys(resource.private),
                    str((resource.sku or {}).get("name", "Standard_LRS")),
                    str(resource.kind or "StorageV2"),
                    bool(resource.properties.get("allowSharedKeyAccess", True)),
                )
        return None


def _keys(private: dict[str, Any]) -> tuple[str, ...]:
    """The values of `keys`: {"key1": value, "key2": value}."""
    return tuple(str(value) for value in private.get("keys", {}).values())
