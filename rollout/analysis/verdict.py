"""The five verdicts, and a check that carries one with the figures behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Never two: what was not seen is neither good nor bad.

    PASS               enough evidence, and it is good
    FAIL               enough evidence, and it is bad
    NO_DATA            nobody saw anything; never health
    INSUFFICIENT_DATA  something was seen, too little (or too short) to tell
    PROVIDER_ERROR     the source of the evidence did not answer
    """

    PASS = "pass"  # nosec B105  # a verdict, not a secret
    FAIL = "fail"
    NO_DATA = "no-data"
    INSUFFICIENT_DATA = "insufficient-data"
    PROVIDER_ERROR = "provider-error"


#: What weighs most comes first when checks are put together.
_ORDER = (Verdict.FAIL, Verdict.PROVIDER_ERROR, Verdict.NO_DATA, Verdict.INSUFFICIENT_DATA, Verdict.PASS)

Figure = float | int | str | None


@dataclass(frozen=True, slots=True)
class Check:
    """One judgement. `shared`: blue fails the same way at the same time, so green is not to blame."""

    name: str
    verdict: Verdict
    detail: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    shared: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        document: dict[str, Any] = {"name": self.name, "verdict": self.verdict.value, "detail": self.detail}
        if self.figures:
            document["figures"] = dict(self.figures)
        if self.shared:
            document["shared"] = True
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Check:
        return cls(
            name=document["name"],
            verdict=Verdict(document["verdict"]),
            detail=document["detail"],
            figures=document.get("figures", {}),
            shared=document.get("shared", False),
        )


def combine(checks: Iterable[Check]) -> Verdict:
    """One verdict of many: any failure fails, only all passes pass; no check at all is NO_DATA."""
    found = {check.verdict for check in checks}
    return next((verdict for verdict in _ORDER if verdict in found), Verdict.NO_DATA)


def leading(checks: Iterable[Check]) -> Check | None:
    """The check that decides `combine`; a failure that is green's own comes before a shared one."""
    ranked = sorted(checks, key=lambda check: (_ORDER.index(check.verdict), check.shared))
    return ranked[0] if ranked else None
