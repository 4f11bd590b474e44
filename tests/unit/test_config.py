"""Settings: one parse, all problems at once, each with key, value and what is allowed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from components.config import decode, parse
from components.config_errors import SettingsError, model_in
from components.fields import Block
from components.settings import Settings
from tests.components.mocks import settings_of, stack_values


def problems(stack: str, values: Mapping[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        parse(stack, values)
    return {problem.key: str(problem) for problem in caught.value.problems}


def changed(stack: str, path: str, value: Any) -> dict[str, Any]:
    """The stack file's values with one key changed; `...` takes it away."""
    values = copy.deepcopy(stack_values(stack))
    *parents, last = path.split(".") if ":" not in path else [path]
    inner = values
    for name in parents:
        inner = inner.setdefault(name, {})
    if value is ...:
        inner.pop(last)
    else:
        inner[last] = value
    return values


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_the_stack_files_are_right(stack: str) -> None:
    settings = settings_of(stack)
    assert settings.environment == settings.stack == stack
    assert settings.endpoints["churn"].policy.steps == (10, 50, 100)


def test_stages_differ_as_planned() -> None:
    dev, staging, prod = (settings_of(stack) for stack in ("dev", "staging", "prod"))
    assert [each.budget.monthly_usd for each in (dev, staging, prod)] == [525, 700, 875]
    assert [each.endpoints["churn"].instance_count for each in (dev, staging, prod)] == [1, 1, 2]
    assert [each.gates.accuracy for each in (dev, staging, prod)] == [0.75, 0.85, 0.90]
    assert (staging.gates.f1, prod.gates.f1, prod.gates.auc) == (0.77, 0.82, 0.88)
    assert [each.endpoints["churn"].policy.approvers_required for each in (dev, staging, prod)] == [0, 0, 2]
    assert [each.clusters["cpu"].tier for each in (dev, staging, prod)] == ["LowPriority", "LowPriority", "Dedicated"]
    assert [each.protect_data for each in (dev, staging, prod)] == [False, False, True]


WRONG = [
    ("dev", "azure-native:location", "mars", "unknown Azure region; allowed: australiaeast"),
    ("dev", "azure-native:location", ..., "is missing"),
    ("dev", "environment", "test", "'dev', 'staging' or 'prod'"),
    ("dev", "workload", "Rollouts", "lower-case letters, digits and hyphens"),
    ("dev", "workload", "much-too-long-a-word", "at most 12"),
    ("dev", "budget.monthlyUsd", 0, "greater than 0"),
    ("dev", "budget.monthlyUsd", "much", "valid number"),
    ("dev", "budget.startDate", "2026-11-15", "match pattern"),
    ("dev", "budget", ..., "is missing"),
    ("dev", "gates.accuracy", 1.2, "less than or equal to 1"),
    ("dev", "gates.precison", 0.7, "did you mean 'precision'?"),
    ("dev", "clusters.cpu.vmSize", "Standard_X1", "not in the price book); allowed: Standard_D2s_v3"),
    ("dev", "clusters.cpu.tier", "Spot", "'Dedicated' or 'LowPriority'"),
    ("dev", "clusters.cpu.minNodes", 9, "at least minNodes, which is 9"),
    ("dev", "clusters.cpu.idleMinutes", 0, "greater than or equal to 1"),
    ("dev", "endpoints", {}, "at least 1 item"),
    ("dev", "endpoints.churn.instanceType", "Standard_X1", "unknown size for online deployments"),
    ("dev", "endpoints.churn.instanceCount", 0, "greater than or equal to 1"),
    ("dev", "endpoints.churn.requestTimeoutMs", 200_000, "less than or equal to 180000"),
    ("dev", "endpoints.churn.authMode", "Password", "'Key', 'AMLToken' or 'AADToken'"),
    ("dev", "endpoints.churn.name", "churn-" + "x" * 30, "3 to 32 are allowed"),
    ("dev", "endpoints.churn.policy", {"steps": [50, 10]}, "must rise strictly and end at 100"),
    ("dev", "endpoints.churn.policy", {"verdicts": {"noData": "advance"}}, "only a pass advances traffic"),
    ("dev", "endpoints.churn.policy", {"windows": {"maxErrorRate": 5}}, "less than or equal to 1"),
    ("dev", "alerts.errorRate", {"threshold": 5, "minutes": 5, "severity": 1}, "a share below 1"),
    ("dev", "alerts.latency", {"threshold": 5, "minutes": 5, "severity": 7}, "less than or equal to 4"),
    ("dev", "alerts.latency", {"threshold": 5, "minutes": 10, "severity": 3}, "5, 15, 30 or 60"),
    ("dev", "alerts.everyMinutes", 15, "at most alerts.errorRate.minutes (10)"),
    ("dev", "alerts.emails", ["nobody"], "match pattern"),
    ("dev", "alerts.webhookUrl", "http://x", "https:// address"),
    ("dev", "events.subscriptions.rollout-ended.maxAttempts", 99, "less than or equal to 30"),
    ("dev", "events.subscriptions.rollout-ended.eventTypes", [], "at least 1 item"),
    ("dev", "keyVault.softDeleteDays", 1, "greater than or equal to 7"),
    ("dev", "storage.sku", "Cheap", "unknown storage SKU"),
    ("dev", "resourceGroup", "group.", "no dot at the end"),
    ("dev", "bugdet", 5, "did you mean 'budget'?"),
    ("dev", "location", "eastus", "not a key of the stack file"),
    ("prod", "endpoints.churn.instanceCount", 1, "prod needs 2 or more"),
    ("prod", "policy.approversRequired", 0, "prod needs 1 or more"),
    ("prod", "policy.steps", [100], "a step below 100 first"),
    ("prod", "budget.enabled", False, "prod needs a budget"),
    ("prod", "alerts.enabled", False, "prod needs alerts"),
    ("prod", "alerts.emails", [], "somebody to tell"),
    ("prod", "keyVault.purgeProtection", False, "prod needs true"),
    ("prod", "logs.retentionDays", 30, "prod needs 90 or more"),
    ("prod", "gates.auc", ..., "prod needs it"),
]


