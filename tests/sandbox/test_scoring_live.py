"""A trained model with the code that is shipped beside it, on Azure's inference server: what a caller, an operator and drift see."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from azure.ai.ml.entities import Model

from rollout.azure.specs import deployment_of
from rollout.controller.ports import DeploymentSpec
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import workspace
from tests.sandbox.scoring import Workspace
from tests.training.models import Trained, trained_customers
from training.scoring.package import write_code

pytestmark = pytest.mark.sandbox
SECRET = "ada.lovelace@example.com"
ROW = {"area": "north", "email": SECRET, "charge": 61.5, "calls": 2, "months": 7}


@dataclass(frozen=True)
class Served:
    """The deployment `blue` of the endpoint `churn-live`."""

    place: Workspace
    trained: Trained
    key: str

    def ask(self, body: Any, method: str = "POST") -> requests.Response:
        uri = f"{self.place.sandbox.settings.url('gateway')}/{self.place.name}/churn-live/score"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        verify = self.place.sandbox.env["SSL_CERT_FILE"]
        return requests.request(method, uri, data=data, headers=headers, verify=verify, timeout=30)

    def collected(self, collection: str, rows: int) -> list[dict[str, Any]]:
        """The collection's records, once they hold `rows` rows."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            found = self._records(collection)
            if sum(len(each["data"]) for each in found) >= rows:
                break
            time.sleep(0.2)
        return found

    def _records(self, collection: str) -> list[dict[str, Any]]:
        from azure.storage.blob import ContainerClient

        store = self.place.client.datastores.get("workspaceblobstore", include_secrets=True)
        blob = self.place.sandbox.settings.url("blob")
        account = store.account_name.rpartition("/")[2]
        credential = getattr(store.credentials, "account_key", None) or store.credentials.sas_token
        with ContainerClient(f"{blob}/{account}", store.container_name, credential) as container:
            names = list(
                container.list_blob_names(name_starts_with=f"modelDataCollector/churn-live/blue/{collection}/")
            )
            lines = [line for name in names for line in container.download_blob(name).readall().splitlines()]
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def served(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    trained = trained_customers(tmp_path_factory.mktemp("trained"))
    with workspace(sandbox, "scoring-live") as base:
        place = Workspace(base, tmp_path_factory.mktemp("files"))
        code = write_code(trained.folder, place.folder / "shipped")
        place.client.models.create_or_update(
            Model(name="churn", version="7", path=str(trained.folder), type="mlflow_model")
        )
        place.put_endpoint("churn-live")
        spec = DeploymentSpec(
            name="blue",
            model="churn:7",
            instance_type="Standard_DS3_v2",
            instance_count=1,
            max_concurrent_requests_per_instance=4,
            request_timeout_ms=20_000,
            code_path=str(code),
            collect_share=1.0,
        )
        place.deploy(deployment_of(spec, "churn-live", "mark"))
        place.set_traffic("churn-live", blue=100)
        yield Served(place, trained, place.key("churn-live"))


def test_a_row_is_answered_as_the_model_itself_answers_it(served: Served) -> None:
    answer = served.ask({"input_data": [ROW]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["probabilities"] == [served.trained.probabilities([ROW])[0]]
    assert found["classes"] == ["no", "yes"]
    assert found["predictions"] == ["yes" if found["probabilities"][0][1] >= served.trained.threshold else "no"]
    assert found["model"]["name"] == "churn"
    assert found["model"]["version"] == "7"
    assert found["model"]["hash"] == served.trained.model_hash


def test_wrong_rows_are_refused_field_by_field_and_not_as_a_failure(served: Served) -> None:
    answer = served.ask({"input_data": [{**ROW, "area": "nowhere", "charge": "61.5"}]})
    assert answer.status_code == 424, "what the endpoint makes of a scorer's 4xx"
    assert answer.headers["ms-azureml-model-error-statuscode"] == "422"
    findings = {each["field"]: each for each in answer.json()["error"]["findings"]}
    assert findings.keys() == {"area", "charge"}
    assert findings["area"]["allowed"] == "one of north, south, west"
    assert SECRET not in answer.text
    assert served.ask(b"no json").headers["ms-azureml-model-error-statuscode"] == "400"
    assert served.ask([ROW]).headers["ms-azureml-model-error-statuscode"] == "422"


def test_get_tells_what_is_served(served: Served) -> None:
    served.ask({"input_data": [ROW]})
    served.ask({"input_data": [ROW]})
    answer = served.ask(b"", "GET")
    assert answer.status_code == 200, answer.text
    info = answer.json()
    assert info["model"]["version"] == "7"
    assert [column["name"] for column in info["columns"]] == ["area", "email", "charge", "calls", "months"]
    assert info["cache"]["hits"] >= 1
    assert info["collection"]["collections"] == ["model_inputs", "model_outputs"]


def test_what_was_scored_is_in_the_workspaces_blob_store_with_personal_columns_masked(served: Served) -> None:
    before = served.collected("model_inputs", 0)
    served.ask({"input_data": [{**ROW, "months": 33}, {**ROW, "months": 34}]})
    rows = sum(len(each["data"]) for each in before) + 2
    inputs, outputs = served.collected("model_inputs", rows), served.collected("model_outputs", rows)
    record = next(each for each in inputs if any(row["months"] == 33 for row in each["data"]))
    assert record["data"][0] == {"area": "north", "email": "***", "charge": 61.5, "calls": 2.0, "months": 33.0}
    assert record["type"] == "azureml.inference.model_inputs"
    assert record["source"].endswith("/onlineEndpoints/churn-live/deployments/blue")
    answered = next(each for each in outputs if each["correlationid"] == record["correlationid"])
    assert answered["data"][0].keys() == {"prediction", "probability_no", "probability_yes"}
    assert SECRET not in json.dumps(inputs)


def test_no_personal_value_is_in_a_log(served: Served) -> None:
    served.ask({"input_data": [{**ROW, "charge": SECRET}]})
    served.ask({"input_data": {"columns": [SECRET], "data": [[1]]}})
    time.sleep(1)
    text = served.place.client.online_deployments.get_logs("blue", "churn-live", lines=1000)
    assert '"problems": {"text in place of a number": 1}' in text
    assert '"correlation": ' in text
    assert SECRET not in text
