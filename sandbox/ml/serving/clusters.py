"""Kubernetes online endpoints: what Azure asks of the attached cluster. All raise AzureError.

Pods are the sandbox's own replicas; no node runs. What is checked is what ARM knows of the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.arm.catalogue.kubernetes import has_namespace
from sandbox.arm.catalogue.kubernetes_ml import inference_ready
from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

Json = dict[str, Any]
COMPUTE_TYPE = "Microsoft.MachineLearningServices/workspaces/computes"
#: There whatever the cluster declares.
DEFAULT_TYPE = "defaultinstancetype"
_DEFAULT_RESOURCES = {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
_UNITS = {"": 1.0, "m": 0.001, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi)?")


def on_cluster(endpoint: Mapping[str, Any]) -> bool:
    """Whether an endpoint's properties say that it is a Kubernetes one."""
    return bool(endpoint.get("compute"))


def check_endpoint(arm: ArmState, workspace: Resource, wanted: Json, before: Json | None) -> None:
    """`wanted` and `before` are endpoint properties."""
    was = (before or {}).get("compute")
    if before is not None and str(was or "").lower() != str(wanted.get("compute") or "").lower():
        raise _refused(f"properties.compute is {was!r}; the compute of an endpoint can't be changed.")
    if not on_cluster(wanted):
        return
    compute = _compute(arm, wanted["compute"])
    if parse(compute.id).parent.lower() != workspace.key:
        raise _refused(f"properties.compute '{compute.name}' is not attached to the workspace '{workspace.name}'.")
    if wanted["authMode"] == "AADToken":
        raise _refused("Kubernetes online endpoints take the auth modes Key and AMLToken, not AADToken.")
    if wanted["mirrorTraffic"]:
        raise _refused("Mirror traffic is not supported on Kubernetes online endpoints.")
    _check_inference(arm, compute)


def check_deployment(arm: ArmState, endpoint: Resource, properties: Json) -> None:
    """At the PUT: an instance type that the cluster has, and resources within it, which are filled in."""
    compute = _compute(arm, endpoint.properties["compute"])
    kinds = (compute.properties.get("properties") or {}).get("instanceTypes") or {}
    name = properties["instanceType"]
    kind = kinds.get(name) or ({"resources": _DEFAULT_RESOURCES} if name == DEFAULT_TYPE else None)
    if kind is None:
        known = ", ".join(sorted({*kinds, DEFAULT_TYPE}))
        raise _refused(f"The instance type '{name}' does not exist on compute '{compute.name}'; it has: {known}.")
    given = properties.get("containerResourceRequirements") or {}
    most = (kind.get("resources") or _DEFAULT_RESOURCES).get("limits") or {}
    for key, limit in (given.get("containerResourceLimits") or {}).items():
        allowed = most.get("nvidia.com/gpu" if key == "gpu" else key)
        if limit is not None and _quantity(str(limit)) > _quantity(str(allowed or "0")):
            raise _refused(
                f"containerResourceLimits.{key} is {limit}; the instance type '{name}' allows {allowed or 'none'}."
            )
    # azure-ai-ml can't read a deployment without them
    requests = (kind.get("resources") or _DEFAULT_RESOURCES).get("requests") or {}
    properties["containerResourceRequirements"] = {
        "containerResourceRequests": given.get("containerResourceRequests") or dict(requests),
        "containerResourceLimits": given.get("containerResourceLimits") or _as_limits(most),
    }


def check_pods_can_run(arm: ArmState, endpoint: Resource) -> None:
    """When pods are made: attaching did not look whether the namespace is there."""
    compute = _compute(arm, endpoint.properties["compute"])
    _check_inference(arm, compute)
    cluster, inner = str(compute.properties["resourceId"]), compute.properties.get("properties") or {}
    namespace = str(inner.get("namespace") or "default")
    if not has_namespace(arm, cluster, namespace):
        raise AzureError(
            400,
            "KubernetesUserError",
            f"The namespace '{namespace}' of compute '{compute.name}' does not exist in the cluster.",
        )


def _compute(arm: ArmState, reference: str) -> Resource:
    compute = arm.get(str(reference)) if str(reference).startswith("/subscriptions/") else None
    if compute is None or compute.type != COMPUTE_TYPE:
        raise _refused(f"properties.compute is '{reference}', which is no compute of a workspace.")
    kind = compute.properties.get("computeType")
    if kind != "Kubernetes":
        raise _refused(f"properties.compute '{compute.name}' is a compute of type {kind}; it must be Kubernetes.")
    return compute


def _check_inference(arm: ArmState, compute: Resource) -> None:
    cluster = str(compute.properties["resourceId"])
    if arm.get(cluster) is None:
        raise _refused(f"The cluster of compute '{compute.name}' does not exist any more.")
    if not inference_ready(arm, cluster):
        raise _refused(f"The cluster of compute '{compute.name}' has no Azure ML extension with enableInference=True.")


def _as_limits(most: Mapping[str, Any]) -> Json:
    return {("gpu" if key == "nvidia.com/gpu" else key): value for key, value in most.items()}


def _quantity(text: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise _refused(f"'{text}' is not a quantity of Kubernetes, e.g. 500m or 2Gi.")
    return float(match[1]) * _UNITS[match[2] or ""]


def _refused(message: str) -> AzureError:
    return AzureError(400, "BadRequest", message)
