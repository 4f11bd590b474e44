"""Settings of Event Grid. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from components.fields import Block, Word


class SubscriptionSettings(Block):
    event_types: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="event types delivered"
    )
    source: Literal["topic", "workspace"] = Field(
        default="topic", description="the stack's topic (rollout's events) or Azure ML's own"
    )
    webhook_url: SecretStr | None = Field(
        default=None, description="https address; none: a queue of the stack's storage account"
    )
    max_attempts: int = Field(default=30, ge=1, le=30, description="delivery attempts before dead-lettering")
    minutes_to_live: int = Field(default=1440, ge=1, le=1440, description="minutes before dead-lettering")


class EventSettings(Block):
    local_auth: bool = Field(default=False, description="topic keys work; false: Entra identities only")
    subscriptions: dict[Word, SubscriptionSettings] = Field(default_factory=dict, description="by name")
