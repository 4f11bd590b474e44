"""Settings of Event Grid and of the Functions app. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from components.fields import Block, Word

#: Between two looks of the off-hours timer at what is idle.
OFF_HOURS_MINUTES = 15
Function = Literal["model_registered", "deployment_failed", "job_completed"]


class FilterSettings(Block):
    """An advanced filter: the event's `key` compared with any of `values`."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z]\w*(\.\w+)*$")] = Field(
        description="attribute of the event, e.g. data.ModelName or subject"
    )
    operator: Literal["StringIn", "StringNotIn", "StringBeginsWith", "StringEndsWith", "StringContains"] = Field(
        default="StringIn", description="how it is compared, without regard to case"
    )
    values: tuple[Annotated[str, Field(min_length=1, max_length=512)], ...] = Field(
        min_length=1, max_length=25, description="one of them is enough"
    )


class SubscriptionSettings(Block):
    event_types: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="event types delivered"
    )
    source: Literal["topic", "workspace"] = Field(
        default="topic", description="the stack's topic (rollout's events) or Azure ML's own"
    )
    subject_begins_with: str = Field(default="", description="only subjects that begin so, e.g. models/churn")
    subject_ends_with: str = Field(default="", description="only subjects that end so")
    filters: tuple[FilterSettings, ...] = Field(
        default=(), max_length=25, description="advanced filters; an event passes all of them"
    )
    function: Function | None = Field(
        default=None, description="handler of the Functions app; until `functions.deployed` its events wait in a queue"
    )
    webhook_url: SecretStr | None = Field(
        default=None, description="https address; none, and no function: a queue of the stack's storage account"
    )
    max_attempts: int = Field(default=30, ge=1, le=30, description="delivery attempts before dead-lettering")
    minutes_to_live: int = Field(default=1440, ge=1, le=1440, description="minutes before dead-lettering")


class EventSettings(Block):
    local_auth: bool = Field(default=False, description="topic keys work; false: Entra identities only")
    subscriptions: dict[Word, SubscriptionSettings] = Field(default_factory=dict, description="by name")


class FunctionSettings(Block):
    enabled: bool = Field(default=False, description="a Functions app (Python, Flex Consumption) that handles events")
    deployed: bool = Field(
        default=False,
        description="its code is there; Event Grid refuses functions that are not, so set it after the first deployment",
    )
    delivery: Literal["none", "github", "webhook"] = Field(
        default="none",
        description="who is told of a registered model: a repository_dispatch to GitHub, or a signed call; secrets lie in the vault",
    )
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+/[\w.-]+$")] | None = Field(
        default=None, description="owner/name, for delivery: github"
    )
    tick_minutes: int = Field(
        default=0, ge=0, le=30, description="minutes between ticks of rollouts under way; 0: somebody else drives them"
    )
    weight_minutes: int = Field(
        default=0,
        ge=0,
        le=7,
        description="minutes between writes of the live weights, which the alert trafficSplit compares with the requests; 0: it stays silent",
    )
    memory_mb: Literal[512, 2048, 4096] = Field(default=2048, description="memory of an instance")
    max_instances: int = Field(default=40, ge=40, le=1000, description="most instances at a time")
