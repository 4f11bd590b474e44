"""`Model Rollout Operator`, and the roles beside it, with one action less: a command fails, names the action, and what it began
can be ended. So every action of the roles is there for something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from components.identity.custom_roles import OPERATOR, SCALER, SCORER, CustomRole
from tests.sandbox.engine import Engine
from tests.sandbox.operator import KEPT_SECONDS, OUTPUTS_LIKE_AZURES, Company, Ran, company

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

ML = "Microsoft.MachineLearningServices/workspaces"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
#: Nobody asks the endpoint anything here.
BLIND = "--allow-blind"
CRASHING = "def init():\n    raise ValueError('no weights')\ndef run(data):\n    return []\n"

Command = Callable[[Company, str], Ran]


def status(shop: Company, name: str) -> Ran:
    return shop.run("status")


def plan(shop: Company, name: str) -> Ran:
    return shop.run("plan")


def tick(shop: Company, name: str) -> Ran:
    return shop.run("tick")


def smoke(shop: Company, name: str) -> Ran:
    return shop.run("smoke", "first", "--requests", "3")


def smoke_by_the_models_example(shop: Company, name: str) -> Ran:
    return shop.run("smoke", "first", "--requests", "3", outputs=OUTPUTS_LIKE_AZURES)


def smoke_with_token(shop: Company, name: str) -> Ran:
    return shop.run("smoke", "first", "--requests", "3", use_case="intent")


def start(shop: Company, name: str) -> Ran:
    return shop.start(name, BLIND)


def start_what_crashes(shop: Company, name: str) -> Ran:
    return shop.start(name, BLIND, scorer=CRASHING)


def roll_back(shop: Company, name: str) -> Ran:
    return shop.run("rollback", "--reason", "tested", "--force")


def lose(shop: Company, name: str) -> Ran:
    """Going back succeeds; it is later, when green was kept long enough, that it is to be deleted."""
    roll_back(shop, name)
    time.sleep(KEPT_SECONDS)
    return tick(shop, name)


def smoke_with_entra(shop: Company, name: str) -> Ran:
    return shop.run("smoke", "first", "--requests", "3", use_case=SCALED)


def start_what_scales(shop: Company, name: str) -> Ran:
    return shop.start(name, BLIND, use_case=SCALED)


def lose_what_scales(shop: Company, name: str) -> Ran:
    shop.run("rollback", "--reason", "tested", "--force", use_case=SCALED)
    time.sleep(KEPT_SECONDS)
    return shop.run("tick", use_case=SCALED)


def tick_what_scales(shop: Company, name: str) -> Ran:
    return shop.run("tick", use_case=SCALED)


@dataclass(frozen=True)
class Case:
    """`command` fails without the action. With it, `again` (the same, unless given) prints `then`."""

    command: Command
    then: str = ""
    prepare: Command | None = None
    again: Command | None = None
    #: The rollout itself goes its way.
    moves: bool = False


CASES: dict[str, Case] = {
    f"{ML}/read": Case(start),
    f"{ML}/models/versions/read": Case(start),
    f"{ML}/environments/versions/write": Case(start),
    f"{ML}/codes/versions/read": Case(start),
    f"{ML}/codes/versions/write": Case(start),
    f"{ML}/codes/versions/startPendingUpload/action": Case(start),
    f"{ML}/datastores/read": Case(smoke_by_the_models_example),
    f"{ML}/datastores/listSecrets/action": Case(smoke_by_the_models_example),
    f"{ML}/onlineEndpoints/read": Case(status),
    f"{ML}/onlineEndpoints/write": Case(roll_back, "done: roll-back to first 100", prepare=start, again=tick),
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action": Case(
        roll_back, "done: roll-back to first 100", prepare=start, again=tick
    ),
    f"{ML}/onlineEndpoints/listKeys/action": Case(smoke),
    f"{ML}/onlineEndpoints/token/action": Case(smoke_with_token),
    f"{ML}/onlineEndpoints/deployments/read": Case(status),
    f"{ML}/onlineEndpoints/deployments/write": Case(start),
    f"{ML}/onlineEndpoints/deployments/delete": Case(lose, "done: retire", prepare=start, again=tick, moves=True),
    f"{ML}/onlineEndpoints/deployments/getLogs/action": Case(start_what_crashes, "ValueError: no weights"),
    "Microsoft.Insights/Metrics/Read": Case(plan),
    f"{BLOBS}/read": Case(status),
    f"{BLOBS}/write": Case(start),
    "Microsoft.EventGrid/events/send/action": Case(start, again=tick, moves=True),
}
ACTIONS = (*OPERATOR.actions, *OPERATOR.data_actions)
#: An endpoint whose deployments scale and whose clients sign in with Entra ID: the operator has roles beside its own there.
SCALED = "viability"
SCALED_ENDPOINT = (
    "viability: {model: viability, instanceType: Standard_DS2_v2, instanceCount: 1, authMode: AADToken,"
    " scale: {minInstances: 1, maxInstances: 2}}"
)
BESIDE: dict[tuple[CustomRole, str], Case] = {
    (SCALER, "Microsoft.Insights/autoscaleSettings/write"): Case(start_what_scales),
    (SCALER, "Microsoft.Insights/autoscaleSettings/delete"): Case(
        lose_what_scales, "done: retire", prepare=start_what_scales, again=tick_what_scales
    ),
    (SCORER, f"{ML}/onlineEndpoints/score/action"): Case(smoke_with_entra),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Three endpoints with a deployment each, and this process signed in as CI's app."""

    def one_more(engine: Engine) -> None:
        file, block = engine.project / "Pulumi.dev.yaml", "  azureml-rollouts:endpoints:\n"
        file.write_text(file.read_text().replace(block, f"{block}    {SCALED_ENDPOINT}\n"))

    with company(tmp_path_factory.mktemp("actions"), one_more) as made, pytest.MonkeyPatch.context() as patch:
        made.sandbox.use(patch)
        made.sign_in(patch, "operator", "ref:refs/heads/main")
        # Names of actions are not broken into two lines.
        patch.setenv("COLUMNS", "1000")
        for use_case in ("churn", "intent", SCALED):
            assert made.start("first", use_case=use_case).code == 0
        yield made


