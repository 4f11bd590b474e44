"""Log Analytics as the real client sees it: KQL over what the sandbox logged, and refusals instead of wrong answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsBatchQuery, LogsQueryClient
from hypothesis import given
from hypothesis import strategies as st

from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.settings import new_settings
from sandbox.kernel.tls import tls_files
from sandbox.logs import kql
from sandbox.logs.app import create
from sandbox.logs.state import LogsState
from sandbox.logs.tables import TABLES
from sandbox.monitor.state import MonitorState
from tests.sandbox.asgi import Service
from tests.sandbox.inprocess import TokenCredential, served

CUSTOMER = "0b8d3a0e-6b0a-4d4e-9a53-3f7b2d6f0f11"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def traffic(minutes_ago: float, deployment: str, code: int, ms: int, **more: Any) -> dict[str, Any]:
    return {
        "TimeGenerated": NOW - timedelta(minutes=minutes_ago), "EndpointName": "churn", "DeploymentName": deployment,
        "ResponseCode": code, "TotalDurationMs": ms, "_ResourceId": "/subscriptions/s/resourceGroups/rg/providers/x/y/z", **more,
    }  # fmt: skip


ROWS = [
    traffic(5, "blue", 200, 10),
    traffic(4.9, "blue", 200, 20),
    traffic(4.5, "green", 424, 30, ModelStatusCode=500, ModelStatusReason='it\'s "broken"\nbadly'),
    traffic(3, "green", 200, 40),
    traffic(60 * 30, "blue", 503, 5000),
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    context = open_sandbox(tmp_path_factory.mktemp("logs"), new_settings(now=time.time()))
    arm = context.states["arm"] = ArmState(context)
    group = f"/subscriptions/{context.settings.subscription_id}/resourceGroups/rg/providers"
    workspace = arm.new(f"{group}/Microsoft.OperationalInsights/workspaces/logs", properties={"customerId": CUSTOMER})
    arm.put(workspace)
    state = context.states["logs"] = LogsState(context)
    with served(context, {"logs": create(context)}):
        state.insert("AmlOnlineEndpointTrafficLog", ROWS)
        state.insert(
            "AmlOnlineEndpointConsoleLog",
            [{"TimeGenerated": NOW, "DeploymentName": "green", "Message": "Größe; -- x | y"}],
        )
        yield context
    context.store.close()


@pytest.fixture
def client(sandbox: Sandbox) -> LogsQueryClient:
    url, ca = sandbox.settings.url("logs"), str(tls_files(sandbox.home).ca)
    return LogsQueryClient(
        TokenCredential(sandbox), endpoint=f"{url}/v1", audience=url, connection_verify=ca, retry_total=0
    )


def ask(client: Any, query: str, timespan: Any = DAY) -> Any:
    return client.query_workspace(CUSTOMER, query, timespan=timespan).tables[0]


def rows(client: Any, query: str, timespan: Any = DAY) -> list[list[Any]]:
    return [list(row) for row in ask(client, query, timespan).rows]


def test_the_error_rate_of_each_deployment(client: Any) -> None:
    query = """
        AmlOnlineEndpointTrafficLog
        | where TimeGenerated > ago(1h)  // the last hour
        | summarize errors = countif(ResponseCode >= 400), requests = count(), p95 = percentile(TotalDurationMs, 95) by DeploymentName
        | extend rate = 100.0 * errors / requests
        | project DeploymentName, requests, errors, rate
        | order by DeploymentName asc
    """
    table = ask(client, query)
    assert list(zip(table.columns, table.columns_types, strict=True)) == [
        ("DeploymentName", "string"), ("requests", "long"), ("errors", "long"), ("rate", "real")
    ]  # fmt: skip
    assert [list(row) for row in table.rows] == [["blue", 2, 0, 0.0], ["green", 2, 1, 50.0]]


def test_columns_have_kustos_types(client: Any) -> None:
    table = ask(client, "AmlOnlineEndpointTrafficLog | where ResponseCode == 424")
    (row,) = table.rows
    kinds = dict(zip(table.columns, table.columns_types, strict=True))
    assert {kinds[name] for name in ("TimeGenerated", "ResponseCode", "DeploymentName")} == {
        "datetime",
        "int",
        "string",
    }
    assert row["TimeGenerated"] == NOW - timedelta(minutes=4.5)
    assert row["ModelStatusReason"] == 'it\'s "broken"\nbadly'
    assert (row["TenantId"], row["Type"], row["_SubscriptionId"]) == (CUSTOMER, "AmlOnlineEndpointTrafficLog", "s")


def test_the_timespan_limits_every_table_that_is_read(client: Any) -> None:
    query = "AmlOnlineEndpointTrafficLog | count"
    assert rows(client, query, None) == [[5]]
    assert rows(client, query, DAY) == [[4]]
    assert rows(client, query, (NOW - timedelta(minutes=4), timedelta(minutes=2))) == [[1]]
    assert rows(client, query, (NOW - 2 * DAY, NOW - DAY)) == [[1]]
    assert rows(client, "union AmlOnlineEndpointTrafficLog, AmlOnlineEndpointTrafficLog | count", DAY) == [[8]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("AmlOnlineEndpointTrafficLog | where ModelStatusCode != 500 | count", [[3]]),
        ("AmlOnlineEndpointTrafficLog | where ResponseCode == 1 | summarize max(TotalDurationMs), max(TimeGenerated)", [[None, None]]),
        ("AmlOnlineEndpointConsoleLog | where Message has 'größe' | project strlen(Message)", [[15]]),
        ("AmlOnlineEndpointConsoleLog | where Message contains @\"; -- x | y\" | count", [[1]]),
        ("AmlOnlineEndpointConsoleLog | where Message == 'it\\'s; \\\\ drop' | count", [[0]]),
        ("let slow = 25; AmlOnlineEndpointTrafficLog | where TotalDurationMs > slow | count", [[2]]),
        ("AmlOnlineEndpointTrafficLog | where DeploymentName in~ ('BLUE') and TotalDurationMs between (15 .. 25) | count", [[1]]),
        ("AmlOnlineEndpointTrafficLog | summarize n = count() by bin(TimeGenerated, 1d) | summarize sum(n)", [[4]]),
        ("AmlOnlineEndpointTrafficLog | summarize avg(todouble(TotalDurationMs)), take_any(1)", [[25.0, 1]]),
        ("AmlOnlineEndpointTrafficLog | top 1 by TotalDurationMs | project case(ResponseCode >= 500, '5xx', ResponseCode >= 400, '4xx', 'ok')", [["ok"]]),
        ("print 5 / 2, 5.0 / 2, 1 == 1", [[2, 2.5, True]]),
        ("print 90s", [["00:01:30"]]),
        ("print dynamic([1, 2])", [["[1, 2]"]]),
        ("AmlOnlineEndpointTrafficLog | join kind=inner (AmlOnlineEndpointConsoleLog) on DeploymentName | count", [[2]]),
    ],
)  # fmt: skip
def test_answers_are_kustos(client: Any, query: str, expected: list[list[Any]]) -> None:
    assert rows(client, query) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("NoSuchTable | count", "NoSuchTable"),
        ("AmlOnlineEndpointTrafficLog | where NoSuchColumn == 1", "NoSuchColumn"),
        ("AmlOnlineEndpointTrafficLog | summarize arg_max(TimeGenerated, *) by DeploymentName", "arg_max"),
        ("AmlOnlineEndpointTrafficLog | make-series count() on TimeGenerated step 1m", "make-series"),
        ("AmlOnlineEndpointTrafficLog | project tolong(TotalDurationMs)", "tolong"),
        ("AmlOnlineEndpointTrafficLog | project tostring(TimeGenerated)", "tostring of a time"),
        ("AmlOnlineEndpointTrafficLog | project TimeGenerated - datetime(2026-01-01)", "datetime_diff"),
        ("AmlOnlineEndpointTrafficLog | where (ResponseCode == 1", "bracket is not closed"),
        ("", "empty"),
    ],
)
def test_what_is_not_understood_is_named(client: Any, query: str, words: str) -> None:
    with pytest.raises(HttpResponseError) as error:
        ask(client, query)
    assert error.value.status_code == 400
    body = error.value.response.json()["error"]  # type: ignore[union-attr]
    assert body["code"] == "BadArgumentError"
    assert words in body["innererror"]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "AmlOnlineEndpointTrafficLog | extend x = file('/etc/passwd')",
        "AmlOnlineEndpointTrafficLog | extend x = getSetting('dialect')",
        "system.tables",
        "logs.AmlOnlineEndpointTrafficLog | count",
        "set dialect='clickhouse'; DROP TABLE logs.AmlOnlineEndpointTrafficLog",
        "AmlOnlineEndpointTrafficLog | count; DROP TABLE logs.AmlOnlineEndpointTrafficLog",
        "AmlOnlineEndpointTrafficLog | count; print 1",
        "let x = 1; set dialect = 'clickhouse'",
        "let f = (x:int) { x }; print f(1)",
        "SELECT 1",
        "DROP TABLE AmlOnlineEndpointTrafficLog",
        "`AmlOnlineEndpointTrafficLog` | count",
        "print 'a\\'; drop table x; --'; system.tables",
        "url('http://127.0.0.1', 'CSV')",
        "AmlOnlineEndpointTrafficLog | union (system.one)",
        "AmlOnlineEndpointTrafficLog | where DeploymentName in (numbers(3))",
        "externaldata(x:string)['https://example.com'] | count",
    ],
)
def test_a_query_reads_the_known_tables_and_does_nothing_else(client: Any, query: str) -> None:
    with pytest.raises(HttpResponseError) as error:
        ask(client, query)
    assert error.value.status_code == 400
    assert rows(client, "AmlOnlineEndpointTrafficLog | count", None) == [[5]]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_text_reaches_the_database_as_one_literal(value: str) -> None:
    """Whatever is in a string, also quotes, semicolons and backslashes, stays inside of it."""
    literal = '@"' + value.replace('"', '""') + '"'
    written = kql.prepare(f"print x = {literal}", (), NOW).text
    body = written.removeprefix("print x = ")
    assert (body[0], body[-1]) == ("'", "'")
    inside = body[1:-1].replace("\\\\", "").replace("\\'", "")
    assert "'" not in inside
    assert not inside.endswith("\\")


@given(
    st.lists(
        st.sampled_from(
            [
                "T",
                "|",
                "where",
                "(",
                ")",
                ";",
                "let",
                "x",
                "=",
                "1",
                "'a'",
                "count",
                "file",
                ".",
                "system",
                "print",
                "[",
            ]
        ),
        max_size=12,
    )
)
def test_no_order_of_words_gets_a_second_statement_or_an_unknown_function_through(words: list[str]) -> None:
    try:
        written = kql.prepare(" ".join(words), ("T",), NOW).text
    except kql.KqlError:
        return
    statements = written.split("; ")
    assert all(statement.startswith("let ") for statement in statements[:-1])
    assert "file (" not in written
    assert " . " not in written


def test_batches_answer_each_query(client: Any) -> None:
    good, bad = client.query_batch(
        [
            LogsBatchQuery(CUSTOMER, "AmlOnlineEndpointTrafficLog | count", timespan=DAY),
            LogsBatchQuery(CUSTOMER, "Nothing | count", timespan=DAY),
        ]
    )
    assert good.tables[0].rows[0][0] == 4
    assert bad.code == "BadArgumentError"


def test_an_unknown_workspace_and_a_wrong_token(sandbox: Sandbox, client: Any) -> None:
    with pytest.raises(HttpResponseError, match="does not exist") as error:
        client.query_workspace("00000000-0000-0000-0000-000000000000", "print 1", timespan=None)
    assert error.value.status_code == 404
    app = Service(create(sandbox), token=sandbox.tokens.issue("https://storage.azure.com", sandbox.owner))
    assert app.post(f"/v1/workspaces/{CUSTOMER}/query", {"query": "print 1"}).status == 401
    app.close()


def test_a_resources_own_rows(sandbox: Sandbox, client: Any) -> None:
    arm: ArmState = sandbox.states["arm"]
    resource = arm.put(arm.new("/subscriptions/s/resourceGroups/rg/providers/x/y/z")).id
    sandbox.states["logs"].insert(
        "AppTraces",
        [
            {"TimeGenerated": NOW, "_ResourceId": resource + "/sub/1"},
            {"TimeGenerated": NOW, "_ResourceId": resource + "zz"},
        ],
    )
    result = client.query_resource(resource, "AppTraces | count", timespan=None)
    assert result.tables[0].rows[0][0] == 1


def test_rows_are_checked_when_they_come_in(sandbox: Sandbox) -> None:
    state: LogsState = sandbox.states["logs"]
    with pytest.raises(ValueError, match="no column Colour"):
        state.insert("AppTraces", [{"TimeGenerated": NOW, "Colour": "red"}])
    with pytest.raises(ValueError, match="there is no table Paint"):
        state.insert("Paint", [])
    with pytest.raises(ValueError, match="needs TimeGenerated"):
        state.insert("AppTraces", [{"Message": "when?"}])


def test_the_gateways_requests_are_in_the_traffic_log(sandbox: Sandbox, client: Any) -> None:
    monitor = MonitorState(sandbox)
    record = {
        "t": time.time(), "workspace": "ws", "endpoint": "other", "deployment": "blue", "status": 424, "ms": 12.6,
        "mirrored": False, "id": "req-1", "model_status": 500, "method": "POST", "path": "/score", "auth": "Key",
    }  # fmt: skip
    monitor.record([record])
    query = "AmlOnlineEndpointTrafficLog | where EndpointName == 'other' | project ResponseCode, ModelStatusCode, TotalDurationMs, AuthType, XRequestId"
    assert rows(client, query) == [[424, 500, 13, "Key", "req-1"]]
    monitor.table.close()


_RESTART = """
import asyncio, json, sys, time
from pathlib import Path
from sandbox.kernel.context import open_sandbox
from sandbox.kernel.settings import Settings
from sandbox.logs.state import LogsState

home, act = Path(sys.argv[1]), sys.argv[2]
settings = Settings(**json.loads((home / "s.json").read_text()))
state = LogsState(open_sandbox(home / "x", settings))

async def main():
    if act == "write":
        state.insert("AppTraces", [{"TimeGenerated": time.time(), "Message": "kept"}])
    if act == "reset":
        await state.reset()
    answer = await state.query("AppTraces | count", "", "1")
    print(answer.rows[0][0])
    await state.stop()

asyncio.run(main())
"""


def test_rows_survive_a_restart_and_not_a_reset(tmp_path: Path) -> None:
    """In processes of their own: a process can open only one such database."""
    import subprocess
    import sys

    (tmp_path / "s.json").write_text(new_settings(now=time.time()).model_dump_json())
    seen = []
    for act in ("write", "read", "reset", "write"):
        command = [sys.executable, "-c", _RESTART, str(tmp_path), act]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        seen.append(int(done.stdout))
    assert seen == [1, 1, 0, 1]


def test_every_table_has_a_time_and_known_types() -> None:
    for columns in TABLES.values():
        assert columns["TimeGenerated"] == "datetime"
        assert set(columns.values()) <= {"string", "int", "long", "real", "bool", "datetime", "dynamic"}
