"""The error tree. Library code raises these; only `rollout.cli` prints them and exits.

RolloutError                  1
├── NotAllowed                1   the identity lacks an action: the message names it
├── BadInput                  2   a setting, an argument or a file is wrong
├── RolledBack                3   the rollout ended with traffic back on blue
├── OnHold                    4   waits: for data, an approval, or a person
├── Busy                      5   another rollout or controller holds the endpoint
│   └── LeaseLost                 this controller held it, and does no more
├── NotFound                  6   stack, output, endpoint, deployment or model is missing
├── GateFailed                7   a quality gate or smoke test refused the model
│   └── Untrusted                 its signature is missing, not ours, or does not fit its files
├── Unavailable               8   a service did not answer, or the sandbox is not running
└── AuditBroken               9   the journal's hash chain does not verify
"""

from __future__ import annotations


class RolloutError(Exception):
    """What went wrong, and in `way_out` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, way_out: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out


class NotAllowed(RolloutError):
    pass


class BadInput(RolloutError):
    exit_code = 2


class RolledBack(RolloutError):
    exit_code = 3


class OnHold(RolloutError):
    exit_code = 4


class Busy(RolloutError):
    exit_code = 5


class LeaseLost(Busy):
    pass


class NotFound(RolloutError):
    exit_code = 6


class GateFailed(RolloutError):
    exit_code = 7


class Untrusted(GateFailed):
    pass


class Unavailable(RolloutError):
    exit_code = 8


class AuditBroken(RolloutError):
    exit_code = 9
