"""Every rule of the policy pack: what breaks it is caught, what does not passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policy.model import HIDDEN, UNKNOWN, Resource, ResourceRule, StackRule
from policy.pack import RULES, Stage, plain, policies, short, speaks

BY_NAME = {rule.name: rule for rule in RULES}
ROLES = "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions"
CONTRIBUTOR, OWNER = f"{ROLES}/b24988ac-6180-42a0-ab88-20f7382dd24c", f"{ROLES}/8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
TAGS = {"project": "p", "stack": "dev", "environment": "dev", "owner": "me", "cost-center": "research"}
INBOUND = {"name": "in", "access": "Allow", "direction": "Inbound", "destinationPortRange": "22"}


def cluster(**changes: Any) -> dict[str, Any]:
    good = {
        "vmSize": "Standard_D4s_v3",
        "remoteLoginPortPublicAccess": "Disabled",
        "scaleSettings": {"minNodeCount": 0},
    }
    return {"properties": {"computeType": "AmlCompute", "disableLocalAuth": True, "properties": {**good, **changes}}}


_SECURITY = "Microsoft.WindowsAzure.ApiManagement.Gateway.Security"
CLASSIC = {
    "sku": {"name": "Premium"},
    "customProperties": {
        f"{_SECURITY}{side}.Protocols.{each}": "False"
        for side in ("", ".Backend")
        for each in ("Ssl30", "Tls10", "Tls11")
    },
}
DEFAULT_RULES = {"managedRuleSets": [{"ruleSetType": "Microsoft_DefaultRuleSet"}]}


def waf(**settings: Any) -> dict[str, Any]:
    return {
        "policySettings": {"enabledState": "Enabled", "mode": "Prevention", **settings},
        "managedRules": DEFAULT_RULES,
    }


#: rule, type, what breaks it, what passes
RESOURCES: list[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("no-public-access", "storage:StorageAccount", {}, {"publicNetworkAccess": "Disabled"}),
    ("no-public-access", "keyvault:Vault", {"properties": {"publicNetworkAccess": "Enabled"}}, {"properties": {"publicNetworkAccess": "disabled"}}),
    ("no-public-access", "machinelearningservices:Workspace", {"publicNetworkAccess": "Enabled"}, {"publicNetworkAccess": UNKNOWN}),
    ("no-public-endpoint", "machinelearningservices:OnlineEndpoint", {"properties": {"publicNetworkAccess": "Enabled"}}, {"properties": {"publicNetworkAccess": "Disabled"}}),
    ("tls-1-2", "storage:StorageAccount", {"minimumTlsVersion": "TLS1_0", "enableHttpsTrafficOnly": True}, {"minimumTlsVersion": "TLS1_2", "enableHttpsTrafficOnly": True}),
    ("tls-1-2", "storage:StorageAccount", {"minimumTlsVersion": "TLS1_2", "enableHttpsTrafficOnly": False}, {"minimumTlsVersion": "TLS1_3", "enableHttpsTrafficOnly": True}),
    ("tls-1-2", "eventgrid:Topic", {"minimumTlsVersionAllowed": "1.0"}, {"minimumTlsVersionAllowed": "1.2"}),
    ("gateway-tls", "cdn:AFDCustomDomain", {"tlsSettings": {"minimumTlsVersion": "TLS10"}}, {"tlsSettings": {"minimumTlsVersion": "TLS12"}}),
    ("gateway-tls", "cdn:Route", {"forwardingProtocol": "MatchRequest"}, {"forwardingProtocol": "HttpsOnly", "supportedProtocols": ["Https"]}),
    ("gateway-tls", "cdn:Route", {"forwardingProtocol": "HttpsOnly", "supportedProtocols": ["Http", "Https"]}, {"forwardingProtocol": UNKNOWN}),
    ("gateway-tls", "apimanagement:ApiManagementService", {"sku": {"name": "Premium"}}, CLASSIC),
    ("gateway-tls", "apimanagement:ApiManagementService", {**CLASSIC, "customProperties": {**CLASSIC["customProperties"], f"{_SECURITY}.Protocols.Tls10": "True"}}, {"sku": {"name": "StandardV2"}}),
    ("firewall-prevents", "frontdoor:Policy", waf(mode="Detection"), waf()),
    ("firewall-prevents", "frontdoor:Policy", waf(enabledState="Disabled"), waf(mode=UNKNOWN)),
    ("firewall-prevents", "frontdoor:Policy", {**waf(), "managedRules": {"managedRuleSets": []}}, {**waf(), "managedRules": UNKNOWN}),
    ("no-plain-gateway-keys", "apimanagement:Subscription", {"primaryKey": "abc"}, {"primaryKey": HIDDEN}),
    ("no-plain-gateway-keys", "apimanagement:NamedValue", {"displayName": "churn", "secret": True, "value": "abc"}, {"displayName": "churn", "secret": True, "value": HIDDEN}),
    ("no-plain-gateway-keys", "apimanagement:NamedValue", {"displayName": "access-key-secret", "value": "abc"}, {"displayName": "region", "value": "eastus"}),
    ("priced-skus", "apimanagement:ApiManagementService", {"sku": {"name": "Isolated"}}, {"sku": {"name": "StandardV2"}}),
    ("no-local-auth", "eventgrid:Topic", {"disableLocalAuth": False}, {"disableLocalAuth": True}),
    ("no-local-auth", "containerregistry:Registry", {"adminUserEnabled": True}, {"adminUserEnabled": False}),
    ("no-account-keys", "storage:StorageAccount", {"allowSharedKeyAccess": True}, {"allowSharedKeyAccess": False}),
    ("no-password-publishing", "web:WebApp", {"siteConfig": {"ftpsState": "FtpsOnly"}}, {"siteConfig": {"ftpsState": "Disabled"}}),
    ("no-password-publishing", "web:WebAppScmAllowed", {"allow": True}, {"allow": False}),
    ("no-public-blobs", "storage:StorageAccount", {"allowBlobPublicAccess": True}, {"allowBlobPublicAccess": False}),
    ("no-public-blobs", "storage:BlobContainer", {"publicAccess": "Blob"}, {"publicAccess": "None"}),
    ("no-anonymous-pull", "containerregistry:Registry", {"anonymousPullEnabled": True}, {"anonymousPullEnabled": False}),
    ("cluster-no-ssh", "machinelearningservices:Compute", cluster(remoteLoginPortPublicAccess="Enabled"), cluster()),
    ("cluster-no-ssh", "machinelearningservices:Compute", cluster(userAccountCredentials={"adminUserName": "root"}), cluster()),
    ("no-public-access", "redisenterprise:RedisEnterprise", {"publicNetworkAccess": "Enabled"}, {"publicNetworkAccess": "Disabled"}),
    ("tls-1-2", "redisenterprise:RedisEnterprise", {"minimumTlsVersion": "1.0"}, {"minimumTlsVersion": "1.2"}),
    ("redis-encrypted", "redisenterprise:Database", {"clientProtocol": "Plaintext"}, {"clientProtocol": "Encrypted"}),
    ("redis-encrypted", "redis:Redis", {"enableNonSslPort": True}, {"enableNonSslPort": False}),
    ("redis-by-identity", "redisenterprise:Database", {"accessKeysAuthentication": "Enabled"}, {"accessKeysAuthentication": "Disabled"}),
    ("redis-by-identity", "redis:Redis", {}, {"disableAccessKeyAuthentication": True}),
    ("priced-skus", "redisenterprise:RedisEnterprise", {"sku": {"name": "Balanced_B1000"}}, {"sku": {"name": "Balanced_B0"}}),
    ("no-open-admin-ports", "network:NetworkSecurityGroup", {"securityRules": [{**INBOUND, "sourceAddressPrefix": "*"}]}, {"securityRules": [{**INBOUND, "sourceAddressPrefix": "10.0.0.0/8"}]}),
    ("no-open-admin-ports", "network:SecurityRule", {**INBOUND, "sourceAddressPrefixes": ["Internet"]}, {**INBOUND, "access": "Deny", "sourceAddressPrefix": "*"}),
    ("no-wide-contributor", "authorization:RoleAssignment", {"roleDefinitionId": CONTRIBUTOR, "scope": "/subscriptions/s"}, {"roleDefinitionId": CONTRIBUTOR, "scope": "/subscriptions/s/resourceGroups/g"}),
    ("no-owner-role", "authorization:RoleAssignment", {"roleDefinitionId": OWNER, "scope": "/subscriptions/s/resourceGroups/g"}, {"roleDefinitionId": CONTRIBUTOR}),
    ("no-wildcard-actions", "authorization:RoleDefinition", {"permissions": [{"actions": ["Microsoft.Storage/*"]}]}, {"permissions": [{"actions": ["*/read"]}]}),
    ("no-wildcard-actions", "authorization:RoleDefinition", {"permissions": [{"dataActions": ["*"]}]}, {"permissions": [{"dataActions": []}]}),
    ("no-client-secrets", "azuread:index/applicationPassword:ApplicationPassword", {}, {}),
    ("no-client-secrets", "azuread:index/application:Application", {"passwords": [{"displayName": "x"}]}, {"displayName": "x"}),
    ("required-tags", "storage:StorageAccount", {"tags": {**TAGS, "owner": ""}}, {"tags": TAGS}),
    ("required-tags", "keyvault:Vault", {}, {"tags": UNKNOWN}),
    ("priced-skus", "machinelearningservices:Compute", cluster(vmSize="Standard_ND96asr_v4"), cluster()),
    ("priced-skus", "storage:StorageAccount", {"sku": {"name": "Premium_LRS"}}, {"sku": {"name": "Standard_LRS"}}),
    ("priced-skus", "containerservice:ManagedCluster", {"agentPoolProfiles": [{"name": "a", "vmSize": "Huge"}]}, {"agentPoolProfiles": [{"name": "a", "vmSize": "Standard_D4s_v3"}]}),
    ("priced-skus", "containerservice:AgentPool", {"vmSize": "Huge"}, {"vmSize": "Standard_NC4as_T4_v3"}),
    ("no-local-auth", "containerservice:ManagedCluster", {}, {"disableLocalAccounts": True}),
    ("kubernetes-entra", "containerservice:ManagedCluster", {"aadProfile": {"managed": True}}, {"aadProfile": {"managed": True, "enableAzureRBAC": True}}),
    ("kubernetes-closed", "containerservice:ManagedCluster", {}, {"apiServerAccessProfile": {"enablePrivateCluster": True}}),
    ("kubernetes-closed", "containerservice:ManagedCluster", {"apiServerAccessProfile": {"authorizedIPRanges": ["0.0.0.0/0"]}}, {"apiServerAccessProfile": {"authorizedIPRanges": ["20.1.2.0/24"]}}),
    ("kubernetes-network-policy", "containerservice:ManagedCluster", {"networkProfile": {"networkPolicy": "none"}}, {"networkProfile": {"networkPolicy": "cilium"}}),
    ("kubernetes-scoring-tls", "kubernetesconfiguration:Extension", {"configurationSettings": {"allowInsecureConnections": "True"}}, {"configurationSettings": {"allowInsecureConnections": "False"}}),
    ("cluster-scales-to-zero", "machinelearningservices:Compute", cluster(scaleSettings={"minNodeCount": 1}), cluster()),
    ("log-retention", "operationalinsights:Workspace", {"retentionInDays": 30}, {"retentionInDays": 90}),
    ("purge-protection", "keyvault:Vault", {"properties": {}}, {"properties": {"enablePurgeProtection": True}}),
    ("vault-by-role", "keyvault:Vault", {"properties": {"enableRbacAuthorization": False}}, {"properties": {"enableRbacAuthorization": True}}),
    ("vault-by-role", "keyvault:Vault", {"properties": {"enableRbacAuthorization": True, "enableSoftDelete": False}}, {"properties": {"enableRbacAuthorization": True, "enableSoftDelete": True}}),
    ("blob-soft-delete", "storage:BlobServiceProperties", {"deleteRetentionPolicy": {"enabled": False}}, {"deleteRetentionPolicy": {"enabled": True}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "type_", "broken", "clean"), RESOURCES, ids=[f"{row[0]}-{row[1]}-{n}" for n, row in enumerate(RESOURCES)]
)
def test_a_resource_rule_catches_what_breaks_it(
    name: str, type_: str, broken: Mapping[str, Any], clean: Mapping[str, Any]
) -> None:
    rule = BY_NAME[name]
    assert isinstance(rule, ResourceRule)
    assert list(rule.check(type_, broken, "prod"))
    clean_type = type_ if clean else "resources:Other"
    assert not list(rule.check(clean_type, clean, "prod"))
    assert not list(rule.check("resources:Other", broken, "prod")), "only of its own types"


def of(type_: str, *, protect: bool = False, **props: Any) -> Resource:
    return Resource(type=type_, props=props, protect=protect)


def linked(*groups: str) -> list[Resource]:
    return [of("network:PrivateEndpoint", privateLinkServiceConnections=[{"groupIds": [each]}]) for each in groups]


def logged(target: str) -> Resource:
    return of("monitor:DiagnosticSetting", resourceUri=f"/subscriptions/s/resourceGroups/g/providers/{target}")


ML = "Microsoft.MachineLearningServices/workspaces"
WORKSPACE = of("machinelearningservices:Workspace", protect=True)
ENDPOINT = of("machinelearningservices:OnlineEndpoint", protect=True)
STACK = "pulumi:pulumi:Stack"

STACKS: list[tuple[str, list[Resource], list[Resource]]] = [
    ("prod-budget", [], [of("consumption:Budget", notifications={"at-80": {}})]),
    ("prod-budget", [of("consumption:Budget")], [of("consumption:Budget", notifications=UNKNOWN)]),
    ("prod-alerts", [ENDPOINT], [ENDPOINT, of("monitor:MetricAlert", enabled=True, actions=[{"actionGroupId": "x"}])]),
    ("prod-alerts", [ENDPOINT, of("monitor:MetricAlert", enabled=False, actions=[{}])], []),
    ("prod-action-groups", [of("monitor:ActionGroup", enabled=True, emailReceivers=[])], [of("monitor:ActionGroup", emailReceivers=[{"name": "a"}])]),
    ("prod-action-groups", [of("monitor:ActionGroup", enabled=False, emailReceivers=[{"name": "a"}])], [of("monitor:ActionGroup", webhookReceivers=UNKNOWN)]),
    ("prod-audited", [of("keyvault:Vault")], [of("keyvault:Vault"), logged("Microsoft.KeyVault/vaults/v")]),
    ("prod-audited", [of("storage:StorageAccount"), logged("Microsoft.KeyVault/vaults/v")], [of("storage:StorageAccount"), of("monitor:DiagnosticSetting", resourceUri=UNKNOWN)]),
    ("prod-audited", [WORKSPACE, logged(f"{ML}/ws/onlineEndpoints/e")], [WORKSPACE, logged(f"{ML}/ws")]),
    ("prod-audited", [of("storage:StorageAccount")], [of("storage:StorageAccount"), of("monitor:DiagnosticSetting")]),
    ("prod-two-instances", [of(STACK, endpoint_instance_counts={"churn": 1.0})], [of(STACK, endpoint_instance_counts={"churn": 2.0})]),
    ("prod-two-instances", [of(STACK), ENDPOINT], [of(STACK, endpoint_instance_counts=UNKNOWN), ENDPOINT]),
    ("prod-private-endpoints", [WORKSPACE, *linked("blob", "vault")], [WORKSPACE, *linked("amlworkspace", "blob", "vault", "registry")]),
    ("prod-firewall", [of("cdn:AFDEndpoint")], [of("cdn:AFDEndpoint"), of("cdn:SecurityPolicy", parameters={"associations": [{"domains": [{"id": "x"}]}]})]),
    ("prod-firewall", [of("cdn:AFDEndpoint"), of("cdn:AFDCustomDomain"), of("cdn:SecurityPolicy", parameters={"associations": [{"domains": [{"id": "x"}]}]})], []),
    ("prod-lock", [of("authorization:ManagementLockByScope", level="NotSpecified")], [of("authorization:ManagementLockByScope", level="CanNotDelete")]),
    ("prod-protected", [of("storage:StorageAccount")], [of("storage:StorageAccount", protect=True)]),
    ("no-plain-secrets", [of(STACK, connection="Endpoint=x;AccountKey=abc")], [of(STACK, connection=HIDDEN, other=UNKNOWN)]),
    ("no-plain-secrets", [of(STACK, rollout={"keys": [{"primaryKey": "abc"}]})], [of(STACK, secret_uri="https://vault/secrets/x")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "broken", "clean"), STACKS, ids=[f"{row[0]}-{n}" for n, row in enumerate(STACKS)])
def test_a_stack_rule_catches_what_breaks_it(name: str, broken: list[Resource], clean: list[Resource]) -> None:
    rule = BY_NAME[name]
    assert isinstance(rule, StackRule)
    assert list(rule.check(broken))
    assert not list(rule.check(clean))


def test_every_rule_is_in_the_tables_above() -> None:
    assert set(BY_NAME) == {row[0] for row in RESOURCES} | {row[0] for row in STACKS}
    assert len(BY_NAME) == len(RULES) >= 15
    assert len({policy.name for policy in policies()}) == 2 * len(RULES)


def test_logs_need_90_days_in_prod_only() -> None:
    rule = BY_NAME["log-retention"]
    assert isinstance(rule, ResourceRule)
    assert not list(rule.check("operationalinsights:Workspace", {"retentionInDays": 30}, "dev"))
    assert "at least 30 in dev" in next(rule.check("operationalinsights:Workspace", {"retentionInDays": 7}, "dev"))


def test_exactly_one_twin_speaks_and_only_prod_is_stopped() -> None:
    for rule in RULES:
        for environment in ("dev", "staging", "prod"):
            said = [speaks(rule, environment, advice=advice) for advice in (False, True)]
            assert sum(said) == (0 if rule.prod_only and environment != "prod" else 1)
            assert said[0] == (environment == "prod" and not rule.advisory_because)


def test_the_environment_is_the_tag_or_else_the_stack_or_else_prod() -> None:
    urn = "urn:pulumi:{}::azureml-rollouts::pulumi:pulumi:Stack::x"
    assert Stage().see({}, urn.format("staging")) == "staging"
    assert Stage().see({}, urn.format("alice")) == "prod", "strict when in doubt"
    stage = Stage()
    stage.see({"tags": {"environment": "dev"}}, urn.format("alice"))
    assert stage.see({}, urn.format("alice")) == "dev", "what the resource group said holds for the rest"


def test_types_and_properties_are_made_plain() -> None:
    from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

    assert short("azure-native:storage/v20240101:StorageAccount") == "storage:StorageAccount"
    assert short("azure-native:storage:StorageAccount") == "storage:StorageAccount"
    assert short(STACK) == STACK
    props = unknown_checking_proxy({"a": [{"b": UNKNOWN_STRING_VALUE}], "c": "text"})
    assert plain(props) == {"a": [{"b": UNKNOWN}], "c": "text"}
