"""Names that Azure takes: a deployment's from its model, a rollout's from its time. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from rollout.errors import BadInput

#: Azure: 3-32 characters, letters, digits and hyphens, a letter first, no hyphen last.
_ALLOWED = re.compile(r"^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$")
_LONGEST = 32
#: A model of an ML registry.
_SHARED = re.compile(r"^azureml://registries/[^/]+/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)$")


def deployment_name(model: str, suffix: str) -> str:
    """'churn:7' and '1a2b' give 'churn-v7-1a2b', cut in the middle to 32 characters."""
    shared = _SHARED.search(model)
    name, _, version = model.rpartition(":") if ":" in model else (model, "", "")
    if shared is not None:
        name, version = shared["name"], shared["version"]
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
    if not base[0].isalpha():
        base = f"m-{base}"
    version = re.sub(r"[^a-z0-9]+", "", version.lower())
    tail = f"-v{version[:12]}-{suffix}" if version else f"-{suffix}"
    return base[: _LONGEST - len(tail)].rstrip("-") + tail


def checked_deployment_name(name: str) -> str:
    """`name`, or BadInput that says what is allowed."""
    if not _ALLOWED.match(name):
        raise BadInput(
            f"deployment name {name!r}: 3 to 32 letters, digits and hyphens, a letter first, no hyphen last",
            way_out="leave the name out to have one made",
        )
    return name


def rollout_id(now: datetime, suffix: str) -> str:
    """'20261121-035400-1a2b': sorts by time."""
    return f"{now:%Y%m%d-%H%M%S}-{suffix}"
