"""The cluster as declared: who gets in, what scales, which roles it has, and the endpoints on it."""

from __future__ import annotations

import pytest

from components.kubernetes.attachment import TRUSTED_ROLE
from components.kubernetes.settings import AZURE_ML_TAINT
from tests.components.mocks import Run
from tests.components.test_platform import deploy
from tests.options import every_option
from tests.unit.test_kubernetes_settings import cluster, endpoint


@pytest.fixture(scope="module")
def everything() -> Run:
    return deploy("prod", **every_option("prod"))


def test_no_stack_has_a_cluster_unless_it_asks_for_one() -> None:
    kinds = {each.type.split(":")[0] for each in deploy("dev").declared.values()}
    assert not {"containerservice", "kubernetesconfiguration"} & kinds


def test_only_entra_identities_get_in_and_only_from_inside(everything: Run) -> None:
    made = everything.one("containerservice:ManagedCluster").inputs
    assert made["disableLocalAccounts"] is True
    assert made["aadProfile"] == {"managed": True, "enableAzureRBAC": True, "tenantID": "tenant"}
    assert made["apiServerAccessProfile"] == {
        "enablePrivateCluster": True,
        "enablePrivateClusterPublicFQDN": False,
        "privateDNSZone": "system",
        "disableRunCommand": True,
    }
    assert made["oidcIssuerProfile"] == {"enabled": True}
    assert made["securityProfile"]["workloadIdentity"] == {"enabled": True}
    assert made["securityProfile"]["defender"]["securityMonitoring"] == {"enabled": True}
    ranges = deploy("dev", **cluster(authorizedRanges=["20.1.2.0/24"])).one("containerservice:ManagedCluster").inputs
    assert ranges["apiServerAccessProfile"] == {"authorizedIPRanges": ["20.1.2.0/24"], "disableRunCommand": True}


def test_pods_have_an_overlay_and_policies(everything: Run) -> None:
    network = everything.one("containerservice:ManagedCluster").inputs["networkProfile"]
    wanted = ("azure", "overlay", "cilium", "cilium")
    keys = ("networkPlugin", "networkPluginMode", "networkPolicy", "networkDataplane")
    assert tuple(network[key] for key in keys) == wanted
    assert network["dnsServiceIP"] == "172.16.0.10"


def test_pools_scale_by_themselves_and_no_update_resizes_them(everything: Run) -> None:
    (system,) = everything.one("containerservice:ManagedCluster").inputs["agentPoolProfiles"]
    user, gpu = everything.declared["kubernetes-user"].inputs, everything.declared["kubernetes-gpu"].inputs
    assert [pool["enableAutoScaling"] for pool in (system, user, gpu)] == [True] * 3
    assert not any("count" in pool for pool in (system, user, gpu)), "a count that is sent again takes pods' nodes away"
    assert (system["mode"], system["nodeTaints"]) == ("System", ["CriticalAddonsOnly=true:NoSchedule"])
    assert (gpu["minCount"], gpu["maxCount"]) == (0, 2), "scales to zero"
    assert gpu["nodeTaints"] == [AZURE_ML_TAINT]
    assert gpu["nodeLabels"] == {"pool": "gpu", "sku": "gpu"}
    assert "kubernetes-user" in everything.declared["kubernetes-gpu"].depends_on, "one change at a time"
    assert {pool["vnetSubnetID"].rsplit("/", 1)[1] for pool in (system, user, gpu)} == {"network-aks"}


def test_identities_have_the_least_roles_for_their_work(everything: Run) -> None:
    network, pull = everything.declared["kubernetes-network"].inputs, everything.declared["kubernetes-pull"].inputs
    assert network["scope"].endswith("/network-aks"), "its own subnet, not the VNet"
    assert pull["scope"].endswith("/workspace-registry")
    assert pull["principalId"] == "principal-kubelet"
    access = everything.declared["kubernetes-compute-workspace"].inputs
    assert access["scope"].endswith("/kubernetes"), "at the cluster alone"
    assert "kubernetes-network" in everything.declared["kubernetes"].depends_on


