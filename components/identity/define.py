"""A role of the project's own, as Azure keeps it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.identity.custom_roles import CustomRole
from components.identity.roles import Principal, held


@dataclass(frozen=True, slots=True)
class Defined:
    """A role definition. `id` is plain; whoever assigns it waits for `resource`."""

    id: str
    resource: pulumi.Resource
    place: Placement
    role: CustomRole

    def assign(
        self, name: str, *, to: Principal | str, scope: pulumi.Input[str], parent: pulumi.Resource
    ) -> pulumi.Resource:
        """Give the role at `scope` to `to`: a service principal of the stack, which the assignment follows when it is
        replaced, or the object id of a group."""
        from pulumi_azure_native import authorization

        principal = to if isinstance(to, Principal) else None
        made: pulumi.Resource = authorization.RoleAssignment(
            name,
            role_assignment_name=self.place.names.guid(name, self.role.key),
            principal_id=to.id if isinstance(to, Principal) else to,
            principal_type="ServicePrincipal" if principal else "Group",
            role_definition_id=self.id,
            scope=scope,
            opts=held(parent, self.place, principal.holder if principal else None, after=[self.resource]),
        )
        return made


def define(name: str, role: CustomRole, *, parent: pulumi.Resource, place: Placement) -> Defined:
    """The stack's own copy of `role`, assignable in its resource group only."""
    from pulumi_azure_native import authorization

    guid = place.names.guid("role", role.key)
    made = authorization.RoleDefinition(
        name,
        role_definition_id=guid,
        # A directory has each name once, and one directory may hold several stacks.
        role_name=f"{role.title} ({place.names.workload}-{place.names.stack})",
        role_type="CustomRole",
        description=role.description,
        permissions=[
            authorization.PermissionArgs(
                actions=list(role.actions),
                not_actions=[],
                data_actions=list(role.data_actions),
                not_data_actions=[],
            )
        ],
        assignable_scopes=[place.group_id],
        scope=place.group_id,
        opts=child(parent, place),
    )
    identifier = f"/subscriptions/{place.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{guid}"
    return Defined(identifier, made, place, role)
