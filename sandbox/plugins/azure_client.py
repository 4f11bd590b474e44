"""Calls to the sandbox's ARM and Graph: token, retries, long-running operations. Loopback only."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from rollout.errors import BadInput

_CONNECTIONS = 32
_TIMEOUT_SECONDS = 60
_ATTEMPTS = 4
_DEFAULT_POLL_SECONDS = 0.5
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TERMINAL = frozenset({"succeeded", "failed", "canceled", "cancelled"})


class AzureServiceError(Exception):
    """An answer that is an error, in the words of the real provider."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f'Status={status} Code="{code}" Message="{message}"')
        self.status, self.code = status, code


class Cancelled(Exception):
    """The engine asked to stop, or the operation's time is over."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A service principal and where it signs in: with a secret, or with the token of a CI system that it trusts."""

    tenant_id: str
    client_id: str
    client_secret: str
    authority: str
    assertion: str = ""

    def proof(self) -> dict[str, str]:
        """What the token endpoint is shown."""
        if self.assertion:
            return {"client_assertion_type": _JWT_BEARER, "client_assertion": self.assertion}
        return {"client_secret": self.client_secret}


def credentials(config: Mapping[str, str]) -> Credentials:
    """From the provider's configuration or ARM_*; BadInput names what is missing."""
    federated = str(config.get("useOidc") or os.environ.get("ARM_USE_OIDC", "")).lower() == "true"
    return Credentials(
        tenant_id=setting(config, "tenantId", "ARM_TENANT_ID"),
        client_id=setting(config, "clientId", "ARM_CLIENT_ID"),
        client_secret="" if federated else setting(config, "clientSecret", "ARM_CLIENT_SECRET"),
        assertion=setting(config, "oidcToken", "ARM_OIDC_TOKEN") if federated else "",
        authority=loopback("AZURE_AUTHORITY_HOST"),
    )


def setting(config: Mapping[str, str], key: str, variable: str) -> str:
    """A setting of the provider's configuration, or else of the environment."""
    value = config.get(key) or os.environ.get(variable, "")
    if not value:
        raise BadInput(
            f"neither the provider's '{key}' nor {variable} is set", way_out='run: eval "$(rollout sandbox env)"'
        )
    return value


def loopback(variable: str) -> str:
    """The URL in `variable`. BadInput unless it is on loopback: a stand-in must never touch the real Azure."""
    url = os.environ.get(variable, "")
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise BadInput(
            f"{variable} is {url!r}; this stand-in for the Azure provider works on 127.0.0.1 only",
            way_out='run: eval "$(rollout sandbox env)", or take the sandbox\'s bin folder off PATH to reach the real Azure',
        )
    return url.rstrip("/")


