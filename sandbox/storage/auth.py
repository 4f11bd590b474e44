"""Who may call: account keys (SharedKey), shared access signatures, and Entra tokens. Signatures are checked for real."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from sandbox.kernel.errors import AzureError
from sandbox.kernel.tokens import Principal
from sandbox.storage import sas
from sandbox.storage.accounts import Account
from sandbox.storage.call import Call, Target
from sandbox.storage.errors import StorageError
from sandbox.storage.roles import check_role

AUDIENCE = "https://storage.azure.com"
#: What SharedKey signs besides x-ms- headers and the resource, in this order.
_SIGNED_HEADERS = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip


def authorise(call: Call, permissions: str) -> None:
    """StorageError unless the caller may. `permissions`: SAS letters, any one of which allows the call."""
    scheme, _, value = (call.header("authorization") or "").partition(" ")
    if scheme.lower() == "sharedkey":
        _check_shared_key(call, value)
    elif scheme.lower() == "bearer":
        check_role(call, _check_bearer(call, value))
    elif "sig" in call.query:
        check_sas(call.state.accounts.get(call.account), call.target, call.query, permissions)
    elif not _public(call, permissions):
        raise _challenge(
            call, "NoAuthenticationInformation", "Server failed to authenticate the request: no credentials."
        )


def delegation_key(account: Account, fields: Mapping[str, str]) -> str:
    """The user delegation key for these fields; the service keeps none, it derives each again."""
    text = "\n".join(fields.get(name, "") for name in ("skoid", "sktid", "skt", "ske", "sks", "skv"))
    return sas.signature(account.keys[0], f"user-delegation\n{text}")


def check_sas(account: Account, target: Target, query: Mapping[str, str], permissions: str) -> None:
    """StorageError 403 unless the token in `query` is genuine, in force, and allows the call."""
    if query.get("sv", "") < sas.OLDEST:
        raise _forged(f"sv={query.get('sv')}: the sandbox checks signatures of version {sas.OLDEST} and later.")
    if query.get("si") or query.get("srh") or query.get("srq"):
        raise StorageError(
            501, "NotImitatedBySandbox", "Stored access policies and signed request headers are not imitated."
        )
    if "srt" in query:
        _check_account_scope(target, query)
        genuine = any(
            _same(query["sig"], sas.signature(key, sas.account_string(account.name, query))) for key in account.keys
        )
    else:
        genuine = _service_genuine(account, target, query)
    if not genuine:
        raise _forged("Signature did not match.")
    _check_times(query)
    if not set(query.get("sp", "")) & set(permissions):
        raise StorageError(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        )


def _service_genuine(account: Account, target: Target, query: Mapping[str, str]) -> bool:
    kind = query.get("sr", "")
    if kind not in ("b", "c"):
        raise StorageError(501, "NotImitatedBySandbox", f"A SAS with sr={kind} is not imitated; b and c are.")
    if not target.container or (kind == "b" and not target.blob):
        raise StorageError(403, "AuthorizationResourceTypeMismatch", "The SAS does not cover this kind of resource.")
    blob = target.blob if kind == "b" else ""
    if query.get("skoid"):
        key = delegation_key(account, query)
        strings = sas.delegation_strings(account.name, target.container, blob, query)
        return any(_same(query["sig"], sas.signature(key, text)) for text in strings)
    text = sas.service_string(account.name, target.container, blob, query)
    return any(_same(query["sig"], sas.signature(key, text)) for key in account.keys)


def _check_account_scope(target: Target, query: Mapping[str, str]) -> None:
    level = "o" if target.blob else "c" if target.container else "s"
    # Listing blobs and creating containers are container-level; blobs are objects.
    if level not in query.get("srt", ""):
        raise StorageError(403, "AuthorizationResourceTypeMismatch", "The SAS does not cover this kind of resource.")
    if "b" not in query.get("ss", ""):
        raise StorageError(403, "AuthorizationServiceMismatch", "The SAS does not cover the blob service.")


def _check_times(query: Mapping[str, str]) -> None:
    now = time.time()
    expiry = _moment(query.get("se", ""))
    if expiry is None:
        raise _forged("se is mandatory.")
    if now >= expiry:
        raise _forged(f"Signature not valid in the specified time frame: Expiry [{query['se']}].")
    if query.get("st") and now < (_moment(query["st"]) or 0):
        raise _forged(f"Signature not valid in the specified time frame: Start [{query['st']}].")
    if query.get("skoid") and now >= (_moment(query.get("ske", "")) or 0):
        raise _forged("The user delegation key has expired.")


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def _check_shared_key(call: Call, value: str) -> None:
    # The name that the ML SDK builds holds a port; a signature has no colon.
    named, _, given = value.rpartition(":")
    if named.partition(".")[0] != call.account:
        raise _forged(f"The Authorization header names account '{named}'.")
    account = call.state.accounts.get(call.account)
    if not account.shared_key:
        raise StorageError(
            403,
            "KeyBasedAuthenticationNotPermitted",
            "Key based authentication is not permitted on this storage account.",
        )
    texts = [_string_to_sign(call, named, order) for order in (_plain, _by_words)]
    if not any(_same(given, sas.signature(key, text)) for key in account.keys for text in texts):
        raise _forged("The MAC signature found in the HTTP request is not the same as any computed signature.")


def _string_to_sign(call: Call, named: str, order: Callable[[str], object]) -> str:
    headers = call.request.headers
    standard = [headers.get(name, "") for name in _SIGNED_HEADERS]
    if standard[2] == "0":
        standard[2] = ""
    names = sorted({name for name in headers if name.startswith("x-ms-")}, key=order)  # type: ignore[arg-type]
    canonical = [f"{name}:{headers[name].strip()}" for name in names]
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(call.request.url.query, keep_blank_values=True):
        values.setdefault(name.lower(), []).append(value)
    # With a path-style address the path holds the account too, so that it is there twice, as with Azurite.
    resource = [f"/{named}{call.raw_path}"] + [f"{name}:{','.join(sorted(values[name]))}" for name in sorted(values)]
    return "\n".join([call.request.method, *standard, *canonical, *resource])


def _plain(name: str) -> object:
    return name


def _by_words(name: str) -> object:
    """The service's collation gives hyphens no weight until all else is equal."""
    return name.replace("-", ""), name


