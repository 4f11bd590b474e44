"""Convert, prove, measure: all that has to hold before an optimised model may take the trained one's place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict

from training.onnx.convert import convert, is_optimised, set_native_from
from training.onnx.parity import TOLERANCE, NotEqual, Parity, prove
from training.onnx.predictor import NO_CATEGORY, OnnxPredictor
from training.onnx.speed import SpeedUp, crossover, measure
from training.tables import quoted

REPORT = "optimization.json"


class RowsError(ValueError):
    """The test rows can't be used; the text says why."""


class Optimization(BaseModel):
    """What was proven and measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parity: Parity
    speed: SpeedUp

    @property
    def tags(self) -> dict[str, str]:
        """For the registry."""
        return {
            "format": "onnx",
            "onnx_rows": str(self.parity.rows),
            "onnx_max_difference": f"{self.parity.max_difference:.3g}",
            "onnx_tolerance": f"{self.parity.tolerance:g}",
            "onnx_row_speedup": f"{self.speed.row:.1f}",
            "onnx_batch_speedup": f"{self.speed.batch:.2f}",
            "onnx_native_from_rows": str(self.speed.native_from),
        }


def optimise(
    model: Path,
    rows: Path,
    output: Path,
    *,
    tell: Callable[[str], None] = lambda _: None,
    tolerance: float = TOLERANCE,
) -> Optimization:
    """`output`: the optimised model's folder, with REPORT in it.

    Raises `NotConvertible`, `RowsError` or `NotEqual`; there is no `output` then.
    """
    if is_optimised(model):
        raise RowsError(f"{model.name} has an ONNX graph already")
    tell("converting to ONNX")
    convert(model, output)
    try:
        test = read_rows(rows, OnnxPredictor(output))
        tell(f"comparing {len(test):,} test rows")
        parity = prove(model, output, test, tolerance=tolerance)
        tell("measuring")
        set_native_from(output, crossover(output, test))
        found = Optimization(parity=parity, speed=measure(model, output, test))
    except (RowsError, NotEqual):
        shutil.rmtree(output)
        raise
    (output / REPORT).write_text(found.model_dump_json(indent=2))
    _describe(output, found)
    return found


def read_rows(file: Path, predictor: OnnxPredictor) -> pd.DataFrame:
    """Parquet or CSV with the model's columns, and others; categories as text, numbers as float64."""
    connection = duckdb.connect()
    try:
        source = connection.read_parquet(str(file)) if file.suffix == ".parquet" else connection.read_csv(str(file))
        if absent := [name for name in predictor.columns if name not in source.columns]:
            raise RowsError(f"{file}: no column {', '.join(absent)}; it has {', '.join(source.columns)}")
        texts = [
            f"coalesce(CAST({quoted(name)} AS VARCHAR), '{NO_CATEGORY}') AS {quoted(name)}"
            for name in predictor.categories
        ]
        numbers = [f"CAST({quoted(name)} AS DOUBLE) AS {quoted(name)}" for name in predictor.numbers]
        found: pd.DataFrame = source.project(", ".join([*texts, *numbers])).df()
    except duckdb.Error as error:
        raise RowsError(f"{file}: {str(error).splitlines()[0]}") from error
    finally:
        connection.close()
    if found.empty:
        raise RowsError(f"{file}: no rows")
    return found


def _describe(folder: Path, found: Optimization) -> None:
    """What was proven goes with the model."""
    file = folder / "MLmodel"
    described: dict[str, Any] = yaml.safe_load(file.read_text())
    described["metadata"] = {
        **(described.get("metadata") or {}),
        "onnx": {
            "tolerance": found.parity.tolerance,
            "max_difference": found.parity.max_difference,
            "rows": found.parity.rows,
            "native_from_rows": found.speed.native_from,
        },
    }
    file.write_text(yaml.safe_dump(described))
