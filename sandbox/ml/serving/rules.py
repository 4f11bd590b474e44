"""Azure's rules for endpoints and deployments, over plain documents. All raise AzureError."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError
from sandbox.ml.serving.collecting import ROLLING
from sandbox.ml.serving.spec import Limits, Probe

Json = dict[str, Any]

MAX_DEPLOYMENTS = 20
MAX_MIRROR = 50
AUTH_MODES = ("Key", "AMLToken", "AADToken")
#: States in which something still works on a resource.
BUSY = frozenset({"Creating", "Updating", "Deleting"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]")
_ACCESS = ("Enabled", "Disabled")


def refused(message: str, status: int = 400, code: str = "BadRequest") -> AzureError:
    return AzureError(status, code, message)


def check_name(what: str, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise refused(
            f"The {what} name '{name}' is invalid: it must have 3 to 32 letters, digits and '-', begin with a letter"
            " and end with a letter or digit."
        )


def check_idle(resource: Resource | None, what: str) -> None:
    """409 while another operation works on it."""
    if resource is not None and resource.provisioning_state in BUSY:
        raise refused(
            f"The {what} '{resource.name}' is {resource.provisioning_state}; another operation is in progress. Try again"
            " when it has finished.",
            409,
            "Conflict",
        )


def check_location(wanted: str | None, before: Resource | None, what: str) -> None:
    if not wanted:
        raise refused(f"The location of the {what} is missing.", 400, "LocationRequired")
    if before is not None and _plain(before.location) != _plain(wanted):
        raise refused(
            f"The {what} '{before.name}' already exists in location '{before.location}'; its location can't be changed"
            f" to '{wanted}'.",
            409,
            "InvalidResourceLocation",
        )


# Endpoints


def endpoint_properties(given: Mapping[str, Any]) -> Json:
    """The checked and completed properties of an endpoint's PUT. Traffic is checked apart, by `check_traffic`."""
    mode = _one_of("properties.authMode", given.get("authMode"), AUTH_MODES)
    access = _one_of("properties.publicNetworkAccess", given.get("publicNetworkAccess") or "Enabled", _ACCESS)
    kept = {key: given[key] for key in ("description", "properties", "compute") if given.get(key) is not None}
    return {
        "properties": {},
        **kept,
        "authMode": mode,
        "publicNetworkAccess": access,
        "traffic": weights(given.get("traffic"), "traffic"),
        "mirrorTraffic": weights(given.get("mirrorTraffic"), "mirrorTraffic"),
    }


def weights(given: Mapping[str, Any] | None, what: str) -> dict[str, int]:
    """Percent by deployment without zeroes; 400 for what is not a whole percent."""
    checked = {}
    for name, weight in (given or {}).items():
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= 100:
            raise refused(
                f"properties.{what}: the weight of '{name}' is {weight!r}; it must be a whole number, 0 to 100."
            )
        if weight:
            checked[name] = weight
    return checked


def check_traffic(wanted: Mapping[str, Any], before: Mapping[str, Any], deployments: Mapping[str, Resource]) -> None:
    """`wanted` and `before` are endpoint properties. A weight may rise only for a deployment that has Succeeded."""
    traffic, mirror = wanted["traffic"], wanted["mirrorTraffic"]
    if sum(traffic.values()) not in (0, 100):
        raise refused(
            f"The sum of the traffic is {sum(traffic.values())} ({_listed(traffic)}); it must be either 0 or 100."
        )
    if len(mirror) > 1:
        raise refused(f"Mirror traffic can go to one deployment only, not to {len(mirror)} ({_listed(mirror)}).")
    for name, weight in mirror.items():
        if weight > MAX_MIRROR:
            raise refused(f"The mirror traffic of '{name}' is {weight}; at most {MAX_MIRROR} percent can be mirrored.")
        if name in traffic:
            raise refused(
                f"The deployment '{name}' can't take live traffic ({traffic[name]}) and mirror traffic at once."
            )
    for key in ("traffic", "mirrorTraffic"):
        for name, weight in wanted[key].items():
            _check_target(name, deployments.get(name), rises=weight > (before.get(key) or {}).get(name, 0), key=key)


def _check_target(name: str, deployment: Resource | None, *, rises: bool, key: str) -> None:
    if deployment is None:
        raise refused(f"properties.{key}: the deployment '{name}' does not exist in the endpoint.")
    if rises and deployment.provisioning_state != "Succeeded":
        raise refused(
            f"properties.{key}: the deployment '{name}' is {deployment.provisioning_state}; only a deployment that has"
            " Succeeded can be given traffic."
        )


# Deployments


def deployment_properties(given: Mapping[str, Any], *, kubernetes: bool = False) -> Json:
    """The checked and completed properties of a deployment's PUT. `kubernetes`: the endpoint is on a cluster."""
    wanted = "Kubernetes" if kubernetes else "Managed"
    kind = given.get("endpointComputeType") or "Managed"
    if kind != wanted:
        raise refused(f"properties.endpointComputeType is {kind}; deployments of this endpoint are {wanted}.")
    if not given.get("instanceType"):
        raise refused("properties.instanceType is missing, e.g. Standard_DS3_v2.")
    if not given.get("model") and not given.get("codeConfiguration"):
        raise refused("A deployment needs properties.model, properties.codeConfiguration or both.")
    _check_code(given)
    Limits.read(given.get("requestSettings"))
    for probe in ("livenessProbe", "readinessProbe"):
        Probe.read(given.get(probe), f"properties.{probe}")
    _check_collector(given.get("dataCollector") or {})
    scale = _scale(given.get("scaleSettings") or {}, kubernetes=kubernetes)
    kept = {key: value for key, value in given.items() if value is not None and key != "provisioningState"}
    return {**_defaults(), **kept, "endpointComputeType": wanted, "scaleSettings": scale}


