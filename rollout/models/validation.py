"""Whether a stack may take a model: metrics, inputs, speed, security, documentation; every finding in one report."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.errors import RolloutError, Untrusted
from rollout.models import card, dependencies, scan, schema, signing
from rollout.models.catalogue import recorded_metrics, recorded_shortfalls
from rollout.models.findings import Finding, Verdict, failed, passed, warned, worst
from rollout.models.profiling import NotServable, Profile, profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contract.policy import Gates, ModelTrust

METRICS, SCHEMA, SIGNATURE, SPEED, DOCUMENTS = "metrics", "inputs", "signature", "speed and memory", "model card"
REQUESTS, CONCURRENCY = 200, 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is judged: the files, and what the registry says of them. `what`: for messages."""

    what: str
    model: Path
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Judge:
    """By what: the stack's gates, whose signatures it believes, and what serves there now (None: nothing does)."""

    stack: str
    gates: Gates
    trust: ModelTrust
    keys: Sequence[bytes]
    serving: Candidate | None


@dataclass(frozen=True, slots=True)
class Report:
    """All findings on one model for one stack."""

    model: str
    stack: str
    files_hash: str
    findings: tuple[Finding, ...]
    profile: Profile | None

    @property
    def verdict(self) -> Verdict:
        return worst(self.findings)

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def validate(candidate: Candidate, judge: Judge, *, benchmark: bool = True) -> Report:
    """Every check, whatever the others found. A model with code in it is not started to be measured."""
    try:
        files_hash = signing.files_hash(candidate.model)
    except Untrusted as error:
        return Report(candidate.what, judge.stack, "", (failed(scan.CODE, error.message),), None)
    security = scan.scan(candidate.model)
    found = [
        *_metrics(candidate, judge),
        *_signature(candidate, judge),
        *_inputs(candidate, judge),
        *security,
        *dependencies.check(candidate.model),
        *_documents(candidate, judge),
    ]
    measured: Profile | None = None
    if not benchmark:
        found.append(warned(SPEED, "not measured: left out on request"))
    elif any(each.verdict is not Verdict.PASS for each in security if each.check in (scan.CHECK, scan.CODE)):
        found.append(warned(SPEED, "not measured: what has pickles or code in it is not started here"))
    else:
        measured, speed = _speed(candidate.model, judge.gates)
        found += speed
    return Report(candidate.what, judge.stack, files_hash, tuple(found), measured)


def _metrics(candidate: Candidate, judge: Judge) -> list[Finding]:
    metrics = recorded_metrics(candidate.tags)
    if not metrics:
        return [failed(METRICS, "none is recorded with the model; train it with `rollout train`")]
    missed = recorded_shortfalls(candidate.tags, judge.gates)
    if missed:
        return [failed(METRICS, str(each)) for each in missed]
    shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    return [passed(METRICS, f"{shown}: over every floor of {judge.stack}")]


def _signature(candidate: Candidate, judge: Judge) -> list[Finding]:
    if not (candidate.model / signing.SIGNATURE).is_file() and not judge.trust.require_signed:
        return [warned(SIGNATURE, f"not signed; {judge.stack} does not ask for it")]
    if not judge.keys and not judge.trust.require_signed:
        return [warned(SIGNATURE, f"not verified: {judge.stack} names no public key")]
    try:
        verified = signing.verify(candidate.model, judge.keys, candidate.what)
    except Untrusted as error:
        return [failed(SIGNATURE, error.message)]
    return [passed(SIGNATURE, f"key {verified.key} signed these {verified.files} files")]


def _inputs(candidate: Candidate, judge: Judge) -> list[Finding]:
    inputs = schema.read_inputs(candidate.model)
    if inputs is None:
        return [failed(SCHEMA, "the model says nothing of its inputs (no signature)")]
    if judge.serving is None:
        return [passed(SCHEMA, f"{len(inputs)} columns; nothing serves in {judge.stack} yet, so no client can break")]
    before = schema.read_inputs(judge.serving.model)
    if before is None:
        return [warned(SCHEMA, f"not compared: {judge.serving.what}, which serves, says nothing of its inputs")]
    breaks = schema.breaking(before, inputs)
    if breaks:
        return [failed(SCHEMA, f"clients of {judge.serving.what} would break: {each}") for each in breaks]
    eased = schema.changes(before, inputs)
    said = f"takes what {judge.serving.what} takes" + (f"; {'; '.join(eased)}" if eased else "")
    return [passed(SCHEMA, said)]


def _documents(candidate: Candidate, judge: Judge) -> list[Finding]:
    problems = card.problems(candidate.model)
    if not problems:
        return [passed(DOCUMENTS, "complete")]
    report = failed if judge.gates.complete_card or judge.stack == "prod" else warned
    return [report(DOCUMENTS, each) for each in problems]


def _speed(model: Path, gates: Gates) -> tuple[Profile | None, list[Finding]]:
    try:
        (seen,) = profile(model, [(1, CONCURRENCY)], REQUESTS)
    except NotServable as error:
        return None, [warned(SPEED, f"not measured: {error.message}")]
    except RolloutError as error:
        return None, [failed(SPEED, error.message)]
    return seen, list(judge_speed(seen, gates))


def judge_speed(seen: Profile, gates: Gates) -> Iterable[Finding]:
    """A measurement beside the gates' ceilings."""
    if seen.errors:
        yield failed(SPEED, f"{seen.errors} of {seen.requests} requests were not answered well")
    limits = (
        ("P95 of one row", seen.p95_ms, gates.max_latency_ms, "ms"),
        ("memory", seen.memory_mb, gates.max_memory_mb, "MB"),
        ("size", seen.size_mb, gates.max_size_mb, "MB"),
    )
    for what, value, allowed, unit in limits:
        if value is None:
            yield warned(SPEED, f"{what} was not measured on this machine")
        elif allowed is not None and value > allowed:
            yield failed(SPEED, f"{what} {value:.1f} {unit} is {value - allowed:.1f} {unit} over {allowed:g} {unit}")
        else:
            limit = f", at most {allowed:g} {unit}" if allowed is not None else ""
            yield passed(SPEED, f"{what} {value:.1f} {unit}{limit}")


# The report as files

_CSS = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #d5d9de}.fail{color:#b3261e;font-weight:600}.warn{color:#8a6100}.pass{color:#1a7f37}"


def write(report: Report, folder: Path) -> list[Path]:
    """`model_validation.md` and `.html`; values are text, not markup."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{report.model} for {report.stack}: {report.verdict}"
    lines = [f"# {title}", "", f"Files hash `{report.files_hash}`", "", "| check | verdict | seen |", "|---|---|---|"]
    rows = []
    for each in report.findings:
        said = " ".join(each.said.split())
        lines.append(f"| {each.check} | {each.verdict} | {_cell(said)} |")
        rows.append(
            f'<tr><td>{html.escape(each.check)}<td class="{each.verdict}">{each.verdict}<td>{html.escape(said)}</tr>'
        )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_CSS}</style>'
        f"<h1>{html.escape(title)}</h1><p>Files hash <code>{report.files_hash}</code></p>"
        f"<table><tr><th>check<th>verdict<th>seen</tr>{''.join(rows)}</table></html>\n"
    )
    files = [folder / "model_validation.md", folder / "model_validation.html"]
    for file, text in zip(files, ("\n".join(lines) + "\n", page), strict=True):
        file.write_text(text, "utf-8")
    return files


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|")
