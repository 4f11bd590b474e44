"""Bearer tokens like Entra's: RS256, with audience, expiry and the caller's object id."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from sandbox.kernel.errors import AzureError
from sandbox.kernel.keys import jwk, load_or_make

LIFETIME_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the application and its service principal."""

    object_id: str
    client_id: str


class Tokens:
    """Issues and checks tokens with a key that is this sandbox's own."""

    def __init__(self, key_file: Path, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._key = load_or_make(key_file)

    def issue(self, audience: str, principal: Principal, lifetime: int = LIFETIME_SECONDS) -> str:
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._tenant_id}/",
            "iat": now,
            "nbf": now - 5,
            "exp": now + lifetime,
            "tid": self._tenant_id,
            "oid": principal.object_id,
            "sub": principal.object_id,
            "appid": principal.client_id,
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "sandbox"})

    def keys(self) -> dict[str, Any]:
        """The JWKS document."""
        return {"keys": [jwk(self._key, "sandbox")]}

    def check(self, token: str, audiences: list[str]) -> Principal:
        """The caller; AzureError 401 says whether the token expired or is for another audience."""
        accepted = [form for audience in audiences for form in (audience, audience.rstrip("/"), audience + "/")]
        try:
            claims = jwt.decode(token, self._key.public_key(), algorithms=["RS256"], audience=accepted)
        except jwt.ExpiredSignatureError as error:
            raise AzureError(401, "ExpiredAuthenticationToken", "The access token has expired.") from error
        except jwt.InvalidAudienceError as error:
            raise AzureError(
                401,
                "InvalidAuthenticationTokenAudience",
                f"The access token is for another audience; allowed here: {', '.join(audiences)}.",
            ) from error
        except jwt.PyJWTError as error:
            raise AzureError(401, "InvalidAuthenticationToken", f"The access token is invalid: {error}.") from error
        return Principal(claims["oid"], claims["appid"])
