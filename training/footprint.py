"""What a model costs to serve, measured in a fresh process: `python -m training.footprint MODEL ROWS.parquet`."""

from __future__ import annotations

import json
import resource
import subprocess  # nosec B404  # this module again, with our own arguments
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

REQUESTS = 200
_WARM_UP = 10
_MB = 1024 * 1024
_LIMIT_SECONDS = 300


class Footprint(BaseModel):
    """One process, one row at a time, no server: what the model itself needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: float = Field(description="P95 of one row")
    memory_mb: float = Field(description="most resident memory, of which the Python libraries are the larger part")
    size_mb: float = Field(description="all files of the model")


def measure(model: Path, rows: Path) -> Footprint:
    """Run the measurement. Raises `subprocess.CalledProcessError` when the model can't be loaded or fails on a row."""
    done = subprocess.run(  # nosec B603
        [sys.executable, "-m", "training.footprint", str(model), str(rows)],
        check=True,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
    )
    return Footprint.model_validate_json(done.stdout.splitlines()[-1])


def size_mb(model: Path) -> float:
    """All files of a folder, in MB."""
    return sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / _MB


def _measure_here(model: Path, rows: Path) -> Footprint:
    # as scoring loads it: no MLflow, nothing of what training alone needs
    from training.scoring.predictor import load_predictor
    from training.scoring.schema import ScoringSchema

    predictor = load_predictor(model)
    frame = pd.read_parquet(rows)[[column.name for column in ScoringSchema.read(model).columns]]
    times = []
    for number in range(_WARM_UP + REQUESTS):
        row = frame.iloc[[number % len(frame)]]
        began = time.perf_counter()
        predictor.predict_proba(row)
        times.append(time.perf_counter() - began)
    # Linux counts kilobytes
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Footprint(
        latency_ms=float(np.percentile(times[_WARM_UP:], 95) * 1000), memory_mb=memory, size_mb=size_mb(model)
    )


if __name__ == "__main__":
    print(json.dumps(_measure_here(Path(sys.argv[1]), Path(sys.argv[2])).model_dump()))
