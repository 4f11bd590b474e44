"""The sandbox's life: up, found again, down with all it started, up with what it knew; and what stops it from starting."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from rollout.errors import BadInput, NotFound, Unavailable
from sandbox import environment, lifecycle, processes
from sandbox.kernel.settings import Settings, load_settings, new_settings, save_settings
from sandbox.kernel.tls import server_names, tls_files
from sandbox.lifecycle import Options, clock_of
from sandbox.processes import Pids, child_environment, stop
from tests.sandbox.conftest import ARM_VERSION, RunningSandbox, running

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
#: Starts a child of its own and ignores SIGTERM.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(child.pid, flush=True); time.sleep(600)",
]


def test_it_comes_back_with_its_state_its_ports_and_a_clock_that_went_on(tmp_path: Path) -> None:
    first = lifecycle.up(tmp_path, Options(time_scale=60.0))
    try:
        client = running(tmp_path)
        client.group(client.session(), "kept")
        again = lifecycle.up(tmp_path)
        assert again.processes == first.processes
        with pytest.raises(BadInput, match="clock_scale"):
            lifecycle.up(tmp_path, Options(time_scale=2.0))
        seen = again.clock.now()

        assert lifecycle.down(tmp_path) == ["control", "gateway", "mlflow"]
        assert not any(is_alive(pid) for pid in first.processes.values() if pid)
        assert lifecycle.down(tmp_path) == []
        with pytest.raises(Unavailable, match="not running") as refused:
            lifecycle.require_running(tmp_path)
        assert "rollout sandbox up" in refused.value.way_out

        back = lifecycle.up(tmp_path, Options(time_scale=2.0))
        assert back.settings.ports == first.settings.ports
        assert back.clock.now() >= seen
        group = client.settings.url("arm") + f"/subscriptions/{client.settings.subscription_id}/resourceGroups/kept"
        assert client.session().get(f"{group}?api-version={ARM_VERSION}", timeout=10).status_code == 200

        lifecycle.reset(tmp_path)
        assert client.session().get(f"{group}?api-version={ARM_VERSION}", timeout=10).status_code == 404
    finally:
        lifecycle.down(tmp_path)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and processes.is_alive(psutil.Process(pid))


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    settings = new_settings(now=time.time())
    save_settings(tmp_path, settings)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", settings.ports["arm"]))
        squatter.listen()
        with pytest.raises(Unavailable) as refused:
            lifecycle.up(tmp_path)
    assert f"{settings.ports['arm']} (arm)" in refused.value.message
    assert "--new-ports" in refused.value.way_out
    assert lifecycle.status(tmp_path).processes == {"control": None, "gateway": None, "mlflow": None}


def test_new_ports_move_only_the_services_that_must(tmp_path: Path) -> None:
    settings = new_settings(now=time.time())
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", settings.ports["arm"]))
        squatter.listen()
        moved = lifecycle._with_free_ports(settings, ["arm", "login"], Options(new_ports=True))
    assert moved.ports["arm"] != settings.ports["arm"]
    assert {**moved.ports, "arm": 0} == {**settings.ports, "arm": 0}


def test_a_process_that_dies_while_starting_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no disk left')"]
    monkeypatch.setattr(lifecycle, "_command", lambda name, home, settings: broken)
    with pytest.raises(Unavailable, match="no disk left"):
        lifecycle.up(tmp_path)
    assert not lifecycle.status(tmp_path).running


def test_without_a_sandbox_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        lifecycle.status(tmp_path)
    assert "rollout sandbox up" in refused.value.way_out


def test_settings_that_cannot_be_read_are_an_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"tenant_id": 1}')
    with pytest.raises(BadInput, match=r"settings\.json"):
        load_settings(tmp_path)


def test_a_stale_pid_file_is_not_taken_for_the_sandbox(tmp_path: Path) -> None:
    pids = Pids(tmp_path)
    process = pids.start("control", SLEEPER)
    assert pids.running("control") == process
    record = json.loads(pids.file("control").read_bytes())
    pids.file("control").write_text(json.dumps({**record, "started": record["started"] - 100}))
    assert pids.running("control") is None
    pids.file("control").write_text("half a fi")
    assert pids.running("control") is None
    stop([process], seconds=5)
    pids.file("control").write_text(json.dumps(record))
    assert pids.running("control") is None


def test_stopping_reaches_a_stubborn_process_and_its_children(tmp_path: Path) -> None:
    pids = Pids(tmp_path)
    process = pids.start("control", STUBBORN)
    deadline = time.monotonic() + 10
    while not (text := pids.log("control").read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(text)
    stop([process], seconds=0.3)
    assert not is_alive(process.pid)
    assert not is_alive(child)


def test_in_the_foreground_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    save_settings(tmp_path, new_settings(now=time.time()))
    pids = Pids(tmp_path)
    started = [pids.start(name, SLEEPER) for name in lifecycle.PROCESSES]
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    lifecycle.hold(tmp_path)
    assert not any(is_alive(process.pid) for process in started)


def test_in_the_foreground_it_ends_with_an_error_when_a_process_dies(tmp_path: Path) -> None:
    save_settings(tmp_path, new_settings(now=time.time()))
    pids = Pids(tmp_path)
    started = [pids.start(name, SLEEPER) for name in lifecycle.PROCESSES]
    started[1].kill()
    with pytest.raises(Unavailable, match="gateway"):
        lifecycle.hold(tmp_path)
    assert not any(is_alive(process.pid) for process in started)


def test_secrets_are_readable_by_their_owner_alone(sandbox: RunningSandbox) -> None:
    for name in ("settings.json", "server.pem", "token-key.pem", "federation-key.pem", "state.db"):
        assert (sandbox.home / name).stat().st_mode & 0o077 == 0, name


def test_certificates_last_for_years_and_are_kept(tmp_path: Path) -> None:
    from cryptography import x509

    files = tls_files(tmp_path)
    before = (files.ca.read_bytes(), files.server.read_bytes())
    assert (tls_files(tmp_path).ca.read_bytes(), files.server.read_bytes()) == before
    certificate = x509.load_pem_x509_certificates(before[1])[0]
    assert (certificate.not_valid_after_utc.timestamp() - time.time()) / 86_400 > 3_000
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"127.0.0.1", "management.azure.com", "*.eastus.inference.ml.azure.com"} <= set(server_names())
    assert len(list(names)) == len(server_names())


@given(
    scales=st.lists(st.floats(min_value=0.1, max_value=3600), min_size=1, max_size=5),
    steps=st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=5, max_size=5),
)
def test_policy_time_never_goes_back_whatever_the_scale_or_the_machines_clock_does(
    scales: list[float], steps: list[float]
) -> None:
    now = 1_800_000_000.0
    settings: Settings = new_settings(now=now)
    for scale, step in zip(scales, steps, strict=False):
        before = settings
        now += step
        seen = clock_of(before).policy_timestamp(max(now, before.clock_real_origin))
        settings = lifecycle._changed(before, Options(time_scale=scale), now, running=False)
        assert clock_of(settings).policy_timestamp(now) >= min(seen, clock_of(before).policy_timestamp(now)) - 1e-3
        assert clock_of(settings).policy_timestamp(now) >= before.clock_policy_origin - 1e-3


def test_children_are_not_sent_through_the_sandbox_but_through_a_companys_proxy(tmp_path: Path) -> None:
    environ = {
        "HTTPS_PROXY": "http://127.0.0.1:5",
        "HTTP_PROXY": "http://proxy.example:8080",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"),
        "SSL_CERT_FILE": "/etc/ssl/company.pem",
        "ROLLOUT_CLOCK": "scale=60",
        "AZURE_CLIENT_SECRET": "s",
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "NO_PROXY": "internal.example",
        "HOME": "/home/me",
    }
    kept = child_environment(environ, tmp_path)
    assert kept["HTTP_PROXY"] == "http://proxy.example:8080"
    assert kept["SSL_CERT_FILE"] == "/etc/ssl/company.pem"
    assert kept["NO_PROXY"] == "127.0.0.1,localhost,internal.example"
    gone = {"HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "ROLLOUT_CLOCK", "AZURE_CLIENT_SECRET", "MLFLOW_TRACKING_URI"}
    assert not gone & set(kept)


def test_the_environment_survives_a_shell(sandbox: RunningSandbox) -> None:
    variables = {**sandbox.env, "ODD": "it's $HOME; `x`"}
    script = environment.script(variables, ("HTTPS_PROXY",)) + "\nenv -0"
    environ = {"PATH": os.environ["PATH"], "HTTPS_PROXY": "stale"}
    shown = subprocess.run(["/bin/sh", "-c", script], env=environ, capture_output=True, check=True).stdout.decode()
    seen = dict(entry.split("=", 1) for entry in shown.split("\0") if entry)
    assert {name: seen[name] for name in variables} == variables
    assert "HTTPS_PROXY" not in seen
    assert seen["PATH"].split(":")[0] == str(sandbox.home / "bin")


def test_the_other_way_in_is_taken_back(sandbox: RunningSandbox) -> None:
    explicit, proxied = sandbox.env, sandbox.proxy_env
    assert "ROLLOUT_AZURE_RESOURCE_MANAGER" in environment.stale(sandbox.settings, explicit, proxy=True)
    assert "HTTPS_PROXY" in environment.stale(sandbox.settings, proxied, proxy=False)
    assert environment.stale(sandbox.settings, {"HTTPS_PROXY": "http://company"}, proxy=False) == ()


def test_every_port_answers_over_tls_and_on_loopback_only(sandbox: RunningSandbox) -> None:
    pids = [pid for pid in lifecycle.status(sandbox.home).processes.values() if pid]
    listening = [
        c for pid in pids for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN
    ]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert set(sandbox.settings.ports.values()) <= {c.laddr.port for c in listening}
    for name in ("arm", "login", "graph", "ml", "monitor", "logs", "eventgrid", "admin"):
        answer = requests.get(
            sandbox.settings.url(name) + "/oddity",
            verify=sandbox.env["SSL_CERT_FILE"],
            timeout=10,
            proxies={"https": ""},
        )
        assert answer.status_code in (401, 404, 501), name
        assert answer.headers["x-ms-request-id"]


def test_the_admin_service_is_for_the_sandboxs_own(sandbox: RunningSandbox) -> None:
    assert sandbox.admin.status()["time_scale"] == 1.0
    for path in ("/status", "/faults"):
        url = sandbox.settings.url("admin") + path
        refused = requests.get(
            url, verify=sandbox.env["SSL_CERT_FILE"], headers={"Authorization": "Bearer x"}, timeout=10
        )
        assert refused.status_code == 401


def test_faults_are_ordered_listed_and_cleared(sandbox: RunningSandbox) -> None:
    fault = sandbox.admin.add_fault(kind="http", target="graph:GET /v1.0/nothing", status=503, times=1)
    assert [each["id"] for each in sandbox.admin.faults()] == [fault["id"]]
    session = sandbox.session("https://graph.microsoft.com")
    url = sandbox.settings.url("graph") + "/v1.0/nothing"
    assert [session.get(url, timeout=10).status_code for _ in range(2)] == [503, 501]
    with pytest.raises(BadInput, match="allowed are 429, 500 and 503"):
        sandbox.admin.add_fault(kind="http", status=418)
    with pytest.raises(BadInput, match="kind"):
        sandbox.admin.add_fault(kind="earthquake")
    with pytest.raises(NotFound):
        sandbox.admin.clear_faults("nope")
    sandbox.admin.add_fault(kind="drop", target="graph:GET /v1.0/nothing", times=1)
    with pytest.raises(requests.ConnectionError):
        session.get(url, timeout=10)
    sandbox.admin.clear_faults()
    assert sandbox.admin.faults() == []
