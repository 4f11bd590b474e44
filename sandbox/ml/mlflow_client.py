"""MLflow's REST API as far as the workspace needs it. The mlflow package is not imported: it takes seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import aiohttp

from sandbox.kernel.errors import AzureError

#: Seconds that a call waits for a server that is still starting.
PATIENCE = 30.0
_POLL = 0.1
_TIMEOUT = aiohttp.ClientTimeout(total=60)


class MlflowError(AzureError):
    """MLflow refused; `code` is its error_code. Answered as it is when nobody knows better."""


class MlflowClient:
    """Talks to the tracking server at `url`. AzureError 503 when it does not answer in time."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self._url, self._patience = url, patience
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`path` below /api/2.0/mlflow/; `body` becomes the query of a GET. Raises MlflowError."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return await self._call(method, path, dict(body or {}))
            except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
                if time.monotonic() > deadline:
                    raise AzureError(
                        503, "ServiceUnavailable", f"The sandbox's MLflow does not answer: {error}."
                    ) from error
                await asyncio.sleep(_POLL)

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            # The server is on loopback, so a proxy of the caller's shell is left alone.
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False)
        arguments: dict[str, Any] = {"params": body} if method == "GET" else {"json": body}
        async with self._session.request(method, f"{self._url}/api/2.0/mlflow/{path}", **arguments) as response:
            if response.content_type != "application/json":
                raise MlflowError(response.status, "UNEXPECTED_ANSWER", (await response.text())[:500])
            answer: dict[str, Any] = await response.json()
        if response.status >= 400:
            raise MlflowError(response.status, answer.get("error_code", ""), answer.get("message", ""))
        return answer

    async def find(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Like `call`, but None for what does not exist."""
        try:
            return await self.call(method, path, body)
        except MlflowError as error:
            if error.code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    # Model registry

    async def model_version(self, name: str, version: str) -> dict[str, Any] | None:
        """None when there is none; MLflow knows whole numbers only."""
        if not version.isdigit():
            return None
        answer = await self.find("GET", "model-versions/get", {"name": name, "version": version})
        return answer["model_version"] if answer else None

    async def model_versions(self, name: str | None = None) -> list[dict[str, Any]]:
        """All versions, of one model or of all."""
        query: dict[str, Any] = {"max_results": 1000}
        if name is not None:
            query["filter"] = "name='{}'".format(name.replace("'", "''"))
        found: list[dict[str, Any]] = []
        while True:
            answer = await self.call("GET", "model-versions/search", query)
            found += answer.get("model_versions", [])
            if not answer.get("next_page_token"):
                return found
            query["page_token"] = answer["next_page_token"]

    async def download_uri(self, name: str, version: str) -> str:
        query = {"name": name, "version": version}
        return str((await self.call("GET", "model-versions/get-download-uri", query))["artifact_uri"])

    # Runs

    async def experiment_id(self, name: str) -> str:
        """The experiment's id; it is made when there is none."""
        while True:
            found = await self.find("GET", "experiments/get-by-name", {"experiment_name": name})
            if found is not None:
                if found["experiment"].get("lifecycle_stage") == "deleted":
                    await self.call(
                        "POST", "experiments/restore", {"experiment_id": found["experiment"]["experiment_id"]}
                    )
                return str(found["experiment"]["experiment_id"])
            try:
                return str((await self.call("POST", "experiments/create", {"name": name}))["experiment_id"])
            except MlflowError as error:
                # Somebody else made it in between: look again.
                if error.code != "RESOURCE_ALREADY_EXISTS":
                    raise

    async def start_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> tuple[str, str]:
        """The id of a new, running run, and the address of its artifacts."""
        body = {
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": int(time.time() * 1000),
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        info = (await self.call("POST", "runs/create", body))["run"]["info"]
        return str(info["run_id"]), str(info["artifact_uri"])

    async def end_run(self, run_id: str, status: str) -> None:
        """`status`: FINISHED, FAILED or KILLED."""
        await self.call(
            "POST", "runs/update", {"run_id": run_id, "status": status, "end_time": int(time.time() * 1000)}
        )

    async def metric_history(self, run_id: str, key: str) -> list[float]:
        """Every value of a metric, in the order of its steps."""
        query: dict[str, Any] = {"run_id": run_id, "metric_key": key, "max_results": 1000}
        found: list[dict[str, Any]] = []
        while True:
            answer = await self.call("GET", "metrics/get-history", query)
            found += answer.get("metrics", [])
            if not answer.get("next_page_token"):
                break
            query["page_token"] = answer["next_page_token"]
        found.sort(key=lambda each: (int(each.get("step", 0)), int(each["timestamp"])))
        # Not every value is a JSON number: "NaN", "Infinity".
        return [float(each["value"]) for each in found]
