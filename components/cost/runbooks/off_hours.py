"""Off hours: clusters keep no idle node, AKS keeps one. Runs as a Python 3.8 or later runbook of Azure Automation.

Parameters, separated by blanks or given one by one:

    off|on  /subscriptions/.../workspaces/W  [/subscriptions/.../managedClusters/K]

`off` sets every cluster's minimum to 0; Azure ML then gives idle nodes back, a node with a running job stays. `on` sets the
minimum that the cluster's tag `min-nodes` says; clusters without that tag are left alone. Of AKS `off` leaves the system pool's one node; what a pool had before is kept in its own
tag, so that `on` puts it back. Both may be repeated. Standard library only: nothing has to be installed in the account.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

ML_VERSION = "2024-10-01"
AKS_VERSION = "2025-05-01"
BEFORE = "rollouts-before-off-hours"
MIN_NODES = "min-nodes"
SECONDS, ATTEMPTS = 60, 5


class Arm:
    """Azure Resource Manager as the account's managed identity."""

    def __init__(self) -> None:
        self.base = os.environ.get("ROLLOUT_AZURE_RESOURCE_MANAGER", "https://management.azure.com").rstrip("/")
        self._token: str | None = None

    def call(self, method: str, path: str, version: str, body: object = None) -> Any:
        """The answer's JSON; an error's text names what was refused."""
        url = "{}{}?{}".format(self.base, path, urllib.parse.urlencode({"api-version": version}))
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(1, ATTEMPTS + 1):
            headers = {"Authorization": "Bearer " + self.token(), "Content-Type": "application/json"}
            request = urllib.request.Request(url, data=data, headers=headers, method=method)
            try:
                with urllib.request.urlopen(
                    request, timeout=SECONDS
                ) as answer:  # nosec B310  # https, or the account's own endpoint
                    return json.loads(answer.read() or b"{}")
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if attempt == ATTEMPTS or error.code not in (409, 429, 500, 502, 503, 504):
                    raise SystemExit(f"{method} {path}: {error.code} {text}") from error
                time.sleep(float(error.headers.get("Retry-After") or 2**attempt))
        raise AssertionError("unreachable")

    def token(self) -> str:
        """From the identity endpoint that Automation gives to its jobs."""
        if self._token is None:
            query = urllib.parse.urlencode({"resource": "https://management.azure.com/"})
            headers = {"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"], "Metadata": "True"}
            request = urllib.request.Request(os.environ["IDENTITY_ENDPOINT"] + "?" + query, headers=headers)
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # nosec B310  # the account's own endpoint
                token: str = json.loads(answer.read())["access_token"]
            self._token = token
        return self._token


def set_cluster(arm: Arm, workspace: str, cluster: str, least: int) -> str:
    """The cluster's minimum; everything else of its scaling stays as it is."""
    path = f"{workspace}/computes/{cluster}"
    scaling = dict(arm.call("GET", path, ML_VERSION)["properties"]["properties"]["scaleSettings"])
    if scaling["minNodeCount"] == least:
        return f"cluster {cluster}: {least} nodes at least already"
    was, scaling["minNodeCount"] = scaling["minNodeCount"], least
    arm.call("PATCH", path, ML_VERSION, {"properties": {"properties": {"scaleSettings": scaling}}})
    return f"cluster {cluster}: {was} -> {least} nodes at least"


def clusters_of(arm: Arm, workspace: str) -> Iterator[tuple[str, int]]:
    """Name and working-hours minimum of each cluster that says one."""
    path = f"{workspace}/computes"
    for compute in arm.call("GET", path, ML_VERSION)["value"]:
        least = (compute.get("tags") or {}).get(MIN_NODES, "")
        if least.isdigit() and compute["properties"].get("computeType") == "AmlCompute":
            yield compute["name"], int(least)


def pools_off(pools: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """By pool, the nodes that it keeps: a system pool one, because it takes no zero; a user pool none."""
    return {pool["name"]: int(pool["properties"].get("mode") == "System") for pool in pools}


def set_pools(arm: Arm, cluster: str, off: bool) -> Iterator[str]:
    """AKS down to its least, or back to what each pool's tag says."""
    pools = arm.call("GET", cluster + "/agentPools", AKS_VERSION)["value"]
    least = pools_off(pools)
    for pool in sorted(pools, key=lambda one: one["name"]):
        yield set_pool(arm, cluster, pool, least[pool["name"]] if off else None)


def set_pool(arm: Arm, cluster: str, pool: Mapping[str, Any], least: int | None) -> str:
    """One pool: `least` nodes, or (None) what it had. The autoscaler is off meanwhile, or it would undo it."""
    properties, name = pool["properties"], pool["name"]
    tags = dict(properties.get("tags") or {})
    if least is not None:
        if BEFORE in tags:
            return f"pool {name}: off already"
        names = ("count", "enableAutoScaling", "minCount", "maxCount")
        tags[BEFORE] = json.dumps({each: properties.get(each) for each in names}, separators=(",", ":"))
        wanted = {"count": least, "enableAutoScaling": False, "minCount": None, "maxCount": None}
    else:
        if BEFORE not in tags:
            return f"pool {name}: on already"
        wanted = json.loads(tags.pop(BEFORE))
    kept = {key: value for key, value in properties.items() if key not in READ_ONLY}
    body = {key: value for key, value in {**kept, **wanted, "tags": tags}.items() if value is not None}
    arm.call("PUT", f"{cluster}/agentPools/{name}", AKS_VERSION, {"properties": body})
    return "pool {}: {} -> {} nodes".format(name, properties.get("count"), wanted["count"])


READ_ONLY = ("provisioningState", "powerState", "currentOrchestratorVersion", "nodeImageVersion", "eTag", "status")


def parse(arguments: Sequence[str]) -> tuple[str, str, str]:
    """Action, workspace, AKS cluster or ''."""
    words = " ".join(arguments).split()
    if len(words) not in (2, 3) or words[0] not in ("off", "on"):
        raise SystemExit(f"parameters: off|on WORKSPACE_ID [AKS_ID], not {words!r}")
    return words[0], words[1], words[2] if len(words) == 3 else ""


def works(arguments: Sequence[str]) -> Iterator[Callable[[], Iterable[str]]]:
    """What there is to do, one piece at a time; each gives the lines that say what it did."""
    action, workspace, aks = parse(arguments)
    arm = Arm()
    for name, least in sorted(clusters_of(arm, workspace)):
        yield functools.partial(_one, arm, workspace, name, 0 if action == "off" else least)
    if aks:
        yield functools.partial(set_pools, arm, aks, action == "off")


def _one(arm: Arm, workspace: str, cluster: str, least: int) -> list[str]:
    return [set_cluster(arm, workspace, cluster, least)]


def main(arguments: Sequence[str]) -> None:
    """Do all of it; one that fails leaves the others their turn, and fails the job at the end."""
    failed = []
    for work in works(arguments):
        try:
            for line in work():
                print(line)
        except SystemExit as error:
            failed.append(str(error))
            print(f"FAILED {error}")
    if failed:
        raise SystemExit("; ".join(failed))


if __name__ == "__main__":
    main(sys.argv[1:])
