"""What the settings of endpoints need of each other. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from components.config_errors import Problem
from components.settings import Settings


def problems_of_serving(settings: Settings) -> Iterator[Problem]:
    """Every problem of these blocks that needs more than one value to be seen."""
    yield from _scales(settings)
    yield from _batch(settings)
    online, batch = settings.endpoints.values(), settings.batch_endpoints.values()
    names = [name for name in (*(each.name for each in online), *(each.name for each in batch)) if name]
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem("endpoints.*.name", name, f"{count} endpoints have this name; each needs its own")


def _scales(settings: Settings) -> Iterator[Problem]:
    for use_case, endpoint in settings.endpoints.items():
        scale, key = endpoint.scale, f"endpoints.{use_case}"
        if scale is None:
            continue
        if not scale.min_instances <= endpoint.instance_count <= scale.max_instances:
            allowed = f"{scale.min_instances} to {scale.max_instances}, the range of {key}.scale"
            yield Problem(f"{key}.instanceCount", endpoint.instance_count, allowed)
        if settings.environment == "prod" and scale.min_instances < 2:
            yield Problem(
                f"{key}.scale.minInstances", scale.min_instances, "prod needs 2 or more, so that one may fail"
            )


def _batch(settings: Settings) -> Iterator[Problem]:
    for use_case, endpoint in settings.batch_endpoints.items():
        key = f"batchEndpoints.{use_case}"
        cluster = settings.clusters.get(endpoint.cluster)
        if cluster is None:
            allowed = f"a cluster of this stack: {', '.join(sorted(settings.clusters)) or 'it has none'}"
            yield Problem(f"{key}.cluster", endpoint.cluster, allowed)
        elif endpoint.instances > cluster.max_nodes:
            allowed = f"at most clusters.{endpoint.cluster}.maxNodes ({cluster.max_nodes})"
            yield Problem(f"{key}.instances", endpoint.instances, allowed)
