"""`python -m load.client`: steady client load on a scoring URI, one JSON line per answered request.

Each of `--users` sends one row a second; `--out` gets {"t", "ms", "status", "deployment"} per request
(t: epoch seconds at the end, status 0: no answer). Ends after `--seconds`, or on SIGTERM or SIGINT.
The endpoint's key is read from $SCORING_KEY, never from the command line.
"""

from gevent import monkey

monkey.patch_all()

# Everything below must see the patched standard library.
import argparse  # noqa: E402
import csv  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import gevent.event  # noqa: E402
from gevent import signal_handler  # noqa: E402
from locust import HttpUser, constant_pacing, task  # noqa: E402
from locust.env import Environment  # noqa: E402

MAX_SECONDS, MAX_USERS = 3600, 500
#: Longer than the service's own limit, so that its answer is what counts.
CLIENT_TIMEOUT_SECONDS = 15


def payloads(table: Path, drop: set[str]) -> list[dict[str, Any]]:
    """One single-row scoring request per line of the CSV, in MLflow's `input_data` form."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name not in drop]
    return [
        {"input_data": {"columns": columns, "index": [0], "data": [[_value(row[name]) for name in columns]]}}
        for row in rows
    ]


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def make_user(path: str, bodies: list[dict[str, Any]], key: str) -> type[HttpUser]:
    """A client that sends one row a second, whatever the answers take."""
    # Which customer asks next needs no cryptographic randomness.
    chooser = random.Random(7)  # nosec B311

    class Client(HttpUser):  # type: ignore[misc]  # Locust is untyped
        wait_time = constant_pacing(1)

        def on_start(self) -> None:
            # Locust's session ignores the environment, so also its certificate authority.
            self.client.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True

        @task  # type: ignore[untyped-decorator]
        def score(self) -> None:
            headers = {"Authorization": f"Bearer {key}"}
            self.client.post(path, json=chooser.choice(bodies), headers=headers, timeout=CLIENT_TIMEOUT_SECONDS)

    return Client


def run(args: argparse.Namespace, key: str) -> int:
    """Drive the load to its end; returns the number of requests."""
    host, _, path = args.uri.partition("://")[2].partition("/")
    user = make_user(f"/{path}", payloads(args.rows, set(args.drop)), key)
    environment = Environment(user_classes=[user], host=f"{args.uri.partition('://')[0]}://{host}")
    runner = environment.create_local_runner()
    count = 0
    with args.out.open("a", buffering=1) as out:

        def write(response_time: float, response: Any = None, exception: Any = None, **_: Any) -> None:
            nonlocal count
            count += 1
            headers = getattr(response, "headers", None) or {}
            line = {
                "t": time.time(),
                "ms": round(response_time, 2),
                "status": getattr(response, "status_code", 0) or 0,
                "deployment": headers.get("azureml-model-deployment", ""),
            }
            if exception is not None and not line["status"]:
                line["detail"] = f"{type(exception).__name__}: {exception}"[:200]
            out.write(json.dumps(line) + "\n")

        environment.events.request.add_listener(write)
        stop = gevent.event.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal_handler(number, stop.set)
        runner.start(args.users, spawn_rate=args.users)
        stop.wait(timeout=args.seconds)
        # Answers under way are waited for: a client that hangs up is no failed request of the service.
        environment.stop_timeout = CLIENT_TIMEOUT_SECONDS
        runner.stop()
        runner.quit()
    return count


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m load.client", description=__doc__)
    parser.add_argument("--uri", required=True, help="scoring URI")
    parser.add_argument("--rows", type=Path, required=True, help="CSV file whose rows are sent")
    parser.add_argument("--drop", nargs="*", default=[], help="columns that are not features")
    parser.add_argument("--users", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not 0 < args.seconds <= MAX_SECONDS or not 0 < args.users <= MAX_USERS:
        parser.error(f"--seconds must be in (0, {MAX_SECONDS}] and --users in [1, {MAX_USERS}]")
    key = os.environ.get("SCORING_KEY", "")
    if not key:
        parser.error("SCORING_KEY is not set: export SCORING_KEY=<the endpoint's primary key>")
    print(f"{run(args, key)} requests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
