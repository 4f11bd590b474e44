"""Azure's built-in roles that the project assigns, with their real ids and actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

DEFINITION_TYPE = "Microsoft.Authorization/roleDefinitions"
_READ = "*/read"
_AUTHORIZATION_READ = "Microsoft.Authorization/*/read"
_GROUP_READ = "Microsoft.Resources/subscriptions/resourceGroups/read"


@dataclass(frozen=True, slots=True)
class BuiltInRole:
    """One role; `actions` are the control plane's, `data_actions` the services' own."""

    guid: str
    name: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()

    def permissions(self) -> list[dict[str, Any]]:
        return [
            {
                "actions": list(self.actions),
                "notActions": list(self.not_actions),
                "dataActions": list(self.data_actions),
                "notDataActions": [],
            }
        ]


_BLOBS = "Microsoft.Storage/storageAccounts/blobServices"
BUILT_IN = (
    BuiltInRole("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner", ("*",)),
    BuiltInRole(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        ("*",),
        (
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ),
    ),
    BuiltInRole("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", (_READ,)),
    BuiltInRole(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        (_READ, "Microsoft.Authorization/*"),
    ),
    BuiltInRole(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Storage Blob Data Contributor",
        (
            f"{_BLOBS}/containers/delete",
            f"{_BLOBS}/containers/read",
            f"{_BLOBS}/containers/write",
            f"{_BLOBS}/generateUserDelegationKey/action",
        ),
        (),
        (f"{_BLOBS}/containers/blobs/*",),
    ),
    BuiltInRole(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        "Storage Blob Data Reader",
        (f"{_BLOBS}/containers/read", f"{_BLOBS}/generateUserDelegationKey/action"),
        (),
        (f"{_BLOBS}/containers/blobs/read",),
    ),
    BuiltInRole(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Storage Blob Data Owner",
        (f"{_BLOBS}/containers/*", f"{_BLOBS}/generateUserDelegationKey/action"),
        (),
        (f"{_BLOBS}/containers/blobs/*",),
    ),
    BuiltInRole(
        "69566ab7-960f-475b-8e7c-b3118f30c6bd",
        "Storage File Data Privileged Contributor",
        (),
        (),
        ("Microsoft.Storage/storageAccounts/fileServices/fileShares/files/*",),
    ),
    BuiltInRole(
        "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
        "Storage Queue Data Message Sender",
        (),
        (),
        ("Microsoft.Storage/storageAccounts/queueServices/queues/messages/add/action",),
    ),
    BuiltInRole(
        "f6c7c914-8db3-469d-8ca1-694a8f32e121",
        "AzureML Data Scientist",
        (
            "Microsoft.MachineLearningServices/workspaces/*/read",
            "Microsoft.MachineLearningServices/workspaces/*/action",
            "Microsoft.MachineLearningServices/workspaces/*/delete",
            "Microsoft.MachineLearningServices/workspaces/*/write",
        ),
        (
            "Microsoft.MachineLearningServices/workspaces/delete",
            "Microsoft.MachineLearningServices/workspaces/write",
            "Microsoft.MachineLearningServices/workspaces/computes/*/write",
            "Microsoft.MachineLearningServices/workspaces/computes/*/delete",
            "Microsoft.MachineLearningServices/workspaces/computes/listKeys/action",
            "Microsoft.MachineLearningServices/workspaces/listKeys/action",
        ),
    ),
    BuiltInRole(
        "635dd51f-9968-44d3-b7fb-6d9a6bd613ae",
        "AzureML Metrics Writer (preview)",
        ("Microsoft.MachineLearningServices/workspaces/metrics/*/write",),
    ),
    BuiltInRole(
        "4d97b98b-1d4f-4787-a291-c67834d212e7",
        "Network Contributor",
        ("Microsoft.Network/*", _AUTHORIZATION_READ, _GROUP_READ),
    ),
    BuiltInRole(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d", "AcrPull", ("Microsoft.ContainerRegistry/registries/pull/read",)
    ),
    BuiltInRole(
        "8311e382-0749-4cb8-b61a-304f252e45ec",
        "AcrPush",
        ("Microsoft.ContainerRegistry/registries/pull/read", "Microsoft.ContainerRegistry/registries/push/write"),
    ),
    BuiltInRole(
        "4633458b-17de-408a-b874-0445c86b69e6",
        "Key Vault Secrets User",
        (),
        (),
        ("Microsoft.KeyVault/vaults/secrets/getSecret/action",),
    ),
    BuiltInRole(
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "Key Vault Secrets Officer",
        ("Microsoft.KeyVault/vaults/read", _AUTHORIZATION_READ),
        (),
        ("Microsoft.KeyVault/vaults/secrets/*",),
    ),
    BuiltInRole(
        "e147488a-f6f5-4113-8e2d-b22465e65bf6",
        "Key Vault Crypto Service Encryption User",
        (
            "Microsoft.EventGrid/eventSubscriptions/write",
            "Microsoft.EventGrid/eventSubscriptions/read",
            "Microsoft.EventGrid/eventSubscriptions/delete",
        ),
        (),
        (
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
        ),
    ),
    BuiltInRole(
        "1823dd4f-9b8c-4ab6-ab4e-7397a3684615",
        "AzureML Registry User",
        (
            "Microsoft.MachineLearningServices/registries/read",
            "Microsoft.MachineLearningServices/registries/assets/*",
        ),
    ),
    BuiltInRole(
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        "Key Vault Administrator",
        ("Microsoft.KeyVault/vaults/read", _AUTHORIZATION_READ),
        (),
        ("Microsoft.KeyVault/vaults/*",),
    ),
    BuiltInRole(
        "b556d68e-0be0-4f35-a333-ad7ee1ce17ea",
        "Azure AI Enterprise Network Connection Approver",
        (
            "Microsoft.MachineLearningServices/workspaces/privateEndpointConnectionsApproval/action",
            "Microsoft.Storage/storageAccounts/privateEndpointConnectionsApproval/action",
            "Microsoft.Cache/redisEnterprise/privateEndpointConnectionsApproval/action",
        ),
    ),
    BuiltInRole(
        "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
        "Monitoring Reader",
        (_READ, "Microsoft.OperationalInsights/workspaces/search/action"),
    ),
    BuiltInRole(
        "b0d8363b-8ddd-447d-831f-62ca05bff136",
        "Monitoring Data Reader",
        (),
        (),
        ("Microsoft.Monitor/accounts/data/metrics/read",),
    ),
    BuiltInRole(
        "22926164-76b3-42b3-bc55-97df8dab3e41",
        "Grafana Admin",
        (),
        (),
        ("Microsoft.Dashboard/grafana/ActAsGrafanaAdmin/action",),
    ),
    BuiltInRole(
        "60921a7e-fef1-4a43-9b16-a26c52ad4769",
        "Grafana Viewer",
        (),
        (),
        ("Microsoft.Dashboard/grafana/ActAsGrafanaViewer/action",),
    ),
    BuiltInRole(
        "3913510d-42f4-4e42-8a64-420c390055eb",
        "Monitoring Metrics Publisher",
        ("Microsoft.Insights/Register/Action", _GROUP_READ),
        (),
        ("Microsoft.Insights/Metrics/Write",),
    ),
    BuiltInRole(
        "73c42c96-874c-492b-b04d-ab87d138a893",
        "Log Analytics Reader",
        (_READ, "Microsoft.OperationalInsights/workspaces/analytics/query/action"),
    ),
    BuiltInRole(
        "d5a91429-5739-47e2-a06b-3470a27159e7",
        "EventGrid Data Sender",
        (_AUTHORIZATION_READ, "Microsoft.EventGrid/topics/read", _GROUP_READ),
        (),
        ("Microsoft.EventGrid/events/send/action",),
    ),
)


def built_in(guid: str) -> BuiltInRole | None:
    return next((role for role in BUILT_IN if role.guid == guid.lower()), None)


def permissions_of(arm: ArmState, role_definition_id: str) -> list[dict[str, Any]]:
    """What the role allows; nothing for a role that does not exist."""
    guid = role_definition_id.rstrip("/").rsplit("/", 1)[-1]
    if (role := built_in(guid)) is not None:
        return role.permissions()
    for custom in arm.of_type(DEFINITION_TYPE):
        if custom.name.lower() == guid.lower():
            return list(custom.properties.get("permissions", []))
    return []


def role_exists(arm: ArmState, role_definition_id: str) -> bool:
    guid = role_definition_id.rstrip("/").rsplit("/", 1)[-1].lower()
    return built_in(guid) is not None or any(role.name.lower() == guid for role in arm.of_type(DEFINITION_TYPE))
