"""What a lease on a blob or container does, as a pure function of the clock. Seconds of real time throughout."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any

from sandbox.storage.errors import StorageError, bad_header

INFINITE = -1
SHORTEST, LONGEST = 15, 60
_BREAK_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Lease:
    """The stored part. `ends` is None for an infinite lease; `breaks` is set once it was broken."""

    id: str
    duration: int
    ends: float | None
    breaks: float | None = None

    def state(self, now: float) -> str:
        """Azure's: leased, expired, breaking, broken."""
        if self.breaks is not None:
            return "breaking" if now < self.breaks else "broken"
        if self.ends is not None and now >= self.ends:
            return "expired"
        return "leased"

    def document(self) -> dict[str, Any]:
        return asdict(self)


def from_document(document: dict[str, Any] | None) -> Lease | None:
    return Lease(**document) if document else None


def state_of(lease: Lease | None, now: float) -> str:
    return "available" if lease is None else lease.state(now)


def acquire(lease: Lease | None, proposed: str | None, duration: int, now: float) -> Lease:
    """A lease for the caller; 409 while another one holds it."""
    if duration != INFINITE and not SHORTEST <= duration <= LONGEST:
        raise bad_header("x-ms-lease-duration", str(duration), f"-1 or {SHORTEST} to {LONGEST}")
    state = state_of(lease, now)
    if lease is not None and state in ("leased", "breaking"):
        if lease.id != proposed:
            raise StorageError(409, "LeaseAlreadyPresent", "There is already a lease present.")
        if state == "breaking":
            raise StorageError(
                409,
                "LeaseIsBreakingAndCannotBeAcquired",
                "The lease is breaking and can't be acquired until it is broken.",
            )
    return _starting(Lease(proposed or str(uuid.uuid4()), duration, None), now)


def renew(lease: Lease | None, lease_id: str, now: float) -> Lease:
    """Starts the duration anew; also of an expired lease that nobody took since."""
    held = _own(lease, lease_id)
    if held.breaks is not None:
        raise StorageError(
            409, "LeaseIsBrokenAndCannotBeRenewed", "The lease was broken explicitly and can't be renewed."
        )
    return _starting(held, now)


def change(lease: Lease | None, lease_id: str, proposed: str, now: float) -> Lease:
    state = state_of(lease, now)
    if lease is None or state in ("expired", "broken"):
        raise _not_present()
    if lease.id not in (lease_id, proposed):
        raise _mismatch()
    if state == "breaking":
        raise StorageError(409, "LeaseIsBreakingAndCannotBeChanged", "The lease is breaking and can't be changed.")
    return replace(lease, id=proposed)


def release(lease: Lease | None, lease_id: str) -> None:
    """Free at once, whatever is left of the lease."""
    _own(lease, lease_id)


def break_(lease: Lease | None, period: int | None, now: float) -> tuple[Lease, int]:
    """The lease on its way to broken, and the seconds until it is."""
    if period is not None and not 0 <= period <= _BREAK_LONGEST:
        raise bad_header("x-ms-lease-break-period", str(period), f"0 to {_BREAK_LONGEST}")
    if lease is None:
        raise _not_present()
    state = lease.state(now)
    if state in ("broken", "expired"):
        return replace(lease, breaks=min(lease.breaks or now, now)), 0
    ends = lease.breaks if state == "breaking" else lease.ends
    remaining = 0.0 if ends is None else ends - now
    if period is not None:
        infinite = state == "leased" and lease.ends is None
        remaining = float(period) if infinite else min(remaining, float(period))
    return replace(lease, breaks=now + remaining), round(remaining)


def check_write(lease: Lease | None, given: str | None, now: float, kind: str = "Blob") -> None:
    """412 unless the writer holds the lease, or there is none and it names none."""
    state = state_of(lease, now)
    if state in ("leased", "breaking"):
        if given is None:
            raise StorageError(
                412,
                "LeaseIdMissing",
                f"There is currently a lease on the {kind.lower()} and no lease ID was specified.",
            )
        check_read(lease, given, now, kind)
    elif given is not None:
        check_read(lease, given, now, kind)


def check_read(lease: Lease | None, given: str | None, now: float, kind: str = "Blob") -> None:
    """412 when a lease id is named that is not the one in force."""
    if given is None:
        return
    state = state_of(lease, now)
    if lease is None:
        raise StorageError(
            412, f"LeaseNotPresentWith{kind}Operation", f"There is currently no lease on the {kind.lower()}."
        )
    if state in ("expired", "broken"):
        raise StorageError(412, "LeaseLost", "A lease ID was specified, but the lease has expired.")
    if lease.id != given:
        raise StorageError(
            412,
            f"LeaseIdMismatchWith{kind}Operation",
            f"The lease ID specified did not match the lease ID of the {kind.lower()}.",
        )


def headers(lease: Lease | None, now: float) -> dict[str, str]:
    """What Azure tells about the lease with every read."""
    state = state_of(lease, now)
    status = "locked" if state in ("leased", "breaking") else "unlocked"
    result = {"x-ms-lease-status": status, "x-ms-lease-state": state}
    if lease is not None and state == "leased":
        result["x-ms-lease-duration"] = "infinite" if lease.duration == INFINITE else "fixed"
    return result


def _starting(lease: Lease, now: float) -> Lease:
    return replace(lease, ends=None if lease.duration == INFINITE else now + lease.duration, breaks=None)


def _own(lease: Lease | None, lease_id: str) -> Lease:
    if lease is None or lease.id != lease_id:
        raise _mismatch()
    return lease


def _mismatch() -> StorageError:
    return StorageError(
        409,
        "LeaseIdMismatchWithLeaseOperation",
        "The lease ID specified did not match the lease ID for the blob/container.",
    )


def _not_present() -> StorageError:
    return StorageError(409, "LeaseNotPresentWithLeaseOperation", "There is currently no lease on the blob/container.")
