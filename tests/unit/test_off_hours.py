"""The runbook's way with AKS: what a pool had before is in its own tag, and comes back from there."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from components.cost.runbooks import off_hours

AKS = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/k"


class FakeArm(off_hours.Arm):
    """Pools in memory."""

    def __init__(self, pools: dict[str, dict[str, Any]]) -> None:
        self.pools, self.puts = pools, 0

    def call(self, method: str, path: str, version: str, body: Any = None) -> Any:
        name = path.rpartition("/")[2]
        if method == "GET" and name == "agentPools":
            found = [{"name": each, "properties": properties} for each, properties in self.pools.items()]
            return {"value": copy.deepcopy(found)}
        assert method == "PUT"
        assert not set(off_hours.READ_ONLY) & set(body["properties"])
        self.puts += 1
        self.pools[name] = {**body["properties"], "provisioningState": "Succeeded"}
        return {}


def pools() -> dict[str, dict[str, Any]]:
    ready = {"provisioningState": "Succeeded", "vmSize": "Standard_D4s_v3"}
    return {
        "system": {**ready, "mode": "System", "count": 3, "enableAutoScaling": False, "tags": {"owner": "ml"}},
        "user": {**ready, "mode": "User", "count": 2, "enableAutoScaling": True, "minCount": 1, "maxCount": 5, "tags": {}},
    }  # fmt: skip


def test_aks_keeps_one_node_and_gets_back_what_it_had() -> None:
    before = pools()
    arm = FakeArm(pools())
    assert list(off_hours.set_pools(arm, AKS, True)) == ["pool system: 3 -> 1 nodes", "pool user: 2 -> 0 nodes"]
    assert {name: (pool["count"], pool["enableAutoScaling"]) for name, pool in arm.pools.items()} == {
        "system": (1, False),
        "user": (0, False),
    }
    assert "minCount" not in arm.pools["user"], "Azure refuses limits where nothing scales"
    assert list(off_hours.set_pools(arm, AKS, True)) == ["pool system: off already", "pool user: off already"]
    list(off_hours.set_pools(arm, AKS, False))
    assert arm.pools == before
    assert (next(off_hours.set_pools(arm, AKS, False)), arm.puts) == ("pool system: on already", 4)


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        (["off /w /aks"], ("off", "/w", "/aks")),
        (["on", "/w"], ("on", "/w", "")),
    ],
)
def test_parameters_come_in_one_or_one_by_one(arguments: list[str], parsed: tuple[str, ...]) -> None:
    assert off_hours.parse(arguments) == parsed


@pytest.mark.parametrize("arguments", [[], ["sleep", "/w"], ["off"], ["off", "/w", "/aks", "more"]])
def test_other_parameters_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"parameters: off\|on"):
        off_hours.parse(arguments)
