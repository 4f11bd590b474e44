"""The benches judge by ratios of pairs; here the judging is tested, never the speed."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import pytest

import bench
from bench.__main__ import BENCHES, main
from bench.load import parse_wrk
from bench.measure import Result, Row, clean_environment, compare, is_busy, table, write_json

WRK = """Running 2s test @ https://127.0.0.1:1/x
  Latency Distribution
     50%  850.00us
     75%    1.10ms
     90%    1.50ms
     99%    1.02s
  19280 requests in 2.00s, 3.10MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 4
Requests/sec:   9640.25
"""


def test_a_pair_hit_by_noise_on_both_sides_does_not_move_the_ratio() -> None:
    found = compare([(1.0, 1.5), (10.0, 15.0), (1.0, 1.4)])
    assert found.ratio == pytest.approx(1.5)
    assert (found.base, found.own) == (1.0, 1.5)
    assert (found.lowest, found.highest, found.pairs) == (pytest.approx(1.4), pytest.approx(1.5), 3)


def test_nothing_measured_is_no_result() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        compare([])


@pytest.mark.parametrize(
    ("row", "met", "verdict"),
    [
        (Row("up", 1.5, "x", 1.5), True, "met"),
        (Row("up", 1.51, "x", 1.5), False, "MISSED"),
        (Row("rate", 3000.0, "req/s", 3000.0, at_least=True), True, "met"),
        (Row("rate", 2999.0, "req/s", 3000.0, at_least=True), False, "MISSED"),
        (Row("rate", 0.0, "req/s"), None, ""),
    ],
)
def test_a_verdict_knows_which_way_its_goal_goes(row: Row, met: bool | None, verdict: str) -> None:
    assert row.met is met
    assert row.verdict == verdict


def test_the_table_and_the_file_tell_goal_and_verdict(tmp_path: Path) -> None:
    result = Result(
        "gateway", [Row("rate", 12345.6, "req/s", 3000.0, at_least=True), Row("up", 1.6, "x", 1.5)], {}, ["no wrk"]
    )
    lines = table([result]).splitlines()
    assert lines[1].split() == ["gateway", "rate", "12,346", "req/s", ">=", "3,000", "req/s", "met"]
    assert lines[2].split() == ["gateway", "up", "1.60", "x", "<=", "1.50", "x", "MISSED"]
    written = json.loads(write_json(result, {"cpus": 2}, tmp_path).read_text())
    assert [row["met"] for row in written["rows"]] == [True, False]
    assert written["notes"] == ["no wrk"]


def test_a_busy_machine_is_told() -> None:
    assert is_busy({"load_1m_at_start": 1.0, "cpus": 2})
    assert not is_busy({"load_1m_at_start": 0.9, "cpus": 2})


def test_neither_side_is_sent_to_another_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("ROLLOUT_SANDBOX_HOME", "/elsewhere")
    found = clean_environment(ROLLOUT_SANDBOX_HOME="/here")
    assert "MLFLOW_TRACKING_URI" not in found
    assert found["ROLLOUT_SANDBOX_HOME"] == "/here"


def test_wrk_reports_are_read_in_milliseconds_and_every_failure_counts() -> None:
    load = parse_wrk(WRK)
    assert (load.requests, load.requests_per_second) == (19280, 9640.25)
    assert (load.median_ms, load.p99_ms) == (pytest.approx(0.85), pytest.approx(1020.0))
    assert load.errors == 7


def test_a_wrk_that_reached_nothing_is_no_zero() -> None:
    with pytest.raises(ValueError, match="no requests"):
        parse_wrk("unable to connect to 127.0.0.1:1 Connection refused")


def test_every_bench_is_listed() -> None:
    modules = [found.name for found in pkgutil.iter_modules(bench.__path__) if found.name != "__main__"]
    benches = {name for name in modules if hasattr(importlib.import_module(f"bench.{name}"), "run")}
    assert benches == set(BENCHES)


def test_an_unknown_bench_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["speed"])
    assert end.value.code == 2
    assert "no bench speed; there are startup, gateway, serving, sandbox_up, preview" in capsys.readouterr().err
