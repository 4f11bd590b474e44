"""What the demo proved, for machines: out/demo/summary.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Act:
    """One act; `facts` are the figures that summary.json adds to act, name and ok."""

    act: int
    name: str
    ok: bool = False
    started: float = 0.0
    ended: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        line: dict[str, Any] = {"act": self.act, "name": self.name, "ok": self.ok, **self.facts}
        line["seconds"] = round(self.ended - self.started, 1)
        if self.problem:
            line["problem"] = self.problem
        return line


def write_summary(path: Path, acts: list[Act]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"acts": [act.as_json() for act in acts]}, indent=2) + "\n")
