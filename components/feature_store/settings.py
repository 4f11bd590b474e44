"""Settings of the feature store and of load testing. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.cost.prices import price_book
from components.fields import Block, one_of

RedisSize = Annotated[
    str, one_of("size of Azure Managed Redis (not in the price book)", tuple(price_book().redis_hour))
]
StorageSku = Annotated[str, one_of("storage SKU", tuple(price_book().storage_gb_month))]


class RedisSettings(Block):
    """Azure Managed Redis: what serves features at scoring time (docs/adr/0013-feature-store.md)."""

    sku: RedisSize = Field(default="Balanced_B0", description="size, from components/cost/prices.yaml")
    high_availability: bool = Field(
        default=True, description="a replica, at twice the price; prod needs it; can't be turned off again"
    )
    access_keys: bool = Field(
        default=True,
        description="Azure ML's materialization connects with a key that it asks ARM for; false: Entra tokens only, and"
        " features are written by jobs of your own",
    )


class FeatureStoreSettings(Block):
    enabled: bool = Field(default=False, description="feature store workspace with offline and online store")
    spark_version: Literal["3.4"] = Field(default="3.4", description="Spark that materializes features")
    offline_sku: StorageSku = Field(default="Standard_LRS", description="redundancy of the offline store")
    redis: RedisSettings = RedisSettings()


class LoadTestingSettings(Block):
    enabled: bool = Field(
        default=False, description="Azure Load Testing, with an identity that may call the stack's endpoints"
    )
