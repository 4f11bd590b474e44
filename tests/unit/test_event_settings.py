"""Wrong settings of events and of the Functions app; each names key, value and what is allowed. And what the app costs."""

from __future__ import annotations

from typing import Any

import pytest

from components.config import SettingsError, parse
from components.cost.prices import price_book
from components.events.costs import functions_lines
from tests.components.mocks import settings_of, stack_values
from tests.wrong_settings import refused

ML = "Microsoft.MachineLearningServices"
HOOK = {"source": "topic", "eventTypes": ["Rollouts.Failed"]}


def subscription(**values: Any) -> dict[str, Any]:
    return {"events": {"subscriptions": {"pager": {**HOOK, **values}}}}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"functions": {"enabled": True, "delivery": "github"}}, "functions.repository", "is missing"),
    ({"functions": {"enabled": True, "delivery": "github", "repository": "no-owner"}}, "functions.repository = 'no-owner'", "pattern"),
    ({"functions": {"enabled": True, "delivery": "webhook", "repository": "o/r"}}, "functions.repository = 'o/r'", "only with functions.delivery: github"),
    ({"functions": {"enabled": True, "delivery": "fax"}}, "functions.delivery = 'fax'", "'github'"),
    ({"functions": {"enabled": True, "memoryMb": 1024}}, "functions.memoryMb = 1024", "2048"),
    ({"functions": {"enabled": True, "maxInstances": 10}}, "functions.maxInstances = 10", "40"),
    ({"functions": {"enabled": True, "delivery": "webhook", "tickMinutes": 5}, "identity": {"enabled": False}}, "functions.tickMinutes = 5", "identity.enabled"),
    ({"functions": {"tickMinutes": 45}}, "functions.tickMinutes = 45", "30"),
    ({"functions": {"deployed": True}, **subscription()}, "functions.deployed = True", "only with functions.enabled"),
    ({"functions": {}, **subscription(function="deployment_failed")}, "events.subscriptions.pager.function", "needs functions.enabled: true"),
    (subscription(function="deployment_failed", webhookUrl="https://x.example.com"), "events.subscriptions.pager.function", "one destination"),
    (subscription(function="fax"), "events.subscriptions.pager.function = 'fax'", "'job_completed'"),
    (subscription(source="workspace"), "events.subscriptions.pager.source = 'workspace'", "topic is where Rollouts.Failed comes from"),
    (subscription(eventTypes=[f"{ML}.RunCompleted"]), "events.subscriptions.pager.source = 'topic'", "workspace is where"),
    (subscription(filters=[{"key": "data.x", "values": []}]), "events.subscriptions.pager.filters.0.values", "at least 1"),
    (subscription(filters=[{"key": "data x", "values": ["a"]}]), "events.subscriptions.pager.filters.0.key = 'data x'", "pattern"),
    (subscription(filters=[{"key": "data.x", "operator": "Like", "values": ["a"]}]), "events.subscriptions.pager.filters.0.operator = 'Like'", "'StringIn'"),
    (subscription(maxAttempts=31), "events.subscriptions.pager.maxAttempts = 31", "30"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "key", "allowed"), WRONG, ids=[f"{at} {key}" for at, (_, key, _) in enumerate(WRONG)]
)
def test_a_wrong_setting_is_named_with_what_is_allowed(change: dict[str, Any], key: str, allowed: str) -> None:
    refused("dev", {**stack_values("dev"), **change}, key, allowed)


def test_registered_models_need_somebody_who_is_told() -> None:
    with pytest.raises(SettingsError, match=r"functions\.delivery = 'none': github or webhook"):
        parse("dev", {**stack_values("dev"), "functions": {"enabled": True}})


def test_the_app_costs_what_goes_beyond_the_free_grant() -> None:
    book = price_book()
    assert list(functions_lines(settings_of("dev", functions={}, offHours={}, **subscription()), book)) == []
    (idle,) = functions_lines(settings_of("dev"), book)
    assert idle.monthly_usd == 0
    busy = {"enabled": True, "delivery": "webhook", "tickMinutes": 1, "memoryMb": 4096}
    (line,) = functions_lines(settings_of("dev", functions=busy, offHours={}, usage={"handledEvents": 1_000_000}), book)
    runs = 1_000_000 + 730 * 60
    gb_seconds = (1_000_000 + 730 * 60 * 5) * 4
    expected = (gb_seconds - 100_000) * 0.000026 + (runs - 250_000) / 1e6 * 0.40
    assert line.monthly_usd == pytest.approx(expected, abs=0.01)
    assert "unverified" in line.basis
