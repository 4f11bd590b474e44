"""Every KQL text, as the program sends it: through Microsoft's parser with the tables' real schemas, and run for real.

The parser is an npm package, see `tools/kql_check.py`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.observability import queries
from components.observability.dashboards import SAVED, TILES
from components.observability.rules import RULES, LogRule
from contract import telemetry
from sandbox.kernel.context import open_sandbox
from sandbox.kernel.settings import new_settings
from sandbox.logs import kql
from sandbox.logs.database import Answer
from sandbox.logs.state import LogsState
from sandbox.logs.tables import CONSTANT, TABLES
from tests.components.mocks import PROJECT, run, settings_of
from tests.options import settings_with_every_option
from tools import kql_check

SCHEMAS = {name: {**columns, **dict.fromkeys(CONSTANT, "string")} for name, columns in TABLES.items()}
VALUES: dict[str, queries.Value] = {
    "endpoint": "churn", "minRequests": 20, "windowMinutes": 15, "days": 7, "slowMs": 500, "usdPerGb": 2.3
}  # fmt: skip
NOW = datetime.now(UTC).replace(microsecond=0)


def sent(stack: str, every_option: bool) -> dict[str, str]:
    """The texts in the declared resources: alerts, saved queries, the workbook's tiles."""
    from components.platform import build

    settings = settings_with_every_option(stack) if every_option else settings_of(stack)
    made = run(stack, lambda: build(settings, PROJECT) and None)
    found = {
        rule.name: condition["query"]
        for rule in made.of("monitor:ScheduledQueryRule")
        for condition in rule.inputs["criteria"]["allOf"]
    }
    found |= {each.name: each.inputs["body"] for each in made.of("operationalinsights:Query")}
    for workbook in made.of("applicationinsights:Workbook"):
        for item in json.loads(workbook.inputs["serializedData"])["items"]:
            if item["type"] == 3:
                found[f"{workbook.name}-{item['name']}"] = item["content"]["query"]
    return found


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return sent("prod", every_option=True)


def test_the_program_sends_every_query_that_there_is(texts: Mapping[str, str]) -> None:
    used = {*SAVED, *(name for name, _, _ in TILES), *(rule.key for rule in RULES if isinstance(rule, LogRule))}
    assert used == set(queries.names())
    heads = {text.splitlines()[0] for text in texts.values()}
    assert heads == {queries.text(name).splitlines()[0] for name in queries.names()}


def test_microsofts_parser_finds_nothing(texts: Mapping[str, str]) -> None:
    assert {name: found for name, found in kql_check.check(SCHEMAS, texts).items() if found} == {}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("EndpointName ==", "EndPointName ==", "'EndPointName' does not refer to any known column"),
        ("AmlOnlineEndpointTrafficLog", "AmlOnlineEndpointTraficLog", "AmlOnlineEndpointTraficLog"),
        ("countif(", "countiff(", "known function"),
        ("| summarize", "| sumarize", ""),
        ("EndpointName == endpoint", "EndpointName > 5 and ResponseCode contains 4", ""),
    ],
)
def test_microsofts_parser_catches_a_mistake(before: str, after: str, words: str) -> None:
    text = queries.query("error-rate", endpoint="churn", minRequests=20)
    assert before in text
    found = kql_check.check(SCHEMAS, {"wrong": text.replace(before, after)})["wrong"]
    assert found
    assert any(words in each["message"] for each in found), found


# Run for real


def traffic(minutes_ago: float, deployment: str, code: int = 200, **more: Any) -> dict[str, Any]:
    return {
        "TimeGenerated": NOW - timedelta(minutes=minutes_ago), "EndpointName": "churn", "DeploymentName": deployment,
        "ResponseCode": code, "TotalDurationMs": 40, **more,
    }  # fmt: skip


def metric(name: telemetry.Metric, value: float, minutes_ago: float = 1, **properties: str) -> dict[str, Any]:
    return {
        "TimeGenerated": NOW - timedelta(minutes=minutes_ago), "Name": name.name, "Sum": value, "Min": value, "Max": value,
        "ItemCount": 1, "Properties": {"endpoint": "churn", **properties},
    }  # fmt: skip


