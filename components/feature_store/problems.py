"""What the feature store's settings need of others. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from components.config_errors import Problem
from components.settings import Settings


def problems_of_features(settings: Settings) -> Iterator[Problem]:
    """Every problem of this block that needs more than one value to be seen."""
    store = settings.feature_store
    if not store.enabled:
        return
    key = "featureStore.redis.highAvailability"
    if settings.environment == "prod" and not store.redis.high_availability:
        yield Problem(key, False, "prod needs true, or a machine that fails takes the features with it")
