"""Role assignments, each at one resource. Azure names them by GUID; ours are the same on every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import pulumi

from components.base import Placement, child


class Role(Enum):
    """Built-in roles that the platform hands out; values are Azure's role definition ids."""

    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    BLOB_DATA_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
    BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    FILE_DATA_PRIVILEGED_CONTRIBUTOR = "69566ab7-960f-475b-8e7c-b3118f30c6bd"
    NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
    QUEUE_MESSAGE_SENDER = "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a"
    KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    AZUREML_REGISTRY_USER = "1823dd4f-9b8c-4ab6-ab4e-7397a3684615"
    KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
    MONITORING_METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
    MONITORING_READER = "43d0d8ad-25c7-4714-9337-8ba259a9fe05"
    MONITORING_DATA_READER = "b0d8363b-8ddd-447d-831f-62ca05bff136"
    GRAFANA_ADMIN = "22926164-76b3-42b3-bc55-97df8dab3e41"
    GRAFANA_VIEWER = "60921a7e-fef1-4a43-9b16-a26c52ad4769"
    AZUREML_METRICS_WRITER = "635dd51f-9968-44d3-b7fb-6d9a6bd613ae"
    AZUREML_DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    NETWORK_CONNECTION_APPROVER = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea"
    KEY_VAULT_ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody of this stack who is given roles: an object id, and the resource that it comes from."""

    id: pulumi.Input[str]
    holder: pulumi.Resource


def assign(  # noqa: PLR0913  # each is a part of an assignment, and named
    name: str,
    role: Role,
    *,
    to: pulumi.Input[str],
    scope: pulumi.Input[str],
    parent: pulumi.Resource,
    place: Placement,
    holder: pulumi.Resource | None = None,
    condition: str | None = None,
) -> pulumi.Resource:
    """Give `role` at `scope` to the service principal whose object id is `to`; `condition` takes some of it away.

    `holder`: the resource that the principal comes from. An update of it leaves the principal as it is, which a preview
    can't know; a new one has another, and is assigned the role anew.
    """
    opts = held(parent, place, holder)
    return _assignment(name, role, ("ServicePrincipal", to), scope, opts, place, condition)


def held(
    parent: pulumi.Resource,
    place: Placement,
    holder: pulumi.Resource | None,
    after: Sequence[pulumi.Resource] = (),
    of: str = "principalId",
) -> pulumi.ResourceOptions:
    """Options of an assignment to the identity of `holder`; None: to somebody who is not of this stack.

    `of`: the property that has the identity's object id.
    """
    return pulumi.ResourceOptions.merge(
        child(parent, place, after=after, ignore=[of] if holder else ()),
        pulumi.ResourceOptions(replace_with=[holder] if holder else None),
    )


def assign_group(
    name: str,
    role: Role,
    *,
    to: pulumi.Input[str],
    scope: pulumi.Input[str],
    parent: pulumi.Resource,
    place: Placement,
) -> pulumi.Resource:
    """Give `role` at `scope` to the people in the Entra group whose object id is `to`."""
    return _assignment(name, role, ("Group", to), scope, child(parent, place), place, None)


def _assignment(  # noqa: PLR0913  # an assignment has as many parts
    name: str,
    role: Role,
    who: tuple[str, pulumi.Input[str]],
    scope: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    place: Placement,
    condition: str | None,
) -> pulumi.Resource:
    from pulumi_azure_native import authorization

    definition = (
        f"/subscriptions/{place.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role.value}"
    )
    assignment: pulumi.Resource = authorization.RoleAssignment(
        name,
        role_assignment_name=place.names.guid(name, role.value),
        principal_id=who[1],
        principal_type=who[0],
        role_definition_id=definition,
        scope=scope,
        condition=condition,
        condition_version="2.0" if condition else None,
        opts=opts,
    )
    return assignment


_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers"
_CHANGES = ("write", "add/action", "delete", "move/action", "permanentDelete/action", "deleteBlobVersion/action")


def no_changes_in(container: str) -> str:
    """A condition for roles on a storage account: blobs of `container` can't be changed, all others can."""
    others = " AND ".join(f"!(ActionMatches{{'{_BLOBS}/blobs/{each}'}})" for each in _CHANGES)
    return f"(({others}) OR (@Resource[{_BLOBS}:name] StringNotEquals '{container}'))"
