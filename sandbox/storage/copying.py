"""Where a copy comes from: a blob of this sandbox, which the caller must be allowed to read."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from sandbox.storage.auth import AUDIENCE, check_sas
from sandbox.storage.call import Call, read_target
from sandbox.storage.errors import StorageError
from sandbox.storage.model import Blob


def source_blob(call: Call) -> Blob:
    """The blob that `x-ms-copy-source` names; StorageError when it is elsewhere, missing or closed to the caller."""
    url = urlsplit(call.required("x-ms-copy-source"))
    settings = call.state.sandbox.settings
    host = url.hostname or ""
    local = url.netloc == urlsplit(settings.url("blob")).netloc or ".blob." in host
    if url.scheme != "https" or not local:
        raise StorageError(
            501,
            "NotImitatedBySandbox",
            f"The sandbox copies from its own blob service only, not from {url.scheme}://{url.netloc}.",
        )
    target = read_target(host, url.path)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    account = call.state.accounts.get(target.account)
    source_token = call.header("x-ms-copy-source-authorization") or ""
    if "sig" in query:
        check_sas(account, target, query, "r")
    elif source_token.lower().startswith("bearer "):
        call.state.sandbox.tokens.check(source_token[7:], [AUDIENCE, settings.url("blob")])
    elif target.account != call.account or "sig" in call.query:
        raise StorageError(
            401, "CannotVerifyCopySource", "The copy source needs a SAS of its own or x-ms-copy-source-authorization."
        )
    return call.state.blob(target.account, target.container, target.blob)
