"""Pictures of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # the backend has to be chosen first
from matplotlib.figure import Figure  # the same
from sklearn.metrics import ConfusionMatrixDisplay  # the same

_MOST_BARS = 15
#: No date in the file: the same picture is the same bytes.
_METADATA = {"Software": None}


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], file: Path) -> None:
    """Truth by row, prediction by column."""
    import numpy as np

    figure, axes = plt.subplots(figsize=(4.5, 4), layout="constrained")
    ConfusionMatrixDisplay(np.asarray(matrix), display_labels=list(classes)).plot(ax=axes, cmap="Blues", colorbar=False)
    _save(figure, file)


def calibration(points: Sequence[tuple[float, float]], file: Path) -> None:
    """Predicted probability against what happened, by tenth of the rows."""
    figure, axes = plt.subplots(figsize=(4.5, 4), layout="constrained")
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="perfect")
    axes.plot(*zip(*points, strict=True), marker="o", label="model")
    axes.set(xlabel="predicted probability", ylabel="share that was positive", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    _save(figure, file)


def bars(values: Mapping[str, float], label: str, file: Path) -> None:
    """The largest values, the first on top."""
    shown = list(values.items())[:_MOST_BARS][::-1]
    figure, axes = plt.subplots(figsize=(6.5, 0.32 * len(shown) + 1), layout="constrained")
    axes.barh([name for name, _ in shown], [value for _, value in shown])
    axes.set_xlabel(label)
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=120, metadata=_METADATA)
    plt.close(figure)
