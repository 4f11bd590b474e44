"""The client load: every request is written down as the client saw it, whatever the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from demo.clients import Clients, answered_by, failures

ROWS = "id,charge,area,left\n1,50.5,north,yes\n2,20,south,no\n"


class Scorer(BaseHTTPRequestHandler):
    """Scores customers of the north, fails for the south."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, Any]]
    keys: set[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append(body)
        self.keys.add(self.headers["authorization"])
        north = body["input_data"]["data"][0][1] == "north"
        answer = b"[[0.2, 0.8]]" if north else b"unknown area"
        self.send_response(200 if north else 424)
        self.send_header("content-length", str(len(answer)))
        self.send_header("azureml-model-deployment", "green")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def scorer() -> Iterator[ThreadingHTTPServer]:
    Scorer.seen, Scorer.keys = [], set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scorer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def run_load(folder: Path, uri: str, *options: str, key: str = "secret") -> subprocess.CompletedProcess[str]:
    (folder / "rows.csv").write_text(ROWS)
    command = [
        sys.executable,
        "-m",
        "load.client",
        "--uri",
        uri,
        "--rows",
        str(folder / "rows.csv"),
        "--drop",
        "id",
        "left",
    ]
    command += ["--out", str(folder / "requests.jsonl"), *options]
    environment = {**os.environ, "SCORING_KEY": key}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_answers_and_failures_are_written_down_with_who_answered(tmp_path: Path, scorer: ThreadingHTTPServer) -> None:
    uri = f"http://127.0.0.1:{scorer.server_port}/workspace/endpoint/score"
    ran = run_load(tmp_path, uri, "--users", "8", "--seconds", "3")
    assert ran.returncode == 0, ran.stderr
    seen = Clients(tmp_path / "requests.jsonl").seen()
    assert len(seen) == len(Scorer.seen) >= 8
    assert {request.status for request in seen} == {200, 424}
    assert len(answered_by(seen, "green")) == len(seen)
    assert failures(seen) == sum(body["input_data"]["data"][0][1] == "south" for body in Scorer.seen)
    assert Scorer.seen[0]["input_data"]["columns"] == ["charge", "area"]
    assert Scorer.keys == {"Bearer secret"}
    assert "secret" not in " ".join(ran.args)


def test_no_answer_at_all_is_a_failed_request_too(tmp_path: Path) -> None:
    ran = run_load(tmp_path, "http://127.0.0.1:9/nobody/there/score", "--users", "2", "--seconds", "2")
    assert ran.returncode == 0, ran.stderr
    seen = Clients(tmp_path / "requests.jsonl").seen()
    assert seen
    assert failures(seen) == len(seen)
    assert {request.status for request in seen} == {0}


def test_load_without_bounds_or_a_key_is_refused(tmp_path: Path) -> None:
    endless = run_load(tmp_path, "http://127.0.0.1:9/x", "--seconds", "99999")
    assert endless.returncode == 2
    assert "--seconds must be in (0, 3600]" in endless.stderr
    keyless = run_load(tmp_path, "http://127.0.0.1:9/x", key="")
    assert keyless.returncode == 2
    assert "SCORING_KEY is not set" in keyless.stderr


def test_a_line_that_is_being_written_is_left_for_the_next_look(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_text('{"t": 1.0, "ms": 5, "status": 200, "deployment": "blue"}\n{"t": 2.0, "ms"')
    assert [request.t for request in Clients(log).seen()] == [1.0]
