"""Pulumi mocks that refuse what they do not know and remember everything: inputs, parent, protect, ignore_changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pulumi
import yaml
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime.stack import run_pulumi_func

from components.config import parse
from components.settings import Settings

ROOT = Path(__file__).parents[2]
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
PROJECT = "azureml-rollouts"


def _identity(given: Mapping[str, Any]) -> dict[str, Any]:
    """The identity as the service answers: a mapping where the program gives a list."""
    named = {each: {} for each in given["identity"].get("userAssignedIdentities") or ()}
    itself = {"principalId": "principal-itself"} if "SystemAssigned" in given["identity"]["type"] else {}
    return {"identity": {**given["identity"], **itself, **({"userAssignedIdentities": named} if named else {})}}


#: Type token to what the service computes from the inputs.
COMPUTED: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "resources:ResourceGroup": lambda name, given: {"name": given["resourceGroupName"]},
    "storage:StorageAccount": lambda name, given: {
        "name": given["accountName"],
        "primaryEndpoints": {"blob": f"https://{given['accountName']}.blob.core.windows.net/"},
        **(_identity(given) if "identity" in given else {}),
    },
    "storage:BlobContainer": lambda name, given: {"name": given["containerName"]},
    "storage:BlobServiceProperties": lambda name, given: {},
    "storage:FileServiceProperties": lambda name, given: {},
    "storage:Queue": lambda name, given: {"name": given["queueName"]},
    "keyvault:Vault": lambda name, given: {
        "name": given["vaultName"],
        "properties": {**given["properties"], "vaultUri": f"https://{given['vaultName']}.vault.azure.net/"},
    },
    "keyvault:Key": lambda name, given: {
        "name": given["keyName"],
        "keyUri": f"https://{given['vaultName']}.vault.azure.net/keys/{given['keyName']}",
        "keyUriWithVersion": f"https://{given['vaultName']}.vault.azure.net/keys/{given['keyName']}/1",
    },
    "keyvault:Secret": lambda name, given: {
        "name": given["secretName"],
        "properties": {"secretUri": f"https://{given['vaultName']}.vault.azure.net/secrets/{given['secretName']}"},
    },
    "storage:ManagementPolicy": lambda name, given: {},
    "web:AppServicePlan": lambda name, given: {"name": given["name"]},
    "web:WebApp": lambda name, given: {
        "name": given["name"],
        "defaultHostName": f"{given['name']}.azurewebsites.net",
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": {each: {} for each in given["identity"]["userAssignedIdentities"]},
        },
    },
    "web:WebAppFtpAllowed": lambda name, given: {},
    "web:WebAppScmAllowed": lambda name, given: {},
    "network:VirtualNetwork": lambda name, given: {"name": given["virtualNetworkName"]},
    "network:Subnet": lambda name, given: {"name": given["subnetName"]},
    "network:NetworkSecurityGroup": lambda name, given: {"name": given["networkSecurityGroupName"]},
    "network:PrivateEndpoint": lambda name, given: {"name": given["privateEndpointName"]},
    "network:PrivateDnsZoneGroup": lambda name, given: {},
    "privatedns:PrivateZone": lambda name, given: {"name": given["privateZoneName"]},
    "privatedns:VirtualNetworkLink": lambda name, given: {},
    "authorization:ManagementLockByScope": lambda name, given: {},
    "machinelearningservices:Datastore": lambda name, given: {},
    "machinelearningservices:Registry": lambda name, given: {"name": given["registryName"]},
    "containerregistry:Registry": lambda name, given: {"name": given["registryName"]},
    "operationalinsights:Workspace": lambda name, given: {"name": given["workspaceName"], "customerId": "customer"},
    "applicationinsights:Component": lambda name, given: {
        "name": given["resourceName"],
        "connectionString": "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://x/",
    },
    "cdn:Profile": lambda name, given: {
        "name": given["profileName"],
        "frontDoorId": "99999999-8888-7777-6666-555555555555",
    },
    "cdn:AFDEndpoint": lambda name, given: {
        "name": given["endpointName"],
        "hostName": f"{given['endpointName']}-abc123.z01.azurefd.net",
    },
    "cdn:AFDCustomDomain": lambda name, given: {
        "name": given["customDomainName"],
        "validationProperties": {"validationToken": "token", "expirationDate": "2026-12-01T00:00:00Z"},
    },
    "cdn:AFDOriginGroup": lambda name, given: {"name": given["originGroupName"]},
    "cdn:AFDOrigin": lambda name, given: {"name": given["originName"]},
    "cdn:Route": lambda name, given: {"name": given["routeName"]},
    "cdn:SecurityPolicy": lambda name, given: {"name": given["securityPolicyName"]},
    "frontdoor:Policy": lambda name, given: {"name": given["policyName"]},
    "apimanagement:ApiManagementService": lambda name, given: {
        "name": given["serviceName"],
        "gatewayUrl": f"https://{given['serviceName']}.azure-api.net",
        "identity": {"type": "SystemAssigned", "principalId": f"principal-{name}"},
    },
    "apimanagement:Api": lambda name, given: {"name": given["apiId"]},
    "apimanagement:ApiPolicy": lambda name, given: {},
    "apimanagement:ApiOperationPolicy": lambda name, given: {},
    "apimanagement:Backend": lambda name, given: {"name": given["backendId"]},
    "apimanagement:Diagnostic": lambda name, given: {},
    "apimanagement:Logger": lambda name, given: {"name": given["loggerId"]},
    "apimanagement:NamedValue": lambda name, given: {"name": given["namedValueId"]},
    "managedidentity:UserAssignedIdentity": lambda name, given: {
        "name": given["resourceName"],
        "principalId": f"principal-{name}",
        "clientId": f"client-{name}",
    },
    "authorization:RoleAssignment": lambda name, given: {},
    "authorization:RoleDefinition": lambda name, given: {},
    "azuread:index/application:Application": lambda name, given: {"clientId": f"client-{name}"},
    "azuread:index/servicePrincipal:ServicePrincipal": lambda name, given: {"objectId": f"principal-{name}"},
    "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential": lambda name, given: {},
    "machinelearningservices:Workspace": lambda name, given: {
        "name": given["workspaceName"],
        **_identity(given),
        "mlFlowTrackingUri": "azureml://eastus.api.azureml.ms/mlflow/v1.0/x",
    },
    "containerservice:ManagedCluster": lambda name, given: {
        "name": given["resourceName"],
        "oidcIssuerProfile": {"enabled": True, "issuerURL": "https://eastus.oic.prod-aks.azure.com/t/i/"},
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": {each: {} for each in given["identity"]["userAssignedIdentities"]},
        },
        "identityProfile": {"kubeletidentity": {"objectId": "principal-kubelet"}},
    },
    "monitor:DataCollectionRule": lambda name, given: {"name": given["dataCollectionRuleName"]},
    "monitor:DataCollectionRuleAssociation": lambda name, given: {"name": given["associationName"]},
    "containerservice:AgentPool": lambda name, given: {"name": given["agentPoolName"]},
    "containerservice:MaintenanceConfiguration": lambda name, given: {"name": given["configName"]},
    "containerservice:ManagedNamespace": lambda name, given: {"name": given["managedNamespaceName"]},
    "containerservice:TrustedAccessRoleBinding": lambda name, given: {"name": given["trustedAccessRoleBindingName"]},
    "kubernetesconfiguration:Extension": lambda name, given: {"name": given["extensionName"]},
    "machinelearningservices:Compute": lambda name, given: {"name": given["computeName"], **_identity(given)},
    "machinelearningservices:OnlineEndpoint": lambda name, given: {
        "name": given["endpointName"],
        "properties": {**given["properties"], "scoringUri": f"https://{given['endpointName']}.eastus/score"},
        **_identity(given),
    },
    "machinelearningservices:BatchEndpoint": lambda name, given: {
        "name": given["endpointName"],
        "properties": {**given["properties"], "scoringUri": f"https://{given['endpointName']}.eastus/jobs"},
    },
    "machinelearningservices:WorkspaceConnection": lambda name, given: {"name": given["connectionName"]},
    "redisenterprise:RedisEnterprise": lambda name, given: {
        "name": given["clusterName"],
        "hostName": f"{given['clusterName']}.eastus.redis.azure.net",
        **(_identity(given) if "identity" in given else {}),
    },
    "redisenterprise:Database": lambda name, given: {"name": given["databaseName"]},
    "redisenterprise:AccessPolicyAssignment": lambda name, given: {"name": given["accessPolicyAssignmentName"]},
    "loadtestservice:LoadTest": lambda name, given: {
        "name": given["loadTestName"],
        "dataPlaneURI": f"{given['loadTestName']}.eastus.cnt-prod.loadtesting.azure.com",
        **_identity(given),
    },
    "monitor:ActionGroup": lambda name, given: {"name": given["actionGroupName"]},
    "monitor:MetricAlert": lambda name, given: {"name": given["ruleName"]},
    "monitor:ScheduledQueryRule": lambda name, given: {"name": given["ruleName"]},
    "monitor:ActivityLogAlert": lambda name, given: {"name": given["activityLogAlertName"]},
    "monitor:AzureMonitorWorkspace": lambda name, given: {"name": given["azureMonitorWorkspaceName"]},
    "operationalinsights:QueryPack": lambda name, given: {"name": given["queryPackName"]},
    "operationalinsights:Query": lambda name, given: {},
    "applicationinsights:WebTest": lambda name, given: {"name": given["webTestName"]},
    "applicationinsights:Workbook": lambda name, given: {"name": given["resourceName"]},
    "dashboard:Grafana": lambda name, given: {
        "name": given["workspaceName"],
        "identity": {"type": "SystemAssigned", "principalId": f"principal-{name}"},
        "properties": {**given["properties"], "endpoint": f"https://{given['workspaceName']}.grafana.azure.com"},
    },
    "monitor:DiagnosticSetting": lambda name, given: {},
    "automation:AutomationAccount": lambda name, given: {
        "name": given["automationAccountName"],
        "identity": {"type": "SystemAssigned", "principalId": f"principal-{name}"},
    },
    "automation:Runbook": lambda name, given: {"name": given["runbookName"]},
    "automation:Schedule": lambda name, given: {},
    "automation:JobSchedule": lambda name, given: {},
    "costmanagement:Export": lambda name, given: {
        "name": given["exportName"],
        "identity": {"type": "SystemAssigned", "principalId": f"principal-{name}"},
    },
    "consumption:Budget": lambda name, given: {"name": given["budgetName"]},
    "eventgrid:Topic": lambda name, given: {
        "name": given["topicName"],
        "endpoint": f"https://{given['topicName']}.eastus-1.eventgrid.azure.net/api/events",
        "identity": {"type": "SystemAssigned", "principalId": f"principal-{name}"},
    },
    "eventgrid:SystemTopic": lambda name, given: {
        "name": given["systemTopicName"],
        "identity": {"type": "SystemAssigned", "principalId": f"principal-{name}"},
    },
    "eventgrid:TopicEventSubscription": lambda name, given: {},
    "eventgrid:SystemTopicEventSubscription": lambda name, given: {},
}


@dataclass
class Declared:
    """One resource as the program declared it."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    protect: bool
    ignore_changes: tuple[str, ...]
    depends_on: tuple[str, ...]
    replace_on_changes: tuple[str, ...] = ()
    delete_before_replace: bool = False
    aliases: tuple[str, ...] = ()


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Knows the types above and `getClientConfig`; anything else is an error."""

    declared: dict[str, Declared] = field(default_factory=dict)
    components: dict[str, Declared] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if not args.custom and args.typ.startswith("rollouts:"):
            return "", {}
        kind = args.typ.removeprefix("azure-native:")
        if kind not in COMPUTED or (args.typ == kind and not kind.startswith("azuread:")):
            raise AssertionError(f"unknown resource type {args.typ} ({args.name})")
        scope = f"/subscriptions/{SUBSCRIPTION}/mock/{kind}/{args.name}"
        return scope, {**args.inputs, **COMPUTED[kind](args.name, args.inputs)}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        if args.token == "azure-native:authorization:getClientConfig":
            return {"clientId": "client", "objectId": "me", "subscriptionId": SUBSCRIPTION, "tenantId": "tenant"}
        if args.token == "azure-native:resources:getResourceGroup":
            raise NotMade
        raise AssertionError(f"unknown function {args.token}")


class NotMade(grpc.RpcError):
    """As the provider answers for what is not there: every stack of these tests is a new one."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return 'Status=404 Code="ResourceGroupNotFound"'


