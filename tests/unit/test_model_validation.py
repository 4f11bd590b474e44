"""Validation: every finding at once, each naming what it is about; what can't be checked is a warning."""

from __future__ import annotations

import json
import pickle
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.policy import Gates, ModelTrust
from rollout.models import dependencies, scan, signing, validation
from rollout.models.findings import Finding, Verdict
from rollout.models.profiling import Profile, percentile
from rollout.models.schema import Input, breaking, changes, read_inputs
from rollout.models.validation import Candidate, Judge
from tests.unit.trust_rig import METRICS, new_key

KEY = new_key()
PUBLIC = signing.public_of(KEY)
INPUTS = [{"name": "charge", "type": "double", "required": True}, {"name": "area", "type": "string", "required": True}]
JUDGE = Judge("staging", Gates(), ModelTrust(), (), None)


def make_model(folder: Path, inputs: list[dict[str, Any]] | None = None, loader: str = "mlflow.sklearn") -> Path:
    folder.mkdir(parents=True)
    signature = json.dumps(INPUTS if inputs is None else inputs)
    flavors = f"flavors:\n  python_function:\n    loader_module: {loader}\n"
    (folder / "MLmodel").write_text(f"{flavors}signature:\n  inputs: '{signature}'\n")
    (folder / "requirements.txt").write_text("scikit-learn==1.7.2\nskops==0.13.0\n")
    (folder / "model.skops").write_bytes(b"weights")
    (folder / "model_card.md").write_text("# Model card: churn\n\n- Owner: Retention\n")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


def judged(model: Path, judge: Judge = JUDGE, tags: dict[str, str] = METRICS) -> validation.Report:
    return validation.validate(Candidate("churn:3", model, tags), judge, benchmark=False)


def failures(report: validation.Report) -> list[Finding]:
    return [each for each in report.findings if each.verdict is Verdict.FAIL]


def test_a_good_model_passes_and_says_what_was_not_looked_at(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    report = judged(model)
    assert failures(report) == []
    warned = {each.check: each.said for each in report.findings if each.verdict is Verdict.WARN}
    assert set(warned) == {"signature", "dependencies", "vulnerabilities", "speed and memory"}
    assert warned["vulnerabilities"].startswith("not audited")


def test_all_findings_come_at_once_and_go_into_both_reports(model: Path, tmp_path: Path) -> None:
    (model / "model_card.md").write_text("# Card\n\nNot filled in: card.owner, card.ethics.\n")
    (model / "requirements.txt").write_text("scikit-learn>=1.7\n")
    before = make_model(tmp_path / "before", [*INPUTS, {"name": "months", "type": "long"}])
    strict = Gates(accuracy=0.99, recall=0.99, complete_card=True)
    trust = ModelTrust(require_signed=True, public_keys=(PUBLIC.decode(),))
    judge = Judge("prod", strict, trust, (PUBLIC,), Candidate("churn:2", before, {}))
    report = judged(model, judge)
    said = {each.check: each.said for each in failures(report)}
    assert set(said) == {"metrics", "signature", "inputs", "dependencies", "model card"}
    assert said["inputs"] == "clients of churn:2 would break: months: removed"
    assert "card.owner, card.ethics" in said["model card"]
    markdown, page = (file.read_text() for file in validation.write(report, tmp_path / "report"))
    for each in failures(report):
        assert each.check in markdown
        assert each.check in page


def test_a_report_shows_values_as_text(model: Path, tmp_path: Path) -> None:
    report = replace(judged(model), model="<script>alert(1)</script>|")
    _, page = validation.write(report, tmp_path)
    assert "<script>" not in page.read_text()


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return (os.system, ("true",))


def _pickled(model: Path) -> str:
    (model / "weights.bin").write_bytes(pickle.dumps(_Evil()))
    return r"weights\.bin is a pickle with code in it: it calls posix\.system"


def _under_another_name(model: Path) -> str:
    (model / "README.md").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    return r"README\.md is a pickle with code in it: it calls os\.system"


def _cut(model: Path) -> str:
    (model / "model.pkl").write_bytes(pickle.dumps({"a": 1})[:-3] + b"\xff")
    return r"model\.pkl is a pickle that can't be read to its end"


def _strange_loader(model: Path) -> str:
    (model / "MLmodel").write_text((model / "MLmodel").read_text().replace("mlflow.sklearn", "evil.loader"))
    return r"loaded by evil\.loader"


@pytest.mark.parametrize("poison", [_pickled, _under_another_name, _cut, _strange_loader])
def test_a_model_with_code_in_it_is_refused_by_name_and_never_run(model: Path, poison: Callable[[Path], str]) -> None:
    said = poison(model)
    report = validation.validate(Candidate("churn:3", model, METRICS), JUDGE)
    assert [each.check for each in failures(report)] in (["pickles"], ["code"])
    assert __import__("re").search(said, failures(report)[0].said)
    assert "not started" in next(each.said for each in report.findings if each.check == "speed and memory")


def test_a_harmless_pickle_is_a_warning(model: Path) -> None:
    (model / "labels.pkl").write_bytes(pickle.dumps({"yes": 1}))
    found = [each for each in scan.scan(model) if each.check == "pickles"]
    assert [(each.verdict, each.said.split()[0]) for each in found] == [(Verdict.WARN, "labels.pkl")]


def test_a_tampered_or_changed_model_is_refused(model: Path) -> None:
    signing.sign(model, KEY)
    trust = ModelTrust(require_signed=True, public_keys=(PUBLIC.decode(),))
    judge = replace(JUDGE, trust=trust, keys=(PUBLIC,))
    assert failures(judged(model, judge)) == []
    (model / "model.skops").write_bytes(b"other weights")
    (found,) = failures(judged(model, judge))
    assert (found.check, "changed: model.skops" in found.said) == ("signature", True)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((Input("charge", "category"), Input("area", "category")), ["charge: number became category"]),
        ((Input("area", "category"), Input("charge", "number")), ["order: area has another place"]),
        ((Input("charge", "number"),), ["area: removed"]),
        (
            (Input("charge", "number"), Input("area", "category", ("north",))),
            ["area: took any category, takes 1 now"],
        ),
        ((Input("charge", "number"), Input("area", "category"), Input("age", "number")), ["age: added, number"]),
        ((Input("charge", "number"), Input("area", "category"), Input("age", "number", required=False)), []),
        ((Input("charge", "number", required=False), Input("area", "category")), []),
    ],
)
def test_what_breaks_a_client(after: tuple[Input, ...], said: list[str]) -> None:
    before = (Input("charge", "number"), Input("area", "category"))
    assert breaking(before, after) == said
    assert changes(before, before) == []


