"""ML engineers submit command jobs with azure-ai-ml, follow their logs, cancel them and download what they made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace, workspace

pytestmark = pytest.mark.sandbox
TINY = "dependencies:\n- python=3.11\n- pip\n- pip:\n  - six==1.17.0\n"
ENDED = ("Completed", "Failed", "Canceled")


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox) -> Iterator[MlWorkspace]:
    with workspace(sandbox, "jobs") as made:
        yield made


@pytest.fixture
def environment(tmp_path: Path) -> Any:
    from azure.ai.ml.entities import Environment

    (tmp_path / "conda.yaml").write_text(TINY)
    return Environment(name="tiny", image="ubuntu", conda_file=str(tmp_path / "conda.yaml"))


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "main.py").write_text(
        "import os, sys, pathlib, six\n"
        "rows = pathlib.Path(sys.argv[1]).read_text().split()\n"
        "pathlib.Path(sys.argv[2], 'count.txt').write_text(str(len(rows)))\n"
        "pathlib.Path('outputs').mkdir(); pathlib.Path('outputs/note.txt').write_text(sys.argv[3])\n"
        "print('six', six.__version__, 'run', os.environ['AZUREML_RUN_ID'])\n"
    )
    return folder


def submit(ws: MlWorkspace, environment: Any, line: str, **kwargs: Any) -> Any:
    from azure.ai.ml import command

    job = command(command=line, environment=environment, compute="cpu", experiment_name="tries", **kwargs)
    return ws.client.jobs.create_or_update(job)


def status_of(ws: MlWorkspace, name: str) -> str:
    """The SDK gives an enum, whose text is not its value."""
    status = ws.client.jobs.get(name).status
    return str(getattr(status, "value", status))


def until(ws: MlWorkspace, name: str, *statuses: str, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while (status := status_of(ws, name)) not in statuses:
        assert time.monotonic() < deadline, f"{name} is still {status}"
        time.sleep(0.1)
    return status


def test_a_job_reads_its_inputs_runs_its_code_and_leaves_outputs_and_logs(
    ws: MlWorkspace, environment: Any, code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from azure.ai.ml import Input, Output

    (tmp_path / "rows.txt").write_text("a b c")
    job = submit(
        ws, environment, "python main.py ${{inputs.rows}} ${{outputs.report}} ${{inputs.note}} $[[--x ${{inputs.gone}}]]",
        code=str(code), inputs={"rows": Input(type="uri_file", path=str(tmp_path / "rows.txt")), "note": "hello"},
        outputs={"report": Output(type="uri_folder")}, display_name="counting",
    )  # fmt: skip
    ws.client.jobs.stream(job.name)
    assert f"six 1.17.0 run {job.name}" in capsys.readouterr().out
    assert until(ws, job.name, *ENDED) == "Completed"

    ws.client.jobs.download(job.name, download_path=tmp_path / "one", output_name="report")
    assert (tmp_path / "one/named-outputs/report/count.txt").read_text() == "3"
    ws.client.jobs.download(job.name, download_path=tmp_path / "all", all=True)
    assert (tmp_path / "all/named-outputs/report/count.txt").read_text() == "3"
    assert "six 1.17.0" in (tmp_path / "all/artifacts/user_logs/std_log.txt").read_text()
    assert (tmp_path / "all/artifacts/outputs/note.txt").read_text() == "hello"
    assert job.name in {each.name for each in ws.client.jobs.list()}


def test_the_same_code_is_uploaded_once(ws: MlWorkspace, environment: Any, code: Path) -> None:
    first = submit(ws, environment, "true", code=str(code))
    second = submit(ws, environment, "true", code=str(code))
    assert first.code == second.code


def test_a_failing_command_fails_the_job_and_the_log_and_the_error_say_why(
    ws: MlWorkspace, environment: Any, tmp_path: Path
) -> None:
    from azure.ai.ml.exceptions import JobException

    job = submit(ws, environment, "echo about to fail; exit 7")
    with pytest.raises(JobException, match="exited with status code 7"):
        ws.client.jobs.stream(job.name)
    assert until(ws, job.name, *ENDED) == "Failed"
    ws.client.jobs.download(job.name, download_path=tmp_path)
    assert (tmp_path / "artifacts/user_logs/std_log.txt").read_text() == "about to fail\n"


def test_an_environment_that_does_not_resolve_fails_the_job_with_the_resolvers_words(
    ws: MlWorkspace, tmp_path: Path
) -> None:
    from azure.ai.ml.entities import Environment

    (tmp_path / "conda.yaml").write_text("dependencies:\n- pip:\n  - six==999.0\n")
    job = submit(ws, Environment(name="bad", image="ubuntu", conda_file=str(tmp_path / "conda.yaml")), "true")
    assert until(ws, job.name, *ENDED) == "Failed"
    answer = details(ws, job.name)
    assert "six==999.0" in answer["error"]["error"]["message"]
    assert "azureml-logs/20_image_build_log.txt" in answer["logFiles"]


def details(ws: MlWorkspace, name: str) -> dict[str, Any]:
    url = f"{ws.sandbox.settings.url('ml')}/history/v1.0{ws.id}/runs/{name}/details"
    return dict(ws.session.get(url, timeout=10).json())


def test_cancelling_ends_the_whole_process_group(ws: MlWorkspace, environment: Any, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    job = submit(ws, environment, f"(while true; do date > {alive}; sleep 0.1; done) & sleep 300")
    until(ws, job.name, "Running")
    while not alive.exists():
        time.sleep(0.05)
    ws.client.jobs.begin_cancel(job.name).result()
    assert status_of(ws, job.name) == "Canceled"
    alive.unlink(missing_ok=True)
    time.sleep(0.4)
    assert not alive.exists()


def test_a_job_over_its_time_limit_is_canceled(ws: MlWorkspace, environment: Any) -> None:
    from azure.ai.ml import command
    from azure.ai.ml.entities import CommandJobLimits

    job = command(command="sleep 300", environment=environment, compute="cpu")
    job.limits = CommandJobLimits(timeout=1)
    name = ws.client.jobs.create_or_update(job).name
    assert until(ws, name, *ENDED) == "Canceled"
    assert "limit of 1 s" in details(ws, name)["error"]["error"]["message"]


def test_a_cluster_with_one_node_runs_one_job_at_a_time_in_order(ws: MlWorkspace, environment: Any) -> None:
    first, second = (submit(ws, environment, "sleep 1.5") for _ in range(2))
    until(ws, first.name, "Running")
    assert status_of(ws, second.name) == "Queued"
    until(ws, second.name, "Running")
    assert status_of(ws, first.name) == "Completed"


def test_a_job_sees_the_sandbox_and_nothing_of_the_callers_shell(
    ws: MlWorkspace, environment: Any, tmp_path: Path
) -> None:
    job = submit(ws, environment, "env", environment_variables={"MINE": "yes"})
    until(ws, job.name, "Completed")
    ws.client.jobs.download(job.name, download_path=tmp_path)
    lines = (tmp_path / "artifacts/user_logs/std_log.txt").read_text().splitlines()
    seen = dict(line.split("=", 1) for line in lines if "=" in line)
    settings = ws.sandbox.settings
    assert seen["MINE"] == "yes"
    assert seen["MLFLOW_TRACKING_URI"] == settings.url("mlflow")
    assert seen["AZURE_CLIENT_ID"] == settings.client_id
    assert seen["SSL_CERT_FILE"] == str(ws.sandbox.home / "ca.pem")
    assert not {"HTTPS_PROXY", "PIP_CERT", "PYTEST_CURRENT_TEST"} & seen.keys()


def test_tags_and_names_can_be_changed_later_and_jobs_archived(ws: MlWorkspace, environment: Any) -> None:
    job = submit(ws, environment, "true", tags={"a": "1"})
    changed = ws.client.jobs.update(job.name, display_name="better name", tags={"b": "2"})
    assert (changed.display_name, changed.tags["a"], changed.tags["b"]) == ("better name", "1", "2")
    ws.client.jobs.archive(job.name)
    assert job.name not in {each.name for each in ws.client.jobs.list()}
    ws.client.jobs.restore(job.name)
    assert job.name in {each.name for each in ws.client.jobs.list()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command": "echo ${{inputs.rows}}"}, "inputs.rows, which the job does not have"),
        ({"command": " "}, "needs properties.command"),
        ({"computeId": "computes/gone"}, "Unknown compute target 'gone'"),
        ({"inputs": {"x": {"jobInputType": "uri_file"}}}, "inputs.x: an input of type uri_file needs a uri"),
        ({"inputs": {"x": {"jobInputType": "odd", "uri": "a"}}}, "'odd'; allowed are custom_model"),
        ({"limits": {"timeout": "5 minutes"}}, "properties.limits.timeout is '5 minutes'"),
    ],
)
def test_a_wrong_job_is_refused_before_anything_starts(ws: MlWorkspace, change: dict[str, Any], words: str) -> None:
    body = {"jobType": "Command", "command": "true", "environmentId": "x", **change}
    if "computeId" in change:
        body["computeId"] = f"{ws.id}/{change['computeId']}"
    answer = ws.rest("PUT", "/jobs/wrong", {"properties": body}, version="2025-01-01-preview")
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert ws.rest("GET", "/jobs/wrong").status_code == 404


def test_job_types_that_are_not_imitated_are_named(ws: MlWorkspace) -> None:
    answer = ws.rest("PUT", "/jobs/p", {"properties": {"jobType": "Spark"}}, version="2024-01-01-preview")
    assert answer.status_code == 501
    assert "Spark" in answer.json()["error"]["message"]