def test_the_workspace_is_let_in_before_it_attaches(everything: Run) -> None:
    trust = everything.one("containerservice:TrustedAccessRoleBinding").inputs
    assert trust["roles"] == [TRUSTED_ROLE]
    assert trust["sourceResourceId"].endswith("/workspace")
    compute = everything.declared["kubernetes-compute"]
    assert {
        "kubernetes-compute-extension",
        "kubernetes-compute-trust",
        "kubernetes-compute-namespace",
        "kubernetes-compute-workspace",
        "kubernetes-gpu",
    } <= set(compute.depends_on)
    inner = compute.inputs["properties"]
    assert (inner["computeType"], inner["properties"]["namespace"]) == ("Kubernetes", "azureml-models")
    assert inner["properties"]["instanceTypes"]["gpu"] == {
        "nodeSelector": {"pool": "gpu"},
        "resources": {
            "requests": {"cpu": "3", "memory": "20Gi"},
            "limits": {"cpu": "3", "memory": "20Gi", "nvidia.com/gpu": "1"},
        },
    }


def test_pods_logs_go_to_log_analytics(everything: Run) -> None:
    rule = everything.one("monitor:DataCollectionRule").inputs
    (target,) = rule["destinations"]["logAnalytics"]
    assert target["workspaceResourceId"].endswith("/observability-logs")
    assert "Microsoft-ContainerLogV2" in rule["dataFlows"][0]["streams"]
    tie = everything.one("monitor:DataCollectionRuleAssociation").inputs
    assert tie["resourceUri"].endswith("/kubernetes")
    off = deploy("dev", **cluster(containerInsights=False))
    assert not off.of("monitor:DataCollectionRule")
    assert "addonProfiles" not in off.one("containerservice:ManagedCluster").inputs


def test_upgrades_wait_for_their_window(everything: Run) -> None:
    window = everything.one("containerservice:MaintenanceConfiguration").inputs
    assert window["configName"] == "aksManagedAutoUpgradeSchedule"
    assert window["maintenanceWindow"]["schedule"] == {"weekly": {"dayOfWeek": "Sunday", "intervalWeeks": 1}}
    upgrade = everything.one("containerservice:ManagedCluster").inputs["autoUpgradeProfile"]
    assert upgrade == {"upgradeChannel": "patch", "nodeOSUpgradeChannel": "NodeImage"}


def test_an_endpoint_on_the_cluster_names_the_compute_and_comes_after_it(everything: Run) -> None:
    made = everything.declared["endpoint-intent"]
    assert made.inputs["kind"] == "Kubernetes"
    assert made.inputs["properties"]["compute"].endswith("/computes/kubernetes")
    assert "kubernetes-compute" in made.depends_on
    assert everything.declared["endpoint-churn"].inputs["kind"] == "Managed"
    assert "endpoint-intent-logs" not in everything.declared, "Azure ML logs nothing of it"


def test_what_rollout_needs_is_in_the_outputs(everything: Run) -> None:
    outputs = everything.outputs["rollout"]
    found = outputs["kubernetes"]
    assert (found["compute_name"], found["namespace"]) == ("kubernetes", "azureml-models")
    assert found["oidc_issuer_url"].startswith("https://")
    assert found["pools"]["gpu"] == {"vm_size": "Standard_NC4as_T4_v3", "min_nodes": 0, "max_nodes": 2}
    deployment = outputs["endpoints"]["intent"]["deployment"]
    assert (deployment["compute"], deployment["instance_type"]) == ("kubernetes", "standard")
    assert deployment["resources"]["memory_limit"] == "4Gi"
    assert outputs["endpoints"]["churn"]["deployment"]["compute"] == "managed"
    assert deploy("dev").outputs["rollout"]["kubernetes"] is None


def test_without_a_network_of_the_stack_azure_makes_one() -> None:
    made = deploy("dev", **endpoint())
    (system,) = made.one("containerservice:ManagedCluster").inputs["agentPoolProfiles"]
    assert "vnetSubnetID" not in system
    assert "kubernetes-network" not in made.declared