def _check_bearer(call: Call, token: str) -> Principal:
    sandbox = call.state.sandbox
    own = [AUDIENCE, f"https://{call.account}.blob.core.windows.net", sandbox.settings.url("blob")]
    call.state.accounts.get(call.account)
    try:
        return sandbox.tokens.check(token, own)
    except AzureError as error:
        raise _challenge(call, "InvalidAuthenticationInfo", error.message) from error


def _challenge(call: Call, code: str, message: str) -> StorageError:
    settings = call.state.sandbox.settings
    authority = f"https://login.microsoftonline.com/{settings.tenant_id}/oauth2/authorize"
    header = f"Bearer authorization_uri={authority} resource_id={AUDIENCE}"
    return StorageError(401, code, message, {"www-authenticate": header})


def _public(call: Call, permissions: str) -> bool:
    """Anonymous reads, where the container was made public."""
    if not call.container or call.request.method not in ("GET", "HEAD"):
        return False
    access = call.state.container(call.account, call.container).public
    return access == "container" or (access == "blob" and bool(call.blob) and "r" in permissions)


def _forged(detail: str) -> StorageError:
    return StorageError(
        403,
        "AuthenticationFailed",
        f"Server failed to authenticate the request. Make sure the signature is formed correctly. {detail}",
    )


def _same(given: str, computed: str) -> bool:
    return hmac.compare_digest(given.encode(), computed.encode())
