"""If-Match and its kin, judged as Azure does; pure."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from sandbox.storage.errors import StorageError, bad_header, condition_not_met


def check(headers: Mapping[str, str], etag: str | None, modified: float | None, *, writing: bool) -> None:
    """StorageError unless the headers allow the call on a resource with this ETag (None: there is none).

    `modified`: epoch seconds of the last change. A read that finds nothing new is a 304, a refused write a 412.
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and (etag is None or not _names(match, etag)):
        raise condition_not_met()
    if none_match is not None and etag is not None and _names(none_match, etag):
        raise condition_not_met() if writing else _not_modified()
    if modified is None:
        return
    since, until = _moment(headers, "if-modified-since"), _moment(headers, "if-unmodified-since")
    # The headers know whole seconds only.
    if since is not None and int(modified) <= since:
        raise condition_not_met() if writing else _not_modified()
    if until is not None and int(modified) > until:
        raise condition_not_met()


def _names(header: str, etag: str) -> bool:
    return any(part.strip() in ("*", etag, etag.strip('"')) for part in header.split(","))


def _moment(headers: Mapping[str, str], name: str) -> float | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except ValueError as error:
        raise bad_header(name, value, "a date as in RFC 1123") from error


def _not_modified() -> StorageError:
    return StorageError(304, "ConditionNotMet", "")
