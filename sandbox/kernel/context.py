"""What a service is given when it is made: the sandbox around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollout.clock import Clock
from sandbox.kernel.faults import Faults
from sandbox.kernel.settings import Settings
from sandbox.kernel.store import Store
from sandbox.kernel.tokens import Principal, Tokens


@dataclass(slots=True)
class Sandbox:
    """Shared by all services of the control process. `states` holds each service's state by folder name."""

    home: Path
    settings: Settings
    store: Store
    tokens: Tokens
    faults: Faults
    clock: Clock
    states: dict[str, Any] = field(default_factory=dict)

    @property
    def owner(self) -> Principal:
        """The service principal whose credentials `rollout sandbox env` prints."""
        return Principal(self.settings.object_id, self.settings.client_id)


def open_sandbox(home: Path, settings: Settings) -> Sandbox:
    """The context over the state in `home`; services are added by `sandbox.server`."""
    home.mkdir(parents=True, exist_ok=True)
    store = Store(home / "state.db")
    return Sandbox(
        home=home,
        settings=settings,
        store=store,
        tokens=Tokens(home / "token-key.pem", settings.tenant_id),
        faults=Faults(store),
        clock=Clock(settings.clock_scale, settings.clock_real_origin, settings.clock_policy_origin),
    )
