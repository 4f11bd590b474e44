"""Inputs and predictions, kept for drift: Azure ML's data collector, switched on by the deployment (`data_collector`).

Two collections, `model_inputs` and `model_outputs`; a request has the same correlation id in both. Columns that are personal are
masked before they leave the service. Sampling is the collector's own, by the deployment's rate. What can't be collected is counted
and logged, and never fails a request.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from training.scoring.schema import ScoringSchema
from training.scoring.service import Scored

INPUTS, OUTPUTS = "model_inputs", "model_outputs"
MASK = "***"
log = logging.getLogger("azmlinfsrv.scoring")


class Collecting(Protocol):
    """Where what was scored goes."""

    def collect(self, scored: Scored, correlation: str) -> None:
        """Does not raise."""

    def info(self) -> dict[str, Any]:
        """Counts, for GET."""


class NotCollecting:
    """The deployment has no data collector."""

    def collect(self, scored: Scored, correlation: str) -> None:
        """Nothing is kept."""

    def info(self) -> dict[str, Any]:
        return {"enabled": False}


class AzureCollecting:
    """Through azureml-ai-monitoring, which hands over to the collector beside the container."""

    def __init__(self, schema: ScoringSchema, enabled: frozenset[str]) -> None:
        """Raises ImportError where azureml-ai-monitoring is not installed."""
        from azureml.ai.monitoring import Collector

        self._schema, self._counts, self._lock = schema, Counter[str](), Lock()
        self._collectors = {name: Collector(name=name, on_error=self._dropped) for name in sorted(enabled)}

    def collect(self, scored: Scored, correlation: str) -> None:
        try:
            self._collect(scored, correlation)
        except Exception as error:  # noqa: BLE001  # nothing that goes wrong here is the caller's concern
            self._dropped(error)

    def info(self) -> dict[str, Any]:
        with self._lock:
            return {"enabled": True, "collections": list(self._collectors), **self._counts}

    def _collect(self, scored: Scored, correlation: str) -> None:
        import pandas as pd
        from azureml.ai.monitoring.context import BasicCorrelationContext

        context = BasicCorrelationContext(id=correlation)
        tables = {INPUTS: self._inputs, OUTPUTS: self._outputs}
        for name, collector in self._collectors.items():
            collector.collect(pd.DataFrame(tables[name](scored)), context)
            self._count("collected")

    def _inputs(self, scored: Scored) -> dict[str, list[Any]]:
        columns = zip(self._schema.columns, zip(*scored.rows, strict=True), strict=True)
        return {each.name: [MASK] * len(values) if each.pii else list(values) for each, values in columns}

    def _outputs(self, scored: Scored) -> dict[str, list[Any]]:
        columns = zip(self._schema.classes, zip(*scored.probabilities, strict=True), strict=True)
        probabilities = {f"probability_{name}": list(values) for name, values in columns}
        return {"prediction": list(scored.labels), **probabilities}

    def _dropped(self, error: Exception) -> None:
        self._count("dropped")
        log.warning("not collected: %s", type(error).__name__)

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1


def collecting(schema: ScoringSchema, environ: Mapping[str, str] = os.environ) -> Collecting:
    """What the deployment asks for. A collector that can't start costs the collection, not the service."""
    enabled = _enabled(environ)
    if not enabled:
        return NotCollecting()
    try:
        return AzureCollecting(schema, enabled)
    except Exception as error:  # noqa: BLE001  # its start reads files and opens a queue
        log.error("nothing is collected: %s", type(error).__name__)
        return NotCollecting()


def _enabled(environ: Mapping[str, str]) -> frozenset[str]:
    """The collections that Azure ML has switched on for this container, of those that are ours."""
    ours = frozenset({INPUTS, OUTPUTS})
    if path := environ.get("AZUREML_MDC_CONFIG_PATH"):
        try:
            given = json.loads(Path(path).read_text("utf-8")).get("collections", {})
            on = {name.lower() for name, each in given.items() if each.get("enabled")}
        except (OSError, ValueError, AttributeError) as error:
            log.error("nothing is collected: AZUREML_MDC_CONFIG_PATH: %s", type(error).__name__)
            return frozenset()
        return ours & on
    return ours if environ.get("AZUREML_MDC_ENABLED", "").lower() == "true" else frozenset()
