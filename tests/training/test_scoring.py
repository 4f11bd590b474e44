"""Requests as callers send them, right and wrong: the service answers as the model does, or says what is wrong, field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.conftest import CASE, Workshop, customers
from training.onnx.convert import convert
from training.plan import FeaturePlan
from training.scores import predicted
from training.scoring.describe import describe
from training.scoring.findings import MOST, Refused
from training.scoring.schema import ColumnSchema, ScoringSchema
from training.scoring.service import Limits, Service
from training.steps.evaluate import load
from training.usecase import Column

ROW = {"area": "north", "email": "a@example.com", "charge": 61.5, "calls": 2, "months": 7}
Ask = Callable[[Any], dict[str, Any]]


@pytest.fixture(scope="session")
def folder(_learned: Workshop) -> Path:
    return _learned.folder / "trained_model"


@pytest.fixture(scope="session")
def service(folder: Path) -> Service:
    return Service.open(folder, version="7")


@pytest.fixture(scope="session", params=["scikit-learn", "onnx"])
def either(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The trained pipeline, and its graph."""
    if request.param == "onnx":
        folder = convert(folder, tmp_path_factory.mktemp("optimised") / "model")
    found = Service.open(folder)
    assert found.model["runtime"] == request.param
    return found


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


def findings(service: Service, document: Any) -> list[dict[str, Any]]:
    """Of a request that is refused with 422."""
    answer = service.answer(body(document))
    assert answer.status == 422
    listed: list[dict[str, Any]] = answer.document["error"]["findings"]
    return listed


def fields(service: Service, document: Any) -> dict[str | None, str]:
    return {each["field"]: each["problem"] for each in findings(service, document)}


rows = st.fixed_dictionaries(
    {
        "area": st.sampled_from(["north", "south", "west"]),
        "email": st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        "charge": st.floats(0, 500),
        "calls": st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e12, 1e12)),
        "months": st.integers(0, 1000),
    }
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
nearly_right = st.one_of(
    junk,
    st.dictionaries(st.sampled_from(["input_data", "inputs", "params", "dataframe_split", "dataframe_records"]), junk),
    st.builds(lambda rows: {"input_data": rows}, st.lists(st.one_of(rows, junk), max_size=4)),
    st.builds(
        lambda row, name, value: {"input_data": [{**row, name: value}]},
        rows,
        st.one_of(st.sampled_from(sorted(ROW)), st.text(max_size=5)),
        junk,
    ),
    st.builds(lambda names, data: {"input_data": {"columns": names, "data": data}}, junk, junk),
)


class TestAnswers:
    @given(st.lists(rows, min_size=1, max_size=20))
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_rows_that_are_right_are_answered_as_the_model_answers(
        self, either: Service, folder: Path, sent: list[dict[str, Any]]
    ) -> None:
        model, threshold = load(folder)
        truth = np.asarray(model.predict_proba(pd.DataFrame(sent)[list(model.feature_names_in_)]), dtype=np.float64)
        answer = either.answer(body({"input_data": sent}))
        assert answer.status == 200
        assert answer.document["probabilities"] == pytest.approx(
            truth, abs=1e-5 if "onnx" in either.model.values() else 0
        )
        if either.model["runtime"] == "scikit-learn":
            assert answer.document["predictions"] == [["no", "yes"][each] for each in predicted(truth, threshold)]

    @given(st.lists(rows, min_size=1, max_size=8), st.randoms())
    @settings(max_examples=30, deadline=None)
    def test_the_order_of_columns_says_nothing(self, service: Service, sent: list[dict[str, Any]], random: Any) -> None:
        names = list(ROW)
        random.shuffle(names)
        mixed = {"columns": names, "data": [[row[name] for name in names] for row in sent]}
        shuffled = [{name: row[name] for name in names} for row in sent]
        first = service.answer(body({"input_data": sent})).document
        assert service.answer(body({"input_data": mixed})).document == first
        assert service.answer(body({"input_data": shuffled})).document == first

    @given(st.lists(rows, min_size=1, max_size=3), st.sampled_from(["nothing", *ROW]), junk)
    @settings(max_examples=100, deadline=None)
    def test_the_short_way_for_plain_requests_says_what_the_long_one_says(
        self, service: Service, sent: list[dict[str, Any]], where: str, value: Any
    ) -> None:
        spoilt = [{**row, where: value} if where in ROW else row for row in sent]
        names = list(service.schema.names)
        plain = {"columns": names, "data": [[row[name] for name in names] for row in spoilt]}
        short, long = service.answer(body({"input_data": plain})), service.answer(body({"input_data": spoilt}))
        assert (short.status, json.loads(short.body())) == (long.status, json.loads(long.body()))

    @given(st.lists(rows, min_size=1, max_size=30))
    @settings(max_examples=30, deadline=None)
    def test_a_batch_is_its_rows_one_by_one(self, service: Service, sent: list[dict[str, Any]]) -> None:
        batch = service.answer(body({"input_data": sent})).document
        singles = [service.answer(body({"input_data": [row]})).document for row in sent]
        assert batch["predictions"] == [label for each in singles for label in each["predictions"]]
        assert batch["probabilities"] == [each for single in singles for each in single["probabilities"]]

    @pytest.mark.parametrize(
        "shape",
        [
            {"input_data": ROW},
            {"input_data": [ROW]},
            {"inputs": [ROW]},
            {"dataframe_records": [ROW]},
            {"input_data": [[ROW[name] for name in ("area", "email", "charge", "calls", "months")]]},
            {"input_data": {"columns": list(ROW), "index": [0], "data": [list(ROW.values())]}, "params": {}},
            {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}},
            {"inputs": {name: [value] for name, value in ROW.items()}},
        ],
    )
    def test_mlflows_shapes_mean_the_same(self, service: Service, shape: Any) -> None:
        answer = service.answer(body(shape))
        assert answer.status == 200, answer.document
        assert answer.document == service.answer(body({"input_data": [ROW]})).document

    def test_mlflow_loads_the_model_with_its_schema_and_answers_alike(self, service: Service, folder: Path) -> None:
        frame = customers(50, seed=9).drop(columns=["id", "left"])
        loaded = mlflow.pyfunc.load_model(str(folder)).predict(frame.astype({"calls": float, "months": float}))
        assert service.score_frame(frame).probabilities == pytest.approx(np.asarray(loaded), abs=0)

    def test_ten_thousand_rows_are_one_request(self, service: Service) -> None:
        frame = customers(10_000, seed=3).drop(columns=["id", "left"])
        sent = {"columns": list(frame), "data": frame.to_numpy(dtype=object).tolist()}
        answer = service.answer(body({"input_data": sent}))
        assert answer.status == 200
        assert answer.document["probabilities"] == service.score_frame(frame).probabilities


