"""Tracking and the model registry, through MLflow: metrics, signature, input example, tags, and a version."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.pipeline import Pipeline

#: What the served model needs; the inference environment is built from it.
SERVING_PACKAGES = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "xgboost-cpu", "cloudpickle")
EXAMPLE_ROWS = 5


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def track(metrics: Mapping[str, float], params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Log to the active run."""
    mlflow.set_tags(dict(tags))
    mlflow.log_params(dict(params))
    mlflow.log_metrics(dict(metrics))


def register(
    model: Pipeline, example: pd.DataFrame, name: str, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> Registered:
    """Log the fitted pipeline to the active run and make it the next version of `name`."""
    rows = example.head(EXAMPLE_ROWS)
    with warnings.catch_warnings():
        # The signature's hint about integer columns does not apply: numbers are float64 here.
        warnings.simplefilter("ignore", UserWarning)
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(rows, model.predict_proba(rows)),
            input_example=rows,
            pyfunc_predict_fn="predict_proba",
            serialization_format="cloudpickle",
            pip_requirements=[f"{package}=={version(package)}" for package in SERVING_PACKAGES],
        )
    rounded = {metric: f"{value:.4f}" for metric, value in metrics.items()}
    created = mlflow.register_model(info.model_uri, name, tags={**tags, **rounded})
    return Registered(created.name, created.version)
