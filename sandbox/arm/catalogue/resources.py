"""Microsoft.Resources."""

from __future__ import annotations

from sandbox.arm.catalogue.common import versions
from sandbox.arm.ids import GROUP_TYPE
from sandbox.arm.model import ResourceType

TYPES = (
    ResourceType(
        name=GROUP_TYPE,
        versions=versions(
            "2019-10-01 2020-06-01 2020-10-01 2021-01-01 2021-04-01 2022-09-01 2022-12-01 2023-07-01 2024-03-01 2024-07-01"
            " 2024-11-01 2025-03-01 2025-04-01"
        ),
        scopes=frozenset({"subscription"}),
        keys=frozenset({"managedBy"}),
        long_delete=True,
        name_rule=(r"[-\w._()]{0,89}[-\w_()]", "1-90 letters, digits, . _ - ( ), not ending with a dot"),
    ),
)
