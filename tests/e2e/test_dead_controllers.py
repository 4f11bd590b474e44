"""Controllers that die, or fall asleep, in the middle of a rollout; another one goes on where they were."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterable

import pytest

from rollout.controller.effects import EffectKind
from rollout.controller.records import Kind, Record
from rollout.controller.state import Phase
from rollout.reports.audit import count_effects
from tests.e2e.shop import QUICK, Shop

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]


def at_random(most_seconds: float) -> float:
    """Sleep a moment that no run repeats; its length is told, so that a failure can be."""
    moment = random.uniform(0, most_seconds)
    time.sleep(moment)
    return round(moment, 3)


def done(records: Iterable[Record]) -> list[str]:
    """The effects that were confirmed, in order; deleting what earlier stories left over is none of this one."""
    effects = [record.evidence["effect"] for record in records if record.kind is Kind.DONE]
    return [json.dumps(effect, sort_keys=True) for effect in effects if effect["kind"] != EffectKind.RETIRE]


@pytest.mark.usefixtures("example")
def test_one_controller_falls_asleep_two_are_killed_and_the_fourth_ends_what_the_first_began(shop: Shop) -> None:
    began, known = time.time(), len(shop.session.controller.records())
    moments: dict[str, float] = {}

    def lose(what: str, child: subprocess.Popen[str], most_seconds: float, number: signal.Signals) -> None:
        moments[what] = at_random(most_seconds)
        assert child.poll() is None, f"it ended before {number.name}, at {moments}"
        os.killpg(child.pid, number)

    sleeper = shop.begin("start", "--model", shop.model, "--yes", "--watch", *QUICK)
    shop.wait_for_record(Kind.INTENT, known, "deploy")
    lose("deploying", sleeper, 2.0, signal.SIGSTOP)
    slept_at = shop.records()

    second = shop.begin("watch")
    shop.wait_for_record(Kind.INTENT, known, "set-weights")
    lose("shifting", second, 0.2, signal.SIGKILL)
    killed_at = done(shop.records())

    third = shop.begin("watch")
    shop.wait_for_record(Kind.DONE, known, "set-weights")
    lose("baking", third, 1.5, signal.SIGKILL)
    assert set(shop.weights().values()) == {50}, moments

    shop.run("watch")
    view, records = shop.view(), shop.records()
    assert view.phase is Phase.PROMOTED, moments
    assert shop.weights() == {view.green: 100}
    effects = done(records)
    assert [json.loads(effect)["kind"] for effect in effects] == ["deploy", "smoke", "set-weights", "set-weights"]
    assert effects[: len(killed_at)] == killed_at, "what was done stays done"
    counted = count_effects(records)
    assert (counted.repeated, counted.failed, counted.open) == (0, 0, 0), moments
    assert counted.intents == counted.done, moments
    assert len(effects) == len(set(effects)), moments

    os.killpg(sleeper.pid, signal.SIGCONT)
    assert sleeper.wait(timeout=120) == 0, "it wakes up past its lease and sees that all is done"
    after = shop.records()
    assert [record.hash for record in after[: len(records)]] == [record.hash for record in records]
    assert done(after) == effects
    overtaken = slept_at[-1].fencing
    assert not [record for record in after[len(slept_at) :] if record.fencing <= overtaken], moments
    assert shop.weights() == {view.green: 100}
    assert shop.run("audit", "--json").documents[-1]["report"]["ok"]
    assert shop.failed_since(began) == [], moments
