"""The platform metrics as the real clients see them: what the gateway recorded, minute by minute of policy time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.querymetrics import MetricsClient
from hypothesis import given
from hypothesis import strategies as st

from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.faults import Fault
from sandbox.kernel.settings import new_settings
from sandbox.kernel.tls import tls_files
from sandbox.monitor import filters
from sandbox.monitor.app import create, routes
from sandbox.monitor.query import percentile
from sandbox.monitor.state import MonitorState
from tests.sandbox.asgi import Service
from tests.sandbox.inprocess import TokenCredential, served

NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
#: A full minute, well in the past.
T0 = (int(time.time()) // 60 - 30) * 60
MINUTE = timedelta(minutes=1)


def at(minute: int) -> datetime:
    return datetime.fromtimestamp(T0 + 60 * minute, UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    context = open_sandbox(tmp_path_factory.mktemp("monitor"), new_settings(now=time.time()))
    context.states["arm"] = ArmState(context)
    context.states["monitor"] = MonitorState(context)
    with served(context, {"monitor": create(context)}):
        yield context
    context.store.close()


@pytest.fixture
def sandbox(made: Sandbox) -> Iterator[Sandbox]:
    yield made
    made.states["monitor"].reset()
    made.faults.reset()


@pytest.fixture
def monitor(sandbox: Sandbox) -> MonitorState:
    state: MonitorState = sandbox.states["monitor"]
    return state


@pytest.fixture
def endpoint(sandbox: Sandbox) -> str:
    return add(sandbox, "onlineEndpoints/churn")


def add(sandbox: Sandbox, below: str, location: str = "eastus") -> str:
    arm: ArmState = sandbox.states["arm"]
    workspace = f"/subscriptions/{sandbox.settings.subscription_id}/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"
    return arm.put(arm.new(f"{workspace}/{below}", location=location)).id


@pytest.fixture
def client(sandbox: Sandbox) -> MetricsClient:
    ca = str(tls_files(sandbox.home).ca)
    url = sandbox.settings.url("monitor")
    return MetricsClient(url, TokenCredential(sandbox), audience=url, connection_verify=ca, retry_total=0)


_ids = iter(range(10**9))


def record(minute: float, deployment: str = "blue", status: int = 200, ms: float = 10.0, **more: Any) -> dict[str, Any]:
    return {
        "t": T0 + 60 * minute, "workspace": "ws", "endpoint": "churn", "deployment": deployment, "status": status, "ms": ms,
        "mirrored": False, "id": f"r{next(_ids)}", "model_status": 500 if status == 424 else status, **more,
    }  # fmt: skip


def ask(client: MetricsClient, resource: str, *names: str, **options: Any) -> dict[str, Any]:
    """{metric: {dimension values: {minute: value}}}; minutes without data are None."""
    options = {
        "timespan": (at(0), at(5)),
        "granularity": MINUTE,
        "aggregations": ["Total"],
        "metric_namespace": NAMESPACE,
        **options,
    }
    aggregation = options["aggregations"][0].lower()
    result = client.query_resources(resource_ids=[resource], metric_names=names, **options)[0]
    return {
        metric.name: {
            tuple(series.metadata_values.values()): {
                round((point.timestamp - at(0)) / MINUTE): getattr(point, aggregation) for point in series.data
            }
            for series in metric.timeseries
        }
        for metric in result.metrics
    }


def test_requests_are_counted_by_deployment_and_status(client: Any, monitor: MonitorState, endpoint: str) -> None:
    monitor.record([record(0.1), record(0.5), record(0.9, status=424), record(1.5), record(0.2, "green", 503)])
    everything = ask(client, endpoint, "RequestsPerMinute")["RequestsPerMinute"]
    assert everything == {(): {0: 4, 1: 1, 2: None, 3: None, 4: None}}
    split = ask(client, endpoint, "RequestsPerMinute", filter="deployment eq '*' and statusCodeClass eq '*'")
    assert split["RequestsPerMinute"] == {
        ("blue", "2xx"): {0: 2, 1: 1, 2: None, 3: None, 4: None},
        ("blue", "4xx"): {0: 1, 1: None, 2: None, 3: None, 4: None},
        ("green", "5xx"): {0: 1, 1: None, 2: None, 3: None, 4: None},
    }
    failed = ask(client, endpoint, "RequestsPerMinute", filter="deployment eq 'BLUE' and modelStatusCode eq '500'")
    assert failed["RequestsPerMinute"] == {("blue", "500"): {0: 1, 1: None, 2: None, 3: None, 4: None}}
    rolled = ask(
        client,
        endpoint,
        "RequestsPerMinute",
        filter="statusCode eq '200' or statusCode eq '503'",
        roll_up_by="statusCode",
    )
    assert rolled["RequestsPerMinute"][()][0] == 3


def test_average_is_requests_per_minute_and_total_their_number(
    client: Any, monitor: MonitorState, endpoint: str
) -> None:
    base = T0 // 60 % 5
    monitor.record([record(-base + 0.5 + minute, status=status) for minute in range(5) for status in (200, 200, 424)])
    window = {"timespan": (at(-base), at(5 - base)), "granularity": 5 * MINUTE}
    for aggregation, expected in (("Total", 15), ("Average", 3), ("Maximum", 3), ("Count", 5)):
        seen = ask(client, endpoint, "RequestsPerMinute", aggregations=[aggregation], **window)
        assert list(seen["RequestsPerMinute"][()].values()) == [expected]


def test_latencies_and_their_percentiles_are_exact(client: Any, monitor: MonitorState, endpoint: str) -> None:
    monitor.record([record(0.1, ms=float(ms)) for ms in range(1, 101)])
    monitor.record([record(0.2, "green", ms=1000.0)])
    names = ("RequestLatency", "RequestLatency_P50", "RequestLatency_P90", "RequestLatency_P95", "RequestLatency_P99")
    seen = ask(client, endpoint, *names, filter="deployment eq '*'", aggregations=["Average"])
    assert [seen[name][("blue",)][0] for name in names] == [50.5, 50, 90, 95, 99]
    assert [seen[name][("green",)][0] for name in names] == [1000] * 5
    together = ask(client, endpoint, "RequestLatency_P99", aggregations=["Average"])
    assert together["RequestLatency_P99"][()][0] == 100


def test_a_minute_not_ingested_yet_is_absent_and_then_there(
    client: Any, sandbox: Sandbox, monitor: MonitorState, endpoint: str
) -> None:
    now = time.time()
    running = now // 60 * 60
    monitor.record([{**record(0), "t": running - 60}, {**record(0), "t": now}, {**record(0), "t": running - 240}])
    result = client.query_resources(
        resource_ids=[endpoint], metric_namespace=NAMESPACE, metric_names=["RequestsPerMinute"], granularity=MINUTE,
        timespan=(datetime.fromtimestamp(running - 300, UTC), datetime.fromtimestamp(running + 120, UTC)), aggregations=["Total"],
    )  # fmt: skip
    data = result[0].metrics[0].timeseries[0].data
    last = data[-1].timestamp.timestamp()
    lag = sandbox.settings.metrics_lag_seconds
    assert last + 60 <= time.time() - lag < last + 60 + 61
    assert data[1].total == 1


def test_late_metrics_come_late_and_missing_ones_never(
    client: Any, sandbox: Sandbox, monitor: MonitorState, endpoint: str
) -> None:
    late = sandbox.faults.add(Fault(kind="metrics-late", target="churn/green", seconds=600))
    sandbox.faults.add(Fault(kind="metrics-missing", target="churn/lost"))
    recent = (time.time() - T0) / 60 - 4
    monitor.record([record(recent, "blue"), record(recent, "green"), record(recent, "lost")])
    options = {"filter": "deployment eq '*'", "timespan": (at(int(recent)), at(int(recent) + 1))}
    assert set(ask(client, endpoint, "RequestsPerMinute", **options)["RequestsPerMinute"]) == {("blue",)}
    sandbox.faults.remove(late.id)
    assert set(ask(client, endpoint, "RequestsPerMinute", **options)["RequestsPerMinute"]) == {("blue",), ("green",)}


def test_a_batch_that_the_gateway_sends_twice_counts_once(client: Any, monitor: MonitorState, endpoint: str) -> None:
    batch = [record(0.5), record(0.6)]
    monitor.record(batch)
    monitor.record(batch)
    assert ask(client, endpoint, "RequestsPerMinute")["RequestsPerMinute"][()][0] == 2


def test_instances_show_cpu_memory_and_capacity(client: Any, sandbox: Sandbox, monitor: MonitorState) -> None:
    deployment = add(sandbox, "onlineEndpoints/churn/deployments/blue")
    for instance, cpu in (("i-0", 20.0), ("i-1", 60.0)):
        for second in (0, 30):
            monitor.gauge(("ws", "churn"), "blue", instance, cpu_percent=cpu, memory_percent=50.0, at=T0 + second)
    monitor.gauge(("ws", "churn"), "green", "i-9", cpu_percent=99.0, at=T0)
    options = {"metric_namespace": f"{NAMESPACE}/deployments", "aggregations": ["Average"]}
    seen = ask(
        client,
        deployment,
        "CpuUtilizationPercentage",
        "CpuMemoryUtilizationPercentage",
        "DeploymentCapacity",
        **options,
    )
    assert [values[()][0] for values in seen.values()] == [40.0, 50.0, 2.0]
    split = ask(client, deployment, "CpuUtilizationPercentage", filter="instanceId eq '*'", **options)
    assert {key[0]: values[0] for key, values in split["CpuUtilizationPercentage"].items()} == {
        "i-0": 20.0,
        "i-1": 60.0,
    }
    monitor.record([record(0.5), record(0.5, "green")])
    options["aggregations"] = ["Total"]
    assert ask(client, deployment, "RequestsPerMinute", **options)["RequestsPerMinute"][()][0] == 1


def test_an_endpoint_that_nobody_called_has_no_values(client: Any, endpoint: str) -> None:
    assert ask(client, endpoint, "RequestsPerMinute")["RequestsPerMinute"] == {(): dict.fromkeys(range(5))}
    assert ask(client, endpoint, "RequestsPerMinute", filter="deployment eq '*'")["RequestsPerMinute"] == {}


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"metric_names": ["Requests"]}, 400, "Valid metrics: RequestsPerMinute"),
        ({"granularity": timedelta(minutes=2)}, 400, "Invalid interval PT2M"),
        ({"aggregations": ["P95"]}, 400, "Invalid aggregation"),
        ({"filter": "colour eq 'green'"}, 400, "no dimension colour"),
        ({"filter": "deployment = 'green'"}, 400, "Invalid filter"),
        ({"filter": "deployment eq 'a' or statusCode eq '200'"}, 400, "can't join"),
        ({"metric_namespace": "Microsoft.Compute/virtualMachines"}, 501, "virtualMachines"),
        ({"resource_ids": ["nothing"]}, 404, "was not found"),
    ],
)
def test_a_wrong_question_is_told_what_is_wrong(
    client: Any, endpoint: str, options: dict[str, Any], status: int, words: str
) -> None:
    asked = {
        "metric_namespace": NAMESPACE,
        "metric_names": ["RequestsPerMinute"],
        "resource_ids": [endpoint],
        **options,
    }
    if asked["resource_ids"] == ["nothing"]:
        asked["resource_ids"] = [endpoint + "x"]
    with pytest.raises(HttpResponseError, match=words) as error:
        client.query_resources(**asked)
    assert error.value.status_code == status


def test_a_token_for_another_service_is_refused(sandbox: Sandbox, endpoint: str) -> None:
    app = Service(create(sandbox), token=sandbox.tokens.issue("https://storage.azure.com", sandbox.owner))
    answer = app.post(
        f"/subscriptions/{sandbox.settings.subscription_id}/metrics:getBatch?api-version=2024-02-01",
        {"resourceids": [endpoint]},
    )
    assert (answer.status, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationTokenAudience")
    app.close()


def test_arm_gives_the_same_numbers_below_the_resource(sandbox: Sandbox, monitor: MonitorState, endpoint: str) -> None:
    from sandbox.kernel.http import create_app

    monitor.record([record(0.5), record(0.5, "green", 424)])
    app = Service(create_app("arm", sandbox, routes(sandbox)))
    times = f"{at(0).isoformat().replace('+00:00', 'Z')}/{at(2).isoformat().replace('+00:00', 'Z')}"
    path = f"{endpoint}/providers/Microsoft.Insights/metrics?api-version=2018-01-01&metricnames=RequestsPerMinute&timespan={times}"
    answer = app.get(path + "&interval=PT1M&aggregation=total&$filter=deployment%20eq%20%27green%27").json()
    (series,) = answer["value"][0]["timeseries"]
    assert series["metadatavalues"][0]["value"] == "green"
    assert [point.get("total") for point in series["data"]] == [1, None]
    listed = app.get(f"{endpoint}/providers/Microsoft.Insights/metricDefinitions?api-version=2018-01-01").json()[
        "value"
    ]
    assert {"RequestsPerMinute", "RequestLatency_P95"} <= {definition["name"]["value"] for definition in listed}
    assert app.get(path.replace("2018-01-01", "1999-01-01")).status == 501
    app.close()


def test_the_policy_clock_makes_minutes_of_seconds(tmp_path: Path) -> None:
    now = time.time()
    context = open_sandbox(tmp_path, new_settings(now=now, clock_scale=60.0))
    state = MonitorState(context)
    state.record([{**record(0), "t": now + second} for second in range(3)])
    minute = int(now // 60)
    rows = state.table.requests("ws/churn", minute, minute + 10)
    assert [row.n for row in rows] == [1, 1, 1]
    context.store.close()


def test_metrics_survive_a_restart(tmp_path: Path) -> None:
    settings = new_settings(now=time.time())
    for expected in (1, 2):
        context = open_sandbox(tmp_path, settings)
        state = MonitorState(context)
        state.record([record(0.5)])
        assert state.table.requests("ws/churn", T0 // 60, T0 // 60 + 1)[0].n == expected
        state.table.close()
        context.store.close()


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(values: list[float], share: float) -> None:
    values.sort()
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values)


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4))
def test_or_within_a_dimension_widens_and_and_between_dimensions_narrows(names: list[str]) -> None:
    either = " or ".join(f"deployment eq '{name}'" for name in names)
    parsed = filters.parse(f"({either}) and statusCode sw '5'", ["deployment", "statusCode"])
    for name in "abc":
        for status in ("500", "200"):
            matched = parsed.matches({"deployment": name, "statusCode": status})
            assert matched == (name in names and status == "500")


def test_a_filter_is_not_a_pattern_language() -> None:
    parsed = filters.parse("deployment eq 'a[bc]?'", ["deployment"])
    assert parsed.matches({"deployment": "a[bc]?"})
    assert not parsed.matches({"deployment": "abx"})
    with pytest.raises(AzureError, match="unbalanced"):
        filters.parse("(deployment eq 'a'", ["deployment"])
