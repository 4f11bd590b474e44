"""The project's own roles: the exact actions of a rollout, of looking, and of a preview. No wildcards.

`tests/sandbox/test_roles.py` rolls out and back with them; `tests/sandbox/test_role_actions.py` shows what fails without
each action of the first, so that none is there for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_ML = "Microsoft.MachineLearningServices/workspaces"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_METRICS = "Microsoft.Insights/Metrics/Read"


class Where(Enum):
    """The resource that a part of a role is assigned at."""

    GROUP = "the resource group"
    WORKSPACE = "the workspace"
    JOURNAL = "the journal's container"
    TOPIC = "the stack's topic"
    LOGS = "the Log Analytics workspace"


@dataclass(frozen=True, slots=True)
class CustomRole:
    """One role definition. `data_actions` are the services' own: blobs, events."""

    title: str
    description: str
    actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    assigned: tuple[Where, ...] = ()

    @property
    def key(self) -> str:
        """Its name among Pulumi's resources and the outputs."""
        return self.title.lower().replace(" ", "-")


OPERATOR = CustomRole(
    "Model Rollout Operator",
    "Deploys models to online endpoints, moves their traffic and sends it back. Owns no infrastructure.",
    actions=(
        f"{_ML}/read",
        f"{_ML}/models/versions/read",
        f"{_ML}/environments/versions/write",
        f"{_ML}/codes/versions/read",
        f"{_ML}/codes/versions/write",
        f"{_ML}/codes/versions/startPendingUpload/action",
        f"{_ML}/datastores/read",
        f"{_ML}/datastores/listSecrets/action",
        f"{_ML}/onlineEndpoints/read",
        f"{_ML}/onlineEndpoints/write",
        f"{_ML}/onlineEndpoints/listKeys/action",
        f"{_ML}/onlineEndpoints/token/action",
        f"{_ML}/onlineEndpoints/deployments/read",
        f"{_ML}/onlineEndpoints/deployments/write",
        f"{_ML}/onlineEndpoints/deployments/delete",
        f"{_ML}/onlineEndpoints/deployments/getLogs/action",
        # who writes an endpoint hands it its identity again, and must be allowed to
        "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
        _METRICS,
    ),
    data_actions=(
        f"{_BLOBS}/read",
        f"{_BLOBS}/write",
        "Microsoft.EventGrid/events/send/action",
    ),
    assigned=(Where.WORKSPACE, Where.JOURNAL, Where.TOPIC),
)

#: Code and environments of a new version, and why it does not start: parking makes what was there.
_OF_RELEASES = (
    f"{_ML}/environments/versions/write",
    f"{_ML}/codes/versions/read",
    f"{_ML}/codes/versions/write",
    f"{_ML}/codes/versions/startPendingUpload/action",
    f"{_ML}/onlineEndpoints/deployments/getLogs/action",
)
#: What takes idle endpoints away in the evening and puts them back in the morning: an operator that makes nothing new.
PARKER = CustomRole(
    "Model Parker",
    "Deletes the deployments of idle endpoints in the off hours and makes the same ones again. Registers and changes no model.",
    actions=tuple(each for each in OPERATOR.actions if each not in _OF_RELEASES),
    data_actions=OPERATOR.data_actions,
    assigned=OPERATOR.assigned,
)

#: Autoscale settings lie in the resource group, not below the deployment that they are for: a role of their own, so that
#: nothing else of the operator's reaches the whole group. Only where an endpoint scales.
SCALER = CustomRole(
    "Model Scale Operator",
    "Sets how many machines a deployment may have.",
    actions=(
        "Microsoft.Insights/autoscaleSettings/write",
        "Microsoft.Insights/autoscaleSettings/delete",
    ),
    assigned=(Where.GROUP,),
)

#: Kubernetes endpoints have no platform metrics: their request log is the evidence. Only where an endpoint is on the cluster.
LOG_READER = CustomRole(
    "Model Request Reader",
    "Reads the request log of the pods that serve models, by which a rollout on Kubernetes is judged.",
    actions=(
        "Microsoft.OperationalInsights/workspaces/query/read",
        "Microsoft.OperationalInsights/workspaces/query/AppRequests/read",
    ),
    assigned=(Where.LOGS,),
)

#: What the operator needs besides its own role to score files. Only where the stack has a batch endpoint; Azure makes the
#: job of an invocation as its caller, so the caller needs the rights of jobs and runs. `tests/sandbox/test_batch_role.py`.
BATCHER = CustomRole(
    "Model Batch Operator",
    "Deploys models to batch endpoints, makes one the default, and scores files with it.",
    actions=(
        f"{_ML}/batchEndpoints/read",
        f"{_ML}/batchEndpoints/write",
        f"{_ML}/batchEndpoints/deployments/read",
        f"{_ML}/batchEndpoints/deployments/write",
        f"{_ML}/batchEndpoints/jobs/read",
        f"{_ML}/batchEndpoints/jobs/write",
        f"{_ML}/experiments/runs/read",
        f"{_ML}/experiments/runs/submit/action",
        f"{_ML}/jobs/read",
    ),
    assigned=(Where.WORKSPACE,),
)

READER = CustomRole(
    "Model Reader",
    "Sees models, endpoints, deployments, their metrics and the rollouts' journal; changes nothing.",
    actions=(
        f"{_ML}/read",
        f"{_ML}/models/read",
        f"{_ML}/models/versions/read",
        f"{_ML}/onlineEndpoints/read",
        f"{_ML}/onlineEndpoints/deployments/read",
        _METRICS,
    ),
    data_actions=(f"{_BLOBS}/read",),
    assigned=(Where.WORKSPACE, Where.JOURNAL),
)

