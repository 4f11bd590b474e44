"""Scoring requests to one deployment alone, sent by plain HTTP: no retries, so that every error is seen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rollout.azure.errors import azure_errors
from rollout.azure.payloads import rows_of
from rollout.controller.ports import ProbeResult
from rollout.errors import RolloutError

if TYPE_CHECKING:
    import requests
    from azure.ai.ml import MLClient

    from rollout.azure.cloud import Cloud

DEPLOYMENT_HEADER = "azureml-model-deployment"
_MAX_DETAIL = 300
_ANSWER_KEYS = ("predictions", "result", "results", "output", "outputs")


class AzureProber:
    """`Prober` of one endpoint. `payload` is asked for once, when the first request goes out."""

    def __init__(self, scoring_uri: str, secret: Callable[[], str], payload: Callable[[str], bytes]) -> None:
        self._uri, self._secret, self._payload = scoring_uri, secret, payload

    def probe(self, deployment: str, requests: int, timeout_ms: int) -> Sequence[ProbeResult]:
        """`requests` answers, one after the other on one connection."""
        payload = self._payload(deployment)
        with self._session(deployment) as session:
            return [self._once(session, payload, timeout_ms / 1000) for _ in range(requests)]

    def _session(self, deployment: str) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter

        session = requests.Session()
        session.mount("https://", HTTPAdapter(max_retries=0))
        session.headers.update(
            {
                "Authorization": f"Bearer {self._secret()}",
                "Content-Type": "application/json",
                DEPLOYMENT_HEADER: deployment,
            }
        )
        return session

    def _once(self, session: requests.Session, payload: bytes, timeout: float) -> ProbeResult:
        import requests

        start = time.perf_counter()
        try:
            answer = session.post(self._uri, data=payload, timeout=timeout)
        except requests.RequestException as error:
            return ProbeResult(0, _since(start), False, f"no answer within {timeout:g} s: {type(error).__name__}")
        elapsed = _since(start)
        if answer.status_code != 200:
            return ProbeResult(answer.status_code, elapsed, False, _refusal(answer))
        wrong = what_is_wrong(answer.text, rows_of(payload))
        return ProbeResult(200, elapsed, not wrong, wrong)


def scoring_secret(client: MLClient, cloud: Cloud, endpoint: str, auth_mode: str) -> str:
    """The key, AML token or Entra token that `endpoint` takes. `auth_mode` as in the stack's outputs."""
    if auth_mode == "AADToken":
        # azure-ai-ml would always ask for the public cloud's audience.
        with azure_errors(f"get an Entra token for endpoint {endpoint!r}"):
            return cloud.credential().get_token(f"{cloud.ml_audience}/.default").token
    with azure_errors(f"get the key of endpoint {endpoint!r}"):
        keys: Any = client.online_endpoints.get_keys(endpoint)
    secret = keys.primary_key if auth_mode == "Key" else keys.access_token
    if not secret:
        raise RolloutError(
            f"endpoint {endpoint!r} gave no {auth_mode}",
            way_out="check that its authentication mode is still the stack's: run `pulumi refresh`",
        )
    return str(secret)


def what_is_wrong(text: str, rows: int | None) -> str:
    """Why an answer is not a prediction per row; empty when it is."""
    try:
        body = json.loads(text)
        if isinstance(body, str):  # a score.py that returns json.dumps(...) is encoded twice
            body = json.loads(body)
    except json.JSONDecodeError:
        return f"not JSON: {text[:80]!r}"
    if isinstance(body, dict):
        body = next((body[key] for key in _ANSWER_KEYS if key in body), body)
    if isinstance(body, dict) and "error" in body:
        return f"an error in a 200: {str(body['error'])[:_MAX_DETAIL]}"
    if not isinstance(body, list):
        return f"no list of predictions: {text[:80]!r}"
    if rows is not None and len(body) != rows:
        return f"{len(body)} predictions for {rows} rows"
    if any(one is None for one in body):
        return "a prediction is null"
    return ""


def _refusal(answer: requests.Response) -> str:
    reason = answer.headers.get("ms-azureml-model-error-reason", "")
    inner = answer.headers.get("ms-azureml-model-error-statuscode", "")
    said = f"scorer answered {inner} {reason}".strip() if inner else answer.text
    return said[:_MAX_DETAIL]


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
