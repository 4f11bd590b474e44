"""The catalogue of the azure-native stand-in, held against the installed SDK."""

from __future__ import annotations

import pytest

from sandbox.plugins.azure_native import sdk
from sandbox.plugins.azure_native.catalogue import ACTIONS, CATALOGUE, NESTED, UnknownType, lookup
from sandbox.plugins.azure_native.row import Row

rows = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)


@rows
def test_a_row_names_only_what_the_sdk_has(row: Row) -> None:
    inputs, outputs = row.type.inputs, row.type.outputs
    assert set(row.parameters) <= set(inputs), "the path is made of inputs"
    assert {name.split(".")[0] for name in row.immutable} <= set(inputs)
    assert row.query <= set(inputs)
    assert set(row.keep_unset) <= set(inputs)
    assert set(row.rename) <= {*inputs, *outputs}
    assert row.type.api_version[:2] == "20"


@rows
def test_every_class_inside_a_type_can_be_read(row: Row) -> None:
    seen: set[str] = set()

    def walk(described: sdk.TypeRef | None) -> None:
        if described is None:
            return
        walk(described.items)
        for name in set(described.classes) - seen:
            seen.add(name)
            for item in sdk.nested_type(row.module, name).values():
                walk(item.type)

    for described in (*(item.type for item in row.type.inputs.values()), *row.type.outputs.values()):
        walk(described)


@rows
def test_an_id_leads_back_to_its_inputs(row: Row) -> None:
    given = {
        name: f"/subscriptions/s/{name}" if name in ("scope", "resourceUri") else f"a-{name}" for name in row.parameters
    }
    made = row.resource_id(given, "sub")
    assert made.startswith("/")
    assert "//" not in made
    assert row.parse_id(made) == given
    with pytest.raises(ValueError, match="expected"):
        row.parse_id("/nonsense")


@pytest.mark.parametrize(("module", "name"), NESTED)
def test_a_nested_class_is_in_the_sdk(module: str, name: str) -> None:
    properties = sdk.nested_type(module, f"{name}Args")
    differs = NESTED[module, name]
    assert set(differs.rename) <= set(properties)
    assert differs.keep is None or differs.keep & set(properties)


def test_actions_are_of_types_that_are_there() -> None:
    assert {type_name for type_name, _ in ACTIONS.values()} <= set(CATALOGUE)


def test_a_versioned_token_asks_for_its_own_api_version() -> None:
    assert lookup("azure-native:storage:StorageAccount")[1] == CATALOGUE["storage:StorageAccount"].type.api_version
    assert lookup("azure-native:storage/v20230101:StorageAccount")[1] == "2023-01-01"
    assert lookup("azure-native:storage/v20230101preview:StorageAccount")[1] == "2023-01-01-preview"


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(UnknownType, match="azure-native:batch:BatchAccount"):
        lookup("azure-native:batch:BatchAccount")
