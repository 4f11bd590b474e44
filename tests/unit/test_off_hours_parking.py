"""The off-hours timer: when it parks, what it leaves alone, what it brings back."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from contract.policy import SmokePolicy
from rollout.controller.records import Kind
from rollout.errors import BadInput, RolloutError, Unavailable
from rollout.handlers.off_hours import ACTOR, OffHours, Parked, keep_hours
from rollout.handlers.settings import AppSettings
from tests.unit.world import BLUE, FakeWorld, order

BERLIN = ZoneInfo("Europe/Berlin")
HOURS = OffHours(time(18), time(6), BERLIN, idle_minutes=120)
EVENING, NOON = datetime(2026, 11, 24, 20, tzinfo=BERLIN), datetime(2026, 11, 25, 12, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("moment", "off"),
    [
        ("2026-11-24T17:59", False),
        ("2026-11-24T18:00", True),
        ("2026-11-25T05:59", True),
        ("2026-11-25T06:00", False),
        ("2026-11-27T18:00", True),
        ("2026-11-28T12:00", True),
        ("2026-11-29T12:00", True),
        ("2026-11-30T05:59", True),
        ("2026-11-30T06:00", False),
    ],
)
def test_a_weekend_is_one_long_night(moment: str, off: bool) -> None:
    local = datetime.fromisoformat(moment).replace(tzinfo=BERLIN)
    assert HOURS.are_on(local.astimezone(UTC)) is off


def test_those_who_work_at_night_rest_by_day() -> None:
    nights = OffHours(time(6), time(22), BERLIN, 120)
    assert nights.are_on(NOON)
    assert not nights.are_on(EVENING.replace(hour=23))


def endpoint(world: FakeWorld) -> Parked:
    return Parked("churn", lambda: world.store, world.ports, SmokePolicy(requests=5))


def test_what_nobody_asks_is_parked_in_the_evening_and_back_in_the_morning() -> None:
    world = FakeWorld(requests_per_minute=0)
    world.advance(180)
    done = keep_hours([endpoint(world)], HOURS, EVENING)
    assert f"delete {BLUE}" in done["churn"]
    assert not world.endpoints.deployments
    assert keep_hours([endpoint(world)], HOURS, EVENING)["churn"] == f"Parked by {ACTOR}", "again changes nothing"
    assert f"make {BLUE}" in keep_hours([endpoint(world)], HOURS, NOON)["churn"]
    assert world.endpoints.weights == {BLUE: 100}
    assert keep_hours([endpoint(world)], HOURS, NOON)["churn"] == "not parked"
    assert {record.actor for record in world.controller().records()} == {ACTOR}


def test_what_is_asked_stays() -> None:
    world = FakeWorld()
    world.advance(180)
    assert "requests in the last 120 min" in keep_hours([endpoint(world)], HOURS, EVENING)["churn"]
    assert world.endpoints.weights == {BLUE: 100}


def test_what_can_not_be_known_to_be_idle_stays() -> None:
    world = FakeWorld(requests_per_minute=0)
    world.advance(180)
    world.down.add("metrics")
    assert "not known" in keep_hours([endpoint(world)], HOURS, EVENING)["churn"]
    assert world.endpoints.deployments


def test_while_people_work_on_it_it_stays() -> None:
    world = FakeWorld(requests_per_minute=0)
    world.advance(180)
    world.controller("ann").park("quiet week")
    world.controller("ann").unpark("back", SmokePolicy(requests=5))
    world.advance(60)
    assert "ann worked on it" in keep_hours([endpoint(world)], HOURS, EVENING)["churn"]
    world.advance(90)
    assert f"delete {BLUE}" in keep_hours([endpoint(world)], HOURS, EVENING)["churn"]


def test_a_rollout_under_way_is_left_alone() -> None:
    world = FakeWorld()
    world.controller().start(order())
    assert "is under way" in keep_hours([endpoint(world)], HOURS, EVENING)["churn"]


def test_what_a_person_parked_stays_parked() -> None:
    world = FakeWorld(requests_per_minute=0)
    world.controller("ann").park("quiet week")
    assert keep_hours([endpoint(world)], HOURS, NOON)["churn"] == "parked by ann"
    assert keep_hours([endpoint(world)], HOURS, EVENING)["churn"] == "Parked by ann"
    assert world.controller().records()[-1].kind is Kind.PARKED


def test_one_that_fails_leaves_the_others_their_turn() -> None:
    class Broken:
        name = "broken"

        def rest(self, idle_minutes: int) -> str:
            raise Unavailable("no storage")

        wake = rest

    world = FakeWorld(requests_per_minute=0)
    world.advance(180)
    with pytest.raises(RolloutError, match="the off hours of broken failed"):
        keep_hours([Broken(), endpoint(world)], HOURS, EVENING)  # type: ignore[list-item]
    assert not world.endpoints.deployments


def test_the_app_reads_what_the_program_writes() -> None:
    written = {"ROLLOUT_OFF_HOURS": "18:00 06:00 Europe/Berlin", "ROLLOUT_PARK_IDLE_MINUTES": "120"}
    assert AppSettings(written).off_hours == HOURS
    for wrong in ("18:00", "18:00 06:00 Mars/Base", "six 18:00 UTC"):
        with pytest.raises(BadInput, match="ROLLOUT_OFF_HOURS is"):
            _ = AppSettings({**written, "ROLLOUT_OFF_HOURS": wrong}).off_hours
