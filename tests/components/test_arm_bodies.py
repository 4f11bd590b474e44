"""Every ARM body that the program sends holds to Microsoft's own models of the service."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from components import outputs
from components.platform import build
from components.settings import Settings
from sandbox.plugins.azure_native.catalogue import lookup
from sandbox.plugins.azure_native.shape import request_body
from tests.components.arm_models import problems
from tests.components.mocks import PROJECT, Declared, run, settings_of
from tests.options import settings_with_every_option

_ML = "azure.ai.ml._restclient.arm_ml_service.models"
#: What is PUT for a type: the module and the class of its model.
MODELS: dict[str, tuple[str, str]] = {
    "apimanagement:Api": ("azure.mgmt.apimanagement.models", "ApiCreateOrUpdateParameter"),
    "apimanagement:ApiManagementService": ("azure.mgmt.apimanagement.models", "ApiManagementServiceResource"),
    "apimanagement:ApiOperationPolicy": ("azure.mgmt.apimanagement.models", "PolicyContract"),
    "apimanagement:ApiPolicy": ("azure.mgmt.apimanagement.models", "PolicyContract"),
    "apimanagement:Backend": ("azure.mgmt.apimanagement.models", "BackendContract"),
    "apimanagement:Diagnostic": ("azure.mgmt.apimanagement.models", "DiagnosticContract"),
    "apimanagement:Logger": ("azure.mgmt.apimanagement.models", "LoggerContract"),
    "apimanagement:NamedValue": ("azure.mgmt.apimanagement.models", "NamedValueCreateContract"),
    "applicationinsights:Component": ("azure.mgmt.applicationinsights.v2020_02_02.models", "ApplicationInsightsComponent"),
    "authorization:ManagementLockByScope": ("azure.mgmt.resource.locks.models", "ManagementLockObject"),
    "authorization:RoleAssignment": ("azure.mgmt.authorization.v2022_04_01.models", "RoleAssignmentCreateParameters"),
    "authorization:RoleDefinition": ("azure.mgmt.authorization.v2022_04_01.models", "RoleDefinition"),
    "automation:AutomationAccount": ("azure.mgmt.automation.models", "AutomationAccountCreateOrUpdateParameters"),
    "automation:JobSchedule": ("azure.mgmt.automation.models", "JobScheduleCreateParameters"),
    "automation:Runbook": ("azure.mgmt.automation.models", "RunbookCreateOrUpdateParameters"),
    "automation:Schedule": ("azure.mgmt.automation.models", "ScheduleCreateOrUpdateParameters"),
    "cdn:AFDCustomDomain": ("azure.mgmt.cdn.models", "AFDDomain"),
    "cdn:AFDEndpoint": ("azure.mgmt.cdn.models", "AFDEndpoint"),
    "cdn:AFDOrigin": ("azure.mgmt.cdn.models", "AFDOrigin"),
    "cdn:AFDOriginGroup": ("azure.mgmt.cdn.models", "AFDOriginGroup"),
    "cdn:Profile": ("azure.mgmt.cdn.models", "Profile"),
    "cdn:Route": ("azure.mgmt.cdn.models", "Route"),
    "cdn:SecurityPolicy": ("azure.mgmt.cdn.models", "SecurityPolicy"),
    "consumption:Budget": ("azure.mgmt.consumption.models", "Budget"),
    "costmanagement:Export": ("azure.mgmt.costmanagement.models", "Export"),
    "containerregistry:Registry": ("azure.mgmt.containerregistry.models", "Registry"),
    "containerservice:AgentPool": ("azure.mgmt.containerservice.models", "AgentPool"),
    "containerservice:MaintenanceConfiguration": ("azure.mgmt.containerservice.models", "MaintenanceConfiguration"),
    "containerservice:ManagedCluster": ("azure.mgmt.containerservice.models", "ManagedCluster"),
    "containerservice:ManagedNamespace": ("azure.mgmt.containerservice.models", "ManagedNamespace"),
    "containerservice:TrustedAccessRoleBinding": ("azure.mgmt.containerservice.models", "TrustedAccessRoleBinding"),
    "eventgrid:SystemTopic": ("azure.mgmt.eventgrid.models", "SystemTopic"),
    "eventgrid:SystemTopicEventSubscription": ("azure.mgmt.eventgrid.models", "EventSubscription"),
    "eventgrid:Topic": ("azure.mgmt.eventgrid.models", "Topic"),
    "eventgrid:TopicEventSubscription": ("azure.mgmt.eventgrid.models", "EventSubscription"),
    "frontdoor:Policy": ("azure.mgmt.frontdoor.models", "WebApplicationFirewallPolicy"),
    "keyvault:Key": ("azure.mgmt.keyvault.models", "KeyCreateParameters"),
    "keyvault:Secret": ("azure.mgmt.keyvault.models", "SecretCreateOrUpdateParameters"),
    "keyvault:Vault": ("azure.mgmt.keyvault.models", "VaultCreateOrUpdateParameters"),
    "machinelearningservices:BatchEndpoint": (_ML, "BatchEndpoint"),
    "kubernetesconfiguration:Extension": ("azure.mgmt.kubernetesconfiguration.extensions.models", "Extension"),
    "machinelearningservices:Compute": (_ML, "ComputeResource"),
    "machinelearningservices:Datastore": (_ML, "Datastore"),
    "machinelearningservices:ManagedNetworkSettingsRule": (_ML, "OutboundRuleBasicResource"),
    "machinelearningservices:OnlineEndpoint": (_ML, "OnlineEndpoint"),
    "loadtestservice:LoadTest": ("azure.mgmt.loadtesting.models", "LoadTestResource"),
    "machinelearningservices:WorkspaceConnection": (_ML, "WorkspaceConnectionPropertiesV2BasicResource"),
    "redisenterprise:AccessPolicyAssignment": ("azure.mgmt.redisenterprise.models", "AccessPolicyAssignment"),
    "redisenterprise:Database": ("azure.mgmt.redisenterprise.models", "Database"),
    "redisenterprise:RedisEnterprise": ("azure.mgmt.redisenterprise.models", "Cluster"),
    "machinelearningservices:Registry": (_ML, "Registry"),
    "machinelearningservices:Workspace": (_ML, "Workspace"),
    "managedidentity:UserAssignedIdentity": ("azure.mgmt.msi.v2024_11_30.models", "Identity"),
    "applicationinsights:WebTest": ("azure.mgmt.applicationinsights.v2022_06_15.models", "WebTest"),
    "applicationinsights:Workbook": ("azure.mgmt.applicationinsights.v2023_06_01.models", "Workbook"),
    "dashboard:Grafana": ("azure.mgmt.dashboard.models", "ManagedGrafana"),
    "monitor:ActivityLogAlert": ("azure.mgmt.monitor.models", "ActivityLogAlertResource"),
    "monitor:AzureMonitorWorkspace": ("azure.mgmt.monitorworkspaces.models", "AzureMonitorWorkspaceResource"),
    "operationalinsights:Query": ("azure.mgmt.loganalytics.models", "LogAnalyticsQueryPackQuery"),
    "operationalinsights:QueryPack": ("azure.mgmt.loganalytics.models", "LogAnalyticsQueryPack"),
    "monitor:ActionGroup": ("azure.mgmt.monitor.models", "ActionGroupResource"),
    "monitor:DataCollectionRule": ("azure.mgmt.monitor.models", "DataCollectionRuleResource"),
    "monitor:DataCollectionRuleAssociation": ("azure.mgmt.monitor.models", "DataCollectionRuleAssociationProxyOnlyResource"),
    "monitor:MetricAlert": ("azure.mgmt.monitor.models", "MetricAlertResource"),
    "monitor:ScheduledQueryRule": ("azure.mgmt.monitor.models", "ScheduledQueryRuleResource"),
    "network:NetworkSecurityGroup": ("azure.mgmt.network.models", "NetworkSecurityGroup"),
    "network:PrivateDnsZoneGroup": ("azure.mgmt.network.models", "PrivateDnsZoneGroup"),
    "network:PrivateEndpoint": ("azure.mgmt.network.models", "PrivateEndpoint"),
    "network:Subnet": ("azure.mgmt.network.models", "Subnet"),
    "network:VirtualNetwork": ("azure.mgmt.network.models", "VirtualNetwork"),
    "operationalinsights:Workspace": ("azure.mgmt.loganalytics.models", "Workspace"),
    "privatedns:PrivateZone": ("azure.mgmt.privatedns.models", "PrivateZone"),
    "privatedns:VirtualNetworkLink": ("azure.mgmt.privatedns.models", "VirtualNetworkLink"),
    "resources:ResourceGroup": ("azure.mgmt.resource.resources.models", "ResourceGroup"),
    "storage:BlobContainer": ("azure.mgmt.storage.models", "BlobContainer"),
    "storage:BlobServiceProperties": ("azure.mgmt.storage.models", "BlobServiceProperties"),
    "storage:FileServiceProperties": ("azure.mgmt.storage.models", "FileServiceProperties"),
    "storage:ManagementPolicy": ("azure.mgmt.storage.models", "ManagementPolicy"),
    "storage:Queue": ("azure.mgmt.storage.models", "StorageQueue"),
    "storage:StorageAccount": ("azure.mgmt.storage.models", "StorageAccountCreateParameters"),
    "web:AppServicePlan": ("azure.mgmt.web.models", "AppServicePlan"),
    "web:WebApp": ("azure.mgmt.web.models", "Site"),
    "web:WebAppFtpAllowed": ("azure.mgmt.web.models", "CsmPublishingCredentialsPoliciesEntity"),
    "web:WebAppScmAllowed": ("azure.mgmt.web.models", "CsmPublishingCredentialsPoliciesEntity"),
}  # fmt: skip

#: Type and problem, and why it is none.
EXCEPTIONS: dict[tuple[str, str], str] = {}
#: Types that no released model describes, and why.
NO_MODEL: dict[str, str] = {
    "monitor:DiagnosticSetting": "azure-mgmt-monitor 7.0.0 has no diagnostic settings any more; ARM itself refuses a wrong category",
}

STACKS = ("dev", "staging", "prod")


def declared(stack: str, settings: Settings) -> list[Declared]:
    """The Azure resources of a stack, as the program declares them."""
    made = run(stack, lambda: outputs.export(outputs.document(settings, build(settings, PROJECT), PROJECT)))
    return [each for each in made.declared.values() if not each.type.startswith("azuread:")]


def body_of(resource: Declared) -> dict[str, Any]:
    """What azure-native puts for the resource's inputs."""
    row, _ = lookup(f"azure-native:{resource.type}")
    return request_body(row, resource.inputs)


