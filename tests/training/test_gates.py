"""Each gate alone keeps a model out, says by how much, and what to try."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.policy import Gates
from training.gates import METRICS, Measured, Shortfall, shortfalls

PROD = Gates(
    accuracy=0.9,
    precision=0.85,
    recall=0.8,
    f1=0.82,
    auc=0.88,
    max_odds_gap=0.3,
    not_worse_than_baseline=True,
    complete_card=True,
)
GOOD = Measured(
    metrics={"accuracy": 0.96, "precision": 0.91, "recall": 0.82, "f1": 0.86, "auc": 0.9},
    cv_std=0.02,
    latency_ms=19,
    memory_mb=345,
    size_mb=0.3,
    odds_gap=0.25,
    worse_than_baseline=False,
    p_value=0.5,
)


def test_a_good_model_passes() -> None:
    assert shortfalls(GOOD, PROD) == []


#: What is changed in the good model, the gate that it misses then, and what is said.
BAD = [
    (replace(GOOD, metrics={**GOOD.metrics, "accuracy": 0.88}), "accuracy", "accuracy 0.880 is 0.020 under 0.900"),
    (replace(GOOD, metrics={**GOOD.metrics, "precision": 0.8}), "precision", "precision 0.800 is 0.050 under 0.850"),
    (replace(GOOD, metrics={**GOOD.metrics, "recall": 0.794}), "recall", "recall 0.794 is 0.006 under 0.800"),
    (replace(GOOD, metrics={**GOOD.metrics, "f1": 0.7}), "f1", "f1 0.700 is 0.120 under 0.820"),
    (replace(GOOD, metrics={**GOOD.metrics, "auc": 0.87}), "auc", "auc 0.870 is 0.010 under 0.880"),
    (replace(GOOD, cv_std=0.061), "cv_std", "cv_std 0.061 is 0.011 over 0.05"),
    (replace(GOOD, latency_ms=420), "latency_ms", "latency_ms 420 ms is 120 ms over 300 ms"),
    (replace(GOOD, memory_mb=3000), "memory_mb", "memory_mb 3000 MB is 952 MB over 2048 MB"),
    (replace(GOOD, size_mb=600.5), "size_mb", "size_mb 600.5 MB is 100.5 MB over 500 MB"),
    (replace(GOOD, odds_gap=0.4), "odds_gap", "odds_gap 0.400 is 0.100 over 0.3"),
    (replace(GOOD, worse_than_baseline=True, p_value=0.012), "baseline", "worse than the baseline model, p = 0.012"),
    (replace(GOOD, missing_in_card=("card.owner",)), "card", "the model card lacks: card.owner"),
]


@pytest.mark.parametrize(("measured", "gate", "said"), BAD, ids=[each[1] for each in BAD])
def test_each_gate_alone_keeps_a_model_out(measured: Measured, gate: str, said: str) -> None:
    (missed,) = shortfalls(measured, PROD)
    assert missed == Shortfall(gate, said)
    assert str(missed) == f"{said}; try: {missed.advice}"
    assert len(missed.advice) > 10


@pytest.mark.parametrize("name", ["cv_std", "latency_ms", "memory_mb", "size_mb", "odds_gap"])
def test_what_was_not_measured_is_a_miss(name: str) -> None:
    for value in (None, float("nan")):
        (missed,) = shortfalls(replace(GOOD, **{name: value}), PROD)
        assert (missed.gate, "was not measured" in missed.said) == (name, True)


def test_no_baseline_is_nothing_to_be_worse_than() -> None:
    assert shortfalls(replace(GOOD, worse_than_baseline=None), PROD) == []


@given(st.dictionaries(st.sampled_from(METRICS), st.one_of(st.floats(0, 1), st.just(float("nan")))))
def test_a_model_passes_only_with_every_metric_measured_and_met(metrics: dict[str, float]) -> None:
    missed = {each.gate for each in shortfalls(replace(GOOD, metrics=metrics), PROD)}
    met = {name for name in metrics if metrics[name] >= getattr(PROD, name)}
    assert missed == set(METRICS) - met
