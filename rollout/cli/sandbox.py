"""`rollout sandbox ...`: the local stand-in for Azure. The sandbox is imported inside the commands only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollout.errors import BadInput

if TYPE_CHECKING:
    from sandbox.admin.client import AdminClient
    from sandbox.lifecycle import Status

app = typer.Typer(
    name="sandbox",
    help="A local stand-in for Azure: up, status, env, fault, reset, down.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
fault_app = typer.Typer(
    name="fault",
    help="Faults on order: failing routes and operations, missing metrics, scorers that err, are slow, leak or crash.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(fault_app)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def up(
    time_scale: Annotated[
        float | None, typer.Option(help="Policy time runs this many times faster, e.g. 60. Kept for later starts.")
    ] = None,
    metrics_lag: Annotated[
        float | None, typer.Option(help="Seconds of policy time until metrics and logs can be read (default 60).")
    ] = None,
    new_ports: Annotated[bool, typer.Option(help="Move services whose port another program has.")] = False,
    foreground: Annotated[bool, typer.Option(help="Stay, and stop the sandbox at Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Start the sandbox, or what of it does not run, and wait until it answers."""
    from sandbox import lifecycle

    _check(time_scale, "--time-scale", 3600, lowest="over 0", ok=lambda value: value > 0)
    _check(metrics_lag, "--metrics-lag", 3600, lowest="0", ok=lambda value: value >= 0)
    started = lifecycle.up(_home(), lifecycle.Options(time_scale, metrics_lag, new_ports))
    _show(started, json)
    if foreground:
        lifecycle.hold(started.home)


@app.command()
def status(json: Json = False) -> None:
    """What runs, where it answers, and what time it is there. Exit code 8 unless all of it runs."""
    from sandbox import lifecycle

    found = lifecycle.status(_home())
    _show(found, json)
    lifecycle.require_running(found.home)


@app.command()
def env(
    proxy: Annotated[bool, typer.Option(help="Azure's public names through the sandbox's proxy instead.")] = False,
    json: Json = False,
) -> None:
    """Print the environment that leads to the sandbox: eval "$(rollout sandbox env)"."""
    from sandbox import environment, lifecycle

    found = lifecycle.require_running(_home())
    make = environment.through_proxy if proxy else environment.explicit
    variables = make(found.home, found.settings)
    if json:
        _print_json(variables)
    else:
        typer.echo(environment.script(variables, environment.stale(found.settings, os.environ, proxy=proxy)))


@app.command()
def reset() -> None:
    """Empty every service, MLflow and the sandbox's Pulumi state. Addresses and credentials stay."""
    from sandbox import lifecycle

    lifecycle.reset(_home())
    typer.echo("The sandbox is empty.")


@app.command()
def down() -> None:
    """Stop the sandbox and everything it started. Its state is kept for the next `up`."""
    from sandbox import lifecycle

    stopped = lifecycle.down(_home())
    typer.echo(f"Stopped: {', '.join(stopped)}." if stopped else "The sandbox was not running.")


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="E.g. repo:me/app:ref:refs/heads/main")],
    issuer: Annotated[str | None, typer.Option(help="Default: the sandbox's own.")] = None,
    audience: Annotated[str | None, typer.Option(help="Default: api://AzureADTokenExchange.")] = None,
) -> None:
    """Print a federated token, as a CI job would get it from its OIDC issuer."""
    options = {name: value for name, value in (("issuer", issuer), ("audience", audience)) if value}
    typer.echo(_admin().federated_token(subject, **options))


@fault_app.command("add")
def fault_add(  # noqa: PLR0913 - one parameter per option of the command line
    kind: Annotated[
        str,
        typer.Argument(
            help="http, delay, drop, operation-fails, operation-hangs, metrics-missing, metrics-late, scorer-errors,"
            " scorer-slow, scorer-leaks or scorer-crashes."
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            help="'<service>:<METHOD> <path glob>' for http, delay, drop; a resource type or id glob for operations;"
            " '<endpoint>/<deployment>' for the others."
        ),
    ] = "*",
    share: Annotated[float | None, typer.Option(help="Share of the matching calls, over 0 to 1 (default 1).")] = None,
    times: Annotated[int | None, typer.Option(help="Strike this often, then go away (default: stays).")] = None,
    status: Annotated[int | None, typer.Option(help="For http: 429, 500 or 503 (default 500).")] = None,
    seconds: Annotated[float | None, typer.Option(help="Of delay, slowness, lag or hanging (default 1).")] = None,
    megabytes: Annotated[int | None, typer.Option(help="For scorer-leaks: per request (default 10).")] = None,
    json: Json = False,
) -> None:
    """Order a fault; its id is printed."""
    given = {"share": share, "times": times, "status": status, "seconds": seconds, "megabytes": megabytes}
    wanted = {name: value for name, value in given.items() if value is not None}
    added = _admin().add_fault(kind=kind, target=target, **wanted)
    if json:
        _print_json(added)
    else:
        typer.echo(f"{added['id']}  {added['kind']} on {added['target']}")


@fault_app.command("list")
def fault_list(json: Json = False) -> None:
    """The faults in force."""
    faults = _admin().faults()
    if json:
        _print_json(faults)
    elif not faults:
        typer.echo("No faults.")
    else:
        columns = ("id", "kind", "target", "share", "times", "status", "seconds", "megabytes")
        _table(columns, [[str(fault[name]) for name in columns] for fault in faults])


@fault_app.command("clear")
def fault_clear(fault_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Default: all.")] = None) -> None:
    """Take one fault away, or all."""
    _admin().clear_faults(fault_id)
    typer.echo(f"Cleared {fault_id}." if fault_id else "Cleared all faults.")


def _home() -> Path:
    from sandbox.kernel.settings import sandbox_home

    return sandbox_home()


def _admin() -> AdminClient:
    from sandbox import lifecycle

    return lifecycle.admin_client(lifecycle.require_running(_home()))


def _check(value: float | None, option: str, most: float, *, lowest: str, ok: Callable[[float], bool]) -> None:
    if value is not None and not (ok(value) and value <= most):
        raise BadInput(f"{option} is {value:g}; allowed: {lowest} to {most:g}.")


def _show(found: Status, json: bool) -> None:
    addresses = {name: found.settings.url(name) for name in found.settings.ports}
    if json:
        _print_json(
            {
                "home": str(found.home),
                "running": found.running,
                "processes": found.processes,
                "addresses": addresses,
                "policy_time": found.clock.now().isoformat(),
                "time_scale": found.settings.clock_scale,
                "metrics_lag_seconds": found.settings.metrics_lag_seconds,
            }
        )
        return
    from sandbox.lifecycle import PROCESSES

    process_of = {port: name for name, ports in PROCESSES.items() for port in ports}
    pids = {name: str(found.processes[process] or "stopped") for name, process in process_of.items()}
    rows = [[name, address, process_of[name], pids[name]] for name, address in addresses.items()]
    _table(("service", "address", "process", "pid"), rows)
    clock = f"{found.clock.now():%Y-%m-%d %H:%M:%S} UTC"
    typer.echo(f"\nPolicy time {clock}, x{found.settings.clock_scale:g}. State in {found.home}.")
    if found.running:
        typer.echo('Next: eval "$(rollout sandbox env)"')


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    widths = [max(len(row[at]) for row in [list(columns), *rows]) for at in range(len(columns))]
    for row in [list(columns), *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))
