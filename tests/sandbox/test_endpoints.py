"""The life of online endpoints as a user of azure-ai-ml lives it, on a running sandbox."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.ai.ml.exceptions import MlException
from azure.core.exceptions import HttpResponseError

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import workspace as ml_workspace
from tests.sandbox.scoring import Workspace, endpoint_body

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def workspace(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with ml_workspace(sandbox, f"serving-{uuid.uuid4().hex[:6]}") as base:
        yield Workspace(base, tmp_path_factory.mktemp("serving"))


def test_blue_green_from_creation_to_deletion(workspace: Workspace) -> None:
    ml, name = workspace.client, "life-cycle"
    request = str(workspace.folder / "request.json")
    endpoint = ml.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name=name, tags={"team": "churn"})
    ).result()
    assert (endpoint.provisioning_state, endpoint.auth_mode, endpoint.traffic) == ("Succeeded", "key", {})
    assert endpoint.scoring_uri.endswith(f"/{workspace.name}/{name}/score")
    with pytest.raises(MlException, match="No valid deployments to route to"):
        ml.online_endpoints.invoke(name, request_file=request)

    workspace.deploy(workspace.deployment(name, "blue"))
    workspace.set_traffic(name, blue=100)
    answer = json.loads(ml.online_endpoints.invoke(name, request_file=request))
    assert (answer["model"], answer["rows"]) == ("blue", 2)

    workspace.deploy(workspace.deployment(name, "green"))
    assert workspace.score(name, pin="green").json()["model"] == "green"
    assert workspace.score(name).json()["model"] == "blue"

    workspace.deploy(workspace.deployment(name, "green", count=2))
    assert ml.online_deployments.get("green", name).instance_count == 2
    assert len({workspace.score(name, pin="green").json()["pid"] for _ in range(6)}) == 2

    endpoint = ml.online_endpoints.get(name)
    endpoint.mirror_traffic = {"green": 50}
    assert ml.online_endpoints.begin_create_or_update(endpoint).result().mirror_traffic == {"green": 50}
    endpoint.mirror_traffic, endpoint.traffic = {}, {"blue": 90, "green": 10}
    ml.online_endpoints.begin_create_or_update(endpoint).result()
    deployments = [workspace.score(name).headers["azureml-model-deployment"] for _ in range(50)]
    assert 3 <= deployments.count("green") <= 7

    workspace.set_traffic(name, blue=0, green=100)
    assert workspace.send("GET", f"onlineEndpoints/{name}").json()["properties"]["traffic"] == {"green": 100}
    assert {workspace.score(name).json()["model"] for _ in range(5)} == {"green"}

    log = ml.online_deployments.get_logs("green", name, lines=200)
    assert "model says green" in log
    assert "UserContainerStart: Succeeded" in log
    prepared = ml.online_deployments.get_logs("green", name, lines=50, container_type="storage-initializer")
    assert f"downloading model {name}-green:1" in prepared

    with pytest.raises(HttpResponseError, match="Cannot delete deployment 'green' with 100 percent of the traffic"):
        ml.online_deployments.begin_delete("green", name).result()
    ml.online_deployments.begin_delete("blue", name).result()
    assert [each.name for each in ml.online_deployments.list(name)] == ["green"]
    ml.online_endpoints.begin_delete(name).result()
    assert name not in [each.name for each in ml.online_endpoints.list()]
    assert workspace.score(name, key="any").status_code == 404


def test_no_request_fails_while_weights_move_and_instances_come_and_go(workspace: Workspace) -> None:
    name = "under-load"
    workspace.put_endpoint(name)
    workspace.deploy(workspace.deployment(name, "blue"))
    workspace.deploy(workspace.deployment(name, "green"))
    workspace.set_traffic(name, blue=100)
    url = f"onlineEndpoints/{name}/deployments"
    with workspace.load(name) as counts:
        for green in (10, 50):
            workspace.set_traffic(name, blue=100 - green, green=green)
        assert (
            workspace.finish(workspace.send("PATCH", f"{url}/green", {"sku": {"capacity": 2}}))["status"] == "Succeeded"
        )
        workspace.set_traffic(name, blue=0, green=100)
        assert (
            workspace.finish(workspace.send("PATCH", f"{url}/green", {"sku": {"capacity": 1}}))["status"] == "Succeeded"
        )
        # A new model under full traffic: the old instance answers until the new one is ready.
        workspace.deploy(workspace.deployment(name, "green", text="greener"))
        workspace.finish(workspace.send("DELETE", f"{url}/blue"))
    assert {status for status, _ in counts} == {200}
    assert counts[200, "blue"] > 0
    assert counts[200, "green"] > 50
    assert workspace.score(name).json()["model"] == "greener"


def test_a_score_script_whose_init_fails_gives_a_failed_deployment_that_says_why(workspace: Workspace) -> None:
    ml, name = workspace.client, "bad-init"
    workspace.put_endpoint(name)
    broken = workspace.deployment(name, "blue", code="broken")
    with pytest.raises(HttpResponseError, match="User container has crashed or terminated"):
        workspace.deploy(broken)
    assert ml.online_deployments.get("blue", name).provisioning_state == "Failed"
    assert "the model file is damaged" in ml.online_deployments.get_logs("blue", name, lines=100)
    body = endpoint_body(traffic={"blue": 100})
    assert workspace.refusal("PUT", f"onlineEndpoints/{name}", body)[1].endswith("can be given traffic.")
    with pytest.raises(HttpResponseError, match="unrecoverable state"):
        workspace.deploy(workspace.deployment(name, "blue"))
    ml.online_deployments.begin_delete("blue", name).result()
    assert workspace.deploy(workspace.deployment(name, "blue")).provisioning_state == "Succeeded"


def test_an_environment_that_does_not_resolve_fails_with_the_builders_words(workspace: Workspace) -> None:
    from azure.ai.ml.entities import Environment

    ml, name = workspace.client, "bad-env"
    workspace.put_endpoint(name)
    conda = workspace.folder / "impossible.yml"
    conda.write_text("dependencies:\n  - pip:\n    - packaging==0.0.999\n")
    deployment = workspace.deployment(name, "blue")
    deployment.environment = Environment(conda_file=str(conda), image="mcr.microsoft.com/azureml/inference")
    with pytest.raises(HttpResponseError, match=r"packaging==0\.0\.999"):
        workspace.deploy(deployment)
    log = ml.online_deployments.get_logs("blue", name, lines=100, container_type="storage-initializer")
    assert "packaging==0.0.999" in log


def test_an_update_that_fails_changes_no_traffic_and_others_wait_for_it(workspace: Workspace) -> None:
    name = "busy-one"
    workspace.put_endpoint(name)
    workspace.deploy(workspace.deployment(name, "blue"))
    workspace.set_traffic(name, blue=100)
    fault = {"kind": "operation-hangs", "target": f"*/onlineEndpoints/{name}", "times": 1, "seconds": 1.0}
    workspace.sandbox.admin.add_fault(**fault)
    answer = workspace.send("PUT", f"onlineEndpoints/{name}", endpoint_body(traffic={}))
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    status, message = workspace.refusal("PUT", f"onlineEndpoints/{name}", endpoint_body(traffic={"blue": 100}))
    assert (status, "is Updating" in message) == (409, True)
    assert workspace.score(name).status_code == 200
    assert workspace.finish(answer)["error"]["code"] == "OperationTimedOut"
    shown = workspace.send("GET", f"onlineEndpoints/{name}").json()["properties"]
    assert (shown["provisioningState"], shown["traffic"]) == ("Failed", {"blue": 100})
    assert workspace.score(name).status_code == 200
    assert workspace.put_endpoint(name, traffic={"blue": 100})["status"] == "Succeeded"


def test_keys_can_be_changed_one_at_a_time(workspace: Workspace) -> None:
    ml, name = workspace.client, "key-ring"
    workspace.put_endpoint(name)
    workspace.deploy(workspace.deployment(name, "blue"))
    workspace.set_traffic(name, blue=100)
    old = ml.online_endpoints.get_keys(name)
    ml.online_endpoints.begin_regenerate_keys(name, key_type="primary").result()
    new = ml.online_endpoints.get_keys(name)
    assert new.secondary_key == old.secondary_key
    codes = [
        workspace.score(name, key=key).status_code for key in (old.primary_key, new.primary_key, old.secondary_key)
    ]
    assert codes == [401, 200, 200]


def test_tokens_score_where_keys_do_not(workspace: Workspace) -> None:
    ml, name = workspace.client, "token-ring"
    ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="aml_token")).result()
    workspace.deploy(workspace.deployment(name, "blue"))
    workspace.set_traffic(name, blue=100)
    token = ml.online_endpoints.get_keys(name).access_token
    assert workspace.score(name, key=token).status_code == 200
    assert workspace.score(name, key="no-token").status_code == 401
    assert "has no keys" in workspace.refusal("POST", f"onlineEndpoints/{name}/listKeys")[1]
    workspace.put_endpoint(name, authMode="AADToken", traffic={"blue": 100})
    assert workspace.score(name, key=workspace.sandbox.token("https://ml.azure.com")).status_code == 200
    assert workspace.score(name, key=token).status_code == 401


def test_an_mlflow_model_is_served_without_code(workspace: Workspace) -> None:
    from azure.ai.ml.entities import ManagedOnlineDeployment, Model

    name, folder = "no-code", workspace.folder / "mlflow-model"
    save_mlflow_model(folder)
    workspace.put_endpoint(name)
    model = Model(path=str(folder), type="mlflow_model", name="sums", version="1")
    deployment = ManagedOnlineDeployment(
        name="blue", endpoint_name=name, model=model, instance_type="Standard_DS3_v2", instance_count=1
    )
    workspace.deploy(deployment)
    columns = {"columns": ["a", "b"], "index": [0, 1], "data": [[1, 2], [3, 4]]}
    for body in (columns, [[1, 2], [3, 4]], [{"a": 1, "b": 2}, {"a": 3, "b": 4}]):
        answer = workspace.score(name, pin="blue", body={"input_data": body})
        assert (answer.status_code, answer.json()) == (200, [3.0, 7.0])
    refused = workspace.score(name, pin="blue", body={"data": [[1, 2]]})
    assert (refused.status_code, refused.headers["ms-azureml-model-error-statuscode"]) == (424, "500")


def save_mlflow_model(folder: Path) -> None:
    """A model of two float32 columns, which a JSON number is not unless the server casts it."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    folder.parent.joinpath("sums.py").write_text(
        "import mlflow\n"
        "from mlflow.pyfunc import PythonModel\n"
        "class Sums(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        assert str(model_input['a'].dtype) == 'float32'\n"
        "        return (model_input['a'] + model_input['b']).astype(float).to_numpy()\n"
        "mlflow.models.set_model(Sums())\n"
    )
    signature = ModelSignature(inputs=Schema([ColSpec("float", "a"), ColSpec("float", "b")]))
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(folder.parent / "sums.py"),
        signature=signature,
        pip_requirements=[f"mlflow-skinny=={mlflow.__version__}", "pandas<3", "numpy"],
    )


