"""A script that was written for Azure and knows nothing of this project, run on the sandbox as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.stage import ROOT
from tests.e2e.shop import Shop

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

STRAY = """
import requests, sys
for url in sys.argv[1:]:
    try:
        print(url, requests.get(url, timeout=10).status_code)
    except requests.exceptions.ProxyError as error:
        print(url, "refused" if "403" in str(error) else error)
"""


def run(shop: Shop, home: Path, *command: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Python that sees the environment of `rollout sandbox env --proxy` and nothing else; -P: no folder of ours."""
    shown = shop.stage.run("rollout", "sandbox", "env", "--proxy", "--json", quiet=True).output
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), **json.loads(shown)}
    return subprocess.run(
        [sys.executable, "-P", *command], cwd=home, env=environment, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip


def test_blue_and_green_as_azures_documentation_shows_it(shop: Shop, tmp_path: Path) -> None:
    # Away from this repository, so that nothing of it can be imported.
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    outputs = shop.session.outputs
    done = run(
        shop, tmp_path, str(tmp_path / "examples" / "blue_green.py"),
        "--resource-group", outputs.resource_group, "--workspace", outputs.workspace.name, seconds=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["blue"] == {"model": "LogisticRegression", "species": [0, 2]}
    assert seen["green"] == {"model": "DecisionTreeClassifier", "species": [0, 2]}
    assert seen["instances"] == 2
    assert seen["mirrored"] == {"blue": 20}, "a mirrored request is answered by blue alone"
    assert sum(seen["at_90_10"].values()) == 100
    assert 5 <= seen["at_90_10"]["green"] <= 15
    assert seen["at_0_100"] == {"green": 20}
    assert "loaded green.joblib: DecisionTreeClassifier" in seen["logs"]
    assert seen["deployments"] == ["green"]
    assert seen["left"] == []


def test_with_the_proxys_environment_nothing_but_the_sandbox_can_be_reached(shop: Shop, tmp_path: Path) -> None:
    urls = ["https://example.com/", "https://mcr.microsoft.com/", "https://portal.azure.com/"]
    done = run(shop, tmp_path, "-c", STRAY, *urls, "https://management.azure.com/subscriptions", seconds=60)
    answers = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert answers == {**dict.fromkeys(urls, "refused"), "https://management.azure.com/subscriptions": "401"}, done
