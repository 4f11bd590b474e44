"""Settings of storage, vault, registries, keys and datastores. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.cost.prices import price_book
from components.fields import Block, one_of


def _is_public_key(value: str) -> str:
    """Only its form: components do without a cryptography library; `rollout` reads the key itself."""
    lines = value.strip().splitlines()
    if len(lines) < 3 or lines[0] != "-----BEGIN PUBLIC KEY-----" or lines[-1] != "-----END PUBLIC KEY-----":
        raise ValueError("must be a PEM public key: openssl ec -in model-key.pem -pubout")
    return value.strip() + "\n"


PublicKey = Annotated[str, AfterValidator(_is_public_key)]


class StorageSettings(Block):
    sku: Annotated[str, one_of("storage SKU", tuple(price_book().storage_gb_month))] = Field(
        default="Standard_LRS", description="redundancy of the workspace's storage account"
    )
    allow_shared_key_access: bool = Field(
        default=True,
        description="account keys work; false: Entra identities only, and the workspace's datastores go by identity",
    )
    soft_delete_days: int = Field(default=7, ge=1, le=365, description="days in which a deleted blob can be had back")
    versioning: bool = Field(default=False, description="keep earlier versions of blobs")


class KeyVaultSettings(Block):
    soft_delete_days: int = Field(
        default=7, ge=7, le=90, description="days in which a deleted vault can be had back; fixed at creation"
    )
    purge_protection: bool = Field(
        default=False, description="nobody can purge the vault before that; can't be turned off again"
    )


class RegistrySettings(Block):
    sku: Literal["Basic", "Standard", "Premium"] = Field(default="Basic", description="container registry tier")


class EncryptionSettings(Block):
    customer_managed_key: bool = Field(
        default=False,
        description="storage and workspace are encrypted with a key of the stack's own vault; fixed at the workspace's creation",
    )
    key_size: Literal[2048, 3072, 4096] = Field(default=3072, description="bits of the RSA key")
    rotate_after_days: int = Field(default=365, ge=30, le=730, description="days until the vault makes a new version")


class ModelRegistrySettings(Block):
    """The registry that models are promoted through: one stack creates it, the others name it."""

    create: bool = Field(default=False, description="this stack owns the registry")
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")] | None = Field(
        default=None, description="registry name; needed to use another stack's, none: made from the workload"
    )
    resource_group: str | None = Field(default=None, description="its resource group, where another stack owns it")
    regions: tuple[str, ...] = Field(
        default=(), description="regions that keep copies, besides the stack's own; only with `create`"
    )

    @property
    def used(self) -> bool:
        """The stack has to do with a registry at all."""
        return self.create or self.name is not None


class ModelTrustSettings(Block):
    """Whose signatures on models count. The keys are made outside: `openssl ecparam -name prime256v1 -genkey`."""

    require_signed: bool | None = Field(
        default=None, description="deploy no model that none of `publicKeys` signed; none: true in prod only"
    )
    public_keys: tuple[PublicKey, ...] = Field(
        default=(), description="PEM public keys (elliptic curve) whose signatures count; two while one is replaced"
    )
    key_secret: Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,127}$")] | None = Field(
        default=None, description="secret of the stack's key vault that holds the signing key; put it there yourself"
    )

    def required_in(self, environment: str) -> bool:
        """Whether the stack of this environment asks for signatures."""
        return environment == "prod" if self.require_signed is None else self.require_signed


class DatastoreSettings(Block):
    container: Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9])+$", min_length=3, max_length=63)] = Field(
        description="blob container of the stack's storage account; made with the datastore"
    )
    description: str = Field(default="", max_length=250, description="shown in the studio")
