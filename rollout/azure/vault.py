"""Secrets of a key vault, read with the caller's identity. One GET: no SDK of its own is worth its import."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from rollout.azure.errors import azure_errors
from rollout.errors import BadInput

if TYPE_CHECKING:
    from rollout.azure.cloud import Cloud

API_VERSION = "7.4"


def read_secret(cloud: Cloud, vault_uri: str, name: str) -> str:
    """The newest version's value. Never logged, never in a message."""
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
    from azure.core.rest import HttpRequest

    if urlsplit(vault_uri).scheme != "https":
        raise BadInput("the stack's outputs name no key vault", way_out="`pulumi up`, or give --key FILE")
    policies = [
        RetryPolicy(retry_total=3, retry_connect=1),
        BearerTokenCredentialPolicy(cloud.credential(), f"{cloud.vault_audience}/.default"),
    ]
    client: PipelineClient[HttpRequest, object] = PipelineClient(vault_uri, policies=policies)
    url = f"{vault_uri.rstrip('/')}/secrets/{quote(name)}"
    with azure_errors(f"read secret {name!r} of the key vault"), client:
        answer = client.send_request(HttpRequest("GET", url, params={"api-version": API_VERSION}))
        answer.raise_for_status()  # type: ignore[attr-defined]
        return str(answer.json()["value"])  # type: ignore[attr-defined]
