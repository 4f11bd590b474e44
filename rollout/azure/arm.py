"""Azure Resource Manager without azure-ai-ml, whose import alone takes longer than `rollout status` may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rollout.azure.errors import azure_errors

if TYPE_CHECKING:
    from azure.core import PipelineClient

    from rollout.azure.cloud import Cloud


class ArmReader:
    """GETs of resources and their children, and PUTs of plain documents, with the SDKs' retries."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._client: PipelineClient[Any, Any] | None = None

    def get(self, resource_id: str, api_version: str, doing: str) -> dict[str, Any]:
        """The resource's document; `doing` is for the error: "read endpoint 'churn'"."""
        return self._get(f"{self._cloud.resource_manager}{resource_id}", {"api-version": api_version}, doing)

    def children(self, resource_id: str, kind: str, api_version: str, doing: str) -> Iterator[dict[str, Any]]:
        """All documents of `resource_id/kind`, over all pages."""
        page = self.get(f"{resource_id}/{kind}", api_version, doing)
        yield from page.get("value", [])
        while link := page.get("nextLink"):
            page = self._get(link, {}, doing)
            yield from page.get("value", [])

    def put(self, resource_id: str, api_version: str, document: Mapping[str, Any], doing: str) -> dict[str, Any]:
        """What the service answers at once; the resource may still be on its way."""
        url = f"{self._cloud.resource_manager}{resource_id}"
        return self._send("PUT", url, {"api-version": api_version}, doing, json=document)

    def _get(self, url: str, parameters: dict[str, str], doing: str) -> dict[str, Any]:
        return self._send("GET", url, parameters, doing)

    def _send(self, method: str, url: str, parameters: dict[str, str], doing: str, **content: Any) -> dict[str, Any]:
        from azure.core.rest import HttpRequest

        with azure_errors(doing):
            answer = self._pipeline().send_request(HttpRequest(method, url, params=parameters, **content))
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
        return document

    def _pipeline(self) -> PipelineClient[Any, Any]:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy, UserAgentPolicy

        import rollout

        if self._client is None:
            scope = f"{self._cloud.resource_manager}/.default"
            self._client = PipelineClient(
                self._cloud.resource_manager,
                policies=[
                    UserAgentPolicy(f"rollout/{rollout.__version__}"),
                    RetryPolicy(retry_total=4, retry_connect=1),
                    BearerTokenCredentialPolicy(self._cloud.credential(), scope),
                ],
            )
        return self._client