class TestRefusals:
    @given(nearly_right)
    @settings(max_examples=300, deadline=None)
    def test_any_json_is_answered_and_never_a_failure(self, service: Service, document: Any) -> None:
        answer = service.answer(body(document))
        assert answer.status in (200, 422)
        assert (answer.scored is None) == (answer.status != 200)
        json.loads(answer.body())

    @given(st.binary(max_size=60))
    @settings(max_examples=100, deadline=None)
    def test_any_bytes_are_answered_and_never_a_failure(self, service: Service, sent: bytes) -> None:
        assert service.answer(sent).status in (400, 422)

    @given(rows, st.text("abcdefgh0123456789@.", min_size=12, max_size=30), st.sampled_from(sorted(ROW)))
    @settings(max_examples=50, deadline=None)
    def test_no_value_comes_back(self, service: Service, row: dict[str, Any], secret: str, where: str) -> None:
        """Also a value in the wrong place, where the schema does not know it to be personal."""
        spoilt = {**row, "months": None, "email": secret, where: secret}
        assert secret not in service.answer(body({"input_data": [spoilt]})).body().decode()

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"area": "nowhere"}, "unknown category"),
            ({"area": ["north"]}, "a list in place of text"),
            ({"area": 1.5}, "a number in place of text"),
            ({"area": None}, "null"),
            ({"area": ""}, "null"),
            ({"email": "\ud800"}, "not Unicode"),
            ({"charge": "61.5"}, "text in place of a number"),
            ({"charge": True}, "a truth value in place of a number"),
            ({"charge": {}}, "an object in place of a number"),
            ({"charge": -1}, "out of range"),
            ({"charge": 501}, "out of range"),
            ({"charge": math.nan}, "not a finite number"),
            ({"charge": math.inf}, "not a finite number"),
            ({"charge": 10**400}, "not a finite number"),
            ({"charge": None}, "null"),
            ({"months": 1e300}, "out of range"),
        ],
    )
    def test_a_wrong_value_is_named_by_row_field_and_what_is_allowed(
        self, service: Service, change: dict[str, Any], problem: str
    ) -> None:
        (name,) = change
        (found,) = findings(service, {"input_data": [ROW, {**ROW, **change}]})
        assert (found["row"], found["field"], found["problem"]) == (1, name, problem)
        allowed = {"area": "one of north, south, west", "email": "text"}
        assert found["allowed"].startswith(allowed.get(name, "a number from "))

    def test_all_findings_come_at_once(self, service: Service) -> None:
        wrong = {"area": "x", "charge": "x", "calls": 1, "months": None, "tariff": 1}
        assert fields(service, {"input_data": [wrong]}) == {
            "tariff": "unknown column",
            "email": "missing column",
            "area": "unknown category",
            "charge": "text in place of a number",
            "months": "null",
        }

    def test_a_value_that_one_row_lacks_is_that_rows(self, service: Service) -> None:
        short = {name: value for name, value in ROW.items() if name != "calls"}
        (found,) = findings(service, {"input_data": [ROW, short]})
        assert (found["field"], found["row"], found["problem"]) == ("calls", 1, "missing value")

    def test_a_thousand_findings_are_counted_and_fifty_listed(self, service: Service) -> None:
        document = service.answer(body({"input_data": [{**ROW, "area": "x"}] * 1000})).document["error"]
        assert len(document["findings"]) == MOST
        assert document["more"] == 1000 - MOST
        assert document["message"] == "1000 findings; nothing was scored"

    @pytest.mark.parametrize(
        ("document", "problem"),
        [
            ([ROW], "not rows"),
            ({}, "not rows"),
            ({"input_data": 3}, "not rows"),
            ({"input_data": [1, 2]}, "not rows"),
            ({"input_data": {"columns": "area", "data": []}}, "not rows"),
            ({"input_data": {"area": ["north"], "email": []}}, "not rows"),
            ({"input_data": []}, "no rows"),
            ({"input_data": {"columns": list(ROW), "data": []}}, "no rows"),
            ({"input_data": [ROW] * 10_001}, "too many rows"),
            ({"input_data": [ROW], "inputs": [ROW]}, "rows given twice"),
            ({"input_data": [ROW], "params": {"a": 1}}, "unknown key"),
            ({"input_data": [ROW, 3]}, "not an object"),
            ({"input_data": [list(ROW.values()), 3]}, "not a list"),
            ({"input_data": [[1, 2]]}, "2 values"),
            ({"input_data": {"columns": [*ROW, "area"], "data": [[*ROW.values(), "west"]]}}, "column given twice"),
        ],
    )
    def test_what_is_not_rows_is_told_what_rows_are(self, service: Service, document: Any, problem: str) -> None:
        assert problem in {each["problem"] for each in findings(service, document)}

    def test_half_a_surrogate_pair_is_no_text_on_either_way(self, either: Service) -> None:
        names = list(either.schema.names)
        row = {**ROW, "email": "\ud800"}
        for shape in ({"columns": names, "data": [[row[name] for name in names]]}, [row]):
            assert fields(either, {"input_data": shape}) == {"email": "not Unicode"}

    def test_other_statuses(self, folder: Path) -> None:
        small = Service.open(folder, limits=Limits(max_body_bytes=100))
        assert small.answer(b"[" * 99).status == 400
        assert small.answer(b"9" * 99).status == 422
        assert small.answer(b" " * 101).status == 413
        assert small.info()["requests"] == {"requests": 0, "rows": 0, "refused": 3}


