"""Hypothesis on machines of any speed: no deadlines; in CI the same examples every time, at home new ones."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from rollout.cli.output import console, errors

settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("home"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.fixture(autouse=True)
def no_console_of_another_test() -> Iterator[None]:
    """They keep the stream that they were made with; the next one is made with what is there then."""
    forget_consoles()
    yield
    forget_consoles()


def forget_consoles() -> None:
    """For a test that redirects the streams itself."""
    console.cache_clear()
    errors.cache_clear()
