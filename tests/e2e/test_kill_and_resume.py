"""A controller that dies, or falls asleep, in the middle of a rollout; another one goes on where it was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterable

import pytest

from demo.stage import kill
from rollout.controller.records import Kind, Record
from rollout.reports.audit import count_effects
from tests.e2e.shop import QUICK, Shop

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]


def at_random(most_seconds: float) -> float:
    """Sleep a moment that no run repeats; its length is told, so that a failure can be."""
    moment = random.uniform(0, most_seconds)
    time.sleep(moment)
    return round(moment, 3)


def done(records: Iterable[Record]) -> list[str]:
    """The effects that were confirmed, in order."""
    return [json.dumps(record.evidence["effect"], sort_keys=True) for record in records if record.kind is Kind.DONE]


def report_of(shop: Shop) -> dict[str, object]:
    return dict(shop.run("audit", "--json").documents[-1]["report"])


def test_three_controllers_are_killed_and_the_fourth_ends_what_the_first_began(shop: Shop) -> None:
    began, known = time.time(), len(shop.session.controller.records())
    moments: dict[str, float] = {}

    def kill_at(what: str, child: subprocess.Popen[str], most_seconds: float) -> None:
        moments[what] = at_random(most_seconds)
        assert child.poll() is None, f"it ended before it was killed at {moments}"
        kill(child)

    first = shop.begin("start", "--model", shop.model, "--yes", "--watch", *QUICK)
    shop.wait_for_record(Kind.INTENT, known, "deploy")
    kill_at("deploying", first, 2.0)

    second = shop.begin("watch")
    shop.wait_for_record(Kind.INTENT, known, "set-weights")
    kill_at("shifting", second, 0.2)
    at_kill = done(shop.records())

    third = shop.begin("watch")
    shop.wait_for_record(Kind.DONE, known, "set-weights")
    kill_at("baking", third, 1.5)
    assert set(shop.weights().values()) == {50}

    shop.run("watch")
    rollout = shop.rollout()
    assert rollout["phase"] == "Promoted", moments
    assert shop.weights() == {rollout["green"]: 100}
    records = shop.records()
    effects = done(records)
    assert [json.loads(effect)["kind"] for effect in effects] == ["deploy", "smoke", "set-weights", "set-weights"]
    assert effects[: len(at_kill)] == at_kill
    counted = count_effects(records)
    assert (counted.repeated, counted.failed, counted.open) == (0, 0, 0), moments
    assert counted.intents == counted.done == len(set(effects)), moments
    assert len({record.fencing for record in records}) >= 4, "each controller had a number of its own"
    assert report_of(shop)["ok"]
    assert shop.failed_since(began) == [], moments


def test_a_controller_that_slept_past_its_lease_wakes_up_and_changes_nothing(shop: Shop) -> None:
    began, known = time.time(), len(shop.session.controller.records())
    sleeper = shop.begin("start", "--model", shop.model, "--yes", "--watch", "--steps", "100", "--bake-minutes", "2")
    shop.wait_for_record(Kind.INTENT, known, "deploy")
    os.killpg(sleeper.pid, signal.SIGSTOP)

    shop.run("watch")
    assert shop.rollout()["phase"] == "Promoted"
    records, weights = shop.records(), shop.weights()
    slept_under = records[0].fencing

    os.killpg(sleeper.pid, signal.SIGCONT)
    assert sleeper.wait(timeout=60) == 0, "it sees that all is done"
    resumed = next(record.sequence for record in records if record.fencing > slept_under + 1)
    after = shop.records()
    assert [record.hash for record in after[: len(records)]] == [record.hash for record in records]
    assert not [record for record in after if record.sequence > resumed and record.fencing <= slept_under + 1]
    assert count_effects(after).repeated == 0
    assert done(after) == done(records)
    assert shop.weights() == weights
    assert report_of(shop)["ok"]
    assert shop.failed_since(began) == []
