"""The types that the stand-in for azure-native knows: one row a type, checked against Azure's REST shapes.

The SDK's source gives inputs, outputs and the API version; a row adds the path and the exceptions. To add a type, add a
row to the module of its service; `tests/sandbox/test_plugins_catalogue.py` checks it. A module has `ROWS`, and may
have `NESTED` (classes inside types whose shape is not ARM's, by module and class without Args/Response) and
`ACTIONS` (functions that are not a plain GET of a type: type, and action below its id).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.plugins.azure_native.catalogue import (
    access,
    events,
    features,
    gateway,
    kubernetes,
    machinelearning,
    monitoring,
    network,
    spending,
    storage,
    web,
    workspace,
)
from sandbox.plugins.azure_native.row import NestedClass, Row

_VERSIONED = re.compile(r"^azure-native:(\w+)(?:/(v\w+))?:(\w+)$")
_MODULES = (
    workspace, storage, monitoring, machinelearning, access, events, network, kubernetes, features, gateway, web,
    spending,
)  # fmt: skip

CATALOGUE: Mapping[str, Row] = {row.token: row for module in _MODULES for row in module.ROWS}
NESTED: Mapping[tuple[str, str], NestedClass] = {
    key: shape for module in _MODULES for key, shape in getattr(module, "NESTED", {}).items()
}
ACTIONS: Mapping[str, tuple[str, str]] = {
    key: action for module in _MODULES for key, action in getattr(module, "ACTIONS", {}).items()
}


class UnknownType(Exception):
    """A type that the catalogue does not have."""

    def __init__(self, token: str) -> None:
        super().__init__(
            f"the sandbox's azure-native does not imitate {token}; add a row for it to "
            "sandbox/plugins/azure_native/catalogue, and the ARM type to sandbox/arm"
        )


def lookup(token: str) -> tuple[Row, str]:
    """The row of a full type token, and its API version: the token's, if it has one, else the SDK's default."""
    match = _VERSIONED.match(token)
    row = CATALOGUE.get(f"{match[1]}:{match[3]}") if match else None
    if match is None or row is None:
        raise UnknownType(token)
    return row, _dashed(match[2]) if match[2] else row.type.api_version


def _dashed(version: str) -> str:
    """v20240101preview -> 2024-01-01-preview."""
    date, suffix = version[1:9], version[9:]
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" + (f"-{suffix}" if suffix else "")
