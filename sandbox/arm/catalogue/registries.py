"""Microsoft.ContainerRegistry."""

from __future__ import annotations

from sandbox.arm.catalogue.common import made_once, now, one_of, private_keys, regenerate, versions
from sandbox.arm.catalogue.private_link import connections_to
from sandbox.arm.checks import value_at
from sandbox.arm.model import Action, Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError


def _validate(change: Change) -> None:
    one_of(change, "sku.name", value_at(change.resource.sku or {}, "name"), ("Basic", "Standard", "Premium"))
    private = change.resource.properties.get("publicNetworkAccess") == "Disabled"
    if (private or change.resource.properties.get("networkRuleSet")) and (change.resource.sku or {})[
        "name"
    ] != "Premium":
        raise AzureError(
            400,
            "FeatureNotSupported",
            f"Registry '{change.resource.name}': network rules are supported on Premium only.",
        )


def _before(change: Change) -> None:
    private_keys(change, ("password", "password2"))
    made_once(change, creationDate=now)
    sku = change.resource.sku or {}
    sku["tier"] = sku["name"]


def _computed(registry: Resource, view: View) -> Json:
    return {
        "loginServer": f"{registry.name.lower()}.azurecr.io",
        "privateEndpointConnections": connections_to(registry, view),
    }


async def _credentials(action: Action) -> Json:
    if not action.resource.properties.get("adminUserEnabled"):
        raise AzureError(
            400,
            "UnAuthorizedForCredentialOperations",
            "Cannot perform credential operations: the admin user is disabled.",
        )
    passwords = [{"name": name, "value": value} for name, value in action.resource.private["keys"].items()]
    return {"username": action.resource.name, "passwords": passwords}


TYPES = (
    ResourceType(
        name="Microsoft.ContainerRegistry/registries",
        versions=versions(
            "2019-05-01 2021-06-01-preview 2021-09-01 2021-12-01-preview 2022-02-01-preview 2022-12-01 2023-01-01-preview"
            " 2023-06-01-preview 2023-07-01 2023-08-01-preview 2023-11-01-preview 2024-11-01-preview 2025-03-01-preview"
            " 2025-04-01 2025-05-01-preview 2025-06-01-preview 2025-11-01 2026-01-01-preview 2026-03-01-preview"
        ),
        long=True,
        name_rule=(r"[a-zA-Z0-9]{5,50}", "5-50 letters and digits"),
        global_name="AlreadyInUse",
        immutable=("properties.zoneRedundancy",),
        defaults={
            "adminUserEnabled": False,
            "anonymousPullEnabled": False,
            "dataEndpointEnabled": False,
            "dataEndpointHostNames": [],
            "publicNetworkAccess": "Enabled",
            "networkRuleBypassOptions": "AzureServices",
            "zoneRedundancy": "Disabled",
        },
        validate=_validate,
        before_put=_before,
        computed=_computed,
        actions={"listCredentials": _credentials, "regenerateCredential": regenerate("name", _credentials)},
    ),
)
