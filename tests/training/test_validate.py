"""A table that no model should learn from is refused, with every reason at once, and nothing goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.training.conftest import CASE, ROWS, customers
from training import leaks, profiles
from training.profiles import Profile, stability_index
from training.steps.validate import validate
from training.tables import DataError
from training.usecase import UseCase


def refused(table: pd.DataFrame, folder: Path, case: UseCase = CASE, *, baseline: Path | None = None) -> list[str]:
    file = folder / "table.csv"
    table.to_csv(file, index=False)
    with pytest.raises(DataError) as caught:
        validate(file, case, folder / "out", baseline)
    assert not (folder / "out" / "validated_data").exists(), "nothing goes on"
    return caught.value.findings


def test_a_good_table_goes_on_with_its_profile(tmp_path: Path) -> None:
    customers().to_csv(tmp_path / "table.csv", index=False)
    report = validate(tmp_path / "table.csv", CASE, tmp_path / "out")
    assert (report.rows, report.errors) == (ROWS, [])
    assert sum(report.classes.values()) == ROWS
    passed_on = pd.read_parquet(tmp_path / "out" / "validated_data" / "data.parquet")
    assert len(passed_on) == ROWS
    profile = Profile.model_validate_json((tmp_path / "out" / "validated_data" / "profile.json").read_text())
    assert set(profile.columns) == {"charge", "calls", "months", "area", "email"}
    assert sum(profile.columns["charge"].shares) == pytest.approx(1)
    assert "accepted" in (tmp_path / "out" / "validation_report.html").read_text()


def _doubled(table: pd.DataFrame) -> None:
    table.loc[1, "id"] = table.loc[0, "id"]


BAD: list[tuple[str, Callable[[pd.DataFrame], object], str]] = [
    ("missing target", lambda t: t.pop("left"), "column 'left' is missing"),
    ("unknown category", lambda t: t.__setitem__("area", "mars"), "column 'area': 1200 values break isin"),
    ("constant", lambda t: t.__setitem__("months", 3), "column 'months' is constant"),
    ("all missing", lambda t: t.__setitem__("months", np.nan), "column 'months' has no value at all"),
    ("one class", lambda t: t.__setitem__("left", "yes"), "target 'left' has 1 classes; 2 are needed"),
    ("leakage", lambda t: t.__setitem__("won_back", (t["left"] == "yes") * 2.5), "column 'won_back' tells the target 'left'"),
    ("leak by order", lambda t: t.__setitem__("score", t.index + (t["left"] == "yes") * 5000.0), "column 'score' tells the target"),
    ("duplicate ids", _doubled, "id column 'id' repeats 1 values"),
    ("too many missing", lambda t: t.__setitem__("calls", t["calls"].where(t.index > 300)), "column 'calls' is missing in 25.1% of rows"),
    ("out of range", lambda t: t.__setitem__("charge", t["charge"] - 100), "column 'charge':"),
    ("target gaps", lambda t: t.__setitem__("left", t["left"].where(t.index > 2)), "target 'left' is missing in 3 rows"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_what_no_model_should_learn_from_is_refused(
    tmp_path: Path, change: Callable[[pd.DataFrame], object], said: str
) -> None:
    table = customers()
    change(table)
    assert any(said in finding for finding in refused(table, tmp_path))
    report = json.loads((tmp_path / "out" / "validation_report.json").read_text())
    assert any(said in finding["message"] for finding in report["findings"])
    assert "refused" in (tmp_path / "out" / "validation_report.html").read_text()


def test_a_large_table_is_sampled_for_leaks_and_its_values_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "SAMPLE_ROWS", 300)
    monkeypatch.setattr(profiles, "EXACT_ROWS", 1000)
    table = customers()
    table["score"] = table.index + (table["left"] == "yes") * 5000.0
    found = refused(table, tmp_path)
    assert found == ["column 'score' tells the target 'left'; drop it"]


def test_999_rows_are_one_too_few(tmp_path: Path) -> None:
    assert "999 rows; at least 1000 are needed" in refused(customers().head(999), tmp_path)


def test_another_delimiter_is_named(tmp_path: Path) -> None:
    customers().to_csv(tmp_path / "table.csv", index=False, sep=";")
    with pytest.raises(DataError, match="separated by ';', not by ','; set `delimiter`"):
        validate(tmp_path / "table.csv", CASE, tmp_path / "out")
    told = CASE.model_copy(update={"delimiter": ";"})
    assert validate(tmp_path / "table.csv", told, tmp_path / "out").rows == ROWS


def test_everything_wrong_is_said_at_once_and_nothing_personal_is_shown(tmp_path: Path) -> None:
    table = customers()
    table["months"], table["area"], table["email"] = 1, "mars", "someone@example.com"
    columns = {**CASE.columns, "email": CASE.columns["email"].model_copy(update={"categories": ("a@example.com",)})}
    found = refused(table, tmp_path, CASE.model_copy(update={"columns": columns}))
    assert len(found) >= 4
    assert not any("someone@" in finding for finding in found)
    assert "someone@" not in (tmp_path / "out" / "validation_report.html").read_text()


def test_a_table_that_drifted_from_the_baseline_is_refused(tmp_path: Path) -> None:
    customers().to_csv(tmp_path / "first.csv", index=False)
    validate(tmp_path / "first.csv", CASE, tmp_path / "first")
    baseline = tmp_path / "first" / "validated_data" / "profile.json"
    customers(seed=2).to_csv(tmp_path / "same.csv", index=False)
    assert max(validate(tmp_path / "same.csv", CASE, tmp_path / "same", baseline).drift.values()) < 0.1
    moved = customers(seed=2)
    moved["charge"] += 20
    found = refused(moved, tmp_path, baseline=baseline)
    assert any("column 'charge' has drifted from the baseline" in finding for finding in found)


def test_the_stability_index_is_siddiqis() -> None:
    # (.2-.25)ln(.2/.25) + (.3-.25)ln(.3/.25) + 0 + 0, by hand
    assert stability_index((0.25,) * 4, (0.2, 0.3, 0.25, 0.25)) == pytest.approx(0.0202733, abs=1e-7)
    assert stability_index((0.5, 0.5), (0.5, 0.5)) == 0
    assert stability_index((1.0, 0.0), (0.0, 1.0)) > 1


def test_neither_csv_nor_parquet(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="not readable as CSV or Parquet"):
        validate(tmp_path / "broken.parquet", CASE, tmp_path / "out")
    with pytest.raises(DataError, match="no such file"):
        validate(tmp_path / "nothing.csv", CASE, tmp_path / "out")