class Logs:
    """The sandbox's logs, without its HTTP."""

    def __init__(self, state: LogsState) -> None:
        self._state = state
        self._loop = asyncio.new_event_loop()

    def holding(self, **tables: list[dict[str, Any]]) -> Logs:
        """The same logs, emptied and filled anew."""
        self._loop.run_until_complete(self._state.reset())
        for table, rows in tables.items():
            self._state.insert(table, rows)
        return self

    def ask(self, text: str) -> Answer:
        return self._loop.run_until_complete(self._state.query(text, "", "1"))

    def value(self, name: str, **values: queries.Value) -> list[list[Any]]:
        wanted = {each: values.get(each, VALUES[each]) for each in queries.needs(name)}
        return self.ask(queries.query(name, **wanted)).rows


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    context = open_sandbox(tmp_path_factory.mktemp("logs"), new_settings(now=time.time()))
    state = LogsState(context)
    made = Logs(state)
    yield made
    asyncio.new_event_loop().run_until_complete(state.stop())
    context.store.close()


def test_every_text_runs_on_the_sandbox(logs: Logs, texts: Mapping[str, str]) -> None:
    logs.holding()
    for name, text in texts.items():
        try:
            assert logs.ask(text).columns, name
        except kql.KqlError as error:
            pytest.fail(f"{name}: {error}")


TRAFFIC = "AmlOnlineEndpointTrafficLog"


def test_availability_and_error_rate_count_the_same_failures(logs: Logs) -> None:
    rows = [traffic(3, "blue") for _ in range(94)] + [
        traffic(3, "blue", code) for code in (500, 503, 408, 424, 429, 404)
    ]
    logs.holding(**{TRAFFIC: rows})
    assert logs.value("error-rate") == [[pytest.approx(0.05)]]
    assert logs.value("availability") == [[pytest.approx(0.95)]]
    assert logs.value("error-rate", endpoint="other") == []
    assert logs.value("availability", minRequests=101) == [], "too few requests are no verdict"


def test_zero_traffic_is_told_when_requests_stop_not_where_there_were_none(logs: Logs) -> None:
    assert logs.holding().value("zero-traffic") == []
    assert logs.holding(**{TRAFFIC: [traffic(20, "blue")]}).value("zero-traffic") == [[0]]
    assert logs.holding(**{TRAFFIC: [traffic(20, "blue"), traffic(2, "blue")]}).value("zero-traffic") == [[1]]
    assert logs.holding(**{TRAFFIC: [traffic(25 * 60, "blue")]}).value("zero-traffic") == []


def weights(**by_deployment: float) -> list[dict[str, Any]]:
    return [metric(telemetry.EXPECTED_WEIGHT, weight, deployment=name) for name, weight in by_deployment.items()]


@pytest.mark.parametrize(
    ("published", "seen", "off"),
    [
        ({"blue": 90, "green": 10}, {"blue": 90, "green": 10}, 0.0),
        ({"blue": 90, "green": 10}, {"blue": 60, "green": 40}, 30.0),
        ({"blue": 100, "green": 0}, {"green": 100}, 100.0),
        # a deployment that nobody published takes requests from those that were
        ({"blue": 100}, {"blue": 80, "stray": 20}, 20.0),
    ],
)
def test_the_split_is_compared_with_what_was_published(
    logs: Logs, published: dict[str, float], seen: dict[str, int], off: float
) -> None:
    rows = [traffic(2, name) for name, count in seen.items() for _ in range(count)]
    logs.holding(**{TRAFFIC: rows, "AppMetrics": weights(**published)})
    assert logs.value("traffic-split") == [[pytest.approx(off)]]


def test_the_split_has_no_verdict_without_weights_or_requests_and_takes_a_step_for_none(logs: Logs) -> None:
    rows = [traffic(2, "blue") for _ in range(70)] + [traffic(2, "green") for _ in range(30)]
    assert logs.holding(**{TRAFFIC: rows}).value("traffic-split") == []
    assert logs.holding(AppMetrics=weights(blue=100)).value("traffic-split") == []
    step = weights(blue=90, green=10) + weights(blue=50, green=50)
    assert logs.holding(**{TRAFFIC: rows, "AppMetrics": step}).value("traffic-split") == [[0.0]]


