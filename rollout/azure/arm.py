"""Azure Resource Manager without azure-ai-ml, whose import alone takes longer than `rollout status` may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rollout.azure.errors import azure_errors

if TYPE_CHECKING:
    from azure.core import PipelineClient

    from rollout.azure.cloud import Cloud


class ArmReader:
    """GETs of resources and their children, with the SDKs' retries."""

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

    def _get(self, url: str, parameters: dict[str, str], doing: str) -> dict[str, Any]:
        from azure.core.rest import HttpRequest

        with azure_errors(doing):
            answer = self._pipeline().send_request(HttpRequest("GET", url, params=parameters))
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


class ArmWriter(ArmReader):
    """PUTs and DELETEs too, for the few resources beside endpoints that `rollout` owns."""

    def put(self, resource_id: str, api_version: str, document: Mapping[str, Any], doing: str) -> dict[str, Any]:
        """Create or replace the resource; what the service made of it."""
        answer: dict[str, Any] = self._send("PUT", resource_id, api_version, doing, json=dict(document)).json()
        return answer

    def delete(self, resource_id: str, api_version: str, doing: str) -> None:
        """Delete the resource; one that is gone is no error."""
        self._send("DELETE", resource_id, api_version, doing)

    def _send(self, method: str, resource_id: str, api_version: str, doing: str, **body: Any) -> Any:
        from azure.core.rest import HttpRequest

        url = f"{self._cloud.resource_manager}{resource_id}"
        with azure_errors(doing):
            request = HttpRequest(method, url, params={"api-version": api_version}, **body)
            answer = self._pipeline().send_request(request)
            if not (method == "DELETE" and answer.status_code == 404):
                answer.raise_for_status()
        return answer
