"""An optimised model answers as the trained one does, whatever it is asked; and is refused where it does not."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from tests.training.conftest import Workshop, customers
from training.onnx.convert import convert, is_optimised, set_native_from, to_onnx
from training.onnx.graph import NotConvertible
from training.onnx.optimize import REPORT, Optimization, RowsError, optimise
from training.onnx.parity import TOLERANCE, UNSEEN, NotEqual, challenges, compare, prove
from training.onnx.predictor import BOOSTER_FILE, MODEL_FILE, OnnxPredictor
from training.onnx.speed import SIZES, choose, crossover, repeated
from training.plan import FeaturePlan, booster, pipeline, rival
from training.steps.evaluate import load

CATEGORIES = ("north", "south", "west", "", UNSEEN, "North", "a@example.com")
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, 1e-310, 50.0, 330.0]))
ROW = st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(CATEGORIES), NUMBERS, NUMBERS, NUMBERS)


@pytest.fixture(scope="module")
def shop(_learned: Workshop) -> Workshop:
    """The trained model, for tests that change nothing."""
    return _learned


@pytest.fixture(scope="module")
def optimised(shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(shop.folder / "trained_model", tmp_path_factory.mktemp("onnx") / "model")


def rows_set_aside(shop: Workshop) -> pd.DataFrame:
    return pd.read_parquet(shop.engineered / "test.parquet")


def test_all_test_rows_are_proven_equal_and_the_report_says_how_fast(learned: Workshop) -> None:
    said: list[str] = []
    (learned.folder / "trained_model" / "model.sig").write_text("of the files as they are")
    rows, output = learned.engineered / "test.parquet", learned.folder / "fast"
    found = optimise(learned.folder / "trained_model", rows, output, tell=said.append)
    assert found.parity.proven
    assert not (output / "model.sig").exists()
    assert found.parity.rows == len(rows_set_aside(learned)) == 240
    assert found.parity.challenged > 1000
    assert found.parity.max_difference < 1e-6
    assert found.speed.row > 0, "how many times as fast; how many is for the bench"
    assert Optimization.model_validate_json((output / REPORT).read_text()) == found
    described = yaml.safe_load((output / "MLmodel").read_text())
    assert described["metadata"]["onnx"]["rows"] == 240
    assert described["metadata"]["threshold"] == load(learned.folder / "trained_model")[1]
    assert "onnxruntime==" in (output / "requirements.txt").read_text()
    assert "onnxruntime==" in (output / "conda.yaml").read_text()
    assert said == ["converting to ONNX", "comparing 240 test rows", "measuring"]


def test_clients_that_know_no_onnx_load_it_as_before_and_others_its_graph(optimised: Path, shop: Workshop) -> None:
    rows = rows_set_aside(shop)
    pipeline, _ = load(optimised)
    before, _ = load(shop.folder / "trained_model")
    x = rows[list(before.feature_names_in_)]
    assert np.array_equal(pipeline.predict_proba(x), before.predict_proba(x))
    graph = mlflow.onnx.load_model(str(optimised))
    assert [each.name for each in graph.graph.output] == ["probability"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=8))
def test_any_row_scores_as_the_trained_model_does(rows: list[tuple], optimised: Path, shop: Workshop) -> None:
    before, _ = load(shop.folder / "trained_model")
    columns = list(before.feature_names_in_)
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], "float64"))
    expected = before.predict_proba(frame)
    for native_from in (0, 1):
        predictor = OnnxPredictor(optimised, native_from=native_from)
        assert np.abs(predictor.predict_proba(frame) - expected).max() <= 1e-6
        assert np.array_equal(predictor.predict_rows(rows), predictor.predict_proba(frame))


def test_what_is_missing_as_none_nan_or_empty_text_is_the_same(optimised: Path) -> None:
    predictor = OnnxPredictor(optimised)
    frame = pd.DataFrame({"area": [None, np.nan, ""], "email": "x", "charge": 60.0, "calls": [None] * 3, "months": 3.0})
    scored = predictor.predict_proba(frame)
    assert (scored == scored[0]).all()
    assert np.array_equal(predictor.predict_rows([[None, "x", 60.0, None, 3.0]])[0], scored[0])


def test_several_classes_and_products_and_few_features_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    x = customers(600)[["area", "email", "charge", "calls", "months"]].astype({"calls": float, "months": float})
    x.loc[random.random(600) < 0.1, "charge"] = np.nan
    y = np.digitize(x["charge"].fillna(40) * x["calls"] + 30 * (x["area"] == "west"), [150, 250])
    shape = {
        "categories": ("area", "email"),
        "numbers": ("charge", "calls", "months"),
        "classes": ("low", "middle", "high"),
    }
    for keep in (None, (0, 2, 5, 6, 7, 8), (6, 8)):
        plan = FeaturePlan(**shape, multiplied=("charge", "months", "calls")[:: 1 if keep is None else -1], keep=keep)
        model = pipeline(plan, booster(plan, {"n_estimators": 8, "max_depth": 3})).fit(x, y)
        whole, features = to_onnx(model)
        onnx.save_model(whole, str(tmp_path / MODEL_FILE))
        onnx.save_model(features, str(tmp_path / "features.onnx"))
        model.steps[-1][1].get_booster().save_model(tmp_path / BOOSTER_FILE)
        for native_from in (0, 1):
            scored = OnnxPredictor(tmp_path, native_from=native_from).predict_proba(x)
            assert scored.shape == (600, 3)
            assert np.abs(scored - model.predict_proba(x)).max() < 1e-6


@pytest.mark.parametrize(
    "columns", [{"categories": ("area",), "numbers": ()}, {"categories": (), "numbers": ("charge",)}]
)
def test_one_kind_of_column_is_enough(columns: dict, tmp_path: Path) -> None:
    table = customers(300)
    plan = FeaturePlan(**columns, classes=("no", "yes"))
    x = table[list(plan.columns)]
    model = pipeline(plan, booster(plan, {"n_estimators": 5})).fit(x, table["left"] == "yes")
    onnx.save_model(to_onnx(model)[0], str(tmp_path / MODEL_FILE))
    predictor = OnnxPredictor(tmp_path)
    assert np.abs(predictor.predict_proba(x) - model.predict_proba(x)).max() < 1e-6
    assert predictor.predict_rows(x.head(2).to_numpy().tolist()).shape == (2, 2)


def _wrong_leaf(folder: Path) -> None:
    graph = onnx.load_model(str(folder / MODEL_FILE))
    weights = next(each for each in graph.graph.node[-1].attribute if each.name == "class_weights").floats
    weights[0] += 0.5
    onnx.save_model(graph, str(folder / MODEL_FILE))


def test_one_wrong_leaf_is_refused_with_the_difference(learned: Workshop, optimised: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(optimised, broken)
    _wrong_leaf(broken)
    with pytest.raises(NotEqual, match="largest difference 0") as refused:
        prove(learned.folder / "trained_model", broken, rows_set_aside(learned))
    assert refused.value.parity.max_difference > TOLERANCE
    assert refused.value.parity.rows == 240


def test_batches_that_score_otherwise_are_refused_too(learned: Workshop, optimised: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(optimised, broken)
    file = broken / "booster.ubj"
    x = customers(300)[["charge", "calls", "months"]].assign(a=1.0, b=1.0, c=1.0).to_numpy()
    other = booster(FeaturePlan(categories=(), numbers=("a",), classes=("no", "yes")), {"n_estimators": 3})
    other.fit(x, customers(300)["left"] == "yes").get_booster().save_model(file)
    with pytest.raises(NotEqual) as refused:
        prove(learned.folder / "trained_model", broken, rows_set_aside(learned))
    assert refused.value.parity.max_difference < TOLERANCE < refused.value.parity.engines_differ


def test_nothing_is_left_of_a_refused_conversion(learned: Workshop) -> None:
    output = learned.folder / "fast"
    with pytest.raises(NotEqual):
        optimise(learned.folder / "trained_model", learned.engineered / "test.parquet", output, tolerance=1e-12)
    assert not output.exists()


@settings(max_examples=100, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(-2e-5, 2e-5), st.floats(0.05, 0.95))
def test_proven_means_within_the_tolerance_and_no_other_label(p: float, by: float, threshold: float) -> None:
    q = min(1.0, max(0.0, p + by))
    found = compare(np.array([[1 - p, p]]), np.array([[1 - q, q]]), threshold)
    assert found.proven == (found.max_difference <= TOLERANCE and (p >= threshold) == (q >= threshold))
    assert found.near_threshold == (abs(p - threshold) <= TOLERANCE)


def test_an_answer_that_is_no_number_is_never_equal() -> None:
    found = compare(np.array([[0.4, 0.6]]), np.array([[0.4, np.nan]]), 0.5)
    assert not found.proven
    several = compare(np.array([[0.2, 0.4, 0.4]]), np.array([[0.2, 0.4, 0.4]]), None)
    assert (several.proven, several.near_threshold) == (True, 1)


def test_large_batches_go_to_the_native_trees_from_where_they_are_faster(learned: Workshop, optimised: Path) -> None:
    found = crossover(optimised, rows_set_aside(learned))
    assert found == 0 or found in SIZES
    shutil.copytree(optimised, learned.folder / "noted")
    set_native_from(learned.folder / "noted", 100)
    rows = repeated(rows_set_aside(learned), 100)
    predictor = OnnxPredictor(learned.folder / "noted")
    predictor.predict_proba(rows.head(99))
    assert "_native" not in vars(predictor)
    predictor.predict_proba(rows)
    assert "_native" in vars(predictor)


def test_one_noisy_size_does_not_switch_the_native_trees_off() -> None:
    sizes = (8, 16, 32, 64, 128, 256, 512)
    plain = {size: (size * 2.0, 60.0 + size) for size in sizes}  # they meet at 60 rows
    assert choose(plain) == 64
    assert choose({**plain, 128: (256.0, 300.0)}) in (64, 256)  # and not never
    assert choose({size: (size * 1.0, 60.0 + size) for size in sizes}) == 0
    assert choose({size: (9.0, 1.0) for size in sizes}) == 8
    assert choose({size: (1.0, 1.0) for size in sizes}) == 0


def test_without_xgboost_all_batches_go_to_onnx_runtime(optimised: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert OnnxPredictor(optimised, native_from=1).native_from == 0


def test_threads_share_a_predictor(optimised: Path, shop: Workshop) -> None:
    predictor, rows = OnnxPredictor(optimised, native_from=100), rows_set_aside(shop)
    expected, wrong = predictor.predict_proba(rows), []

    def score() -> None:
        for start in range(0, 240, 8):
            got = predictor.predict_proba(rows.iloc[start : start + 8])
            wrong.extend(np.abs(got - expected[start : start + 8]).max(axis=1) > TOLERANCE)

    threads = [threading.Thread(target=score) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not any(wrong)
    assert len(wrong) == 4 * 240


def test_challenges_hold_a_missing_and_an_unseen_value_of_each_column(optimised: Path, shop: Workshop) -> None:
    found = challenges(rows_set_aside(shop), OnnxPredictor(optimised))
    for name in ("area", "email"):
        assert {"", UNSEEN} <= set(found[name])
    for name in ("charge", "calls", "months"):
        assert found[name].isna().sum() == 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("area,charge\nnorth,5\n", "no column email, calls, months"),
        ("area,email,charge,calls,months\n", "no rows"),
        ("area,email,charge,calls,months\nnorth,a,much,1,2\n", "much"),
    ],
)
def test_rows_that_can_not_be_used_are_refused_by_name(learned: Workshop, content: str, said: str) -> None:
    file, output = learned.folder / "rows.csv", learned.folder / "fast"
    file.write_text(content)
    with pytest.raises(RowsError, match=said):
        optimise(learned.folder / "trained_model", file, output)
    assert not output.exists()


def test_csv_rows_do_as_well(learned: Workshop) -> None:
    file = learned.folder / "rows.csv"
    rows_set_aside(learned).to_csv(file, index=False)
    assert optimise(learned.folder / "trained_model", file, learned.folder / "fast").parity.rows == 240


def test_a_model_is_not_optimised_twice(learned: Workshop, optimised: Path) -> None:
    assert is_optimised(optimised)
    with pytest.raises(RowsError, match="already"):
        optimise(optimised, learned.engineered / "test.parquet", learned.folder / "fast")


def _fitted(estimator: object, plan: FeaturePlan) -> Pipeline:
    table = customers(300)
    return pipeline(plan, estimator).fit(table[list(plan.columns)], table["left"] == "yes")


def test_what_it_does_not_know_is_refused_by_name() -> None:
    plan = FeaturePlan(categories=("area",), numbers=("charge", "calls"), classes=("no", "yes"))
    with pytest.raises(NotConvertible, match="LogisticRegression"):
        to_onnx(_fitted(rival(plan), plan))
    trees = booster(plan, {"n_estimators": 2})
    model = _fitted(trees, plan.model_copy(update={"keep": (2, 0)}))
    with pytest.raises(NotConvertible, match="ascending"):
        to_onnx(model)
    for steps, said in (
        ([("scale", RobustScaler()), ("classify", trees)], "a pipeline of scale"),
        (
            [*_fitted(trees, plan).steps[:-2], ("scale", StandardScaler()), ("classify", trees)],
            "a pipeline of make, scale",
        ),
    ):
        with pytest.raises(NotConvertible, match=said):
            to_onnx(Pipeline(steps))
    assert LogisticRegression is type(rival(plan))


def test_unknown_parts_and_odd_settings_are_refused() -> None:
    plan = FeaturePlan(
        categories=("area",), numbers=("charge", "calls"), multiplied=("charge", "calls"), classes=("no", "yes")
    )

    def broken(change: object) -> Pipeline:
        model = _fitted(booster(plan, {"n_estimators": 2}), plan)
        change(model.named_steps["make"])  # type: ignore[operator]
        return model

    def rename(made: object) -> None:
        made.transformers_[0] = ("words", *made.transformers_[0][1:])  # type: ignore[attr-defined]

    def empty(made: object) -> None:
        made.transformers_[1][1].statistics_[0] = np.nan  # type: ignore[attr-defined]

    def other_median(made: object) -> None:
        made.transformers_[2][1].steps[0][1].statistics_[0] += 1  # type: ignore[attr-defined]

    def numbered(made: object) -> None:
        made.transformers_[0][1].categories_[0] = np.array([1, 2, 3], dtype=object)  # type: ignore[attr-defined]

    def higher(made: object) -> None:
        made.transformers_[2][1].steps[1][1].set_params(degree=(1, 2))  # type: ignore[attr-defined]
        made.transformers_[2][1].steps[1][1].fit(np.ones((2, 2)))  # type: ignore[attr-defined]

    for change, said in (
        (rename, "words"), (empty, "missing throughout"), (other_median, "other medians"), (numbered, "no text"),
        (higher, "other than two"),
    ):  # fmt: skip
        with pytest.raises(NotConvertible, match=said):
            to_onnx(broken(change))


def test_no_rows_are_no_request(optimised: Path) -> None:
    with pytest.raises(ValueError, match="no rows"):
        OnnxPredictor(optimised).predict_rows([])


def test_the_graph_says_which_columns_it_takes(optimised: Path) -> None:
    graph = onnx.load_model(str(optimised / MODEL_FILE))
    columns = json.loads({each.key: each.value for each in graph.metadata_props}["columns"])
    assert columns == {"categories": ["area", "email"], "numbers": ["charge", "calls", "months"]}
