"""Writes the README's picture: the components of the prod stack and what needs what, as Mermaid.

Generated from the resource graph that the program registers: its components, their resources and the dependencies that
the engine is told. Run from the repository: python tools/architecture_picture.py
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.components.mocks import Run  # noqa: E402
from tests.components.test_platform import deploy  # noqa: E402

STACK = "prod"
TARGET = ROOT / "README.md"
BEGIN, END = "<!-- picture: make docs -->", "<!-- /picture -->"
#: Kinds that a box names; the others are counted.
NAMED_KINDS = 3


@dataclass
class Graph:
    """Components: what each is made of (a count by resource type), and what each needs."""

    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    needs: dict[str, set[str]] = field(default_factory=dict)


def graph(run: Run) -> Graph:
    """The components of a program's resources."""
    found = Graph()
    parents = {name: each.parent for name, each in run.components.items()}
    home = {name: _component(each.parent, parents) for name, each in run.declared.items()}
    home |= {name: _component(name, parents) for name in parents if name not in home}
    for name, resource in run.declared.items():
        box = home[name]
        if box is None:
            continue
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", resource.type.rsplit(":", 1)[-1].rsplit("/", 1)[-1])
        found.kinds.setdefault(box, Counter())[kind] += 1
        found.needs.setdefault(box, set()).update(
            other for needed in resource.depends_on if (other := home.get(needed)) not in (None, box)
        )
    return found


def reduced(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that follow from others: what can be reached stays the same."""
    left = {box: set(others) for box, others in needs.items()}
    for box, others in sorted(needs.items()):
        for other in sorted(others):
            left[box].discard(other)
            if other not in _reached(left, box):
                left[box].add(other)
    return left


def _reached(needs: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for other in needs.get(waiting.pop(), set()) - seen:
            seen.add(other)
            waiting.append(other)
    return seen


def render(run: Run | None = None) -> str:
    """The block between the README's markers."""
    whole = graph(run or deploy(STACK))
    lines = [BEGIN, "```mermaid", "flowchart BT"]
    lines += [f'    {_id(box)}["<b>{box}</b><br/>{_contents(kinds)}"]' for box, kinds in sorted(whole.kinds.items())]
    for box, others in sorted(reduced(whole.needs).items()):
        lines += [f"    {_id(box)} --> {_id(other)}" for other in sorted(others)]
    return "\n".join([*lines, "```", END])


def _component(name: str | None, parents: dict[str, str]) -> str | None:
    """The outermost component around one; None for what stands alone in the stack."""
    while name in parents and parents[name] in parents:
        name = parents[name]
    return name if name in parents else None


def _contents(kinds: Counter[str]) -> str:
    """'21 resources: 7 private zones, ...'."""
    shown = [
        f"{count} {kind}" if count > 1 else kind
        for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    ]
    more = len(shown) - NAMED_KINDS
    text = ", ".join(shown[:NAMED_KINDS]) + (f" and {more} more" if more > 0 else "")
    total = sum(kinds.values())
    return f"{total} resources<br/>{text}" if total > 1 else text


def _id(name: str) -> str:
    return name.replace("-", "_")


def page(text: str) -> str:
    """The README with the current picture."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after:
        raise SystemExit(f"README.md has no {BEGIN} ... {END}")
    return f"{before}{render()}{after}"


def main() -> int:
    TARGET.write_text(page(TARGET.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