def model_of(type_: str) -> type:
    module, name = MODELS[type_]
    found: type = getattr(importlib.import_module(module), name)
    return found


@pytest.mark.parametrize("settings", [settings_of, settings_with_every_option], ids=["as it is", "every option on"])
@pytest.mark.parametrize("stack", STACKS)
def test_every_body_holds_to_the_model_of_its_service(stack: str, settings: Callable[[str], Settings]) -> None:
    wrong = []
    for resource in declared(stack, settings(stack)):
        if resource.type in NO_MODEL:
            continue
        assert resource.type in MODELS, f"{resource.type}: name its model in MODELS"
        for problem in problems(model_of(resource.type), body_of(resource)):
            if (resource.type, problem) not in EXCEPTIONS:
                wrong.append(f"{resource.type} {resource.name}: {problem}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("type_", "body", "problem"),
    [
        ("storage:StorageAccount", {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}}, "missing location"),
        ("keyvault:Vault", {"location": "eastus", "properties": {"tenantId": "t", "sku": {"name": "standard", "family": "A"}, "purge": True}}, "unknown properties.purge"),
        ("operationalinsights:Workspace", {"location": "eastus", "properties": {"customerId": "x"}}, "read-only properties.customerId"),
        ("eventgrid:Topic", {"location": "eastus", "properties": {"endpoint": "x"}}, "read-only properties.endpoint"),
        ("machinelearningservices:Compute", {"properties": {"computeType": "AmlCompute", "properties": {"vmSise": "x"}}}, "unknown properties.properties.vmSise"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_caught(type_: str, body: dict[str, Any], problem: str) -> None:
    assert problem in list(problems(model_of(type_), body))
