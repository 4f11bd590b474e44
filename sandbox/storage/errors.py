"""Azure Storage's errors: an XML body and the code in `x-ms-error-code`."""

from __future__ import annotations

from html import escape

from starlette.responses import Response


class StorageError(Exception):
    """Becomes Azure's answer. `status` and `code` are what the SDKs act on."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}

    def response(self, method: str) -> Response:
        """A HEAD answer and a 304 carry the code in the header only."""
        headers = {"x-ms-error-code": self.code, **self.headers}
        if method == "HEAD" or self.status == 304:
            return Response(status_code=self.status, headers=headers)
        body = (
            '<?xml version="1.0" encoding="utf-8"?>'
            f"<Error><Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message></Error>"
        )
        return Response(body, self.status, headers, media_type="application/xml")


def not_imitated(method: str, what: str) -> StorageError:
    """501 that names the operation."""
    return StorageError(501, "NotImitatedBySandbox", f"The sandbox's blob service does not imitate {method} {what}.")


def container_not_found() -> StorageError:
    return StorageError(404, "ContainerNotFound", "The specified container does not exist.")


def blob_not_found() -> StorageError:
    return StorageError(404, "BlobNotFound", "The specified blob does not exist.")


def condition_not_met() -> StorageError:
    return StorageError(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")


def bad_header(name: str, value: str, allowed: str) -> StorageError:
    """400 that names the header, what it held and what is allowed."""
    return StorageError(
        400, "InvalidHeaderValue", f"The value {value!r} of header {name} is invalid; allowed: {allowed}."
    )
