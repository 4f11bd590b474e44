"""Files are scored by CI's app with the stack's own roles; with one action less a command fails and names it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.identity.custom_roles import BATCHER
from tests.sandbox.operator import Company, Ran, company
from tests.sandbox.test_engine_options import switch_on

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

ML = "Microsoft.MachineLearningServices/workspaces"
SCORER = """
# {name}
import csv, json, pathlib
def init():
    pass
def run(files):
    lines = []
    for path in map(pathlib.Path, files):
        for number, row in enumerate(csv.DictReader(path.open())):
            lines.append(json.dumps({"file": path.name, "row": number, "prediction": int(row["x"]) * 2}))
    return lines
"""
ROWS = "x\n1\n2\n3\n"


def look(shop: Company, name: str) -> Ran:
    return shop.run("batch show")


def deploy(shop: Company, name: str) -> Ran:
    return shop.run("batch deploy", "--model", "tiny:1", "--code", shop.code(name, SCORER))


def score(shop: Company, name: str) -> Ran:
    data = shop.folder / f"{name}.csv"
    data.write_text(ROWS)
    return shop.run("batch score", "--data", str(data), "--output", str(shop.folder / f"{name}-scored.csv"))


CASES = {
    f"{ML}/batchEndpoints/read": look,
    f"{ML}/batchEndpoints/write": deploy,
    f"{ML}/batchEndpoints/deployments/read": look,
    f"{ML}/batchEndpoints/deployments/write": deploy,
    f"{ML}/batchEndpoints/jobs/read": look,
    f"{ML}/batchEndpoints/jobs/write": score,
    f"{ML}/experiments/runs/read": score,
    f"{ML}/experiments/runs/submit/action": score,
    f"{ML}/jobs/read": score,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A stack with a batch endpoint, a deployment on it, and this process signed in as CI's app."""
    options = {"batchEndpoints": {"churn": {"model": "tiny", "cluster": "cpu"}}}
    folder = tmp_path_factory.mktemp("batch")
    with company(folder, lambda engine: switch_on(engine, options)) as made, pytest.MonkeyPatch.context() as patch:
        made.sandbox.use(patch)
        made.sign_in(patch, "operator", "ref:refs/heads/main")
        patch.setenv("COLUMNS", "1000")
        ran = deploy(made, "first")
        assert ran.code == 0, ran.said
        yield made


def test_a_file_is_scored_and_its_cost_shown(shop: Company) -> None:
    ran = score(shop, "rows")
    assert ran.code == 0, ran.said
    assert Path(shop.folder / "rows-scored.csv").read_text().split() == ['"x","prediction"', '"1",2', '"2",4', '"3",6']
    assert "USD per 1,000 predictions, batch: 0." in ran.said
    assert "USD per 1,000 predictions, online:" in ran.said
    shown = json.loads(shop.run("batch show", "--json").said)
    assert shown["usd_per_thousand"]["batch"] > 0
    assert "0 requests in the last hour" in shown["basis"]["online"] or shown["usd_per_thousand"]["online"]


def test_every_action_of_the_role_has_its_command() -> None:
    assert set(CASES) == set(BATCHER.actions)


@pytest.mark.parametrize("action", BATCHER.actions)
def test_without_one_action_a_command_fails_names_it_and_can_be_run_again(shop: Company, action: str) -> None:
    command, name = CASES[action], f"n{BATCHER.actions.index(action)}"
    with shop.without(BATCHER.key, action):
        ran = command(shop, name)
    assert ran.code != 0, ran.said
    assert action.lower() in ran.said.lower()
    assert f"role '{BATCHER.title}'" in ran.said, "what to do"
    again = command(shop, name)
    assert again.code == 0, again.said
