"""How much faster the optimised model is, in process, and from how many rows on its native trees are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from training.onnx.predictor import OnnxPredictor
from training.steps.evaluate import load

BATCH_ROWS = 10_000
SINGLE_CALLS, BATCH_CALLS = 200, 5
#: Batch sizes at which both engines are timed.
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Timing(BaseModel):
    """Milliseconds in one process on one thread."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_p50_ms: float
    row_p95_ms: float
    batch_ms: float = Field(description=f"{BATCH_ROWS:,} rows, median")


class SpeedUp(BaseModel):
    """Both sides timed in turns; ratios are native / optimised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    native: Timing
    optimised: Timing
    native_from: int = Field(description="rows from which on the native trees score; 0: never")

    @property
    def row(self) -> float:
        return self.native.row_p50_ms / self.optimised.row_p50_ms

    @property
    def batch(self) -> float:
        return self.native.batch_ms / self.optimised.batch_ms

    @property
    def said(self) -> str:
        return (
            f"one row {self.native.row_p50_ms:.2f} -> {self.optimised.row_p50_ms:.3f} ms (P95 {self.native.row_p95_ms:.2f} ->"
            f" {self.optimised.row_p95_ms:.3f}), {self.row:.0f}x; {BATCH_ROWS:,} rows {self.native.batch_ms:.0f} ->"
            f" {self.optimised.batch_ms:.0f} ms, {self.batch:.2f}x; native trees from {self.native_from or 'no'} rows on"
        )


def crossover(optimised: Path, rows: pd.DataFrame) -> int:
    """The smallest of SIZES from which on the native trees are faster; 0: never. By CPU time, which other work leaves alone."""
    onnx, trees = OnnxPredictor(optimised, native_from=0), OnnxPredictor(optimised, native_from=1)
    times = {}
    for size in SIZES:
        batch = repeated(rows, size)
        calls = (partial(onnx.predict_proba, batch), partial(trees.predict_proba, batch))
        first, second = in_turns(*calls, BATCH_CALLS, clock=time.thread_time)
        times[size] = (min(first), min(second))
    return choose(times)


def choose(times: Mapping[int, tuple[float, float]]) -> int:
    """From the times of ONNX Runtime and the native trees by size: the threshold that loses least over all of them."""

    def lost(threshold: int) -> float:
        chosen = {size: each[bool(threshold and size >= threshold)] for size, each in times.items()}
        return sum(math.log(time / min(times[size])) for size, time in chosen.items())

    # of equals the larger, and of those never: loading the trees costs memory and the first batch time
    return min((0, *sorted(times, reverse=True)), key=lambda threshold: round(lost(threshold), 9))


def measure(native: Path, optimised: Path, rows: pd.DataFrame) -> SpeedUp:
    """As it is served: single rows by `predict_rows`, batches as a table, with the engine that the model says."""
    pipeline, _ = load(native)
    predictor = OnnxPredictor(optimised)
    x = rows[list(predictor.columns)]
    singles = [x.iloc[[index]] for index in range(min(len(x), 50))]
    plain = [list(row) for row in x.head(len(singles)).itertuples(index=False, name=None)]
    frames, values = cycle(singles), cycle(plain)
    one = in_turns(
        lambda: pipeline.predict_proba(next(frames)),
        lambda: predictor.predict_rows([next(values)]),
        SINGLE_CALLS,
        block=20,
    )
    batch = repeated(x, BATCH_ROWS)
    many = in_turns(lambda: pipeline.predict_proba(batch), lambda: predictor.predict_proba(batch), BATCH_CALLS)
    timings = [_timing(single, all_rows) for single, all_rows in zip(one, many, strict=True)]
    return SpeedUp(native=timings[0], optimised=timings[1], native_from=predictor.native_from)


def in_turns(
    first: Callable[[], object],
    second: Callable[[], object],
    calls: int,
    *,
    block: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Seconds of each call; `block` of them in a row, as a server would, then the other side. The first block warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(1 + calls // block):
        for side, call in enumerate((first, second)):
            for _ in range(block):
                began = clock()
                call()
                if number:
                    times[side].append(clock() - began)
    return times


def repeated(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows, the given ones over and over."""
    return rows.iloc[np.resize(np.arange(len(rows)), count)].reset_index(drop=True)


def _timing(single: list[float], batch: list[float]) -> Timing:
    return Timing(
        row_p50_ms=float(np.median(single)) * 1000,
        row_p95_ms=float(np.percentile(single, 95)) * 1000,
        batch_ms=float(np.median(batch)) * 1000,
    )
