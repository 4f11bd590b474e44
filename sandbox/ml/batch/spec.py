"""What a batch job does: its deployment's settings with what the invocation changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.kernel.errors import AzureError
from sandbox.ml.http import user_error
from sandbox.ml.jobs.spec import FILE_TYPES, Binding, compute_of
from sandbox.ml.serving.spec import seconds_of

INPUT, OUTPUT = "input", "score"
APPEND_ROW, SUMMARY_ONLY = "AppendRow", "SummaryOnly"
_KINDS = {each.replace("_", ""): each for each in FILE_TYPES}


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """A deployment's job. `timeout` is of one mini batch, in seconds; ids are ARM's; no `script`: an MLflow model."""

    model: str
    compute_id: str
    code_id: str | None = None
    script: str = ""
    environment_id: str = ""
    instances: int = 1
    concurrency: int = 1
    mini_batch_size: int = 10
    retries: int = 3
    timeout: float = 30.0
    error_threshold: int = -1
    append_row: bool = True
    output_file: str = "predictions.csv"
    variables: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Binding] = field(default_factory=dict)
    outputs: Mapping[str, Binding] = field(default_factory=lambda: {OUTPUT: Binding("uri_folder")})

    @classmethod
    def read(cls, deployment: Mapping[str, Any], job: Mapping[str, Any] | None = None) -> BatchSpec:
        """From the properties of a deployment and of an invocation; AzureError 400 names what is wrong."""
        given = {key: value for key, value in deployment.items() if value is not None}
        # What an invocation says of itself comes first.
        given |= {key: job[key] for key in _CHANGEABLE if job and job.get(key) is not None}
        code, retry = given.get("codeConfiguration") or {}, given.get("retrySettings") or {}
        nodes = (given.get("resources") or {}).get("instanceCount") or 1
        nodes = ((job or {}).get("compute") or {}).get("instanceCount") or nodes
        action = str(given.get("outputAction") or APPEND_ROW)
        if action not in (APPEND_ROW, SUMMARY_ONLY):
            raise user_error(f"outputAction is '{action}'; allowed: {APPEND_ROW}, {SUMMARY_ONLY}.")
        return cls(
            model=str((given.get("model") or {}).get("assetId") or ""),
            compute_id=compute_of(given.get("compute")) or "",
            code_id=code.get("codeId"),
            script=str(code.get("scoringScript") or ""),
            environment_id=str(given.get("environmentId") or ""),
            instances=_whole(nodes, "resources.instanceCount", 1),
            concurrency=_whole(given.get("maxConcurrencyPerInstance", 1), "maxConcurrencyPerInstance", 1),
            mini_batch_size=_whole(given.get("miniBatchSize", 10), "miniBatchSize", 1),
            retries=_whole(retry.get("maxRetries", 3), "retrySettings.maxRetries", 0),
            timeout=seconds_of(retry.get("timeout") or "PT30S", "retrySettings.timeout"),
            error_threshold=_whole(given.get("errorThreshold", -1), "errorThreshold", -1),
            append_row=action == APPEND_ROW,
            output_file=str(given.get("outputFileName") or "predictions.csv"),
            variables={str(key): str(value) for key, value in (given.get("environmentVariables") or {}).items()},
            inputs={INPUT: _input(job)} if job is not None else {},
        )


_CHANGEABLE = ("miniBatchSize", "errorThreshold", "outputFileName", "retrySettings")


def output_of(job: Mapping[str, Any]) -> str:
    """Where the invocation wants its output; empty: the job's own place."""
    for output in (job.get("outputData") or {}).values():
        if output and output.get("uri"):
            return str(output["uri"])
    return ""


def _input(job: Mapping[str, Any]) -> Binding:
    inputs = [value for value in (job.get("inputData") or {}).values() if value]
    if len(inputs) != 1:
        raise user_error(f"inputData has {len(inputs)} inputs; a deployment of a model takes exactly one.")
    kind = str(inputs[0].get("jobInputType", ""))
    if kind.lower() not in ("urifile", "urifolder"):
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox does not imitate batch inputs of type {kind!r}.")
    uri = str(inputs[0].get("uri") or "")
    if not uri:
        raise user_error("inputData: the input has no uri.")
    return Binding(_KINDS[kind.lower()], uri=uri)


def _whole(value: Any, what: str, least: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if number < least:
        raise user_error(f"{what} is {value!r}; it must be a whole number, at least {least}.")
    return number
