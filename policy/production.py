"""Rules on the whole of a prod stack: what must be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policy.model import UNKNOWN, Finding, Resource, StackRule, at, listed

LEAST_INSTANCES = 2
#: What a private endpoint connects to, by Azure's group id.
_PRIVATE = ("amlworkspace", "blob", "vault", "registry")
_PRECIOUS = (
    "resources:ResourceGroup",
    "storage:StorageAccount",
    "keyvault:Vault",
    "machinelearningservices:Workspace",
    "machinelearningservices:OnlineEndpoint",
)
#: What has to write down its use, and how it is told in an ARM id.
_AUDITED = {
    "keyvault:Vault": "/microsoft.keyvault/vaults/",
    "storage:StorageAccount": "/microsoft.storage/storageaccounts/",
    "machinelearningservices:Workspace": r"/microsoft.machinelearningservices/workspaces/[^/]+$",  # an endpoint's own is another
    "containerregistry:Registry": "/microsoft.containerregistry/registries/",
}
_RECEIVERS = (
    "emailReceivers", "webhookReceivers", "smsReceivers", "azureFunctionReceivers", "logicAppReceivers",
    "armRoleReceivers", "eventHubReceivers",
)  # fmt: skip
_LOCKS = (
    "authorization:ManagementLockByScope",
    "authorization:ManagementLockAtResourceGroupLevel",
    "authorization:ManagementLockAtResourceLevel",
)


def _of(resources: Sequence[Resource], *types: str) -> list[Resource]:
    return [each for each in resources if each.type in types]


def budget(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Someone hears of it when money runs out."""
    if not any(at(each.props, "notifications") for each in _of(resources, "consumption:Budget")):
        yield Finding("no budget with notifications; set `budget.enabled: true` and `budget.notifyAt`")


def alerts(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Someone is told when it fails."""
    rules = _of(resources, "monitor:MetricAlert", "monitor:ScheduledQueryRule")
    if _of(resources, "machinelearningservices:OnlineEndpoint") and not any(
        at(each.props, "enabled") is not False and at(each.props, "actions") for each in rules
    ):
        yield Finding("no alert rule with an action group; set `alerts.enabled: true`")


def action_groups(resources: Sequence[Resource]) -> Iterator[Finding]:
    """An alert that nobody is told of is none."""
    for each in _of(resources, "monitor:ActionGroup"):
        lists = [at(each.props, name) for name in _RECEIVERS]
        if at(each.props, "enabled") is False or not any(each is UNKNOWN or each for each in lists):
            yield Finding(f"{each.name} tells nobody; set `alerts.emails` or `alerts.webhookUrl`", each.urn)


def audited(resources: Sequence[Resource]) -> Iterator[Finding]:
    """It can be found out who read what: each kind that holds data or secrets has a diagnostic setting."""
    targets = [at(each.props, "resourceUri") for each in _of(resources, "monitor:DiagnosticSetting")]
    if any(target is UNKNOWN or target is None for target in targets):
        return  # ids are known after the first update, and left out before; then the rule looks
    for type_, provider in _AUDITED.items():
        if _of(resources, type_) and not any(re.search(provider, str(target).lower()) for target in targets):
            yield Finding(f"no diagnostic setting for {type_}; set `logs.audit: true`")


def two_instances(resources: Sequence[Resource]) -> Iterator[Finding]:
    """One machine fails, the other serves."""
    for stack in _of(resources, "pulumi:pulumi:Stack"):
        counts = at(stack.props, "endpoint_instance_counts")
        if counts is UNKNOWN:
            continue
        if not counts:
            if _of(resources, "machinelearningservices:OnlineEndpoint"):
                yield Finding("output endpoint_instance_counts is missing: it says how many machines a deployment has")
            continue
        for name, count in counts.items():
            if count is not UNKNOWN and count < LEAST_INSTANCES:
                yield Finding(f"endpoint {name}: {count:g} instance; set `endpoints.{name}.instanceCount` to 2 or more")


def private_endpoints(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Workspace, blobs, vault and registry are reached inside the network."""
    if not _of(resources, "machinelearningservices:Workspace"):
        return
    found: set[str] = set()
    for each in _of(resources, "network:PrivateEndpoint"):
        for connection in listed(at(each.props, "privateLinkServiceConnections")):
            found |= {group for group in listed(at(connection, "groupIds")) if isinstance(group, str)}
    missing = [group for group in _PRIVATE if group not in found]
    if missing:
        yield Finding(f"no private endpoint for: {', '.join(missing)}")


def firewall(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Every name of Front Door is behind a firewall."""
    doors = _of(resources, "cdn:AFDEndpoint", "cdn:AFDCustomDomain")
    guarded = [
        listed(at(association, "domains"))
        for each in _of(resources, "cdn:SecurityPolicy")
        for association in listed(at(each.props, "parameters.associations"))
    ]
    if doors and sum(len(domains) for domains in guarded) < len(doors):
        yield Finding("Front Door has a name without a firewall; add it to the security policy's domains")


def lock(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Nobody deletes prod in the portal."""
    levels = {at(each.props, "level") for each in _of(resources, *_LOCKS)}
    if not levels & {"CanNotDelete", "ReadOnly"}:
        yield Finding("no lock with level CanNotDelete on what holds data")


def protected(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Pulumi refuses to delete or replace what holds data or serves."""
    for each in _of(resources, *_PRECIOUS):
        if not each.protect:
            yield Finding(f"{each.name} is not protected; set `protectData: true`", each.urn)


RULES = (
    StackRule(name="prod-budget", description="Prod has a budget.", check=budget, prod_only=True),
    StackRule(name="prod-alerts", description="Prod has alerts.", check=alerts, prod_only=True),
    StackRule(
        name="prod-action-groups", description="Prod's alerts tell somebody.", check=action_groups, prod_only=True
    ),
    StackRule(name="prod-audited", description="Prod's services write down their use.", check=audited, prod_only=True),
    StackRule(name="prod-two-instances", description="Prod serves from two machines.", check=two_instances, prod_only=True),
    StackRule(
        name="prod-private-endpoints",
        description="Prod is reached through private endpoints.",
        check=private_endpoints,
        prod_only=True,
    ),
    StackRule(name="prod-firewall", description="Prod's Front Door is behind a firewall.", check=firewall, prod_only=True),
    StackRule(name="prod-lock", description="Prod has a lock.", check=lock, prod_only=True),
    StackRule(name="prod-protected", description="Prod's data is protected.", check=protected, prod_only=True),
)  # fmt: skip
