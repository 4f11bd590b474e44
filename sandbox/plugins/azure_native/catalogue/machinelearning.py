"""Azure Machine Learning."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row, wrapped

_ML = "Microsoft.MachineLearningServices/workspaces/{workspaceName}"
ROWS = (
    row("machinelearningservices:Workspace", _ML, immutable=("location",)),
    row("machinelearningservices:Compute", f"{_ML}/computes/{{computeName}}", immutable=("location", "properties.computeType")),
    row("machinelearningservices:Datastore", f"{_ML}/datastores/{{name}}", query=("skipValidation",)),
    row("machinelearningservices:OnlineEndpoint", f"{_ML}/onlineEndpoints/{{endpointName}}", immutable=("location",)),
    row(
        "machinelearningservices:OnlineDeployment",
        f"{_ML}/onlineEndpoints/{{endpointName}}/deployments/{{deploymentName}}",
        immutable=("location",),
    ),
    row("machinelearningservices:BatchEndpoint", f"{_ML}/batchEndpoints/{{endpointName}}", immutable=("location",)),
    row("machinelearningservices:WorkspaceConnection", f"{_ML}/connections/{{connectionName}}"),
    row("machinelearningservices:Schedule", f"{_ML}/schedules/{{name}}"),
    row(
        "machinelearningservices:Registry",
        "Microsoft.MachineLearningServices/registries/{registryName}",
        immutable=("location",),
    ),
)  # fmt: skip
NESTED = {("machinelearningservices", "SharedPrivateLinkResource"): wrapped("name")}
ACTIONS = {
    "machinelearningservices:getOnlineEndpointToken": ("machinelearningservices:OnlineEndpoint", "token"),
    "machinelearningservices:listDatastoreSecrets": ("machinelearningservices:Datastore", "listSecrets"),
    "machinelearningservices:listOnlineEndpointKeys": ("machinelearningservices:OnlineEndpoint", "listKeys"),
    "machinelearningservices:listWorkspaceKeys": ("machinelearningservices:Workspace", "listKeys"),
}
