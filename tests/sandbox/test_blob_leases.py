"""Leases, whatever the order of calls and however the clock moves: never two who may write."""

from __future__ import annotations

import uuid

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sandbox.storage import leases
from sandbox.storage.errors import StorageError
from sandbox.storage.leases import Lease

CALLERS = [str(uuid.UUID(int=number)) for number in range(3)]
STRANGER = str(uuid.UUID(int=99))


class LeaseMachine(RuleBasedStateMachine):
    """Three callers, one blob. `holder` and `until` are what a caller who only sees the answers would believe."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.lease: Lease | None = None
        self.holder: str | None = None
        self.until = 0.0

    def believed(self) -> str | None:
        return self.holder if self.now < self.until else None

    @rule(caller=st.sampled_from(CALLERS), duration=st.sampled_from([leases.INFINITE, 15, 60]))
    def acquire(self, caller: str, duration: int) -> None:
        try:
            self.lease = leases.acquire(self.lease, caller, duration, self.now)
        except StorageError:
            assert self.believed() is not None
            return
        assert self.believed() in (None, caller)
        self.holder, self.until = caller, float("inf") if duration == leases.INFINITE else self.now + duration

    @rule(caller=st.sampled_from(CALLERS))
    def renew(self, caller: str) -> None:
        try:
            self.lease = leases.renew(self.lease, caller, self.now)
        except StorageError:
            return
        assert self.believed() in (None, caller)
        duration = self.lease.duration
        self.holder, self.until = caller, float("inf") if duration == leases.INFINITE else self.now + duration

    @rule(caller=st.sampled_from(CALLERS), proposed=st.sampled_from(CALLERS))
    def change(self, caller: str, proposed: str) -> None:
        try:
            self.lease = leases.change(self.lease, caller, proposed, self.now)
        except StorageError:
            return
        assert self.believed() in (caller, proposed)
        self.holder = proposed

    @rule(caller=st.sampled_from(CALLERS))
    def release(self, caller: str) -> None:
        try:
            leases.release(self.lease, caller)
        except StorageError:
            assert self.holder != caller
            return
        assert self.believed() in (None, caller)
        self.lease, self.holder = None, None

    @rule(period=st.one_of(st.none(), st.integers(0, 60)))
    def break_(self, period: int | None) -> None:
        try:
            self.lease, seconds = leases.break_(self.lease, period, self.now)
        except StorageError:
            assert self.holder is None
            return
        assert period is None or seconds <= period
        # A broken lease ends no later than it would have; all times here are whole seconds, so nothing is rounded.
        self.until = min(self.until, self.now + seconds)

    @rule(seconds=st.integers(1, 70))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def at_most_one_may_write(self) -> None:
        assert not self.may_write(STRANGER)
        writers = [caller for caller in CALLERS if self.may_write(caller)]
        assert len(writers) <= 1
        assert set(writers) <= {self.holder}
        if writers:
            assert not self.may_write(None), "a writer without a lease got in beside the holder"
        else:
            assert self.may_write(None)

    def may_write(self, lease_id: str | None) -> bool:
        try:
            leases.check_write(self.lease, lease_id, self.now)
        except StorageError:
            return False
        return True


TestLeases = LeaseMachine.TestCase
TestLeases.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
