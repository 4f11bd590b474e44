"""`Model Rollout Operator` with one action less: a command fails, names the action, and what it began can be ended.

So every action of the role is there for something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from components.identity.custom_roles import OPERATOR
from tests.sandbox.operator import KEPT_SECONDS, OUTPUTS_LIKE_AZURES, Company, Ran, company

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]

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


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Two endpoints with a deployment each, and this process signed in as CI's app."""
    with company(tmp_path_factory.mktemp("actions")) as made, pytest.MonkeyPatch.context() as patch:
        made.sandbox.use(patch)
        made.sign_in(patch, "operator", "ref:refs/heads/main")
        # Names of actions are not broken into two lines.
        patch.setenv("COLUMNS", "1000")
        for use_case in ("churn", "intent"):
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