class TestSchema:
    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "code": ["415", "", "408"],
                "flag": ["true", "false", "true"],
                "name": ["ada", "bob", "eve"],
                "size": [1.0, np.nan, 3e12],
            }
        )

    def described(self, **columns: Any) -> ScoringSchema:
        plan = FeaturePlan(categories=("code", "flag", "name"), numbers=("size",), classes=("no", "yes"))
        case = CASE.model_copy(update={"columns": columns})
        return describe(plan, case, [self.frame().head(2), self.frame().tail(1)], 0.4, "hash")

    def test_it_is_what_the_rows_show_and_what_the_use_case_says(self) -> None:
        found = self.described(size=Column(type="number"))
        assert found.columns[0] == ColumnSchema(name="code", type="category", categories=("408", "415"), nullable=True)
        assert found.columns[3].nullable
        assert (found.columns[3].minimum, found.columns[3].maximum) == (-3e13, 3e13)

    def test_personal_values_stay_out_of_it(self) -> None:
        found = self.described(name=Column(type="category", pii=True))
        assert found.columns[2].categories == ()
        assert found.personal == {"name"}
        assert "ada" not in found.model_dump_json()

    def test_codes_and_truth_values_are_taken_as_their_text_and_missing_ones_as_null(self, tmp_path: Path) -> None:
        class Echo:
            seen: Any = None

            def predict_rows(self, rows: Any) -> Any:
                Echo.seen = rows
                return np.array([[0.7, 0.3]] * len(rows))

            predict_proba = predict_rows

        service = Service(self.described(), Echo())
        sent = [
            {"code": 415, "flag": True, "name": "ada", "size": 2},
            {"code": "", "flag": False, "name": "bob", "size": None},
        ]
        assert service.answer(body({"input_data": sent})).status == 200
        assert Echo.seen == [("415", "true", "ada", 2.0), (None, "false", "bob", None)]
        assert fields(service, {"input_data": {**sent[0], "code": 10**4000}})["code"] == "a number too large for a code"

    def test_a_frames_missing_values_are_null(self, service: Service) -> None:
        frame = pd.DataFrame([ROW, {**ROW, "charge": np.nan}])
        assert [(each.row, each.field, each.problem) for each in service.check_frame(frame).listed] == [
            (1, "charge", "null")
        ]
        with pytest.raises(Refused):
            service.score_frame(frame.drop(columns="area"))
        assert service.score_frame(frame.head(1)).labels == service.score({"input_data": ROW}).labels
        assert service.score_frame(frame.head(0)).labels == []

    def test_several_classes_go_to_the_likeliest(self) -> None:
        class Fixed:
            def predict_rows(self, rows: Any) -> Any:
                return np.array([[0.2, 0.5, 0.3]] * len(rows))

            predict_proba = predict_rows

        schema = ScoringSchema(
            model="m",
            model_hash="h",
            columns=(ColumnSchema(name="x", type="number"),),
            classes=("a", "b", "c"),
            threshold=None,
        )
        assert Service(schema, Fixed()).score({"input_data": {"x": 1}}).labels == ["b"]
