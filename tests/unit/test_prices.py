"""The cost estimate: honest about endpoints, and every line says what it assumes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cost.prices import estimate, over_budget, price_book, serving_sizes
from components.settings import Settings
from tests.components.mocks import settings_of, stack_values


def with_endpoint(stack: str, **changes: Any) -> Settings:
    endpoints = stack_values(stack)["endpoints"]
    return settings_of(stack, endpoints={"churn": {**endpoints["churn"], **changes}})


def line(settings: Settings, component: str) -> float:
    (found,) = [each.monthly_usd for each in estimate(settings).lines if each.component == component]
    return found


def test_endpoints_cost_full_price_around_the_clock() -> None:
    assert line(settings_of("dev"), "endpoint churn") == pytest.approx(0.196 * 730, abs=0.01)
    assert line(settings_of("staging"), "endpoint churn") == pytest.approx(0.392 * 730, abs=0.01)
    assert line(settings_of("prod"), "endpoint churn") == pytest.approx(2 * 0.392 * 730, abs=0.01)


def test_a_reservation_takes_37_percent_off() -> None:
    assert line(with_endpoint("prod", reserved=True), "endpoint churn") == pytest.approx(2 * 0.247 * 730, abs=0.01)


def test_low_priority_helps_clusters_only() -> None:
    dedicated = settings_of("dev", clusters={"cpu": {"vmSize": "Standard_DS3_v2", "nodeHoursPerMonth": 100}})
    spot = settings_of(
        "dev", clusters={"cpu": {"vmSize": "Standard_DS3_v2", "tier": "LowPriority", "nodeHoursPerMonth": 100}}
    )
    assert line(dedicated, "cluster cpu") == pytest.approx(39.2)
    assert line(spot, "cluster cpu") == pytest.approx(39.2 * 0.2)
    assert line(dedicated, "endpoint churn") == line(spot, "endpoint churn")


def test_a_cluster_that_never_sleeps_costs_the_whole_month() -> None:
    awake = settings_of("dev", clusters={"cpu": {"vmSize": "Standard_DS3_v2", "minNodes": 1, "nodeHoursPerMonth": 0}})
    assert line(awake, "cluster cpu") == pytest.approx(0.392 * 730, abs=0.01)


def test_keeping_blue_longer_costs_more() -> None:
    kept = "endpoint churn, second deployment"
    assert line(settings_of("prod"), kept) > 10 * line(settings_of("dev"), kept)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_every_stack_is_within_its_budget_but_for_prods_gateway_and_adds_up(stack: str) -> None:
    cost = estimate(settings_of(stack))
    gateway = sum(each.monthly_usd for each in cost.lines if each.component in ("front door", "api management"))
    assert (gateway > 0) == (stack == "prod")
    assert cost.monthly_usd - gateway < cost.budget_usd
    warning = over_budget(cost)
    assert (warning is not None) == (stack == "prod")
    if warning:
        assert f"{cost.monthly_usd:,.0f} USD" in warning
        assert "api management 700" in warning
    assert cost.monthly_usd == pytest.approx(sum(each.monthly_usd for each in cost.lines), abs=0.01)
    assert all(each.basis for each in cost.lines)


@given(count=st.integers(1, 50), size=st.sampled_from(serving_sizes()))
def test_more_machines_never_cost_less(count: int, size: str) -> None:
    one = estimate(with_endpoint("dev", instanceType=size, instanceCount=count)).monthly_usd
    more = estimate(with_endpoint("dev", instanceType=size, instanceCount=min(50, count + 1))).monthly_usd
    assert more >= one


def test_the_price_book_is_dated_and_names_its_sources() -> None:
    book = price_book()
    assert book.as_of
    assert all(size.source for size in book.virtual_machines.values())
    assert {"Standard_DS2_v2", "Standard_DS3_v2"} <= set(serving_sizes())
