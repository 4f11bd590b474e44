"""A running sandbox for the tests that need one, and an empty context for those that drive a service in process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from starlette.types import ASGIApp

from sandbox import environment, lifecycle
from sandbox.admin.client import AdminClient
from sandbox.arm.app import create as create_arm
from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.settings import Settings, new_settings
from sandbox.kernel.tls import tls_files
from tests.sandbox.arm import Arm
from tests.sandbox.asgi import Service

ARM_VERSION = "2024-03-01"


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that was started by `rollout sandbox up`'s own code."""

    home: Path
    settings: Settings
    #: What `rollout sandbox env` prints.
    env: dict[str, str]
    #: What `rollout sandbox env --proxy` prints.
    proxy_env: dict[str, str]
    admin: AdminClient

    def use(self, monkeypatch: pytest.MonkeyPatch, *, proxy: bool = False) -> None:
        """Set the environment of this process, as `eval "$(rollout sandbox env)"` would."""
        variables = self.proxy_env if proxy else self.env
        for name in environment.stale(self.settings, os.environ, proxy=proxy):
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    def token(self, resource: str = "https://management.azure.com") -> str:
        """A token of the owner, from the token endpoint."""
        answer = requests.post(
            f"{self.settings.url('login')}/{self.settings.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self.settings.client_id,
                "client_secret": self.settings.client_secret,
                "scope": f"{resource}/.default",
            },
            verify=self.env["SSL_CERT_FILE"],
            timeout=10,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def session(self, resource: str = "https://management.azure.com") -> requests.Session:
        """Requests with the owner's token, over TLS; ignores the environment's proxies."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.env["SSL_CERT_FILE"]
        session.headers["Authorization"] = f"Bearer {self.token(resource)}"
        return session

    def group(self, session: requests.Session, name: str) -> str:
        """Make a resource group; the URL of it, to build others from."""
        url = f"{self.settings.url('arm')}/subscriptions/{self.settings.subscription_id}/resourceGroups/{name}"
        answer = session.put(f"{url}?api-version={ARM_VERSION}", json={"location": "eastus"}, timeout=10)
        assert answer.status_code in (200, 201), answer.text
        return url


def running(home: Path) -> RunningSandbox:
    """The handle of a sandbox that is up in `home`."""
    found = lifecycle.require_running(home)
    return RunningSandbox(
        home,
        found.settings,
        environment.explicit(home, found.settings),
        environment.through_proxy(home, found.settings),
        AdminClient(found.settings, tls_files(home)),
    )


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for all tests of the session, without metrics lag. Use resource groups of your own."""
    home = tmp_path_factory.mktemp("sandbox") / "home"
    lifecycle.up(home, lifecycle.Options(metrics_lag_seconds=0.0))
    yield running(home)
    lifecycle.down(home)


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


@pytest.fixture
def arm(context: Sandbox, service: Callable[..., Service]) -> Arm:
    """ARM in process, with the resource group `shop`."""
    made = Arm(service(create_arm(context), audience="https://management.azure.com"), context.settings.subscription_id)
    made.make_group()
    return made
