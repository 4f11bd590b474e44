"""`plan` and `start`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from rollout.cli.options import DryRun, Endpoint, Json, Outputs, Payload, Stack, Yes

if TYPE_CHECKING:
    from rollout.azure.model_refs import ModelRef
    from rollout.cli.session import Session
    from rollout.controller.starting import Order, Prospect

Steps = Annotated[
    str, typer.Option("--steps", help="Percentages instead of the policy's, ending at 100.", metavar="10,50,100")
]
BakeMinutes = Annotated[
    float | None, typer.Option("--bake-minutes", min=0, help="How long each step is watched, instead of the policy's.")
]


def plan(
    endpoint: Endpoint,
    stack: Stack = "",
    outputs: Outputs = "",
    steps: Steps = "",
    bake_minutes: BakeMinutes = None,
    json: Json = False,
) -> None:
    """What each step will be able to see at the traffic of now, and how soon."""
    from rollout.cli.output import emit, say, show
    from rollout.cli.session import changed_policy, open_session
    from rollout.controller.starting import find_blue, plan_for, plan_to_json
    from rollout.reports.tables import plan_table

    session = open_session(endpoint, stack, outputs)
    policy = changed_policy(session.endpoint.policy, steps, bake_minutes)
    world = session.azure.world()
    blue = find_blue(world.endpoints.live(), session.endpoint.name)
    found = plan_for(policy, blue, world) if blue is not None else None
    if json:
        emit({"endpoint": session.endpoint.name, "blue": blue, "plan": plan_to_json(found)})
    elif found is None:
        say(f"{session.endpoint.name} has no traffic: its first deployment gets 100 % after the smoke test")
    else:
        show(plan_table(found))


def start(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="Registered model, NAME:VERSION or azureml://registries/...", show_default=False
        ),
    ],
    stack: Stack = "",
    outputs: Outputs = "",
    from_registry: Annotated[
        bool, typer.Option("--from-registry", help="The model is of the stack's ML registry: it was promoted.")
    ] = False,
    code: Annotated[
        str,
        typer.Option("--code", help="Folder with score.py and a conda file; default: MLflow's scorer.", metavar="DIR"),
    ] = "",
    steps: Steps = "",
    bake_minutes: BakeMinutes = None,
    instances: Annotated[int | None, typer.Option("--instances", min=1, help="Instead of the stack's.")] = None,
    name: Annotated[str, typer.Option("--name", help="Name of green's deployment; default: made from the model.")] = "",
    payload: Payload = "",
    allow_blind: Annotated[
        bool, typer.Option("--allow-blind", help="Also when a step can see nothing at this traffic.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Drive it to its end.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Deploy a model as green at 0 %, smoke-test it, and move the first traffic to it; `watch` goes on from there."""
    from rollout.azure.model_refs import parse_model
    from rollout.azure.specs import check_code
    from rollout.cli.session import changed_policy, open_session
    from rollout.controller.starting import Order

    ref = parse_model(model)
    code_path = str(check_code(code)[0].parent.resolve()) if code else None
    session = open_session(endpoint, stack, outputs, payload=payload)
    ref = admitted(session, ref, from_registry)
    deployment = session.endpoint.deployment
    order = Order(
        model=str(ref),
        deployment=deployment.model_copy(update={"instance_count": instances}) if instances else deployment,
        policy=changed_policy(session.endpoint.policy, steps, bake_minutes),
        code_path=code_path,
        name=name,
        tags={"rollout.endpoint": session.endpoint.name, "rollout.started-by": session.actor},
        allow_blind=allow_blind,
    )
    _start(session, order, dry_run=dry_run, yes=yes, json=json)
    if not dry_run:
        _go_on(session, watch=watch, json=json)


def admitted(session: Session, ref: ModelRef, from_registry: bool) -> ModelRef:
    """The model's full address; `Untrusted` where the stack asks for a signature and its files don't fit one."""
    outputs = session.outputs
    trust = outputs.model_trust
    if not trust.require_signed and not from_registry:
        return ref
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.models import AzureModels
    from rollout.cli.model_look import pick
    from rollout.models.keys import trusted_keys
    from rollout.models.trust import verify_model

    models = AzureModels(cloud_from_environment(), outputs)
    ref = pick(models, str(ref), from_registry)
    if trust.require_signed:
        verify_model(models, ref, trusted_keys("", trust))
    return ref


def _start(session: Session, order: Order, *, dry_run: bool, yes: bool, json: bool) -> None:
    """Show what would be done, ask, and journal it."""
    from rollout.cli.output import emit
    from rollout.cli.session import confirm
    from rollout.controller.starting import plan_to_json
    from rollout.reports.documents import view_document

    prospect = session.controller.examine(order)
    order = replace(order, name=prospect.spec.name)  # what is shown is what is made
    if json:
        emit(
            {
                "model": order.model,
                "green": prospect.spec.name,
                "blue": prospect.blue,
                "plan": plan_to_json(prospect.plan),
            }
        )
    else:
        _introduce(session, order, prospect)
    if dry_run:
        return
    confirm(f"Start it on {session.endpoint.name} ({session.outputs.stack})?", yes=yes)
    view = session.controller.start(order)
    if json:
        emit({"started": view_document(view)})


def _introduce(session: Session, order: Order, prospect: Prospect) -> None:
    from rollout.cli.output import say, show
    from rollout.reports.tables import plan_table

    source = f"from {prospect.blue}" if prospect.blue else "the first deployment"
    say(f"{session.endpoint.name}: {order.model} as {prospect.spec.name} on {prospect.spec.instance_count} x "
        f"{prospect.spec.instance_type}, {source}")  # fmt: skip
    if prospect.plan is not None:
        show(plan_table(prospect.plan))


def _go_on(session: Session, *, watch: bool, json: bool) -> None:
    from rollout.cli.driving import drive, tick_once

    if watch:
        drive(session, json=json)
    else:
        tick_once(session, json=json)
