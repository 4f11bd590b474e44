"""One model behind four servers, and large batches: what `rollout model optimize` and the container are worth.

`mlflow models serve`, Azure's inference server with MLflow's loader, the same server with score.py on ONNX Runtime, and the custom
container's app; single rows at concurrency 8, every request another row, in turns. Each server has one worker on one thread and runs
in an environment of its own, with caches off. Then 10,000 rows in process, beside the trained pipeline.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.load import Post, has_wrk, put_load
from bench.measure import OUT, Comparison, Result, Row, clean_environment, compare
from sandbox.kernel.settings import LOOPBACK, free_ports
from sandbox.ml.conda import EnvironmentSpec
from sandbox.ml.envs import EnvironmentBuilder

TREES, CONCURRENCY, ROUNDS, SECONDS = 300, 8, 3, 3
#: Both sides of the batch comparison end in XGBoost's own trees, so it may be missed by noise alone.
NOISE = 0.97
#: As the sandbox serves it.
_SCRIPT = Path("sandbox/ml/serving/inside/mlflow_score.py")
_SERVER = ("azureml-inference-server-http==1.5.1", "gunicorn==23.0.0")
#: What each side of a goal is called.
MLFLOW, PYFUNC, ONNX, CONTAINER = (
    "mlflow models serve",
    "Azure's server, pyfunc",
    "Azure's server, ONNX",
    "container, ONNX",
)
_START_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Made:
    """What is served: the folders, and the rows that are asked about."""

    native: Path
    optimised: Path
    rows: Path
    context: Path
    code: Path


@dataclass(frozen=True, slots=True)
class Server:
    """How one is started, and how it is asked. `key`: what the rows are called in a request."""

    name: str
    command: tuple[str, ...]
    port: int
    path: str
    probe: str
    key: str
    folder: Path
    variables: Mapping[str, str]


@dataclass(slots=True)
class Seen:
    """Of one server: start in seconds, memory in MB after the load, requests/s of each round, and per second of its CPU time."""

    start_seconds: float
    memory_mb: float = 0.0
    rates: list[float] = field(default_factory=list)
    per_core_second: list[float] = field(default_factory=list)
    median_ms: float = 0.0
    p99_ms: float = 0.0


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
        made = _make(Path(folder))
        seen = _serve(_servers(made, Path(folder)), _bodies(made.rows))
        batch = _batch(made)
    by = {name: each.rates for name, each in seen.items()}
    cores = {name: each.per_core_second for name, each in seen.items()}
    pairs = ((ONNX, MLFLOW), (ONNX, PYFUNC), (CONTAINER, MLFLOW))
    ratios = {(own, base): compare(list(zip(by[base], by[own], strict=True))) for own, base in pairs}
    of_cores = {(own, base): compare(list(zip(cores[base], cores[own], strict=True))) for own, base in pairs}
    details = {
        "load": "wrk" if has_wrk() else "python",
        "concurrency": CONCURRENCY,
        "servers": {name: asdict(each) for name, each in seen.items()},
        "ratios": {f"{own} / {base}": asdict(each) for (own, base), each in ratios.items()},
        "ratios_per_core_second": {f"{own} / {base}": asdict(each) for (own, base), each in of_cores.items()},
        "batch_seconds": asdict(batch),
    }
    notes = [] if has_wrk() else ["serving: wrk is not installed (apt: wrk): the client takes a share of the machine"]
    return Result("serving", list(_rows(by, ratios, of_cores, batch)), details, notes)


Ratios = Mapping[tuple[str, str], Comparison]


def _rows(by: Mapping[str, Sequence[float]], ratios: Ratios, of_cores: Ratios, batch: Comparison) -> Iterator[Row]:
    for name, rates in by.items():
        yield Row(name, statistics.median(rates), "req/s")
    goals = {(ONNX, MLFLOW): 10.0, (ONNX, PYFUNC): 5.0, (CONTAINER, MLFLOW): 40.0}
    for pair, goal in goals.items():
        yield Row(f"{pair[0]} / {pair[1]}", ratios[pair].ratio, "x", goal, at_least=True)
    for pair, ratio in of_cores.items():
        # other work on the machine leaves this one alone
        yield Row(f"the same per second of CPU time: {pair[0]} / {pair[1]}", ratio.ratio, "x")
    yield Row("10,000 rows, trained pipeline / optimised", 1 / batch.ratio, "x", NOISE, at_least=True)


def _make(folder: Path) -> Made:
    """mlc_churn's 5,000 customers, trained by the pipeline's own steps, then optimised and packaged."""
    import mlflow

    from bench.serving_model import train_churn
    from training.container.context import write_context
    from training.onnx.optimize import optimise
    from training.scoring.package import write_code

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    native, rows = train_churn(folder, TREES)
    mlflow.set_tracking_uri(before)
    optimised = folder / "optimised"
    print(f"  {optimise(native, rows, optimised).parity.said}", flush=True)
    return Made(
        native, optimised, rows, write_context(optimised, folder / "image"), write_code(optimised, folder / "code")
    )


def _bodies(rows: Path) -> list[dict[str, Any]]:
    """One request a test row, as columns and data."""
    import pandas as pd

    frame = pd.read_parquet(rows).drop(columns="__class")
    values = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return [{"columns": list(frame.columns), "data": [row]} for row in values]


def _servers(made: Made, folder: Path) -> list[Server]:
    """Azure's server is gunicorn with the arguments of its own launcher, on loopback."""
    ports = free_ports((MLFLOW, PYFUNC, ONNX, CONTAINER))
    native = (made.native / "requirements.txt").read_text().splitlines()
    pyfunc = _python(EnvironmentSpec.from_requirements("\n".join([*native, *_SERVER])))
    onnx = _python(EnvironmentSpec.from_conda((made.code / "conda.yaml").read_text()).with_requirements(_SERVER[1]))
    image = _python(EnvironmentSpec.from_requirements(_unhashed(made.context / "requirements.txt")))
    gunicorn = (
        "-m",
        "gunicorn",
        "-w",
        "1",
        "--timeout",
        "300",
        "--access-logfile",
        "-",
        "--error-logfile",
        "/dev/null",
    )
    app = "azureml_inference_server_http.server.entry:app"

    def azure(name: str, python: str, root: Path, script: str, model: Path) -> Server:
        bind = ("-b", f"{LOOPBACK}:{ports[name]}", app)
        variables = {
            "AZUREML_ENTRY_SCRIPT": script,
            "AML_APP_ROOT": str(root),
            "AZUREML_MODEL_DIR": str(model),
            "SCORING_CACHED_ROWS": "0",
        }
        return Server(name, (python, *gunicorn, *bind), ports[name], "/score", "/", "input_data", root, variables)

    serve = ("models", "serve", "--model-uri", str(made.native), "--env-manager", "local", "--workers", "1", "--host")
    return [
        Server(
            MLFLOW,
            (sys.executable, "-m", "mlflow", *serve, LOOPBACK, "--port", str(ports[MLFLOW])),
            ports[MLFLOW], "/invocations", "/ping", "dataframe_split", folder,
            {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"},  # it starts `uvicorn`
        ),
        azure(PYFUNC, pyfunc, _SCRIPT.parent.resolve(), _SCRIPT.name, made.native),
        azure(ONNX, onnx, made.code, "score.py", made.optimised),
        Server(
            CONTAINER,
            (image, "-m", "training.container"),
            ports[CONTAINER], "/score", "/ready", "input_data", made.context,
            {
                "HOST": LOOPBACK,
                "PORT": str(ports[CONTAINER]),
                "AZUREML_MODEL_DIR": str(made.optimised),
                "SCORING_CACHED_ROWS": "0",
            },
        ),
    ]  # fmt: skip


def _unhashed(lock: Path) -> str:
    return "\n".join(line.split(" ")[0] for line in lock.read_text().splitlines() if "==" in line)


def _python(spec: EnvironmentSpec) -> str:
    """Built once, kept for later runs."""
    return str(asyncio.run(EnvironmentBuilder((OUT / "home").resolve()).build(spec)))


def _serve(servers: Sequence[Server], bodies: Sequence[dict[str, Any]]) -> dict[str, Seen]:
    with contextlib.ExitStack() as stack:
        running = [(server, *stack.enter_context(_running(server))) for server in servers]
        posts = {server.name: _post(server, bodies) for server in servers}
        seen = {server.name: Seen(started) for server, _, started in running}
        for server in servers:
            asyncio.run(put_load(posts[server.name], CONCURRENCY, 1))  # warm-up
        for _ in range(ROUNDS):
            for server, process, _ in running:
                _load(server, process, posts[server.name], seen[server.name])
        for server, process, _ in running:
            seen[server.name].memory_mb = round(_memory_mb(process), 1)
            found = seen[server.name]
            print(
                f"  {server.name}: {statistics.median(found.rates):,.0f} req/s"
                f" ({statistics.median(found.per_core_second):,.0f} per second of its CPU time), started in {found.start_seconds:.1f} s,"
                f" {found.memory_mb:.0f} MB",
                flush=True,
            )
    return seen


def _load(server: Server, process: psutil.Process, post: Post, seen: Seen) -> None:
    before = _cpu_seconds(process)
    load = asyncio.run(put_load(post, CONCURRENCY, SECONDS))
    if load.errors:
        raise RuntimeError(f"{server.name}: {load.errors} of {load.requests} requests were not answered 200")
    seen.rates.append(load.requests_per_second)
    seen.per_core_second.append(load.requests / (_cpu_seconds(process) - before))
    seen.median_ms, seen.p99_ms = load.median_ms, load.p99_ms


def _post(server: Server, bodies: Sequence[dict[str, Any]]) -> Post:
    first, *others = [json.dumps({server.key: body}) for body in bodies]
    return Post(f"http://{LOOPBACK}:{server.port}{server.path}", "none", first, tuple(others))


@contextlib.contextmanager
def _running(server: Server) -> Iterator[tuple[psutil.Process, float]]:
    """The process and how long it took until it was ready; RuntimeError with its log when it never is."""
    environment = clean_environment(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1", **server.variables)
    # the image has the code in its working folder
    environment.pop("PYTHONPATH", None)
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            server.command, cwd=server.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            while not _answers(f"http://{LOOPBACK}:{server.port}{server.probe}"):
                if process.poll() is not None or time.monotonic() - began > _START_SECONDS:
                    log.seek(0)
                    raise RuntimeError(f"{server.name} did not start:\n{log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.1)
            yield psutil.Process(process.pid), round(time.monotonic() - began, 2)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With its children: they are a group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _memory_mb(process: psutil.Process) -> float:
    return float(sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))) / 2**20


def _cpu_seconds(process: psutil.Process) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


def _batch(made: Made) -> Comparison:
    """10,000 rows in this process, in turns: seconds of the trained pipeline and of the optimised model."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import pandas as pd

    from training.onnx.predictor import OnnxPredictor
    from training.onnx.speed import BATCH_ROWS, in_turns, repeated
    from training.steps.evaluate import load

    pipeline, _ = load(made.native)
    predictor = OnnxPredictor(made.optimised)
    rows = repeated(pd.read_parquet(made.rows), BATCH_ROWS)[list(predictor.columns)]
    native, own = in_turns(lambda: pipeline.predict_proba(rows), lambda: predictor.predict_proba(rows), 15)
    return compare(list(zip(native, own, strict=True)))
