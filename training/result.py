"""What a training job leaves for whoever submitted it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

RESULT_FILE = "result.json"


class TrainingResult(BaseModel):
    """Metrics of the positive class; `model` ("churn:7") only when the gates passed and it was registered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: dict[str, float]
    shortfalls: tuple[str, ...] = ()
    model: str | None = None
