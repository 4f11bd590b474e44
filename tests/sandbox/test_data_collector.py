"""The collector beside a deployment's containers: what it takes, where it puts it, what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.datastores import Location
from sandbox.ml.serving import collecting
from sandbox.ml.serving.collecting import Collectors
from sandbox.ml.serving.rules import deployment_properties
from sandbox.storage.state import StorageState

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
DEPLOYMENT = f"{WORKSPACE}/onlineEndpoints/churn/deployments/blue"
AT = 1_795_269_600  # 2026-11-21 14:00 UTC


class Datastores:
    """One container."""

    def uri(self, workspace: Resource, store: str, path: str) -> str:
        return path

    def locate(self, workspace: Resource, uri: str) -> Location:
        return Location("acct", "azureml-blobstore", uri)


@pytest.fixture
def storage(context: Sandbox) -> StorageState:
    made = StorageState(context)
    context.states["storage"] = made
    context.states["ml"] = type("Ml", (), {"datastores": Datastores()})()
    return made


def deployment(context: Sandbox, **collector: Any) -> Resource:
    resource = context.states["arm"].new(DEPLOYMENT)
    resource.properties = {"dataCollector": collector}
    found: Resource = resource
    return found


def post(variables: dict[str, str], data: bytes, **attributes: Any) -> int:
    headers = {
        "ce-type": "azureml.inference.model_inputs",
        "ce-time": str(AT),
        "ce-x-request-id": "c-1",
        "trace-id": "t-1",
        "Content-Type": "application/json",
    }
    url = f"http://127.0.0.1:{variables['AZUREML_MDC_PORT']}/modeldata/log"
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, data=data, headers=headers | attributes, timeout=5).status_code


def test_lines_are_azures_and_lie_where_azure_puts_them(
    context: Sandbox, storage: StorageState, tmp_path: Path
) -> None:
    given = deployment(
        context,
        rollingRate="Hour",
        collections={"model_inputs": {"dataCollectionMode": "Enabled", "samplingRate": 0.5}},
    )

    async def story() -> dict[str, str]:
        collectors = Collectors(context)
        variables = await collectors.open(given, given, tmp_path)
        assert await asyncio.to_thread(post, variables, b'[{"charge": 1.5}]') == 200
        await asyncio.to_thread(collectors.round)
        assert await asyncio.to_thread(post, variables, b'[{"charge": 2.5}]') == 200
        assert (await collectors.open(given, given, tmp_path)) == variables, "the port stays"
        await collectors.stop()
        return variables

    variables = asyncio.run(story())
    configuration = json.loads(Path(variables["AZUREML_MDC_CONFIG_PATH"]).read_text())
    assert configuration["collections"] == {"model_inputs": {"enabled": True, "sampleRatePercentage": 50.0}}
    (name,) = storage.list("acct", "azureml-blobstore")
    assert name.startswith("modelDataCollector/churn/blue/model_inputs/2026/11/21/14/")
    assert name.endswith(".jsonl")
    first, second = (json.loads(line) for line in storage.get("acct", "azureml-blobstore", name).splitlines())
    assert second["data"] == [{"charge": 2.5}]
    assert first == {
        "specversion": "1.0",
        "id": "t-1",
        "source": DEPLOYMENT,
        "type": "azureml.inference.model_inputs",
        "datacontenttype": "application/json",
        "time": "2026-11-21T14:00:00Z",
        "data": [{"charge": 1.5}],
        "contentrange": "bytes 0-16/17",
        "correlationid": "c-1",
        "xrequestid": "c-1",
        "modelversion": "default",
        "collectdatatype": "",
        "agent": "",
    }


def test_what_was_not_asked_for_is_refused(
    context: Sandbox, storage: StorageState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = deployment(context, collections={"model_inputs": {"dataCollectionMode": "enabled"}})

    async def story() -> list[int]:
        collectors = Collectors(context)
        variables = await collectors.open(given, given, tmp_path)
        bad: list[tuple[bytes, dict[str, str]]] = [
            (b"[]", {"ce-type": "azureml.inference.model_outputs"}),
            (b"{", {}),
            (b"[]", {"ce-time": "now"}),
            (b"[]", {"ce-time": "1e300"}),
        ]
        found = [await asyncio.to_thread(post, variables, data, **more) for data, more in bad]
        monkeypatch.setattr(collecting, "MAX_WAITING", 0)
        found.append(await asyncio.to_thread(post, variables, b"[]"))
        given.properties = {}
        assert await collectors.open(given, given, tmp_path) == {}, "switched off"
        return found

    assert asyncio.run(story()) == [400, 400, 400, 400, 429]
    assert storage.list("acct", "azureml-blobstore") == []


@pytest.mark.parametrize(
    ("collector", "status", "said"),
    [
        ({"rollingRate": "Year"}, 400, "rollingRate is 'Year'"),
        ({"collections": {"x": {"dataCollectionMode": "on"}}}, 400, "allowed are Enabled, Disabled"),
        ({"collections": {"x": {"samplingRate": 1.5}}}, 400, "samplingRate is 1.5"),
        ({"collections": {"request": {"dataCollectionMode": "enabled"}}}, 501, "payload logging"),
    ],
)
def test_settings_that_make_no_sense_are_named(collector: dict[str, Any], status: int, said: str) -> None:
    given = {"instanceType": "Standard_DS3_v2", "model": "m", "dataCollector": collector}
    with pytest.raises(AzureError, match=said) as caught:
        deployment_properties(given)
    assert caught.value.status == status
