"""What goes wrong on Azure's side, ordered with `rollout sandbox fault add`, and what a rollout does about it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rollout.controller.records import Kind
from rollout.controller.state import Condition, Phase
from rollout.reports.audit import count_effects
from sandbox.ml.conda import EnvironmentSpec
from sandbox.ml.envs import digest
from sandbox.ml.serving.prepare import SERVER_REQUIREMENTS
from tests.e2e.shop import QUICK, Shop

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]

#: Long enough for the checks to see what goes wrong on the first step.
PATIENT = ("--steps", "50,100", "--bake-minutes", "6")
ENDPOINTS = "*/onlineEndpoints/*"


def test_a_bad_day_of_azure_does_not_stop_a_rollout_and_its_end_is_told_once(shop: Shop) -> None:
    began = time.time()
    journal = f"{shop.session.outputs.storage.journal_container}/*"
    with ExitStack() as faults:
        for kind, target, *options in (
            ("http", f"arm:GET {ENDPOINTS}", "--status", "503", "--times", "2"),
            ("http", f"arm:PUT {ENDPOINTS}", "--status", "429", "--times", "2"),
            ("drop", f"blob:PUT */{journal}", "--share", "0.3", "--times", "2"),
        ):
            faults.enter_context(shop.fault(kind, target, *options))
        shop.start("--watch", *QUICK)
        assert shop.admin.faults() == [], "each has struck as often as it was to"
    rollout = shop.view()
    assert rollout.phase is Phase.PROMOTED
    report = shop.run("audit", "--json").documents[-1]["report"]
    assert report["ok"], report
    assert count_effects(shop.records()).repeated == 0
    assert shop.failed_since(began) == []

    def told() -> bool:
        """the event of the end"""
        return any(event["eventType"] == "Rollouts.Promoted" for event in shop.webhook.of(rollout.id))

    shop.wait_for(told, seconds=20)
    time.sleep(1.0)  # a repeat would come now
    events = shop.webhook.of(rollout.id)
    assert Counter(event["id"] for event in events).most_common(1)[0][1] == 1, "once for each id"
    ended = [event for event in events if event["eventType"] == "Rollouts.Promoted"]
    assert [event["data"]["green"] for event in ended] == [rollout.green]
    assert ended[0]["subject"].endswith(rollout.id)


def test_a_green_that_errs_is_taken_back(shop: Shop) -> None:
    before, began = shop.weights(), time.time()
    known = len(shop.session.controller.records())
    child = shop.begin("start", "--model", shop.model, "--yes", "--watch", "--name", "sick", *PATIENT)
    shop.wait_for_record(Kind.DONE, known, "smoke")
    # Not before: the smoke test would have seen it.
    with shop.fault("scorer-errors", f"{shop.session.endpoint.name}/sick", "--share", "0.3"):
        said, _ = child.communicate(timeout=180)
    assert child.returncode == 3, said
    assert "rolled back" in said
    assert shop.weights() == before
    rollout = shop.view()
    assert (rollout.phase, rollout.at_weight) == (Phase.ROLLED_BACK, 50)
    exposed = [request for request in shop.clients.seen(began) if request.deployment == "sick"]
    assert exposed
    assert {request.deployment for request in shop.failed_since(began)} == {"sick"}, "nobody else was hurt"


def test_without_metrics_nothing_is_promoted_and_a_second_rollout_is_refused(shop: Shop) -> None:
    before = shop.weights()
    with shop.fault("metrics-missing", "*"):
        known = len(shop.session.controller.records())
        child = shop.begin("start", "--model", shop.model, "--yes", "--watch", "--allow-blind", *QUICK)
        shop.wait_for_record(Kind.DONE, known, "set-weights")

        def held() -> bool:
            """Held"""
            return shop.view().condition is Condition.HELD

        shop.wait_for(held, every=0.1)
        rollout = shop.view()
        refused = shop.start(*QUICK, ok=(5,)).output
        assert rollout.id in refused
        assert "way out" in refused
        assert rollout.weights == shop.weights()
        assert rollout.weights[rollout.green] == 50, "no data is no health"
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30), "Ctrl-C stops watching, not the rollout"
        assert shop.view().active
        shop.run("abort", "--reason", "nothing to be seen")
    assert shop.view().phase is Phase.ROLLED_BACK
    assert shop.weights() == before


def test_a_deployment_that_azure_fails_to_make_ends_the_rollout_and_touches_no_traffic(shop: Shop) -> None:
    before, began = shop.weights(), time.time()
    with shop.fault("operation-fails", "*/deployments/*", "--times", "1"):
        ran = shop.start("--watch", *QUICK, ok=(1, 7))
    assert "failed on order" in ran.output
    assert shop.view().phase is Phase.FAILED
    assert shop.weights() == before
    assert shop.failed_since(began) == []


@contextmanager
def tiny_disk(folder: Path, kibibytes: int) -> Iterator[None]:
    """`folder` on a file system that is soon full; skips where nobody may mount one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=True)


def test_a_disk_that_is_full_when_the_environment_is_built_is_called_so(shop: Shop, tmp_path: Path) -> None:
    before = shop.weights()
    (tmp_path / "score.py").write_text("def init():\n    pass\n\n\ndef run(raw):\n    return []\n")
    (tmp_path / "conda.yaml").write_text("dependencies:\n  - python=3.11\n  - pip:\n      - numpy==2.4.6\n")
    spec = EnvironmentSpec.from_conda((tmp_path / "conda.yaml").read_text()).with_requirements(*SERVER_REQUIREMENTS)
    with tiny_disk(shop.stage.home / "envs" / digest(spec), 2048):
        ran = shop.start("--code", str(tmp_path), "--name", "no-room", *QUICK, ok=(1, 7))
    assert "the disk is full" in ran.output
    assert "Free space" in ran.output
    assert shop.view().phase is Phase.FAILED
    assert shop.weights() == before
    logs = shop.session.azure.client.online_deployments.get_logs(
        "no-room", shop.session.endpoint.name, lines=100, container_type="storage-initializer"
    )
    assert "No space left on device" in logs
    assert not any((shop.stage.home / "envs" / digest(spec)).iterdir()), "nothing half-built is left"
