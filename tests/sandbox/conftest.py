"""A running sandbox for the tests that need one, and an empty context for those that drive a service in process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.settings import new_settings
from tests.sandbox.asgi import Service


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that nobody serves: add the states you need to `context.states`. ARM's is there."""
    made = open_sandbox(tmp_path / "sandbox", new_settings(now=time.time()))
    made.states["arm"] = ArmState(made)
    yield made
    made.store.close()


@pytest.fixture
def service(context: Sandbox) -> Iterator[Callable[..., Service]]:
    """Make a client of one service's app: `service(app, audience="https://management.azure.com")`."""
    made: list[Service] = []

    def make(app: ASGIApp, audience: str = "") -> Service:
        token = context.tokens.issue(audience, context.owner) if audience else ""
        made.append(Service(app, token=token))
        return made[-1]

    yield make
    for each in made:
        each.close()
