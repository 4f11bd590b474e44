"""Whether the optimised model answers as the trained one does, on every test row and on what tests seldom hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from training.onnx.predictor import NO_CATEGORY, OnnxPredictor
from training.scores import Floats, predicted
from training.steps.evaluate import load

#: Most that a probability may differ. Both sum the same float32 leaves, in another order: 4e-7 was measured with 330 trees of
#: depth 9, 6e-7 on 100,000 rows. One split taken the other way moves a row by 1e-4 and more.
TOLERANCE = 1e-5
#: A category that no table has.
UNSEEN = "\N{REPLACEMENT CHARACTER}unseen"
#: Rows that each column is made missing in, and unknown.
_CHALLENGED = 200


class Parity(BaseModel):
    """What was compared. Probabilities in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(description="all test rows")
    challenged: int = Field(description="copies with a value missing or a category unseen")
    tolerance: float
    max_difference: float = Field(description="of any class's probability")
    worst_row: int = Field(description="position of that row among all that were compared")
    flips: int = Field(description="rows that get another label at the threshold")
    near_threshold: int = Field(description="rows within the tolerance of the threshold; none of them may flip either")
    engines_differ: float = Field(
        description="largest difference between ONNX Runtime and the native trees for batches"
    )

    @property
    def proven(self) -> bool:
        return self.flips == 0 and max(self.max_difference, self.engines_differ) <= self.tolerance

    @property
    def said(self) -> str:
        return (
            f"{self.rows} test rows and {self.challenged} with missing or unseen values: largest difference"
            f" {self.max_difference:.2g} (allowed {self.tolerance:g}), {self.flips} labels changed"
            f", {self.near_threshold} within {self.tolerance:g} of the threshold"
        )


class NotEqual(Exception):
    """The optimised model does not answer as the trained one; `parity` says by how much."""

    def __init__(self, parity: Parity) -> None:
        super().__init__(f"the predictions are not equal: {parity.said}; row {parity.worst_row} differs most")
        self.parity = parity


def prove(native: Path, optimised: Path, test: pd.DataFrame, *, tolerance: float = TOLERANCE) -> Parity:
    """Compare on every row of `test` and on challenged copies of some. Raises `NotEqual`."""
    pipeline, threshold = load(native)
    online, batch = OnnxPredictor(optimised, native_from=0), OnnxPredictor(optimised, native_from=1)
    hard = challenges(test, online)
    rows = pd.concat([test[list(online.columns)], hard], ignore_index=True)
    expected = np.asarray(pipeline.predict_proba(rows), dtype=np.float64)
    found = compare(expected, np.asarray(online.predict_proba(rows), dtype=np.float64), threshold, tolerance=tolerance)
    parity = found.model_copy(
        update={
            "rows": len(test),
            "challenged": len(hard),
            "engines_differ": float(np.abs(online.predict_proba(rows) - batch.predict_proba(rows)).max()),
        }
    )
    if not parity.proven:
        raise NotEqual(parity)
    return parity


def compare(expected: Floats, got: Floats, threshold: float | None, *, tolerance: float = TOLERANCE) -> Parity:
    """Of two arrays (rows, classes); nothing that is not a number passes."""
    difference = np.abs(np.where(np.isfinite(got), got, np.inf) - expected).max(axis=1)
    if threshold is None:
        ordered = np.sort(expected, axis=1)
        distance = ordered[:, -1] - ordered[:, -2]
    else:
        distance = np.abs(expected[:, 1] - threshold)
    return Parity(
        rows=len(expected),
        challenged=0,
        tolerance=tolerance,
        max_difference=float(difference.max()),
        worst_row=int(difference.argmax()),
        flips=int((predicted(expected, threshold) != predicted(got, threshold)).sum()),
        near_threshold=int((distance <= tolerance).sum()),
        engines_differ=0.0,
    )


def challenges(test: pd.DataFrame, predictor: OnnxPredictor) -> pd.DataFrame:
    """Copies of the first rows with one column each missing, or of a category never seen."""
    base = test[list(predictor.columns)].head(_CHALLENGED)
    wanted: list[tuple[str, Any]] = [(name, text) for name in predictor.categories for text in (NO_CATEGORY, UNSEEN)]
    wanted += [(name, np.nan) for name in predictor.numbers]
    copies: list[pd.DataFrame] = [base.assign(**{name: value}) for name, value in wanted]
    return pd.concat(copies, ignore_index=True)
