"""Settings of compute. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from components.cost.prices import training_sizes
from components.fields import Block, one_of

TrainingSize = Annotated[str, one_of("size for clusters (not in the price book)", training_sizes())]


class ClusterSettings(Block):
    vm_size: TrainingSize = Field(description="machine size, from components/cost/prices.yaml")
    tier: Literal["Dedicated", "LowPriority"] = Field(
        default="Dedicated", description="LowPriority: 80 % off, may be evicted"
    )
    min_nodes: int = Field(default=0, ge=0, le=100, description="nodes kept when idle; 0 scales to zero")
    max_nodes: int = Field(default=2, ge=1, le=100, description="most nodes")
    idle_minutes: int = Field(default=5, ge=1, le=120, description="idle minutes before a node is given back")
    node_hours_per_month: float = Field(default=40.0, ge=0, description="expected use, for the cost estimate only")

    @field_validator("max_nodes")
    @classmethod
    def _min_at_most_max(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_nodes", 0):
            raise ValueError(f"must be at least minNodes, which is {info.data['min_nodes']}")
        return value
