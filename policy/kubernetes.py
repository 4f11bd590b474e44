"""Rules on Kubernetes clusters: who gets in, what pods reach, how models are scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policy.model import HIDDEN, UNKNOWN, ResourceRule, at, known_and_not

_CLUSTER = "containerservice:ManagedCluster"
_OPEN = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1")


def entra(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """People sign in with Entra, and Azure's roles say what they may do."""
    if type_ != _CLUSTER:
        return
    for path in ("aadProfile.managed", "aadProfile.enableAzureRBAC"):
        if known_and_not(at(props, path), True):
            yield f"{path} is {at(props, path)!r}; set it to true"


def closed(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Not everybody reaches the API server."""
    if type_ != _CLUSTER or not known_and_not(at(props, "apiServerAccessProfile.enablePrivateCluster"), True):
        return
    ranges = at(props, "apiServerAccessProfile.authorizedIPRanges")
    if ranges is UNKNOWN or ranges is HIDDEN:
        return
    if not ranges or any(each in _OPEN for each in ranges):
        yield "the API server is open to the internet; set `kubernetes.privateCluster: true` or `kubernetes.authorizedRanges`"


def network_policy(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Network policies of pods mean something."""
    if type_ == _CLUSTER and at(props, "networkProfile.networkPolicy") in (None, "none"):
        yield "networkProfile.networkPolicy is missing; set `kubernetes.networkPolicy`"


def scoring_tls(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Models are scored over HTTPS."""
    insecure = at(props, "configurationSettings.allowInsecureConnections")
    if type_ == "kubernetesconfiguration:Extension" and str(insecure).lower() == "true":
        yield "allowInsecureConnections is on; set `kubernetes.extension.tlsSecret` and `tlsName` instead"


RULES = (
    ResourceRule(
        name="kubernetes-entra", description="Clusters go by Entra identities and Azure's roles.", check=entra
    ),
    ResourceRule(
        name="kubernetes-closed", description="A cluster's API server is not open to the internet.", check=closed
    ),
    ResourceRule(
        name="kubernetes-network-policy", description="A cluster enforces network policies.", check=network_policy
    ),
    ResourceRule(name="kubernetes-scoring-tls", description="Clusters serve models over HTTPS.", check=scoring_tls),
)
