"""The folder that is uploaded; its name says which table it holds, so that a result is never joined to another one."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"rows-(?P<rows>\d+)-by-(?P<per_file>\d+)-(?P<fingerprint>[0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Sent:
    """A table as it was sent: so many rows, so many in each file, and its fingerprint."""

    rows: int
    rows_per_file: int
    fingerprint: str

    @property
    def folder(self) -> str:
        return f"rows-{self.rows}-by-{self.rows_per_file}-{self.fingerprint}"

    @classmethod
    def read(cls, address: str) -> Sent | None:
        """From the address of a job's input; None for a folder that is not ours."""
        found = _NAME.search(address)
        return cls(int(found["rows"]), int(found["per_file"]), found["fingerprint"]) if found else None