def _scale(given: Mapping[str, Any], *, kubernetes: bool) -> Json:
    kind = given.get("scaleType", "Default")
    if kind == "Default":
        return {"scaleType": "Default"}
    if kind != "TargetUtilization" or not kubernetes:
        allowed = (
            "Kubernetes ones also 'TargetUtilization'" if kubernetes else "managed deployments take only 'Default'"
        )
        raise refused(f"properties.scaleSettings.scaleType is '{kind}'; {allowed}.")
    low, high = given.get("minInstances", 1), given.get("maxInstances", 1)
    if not 1 <= low <= high:
        raise refused(
            f"properties.scaleSettings: minInstances is {low} and maxInstances {high}; 1 <= min <= max is allowed."
        )
    return {"minInstances": 1, "maxInstances": 1, "targetUtilizationPercentage": 70, "pollingInterval": "PT1S", **given}


def replica_count(deployment: Resource) -> int:
    """How many replicas run: the instance count, within the bounds of a deployment that scales by itself."""
    count, scale = instance_count(deployment.sku), deployment.properties.get("scaleSettings") or {}
    if scale.get("scaleType") != "TargetUtilization":
        return count
    return int(max(scale["minInstances"], min(count, scale["maxInstances"])))


def _defaults() -> Json:
    probe = {
        "failureThreshold": 30, "initialDelay": "PT10S", "period": "PT10S", "successThreshold": 1, "timeout": "PT2S",
    }  # fmt: skip
    return {
        "properties": {},
        "environmentVariables": {},
        "appInsightsEnabled": False,
        "egressPublicNetworkAccess": "Enabled",
        "requestSettings": {"maxConcurrentRequestsPerInstance": 1, "requestTimeout": "PT5S"},
        "livenessProbe": dict(probe),
        "readinessProbe": dict(probe),
    }


def _check_code(given: Mapping[str, Any]) -> None:
    code = given.get("codeConfiguration")
    if code is None:
        return
    if not code.get("codeId") or not code.get("scoringScript"):
        raise refused("properties.codeConfiguration needs codeId and scoringScript.")
    if not given.get("environmentId"):
        raise refused("properties.environmentId is missing; a deployment with a scoring script needs an environment.")


def _check_collector(given: Mapping[str, Any]) -> None:
    """Of `dataCollector`: custom logging. Payload logging, the collections `request` and `response`, is not imitated."""
    rate = given.get("rollingRate") or "hour"
    if str(rate).lower() not in ROLLING:
        raise refused(f"properties.dataCollector.rollingRate is {rate!r}; the sandbox takes {', '.join(ROLLING)}.")
    for name, each in (given.get("collections") or {}).items():
        what = f"properties.dataCollector.collections.{name}"
        _one_of(f"{what}.dataCollectionMode", each.get("dataCollectionMode") or "Disabled", ("Enabled", "Disabled"))
        share = each.get("samplingRate")
        if share is not None and not 0 < float(share) <= 1:
            raise refused(f"{what}.samplingRate is {share}; it must be above 0 and at most 1.")
        if name.lower() in ("request", "response") and str(each.get("dataCollectionMode")).lower() == "enabled":
            raise refused(f"{what}: the sandbox does not imitate payload logging.", 501, "NotImitatedBySandbox")


def instance_count(sku: Mapping[str, Any] | None) -> int:
    """`sku.capacity`, 1 when it is left out."""
    capacity = (sku or {}).get("capacity")
    count = 1 if capacity is None else capacity
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise refused(f"sku.capacity is {count!r}; the instance count must be a whole number, at least 1.")
    return count


def check_room(deployments: Mapping[str, Resource], name: str, endpoint: str) -> None:
    if name not in deployments and len(deployments) >= MAX_DEPLOYMENTS:
        raise refused(
            f"The endpoint '{endpoint}' has {len(deployments)} deployments; the limit is {MAX_DEPLOYMENTS}. Delete one"
            " that takes no traffic."
        )


def check_without_traffic(name: str, endpoint: Mapping[str, Any]) -> None:
    """400 for the deletion of a deployment that requests are sent to."""
    for key, what in (("traffic", "traffic"), ("mirrorTraffic", "mirror traffic")):
        weight = (endpoint.get(key) or {}).get(name, 0)
        if weight:
            raise refused(
                f"Cannot delete deployment '{name}' with {weight} percent of the {what}. Set its {what} to 0 first."
            )


def _one_of(what: str, value: Any, allowed: tuple[str, ...]) -> str:
    for each in allowed:
        if str(value).lower() == each.lower():
            return each
    raise refused(f"{what} is {value!r}; allowed are {', '.join(allowed)}.")


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {weight}" for name, weight in sorted(values.items()))


def _plain(location: str | None) -> str:
    return (location or "").replace(" ", "").lower()
