"""Who reaches storage, vault, registry and workspace: the same decision in each service's own words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """`public`: the internet, as far as keys and roles let it. `allowed_ips`: public ranges let through though it is off."""

    public: bool = True
    allowed_ips: tuple[str, ...] = ()

    @property
    def access(self) -> str:
        """publicNetworkAccess. With ranges to let through it stays Enabled, and the firewall denies the rest."""
        return "Enabled" if self.public or self.allowed_ips else "Disabled"

    def of_storage(self) -> dict[str, Any]:
        """Arguments of a storage account; Azure's own services (diagnostics, Event Grid) keep their way in."""
        rules = {
            "bypass": "AzureServices",
            "default_action": "Allow" if self.public else "Deny",
            "ip_rules": [{"i_p_address_or_range": _bare(each), "action": "Allow"} for each in self._let_through],
        }
        return {"public_network_access": self.access, "network_rule_set": rules}

    def of_vault(self) -> dict[str, Any]:
        """Properties of a key vault."""
        rules = {
            "bypass": "AzureServices",
            "default_action": "Allow" if self.public else "Deny",
            "ip_rules": [{"value": each} for each in self._let_through],
        }
        return {"public_network_access": self.access.lower(), "network_acls": rules}

    def of_registry(self) -> dict[str, Any]:
        """Arguments of a container registry; only Premium has a firewall."""
        if self.public:
            return {}
        rules = {
            "default_action": "Deny",
            "ip_rules": [{"i_p_address_or_range": each, "action": "Allow"} for each in self._let_through],
        }
        return {
            "public_network_access": self.access,
            "network_rule_bypass_options": "AzureServices",
            "network_rule_set": rules,
        }

    @property
    def _let_through(self) -> tuple[str, ...]:
        return () if self.public else self.allowed_ips


def _bare(cidr: str) -> str:
    """Storage refuses /31 and /32: single addresses go without a prefix."""
    return cidr.removesuffix("/32")


OPEN = Reach()


def reach_of(settings: Settings) -> Reach:
    """The stack's reach."""
    return Reach(public=settings.network.public_access, allowed_ips=settings.network.allowed_ips)
