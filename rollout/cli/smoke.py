"""`smoke`: one deployment alone, by real scoring requests."""

from __future__ import annotations

from typing import Annotated

import typer

from rollout.cli.options import DryRun, Endpoint, Json, Outputs, Payload, Stack


def smoke(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    deployment: Annotated[
        str, typer.Argument(help="Deployment; default: the rollout's green.", metavar="DEPLOYMENT")
    ] = "",
    stack: Stack = "",
    outputs: Outputs = "",
    requests: Annotated[
        int | None, typer.Option("--requests", min=1, max=10_000, help="Default: the policy's.")
    ] = None,
    payload: Payload = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Send scoring requests to one deployment alone and judge the answers. Live traffic is not touched."""
    from rollout.analysis.verdict import Verdict, combine, leading
    from rollout.checks.smoke import judge, timeout_ms
    from rollout.cli.output import emit, say, show
    from rollout.cli.session import open_session
    from rollout.errors import GateFailed
    from rollout.reports.tables import checks_table

    session = open_session(endpoint, stack, outputs, payload=payload)
    name = deployment or session.controller.status().green
    policy = session.endpoint.policy.smoke
    if requests is not None:
        policy = policy.model_copy(update={"requests": requests})
    if dry_run:
        say(f"would send {policy.requests} requests to {name} at {session.endpoint.scoring_uri}")
        return
    checks = judge(session.azure.prober.probe(name, policy.requests, timeout_ms(policy)), policy)
    if json:
        emit({"deployment": name, "verdict": combine(checks).value, "checks": [check.to_json() for check in checks]})
    else:
        show(checks_table(checks))
    worst = leading(checks)
    if combine(checks) is not Verdict.PASS and worst is not None:
        raise GateFailed(f"{name}: {worst.name}: {worst.detail}", way_out="look at its log in Azure ML studio")
