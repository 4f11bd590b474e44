"""The outside issuer whose tokens federated credentials trust: stands in for GitHub's or Kubernetes' OIDC issuer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt

from sandbox.kernel.keys import jwk, load_or_make

KEY_ID = "federation"
AUDIENCE = "api://AzureADTokenExchange"


class Federation:
    """Mints and checks tokens of outside issuers; whatever the issuer is called, the key is this sandbox's."""

    def __init__(self, key_file: Path, own_issuer: str) -> None:
        self._key = load_or_make(key_file)
        self.own_issuer = own_issuer

    def mint(self, subject: str, *, issuer: str = "", audience: str = AUDIENCE, lifetime: int = 600) -> str:
        """A token as a CI job or a pod would get it; `lifetime` in seconds."""
        now = int(time.time())
        claims = {"iss": issuer or self.own_issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + lifetime}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a valid token; raises `jwt.PyJWTError`. Audience and issuer are the caller's to check."""
        options = {"verify_aud": False, "require": ["iss", "sub", "aud", "exp"]}
        claims: dict[str, Any] = jwt.decode(token, self._key.public_key(), algorithms=["RS256"], options=options)  # type: ignore[arg-type]
        return claims

    def keys(self) -> dict[str, Any]:
        """The JWKS document."""
        return {"keys": [jwk(self._key, KEY_ID)]}
