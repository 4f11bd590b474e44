"""Specs, policies and times as the journal keeps them; and what must never get into it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from contract.policy import RolloutPolicy
from rollout.controller.ports import DeploymentSpec, Scaling
from rollout.controller.records import canonical

#: What looks like a credential in a log tail or an error text.
_SECRETS = (
    re.compile(
        r"(?i)\b(sig|sharedaccesssignature|accountkey|primarykey|secondarykey|client_secret|password|token)=[^\s&;\"']+"
    ),
    re.compile(r"(?i)\b(bearer\s+)[a-z0-9._~+/=-]{16,}"),
    re.compile(r"\b(eyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    re.compile(r"(?i)(\"?(?:primaryKey|secondaryKey|accountKey|client_secret|password)\"?\s*:\s*\")[^\"]+"),
)
_TEXT_LIMIT = 4000


def policy_to_json(policy: RolloutPolicy) -> dict[str, Any]:
    return policy.model_dump(mode="json")


def policy_from_json(document: Mapping[str, Any]) -> RolloutPolicy:
    return RolloutPolicy.model_validate(document)


def policy_version(policy: RolloutPolicy) -> str:
    """The first 12 digits of the hash of the policy: which one a line was written under."""
    return hashlib.sha256(canonical(policy_to_json(policy))).hexdigest()[:12]


def spec_to_json(spec: DeploymentSpec) -> dict[str, Any]:
    document = {**asdict(spec), "tags": dict(spec.tags)}
    # as it was before deployments scaled, or had pods, where they don't
    return {key: value for key, value in document.items() if key not in ("scale", "pods") or value is not None}


def spec_from_json(document: Mapping[str, Any]) -> DeploymentSpec:
    scale = document.get("scale")
    return DeploymentSpec(**{**document, "scale": Scaling(**scale) if scale else None})


def moment_from(text: str) -> datetime:
    return datetime.fromisoformat(text)


def redact(value: Any) -> Any:
    """`value` without what looks like a credential, long texts cut to their last 4,000 characters."""
    if isinstance(value, str):
        for pattern in _SECRETS:
            value = pattern.sub(
                lambda match: match.group(1) + ("***" if match.group(1).endswith(('"', " ")) else "=***"), value
            )
        return value if len(value) <= _TEXT_LIMIT else "..." + value[-_TEXT_LIMIT:]
    if isinstance(value, Mapping):
        return {str(key): redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
