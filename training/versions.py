"""Semantic versions of models. Pure.

Major: clients have to change (the signature did). Minor: learned from other data or other features. Patch: the rest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

FIRST = "1.0.0"
_FORM = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")


def digest(value: Any) -> str:
    """A short hash of plain data, the same for the same data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def next_version(previous: Mapping[str, str] | None, now: Mapping[str, str]) -> str:
    """The version after `previous`, by its tags `version`, `signature_hash`, `data_hash` and `plan_hash`; FIRST without one."""
    match = _FORM.match((previous or {}).get("version", ""))
    if previous is None or match is None:
        return FIRST
    major, minor, patch = map(int, match.groups())
    if previous.get("signature_hash") != now["signature_hash"]:
        return f"{major + 1}.0.0"
    if any(previous.get(name) != now[name] for name in ("data_hash", "plan_hash")):
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"
