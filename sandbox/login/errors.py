"""Entra's error body for the token endpoint."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class LoginError(Exception):
    """`number` is the AADSTS code, `error` OAuth's own word for it."""

    def __init__(self, number: int, error: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.number, self.error, self.message, self.status = number, error, message, status


def login_error(request: Request, error: Exception) -> Response:
    """The answer to a refused token request."""
    assert isinstance(error, LoginError)  # nosec B101  # registered for this type only
    trace = str(uuid.uuid4())
    correlation = request.headers.get("client-request-id") or str(uuid.uuid4())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    description = (
        f"AADSTS{error.number}: {error.message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    )
    body = {
        "error": error.error,
        "error_description": description,
        "error_codes": [error.number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
    }
    return JSONResponse(body, error.status, {"cache-control": "no-store"})
