"""What a validation finds: checks with a verdict each. A check that could not be made is a warning, never a pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "pass"  # nosec B105  # a verdict
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what it is about, how it ended, and what was seen."""

    check: str
    verdict: Verdict
    said: str


def passed(check: str, said: str) -> Finding:
    return Finding(check, Verdict.PASS, said)


def warned(check: str, said: str) -> Finding:
    return Finding(check, Verdict.WARN, said)


def failed(check: str, said: str) -> Finding:
    return Finding(check, Verdict.FAIL, said)


def worst(findings: Iterable[Finding]) -> Verdict:
    """Of all; a pass when there is none."""
    seen = {each.verdict for each in findings}
    return next((each for each in (Verdict.FAIL, Verdict.WARN) if each in seen), Verdict.PASS)
