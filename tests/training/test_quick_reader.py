"""The short way through a request gives what the long way gives, or nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from training.scoring.checking import Checker, QuickReader, check_columns
from training.scoring.findings import Findings, Refused
from training.scoring.reading import read_columns
from training.scoring.schema import ColumnSchema, ScoringSchema

SCHEMA = ScoringSchema(
    model="churn",
    model_hash="0",
    columns=(
        ColumnSchema(name="area", type="category", categories=("north", "south"), nullable=True),
        ColumnSchema(name="note", type="category"),
        ColumnSchema(name="charge", type="number", minimum=0.0, maximum=100.0),
        ColumnSchema(name="calls", type="number", nullable=True),
    ),
    classes=("no", "yes"),
    threshold=0.5,
)
GOOD = ["north", "x", 5.5, 3]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["north", "south", "west", "", "x", "5"]),
    st.lists(st.integers(), max_size=1),
)
ROW = st.one_of(
    st.tuples(
        st.sampled_from(["north", "south", "west"]), st.text(max_size=2), st.floats(-5, 105), st.integers(-3, 3)
    ).map(list),
    st.lists(VALUES, min_size=3, max_size=5),
    st.tuples(st.sampled_from(range(4)), VALUES).map(
        lambda at: [at[1] if i == at[0] else v for i, v in enumerate(GOOD)]
    ),
    VALUES,
)
NAMES = st.sampled_from(
    [list(SCHEMA.names), list(reversed(SCHEMA.names)), ["area", "area", "charge", "calls"], ["area"]]
)
DOCUMENT = st.one_of(
    st.fixed_dictionaries(
        {
            "input_data": st.fixed_dictionaries(
                {"columns": NAMES, "data": st.lists(ROW, max_size=10)}, optional={"index": st.just([0])}
            )
        },
        optional={"params": st.just({}), "extra": st.just(1)},
    ),
    st.fixed_dictionaries({"inputs": st.lists(ROW, max_size=3)}),
    ROW,
)


def the_long_way(document: Any, max_rows: int) -> list[tuple[Any, ...]] | None:
    found = Findings()
    try:
        columns, _ = read_columns(document, SCHEMA.names, max_rows, found)
        checked = check_columns([Checker(each) for each in SCHEMA.columns], columns, found)
        found.raise_any()
    except Refused:
        return None
    return list(zip(*(checked[name] for name in SCHEMA.names), strict=True))


@settings(max_examples=400)
@given(document=DOCUMENT, max_rows=st.integers(1, 9))
def test_it_reads_what_the_long_way_reads_and_nothing_that_it_refuses(document: Any, max_rows: int) -> None:
    quick = QuickReader(SCHEMA).read(document, max_rows)
    if quick is not None:
        slow = the_long_way(document, max_rows)
        assert quick == slow
        assert [[type(value) for value in row] for row in quick] == [
            [type(value) for value in row] for row in slow or []
        ]


def test_what_most_clients_send_is_read_quickly() -> None:
    document = {"input_data": {"columns": list(SCHEMA.names), "data": [GOOD]}}
    assert QuickReader(SCHEMA).read(document, 10) == [("north", "x", 5.5, 3.0)]
    assert QuickReader(SCHEMA).read({"dataframe_split": document["input_data"]}, 10)


def test_a_column_called_data_leaves_it_to_the_long_way() -> None:
    schema = SCHEMA.model_copy(update={"columns": (ColumnSchema(name="data", type="number"),)})
    assert QuickReader(schema).read({"input_data": {"columns": ["data"], "data": [[1]]}}, 10) is None
