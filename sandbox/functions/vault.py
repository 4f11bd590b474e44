"""App settings as the app sees them: Key Vault references are resolved as the app's identity, as far as it may."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.arm.access import may
from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.tokens import Principal

_REFERENCE = re.compile(
    r"@Microsoft\.KeyVault\(SecretUri=https://([\w-]+)\.vault\.azure\.net/secrets/([\w-]+)(?:/\w*)?\)", re.IGNORECASE
)
_SECRET = "Microsoft.KeyVault/vaults/secrets"  # nosec B105  # a type of resource
_READ = "Microsoft.KeyVault/vaults/secrets/getSecret/action"


def app_settings(sandbox: Sandbox, site: Resource, identity: Principal | None) -> dict[str, str]:
    """A reference that can't be resolved stays as it is, which is what Azure does."""
    given: list[Mapping[str, Any]] = (site.properties.get("siteConfig") or {}).get("appSettings") or []
    plain = {str(each["name"]): str(each.get("value") or "") for each in given}
    return {name: _resolve(sandbox, value, identity) for name, value in plain.items()}


def _resolve(sandbox: Sandbox, value: str, identity: Principal | None) -> str:
    match = _REFERENCE.fullmatch(value)
    if match is None or identity is None:
        return value
    for secret in sandbox.states["arm"].of_type(_SECRET):
        vault, name = secret.id.split("/")[8], secret.name
        if (vault.lower(), name.lower()) == (match[1].lower(), match[2].lower()) and may(
            sandbox, identity, _READ, secret.id, data=True
        ):
            return str(secret.properties.get("value", ""))
    return value
