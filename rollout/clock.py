"""The clock that policies are read against; real by default, faster in a rehearsal.

`ROLLOUT_CLOCK="scale=60,real=<epoch>,policy=<epoch>"` makes a policy minute pass
in a real second: policy time = policy + (real time - real) * scale.
Request latencies are never scaled.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rollout.errors import BadInput

VARIABLE = "ROLLOUT_CLOCK"


@dataclass(frozen=True, slots=True)
class Clock:
    """Policy time as a linear function of real time. Seconds throughout."""

    scale: float = 1.0
    real_origin: float = 0.0
    policy_origin: float = 0.0

    def now(self) -> datetime:
        """Policy time, in UTC."""
        return datetime.fromtimestamp(self.policy_timestamp(time.time()), UTC)

    def policy_timestamp(self, real: float) -> float:
        """The policy epoch seconds at the real epoch seconds `real`."""
        return self.policy_origin + (real - self.real_origin) * self.scale

    def real_seconds(self, policy_seconds: float) -> float:
        """How long `policy_seconds` last for a person who waits."""
        return policy_seconds / self.scale

    def sleep(self, policy_seconds: float) -> None:
        """Wait for `policy_seconds` of policy time."""
        time.sleep(max(0.0, self.real_seconds(policy_seconds)))

    def to_variable(self) -> str:
        """The value of `ROLLOUT_CLOCK` that gives this clock."""
        return f"scale={self.scale:g},real={self.real_origin!r},policy={self.policy_origin!r}"


def clock_from_environment() -> Clock:
    """The clock that `ROLLOUT_CLOCK` describes; the real one when it is not set."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return Clock()
    try:
        fields = {key: float(value) for key, value in (part.split("=") for part in text.split(","))}
        clock = Clock(fields["scale"], fields["real"], fields["policy"])
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"{VARIABLE}={text!r} is not 'scale=S,real=R,policy=P'",
            way_out=f"unset {VARIABLE} for the real clock",
        ) from error
    if not 0 < clock.scale <= 3600:
        raise BadInput(f"{VARIABLE}: scale is {clock.scale:g}; it must be over 0 and at most 3600")
    return clock