def _plain(value: Any) -> Any:
    """Inputs as the provider is given them: with secrets' values."""
    if pulumi.runtime.rpc.is_rpc_secret(value):
        value = pulumi.runtime.rpc.unwrap_rpc_secret(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


class RecordingMonitor(pulumi_mocks.MockMonitor):
    """The mock monitor forgets options; this one keeps them."""

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return answer
        known = self.mocks.declared if request.custom else self.mocks.components
        known[request.name] = Declared(
            type=request.type.removeprefix("azure-native:"),
            name=request.name,
            inputs=_plain(pulumi.runtime.rpc.deserialize_properties(request.object, keep_unknowns=True)),
            parent=request.parent.rsplit("::", 1)[-1],
            protect=request.protect,
            ignore_changes=tuple(request.ignoreChanges),
            depends_on=tuple(sorted(urn.rsplit("::", 1)[-1] for urn in request.dependencies)),
            replace_on_changes=tuple(request.replaceOnChanges),
            delete_before_replace=request.deleteBeforeReplace,
            aliases=tuple(f"{each.spec.type} {each.spec.name}".strip() for each in request.aliases),
        )
        return answer


def stack_values(stack: str) -> dict[str, Any]:
    """The stack file's values, by key without the project's namespace."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text("utf-8"))["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}


def settings_of(stack: str, **changes: Any) -> Settings:
    """The settings of a stack file with some keys changed."""
    return parse(stack, {**stack_values(stack), **changes})


@dataclass
class Run:
    """What a program declared and exported."""

    declared: dict[str, Declared]
    components: dict[str, Declared]
    outputs: dict[str, Any]

    def of(self, kind: str) -> list[Declared]:
        return [each for each in self.declared.values() if each.type == kind]

    def one(self, kind: str) -> Declared:
        (only,) = self.of(kind)
        return only


def run(stack: str, program: Callable[[], None], *, preview: bool = False) -> Run:
    """Run `program` as the Pulumi program of `stack`."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    recorder = Recorder()
    pulumi.runtime.set_mocks(
        recorder, project=PROJECT, stack=stack, preview=preview, monitor=RecordingMonitor(recorder)
    )
    exported: dict[str, Any] = {}

    async def go() -> None:
        await run_pulumi_func(program)
        for name, value in pulumi.runtime.get_root_resource().outputs.items():  # type: ignore[union-attr]
            exported[name] = await pulumi.Output.from_input(value).future()

    loop.run_until_complete(go())
    return Run(recorder.declared, recorder.components, exported)
