"""A sandbox that dies and starts again: deployments come back, nothing of the last run stays behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox import lifecycle
from tests.sandbox.conftest import RunningSandbox, running
from tests.sandbox.ml_workspace import workspace as ml_workspace
from tests.sandbox.scoring import Workspace

pytestmark = pytest.mark.sandbox


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningSandbox]:
    """A sandbox that may be killed."""
    home = tmp_path / "home"
    lifecycle.up(home, lifecycle.Options(metrics_lag_seconds=0.0))
    yield running(home)
    lifecycle.down(home)


def test_a_killed_sandbox_comes_back_with_its_deployments(own: RunningSandbox, tmp_path: Path) -> None:
    with ml_workspace(own, "phoenix") as base:
        workspace = Workspace(base, tmp_path / "files")
        workspace.put_endpoint("phoenix-1")
        workspace.deploy(workspace.deployment("phoenix-1", "blue"))
        workspace.set_traffic("phoenix-1", blue=100)
        key = workspace.key("phoenix-1")
        before = workspace.score("phoenix-1", key=key).json()

        control = lifecycle.status(own.home).processes["control"]
        assert control is not None
        process = psutil.Process(control)
        process.kill()
        # The gateway and the replica are processes of their own.
        assert workspace.score("phoenix-1", key=key).json() == before

        process.wait(20)  # its ports are free when its last thread has ended
        lifecycle.up(own.home)
        after = wait_for_score(workspace, "phoenix-1", key, old=before["pid"])
        assert after["model"] == before["model"]
        assert ended(before["pid"])
        shown = workspace.send("GET", "onlineEndpoints/phoenix-1").json()["properties"]
        assert (shown["traffic"], shown["provisioningState"]) == ({"blue": 100}, "Succeeded")

        lifecycle.down(own.home)
        assert ended(after["pid"])
        assert list((own.home / "serving").rglob("*.pid")) == []


def ended(pid: object, seconds: float = 15) -> bool:
    """Whether the process ends soon. A zombie has: orphans stay so until somebody collects them."""
    assert isinstance(pid, int)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def wait_for_score(workspace: Workspace, endpoint: str, key: str, old: int) -> dict[str, object]:
    """The first answer of a replica that is not `old`."""
    end = time.monotonic() + 30
    while True:
        answer = workspace.score(endpoint, key=key)
        if answer.status_code == 200 and answer.json()["pid"] != old:
            found: dict[str, object] = answer.json()
            return found
        assert answer.status_code in (200, 502, 503), answer.text
        assert time.monotonic() < end, answer.text
        time.sleep(0.2)
