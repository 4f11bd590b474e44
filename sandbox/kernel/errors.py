"""Azure's error body, and the refusal of what the sandbox does not imitate."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError


class AzureError(Exception):
    """Becomes `{"error": {"code", "message"}}` with `status`; `headers` go along."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message}}


def not_imitated(method: str, path: str, api_version: str | None = None) -> AzureError:
    """501 that names the route and api-version."""
    version = f" with api-version {api_version}" if api_version else ""
    return AzureError(501, "NotImitatedBySandbox", f"The sandbox does not imitate {method} {path}{version}.")


def not_found(what: str, name: str) -> AzureError:
    return AzureError(404, "ResourceNotFound", f"The {what} '{name}' was not found.")


def problems_of(error: ValidationError) -> str:
    """What is wrong and where, without the values: some of what is validated holds keys and secrets."""
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
