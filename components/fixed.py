"""What Azure fixes when it makes a thing: a stack that is up can't have it otherwise, and is told so before any resource.

Azure would refuse the update half-way, or a replacement would take the data with it. `problems_of_fixed` is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from components.config_errors import LOCATION_KEY, Problem, SettingsError
from components.naming import Names
from components.serving.live_traffic import is_absent
from components.settings import Settings

#: The managed network goes from left to right only.
_ISOLATION = ("Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound")


@dataclass(frozen=True, kw_only=True, slots=True)
class Existing:
    """What there is of the stack; None: not made yet."""

    region: str | None = None
    soft_delete_days: int | None = None
    encrypted: bool | None = None
    isolation: str | None = None


def refuse_fixed(settings: Settings, names: Names) -> None:
    """`SettingsError` with every setting that what exists can't follow."""
    if found := list(problems_of_fixed(settings, existing(settings, names))):
        raise SettingsError(settings.stack, found)


def problems_of_fixed(settings: Settings, there: Existing) -> Iterator[Problem]:
    """Each names what it was made with, and the way out."""
    if there.region is not None and _plain(there.region) != _plain(settings.location):
        allowed = (
            f"{_plain(there.region)}, where the stack's resource group is: nothing moves to another region. Another stack there:"
            " pulumi stack init; or, with all its data lost: pulumi destroy, purge the vault, pulumi up"
        )
        yield Problem(LOCATION_KEY, settings.location, allowed)
    days, wanted = there.soft_delete_days, settings.key_vault.soft_delete_days
    if days is not None and days != wanted:
        yield Problem(
            "keyVault.softDeleteDays", wanted, f"{days}, which the vault was made with; Azure never changes it"
        )
    key = settings.encryption.customer_managed_key
    if there.encrypted is not None and there.encrypted != key:
        allowed = f"{str(there.encrypted).lower()}, as the workspace was made; with a key of your own it has to be a new stack"
        yield Problem("encryption.customerManagedKey", key, allowed)
    if there.isolation in _ISOLATION and _ISOLATION.index(there.isolation) > _ISOLATION.index(
        settings.network.isolation
    ):
        allowed = f"{there.isolation}, or stricter: the workspace's managed network can't be loosened again"
        yield Problem("network.isolation", settings.network.isolation, allowed)


def existing(settings: Settings, names: Names) -> Existing:
    """Reads group, vault and workspace; a stack that is not up costs one call."""
    from pulumi_azure_native import keyvault, resources
    from pulumi_azure_native import machinelearningservices as ml

    group = settings.resource_group or names.of("resource group")
    there = _read(lambda: resources.get_resource_group(resource_group_name=group))
    if there is None:
        return Existing()
    vault_name, workspace_name = names.of("key vault"), names.of("machine learning workspace")
    vault = _read(lambda: keyvault.get_vault(resource_group_name=group, vault_name=vault_name))
    workspace = _read(lambda: ml.get_workspace(resource_group_name=group, workspace_name=workspace_name))
    network = workspace.managed_network if workspace else None
    return Existing(
        region=there.location,
        soft_delete_days=vault.properties.soft_delete_retention_in_days if vault else None,
        encrypted=bool(workspace.encryption) if workspace else None,
        isolation=network.isolation_mode if network else None,
    )


def _read(ask: Callable[[], Any]) -> Any:
    """None when it is not there; any other error is not an answer."""
    try:
        return ask()
    except Exception as error:  # Pulumi raises plain Exception for a failed invoke
        if is_absent(str(error)):
            return None
        raise


def _plain(region: str) -> str:
    return region.lower().replace(" ", "")
