"""A script that was written for Azure and knows nothing of this project, run on the sandbox as it is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.shop import Shop

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]

STRAY = """
import requests, sys
for url in sys.argv[1:]:
    try:
        print(url, requests.get(url, timeout=10).status_code)
    except requests.exceptions.ProxyError as error:
        print(url, "refused" if "403" in str(error) else error)
"""


def test_blue_and_green_as_azures_documentation_shows_it(example: subprocess.Popen[str]) -> None:
    printed, complained = example.communicate(timeout=200)
    assert example.returncode == 0, complained[-3000:]
    seen = json.loads(printed.splitlines()[-1])
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
    stray = shop.stranger(tmp_path, "-c", STRAY, *urls, "https://management.azure.com/subscriptions")
    printed, complained = stray.communicate(timeout=60)
    answers = dict(line.split(" ", 1) for line in printed.splitlines())
    assert answers == {
        **dict.fromkeys(urls, "refused"),
        "https://management.azure.com/subscriptions": "401",
    }, complained
