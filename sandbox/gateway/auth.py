"""Who may score: the endpoint's keys, its own tokens, or Entra tokens. Checked tokens are remembered until they expire."""

from __future__ import annotations

import hmac
import time
from pathlib import Path

import jwt

from sandbox.gateway.rights import SCORE, Question, Rights
from sandbox.gateway.routing import EndpointRoute, token_audience
from sandbox.gateway.table import Endpoint
from sandbox.kernel.errors import AzureError
from sandbox.kernel.settings import Settings
from sandbox.kernel.tokens import Principal, Tokens

PUBLIC_AUDIENCE = "https://ml.azure.com"
_REMEMBERED = 10_000


class Denied(Exception):
    """401; the text is what the caller reads."""


class Gatekeeper:
    """Checks the `authorization` header by the endpoint's auth mode."""

    def __init__(self, home: Path, settings: Settings, rights: Rights) -> None:
        self._key_file, self._settings, self._rights = home / "token-key.pem", settings, rights
        self._tokens: Tokens | None = None
        self._good: dict[tuple[str, bytes], tuple[Principal, float]] = {}

    async def check(self, endpoint: Endpoint, authorization: bytes | None) -> None:
        """Raises Denied."""
        route = endpoint.route
        scheme, _, credential = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not credential:
            raise Denied("key_auth_bad_header_forbidden" if route.auth_mode == "Key" else "token_auth_bad_header")
        if route.auth_mode != "Key":
            principal = self._check_token(route, credential)
            question = Question(route.workspace, route.name, principal)
            if route.auth_mode == "AADToken" and not await self._rights.may_score(question):
                raise Denied(f"token_auth_access_denied: {principal.object_id} does not have {SCORE} at this endpoint")
            return
        # All keys are compared, in constant time each.
        if not any([hmac.compare_digest(credential, key) for key in endpoint.keys]):
            raise Denied("key_auth_access_denied")

    def _check_token(self, route: EndpointRoute, token: bytes) -> Principal:
        now = time.time()
        key = (route.auth_mode + token_audience(route.workspace, route.name), token)
        known = self._good.get(key)
        if known is not None and known[1] > now:
            return known[0]
        text = token.decode("latin-1")
        try:
            principal = self._verifier().check(text, self._audiences(route))
        except AzureError as error:
            raise Denied(f"token_auth_access_denied: {error.message}") from error
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        claims = jwt.decode(text, options={"verify_signature": False})
        self._good[key] = principal, float(claims["exp"])
        return principal

    def _audiences(self, route: EndpointRoute) -> list[str]:
        if route.auth_mode == "AMLToken":
            return [token_audience(route.workspace, route.name)]
        return [PUBLIC_AUDIENCE, self._settings.url("ml")]

    def _verifier(self) -> Tokens:
        # Late, because the control process makes the key; two makers would disagree.
        if self._tokens is None:
            if not self._key_file.exists():
                raise Denied("token_auth_access_denied: no tokens were issued yet")
            self._tokens = Tokens(self._key_file, self._settings.tenant_id)
        return self._tokens
