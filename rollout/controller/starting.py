"""What has to be true before a rollout may start. Reads only; every refusal says what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from contract.outputs import Deployment
from contract.policy import RolloutPolicy
from rollout.analysis.plan import Plan, make_plan, measure_traffic
from rollout.controller.effects import show_weights, strip
from rollout.controller.naming import checked_deployment_name, deployment_name
from rollout.controller.ports import DeploymentSpec, LiveEndpoint, Scaling
from rollout.controller.state import EndpointState
from rollout.controller.views import view_of
from rollout.controller.world import World
from rollout.errors import BadInput, Busy, NotFound, Unavailable

#: Azure's limit.
MOST_DEPLOYMENTS = 20

#: How far back the request rate is measured.
TRAFFIC_WINDOW = timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants rolled out. `allow_blind`: go on though a step can see nothing at this traffic."""

    model: str
    deployment: Deployment
    policy: RolloutPolicy
    code_path: str | None = None
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    allow_blind: bool = False


@dataclass(frozen=True, slots=True)
class Prospect:
    """A start that would be allowed: green's spec, blue, and the plan (None for the first deployment)."""

    spec: DeploymentSpec
    blue: str | None
    weights: Mapping[str, int]
    plan: Plan | None


def examine(order: Order, endpoint: str, world: World, suffix: str) -> Prospect:
    """The prospect of `order`; NotFound, BadInput or Unavailable when it can't start."""
    if not world.endpoints.model_exists(order.model):
        raise NotFound(f"model {order.model} does not exist", way_out="register it first, or name another version")
    live = world.endpoints.live()
    if live.provisioning_state in ("Creating", "Updating", "Deleting"):
        raise Unavailable(f"endpoint {endpoint} is {live.provisioning_state}", way_out="try again when it is done")
    blue = find_blue(live, endpoint)
    spec = make_spec(order, suffix)
    _refuse_full(live, endpoint, spec)
    plan = None if blue is None else plan_for(order.policy, blue, world)
    if plan is not None and not order.allow_blind:
        _refuse_blind(plan)
    return Prospect(spec, blue, strip(live.weights), plan)


def find_blue(live: LiveEndpoint, endpoint: str) -> str | None:
    """The deployment with all the traffic; None without traffic; BadInput when traffic is split."""
    weights = strip(live.weights)
    if not weights:
        return None
    if len(weights) > 1:
        raise BadInput(
            f"traffic of {endpoint} is split: {show_weights(weights)}; a rollout starts from one deployment with 100",
            way_out="send all traffic to one deployment first (az ml online-endpoint update --traffic)",
        )
    blue = next(iter(weights))
    state = live.deployments[blue].provisioning_state if blue in live.deployments else "missing"
    if state != "Succeeded":
        raise BadInput(f"{blue}, which has the traffic, is {state}; it must be Succeeded to be gone back to")
    return blue


def make_spec(order: Order, suffix: str) -> DeploymentSpec:
    """Green's spec, with a name of its own."""
    name = checked_deployment_name(order.name) if order.name else deployment_name(order.model, suffix)
    return DeploymentSpec(
        name=name,
        model=order.model,
        instance_type=order.deployment.instance_type,
        instance_count=order.deployment.instance_count,
        max_concurrent_requests_per_instance=order.deployment.max_concurrent_requests_per_instance,
        request_timeout_ms=order.deployment.request_timeout_ms,
        code_path=order.code_path,
        tags=dict(order.tags),
        scale=_scaling(order.deployment),
        pods=_pods(order.deployment),
        collect_share=order.deployment.collect_share,
    )


def _scaling(deployment: Deployment) -> Scaling | None:
    """Azure Monitor scales Azure's machines; pods scale by themselves."""
    if deployment.scale is None or deployment.compute == "kubernetes":
        return None
    return Scaling(**deployment.scale.model_dump())


def _pods(deployment: Deployment) -> dict[str, Any] | None:
    if deployment.compute == "managed":
        return None
    return deployment.model_dump(mode="json", include={"resources", "scale"})


def plan_for(policy: RolloutPolicy, blue: str, world: World) -> Plan:
    """What each step can see at the live request rate; Unavailable when that can't be read."""
    now = world.now()
    samples = world.metrics.minutes([blue], now - TRAFFIC_WINDOW, now)
    whole = [sample for sample in samples if sample.minute + timedelta(minutes=1) <= now]
    return make_plan(policy, measure_traffic(whole))


def refuse_parked(state: EndpointState, endpoint: str) -> None:
    """BadInput while the endpoint is parked, or on its way there or back."""
    if state.parking is not None:
        raise BadInput(
            f"{endpoint} is {state.parking.stage.value.lower()} since {state.parking.since:%Y-%m-%d %H:%M} UTC",
            way_out="rollout unpark makes its deployments again",
        )


def refuse_busy(state: EndpointState, endpoint: str) -> None:
    """Busy, naming the rollout and who holds it, while one is under way; BadInput while the endpoint is parked."""
    refuse_parked(state, endpoint)
    if state.rollout is None or not state.rollout.active:
        return
    view = view_of(state.rollout, state)
    raise Busy(
        f"{endpoint} is busy: rollout {view.id} of {view.model} ({view.title}), started by {view.started_by},"
        f" last driven by {view.last_actor}",
        way_out="rollout watch follows it, rollout rollback ends it",
    )


def plan_to_json(plan: Plan | None) -> dict[str, Any] | None:
    return None if plan is None else asdict(plan)


def _refuse_full(live: LiveEndpoint, endpoint: str, spec: DeploymentSpec) -> None:
    if spec.name in live.deployments:
        raise BadInput(f"deployment {spec.name} exists on {endpoint}", way_out="leave the name out to have one made")
    if len(live.deployments) >= MOST_DEPLOYMENTS:
        idle = sorted(name for name in live.deployments if not live.weights.get(name))
        raise BadInput(
            f"{endpoint} has {len(live.deployments)} deployments, the most that Azure allows",
            way_out=f"delete some without traffic: {', '.join(idle)}",
        )


def _refuse_blind(plan: Plan) -> None:
    if plan.blind_steps:
        raise BadInput(
            "; ".join(step.blind for step in plan.blind_steps),
            way_out="lower min_requests, bake longer, wait for traffic, or go on without gates that see: --allow-blind",
        )