@pytest.mark.parametrize(
    ("name", "of"), [("accuracy-drop", telemetry.ACCURACY_DROP), ("drift", telemetry.DRIFTING_FEATURES)]
)
def test_what_rollout_measures_reaches_its_alert(logs: Logs, name: str, of: telemetry.Metric) -> None:
    rows = [metric(of, 0.04), metric(of, 0.22, 30), metric(of, 0.9, endpoint="other")]
    assert logs.holding(AppMetrics=rows).value(name) == [[0.22]]
    assert logs.holding().value(name) == [], "no measurement is no verdict"


def test_queries_and_contract_name_the_same_metrics() -> None:
    named = {word for name in queries.names() for word in queries.text(name).split('"') if word.startswith("rollouts.")}
    assert named == {each.name for each in telemetry.METRICS}
    for each in telemetry.METRICS:
        assert telemetry.ENDPOINT in each.properties


def test_saved_queries_show_what_their_titles_say(logs: Logs) -> None:
    failed = {"TimeGenerated": NOW - timedelta(hours=1), "RunId": "r1", "Status": "Failed", "Message": "no data"}
    usage = {"TimeGenerated": NOW - timedelta(days=1), "DataType": TRAFFIC, "IsBillable": True, "Quantity": 2000.0}
    logs.holding(
        **{TRAFFIC: [traffic(9, "blue"), traffic(8, "blue", 424, TotalDurationMs=900, ModelStatusReason="KeyError")]},
        AmlRunStatusChangedEvent=[failed, {**failed, "RunId": "r2", "Status": "Completed"}],
        Usage=[usage, {**usage, "IsBillable": False}],
    )
    assert [row[1] for row in logs.value("failed-jobs")] == ["r1"]
    assert logs.value("slow-predictions")[0][:4] == ["churn", "blue", 2, 1]
    (pattern,) = logs.value("error-patterns")
    assert pattern[2] == 424
    assert "KeyError" in pattern
    assert logs.value("cost") == [[TRAFFIC, 2.0, 4.6]]


# Filling in


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=40))
def test_a_value_is_one_literal_whatever_is_in_it(value: str) -> None:
    try:
        text = queries.query("drift", endpoint=value)
    except queries.QueryError:
        return
    (statement,) = [line for line in text.splitlines() if line.startswith("let endpoint = ")]
    tokens = list(kql._tokens(statement))
    assert [token.kind for token in tokens] == ["word", "word", "sign", "text", "sign"]
    assert kql._decoded(statement.removeprefix("let endpoint = ").removesuffix(";")) == value


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("drift", {}, "needs endpoint"),
        ("drift", {"endpoint": "a", "days": 1}, "needs endpoint"),
        ("drift", {"endpoint": "a\n| take 1"}, "can't be printed"),
        ("cost", {"days": 1, "usdPerGb": float("inf")}, "no plain decimal"),
        ("cost", {"days": True, "usdPerGb": 1.0}, "no text or number"),
    ],
)
def test_a_query_takes_exactly_what_it_needs(name: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(queries.QueryError, match=words):
        queries.query(name, **values)


@pytest.mark.parametrize(
    "text",
    [
        'AppMetrics | where Properties["a"] == "b"',
        "AppMetrics | project Properties.a",
        'AppMetrics | where tostring(Name["a"]) == "b"',
        'AppMetrics | where tostring(Properties["a"]["b"]) == "c"',
    ],
)
def test_an_object_is_asked_for_a_text_or_a_number_only(logs: Logs, text: str) -> None:
    with pytest.raises(kql.KqlError):
        logs.ask(text)


def test_a_property_is_a_text_or_a_number(logs: Logs) -> None:
    row = metric(telemetry.EXPECTED_WEIGHT, 1, deployment='it\'s "blue"', count="12")
    asked = 'AppMetrics | project tostring(Properties["deployment"]), toreal(Properties["count"]), tostring(Properties["none"])'
    assert logs.holding(AppMetrics=[row]).ask(asked).rows == [['it\'s "blue"', 12.0, ""]]
