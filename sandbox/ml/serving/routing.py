"""The gateway's routing table, made from the documents and from the replicas that are ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.gateway.routing import AuthMode, DeploymentRoute, EndpointRoute, ReplicaRoute
from sandbox.ml.serving.spec import Limits

#: Keys of `Resource.private`. `KEYS`: an endpoint's keys. `APPLIED`: the weights in force while an update runs.
#: `SERVED`: the deployment's document as it was when it last succeeded.
KEYS, APPLIED, SERVED = "keys", "applied", "served"

Replicas = Mapping[str, tuple[ReplicaRoute, ...]]


def endpoint_route(endpoint: Resource, deployments: Iterable[Resource], replicas: Replicas) -> EndpointRoute:
    """`replicas` by the deployment's id in lower case."""
    routes = tuple(_deployment_route(each, replicas.get(each.key, ())) for each in deployments)
    names = {route.name for route in routes}
    weights = endpoint.private.get(APPLIED) or endpoint.properties
    mode: AuthMode = endpoint.properties["authMode"]
    return EndpointRoute(
        workspace=workspace_name(endpoint.id),
        name=endpoint.name,
        region=endpoint.location or "",
        auth_mode=mode,
        keys=tuple(endpoint.private.get(KEYS, {}).values()),
        traffic=_known(weights["traffic"], names),
        mirror=_known(weights["mirrorTraffic"], names),
        deployments=routes,
    )


def workspace_name(resource_id: str) -> str:
    """The workspace in the id of anything below it."""
    return parse(resource_id).names[0]


def _deployment_route(deployment: Resource, replicas: tuple[ReplicaRoute, ...]) -> DeploymentRoute:
    served = deployment.private.get(SERVED) or {"properties": deployment.properties}
    limits = Limits.read(served["properties"].get("requestSettings"))
    return DeploymentRoute(
        name=deployment.name,
        replicas=replicas,
        max_concurrent=limits.max_concurrent,
        timeout_ms=round(limits.timeout * 1000),
        queue_ms=None if limits.queue is None else round(limits.queue * 1000),
    )


def _known(weights: Mapping[str, Any], names: set[str]) -> dict[str, int]:
    return {name: int(weight) for name, weight in weights.items() if name in names}
