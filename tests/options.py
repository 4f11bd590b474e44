"""Stacks with every option on: what a stack file may switch on, one block a concern."""

from __future__ import annotations

import copy
from typing import Any

from components.config import parse
from components.settings import Settings
from tests.components.mocks import stack_values

#: Blocks of the stack file, merged over the stack's own, key by key.
OPTIONS: dict[str, Any] = {
    "network": {
        "enabled": True,
        "publicAccess": False,
        "isolation": "AllowOnlyApprovedOutbound",
        "outboundHosts": ["pypi.org", "*.conda.io"],
        "allowedIps": ["20.1.2.0/24", "20.1.3.4/32"],
    },
    "registry": {"sku": "Premium"},
    "keyVault": {"purgeProtection": True},
    "encryption": {"customerManagedKey": True},
    "modelRegistry": {"create": True, "regions": ["westus"]},
    "datastores": {"raw-data": {"container": "raw-data"}},
    "dashboards": {"grafana": {"enabled": True, "admins": ["0d1b1f4e-3a57-4c5e-9f0e-2b7a6c1d9e11"]}},
    "alerts": {"sev1": {"emails": ["pager@example.com"]}, "sev2": {"webhookUrl": "https://hooks.example.com/quality"}},
    "batchEndpoints": {"churn": {"model": "churn", "cluster": "cpu"}},
    "endpoints": {"churn": {"instanceCount": 2, "scale": {"minInstances": 2, "maxInstances": 4, "latencyMs": 300}}},
    "featureStore": {"enabled": True},
    "loadTesting": {"enabled": True},
    "lockData": True,
}


def merged(base: Any, over: Any) -> Any:
    """`over` on `base`, mappings key by key."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return copy.deepcopy(over)


def every_option(stack: str) -> dict[str, Any]:
    """The raw values of the stack file of `stack` with every option on."""
    values: dict[str, Any] = merged(stack_values(stack), OPTIONS)
    return values


def settings_with_every_option(stack: str) -> Settings:
    """The same, parsed."""
    return parse(stack, every_option(stack))
