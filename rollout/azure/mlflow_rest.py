"""Two reads of MLflow's REST API. mlflow itself takes seconds to import, and Azure's server needs a plugin for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollout.azure.cloud import Cloud

_SECONDS = 10


class MlflowRest:
    """The tracking server of a workspace: plain MLflow, or Azure's (`azureml://`), which takes ARM's tokens."""

    def __init__(self, cloud: Cloud, tracking_uri: str) -> None:
        self._cloud, self._uri = cloud, tracking_uri.rstrip("/")

    def aliases(self, name: str) -> dict[str, list[str]]:
        """Version to its aliases; nothing where the server has none, as Azure's."""
        found: dict[str, list[str]] = {}
        for each in self._get("registered-models/get", {"name": name}).get("registered_model", {}).get("aliases", []):
            found.setdefault(str(each["version"]), []).append(str(each["alias"]))
        return found

    def params(self, run_id: str) -> dict[str, str]:
        """What a run logged as parameters; nothing when it is gone."""
        run = self._get("runs/get", {"run_id": run_id}).get("run", {}) if run_id else {}
        return {each["key"]: each["value"] for each in run.get("data", {}).get("params", [])}

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """Empty for any failure: these are extras of a table, which is shown without them."""
        import requests

        headers = {}
        if self._uri.startswith("azureml://"):
            token = self._cloud.credential().get_token(f"{self._cloud.resource_manager}/.default").token
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self._uri.replace('azureml://', 'https://', 1)}/api/2.0/mlflow/{path}"
        try:
            answer = requests.get(url, params=query, headers=headers, timeout=_SECONDS)
            document: dict[str, Any] = answer.json() if answer.ok else {}
        except (requests.RequestException, ValueError):
            return {}
        return document
