"""The service itself, without a server: bytes in, an answer out. The inference server, the container and batch scoring use it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from training.scoring.cache import MAX_BYTES, MAX_ENTRIES, RowCache
from training.scoring.checking import Checker, QuickReader, check_columns
from training.scoring.findings import Findings, Refused, refused
from training.scoring.predictor import Floats, Predictor, load_predictor, runtime_of
from training.scoring.reading import Columns, read_columns, read_json
from training.scoring.schema import ScoringSchema

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one request, and of the cache. `cached_rows`: requests with more rows go past the cache."""

    max_rows: int = 10_000
    max_body_bytes: int = 10 * 1024 * 1024
    cache_entries: int = MAX_ENTRIES
    cache_bytes: int = MAX_BYTES
    cached_rows: int = 16


@dataclass(frozen=True, slots=True)
class Scored:
    """`rows` are checked, in the schema's order; `cached` of them were answered from the cache."""

    rows: list[tuple[Any, ...]]
    labels: list[str]
    probabilities: list[list[float]]
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `scored` is None for a refusal, whose `problems` are counted by kind, without any value.

    `encoded`: the document as JSON, where it is known already.
    """

    status: int
    document: dict[str, Any]
    scored: Scored | None = None
    encoded: bytes = b""
    problems: dict[str, int] = field(default_factory=dict)

    def body(self) -> bytes:
        return self.encoded or json.dumps(self.document).encode()


class Service:
    """One model. Thread safe."""

    def __init__(
        self,
        schema: ScoringSchema,
        predictor: Predictor,
        *,
        limits: Limits | None = None,
        version: str = "",
        runtime: str = "",
    ) -> None:
        """`version`: the registry's number, where it is known."""
        self.schema, self._predictor, self.limits = schema, predictor, limits or Limits()
        self.model = {"name": schema.model, "version": version, "hash": schema.model_hash, "runtime": runtime}
        self._checkers, self._quick = [Checker(column) for column in schema.columns], QuickReader(schema)
        self._names = schema.names
        self._constant = {"classes": list(schema.classes), "model": self.model}
        self._tail = b", " + json.dumps(self._constant).encode()[1:]
        self._cache = RowCache(schema.model_hash, self.limits.cache_entries, self.limits.cache_bytes)
        self._counts: Counter[str] = Counter()
        self._lock = Lock()
        self._started = time.time()

    @classmethod
    def open(cls, model_folder: Path, *, limits: Limits | None = None, version: str = "") -> Service:
        """Of a model's folder."""
        schema = ScoringSchema.read(model_folder)
        runtime = runtime_of(model_folder)
        return cls(schema, load_predictor(model_folder, schema), limits=limits, version=version, runtime=runtime)

    def answer(self, body: bytes) -> Answer:
        """To a request's body. Only a model that fails raises."""
        try:
            if len(body) > self.limits.max_body_bytes:
                raise self.too_large()
            scored = self.score(read_json(body))
        except Refused as refusal:
            self._count(refused=1)
            return Answer(refusal.status, refusal.document(), problems=dict(refusal.findings.kinds))
        document = {"predictions": scored.labels, "probabilities": scored.probabilities}
        return Answer(200, {**document, **self._constant}, scored, json.dumps(document)[:-1].encode() + self._tail)

    def too_large(self) -> Refused:
        return refused(413, "too large", f"at most {self.limits.max_body_bytes} bytes")

    def score(self, document: Any) -> Scored:
        """Of a request's JSON document. Raises `Refused` with all findings."""
        rows = self._quick.read(document, self.limits.max_rows) or self._read(document)
        probabilities, cached = self._probabilities(rows)
        self._count(requests=1, rows=len(rows))
        return Scored(rows, self._labels(probabilities), probabilities, cached)

    def _read(self, document: Any) -> list[tuple[Any, ...]]:
        found = Findings()
        columns, _ = read_columns(document, self._names, self.limits.max_rows, found)
        checked = check_columns(self._checkers, columns, found)
        found.raise_any()
        return list(zip(*(checked[name] for name in self._names), strict=True))

    def check_frame(self, frame: pd.DataFrame) -> Findings:
        """What is wrong with a frame's rows, by position; NaN is a missing value."""
        found = Findings()
        self._columns_of(frame, found)
        return found

    def score_frame(self, frame: pd.DataFrame) -> Scored:
        """Of a frame of any length, past the cache. Raises `Refused` with all findings."""
        found = Findings()
        checked = self._columns_of(frame, found)
        found.raise_any()
        rows = list(zip(*(checked[name] for name in self.schema.names), strict=True))
        probabilities = _plain(self._predictor.predict_rows(rows)) if rows else []
        self._count(requests=1, rows=len(rows))
        return Scored(rows, self._labels(probabilities), probabilities)

    def info(self) -> dict[str, Any]:
        """What is served, what it takes, and how it has fared."""
        with self._lock:
            counts = dict(self._counts)
        return {
            "model": self.model,
            "classes": list(self.schema.classes),
            "threshold": self.schema.threshold,
            "columns": [column.model_dump(mode="json") for column in self.schema.columns],
            "limits": {"rows": self.limits.max_rows, "body_bytes": self.limits.max_body_bytes},
            "requests": {name: counts.get(name, 0) for name in ("requests", "rows", "refused")},
            "cache": self._cache.info(),
            "uptime_seconds": round(time.time() - self._started, 1),
        }

    def _columns_of(self, frame: pd.DataFrame, found: Findings) -> Columns:
        columns: Columns = {}
        for name in self.schema.names:
            if name not in frame:
                found.add(name, None, "missing column", "one value a row")
                continue
            values = frame[name]
            missing = values.isna()
            columns[name] = (values.astype(object).where(~missing, None) if missing.any() else values).tolist()
        return check_columns(self._checkers, columns, found)

    def _probabilities(self, rows: Sequence[tuple[Any, ...]]) -> tuple[list[list[float]], int]:
        """Of each row, and how many came from the cache."""
        if len(rows) > self.limits.cached_rows:
            return _plain(self._predictor.predict_rows(rows)), 0
        keys = [self._cache.key(row) for row in rows]
        known = [self._cache.get(key) for key in keys]
        new = [index for index, each in enumerate(known) if each is None]
        if new:
            for index, each in zip(new, _plain(self._predictor.predict_rows([rows[i] for i in new])), strict=True):
                known[index] = tuple(each)
                self._cache.put(keys[index], tuple(each))
        return [list(each) for each in known if each is not None], len(rows) - len(new)

    def _labels(self, probabilities: list[list[float]]) -> list[str]:
        classes, threshold = self.schema.classes, self.schema.threshold
        if threshold is None:
            return [classes[max(range(len(each)), key=each.__getitem__)] for each in probabilities]
        return [classes[each[1] >= threshold] for each in probabilities]

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, count in more.items():
                self._counts[name] += count


def _plain(probabilities: Floats) -> list[list[float]]:
    plain: list[list[float]] = np.asarray(probabilities, dtype=np.float64).tolist()
    return plain
