"""Idle endpoints in the off hours, on a stack that is up: the Functions app parks them and brings them back, by its own role."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from azure.core.credentials import AccessToken
from azure.storage.blob import BlobServiceClient

from components.identity.custom_roles import OPERATOR, PARKER
from rollout.handlers.off_hours import ACTOR
from tests.sandbox.engine import Engine
from tests.sandbox.operator import OUTPUTS, Company, company
from tools.functions_package import build

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]
WEB, ML, ROLES = "2025-05-01", "2024-04-01", "2022-04-01"
#: Policy minutes, each a second.
IDLE = 5


def wednesday() -> datetime:
    """Noon of the next one: evenings of weekends don't end soon."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return noon + timedelta(days=(2 - noon.weekday()) % 7 or 7)


def write_hours(engine: Engine, stop: datetime, start: datetime) -> None:
    """The stack file, with these as the times when the off hours begin and end."""
    file = engine.project / "Pulumi.dev.yaml"
    values = yaml.safe_load(file.read_text())
    values["config"]["azureml-rollouts:offHours"] = {
        "enabled": True,
        "parkIdleMinutes": IDLE,
        "stopAt": f"{stop:%H:%M}",
        "startAt": f"{start:%H:%M}",
        "timeZone": "UTC",
    }
    file.write_text(yaml.safe_dump(values))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """It is Wednesday, past the end of work, and the Functions app has its code."""
    noon = wednesday()

    def evening(engine: Engine) -> None:
        write_hours(engine, stop=noon - timedelta(minutes=10), start=noon - timedelta(minutes=20))

    folder = tmp_path_factory.mktemp("off-hours")
    with company(folder, evening, begins=noon) as made, pytest.MonkeyPatch.context() as patch:
        made.sandbox.use(patch)
        assert made.start("first", "--watch").code == 0
        yield made


def until(condition: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.3)


class Token:
    """The owner's tokens for the SDK."""

    def __init__(self, made: Company) -> None:
        self._made = made

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._made.sandbox.token(scopes[0].removesuffix("/.default")), int(time.time()) + 3000)


def deploy(made: Company) -> None:
    """The package with the stack's outputs, as functions/README.md says."""
    functions = made.outputs.functions
    assert functions is not None
    package = made.folder / "functions.zip"
    build(package, made.folder / OUTPUTS)
    account, container = functions.packages_url.rsplit("/", 1)
    blob = BlobServiceClient(account, credential=Token(made)).get_blob_client(container, "functions.zip")
    blob.upload_blob(package.read_bytes())
    path = f"{functions.app_id}/extensions/onedeploy"
    answer = made.arm("PUT", path, WEB, {"properties": {"packageUri": blob.url, "type": "zip"}})
    assert answer.ok, answer.text
    until(lambda: made.arm("GET", path, WEB).json()["properties"]["provisioningState"] == "Succeeded", 60)


def deployments(made: Company) -> dict[str, Any]:
    found = made.arm("GET", f"{made.outputs.endpoints['churn'].id}/deployments", ML).json()["value"]
    return {each["name"]: each["properties"]["model"] for each in found}


def traces(made: Company) -> str:
    """What the app said, for a test that fails."""
    session = made.sandbox.session("https://api.loganalytics.io")
    url = f"{made.sandbox.settings.url('logs')}/v1/workspaces/{made.outputs.observability.log_analytics_customer_id}"
    rows = session.post(f"{url}/query", json={"query": "AppTraces | project Message"}, timeout=20).json()["tables"]
    return json.dumps(rows[0]["rows"])[-3000:]


def roles_of_the_app(made: Company) -> dict[str, set[str]]:
    """Our own roles that the app's identity has, and the last part of where."""
    functions = made.outputs.functions
    assert functions is not None
    ids = {value.rsplit("/", 1)[1]: key for key, value in made.outputs.identity.role_ids.items()}
    listed = made.arm("GET", f"{made.group_id}/providers/Microsoft.Authorization/roleAssignments", ROLES)
    found: dict[str, set[str]] = {}
    for each in listed.json()["value"]:
        role = ids.get(each["properties"]["roleDefinitionId"].rsplit("/", 1)[1])
        if role and each["properties"]["principalId"] == functions.principal_id:
            found.setdefault(role, set()).add(urlsplit(each["properties"]["scope"]).path.split("/")[-2])
    return found


def test_an_idle_endpoint_is_parked_in_the_evening_and_back_in_the_morning(shop: Company) -> None:
    before = deployments(shop)
    assert list(before) == ["first"]
    deploy(shop)
    until(lambda: not deployments(shop) or "failed" in traces(shop), 120)
    assert deployments(shop) == {}, traces(shop)
    until(lambda: "Parked" in shop.rollout("status"), 30)
    assert ACTOR in shop.rollout("audit")

    now = shop.sandbox.settings.clock_policy_origin + 60 * (time.time() - shop.sandbox.settings.clock_real_origin)
    moment = datetime.fromtimestamp(now, UTC)
    write_hours(shop.engine, stop=moment - timedelta(minutes=20), start=moment - timedelta(minutes=10))
    shop.engine.up("dev")
    until(lambda: shop.weights() or "failed" in traces(shop), 150)
    assert shop.weights() == {"first": 100}, traces(shop)
    until(lambda: "Unparking" not in shop.rollout("status"), 30)
    assert deployments(shop) == before


def test_it_does_so_with_a_role_that_makes_no_new_versions(shop: Company) -> None:
    roles = roles_of_the_app(shop)
    assert set(roles) == {PARKER.key}
    assert roles[PARKER.key] == {"workspaces", "containers", "topics", "userAssignedIdentities"}
    assert not [each for each in PARKER.actions if "codes" in each or "environments" in each]
    assert set(PARKER.actions) < set(OPERATOR.actions)
