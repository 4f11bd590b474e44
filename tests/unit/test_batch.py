"""Tables larger than memory go up in files and come back joined, whatever order they come in; costs are arithmetic."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.batch.cost import Measured, batch_per_thousand, batch_usd, estimate, online_per_thousand
from rollout.batch.results import Outcome, join
from rollout.batch.tables import Table, check_columns
from rollout.batch.upload import Sent
from rollout.errors import BadInput, RolloutError
from training.batch.batch_score import check
from training.batch.package import complete, write_code

# Costs


def test_a_batch_costs_node_seconds_and_online_costs_hours() -> None:
    """100,000 rows in 6 min on 2 nodes at 0.50 USD: 2 x 0.1 h x 0.50 = 0.10 USD, 0.001 for a thousand."""
    job = Measured(rows=100_000, seconds=360, nodes=2)
    assert batch_usd(360, 2, 0.5) == pytest.approx(0.10)
    assert batch_per_thousand(job, 0.5) == pytest.approx(0.001)
    assert batch_usd(360, 2, 0.5, billed_extra_seconds=360) == pytest.approx(0.20)
    # 3 machines at 0.20 USD, 6,000 requests an hour.
    assert online_per_thousand(3, 0.2, 6_000) == pytest.approx(0.1)
    assert online_per_thousand(3, 0.2, 0) is None
    assert batch_per_thousand(Measured(0, 10, 1), 1.0) is None


def test_an_estimate_follows_the_last_job_and_says_when_it_assumes() -> None:
    last = Measured(rows=10_000, seconds=50, nodes=2)  # 100 rows a second and node
    found = estimate(40_000, 4, 0.9, last)
    assert (found.seconds, found.usd) == (pytest.approx(100), pytest.approx(0.1))
    assert "100 rows a second" in found.basis
    assert "assumed" in estimate(40_000, 4, 0.9).basis


@given(rows=st.integers(1, 10**9), seconds=st.floats(0.1, 1e6), nodes=st.integers(1, 100), price=st.floats(0.001, 100))
def test_twice_the_nodes_for_half_the_time_cost_the_same(rows: int, seconds: float, nodes: int, price: float) -> None:
    once = batch_per_thousand(Measured(rows, seconds, nodes), price)
    split = batch_per_thousand(Measured(rows, seconds / 2, nodes * 2), price)
    assert once is not None
    assert split is not None
    assert math.isclose(once, split, rel_tol=1e-9)


# Tables


def part_name(first: int, suffix: str = "parquet") -> str:
    return f"rows-{first:012d}.{suffix}"


def rows_of(count: int) -> pa.Table:
    return pa.table(
        {"id": range(count), "name": [f"n{each}" for each in range(count)], "x": [each / 3 for each in range(count)]}
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_is_split_in_order_and_counted(tmp_path: Path, suffix: str) -> None:
    table, path = rows_of(2_503), tmp_path / f"rows.{suffix}"
    pq.write_table(table, path, row_group_size=700) if suffix == "parquet" else csv.write_csv(table, path)
    found, parts = Table(path), tmp_path / "parts"
    parts.mkdir()
    assert (found.rows, found.columns) == (2_503, ["id", "name", "x"])
    assert found.split(parts, 1_000) == 3
    files = sorted(parts.iterdir())
    assert [each.name for each in files] == [part_name(first, suffix) for first in (0, 1_000, 2_000)]
    again = pd.concat([pd.read_parquet(each) if suffix == "parquet" else pd.read_csv(each) for each in files])
    pd.testing.assert_frame_equal(again.reset_index(drop=True), table.to_pandas())


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.parquet", None, "no such file"),
        ("rows.xlsx", b"x", r"unknown file type '.xlsx'"),
        ("empty.csv", b"", "the file is empty"),
        ("empty.parquet", b"", "the file is empty"),
        ("wrong.parquet", b"id,x\n1,2\n", "not readable as Parquet"),
        ("ragged.csv", b"id,x\n1,2\n1,2,3\n", "not readable as CSV"),
        ("header.csv", b"x,y\n", "no rows"),
        ("all.csv", b"x,error\n", "missing columns: y .*; .* overwrite columns: error; .*no rows"),
        ("missing.csv", b"id\n1\n", "missing columns: x, y"),
        ("taken.csv", b"x,y,prediction\n1,2,3\n", "would overwrite columns: prediction"),
    ],
)  # fmt: skip
def test_what_can_not_be_scored_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        write(path, content)
    with pytest.raises(BadInput, match=words):
        check_columns(Table(path), ["x", "y"], ["prediction", "error"])


# Back again


def joined(tmp_path: Path, count: int, lines: list[str], *, per_file: int = 100, suffix: str = "parquet") -> Outcome:
    pq.write_table(rows_of(count), tmp_path / "rows.parquet")
    predictions = tmp_path / "predictions.csv"
    predictions.write_text("".join(f"{line}\n" for line in lines))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return join(Table(tmp_path / "rows.parquet"), predictions, tmp_path / f"scored.{suffix}", scratch, per_file)


def line(number: int, per_file: int = 100, **values: Any) -> str:
    return json.dumps({"file": part_name(number // per_file * per_file), "row": number % per_file, **values})


@given(order=st.randoms(use_true_random=False), bad=st.sets(st.integers(0, 249)), gone=st.sets(st.integers(0, 249)))
@settings(max_examples=15, deadline=None)
def test_every_row_is_scored_or_refused_in_whatever_order_it_comes(
    tmp_path_factory: pytest.TempPathFactory, order: random.Random, bad: set[int], gone: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("join")
    good = [number for number in range(250) if number not in bad | gone]
    lines = [line(number, prediction=f"p{number}", probability_yes=number / 250) for number in good]
    lines += [line(number, error="x: not a number") for number in bad - gone]
    order.shuffle(lines)
    if not lines:
        return
    found = joined(folder, 250, lines)
    assert (found.rows, found.scored, found.rejected) == (250, len(good), len(bad | gone))
    scored = pq.read_table(folder / "scored.parquet")
    assert scored.column("id").to_pylist() == good
    assert [each for each in scored.column("prediction").to_pylist() if each] == [f"p{number}" for number in good]
    if bad | gone:
        assert found.rejects is not None
        refused = pd.read_csv(found.rejects)
        assert refused["row"].tolist() == sorted(bad | gone)
        assert set(refused["reason"]) <= {"x: not a number", "no prediction: its mini batch failed"}
    else:
        assert found.rejects is None


@pytest.mark.parametrize("separator", [",", " "])
def test_azures_own_form_is_read_too(tmp_path: Path, separator: str) -> None:
    lines = [
        separator.join((str(row % 100), str(row * 2), part_name(row // 100 * 100))) for row in reversed(range(150))
    ]
    found = joined(tmp_path, 150, lines, suffix="csv")
    assert found.rejected == 0
    assert pd.read_csv(found.output)["prediction"].tolist() == [row * 2 for row in range(150)]


def test_results_that_name_no_rows_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="does not say which rows"):
        joined(tmp_path, 3, ['{"prediction": 1}'])
    assert not (tmp_path / "scored.parquet").exists()


def test_the_uploaded_folder_names_its_table() -> None:
    sent = Sent(1_000, 100, "0123456789abcdef")
    assert Sent.read(f"azureml://datastores/x/paths/LocalUpload/7/{sent.folder}/") == sent
    assert Sent.read("azureml://datastores/x/paths/somebody/elses") is None


# The script


def schema(**columns: str) -> Any:
    from mlflow.types.schema import ColSpec, DataType, Schema

    return Schema([ColSpec(DataType[kind], name) for name, kind in columns.items()])


def test_rows_that_the_model_can_not_take_are_named_without_their_values() -> None:
    rows = pd.DataFrame(
        {
            "age": ["41", "secret", None],
            "plan": ["01", "b", None],
            "n": [1.0, 2.5, 3.0],
            "on": ["true", "False", "true"],
        }
    )
    clean, problems = check(rows, schema(age="double", plan="string", n="long", on="boolean"))
    assert problems == ["", "age: not a number; n: not a whole number", "plan: missing"]
    assert clean.iloc[0].tolist() == [41.0, "01", 1, True]
    assert (clean["age"].dtype, clean["n"].dtype) == ("float64", "int64")
    with pytest.raises(ValueError, match="missing columns: gone"):
        check(rows, schema(age="double", gone="double"))


def test_the_code_folder_pins_what_the_models_environment_lacks(tmp_path: Path) -> None:
    made = complete({"name": "m", "dependencies": ["python=3.11", {"pip": ["mlflow-skinny==3.1", "pandas<3"]}]})
    pip = made["dependencies"][1]["pip"]
    assert pip[:2] == ["mlflow-skinny==3.1", "pandas<3"]
    assert [each.partition("==")[0] for each in pip[2:]] == ["pyarrow"]
    with pytest.raises(ValueError, match="no MLflow model"):
        write_code(tmp_path, tmp_path / "out")
