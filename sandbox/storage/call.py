"""One request to the blob service: whose account, which container and blob, what is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request

from sandbox.storage.errors import StorageError, bad_header

if TYPE_CHECKING:
    from sandbox.storage.state import StorageState

_PUBLIC_HOST = re.compile(r"^([a-z0-9]{3,24})\.blob\.")
_CONTAINER_NAME = re.compile(r"^(\$root|\$web|\$logs|(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9])$")
META = "x-ms-meta-"


@dataclass(frozen=True, slots=True)
class Target:
    """Empty `container` or `blob`: the level above is meant."""

    account: str
    container: str
    blob: str


@dataclass(slots=True)
class Call:
    """`raw_path` is as the caller sent it: signatures are over it. `query` keeps the last of repeated names."""

    state: StorageState
    request: Request
    target: Target
    raw_path: str
    query: dict[str, str]

    @property
    def account(self) -> str:
        return self.target.account

    @property
    def container(self) -> str:
        return self.target.container

    @property
    def blob(self) -> str:
        return self.target.blob

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    def integer(self, name: str) -> int | None:
        """The header as a whole number; 400 for anything else."""
        value = self.header(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError as error:
            raise bad_header(name, value, "a whole number") from error

    def required(self, name: str) -> str:
        value = self.header(name)
        if not value:
            raise StorageError(
                400, "MissingRequiredHeader", f"An HTTP header that's mandatory for this request is missing: {name}."
            )
        return value

    @property
    def metadata(self) -> dict[str, str]:
        headers = self.request.headers.items()
        return {name[len(META) :]: value for name, value in headers if name.startswith(META)}


def read_call(request: Request, state: StorageState) -> Call:
    """Path-style and host-style addresses; 400 for a name that Azure would not take."""
    raw_path = request.scope.get("raw_path") or request.url.path.encode()
    path = raw_path.decode("ascii").partition("?")[0]
    target = read_target(request.url.hostname or "", path)
    query = dict(parse_qsl(request.url.query, keep_blank_values=True))
    return Call(state, request, target, path, query)


def read_target(host: str, path: str) -> Target:
    """What an address names. Path-style also takes `acct.blob.suffix` as the first part, which the ML SDK builds."""
    public = _PUBLIC_HOST.match(host)
    parts = path.lstrip("/").split("/", 1 if public else 2)
    account = public.group(1) if public else unquote(parts.pop(0)).partition(".")[0]
    container = unquote(parts[0]) if parts else ""
    blob = unquote(parts[1]) if len(parts) > 1 else ""
    if not account:
        raise StorageError(
            400, "InvalidUri", "The address names no storage account: https://host:port/{account}/{container}/{blob}."
        )
    if container and not _CONTAINER_NAME.match(container):
        raise StorageError(
            400, "InvalidResourceName",
            f"The container name '{container}' is invalid: 3 to 63 of a-z, 0-9 and single '-', a letter or digit at both ends.",
        )  # fmt: skip
    if len(blob) > 1024 or "\n" in blob:
        raise StorageError(400, "InvalidResourceName", "A blob name is at most 1024 characters, with no line break.")
    return Target(account, container, blob)
