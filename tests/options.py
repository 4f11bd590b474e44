"""Stacks with every option on: what a stack file may switch on, one block a concern."""

from __future__ import annotations

import copy
from typing import Any

from components.config import parse
from components.settings import Settings
from tests.components.mocks import stack_values

#: Nobody has its other half.
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEK3p64rE5uJCADXBaS9CfRhc4yf+W
oRMRWDJ2lmBR1MOpZ9ZIIh05v+iJm19rh9mecfWOyQm9BukThXZv4iXklQ==
-----END PUBLIC KEY-----
"""

#: Blocks of the stack file, merged over the stack's own, key by key.
OPTIONS: dict[str, Any] = {
    "network": {
        "enabled": True,
        "publicAccess": False,
        "isolation": "AllowOnlyApprovedOutbound",
        "outboundHosts": ["pypi.org", "*.conda.io"],
        "allowedIps": ["20.1.2.0/24", "20.1.3.4/32"],
        "subnets": {"gateway": "10.20.34.0/24"},
    },
    "registry": {"sku": "Premium"},
    "keyVault": {"purgeProtection": True},
    "encryption": {"customerManagedKey": True},
    "modelRegistry": {"create": True, "regions": ["westus"]},
    "modelTrust": {"requireSigned": True, "publicKeys": [PUBLIC_KEY], "keySecret": "model-signing-key"},
    "datastores": {"raw-data": {"container": "raw-data"}},
    "functions": {"enabled": True, "delivery": "github", "repository": "example/azureml-rollouts", "tickMinutes": 1},
    "dashboards": {"grafana": {"enabled": True, "admins": ["0d1b1f4e-3a57-4c5e-9f0e-2b7a6c1d9e11"]}},
    "alerts": {"sev1": {"emails": ["pager@example.com"]}, "sev2": {"webhookUrl": "https://hooks.example.com/quality"}},
    "batchEndpoints": {"churn": {"model": "churn", "cluster": "cpu"}},
    "endpoints": {
        "intent": {
            "model": "intent",
            "compute": "kubernetes",
            "instanceType": "standard",
            "instanceCount": 2,
            "resources": {"cpu": "1", "memory": "2Gi", "cpuLimit": "2", "memoryLimit": "4Gi"},
            "scale": {"minInstances": 2, "maxInstances": 6},
            "policy": {"approversRequired": 1},
        },
        "churn": {
            "instanceCount": 2,
            "scale": {"minInstances": 2, "maxInstances": 4, "latencyMs": 300},
            "authMode": "AADToken",
            "publicNetworkAccess": False,
        },
    },
    "kubernetes": {
        "enabled": True,
        "tier": "Standard",
        "privateCluster": True,
        "defender": True,
        "pools": {"user": {"minNodes": 3, "maxNodes": 6}, "gpu": {"maxNodes": 2, "nodeHoursPerMonth": 20}},
        "instanceTypes": {"standard": {"cpu": "2", "memory": "4Gi"}, "gpu": {"cpu": "3", "memory": "20Gi", "gpus": 1}},
        "extension": {"tlsSecret": "router-tls", "tlsName": "models.example.com"},
    },
    "featureStore": {"enabled": True},
    "loadTesting": {"enabled": True},
    # the gateway lets callers of two countries in
    "availabilityTest": {"enabled": True, "locations": ["us-va-ash-azr", "us-il-ch1-azr", "us-ca-sjc-azr"]},
    "lockData": True,
    "costExport": {"enabled": True},
    "offHours": {"enabled": True, "timeZone": "Europe/Berlin"},
    "gateway": {
        "enabled": True,
        "frontDoor": {"hostName": "scoring.example.com", "allowedCountries": ["DE", "US"]},
        "apiManagement": {
            "sku": "StandardV2",
            "publisherEmail": "mlops@example.com",
            "tokens": {"audiences": ["api://scoring"], "clientIds": ["33333333-2222-3333-4444-555555555555"]},
        },
        "endpoints": {"churn": {"predictionCacheSeconds": 60}},
    },
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