class AzureClient:
    """One service, one identity. Safe to use from many threads."""

    def __init__(self, base_url: str, who: Credentials, audience: str) -> None:
        self.base_url = base_url
        self._who, self._scope = who, audience.rstrip("/") + "/.default"
        self._session = requests.Session()
        # Proxies are for the outside world; the CA is the sandbox's.
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
        self._session.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
        self._lock = threading.Lock()
        self._token, self._token_expires = "", 0.0
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Let every operation that is under way fail soon."""
        self._cancelled.set()

    def token(self, scope: str | None = None) -> str:
        """A bearer token for this service, or for another scope."""
        if scope is not None:
            return str(self._new_token(scope)["access_token"])
        with self._lock:
            if time.time() > self._token_expires - 300:
                answer = self._new_token(self._scope)
                self._token, self._token_expires = answer["access_token"], time.time() + float(answer["expires_in"])
            return self._token

    def claims(self) -> dict[str, Any]:
        """What this service's token says of the caller; the service checks it, not the client."""
        payload = self.token().split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Status and JSON of one call that does not run long."""
        response = self._send(method, self.base_url + path, body, query)
        return response.status_code, _json(response)

    def get(self, path: str, **query: Any) -> Any:
        """The document at `path`; AzureServiceError 404 when there is none."""
        return self.call("GET", path, None, **query)[1]

    def run(self, method: str, path: str, body: Any, seconds: float, **query: Any) -> Any:
        """A call and, if it starts a long-running operation, its end; at most `seconds`. The last body seen."""
        deadline = time.monotonic() + seconds
        response = self._send(method, self.base_url + path, body, query)
        operation = response.headers.get("Azure-AsyncOperation")
        if operation:
            self._poll_operation(operation, response, deadline)
        elif response.status_code == 202 and (location := response.headers.get("Location")):
            while response.status_code == 202:
                self._pause(response, deadline)
                response = self._send("GET", location, None, {})
        elif method in ("PUT", "PATCH"):
            while (state := provisioning_state(_json(response))) and state.lower() not in _TERMINAL:
                self._pause(response, deadline)
                response = self._send("GET", self.base_url + path, None, {"api-version": query.get("api_version")})
            _raise_if_failed(_json(response), provisioning_state(_json(response)))
        return _json(response)

    def _poll_operation(self, url: str, response: requests.Response, deadline: float) -> None:
        while True:
            self._pause(response, deadline)
            response = self._send("GET", url, None, {})
            body = _json(response) or {}
            status = str(body.get("status", "Succeeded"))
            if status.lower() in _TERMINAL:
                _raise_if_failed(body, status)
                return

    def _pause(self, response: requests.Response, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Cancelled("operation timed out")
        if self._cancelled.wait(min(_retry_after(response, _DEFAULT_POLL_SECONDS), left)):
            raise Cancelled("operation canceled")

    def _send(self, method: str, url: str, body: Any, query: Mapping[str, Any]) -> requests.Response:
        """One request with retries; AzureServiceError for an error's answer."""
        parameters = {key.replace("_", "-"): value for key, value in query.items() if value is not None}
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                response = self._session.request(
                    method,
                    url,
                    json=body,
                    params=parameters,
                    headers={"Authorization": f"Bearer {self.token()}"},
                    timeout=_TIMEOUT_SECONDS,
                    allow_redirects=False,
                )
            except requests.ConnectionError as error:
                if last or method not in ("GET", "PUT", "DELETE"):
                    raise AzureServiceError(0, "ConnectionError", f"{method} {url}: {error}") from error
                wait = 0.2 * 2**attempt
            else:
                if response.ok:
                    return response
                if last or response.status_code not in _RETRIED:
                    raise _error(response)
                wait = _retry_after(response, 0.2 * 2**attempt)
            if self._cancelled.wait(wait):
                raise Cancelled("operation canceled")
        raise AssertionError("the last attempt returns or raises")

    def _new_token(self, scope: str) -> dict[str, Any]:
        response = self._session.post(
            f"{self._who.authority}/{self._who.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self._who.client_id,
                **self._who.proof(),
                "scope": scope,
            },
            timeout=_TIMEOUT_SECONDS,
        )
        if not response.ok:
            body = _json(response) or {}
            raise AzureServiceError(
                response.status_code,
                str(body.get("error", "invalid_client")),
                str(body.get("error_description", response.text)),
            )
        return dict(response.json())


def provisioning_state(body: Any) -> str:
    """`properties.provisioningState`, where a resource has one."""
    properties = body.get("properties") if isinstance(body, dict) else None
    state = properties.get("provisioningState") if isinstance(properties, dict) else None
    return state if isinstance(state, str) else ""


def _raise_if_failed(body: Any, status: str) -> None:
    if status.lower() in ("failed", "canceled", "cancelled"):
        error = (body or {}).get("error") or {}
        raise AzureServiceError(200, str(error.get("code", status)), str(error.get("message", "the operation failed")))


def _retry_after(response: requests.Response, default: float) -> float:
    """Seconds that the answer asks to wait."""
    headers = response.headers
    try:
        if "retry-after-ms" in headers:
            return float(headers["retry-after-ms"]) / 1000
        return float(headers["Retry-After"]) or default
    except (KeyError, ValueError):
        return default


def _json(response: requests.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return None


def _error(response: requests.Response) -> AzureServiceError:
    body = _json(response)
    error = body.get("error", body) if isinstance(body, dict) else {}
    error = error if isinstance(error, dict) else {"message": str(error)}
    return AzureServiceError(
        response.status_code,
        str(error.get("code") or response.reason),
        str(error.get("message") or response.text or response.reason),
    )
