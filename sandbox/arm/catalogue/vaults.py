"""Microsoft.KeyVault: vaults and the secrets and keys that the control plane can set."""

from __future__ import annotations

from sandbox.arm.catalogue.common import new_guid, one_of, versions
from sandbox.arm.checks import value_at
from sandbox.arm.model import Change, Json, Resource, ResourceType, View

VAULT = "Microsoft.KeyVault/vaults"
VERSIONS = versions(
    "2022-07-01 2023-02-01 2023-07-01 2024-04-01-preview 2024-11-01 2024-12-01-preview 2025-05-01 2026-02-01"
    " 2026-03-01-preview"
)


def _validate(change: Change) -> None:
    one_of(
        change,
        "properties.sku.name",
        str(value_at(change.resource.properties, "sku.name")).lower(),
        ("standard", "premium"),
    )


def _computed(vault: Resource, view: View) -> Json:
    return {"vaultUri": f"https://{vault.name}.vault.azure.net/"}


def _before_secret(change: Change) -> None:
    change.resource.private["version"] = new_guid().replace("-", "")


def _computed_secret(secret: Resource, view: View) -> Json:
    uri = f"https://{secret.id.split('/')[8]}.vault.azure.net/secrets/{secret.name}"
    return {"secretUri": uri, "secretUriWithVersion": f"{uri}/{secret.private['version']}"}


def _validate_key(change: Change) -> None:
    kind, size = change.resource.properties["kty"], change.resource.properties.get("keySize", 2048)
    one_of(change, "properties.kty", kind, ("RSA", "RSA-HSM", "EC", "EC-HSM"))
    if str(kind).startswith("RSA"):
        one_of(change, "properties.keySize", size, (2048, 3072, 4096))


def _before_key(change: Change) -> None:
    """Only a new key gets a version: ARM changes the attributes of the one that is there."""
    change.resource.private.setdefault("version", new_guid().replace("-", ""))


def _computed_key(key: Resource, view: View) -> Json:
    uri = f"https://{key.id.split('/')[8]}.vault.azure.net/keys/{key.name}"
    return {"keyUri": uri, "keyUriWithVersion": f"{uri}/{key.private['version']}"}


TYPES = (
    ResourceType(
        name=VAULT,
        versions=VERSIONS,
        long=True,
        name_rule=(
            r"[a-zA-Z](?:-?[a-zA-Z0-9]){2,23}",
            "3-24 letters, digits and single dashes, starting with a letter",
        ),
        global_name="VaultAlreadyExists",
        required=("tenantId", "sku.name", "sku.family"),
        defaults={"enableSoftDelete": True, "softDeleteRetentionInDays": 90},
        immutable=("properties.softDeleteRetentionInDays",),
        validate=_validate,
        computed=_computed,
    ),
    ResourceType(
        name=f"{VAULT}/secrets",
        versions=VERSIONS,
        location="none",
        provisioned=False,
        required=("value",),
        secrets=("properties.value",),
        before_put=_before_secret,
        computed=_computed_secret,
    ),
    ResourceType(
        name=f"{VAULT}/keys",
        versions=VERSIONS,
        location="none",
        provisioned=False,
        required=("kty",),
        validate=_validate_key,
        before_put=_before_key,
        computed=_computed_key,
    ),
)
