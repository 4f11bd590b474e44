"""Mistakes that people make: each ends with its exit code, one line that says what is wrong, and a way out."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.stage import ENDPOINT, Ran
from tests.e2e.shop import QUICK, Shop

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]


@dataclass(frozen=True)
class Mistake:
    """`{model}` and `{outputs}` in the command are the shop's; `words` have to be among what is printed."""

    what: str
    command: str
    code: int
    words: tuple[str, ...]


MISTAKES = (
    Mistake("a stack that nobody made", f"status {ENDPOINT} --stack qa", 6, ("no stack 'qa'", "pulumi up --stack qa")),
    Mistake("a file that is not there", f"status {ENDPOINT} --stack= --outputs gone.json", 6, ("gone.json does not exist", "pulumi stack output")),
    Mistake("an endpoint that the stack lacks", "status chrun --stack= --outputs {outputs}", 6, ("'chrun'", f"{ENDPOINT} (")),
    Mistake("a model that was never trained", f"start {ENDPOINT} --model churn:77 --yes --stack= --outputs {{outputs}}", 6, ("churn", "77")),
    Mistake("a model without a version", f"start {ENDPOINT} --model churn --yes --stack= --outputs {{outputs}}", 2, ("churn", "NAME:VERSION")),
    Mistake("steps that fall", f"start {ENDPOINT} --model {{model}} --steps 50,10 --yes --stack= --outputs {{outputs}}", 2, ("--steps", "rise", "10,50,100")),
    Mistake("steps that are words", f"start {ENDPOINT} --model {{model}} --steps half --yes --stack= --outputs {{outputs}}", 2, ("--steps 'half'", "10,50,100")),
    Mistake("code without a score script", f"start {ENDPOINT} --model {{model}} --code nowhere --yes --stack= --outputs {{outputs}}", 2, ("nowhere",)),
    Mistake("two sources of outputs", f"status {ENDPOINT} --stack dev --outputs {{outputs}}", 2, ("ROLLOUT_STACK", "ROLLOUT_OUTPUTS")),
    Mistake("a fault of no kind", "sandbox fault add http --status 404", 2, ("404", "429, 500 and 503")),
)  # fmt: skip


def words_of(text: str) -> str:
    """Without the line breaks of an 80-column terminal."""
    return " ".join(text.split())


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_mistake_is_named_with_the_way_out_and_changes_nothing(shop: Shop, mistake: Mistake) -> None:
    before, lines = shop.weights(), len(shop.session.controller.records())
    command = mistake.command.format(model=shop.model, outputs=shop.outputs).split()
    ran = shop.stage.run("rollout", *command, ok=range(256), quiet=True)
    said = words_of(ran.output)
    assert ran.code == mistake.code, ran.output
    assert said.startswith("error: ") or "Usage:" in said
    assert not [word for word in mistake.words if word not in said], ran.output
    assert "Traceback" not in said
    assert shop.weights() == before
    assert len(shop.session.controller.records()) == lines


def rollout(home: Path, *command: str, **variables: str) -> Ran:
    """With a sandbox of its own, in `home`."""
    environment = {**os.environ, "ROLLOUT_SANDBOX_HOME": str(home), **variables}
    done = subprocess.run(
        ["rollout", *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout)


def test_a_sandbox_that_is_not_running_is_told_with_code_8(shop: Shop, tmp_path: Path) -> None:
    for command in ("status", "env", "reset"):
        ran = rollout(tmp_path, "sandbox", command)
        assert ran.code == 8, ran.output
        assert "rollout sandbox up" in ran.output
    # The environment of a sandbox that has gone away: a port on which nobody listens.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"https://127.0.0.1:{free.getsockname()[1]}"
    ran = rollout(
        tmp_path, "status", ENDPOINT, "--stack", "", "--outputs", str(shop.outputs),
        AZURE_AUTHORITY_HOST=nobody, ROLLOUT_AZURE_RESOURCE_MANAGER=nobody,
    )  # fmt: skip
    assert ran.code == 8, ran.output
    assert "the sandbox is not running" in words_of(ran.output)
    assert "rollout sandbox up" in ran.output


def test_a_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    from sandbox.kernel.settings import new_settings, save_settings

    settings = new_settings(now=0.0)
    save_settings(tmp_path, settings)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", settings.ports["blob"]))
        squatter.listen()
        ran = rollout(tmp_path, "sandbox", "up")
    assert ran.code == 8, ran.output
    assert f"{settings.ports['blob']} (blob)" in words_of(ran.output)
    assert "--new-ports" in ran.output


def test_nobody_to_ask_is_no_yes(shop: Shop) -> None:
    said = shop.run("start", "--model", shop.model, *QUICK, ok=(2,)).output
    assert "--yes" in said
