"""Identities of what runs: one for each thing that has rights of its own, with its roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.roles import Principal, Role, assign


@dataclass(frozen=True, slots=True)
class Grant:
    """One role at one resource. `what` tells grants apart in names."""

    what: str
    role: Role
    scope: pulumi.Input[str]
    condition: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedIdentity:
    """A user-assigned identity. `ready`: it and its roles, which whoever runs as it waits for.

    `plain_id` is `id`, known before it exists.
    """

    id: pulumi.Output[str]
    plain_id: str
    principal_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    @property
    def principal(self) -> Principal:
        """For those that give it a role."""
        return Principal(self.principal_id, self.ready[0])


def user_assigned(name: str, *, whose: str, parent: pulumi.Resource, place: Placement) -> Any:
    """The identity alone, named after `whose`."""
    from pulumi_azure_native import managedidentity

    return managedidentity.UserAssignedIdentity(
        name,
        resource_name_=place.names.of("managed identity", whose),
        resource_group_name=place.resource_group,
        location=place.location,
        tags=place.tags,
        opts=child(parent, place),
    )


def managed_identity(
    name: str, *, whose: str, parent: pulumi.Resource, place: Placement, grants: Sequence[Grant]
) -> ManagedIdentity:
    """An identity named after `whose`, and its grants."""
    identity = user_assigned(name, whose=whose, parent=parent, place=place)
    roles = [
        assign(
            f"{name}-{grant.what}-{grant.role.name.lower().replace('_', '-')}",
            grant.role,
            to=identity.principal_id,
            scope=grant.scope,
            parent=parent,
            place=place,
            holder=identity,
            condition=grant.condition,
        )
        for grant in grants
    ]
    resource_name = place.names.of("managed identity", whose)
    return ManagedIdentity(
        id=identity.id,
        plain_id=f"{place.group_id}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resource_name}",
        principal_id=identity.principal_id,
        client_id=identity.client_id,
        ready=(identity, *roles),
    )
