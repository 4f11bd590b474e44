"""The demo's pictures, as SVG: who got the traffic, what failed, how long answers took."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from demo.clients import Request

BIN_SECONDS = 2.0
BLUE, GREEN, RED, GREY = "#1f6fb4", "#2a9d55", "#c93c37", "#9aa0a6"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the time line with a name, in epoch seconds."""

    name: str
    start: float
    end: float


def timeline(requests: Sequence[Request], spans: Sequence[Span]) -> str:
    """Three stacked charts over seconds since the first request: shares, failures, latencies."""
    if not requests:
        return "<p>No request was answered.</p>"
    start = requests[0].t
    bins: dict[float, list[Request]] = defaultdict(list)
    for request in requests:
        bins[(request.t - start) // BIN_SECONDS * BIN_SECONDS].append(request)
    figure, axes = plt.subplots(3, 1, figsize=(12, 8.4), sharex=True, layout="constrained")
    _shares(axes[0], bins)
    _failures(axes[1], bins)
    _latencies(axes[2], bins)
    for axis in axes:
        _mark(axis, spans, start)
        axis.spines[["top", "right"]].set_visible(False)
    for span in spans:
        middle = (max(span.start, start) + span.end) / 2 - start
        axes[0].text(
            middle, 1.03, span.name, ha="center", va="bottom", fontsize=8, transform=axes[0].get_xaxis_transform()
        )
    axes[2].set_xlabel("seconds (a policy minute is one second)")
    return _svg(figure)


def _shares(axis: Axes, bins: dict[float, list[Request]]) -> None:
    names = sorted({request.deployment or "no answer" for group in bins.values() for request in group})
    times = sorted(bins)
    rows = [
        [100 * sum((r.deployment or "no answer") == name for r in bins[t]) / len(bins[t]) for t in times]
        for name in names
    ]
    colours = matplotlib.color_sequences["tab10"]
    axis.stackplot(times, *rows, labels=names, colors=colours, alpha=0.85, linewidth=0)
    axis.set(ylabel="answered by, %", ylim=(0, 100))
    axis.legend(loc="lower left", fontsize=7, ncols=max(1, len(names)), framealpha=0.9)


def _failures(axis: Axes, bins: dict[float, list[Request]]) -> None:
    times = sorted(bins)
    share = [100 * sum(r.failed for r in bins[t]) / len(bins[t]) for t in times]
    axis.bar(times, share, width=BIN_SECONDS, align="edge", color=RED)
    axis.axhline(5, color=GREY, linestyle="--", linewidth=0.8)
    axis.set(ylabel="failed, % of all", ylim=(0, max(10.0, *share) * 1.1))


def _latencies(axis: Axes, bins: dict[float, list[Request]]) -> None:
    times = sorted(bins)
    for share, colour, label in ((0.5, BLUE, "P50"), (0.95, GREEN, "P95")):
        axis.plot(times, [_percentile([r.ms for r in bins[t]], share) for t in times], color=colour, label=label)
    axis.axhline(3000, color=GREY, linestyle="--", linewidth=0.8)
    axis.set(ylabel="latency, ms", yscale="log")
    axis.legend(loc="upper left", fontsize=7)


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _mark(axis: Axes, spans: Sequence[Span], start: float) -> None:
    for number, span in enumerate(spans):
        left = max(span.start, start) - start
        axis.axvspan(left, span.end - start, color=GREY, alpha=0.10 if number % 2 else 0.0, linewidth=0)
        axis.axvline(left, color=GREY, linewidth=0.5)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
