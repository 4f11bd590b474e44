"""What several providers' types share."""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from sandbox.arm.model import Action, Change, Json
from sandbox.kernel.errors import AzureError


def versions(text: str) -> frozenset[str]:
    """The api-versions in `text`, separated by blanks."""
    return frozenset(text.split())


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_key(size: int = 32) -> str:
    """A random access key, base64."""
    return base64.b64encode(secrets.token_bytes(size)).decode()


def private_keys(change: Change, names: tuple[str, ...], size: int = 32) -> None:
    """Give the resource its access keys, which last as long as it does."""
    change.resource.private.setdefault("keys", {name: new_key(size) for name in names})


def made_once(change: Change, **makers: Callable[[], Any]) -> None:
    """Properties that the service makes when the resource is created, and keeps."""
    made = change.resource.private.setdefault("made", {})
    for name, make in makers.items():
        if name not in made:
            made[name] = make()
        change.resource.properties[name] = made[name]


def new_guid() -> str:
    return str(uuid.uuid4())


async def list_keys(action: Action) -> Json:
    """The keys as `{"key1": ..., "key2": ...}`."""
    return dict(action.resource.private["keys"])


def regenerate(field: str, answer: Callable[[Action], Awaitable[Json]]) -> Callable[[Action], Awaitable[Json]]:
    """An action that replaces the key that the body's `field` names, then answers like `answer`."""

    async def handler(action: Action) -> Json:
        keys = action.resource.private["keys"]
        name = str(action.body.get(field, ""))
        if name not in keys:
            raise AzureError(400, "InvalidRequestContent", f"'{field}' is '{name}'; allowed: {', '.join(keys)}.")
        keys[name] = new_key(len(base64.b64decode(keys[name])))
        action.arm.put(action.resource, action.caller)
        return await answer(action)

    return handler


def one_of(change: Change, path: str, value: object, allowed: tuple[object, ...]) -> None:
    """AzureError 400 that names the allowed values."""
    if value not in allowed:
        raise AzureError(
            400,
            "InvalidRequestContent",
            f"'{path}' of '{change.resource.name}' is '{value}'; allowed: {', '.join(map(str, allowed))}.",
        )


_DURATION = re.compile(r"^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$")


def duration_seconds(text: str) -> int | None:
    """The seconds of an ISO 8601 duration; None when it is not one."""
    match = _DURATION.match(text or "")
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