def test_faults_on_order_reach_the_scorer_and_the_caller_sees_what_azure_would_show(workspace: Workspace) -> None:
    name = "ill-scorer"
    workspace.put_endpoint(name)
    workspace.deploy(workspace.deployment(name, "blue"))
    fault = workspace.sandbox.admin.add_fault(kind="scorer-errors", target=f"{name}/blue")
    wait_for(workspace, name, 424)
    workspace.sandbox.admin.clear_faults(fault["id"])
    wait_for(workspace, name, 200)


def wait_for(workspace: Workspace, endpoint: str, status: int) -> None:
    """A fault is in force within a second or so."""
    until(lambda: workspace.score(endpoint, pin="blue").status_code == status)


def test_deleting_the_group_ends_the_replicas(sandbox: RunningSandbox, tmp_path: Path) -> None:
    with ml_workspace(sandbox, f"gone-{uuid.uuid4().hex[:6]}") as base:
        other = Workspace(base, tmp_path)
        other.put_endpoint("short-life")
        other.deploy(other.deployment("short-life", "blue"))
        pid = other.score("short-life", pin="blue").json()["pid"]
        assert other.finish(other.send("DELETE", other.group, version="2024-03-01"))["status"] == "Succeeded"
        end = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < end
            time.sleep(0.1)


def test_consoles_can_be_asked_for_in_kql(workspace: Workspace) -> None:
    name = "observed"
    workspace.put_endpoint(name)
    workspace.deploy(workspace.deployment(name, "blue"))
    endpoint = f"{workspace.base.id}/onlineEndpoints/{name}"
    logs = workspace.sandbox.session("https://api.loganalytics.azure.com")
    question = {"query": "AmlOnlineEndpointConsoleLog | where DeploymentName == 'blue' | project Message"}

    def console() -> str:
        return logs.post(f"{workspace.sandbox.settings.url('logs')}/v1{endpoint}/query", json=question, timeout=20).text

    until(lambda: "model says blue" in console())


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
