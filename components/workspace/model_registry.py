"""The ML registry that models are promoted through: the bytes that were tested in dev are what prod serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.roles import Role, assign
from components.network.reach import Reach
from components.workspace.settings import ModelRegistrySettings

_TYPE = "Microsoft.MachineLearningServices/registries"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRegistryArgs:
    place: Placement
    settings: ModelRegistrySettings
    reach: Reach
    #: The workspace's identity, and its object id: it may read and publish models.
    holder: pulumi.Resource
    principal_id: pulumi.Input[str]


class ModelRegistry(pulumi.ComponentResource):
    """The stack's own registry, or another stack's by name. Outputs: `registry_id`, `registry_name`."""

    registry_id: pulumi.Output[str]
    registry_name: str

    def __init__(self, name: str, args: ModelRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:ModelRegistry", name, None, opts)
        self._name, self._args = name, args
        self.registry_name = args.settings.name or args.place.names.of("model registry")
        self.registry_id = self._build() if args.settings.create else pulumi.Output.from_input(self._elsewhere())
        assign(
            f"{name}-user",
            Role.AZUREML_REGISTRY_USER,
            to=args.principal_id,
            scope=self.registry_id,
            parent=self,
            place=args.place,
            holder=args.holder,
        )
        self.register_outputs({"registry_id": self.registry_id})

    def document(self) -> dict[str, Any]:
        """The contract's `ModelRegistry`."""
        settings, place = self._args.settings, self._args.place
        return {
            "name": self.registry_name,
            "id": self.registry_id,
            "resource_group": place.resource_group if settings.create else settings.resource_group,
            "owned": settings.create,
        }

    def _elsewhere(self) -> str:
        place, settings = self._args.place, self._args.settings
        group = f"/subscriptions/{place.subscription_id}/resourceGroups/{settings.resource_group}"
        return f"{group}/providers/{_TYPE}/{self.registry_name}"

    def _build(self) -> pulumi.Output[str]:
        from pulumi_azure_native import machinelearningservices as ml

        place = self._args.place
        registry = ml.Registry(
            self._name,
            registry_name=self.registry_name,
            resource_group_name=place.resource_group,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(type="SystemAssigned"),
            # a registry has no firewall of addresses: on or off
            public_network_access="Enabled" if self._args.reach.public else "Disabled",
            region_details=[_region(each) for each in (place.location, *self._args.settings.regions)],
            tags=place.tags,
            opts=child(self, place, precious=True),
        )
        identifier: pulumi.Output[str] = registry.id
        return identifier


def _region(location: str) -> Any:
    from pulumi_azure_native import machinelearningservices as ml

    return ml.RegistryRegionArmDetailsArgs(
        location=location,
        acr_details=[
            ml.AcrDetailsArgs(system_created_acr_account=ml.SystemCreatedAcrAccountArgs(acr_account_sku="Premium"))
        ],
        storage_account_details=[
            ml.StorageAccountDetailsArgs(
                system_created_storage_account=ml.SystemCreatedStorageAccountArgs(
                    storage_account_type="Standard_LRS",
                    storage_account_hns_enabled=False,
                    allow_blob_public_access=False,
                )
            )
        ],
    )
