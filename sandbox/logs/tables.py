"""The tables of a Log Analytics workspace that the sandbox has: `tables.yaml`, with Azure's columns.

Missing numbers are stored as 0
and missing texts as empty, so that `!=` counts them as Kusto does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

#: Kusto's types to those of the database.
STORED = {
    "string": "String",
    "int": "Int32",
    "long": "Int64",
    "real": "Float64",
    "bool": "Bool",
    "datetime": "DateTime64(7, 'UTC')",
    "dynamic": "String",
}
DEFAULTS: dict[str, Any] = {"string": "", "int": 0, "long": 0, "real": 0.0, "bool": False, "dynamic": "{}"}


def _read() -> dict[str, dict[str, str]]:
    """Column to kind, by table. The file has them by kind, which is shorter."""
    tables = yaml.safe_load(Path(__file__).with_name("tables.yaml").read_text("utf-8"))
    return {
        name: {column: kind for kind, columns in kinds.items() for column in columns} for name, kinds in tables.items()
    }


TABLES: dict[str, dict[str, str]] = _read()
#: Columns that hold an object; kept as JSON texts.
OBJECTS = frozenset(column for columns in TABLES.values() for column, kind in columns.items() if kind == "dynamic")
#: What every table has besides.
CONSTANT = ("TenantId", "Type", "SourceSystem", "_SubscriptionId")


def definition(name: str) -> str:
    """SQL that makes the table `logs.<name>`."""
    columns = ", ".join(f"`{column}` {STORED[kind]}" for column, kind in TABLES[name].items())
    return f"CREATE TABLE IF NOT EXISTS logs.`{name}` ({columns}) ENGINE = MergeTree ORDER BY TimeGenerated"


def view(name: str, customer_id: str, condition: str) -> str:
    """SQL that makes `shown.<name>`: what a query sees. Numbers and times are nullable, so that the
    maximum of nothing is null, not 0."""
    nullable = [
        f"toNullable(`{column}`) AS `{column}`" if STORED[kind] != "String" else f"`{column}`"
        for column, kind in TABLES[name].items()
    ]
    resource = "`_ResourceId`" if "_ResourceId" in TABLES[name] else "''"  # Usage is of the workspace itself
    constant = [
        f"'{customer_id}' AS TenantId",
        f"'{name}' AS Type",
        "'Azure' AS SourceSystem",
        f"splitByChar('/', {resource})[3] AS _SubscriptionId",
    ]
    columns = ", ".join([*nullable, *constant])
    # Names come from TABLES, the condition from the query's own times; both are made here.
    return " ".join(
        (f"CREATE VIEW shown.`{name}` AS", f"SELECT {columns}", f"FROM logs.`{name}`", f"WHERE {condition}")
    )


def check(name: str, columns: Iterable[str]) -> None:
    """ValueError names a table that isn't known, or columns that it lacks."""
    if name not in TABLES:
        raise ValueError(f"there is no table {name}; known: {', '.join(TABLES)}")
    if unknown := sorted(set(columns) - set(TABLES[name])):
        raise ValueError(f"{name} has no column {', '.join(unknown)}")


def complete(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with every column."""
    given = {column: value for column, value in row.items() if value is not None}
    given |= {column: json.dumps(value) for column, value in given.items() if isinstance(value, Mapping)}
    return {column: given.get(column, DEFAULTS.get(kind)) for column, kind in TABLES[name].items()}
