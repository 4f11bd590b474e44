"""Deployments as ARM describes them: what parking keeps, so that they can be made again exactly.

Plain documents, not azure-ai-ml's objects: those know only some of the properties, and what they don't know they lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollout.azure.arm import ArmWriter

#: The newest version of 2024 that is no preview: it has every property that the SDK of today can set.
API_VERSION = "2024-10-01"
_TOP = ("location", "tags", "kind", "sku", "identity", "properties")
_READ_ONLY = ("provisioningState",)
_READ_ONLY_IDENTITY = ("principalId", "tenantId")


def describe(arm: ArmWriter, endpoint_id: str) -> dict[str, Mapping[str, Any]]:
    """Every deployment of the endpoint, by name, without what only the service sets."""
    found = arm.children(endpoint_id, "deployments", API_VERSION, f"read the deployments of {_name(endpoint_id)!r}")
    return {one["name"]: to_put(one) for one in found}


def to_put(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a PUT takes of what a GET gave."""
    body = {key: document[key] for key in _TOP if document.get(key) is not None}
    body["properties"] = {key: value for key, value in body["properties"].items() if key not in _READ_ONLY}
    if "identity" in body:
        body["identity"] = _identity(body["identity"])
    return body


def _identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in identity.items() if key not in _READ_ONLY_IDENTITY}
    if kept.get("userAssignedIdentities"):
        kept["userAssignedIdentities"] = {each: {} for each in kept["userAssignedIdentities"]}
    return kept


def put_deployment(arm: ArmWriter, endpoint_id: str, name: str, document: Mapping[str, Any]) -> None:
    """Ask for it; whether it comes to be shows in its provisioning state."""
    path = f"{endpoint_id}/deployments/{name}"
    arm.put(path, API_VERSION, document, f"make deployment {name!r} of {_name(endpoint_id)!r} again")


def _name(endpoint_id: str) -> str:
    return endpoint_id.rsplit("/", 1)[-1]
