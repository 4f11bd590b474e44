"""What `rollout` measures and the alerts read: custom metrics of Application Insights, table `AppMetrics`.

Whoever writes one gives every value the properties of its metric, as texts. The queries in
`components/observability/queries` read these names; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Properties (Application Insights' custom dimensions).
ENDPOINT, DEPLOYMENT, MODEL = "endpoint", "deployment", "model"


@dataclass(frozen=True, slots=True)
class Metric:
    """A custom metric: its name, what a value says, and the properties that come with it."""

    name: str
    says: str
    properties: tuple[str, ...]


ACCURACY_DROP = Metric(
    "rollouts.accuracy_drop",
    "accuracy at release less accuracy on the labels that have come in since; 0.05 is 5 points lost",
    (ENDPOINT, DEPLOYMENT, MODEL),
)
DRIFTING_FEATURES = Metric(
    "rollouts.drifting_features",
    "share of the model's features whose distribution left that of training; 0 to 1",
    (ENDPOINT, DEPLOYMENT, MODEL),
)
EXPECTED_WEIGHT = Metric(
    "rollouts.expected_weight",
    "percent of live traffic that the deployment was last given and was read back with; 0 for one with none",
    (ENDPOINT, DEPLOYMENT),
)
METRICS = (ACCURACY_DROP, DRIFTING_FEATURES, EXPECTED_WEIGHT)
