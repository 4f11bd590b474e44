"""How many machines a deployment has while it is live: Azure Monitor's autoscale settings, one a deployment.

They are set when the deployment is made, before it takes traffic: a green that could not grow would be compared with a
blue that can. They go with the deployment; Azure leaves them behind otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract.autoscaling import name_of, settings
from rollout.azure.errors import waiting_while_busy

if TYPE_CHECKING:
    from rollout.azure.arm import ArmWriter
    from rollout.controller.ports import DeploymentSpec, Scaling

API_VERSION = "2022-10-01"


class AzureScaling:
    """Autoscale settings of one endpoint's deployments. They lie in the workspace's resource group."""

    def __init__(self, endpoint_id: str, location: str, arm: ArmWriter) -> None:
        self._endpoint_id, self._location, self._arm = endpoint_id, location, arm

    def set(self, spec: DeploymentSpec) -> None:
        """Let the deployment of `spec` scale as it says; nothing where it does not scale. Safe to repeat."""
        if spec.scale is None:
            return
        document = settings_of(self._endpoint_id, self._location, spec, spec.scale)
        doing = f"set how deployment {spec.name!r} scales"
        waiting_while_busy(lambda: self._arm.put(self._id(spec.name), API_VERSION, document, doing))

    def delete(self, deployment: str) -> None:
        """Forget how it scales; nothing to forget is no error."""
        doing = f"delete how deployment {deployment!r} scales"
        waiting_while_busy(lambda: self._arm.delete(self._id(deployment), API_VERSION, doing))

    def _id(self, deployment: str) -> str:
        group = self._endpoint_id.split("/providers/")[0]
        return f"{group}/providers/Microsoft.Insights/autoscaleSettings/{name_of(self._endpoint_id, deployment)}"


def settings_of(endpoint_id: str, location: str, spec: DeploymentSpec, scale: Scaling) -> dict[str, Any]:
    """The document that ARM takes."""
    return settings(endpoint_id, location, spec.name, spec.instance_count, scale)