SCORER = CustomRole(
    "Model Scorer",
    "Asks endpoints whose clients sign in with Entra ID for predictions; sees and changes nothing.",
    actions=(f"{_ML}/onlineEndpoints/score/action",),
    # the operator's smoke tests; the gateway has it at single endpoints
    assigned=(Where.WORKSPACE,),
)

#: What `pulumi preview` and `pulumi preview --refresh` read: every type that the program declares.
PREVIEWER = CustomRole(
    "Infrastructure Previewer",
    "Shows what `pulumi up` would change; changes nothing and reads no keys.",
    actions=(
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/blobServices/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/read",
        "Microsoft.Storage/storageAccounts/fileServices/read",
        "Microsoft.Storage/storageAccounts/queueServices/queues/read",
        "Microsoft.KeyVault/vaults/read",
        "Microsoft.ContainerRegistry/registries/read",
        "Microsoft.ManagedIdentity/userAssignedIdentities/read",
        "Microsoft.ContainerService/managedClusters/read",
        "Microsoft.ContainerService/managedClusters/agentPools/read",
        "Microsoft.ContainerService/managedClusters/maintenanceConfigurations/read",
        "Microsoft.ContainerService/managedClusters/managedNamespaces/read",
        "Microsoft.ContainerService/managedClusters/trustedAccessRoleBindings/read",
        "Microsoft.KubernetesConfiguration/extensions/read",
        "Microsoft.Insights/dataCollectionRules/read",
        "Microsoft.Insights/dataCollectionRuleAssociations/read",
        "Microsoft.OperationalInsights/workspaces/read",
        "Microsoft.Insights/components/read",
        "Microsoft.Insights/actionGroups/read",
        "Microsoft.Insights/metricAlerts/read",
        "Microsoft.Insights/scheduledQueryRules/read",
        "Microsoft.Insights/diagnosticSettings/read",
        "Microsoft.Insights/webtests/read",
        "Microsoft.Insights/workbooks/read",
        "Microsoft.Insights/activityLogAlerts/read",
        "Microsoft.OperationalInsights/queryPacks/read",
        "Microsoft.OperationalInsights/queryPacks/queries/read",
        "Microsoft.Monitor/accounts/read",
        "Microsoft.Dashboard/grafana/read",
        f"{_ML}/read",
        f"{_ML}/computes/read",
        f"{_ML}/onlineEndpoints/read",
        "Microsoft.KeyVault/vaults/secrets/read",
        "Microsoft.Storage/storageAccounts/managementPolicies/read",
        "Microsoft.Web/serverfarms/read",
        "Microsoft.Web/sites/read",
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies/read",
        f"{_ML}/batchEndpoints/read",
        f"{_ML}/connections/read",
        "Microsoft.Cache/redisEnterprise/read",
        "Microsoft.Cache/redisEnterprise/databases/read",
        "Microsoft.Cache/redisEnterprise/databases/accessPolicyAssignments/read",
        "Microsoft.LoadTestService/loadTests/read",
        f"{_ML}/datastores/read",
        "Microsoft.MachineLearningServices/registries/read",
        "Microsoft.Authorization/roleAssignments/read",
        "Microsoft.Authorization/roleDefinitions/read",
        "Microsoft.Authorization/locks/read",
        "Microsoft.Consumption/budgets/read",
        "Microsoft.CostManagement/exports/read",
        "Microsoft.Automation/automationAccounts/read",
        "Microsoft.Automation/automationAccounts/runbooks/read",
        "Microsoft.Automation/automationAccounts/schedules/read",
        "Microsoft.Automation/automationAccounts/jobSchedules/read",
        "Microsoft.EventGrid/topics/read",
        "Microsoft.EventGrid/topics/eventSubscriptions/read",
        "Microsoft.EventGrid/systemTopics/read",
        "Microsoft.EventGrid/systemTopics/eventSubscriptions/read",
        "Microsoft.Network/virtualNetworks/read",
        "Microsoft.Network/virtualNetworks/subnets/read",
        "Microsoft.Network/networkSecurityGroups/read",
        "Microsoft.Network/privateEndpoints/read",
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/read",
        "Microsoft.Network/privateDnsZones/read",
        "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
        "Microsoft.Network/frontdoorWebApplicationFirewallPolicies/read",
        "Microsoft.Cdn/profiles/read",
        "Microsoft.Cdn/profiles/afdEndpoints/read",
        "Microsoft.Cdn/profiles/afdEndpoints/routes/read",
        "Microsoft.Cdn/profiles/customDomains/read",
        "Microsoft.Cdn/profiles/originGroups/read",
        "Microsoft.Cdn/profiles/originGroups/origins/read",
        "Microsoft.Cdn/profiles/securityPolicies/read",
        "Microsoft.ApiManagement/service/read",
        "Microsoft.ApiManagement/service/apis/read",
        "Microsoft.ApiManagement/service/apis/policies/read",
        "Microsoft.ApiManagement/service/apis/operations/policies/read",
        "Microsoft.ApiManagement/service/backends/read",
        "Microsoft.ApiManagement/service/diagnostics/read",
        "Microsoft.ApiManagement/service/loggers/read",
        "Microsoft.ApiManagement/service/namedValues/read",
    ),
    assigned=(Where.GROUP,),
)

CUSTOM_ROLES = (OPERATOR, READER, PREVIEWER)
