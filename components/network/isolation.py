"""The managed network of a workspace: where its clusters and deployments run, and what they reach from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.network.settings import NetworkSettings

if TYPE_CHECKING:
    from pulumi_azure_native import machinelearningservices as ml


def managed_network(settings: NetworkSettings) -> ml.ManagedNetworkSettingsArgs | None:
    """The workspace's argument; None leaves Azure's default, which is no isolation."""
    if settings.isolation == "Disabled":
        return None
    from pulumi_azure_native import machinelearningservices as ml

    rules = {
        rule_name(host): ml.FqdnOutboundRuleArgs(type="FQDN", destination=host, category="UserDefined")
        for host in settings.outbound_hosts
    }
    return ml.ManagedNetworkSettingsArgs(
        isolation_mode=settings.isolation,
        outbound_rules=rules or None,
        firewall_sku=settings.firewall if rules else None,
    )


def rule_name(host: str) -> str:
    """A rule's name: letters, digits and hyphens."""
    return host.replace("*", "any").replace(".", "-")
