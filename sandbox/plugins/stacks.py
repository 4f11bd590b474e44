"""Empty stacks in the sandbox's Pulumi state, so that `pulumi up --stack dev` needs no `stack init` before it."""

from __future__ import annotations

import json
import re
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"^name: *['\"]?([\w.-]+)", re.MULTILINE)


def make_stacks(backend: Path, project: Path = _PROJECT) -> list[str]:
    """One stack for every Pulumi.<stack>.yaml of `project`, where the file backend has none yet; the names made."""
    match = _NAME.search((project / "Pulumi.yaml").read_text(encoding="utf-8"))
    if match is None:
        raise ValueError(f"{project / 'Pulumi.yaml'} has no name")
    folder = backend / ".pulumi" / "stacks" / match[1]
    folder.mkdir(parents=True, exist_ok=True)
    (backend / ".pulumi" / "meta.yaml").write_text("version: 1\n")
    made = []
    for settings in sorted(project.glob("Pulumi.*.yaml")):
        stack = settings.name.removeprefix("Pulumi.").removesuffix(".yaml")
        file = folder / f"{stack}.json"
        if not file.exists():
            state = {"version": 3, "checkpoint": {"stack": f"organization/{match[1]}/{stack}"}}
            file.write_text(json.dumps(state))
            made.append(stack)
    return made
