"""Shared access signatures: the strings that Azure signs, and tokens for the sandbox's own use."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

#: The service version whose string-to-sign the sandbox's own tokens use.
VERSION = "2022-11-02"
#: The oldest version that is understood: the first that signs the resource kind and snapshot.
OLDEST = "2018-11-09"


def signature(key: str, text: str) -> str:
    """HMAC-SHA256 with a base64 account key, base64."""
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def service_sas(
    account: str, key: str, container: str, blob: str = "", *, permissions: str = "racwdl", lifetime: float = 3600.0
) -> str:
    """A query string that opens one container (or one blob of it) for `lifetime` seconds of real time."""
    query = {
        "sp": permissions,
        "st": _stamp(time.time() - 300),
        "se": _stamp(time.time() + lifetime),
        "sv": VERSION,
        "sr": "b" if blob else "c",
        "spr": "https",
    }
    query["sig"] = signature(key, service_string(account, container, blob, query))
    return urlencode(query)


def blob_url(base: str, account: str, key: str, container: str, blob: str, *, lifetime: float = 3600.0) -> str:
    """A path-style link under `base` (the blob service's URL) that reads one blob without other credentials."""
    token = service_sas(account, key, container, blob, permissions="r", lifetime=lifetime)
    return f"{base}/{account}/{container}/{quote(blob)}?{token}"


def account_string(account: str, query: Mapping[str, str]) -> str:
    """What an account SAS signs."""
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    if query.get("sv", "") >= "2020-12-06":
        names.append("ses")
    return "\n".join([account, *(query.get(name, "") for name in names)]) + "\n"


def service_string(account: str, container: str, blob: str, query: Mapping[str, str]) -> str:
    """What a service SAS signs."""
    return _resource_string(account, container, blob, query, ["si"], [])


def delegation_strings(account: str, container: str, blob: str, query: Mapping[str, str]) -> list[str]:
    """What a user delegation SAS may sign: the form changed with the versions, and all of them sign every field used."""
    key_fields = ["skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid"]
    delegated = [*key_fields, "skdutid", "sduoid"]
    # Request headers and query parameters in the signature are not imitated; the caller refuses a token that has them.
    forms = [_resource_string(account, container, blob, query, delegated, ["", ""])]
    if not any(query.get(name) for name in ("skdutid", "sduoid")):
        forms.append(_resource_string(account, container, blob, query, key_fields, []))
    else:
        forms.append(_resource_string(account, container, blob, query, delegated, []))
    return forms


def _resource_string(
    account: str, container: str, blob: str, query: Mapping[str, str], identity: list[str], extra: list[str]
) -> str:
    path = f"/blob/{account}/{container}" + (f"/{blob}" if blob else "")
    tail = ["sip", "spr", "sv", "sr"]
    parts = [query.get("sp", ""), query.get("st", ""), query.get("se", ""), path]
    parts += [query.get(name, "") for name in identity]
    parts += [query.get(name, "") for name in tail]
    parts.append(query.get("snapshot", ""))
    if query.get("sv", "") >= "2020-12-06":
        parts.append(query.get("ses", ""))
    parts += extra
    parts += [query.get(name, "") for name in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    return "\n".join(parts)


def _stamp(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