def test_categories_may_be_added_but_not_taken_away() -> None:
    few, many = Input("area", "category", ("north",)), Input("area", "category", ("north", "south"))
    assert breaking((few,), (many,)) == []
    assert changes((few,), (many,)) == ["area: categories added: south"]
    assert breaking((many,), (few,)) == ["area: categories removed: south"]


def test_the_scoring_schema_says_more_than_the_signature(model: Path) -> None:
    assert read_inputs(model) == (Input("charge", "number"), Input("area", "category"))
    column = {"name": "area", "type": "category", "categories": ["north"], "nullable": True}
    (model / "scoring_schema.json").write_text(json.dumps({"columns": [column]}))
    assert read_inputs(model) == (Input("area", "category", ("north",), required=False),)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("a==1.0\n", Verdict.WARN),
        ("a==1.0 --hash=sha256:00\n", Verdict.PASS),
        ("a==1.0 \\\n    --hash=sha256:00\n", Verdict.PASS),
        ("a==1.*\n", Verdict.FAIL),
        ("a\n", Verdict.FAIL),
        ("git+https://example.com/a\n", Verdict.FAIL),
        ("# nothing\n", Verdict.FAIL),
    ],
)
def test_packages_have_to_be_pinned(model: Path, text: str, verdict: Verdict) -> None:
    (model / "requirements.txt").write_text(text)
    assert dependencies.check(model)[0].verdict is verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, Verdict.PASS),
        ({"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}]}, Verdict.FAIL),
        ({"dependencies": [{"name": "a", "skip_reason": "not on the index"}]}, Verdict.WARN),
        (None, Verdict.WARN),
    ],
)
def test_the_audit_passes_only_what_was_looked_up(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, verdict: Verdict
) -> None:
    tool = tmp_path / "bin" / "pip-audit"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho '{json.dumps(answer) if answer else 'no network'}'\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    found = dependencies.check(model)[1]
    assert (found.check, found.verdict) == ("vulnerabilities", verdict)


def test_a_measurement_is_judged_by_the_ceilings() -> None:
    seen = Profile(1, 1, 200, 3, 10.0, 400.0, 500.0, 90.0, 300.0, 1.0, 2.0)
    found = list(validation.judge_speed(seen, Gates(max_size_mb=None)))
    said = {each.said: each.verdict for each in found}
    assert said == {
        "3 of 200 requests were not answered well": Verdict.FAIL,
        "P95 of one row 400.0 ms is 100.0 ms over 300 ms": Verdict.FAIL,
        "memory 300.0 MB, at most 2048 MB": Verdict.PASS,
        "size 1.0 MB": Verdict.PASS,
    }
    unseen = list(validation.judge_speed(replace(seen, memory_mb=None), Gates()))
    assert any(each.verdict is Verdict.WARN and each.said.startswith("memory") for each in unseen)


def test_percentiles_are_values_that_were_seen() -> None:
    assert [percentile([1.0, 2.0, 3.0, 4.0], each) for each in (1, 50, 51, 99)] == [1.0, 2.0, 3.0, 4.0]
