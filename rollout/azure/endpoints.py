"""One online endpoint: its deployments and its traffic. Read by plain GETs, changed through azure-ai-ml.

Scoring never goes through the SDK: its `invoke` retries a scorer's errors and lets a pinned deployment stick.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rollout.azure.documents import describe, put_deployment
from rollout.azure.errors import azure_errors, waiting_while_busy
from rollout.azure.model_refs import parse_model
from rollout.azure.quiet import quiet_sdk
from rollout.azure.specs import SPEC_TAG, deployment_of, fingerprint
from rollout.controller.ports import LiveDeployment, LiveEndpoint
from rollout.errors import BadInput, NotAllowed, NotFound, RolloutError, Unavailable

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint

    from rollout.azure.arm import ArmWriter
    from rollout.azure.scaling import AzureScaling
    from rollout.controller.ports import DeploymentSpec, Document, Weights

API_VERSION = "2022-02-01-preview"  # azure-ai-ml's own for endpoints and their deployments
MAX_DEPLOYMENTS = 20  # Azure's limit per endpoint
_SETTLED = frozenset({"Succeeded", "Failed", "Canceled"})
_LONGEST_DEPLOYMENT_SECONDS = 3600.0
_POLL_SECONDS = 3.0
#: azure-ai-ml puts these into an endpoint's properties when it reads one; they are not the endpoint's own.
_SDK_PROPERTIES = ("createdBy", "createdAt", "lastModifiedAt")


class AzureEndpoints:
    """`Endpoints` of one endpoint. Waits for what it starts; 409 and 429 are waited out, bounded."""

    def __init__(
        self,
        endpoint_id: str,
        arm: ArmWriter,
        ml_client: Callable[[], MLClient],
        *,
        scaling: AzureScaling | None = None,
        registry_client: Callable[[str], MLClient] | None = None,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        """`ml_client` is called when something is to be changed, not before. `scaling`: None where none scales."""
        self._id, self._endpoint = endpoint_id, endpoint_id.rsplit("/", 1)[-1]
        self._arm, self._ml_client, self._poll_seconds = arm, ml_client, poll_seconds
        self._scaling = scaling
        self._registry_client = registry_client or _no_registries

    @property
    def _client(self) -> MLClient:
        return self._ml_client()

    def live(self) -> LiveEndpoint:
        """What the service shows now; `NotFound` when the endpoint is missing."""
        doing = f"read endpoint {self._endpoint!r}"
        properties = self._arm.get(self._id, API_VERSION, doing)["properties"]
        found = list(self._arm.children(self._id, "deployments", API_VERSION, doing))
        return LiveEndpoint(
            provisioning_state=properties.get("provisioningState", ""),
            weights=_positive(properties.get("traffic")),
            mirror=_positive(properties.get("mirrorTraffic")),
            deployments={one["name"]: _live_deployment(one) for one in found},
        )

    def set_weights(
        self, weights: Weights, still_ours: Callable[[], None] = lambda: None, *, mirror: Weights | None = None
    ) -> None:
        """Put `weights` (0 or 100 in all) and wait; everything else of the endpoint is carried through as read.

        An endpoint that is Updating is waited for up to minutes: `still_ours` is asked again before each attempt.
        """
        wanted = _positive(weights)
        if sum(wanted.values()) not in (0, 100):
            shown = ", ".join(f"{name}={weight}" for name, weight in weights.items())
            raise BadInput(f"weights {shown} add up to {sum(weights.values())}; they must add up to 0 or 100")
        waiting_while_busy(lambda: self._put_weights(wanted, still_ours, mirror))

    def _put_weights(self, weights: dict[str, int], still_ours: Callable[[], None], mirror: Weights | None) -> None:
        with quiet_sdk(), azure_errors(f"set the traffic of endpoint {self._endpoint!r} to {weights}"):
            endpoint: ManagedOnlineEndpoint = self._client.online_endpoints.get(self._endpoint)
            endpoint.traffic = weights
            # The service refuses a deployment that is live and mirrored at once.
            mirrored = (endpoint.mirror_traffic or {}) if mirror is None else _positive(mirror)
            endpoint.mirror_traffic = {name: share for name, share in mirrored.items() if name not in weights}
            endpoint.properties = {
                key: value for key, value in (endpoint.properties or {}).items() if key not in _SDK_PROPERTIES
            }
            still_ours()
            self._client.online_endpoints.begin_create_or_update(endpoint).result()

    def deploy(self, spec: DeploymentSpec) -> None:
        """Create or complete `spec`, wait until it has Succeeded, and let it scale. Safe to repeat after a kill.

        A deployment of the same spec that is still being made is waited for; a failed or different one without
        traffic is made again. Raises `RolloutError` with the tail of the log when it ends up Failed.
        """
        self._make(spec)
        if self._scaling is not None:
            self._scaling.set(spec)

    def _make(self, spec: DeploymentSpec) -> None:
        mark = fingerprint(spec)
        existing = self._settled(spec.name)
        if existing is not None and existing.provisioning_state == "Succeeded" and _mark(existing) == mark:
            return
        if existing is not None:
            self._refuse_if_live(spec.name)
            self.delete(spec.name)
        else:
            self._refuse_if_full()
        try:
            waiting_while_busy(lambda: self._create(spec, mark))
        except (Unavailable, NotAllowed):
            raise  # no deployment was made, so there is no log
        except RolloutError as error:
            raise self._explained(spec.name, error) from error
        made = self._settled(spec.name)
        if made is None or made.provisioning_state != "Succeeded":
            state = made.provisioning_state if made else "gone"
            raise self._explained(spec.name, RolloutError(f"deployment {spec.name!r} ended as {state}"))

    def _create(self, spec: DeploymentSpec, mark: str) -> None:
        deployment = deployment_of(spec, self._endpoint, mark)
        with quiet_sdk(), azure_errors(f"deploy {spec.model} as {spec.name!r}"):
            self._client.online_deployments.begin_create_or_update(deployment, skip_script_validation=True).result()

    def delete(self, deployment: str, *, for_good: bool = True) -> None:
        """Delete it, for good also how it scales, and wait; one that is gone already is no error."""
        if self._scaling is not None and for_good:
            self._scaling.delete(deployment)

        def call() -> None:
            with quiet_sdk(), azure_errors(f"delete deployment {deployment!r}"):
                self._client.online_deployments.begin_delete(deployment, self._endpoint).result()

        try:
            waiting_while_busy(call)
        except NotFound:
            return

    def describe(self) -> dict[str, Document]:
        """Every deployment as a PUT takes it."""
        return describe(self._arm, self._id)

    def restore(self, deployment: str, document: Document) -> None:
        """Put what `describe` gave and wait until it has Succeeded; one that had failed is made anew."""
        existing = self._settled(deployment)
        if existing is not None and existing.provisioning_state == "Succeeded":
            return
        if existing is not None:
            self.delete(deployment, for_good=False)
        waiting_while_busy(lambda: put_deployment(self._arm, self._id, deployment, document))
        made = self._settled(deployment)
        if made is None or made.provisioning_state != "Succeeded":
            state = made.provisioning_state if made else "gone"
            raise self._explained(deployment, RolloutError(f"deployment {deployment!r} ended as {state}"))

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The tail of the scorer's console."""
        with azure_errors(f"read the logs of deployment {deployment!r}"):
            return str(self._client.online_deployments.get_logs(deployment, self._endpoint, lines))

    def model_exists(self, model: str) -> bool:
        """Whether it is registered, in the workspace or in the registry that it names."""
        ref = parse_model(model)
        try:
            with quiet_sdk(), azure_errors(f"find model {model!r}"):
                client = self._registry_client(ref.registry) if ref.registry else self._client
                client.models.get(ref.name, ref.version)
        except NotFound:
            return False
        return True

    def _find(self, name: str) -> ManagedOnlineDeployment | None:
        try:
            with azure_errors(f"read deployment {name!r}"):
                found: ManagedOnlineDeployment = self._client.online_deployments.get(name, self._endpoint)
        except NotFound:
            return None
        return found

    def _settled(self, name: str) -> ManagedOnlineDeployment | None:
        """The deployment once nothing works on it any more; None when there is none."""
        deadline = time.monotonic() + _LONGEST_DEPLOYMENT_SECONDS
        while (found := self._find(name)) is not None and found.provisioning_state not in _SETTLED:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"deployment {name!r} is {found.provisioning_state} for over an hour",
                    way_out="look at it in Azure ML studio; delete it if it hangs",
                )
            time.sleep(self._poll_seconds)
        return found

    def _refuse_if_live(self, name: str) -> None:
        weight = self.live().weights.get(name, 0)
        if weight:
            raise BadInput(
                f"deployment {name!r} takes {weight} % of the traffic and is not what was asked for",
                way_out="deploy under another name, or roll back first",
            )

    def _refuse_if_full(self) -> None:
        names = sorted(self.live().deployments)
        if len(names) >= MAX_DEPLOYMENTS:
            raise BadInput(
                f"endpoint {self._endpoint!r} has {len(names)} deployments, Azure's limit: {', '.join(names)}",
                way_out="delete one that takes no traffic",
            )

    def _explained(self, name: str, error: RolloutError) -> RolloutError:
        """`error` with the end of the deployment's log, and of its own kind."""
        try:
            tail = self.logs(name, 40).strip()
        except RolloutError as unread:
            tail = f"(its log can't be read: {unread.message}; {unread.way_out})"
        return type(error)(
            f"{error.message}\n{tail}",
            way_out=error.way_out or "fix score.py, the conda file or the model and start again; green took no traffic",
        )


def _positive(weights: Mapping[str, Any] | None) -> dict[str, int]:
    return {name: int(weight) for name, weight in (weights or {}).items() if int(weight) > 0}


def _mark(deployment: ManagedOnlineDeployment) -> str:
    return str((deployment.tags or {}).get(SPEC_TAG, ""))


def _no_registries(name: str) -> MLClient:
    raise NotFound(f"ML registry {name!r} is not known here")


def _live_deployment(document: Mapping[str, Any]) -> LiveDeployment:
    properties = document["properties"]
    return LiveDeployment(
        name=document["name"],
        provisioning_state=properties.get("provisioningState", ""),
        model=_short_model(properties.get("model")),
        instance_count=int((document.get("sku") or {}).get("capacity") or 0),
    )


def _short_model(model: object) -> str:
    """`churn:7` out of a model's ARM id; a registry's address, and what is neither, comes back as it is."""
    text = str(model or "")
    if text.startswith("azureml://registries/"):
        return text
    found = re.search(r"/models/([^/]+)/versions/([^/]+)$", text)
    return f"{found[1]}:{found[2]}" if found else text.removeprefix("azureml:")
