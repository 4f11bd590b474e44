"""What a model needs to run: every package pinned, and looked up for known vulnerabilities where that can be done.

Advisories change daily and are asked over the internet (pip-audit). Where they can't be asked nothing is claimed:
"not audited" is a warning, never a pass.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess  # nosec B404  # runs pip-audit, without a shell
from pathlib import Path
from typing import Any

import yaml

from rollout.models.findings import Finding, failed, passed, warned

PINS, AUDIT = "dependencies", "vulnerabilities"
_PINNED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*===?\s*[^\s*,;]+\s*(;.*)?$")
_SECONDS = 120
_BY_HAND = "run `pip-audit -r requirements.txt` where the internet is"


def requirements(model: Path) -> list[str] | None:
    """The model's Python requirements, of requirements.txt or conda.yaml; None when it has neither."""
    plain, conda = model / "requirements.txt", model / "conda.yaml"
    if plain.is_file():
        text = plain.read_text("utf-8").replace("\\\n", " ")
        lines = [line.split(" #")[0].strip() for line in text.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]
    if conda.is_file():
        listed = (yaml.safe_load(conda.read_text("utf-8")) or {}).get("dependencies") or []
        return [str(each) for part in listed if isinstance(part, dict) for each in part.get("pip") or []]
    return None


def check(model: Path) -> list[Finding]:
    """The findings on pins and on known vulnerabilities."""
    found = requirements(model)
    if not found:
        return [failed(PINS, "the model names no packages that it needs: what serves it is left to chance")]
    loose = [line for line in found if not _PINNED.match(line.split("--hash")[0].strip())]
    hashed = [line for line in found if "--hash=" in line]
    if loose:
        pins = failed(PINS, f"not pinned to one version: {', '.join(loose)}")
    elif len(hashed) < len(found):
        pins = warned(
            PINS, f"{len(found)} packages pinned, without hashes: whoever holds the index can swap their files"
        )
    else:
        pins = passed(PINS, f"{len(found)} packages, pinned with hashes")
    return [pins, _audit(found)]


def _audit(found: list[str]) -> Finding:
    tool = shutil.which("pip-audit")
    if tool is None:
        return warned(AUDIT, f"not audited: pip-audit is not installed; {_BY_HAND}")
    answer = _run(tool, found)
    if answer is None:
        return warned(AUDIT, f"not audited: the advisory service did not answer; {_BY_HAND}")
    listed: list[dict[str, Any]] = answer.get("dependencies", [])
    hurt = [f"{each['name']} {each.get('version', '')}: {_ids(each)}" for each in listed if each.get("vulns")]
    skipped = [str(each["name"]) for each in listed if each.get("skip_reason")]
    if hurt:
        return failed(AUDIT, "; ".join(hurt))
    if skipped or not listed:
        return warned(AUDIT, f"not audited: {', '.join(skipped) or 'nothing was looked up'}")
    return passed(AUDIT, f"none known in {len(listed)} packages")


def _ids(dependency: dict[str, Any]) -> str:
    return ", ".join(str(each["id"]) for each in dependency["vulns"])


def _run(tool: str, found: list[str]) -> dict[str, Any] | None:
    """pip-audit's report; None when it has none. Only what is pinned is looked up: nothing is installed."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="rollout-audit-") as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(line.split("--hash")[0].strip() for line in found) + "\n")
        command = [tool, "-r", str(file), "--no-deps", "--disable-pip", "-f", "json", "--progress-spinner", "off"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # nosec B603
            answer: dict[str, Any] = json.loads(ran.stdout)
        except (OSError, subprocess.TimeoutExpired, ValueError):
            return None
    return answer if isinstance(answer, dict) else None
