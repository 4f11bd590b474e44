"""What is wrong with a request, said without repeating it: no value of a request is ever in a finding."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

#: Findings that an answer lists; the rest is counted.
MOST = 50
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """`row` counts from 0; None: every row, or the request itself. `field` None: the row or the request as a whole."""

    field: str | None
    row: int | None
    problem: str
    allowed: str


class Refused(Exception):
    """The request is not what the schema says. `status`: 400 not JSON, 413 too large, 422 anything else."""

    def __init__(self, status: int, findings: Findings) -> None:
        super().__init__(f"{findings.total} findings")
        self.status, self.findings = status, findings

    def document(self) -> dict[str, Any]:
        """For the answer."""
        found = self.findings
        return {
            "error": {
                "code": {400: "NotJson", 413: "TooLarge"}.get(self.status, "InvalidInput"),
                "message": f"{found.total} {'finding' if found.total == 1 else 'findings'}; nothing was scored",
                "findings": [asdict(each) for each in found.listed],
                "more": found.total - len(found.listed),
            }
        }


class Findings:
    """Collects them: all are counted, the first ones are kept."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.kinds: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.kinds.total()

    def add(self, field: str | None, row: int | None, problem: str, allowed: str) -> None:
        self.kinds[problem] += 1
        if len(self.listed) < MOST:
            short = field if field is None or len(field) <= _LONGEST_NAME else field[:_LONGEST_NAME] + "..."
            self.listed.append(Finding(short, row, problem, allowed))

    def raise_any(self, status: int = 422) -> None:
        if self.total:
            raise Refused(status, self)


def refused(status: int, problem: str, allowed: str, field: str | None = None) -> Refused:
    """A request with one finding, about all of it."""
    found = Findings()
    found.add(field, None, problem, allowed)
    return Refused(status, found)
