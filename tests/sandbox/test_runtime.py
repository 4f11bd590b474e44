"""Replicas for real: the inference server that Azure runs, in its own environment, crashing and coming back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.kernel.context import Sandbox
from sandbox.kernel.settings import LOOPBACK
from sandbox.ml.conda import EnvironmentSpec
from sandbox.ml.envs import EnvironmentBuilder
from sandbox.ml.serving import console
from sandbox.ml.serving.instance import Instance
from sandbox.ml.serving.prepare import SERVER_REQUIREMENTS
from sandbox.ml.serving.process import ReplicaFailed, ReplicaProcess, end_survivors
from sandbox.ml.serving.runner import Hooks, Runner
from sandbox.ml.serving.spec import Probe, ReplicaSpec
from sandbox.ml.serving.telemetry import Telemetry
from sandbox.monitor.state import MonitorState

SCORE = """
import json, os
def init():
    print("model holds", sorted(os.listdir(os.environ["AZUREML_MODEL_DIR"])))
def run(raw):
    wanted = json.loads(raw)
    return {name: os.environ.get(name) for name in wanted} | {"pid": os.getpid()}
"""
BROKEN = """
def init():
    raise RuntimeError("the model file is damaged")
def run(raw):
    return 1
"""
DEPLOYMENT = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices"
    "/workspaces/ws/onlineEndpoints/churn/deployments/blue"
)
QUICK = Probe(initial_delay=0, period=0.2, timeout=0.5, failures=100)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = EnvironmentBuilder(tmp_path_factory.mktemp("environments"))
    return asyncio.run(builder.build(EnvironmentSpec(SERVER_REQUIREMENTS)))


@pytest.fixture
def spec(python: Path, tmp_path: Path) -> ReplicaSpec:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.bin").write_text("weights")
    return ReplicaSpec(
        python, code(tmp_path, "good", SCORE), "score.py", tmp_path / "model", tmp_path / "faults.json", readiness=QUICK
    )


def code(root: Path, name: str, script: str) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "score.py").write_text(script)
    return folder


class Deployed:
    """A runner whose hooks remember what they were told."""

    def __init__(self, folder: Path) -> None:
        self.published: list[list[str]] = []
        self.drained: list[str] = []
        self.runner = Runner(DEPLOYMENT, folder, Hooks(self._changed, self._drain))

    async def _changed(self) -> None:
        self.published.append([route.name for route in self.runner.routes()])

    async def _drain(self, name: str) -> None:
        assert name not in self.drained
        self.drained.append(name)

    async def score(self, body: Any = ()) -> tuple[int, Any]:
        return await score(self.runner.routes()[0].port, body)


async def score(port: int, body: Any = ()) -> tuple[int, Any]:
    url = f"http://{LOOPBACK}:{port}/score"
    async with aiohttp.ClientSession() as session, session.post(url, json=list(body)) as response:
        return response.status, json.loads(await response.text())


def story(folder: Path, tell: Callable[[Deployed], Awaitable[None]]) -> None:
    async def main() -> None:
        deployed = Deployed(folder)
        try:
            await tell(deployed)
        finally:
            deployed.runner.kill()
            await asyncio.sleep(0.1)

    asyncio.run(main())


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def test_a_deployment_scores_with_its_model_and_variables_and_nothing_of_ours(
    spec: ReplicaSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "ours")

    async def tell(deployed: Deployed) -> None:
        await deployed.runner.deploy(replace(spec, environment=(("GREETING", "hello"),)), 1)
        status, answer = await deployed.score(["GREETING", "AZURE_CLIENT_SECRET", "AZUREML_MODEL_DIR"])
        assert status == 200
        assert answer | {"pid": 0} == {
            "GREETING": "hello", "AZURE_CLIENT_SECRET": None, "AZUREML_MODEL_DIR": str(tmp_path / "model"), "pid": 0,
        }  # fmt: skip
        log = console.inference_server_log(tmp_path / "logs", 100, "Succeeded")
        assert "model holds ['model.bin']" in log
        assert "UserContainerStart: Succeeded" in log
        usage = deployed.runner.instances[0].usage()
        assert usage is not None
        assert usage.memory_bytes > 20_000_000
        port = deployed.runner.routes()[0].port
        await deployed.runner.stop()
        assert deployed.drained == deployed.published[0]
        with pytest.raises(aiohttp.ClientError):
            await score(port)

    story(tmp_path, tell)


def test_readings_of_every_instance_reach_the_monitor(spec: ReplicaSpec, tmp_path: Path, context: Sandbox) -> None:
    context.states["monitor"] = monitor = MonitorState(context)

    async def tell(deployed: Deployed) -> None:
        await deployed.runner.deploy(spec, 2)
        Telemetry(context).round([deployed.runner])

    story(tmp_path, tell)
    minute = monitor.minute(time.time())
    rows = monitor.table.gauges("ws/churn", "CpuMemoryUtilizationPercentage", minute - 1, minute + 1)
    assert len({row.instance for row in rows}) == 2
    assert all(0 < row.maximum < 100 for row in rows)


def test_scaling_keeps_what_runs_and_drains_what_goes(spec: ReplicaSpec, tmp_path: Path) -> None:
    async def tell(deployed: Deployed) -> None:
        runner = deployed.runner
        await runner.deploy(spec, 1)
        [first] = runner.routes()
        await runner.deploy(spec, 3)
        assert len(runner.routes()) == 3
        assert runner.routes()[0] == first
        await runner.deploy(spec, 1)
        assert runner.routes() == (first,)
        assert len(deployed.drained) == 2
        assert first.name not in deployed.drained
        assert len(list(tmp_path.glob("*.pid"))) == 1

    story(tmp_path, tell)


def test_an_update_that_fails_leaves_the_old_version_serving(spec: ReplicaSpec, tmp_path: Path) -> None:
    async def tell(deployed: Deployed) -> None:
        await deployed.runner.deploy(spec, 1)
        _, before = await deployed.score()
        with pytest.raises(ReplicaFailed, match="has ended with exit code 3"):
            await deployed.runner.deploy(replace(spec, app_root=code(tmp_path, "broken", BROKEN)), 2)
        assert (await deployed.score()) == (200, before)
        assert "the model file is damaged" in console.inference_server_log(tmp_path / "logs", 200, "Failed")
        assert deployed.drained == []

    story(tmp_path, tell)


def test_an_update_replaces_every_instance_once_the_new_ones_are_ready(spec: ReplicaSpec, tmp_path: Path) -> None:
    async def tell(deployed: Deployed) -> None:
        await deployed.runner.deploy(spec, 1)
        [old] = deployed.runner.routes()
        await deployed.runner.deploy(replace(spec, environment=(("VERSION", "2"),)), 1)
        assert (await deployed.score(["VERSION"]))[1]["VERSION"] == "2"
        assert deployed.drained == [old.name]
        # At no time was there no replica to send requests to.
        assert all(deployed.published)

    story(tmp_path, tell)


def test_a_crashed_container_comes_back_and_is_counted(spec: ReplicaSpec, tmp_path: Path) -> None:
    async def tell(deployed: Deployed) -> None:
        await deployed.runner.deploy(spec, 1)
        [old] = deployed.runner.routes()
        _, answer = await deployed.score()
        os.kill(answer["pid"], signal.SIGKILL)
        await until(lambda: deployed.published[-1] == [])
        await until(lambda: bool(deployed.published[-1]))
        assert deployed.runner.restarts == 1
        assert (await deployed.score())[0] == 200
        assert deployed.runner.routes()[0].name != old.name
        assert "has crashed" in console.inference_server_log(tmp_path / "logs", 200, "Succeeded")

    story(tmp_path, tell)


def test_a_container_that_hangs_fails_its_liveness_probe_and_is_started_again(
    spec: ReplicaSpec, tmp_path: Path
) -> None:
    async def tell(deployed: Deployed) -> None:
        probe = Probe(initial_delay=0, period=0.2, timeout=0.2, failures=3)
        await deployed.runner.deploy(replace(spec, liveness=probe), 1)
        _, answer = await deployed.score()
        os.kill(answer["pid"], signal.SIGSTOP)
        await until(lambda: deployed.runner.restarts == 1)
        await until(lambda: bool(deployed.published[-1]), 30)
        assert (await deployed.score())[1]["pid"] != answer["pid"]

    story(tmp_path, tell)


def test_what_a_killed_sandbox_left_running_is_ended_and_strangers_are_not(spec: ReplicaSpec, tmp_path: Path) -> None:
    async def tell() -> None:
        survivor = ReplicaProcess(spec, tmp_path / "logs" / "a.log", tmp_path / "a.pid")
        await survivor.start()
        await survivor.wait_ready()
        stranger = {"pid": os.getpid(), "created": 1.0}  # the pid is used by another process by now
        (tmp_path / "b.pid").write_text(json.dumps(stranger))
        assert end_survivors(tmp_path) == 1
        assert await survivor.wait_exit() == -signal.SIGKILL
        assert not await survivor.lives(0.5)
        assert list(tmp_path.glob("*.pid")) == []

    asyncio.run(tell())


def test_a_container_that_never_answers_is_given_up(spec: ReplicaSpec, tmp_path: Path) -> None:
    sleepy = code(tmp_path, "sleepy", "import time\ndef init():\n    time.sleep(60)\ndef run(raw):\n    return 1\n")

    async def nobody() -> None: ...

    async def tell() -> None:
        impatient = Probe(initial_delay=0, period=0.5, timeout=0.2, failures=3)
        instance = Instance(replace(spec, app_root=sleepy, readiness=impatient), tmp_path, "blue", nobody)
        with pytest.raises(ReplicaFailed, match=r"did not become ready within 1\.5 s"):
            await instance.start()
        assert list(tmp_path.glob("*.pid")) == []

    asyncio.run(tell())


def test_faults_on_order_hit_the_scorer_exactly_as_often_as_ordered(spec: ReplicaSpec, tmp_path: Path) -> None:
    def order(**rule: Any) -> None:
        base = {"id": rule["kind"], "share": 1.0, "times": None, "seconds": 0.3, "megabytes": 30}
        spec.faults_file.write_text(json.dumps([base | rule]))

    async def tell(deployed: Deployed) -> None:
        await deployed.runner.deploy(spec, 2)
        ports = [route.port for route in deployed.runner.routes()]
        order(kind="scorer-errors", times=3)  # together, not each
        statuses = [(await score(port))[0] for _ in range(4) for port in ports]
        assert sorted(statuses) == [200] * 5 + [500] * 3
        order(kind="scorer-slow")
        start = asyncio.get_running_loop().time()
        assert (await score(ports[0]))[0] == 200
        assert asyncio.get_running_loop().time() - start >= 0.3
        order(kind="scorer-leaks")
        before = deployed.runner.instances[0].usage()
        for _ in range(3):
            await score(ports[0])
        after = deployed.runner.instances[0].usage()
        assert before is not None
        assert after is not None
        assert after.memory_bytes - before.memory_bytes > 80_000_000
        order(kind="scorer-crashes", times=1)
        with pytest.raises(aiohttp.ClientError):
            await score(ports[0])
        await until(lambda: deployed.runner.restarts == 1)

    story(tmp_path, tell)


def test_the_tail_of_a_console_spans_files_and_long_logs(tmp_path: Path) -> None:
    (tmp_path / "1a.log").write_text("first\nsecond\n")
    (tmp_path / "1b.log").write_text("".join(f"line {number} {'x' * 200}\n" for number in range(5000)))
    files = list(tmp_path.glob("*.log"))
    assert [line.split(" ")[1] for line in console.tail(files, 1000)] == [str(number) for number in range(4000, 5000)]
    everything = console.tail(files, 5001)
    assert (len(everything), everything[0]) == (5001, "second")


def test_new_console_lines_are_read_once_and_only_when_whole(tmp_path: Path) -> None:
    follower = console.Follower()
    log = tmp_path / "a1.log"
    log.write_text("one\ntwo\nhal")
    assert list(follower.new_lines(tmp_path)) == [("a1", "one"), ("a1", "two")]
    assert list(follower.new_lines(tmp_path)) == []
    with log.open("a") as file:
        file.write("f\n\nthree\n")
    assert list(follower.new_lines(tmp_path)) == [("a1", "half"), ("a1", "three")]


def test_a_restarted_sandbox_does_not_pass_old_console_lines_on_again(tmp_path: Path) -> None:
    (tmp_path / "a1.log").write_text("before\n")
    follower = console.Follower()
    follower.skip_existing(tmp_path)
    (tmp_path / "a2.log").write_text("after\n")
    assert list(follower.new_lines(tmp_path)) == [("a2", "after")]
