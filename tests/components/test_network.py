"""The network as declared: closed in prod, open in dev, every door with its names, locks on what holds data."""

from __future__ import annotations

from typing import Any

import pytest

from components.network.vnet import ZONES
from tests.components.mocks import Run
from tests.components.test_platform import deploy
from tests.options import every_option


@pytest.fixture(scope="module")
def prod() -> Run:
    return deploy("prod")


@pytest.fixture(scope="module")
def everything() -> Run:
    return deploy("prod", **every_option("prod"))


def test_prod_answers_inside_its_vnet_only(prod: Run) -> None:
    storage = prod.declared["storage"].inputs
    assert (storage["publicNetworkAccess"], storage["networkRuleSet"]["defaultAction"]) == ("Disabled", "Deny")
    vault = prod.one("keyvault:Vault").inputs["properties"]
    assert (vault["publicNetworkAccess"], vault["networkAcls"]["defaultAction"]) == ("disabled", "Deny")
    registry = prod.one("containerregistry:Registry").inputs
    assert (registry["publicNetworkAccess"], registry["networkRuleSet"]["defaultAction"]) == ("Disabled", "Deny")
    workspace = prod.declared["workspace"].inputs
    assert workspace["publicNetworkAccess"] == "Disabled"
    assert workspace["managedNetwork"]["isolationMode"] == "AllowInternetOutbound"
    assert workspace["imageBuildCompute"] == "cpu", "Azure's builders can't reach a private registry"


def test_dev_has_no_network_and_no_locks() -> None:
    dev = deploy("dev")
    kinds = {each.type.split(":")[0] for each in dev.declared.values()}
    assert not {"network", "privatedns"} & kinds
    assert not dev.of("authorization:ManagementLockByScope")
    assert dev.declared["workspace"].inputs["publicNetworkAccess"] == "Enabled"


def test_each_service_has_a_door_and_the_door_has_names(prod: Run) -> None:
    doors = {
        each.inputs["privateLinkServiceConnections"][0]["groupIds"][0]: each
        for each in prod.of("network:PrivateEndpoint")
        if each.parent == "private"
    }
    assert set(doors) == {"blob", "file", "queue", "vault", "registry", "amlworkspace"}
    assert {door.inputs["subnet"]["id"].rsplit("/", 1)[1] for door in doors.values()} == {"network-endpoints"}
    zones = {zone.inputs["privateZoneName"] for zone in prod.of("privatedns:PrivateZone")}
    assert zones == {zone for each in ZONES.values() for zone in each}
    for group in doors:
        names = prod.declared[f"private-{group}-names"].inputs["privateDnsZoneConfigs"]
        assert {each["privateDnsZoneId"].rsplit("/network-", 1)[1] for each in names} == set(ZONES[group])
    assert not any(link.inputs["registrationEnabled"] for link in prod.of("privatedns:VirtualNetworkLink"))


def test_subnets_come_one_by_one_and_are_closed_to_the_internet(prod: Run) -> None:
    subnets = {each.inputs["subnetName"]: each for each in prod.of("network:Subnet")}
    assert set(subnets) == {"compute", "aks", "endpoints", "functions", "gateway"}
    assert "network-compute" in subnets["aks"].depends_on
    assert "network-aks" in subnets["endpoints"].depends_on
    assert "network-functions" in subnets["gateway"].depends_on
    for group in prod.of("network:NetworkSecurityGroup"):
        last = max(group.inputs["securityRules"], key=lambda rule: rule["priority"])
        assert (last["access"], last["direction"]) == ("Deny", "Inbound"), group.name
        assert last["sourceAddressPrefix"] in ("Internet", "*")


def test_clusters_join_the_subnet_only_without_a_managed_network() -> None:
    def nodes(**network: Any) -> dict[str, Any]:
        values = deploy("dev", registry={"sku": "Premium"}, network={"enabled": True, **network})
        return dict(values.one("machinelearningservices:Compute").inputs["properties"]["properties"])

    own = nodes()
    assert own["subnet"]["id"].endswith("/network-compute")
    assert own["enableNodePublicIp"] is False
    assert "subnet" not in nodes(isolation="AllowInternetOutbound")


def test_build_agents_are_let_through_the_firewalls(everything: Run) -> None:
    account = everything.declared["storage"].inputs
    assert account["publicNetworkAccess"] == "Enabled"
    assert account["networkRuleSet"]["defaultAction"] == "Deny"
    # a single address goes without its prefix: Azure refuses /32 here
    assert [rule["iPAddressOrRange"] for rule in account["networkRuleSet"]["ipRules"]] == ["20.1.2.0/24", "20.1.3.4"]


def test_jobs_reach_approved_hosts_only(everything: Run) -> None:
    network = everything.declared["workspace"].inputs["managedNetwork"]
    assert {rule["destination"] for rule in network["outboundRules"].values()} == {"pypi.org", "*.conda.io"}
    assert network["firewallSku"] == "Basic"


def test_the_customers_key_is_used_by_an_identity_of_its_own(everything: Run) -> None:
    account = everything.declared["storage"]
    assert account.inputs["encryption"]["keySource"] == "Microsoft.Keyvault"
    assert "keyVersion" not in account.inputs["encryption"]["keyVaultProperties"], "rotations are followed"
    workspace = everything.declared["workspace"]
    identity = workspace.inputs["encryption"]["identity"]["userAssignedIdentity"]
    assert identity.endswith("/encryption-identity")
    assert identity in workspace.inputs["identity"]["userAssignedIdentities"]
    for each in (account, workspace):
        assert {"encryption-key", "encryption-crypto-user"} <= set(each.depends_on)
    vault = everything.declared["encryption-vault"].inputs["properties"]
    assert vault["enablePurgeProtection"] is True


def test_locks_hold_what_holds_data_and_come_last(prod: Run, everything: Run) -> None:
    locked = {
        each.name: each.inputs["scope"].rsplit("/", 1)[1]
        for each in everything.of("authorization:ManagementLockByScope")
    }
    assert set(locked.values()) == {
        "storage", "workspace-vault", "workspace-registry", "observability-logs", "encryption-vault", "model-registry",
        "offline-store",
    }  # fmt: skip
    assert "workspace" not in locked.values(), "rollout deletes deployments below it"
    for lock in prod.of("authorization:ManagementLockByScope"):
        assert lock.inputs["level"] == "CanNotDelete"
        assert {"storage-rollout-journal", "workspace-vault-contributor", "private-blob-names"} <= set(lock.depends_on)


def test_the_model_registry_is_made_once_and_used_by_name(everything: Run) -> None:
    registry = everything.one("machinelearningservices:Registry")
    assert [each["location"] for each in registry.inputs["regionDetails"]] == ["eastus", "westus"]
    assert registry.protect
    user = deploy("dev", modelRegistry={"name": "shared", "resourceGroup": "prod-group"})
    assert not user.of("machinelearningservices:Registry")
    scope = user.declared["model-registry-user"].inputs["scope"]
    assert scope.endswith("/resourceGroups/prod-group/providers/Microsoft.MachineLearningServices/registries/shared")


def test_a_datastore_keeps_no_key(everything: Run) -> None:
    store = everything.one("machinelearningservices:Datastore")
    assert store.inputs["name"] == "raw_data", "Azure ML takes no hyphens here"
    assert store.inputs["properties"]["credentials"] == {"credentialsType": "None"}
    assert "storage-raw-data" in store.depends_on