def test_every_action_of_the_role_has_its_command() -> None:
    assert set(CASES) == set(ACTIONS)
    assert len(ACTIONS) == len(set(ACTIONS))


@pytest.mark.parametrize("action", ACTIONS)
def test_without_one_action_a_command_fails_names_it_and_can_be_run_again(shop: Company, action: str) -> None:
    case, name = CASES[action], f"green-{ACTIONS.index(action)}"
    if case.prepare:
        case.prepare(shop, name)
    before = shop.weights()
    with shop.without(OPERATOR.key, action):
        ran = case.command(shop, name)
    assert ran.code != 0, ran.said
    assert action.lower() in ran.said.lower()
    assert f"role '{OPERATOR.title}'" in ran.said, "what to do"
    assert "Traceback" not in ran.said
    assert case.moves or shop.weights() == before

    again = (case.again or case.command)(shop, f"{name}-again")
    assert case.then in again.said if case.then else again.code == 0, again.said
    shop.end_what_is_under_way()
    assert shop.weights() == {"first": 100}


def test_every_action_of_the_roles_beside_it_has_its_command() -> None:
    assert set(BESIDE) == {(role, action) for role in (SCALER, SCORER) for action in role.actions}


@pytest.mark.parametrize(("role", "action"), BESIDE, ids=lambda each: str(getattr(each, "key", each)))
def test_without_one_action_of_a_role_beside_it_a_command_fails(shop: Company, role: CustomRole, action: str) -> None:
    case, name = BESIDE[role, action], f"beside-{list(BESIDE).index((role, action))}"
    if case.prepare:
        case.prepare(shop, name)
    with shop.without(role.key, action):
        time.sleep(1.1)  # what the scoring gateway was told a second ago still holds
        ran = case.command(shop, name)
    assert ran.code != 0, ran.said
    assert action.lower() in ran.said.lower()
    assert "Traceback" not in ran.said
    time.sleep(1.1)
    again = (case.again or case.command)(shop, f"{name}-again")
    assert case.then in again.said if case.then else again.code == 0, again.said
    shop.run("abort", "--reason", "tested", "--force", use_case=SCALED)
