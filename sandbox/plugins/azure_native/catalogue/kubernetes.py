"""Azure Kubernetes Service and the extensions of its clusters."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import GROUP, row

_CLUSTER = "Microsoft.ContainerService/managedClusters/{resourceName}"
ROWS = (
    row(
        "containerservice:ManagedCluster",
        _CLUSTER,
        immutable=("location", "dnsPrefix", "networkProfile.podCidr", "networkProfile.serviceCidr",
                   "apiServerAccessProfile.enablePrivateCluster"),
    ),
    row(
        "containerservice:AgentPool",
        f"{_CLUSTER}/agentPools/{{agentPoolName}}",
        inner=("tags", "type"),
        immutable=("vmSize", "osType", "vnetSubnetID"),
    ),
    row(
        "monitor:DataCollectionRule",
        "Microsoft.Insights/dataCollectionRules/{dataCollectionRuleName}",
        immutable=("location", "kind"),
    ),
    row(
        "monitor:DataCollectionRuleAssociation",
        "{resourceUri}/providers/Microsoft.Insights/dataCollectionRuleAssociations/{associationName}",
    ),
    row("containerservice:MaintenanceConfiguration", f"{_CLUSTER}/maintenanceConfigurations/{{configName}}"),
    row("containerservice:ManagedNamespace", f"{_CLUSTER}/managedNamespaces/{{managedNamespaceName}}", immutable=("location",)),
    row(
        "containerservice:TrustedAccessRoleBinding",
        f"{_CLUSTER}/trustedAccessRoleBindings/{{trustedAccessRoleBindingName}}",
        immutable=("sourceResourceId",),
    ),
    row(
        "kubernetesconfiguration:Extension",
        f"{GROUP}/providers/{{clusterRp}}/{{clusterResourceName}}/{{clusterName}}/providers/"
        "Microsoft.KubernetesConfiguration/extensions/{extensionName}",
        immutable=("extensionType", "scope"),
    ),
)  # fmt: skip
