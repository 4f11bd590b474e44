"""One shop for all stories: real processes, one sandbox, a policy minute a second."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from demo.clients import Clients
from demo.data import write_tables
from demo.stage import ENDPOINT, ROOT
from rollout.azure.prober import scoring_secret
from rollout.cli.session import open_session
from tests.e2e.shop import Shop, provisioned

#: A search of a moment; the stories are about what comes after it.
SMALL = tuple(
    word
    for setting in ("search.trials=1", "search.max_rounds=100", "search.learning_rate=[0.1,0.3]")
    for word in ("--set", setting)
)


@pytest.fixture(scope="package", autouse=True)
def _interruptible() -> None:
    """Started in the background of a shell, this process ignores Ctrl-C, and so would every process that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="package")
def running_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with (
        provisioned(tmp_path_factory.mktemp("shop")) as (stage, webhook, outputs),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in stage.environment.items():
            patch.setenv(name, value)
        table, _ = write_tables(stage.out / "data")
        stage.run(
            "rollout", "train", ENDPOINT, "--data", str(table), "--stack", "", "--outputs", str(outputs),
            *SMALL, quiet=True,
        )  # fmt: skip
        session = open_session(ENDPOINT, "", str(outputs))
        clients = Clients(stage.out / "requests.jsonl")
        shop = Shop(stage, clients, webhook, session, outputs, f"{session.endpoint.model_name}:1")
        shop.start("--watch")
        azure, endpoint = session.azure, session.endpoint
        key = scoring_secret(azure.client, azure.cloud, endpoint.name, endpoint.auth_mode)
        clients.start(endpoint.scoring_uri, key, table, stage.environment)
        try:
            yield shop
        finally:
            clients.stop()
            shop.end_children()


@pytest.fixture
def shop(running_shop: Shop) -> Iterator[Shop]:
    """The running shop; put in order again after each story."""
    yield running_shop
    running_shop.settle()


@pytest.fixture(scope="package")
def example(running_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """examples/blue_green.py under way, away from this repository, so that nothing of it can be imported.

    Stories that mostly wait ask for it too: it needs half a minute, and has it while leases of the dead run out.
    """
    home, outputs = tmp_path_factory.mktemp("stranger"), running_shop.session.outputs
    shutil.copytree(ROOT / "examples", home / "examples")
    process = running_shop.stranger(
        home, str(home / "examples" / "blue_green.py"),
        "--resource-group", outputs.resource_group, "--workspace", outputs.workspace.name,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()