@pytest.mark.parametrize(("stack", "path", "value", "said"), WRONG, ids=[f"{s}-{p}-{v}"[:60] for s, p, v, _ in WRONG])
def test_a_wrong_setting_is_named_with_what_is_allowed(stack: str, path: str, value: Any, said: str) -> None:
    found = problems(stack, changed(stack, path, value))
    text = "\n".join(found.values())
    assert said in text
    assert path.split(".")[0].split(":")[-1] in text
    assert len(found) == 1, text


def test_all_wrong_settings_are_told_at_once() -> None:
    values = stack_values("dev")
    values["budget"] = {"monthlyUsd": -1}
    values["endpoints"] = {"churn": {"model": "m", "instanceType": "Standard_X1", "instanceCount": 0}}
    values["clusters"] = {"cpu": {"vmSize": "Standard_D4s_v3", "minNodes": 4, "maxNodes": 1}}
    values["gates"] = {"accuracy": 75}
    with pytest.raises(SettingsError) as caught:
        parse("dev", values)
    text = str(caught.value)
    for key in ("budget.monthlyUsd = -1", "endpoints.churn.instanceType = 'Standard_X1'", "endpoints.churn.instanceCount = 0", "clusters.cpu.maxNodes = 1", "gates.accuracy = 75"):  # fmt: skip
        assert f"azureml-rollouts:{key}" in text
    assert "5 wrong settings, nothing was changed" in text
    assert "Pulumi.dev.yaml" in text


def test_an_endpoint_overrides_the_shared_policy_key_by_key() -> None:
    values = stack_values("dev")
    values["policy"] = {"bakeMinutes": 5, "windows": {"maxErrorRate": 0.02, "maxP95Ms": 900}}
    values["endpoints"]["churn"]["policy"] = {"windows": {"maxP95Ms": 400}}
    policy = parse("dev", values).endpoints["churn"].policy
    assert (policy.bake_minutes, policy.windows.max_error_rate, policy.windows.max_p95_ms) == (5, 0.02, 400)


def test_a_stack_of_another_name_says_how_strict_it_is() -> None:
    values = stack_values("dev")
    assert parse("demo", values).environment == "dev"
    del values["environment"]
    assert "is missing" in problems("demo", values)["environment"]


def test_a_secret_is_not_shown_in_an_error() -> None:
    found = problems("dev", changed("dev", "alerts.webhookUrl", "ftp://user:hunter2@x"))
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": [1]}', {"a": [1]}), ("[1]", [1]), ("true", "true"), ("{no json", "{no json"), ("", "")]
)
def test_values_arrive_as_json_text_or_plain(text: str, value: Any) -> None:
    assert decode(text) == value


def _blocks(model: type[BaseModel]) -> set[type[BaseModel]]:
    inner = {type_ for field in model.model_fields.values() if (type_ := model_in(field.annotation))}
    return {model, *(each for type_ in inner if issubclass(type_, Block) for each in _blocks(type_))}


def test_every_key_is_described() -> None:
    blocks = _blocks(Settings)
    assert len(blocks) > 15
    for model in blocks:
        for name, field in model.model_fields.items():
            is_block = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            assert is_block or field.description, f"{model.__name__}.{name} has no description"
