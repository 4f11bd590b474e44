"""docs/outputs.md is the contract's, and every output is explained."""

from __future__ import annotations

from tools import outputs_doc


def test_the_table_is_current() -> None:
    assert outputs_doc.TARGET.read_text("utf-8") == outputs_doc.render(), "docs/outputs.md is not current: make docs"


def test_every_output_has_a_description() -> None:
    assert not [each.path for each in outputs_doc.outputs() if not each.description]


def test_there_are_many_and_each_has_one_name() -> None:
    paths = [each.path for each in outputs_doc.outputs()]
    assert len(paths) == len(set(paths)) >= 50


def test_types_and_units_are_read_from_the_contract() -> None:
    found = {each.path: each for each in outputs_doc.outputs()}
    timeout = found["endpoints.<name>.deployment.request_timeout_ms"]
    assert (timeout.type, timeout.unit) == ("integer", "ms")
    assert found["cost.lines[].monthly_usd"].unit == "USD a month"
    assert found["gates.auc"].type == "number or none"
    assert found["gates.auc"].unit == "share, 0 to 1"
    assert found["clusters.<name>.tier"].type == "`Dedicated` or `LowPriority`"
