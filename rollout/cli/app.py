"""The root command: the table of commands, what goes for all of them, and how errors become exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.main import get_command

import rollout
from rollout.cli.lazy import Entry, LazyGroup
from rollout.errors import RolloutError

SHIP, LOOK, STEER, SETUP = "Ship", "Look", "Steer", "Set up"

COMMANDS = (
    Entry("train", "rollout.cli.train:train", "Train, judge and register a model, as a pipeline on the stack's cluster.", SHIP),
    Entry("batch", "rollout.cli.batch:app", "Score files on batch endpoints: deploy, score, result, list, show.", SHIP),
    Entry("plan", "rollout.cli.ship:plan", "What each step will be able to see at the traffic of now.", SHIP),
    Entry("start", "rollout.cli.ship:start", "Deploy a model as green and begin to move traffic to it.", SHIP),
    Entry("watch", "rollout.cli.drive:watch", "Drive the rollout to its end, showing it live.", SHIP),
    Entry("tick", "rollout.cli.drive:tick", "Do what is due now, and say what is next.", SHIP),
    Entry("smoke", "rollout.cli.smoke:smoke", "Send scoring requests to one deployment alone and judge the answers.", SHIP),
    Entry("status", "rollout.cli.look:status", "Where traffic goes, and where the rollout stands.", LOOK),
    Entry("history", "rollout.cli.look:history", "Past rollouts of an endpoint.", LOOK),
    Entry("audit", "rollout.cli.look:audit", "Every journaled step, with its evidence; checks the hash chain.", LOOK),
    Entry("cost", "rollout.cli.look:cost", "What the stack costs a month, and on which assumptions.", LOOK),
    Entry("approve", "rollout.cli.steer:approve", "Let a rollout that waits for people go on.", STEER),
    Entry("resume", "rollout.cli.steer:resume", "Let a rollout that is held or paged go on.", STEER),
    Entry("rollback", "rollout.cli.steer:rollback", "Send all traffic back to blue, now.", STEER),
    Entry("abort", "rollout.cli.steer:abort", "Stop the rollout that is under way, and go back.", STEER),
    Entry("park", "rollout.cli.park:park", "Delete an endpoint's deployments for a while; it costs nothing then.", STEER),
    Entry("unpark", "rollout.cli.park:unpark", "Make parked deployments again, test them, give them their traffic.", STEER),
    Entry("model", "rollout.cli.model:app", "Registered models: list, compare, validate, sign, verify, promote, optimize.", LOOK),
    Entry("doctor", "rollout.cli.doctor:app", "What this machine has, and what is missing.", SETUP),
    Entry("sandbox", "rollout.cli.sandbox:app", "A local stand-in for Azure: up, status, env, fault, reset, down.", SETUP),
)  # fmt: skip

EXIT_CODES = {
    0: "done, or advanced",
    1: "an error not listed here",
    2: "bad input: a setting, an argument or a file",
    3: "rolled back: traffic is on blue again",
    4: "on hold: waits for data, an approval or a person",
    5: "busy: another rollout or controller holds the endpoint",
    6: "not found: stack, output, endpoint, deployment or model",
    7: "a quality gate or the smoke test refused the model",
    8: "unavailable: a service did not answer, or the sandbox is not running",
    9: "the journal's hash chain does not verify",
}
#: \b keeps the lines as they are.
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())
DEBUG_VARIABLE = "ROLLOUT_DEBUG"


class _Root(LazyGroup):
    table = COMMANDS


app = typer.Typer(
    cls=_Root,
    name="rollout",
    help="Ship models to Azure ML online endpoints: blue to green in steps, and back when the evidence says so.",
    epilog=_EPILOG,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rollout {rollout.__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, help="Show tracebacks and SDK logs.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options of all commands."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    _quieten(debug)


def _quieten(debug: bool) -> None:
    """SDKs log at warning what is no concern of the user's; errors come as exceptions anyway."""
    import logging

    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(name)s: %(message)s")
    if not debug:
        for name in ("azure", "msal", "mlflow", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line; the exit code comes back, errors are printed to stderr."""
    # azure-ai-ml looks this name up while it is imported, and fails on one that it does not know; which cloud is meant says rollout.azure.cloud
    os.environ.pop("AZUREML_CURRENT_CLOUD", None)
    try:
        _dispatch(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except RolloutError as error:
        _explain(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a user sees one line, not a traceback
        _explain(
            RolloutError(f"unexpected {type(error).__name__}: {error}", way_out="rollout --debug ... shows where"),
            error,
        )
        return 1
    return 0


def _dispatch(arguments: list[str]) -> None:
    """Straight to the command when it comes first: parsing the root's options imports pydantic, which takes longer
    than all else that `rollout status --help` does."""
    entry = next((entry for entry in COMMANDS if entry.name in arguments[:1]), None)
    if entry is None:
        get_command(app)(args=arguments, prog_name="rollout")
    else:
        _quieten(bool(os.environ.get(DEBUG_VARIABLE)))
        entry.load()(args=arguments[1:], prog_name=f"rollout {entry.name}")


def _explain(error: RolloutError, cause: BaseException | None = None) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        traceback.print_exception(cause or error)
    from rollout.cli.output import print_error

    print_error(error)


def main() -> None:
    """The console script."""
    sys.exit(run())
