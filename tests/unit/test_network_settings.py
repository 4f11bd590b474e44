"""Wrong network settings are told before anything is made; each names key, value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config import SettingsError, parse
from components.cost.prices import price_book
from components.network.costs import model_registry_lines, network_lines
from tests.components.mocks import settings_of, stack_values
from tests.wrong_settings import refused

OPEN = {"enabled": True, "publicAccess": True}
PREMIUM = {"sku": "Premium"}
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("dev", {"network": {"addressSpace": "10.20.0.0"}}, "network.subnets.compute", "inside network.addressSpace"),
    ("dev", {"network": {"addressSpace": "10.20.0.1/16"}}, "network.addressSpace = '10.20.0.1/16'", "host bits"),
    ("dev", {"network": {"addressSpace": "8.8.0.0/16"}}, "network.addressSpace = '8.8.0.0/16'", "private range"),
    ("dev", {"network": {"subnets": {"aks": "10.20.8.0/21"}}}, "network.subnets.aks = '10.20.8.0/21'", "overlaps network.subnets.compute"),
    ("dev", {"network": {"subnets": {"aks": "10.21.0.0/20"}}}, "network.subnets.aks = '10.21.0.0/20'", "10.20.0.0/16"),
    ("dev", {"network": {"subnets": {"endpoints": "10.20.32.0/30"}}}, "network.subnets.endpoints", "smallest subnet is a /29"),
    ("dev", {"network": {"publicAccess": False}}, "network.publicAccess = False", "needs network.enabled"),
    ("dev", {"network": OPEN}, "registry.sku = 'Basic'", "need Premium"),
    ("dev", {"network": {"allowedIps": ["20.1.2.0/24"]}}, "network.allowedIps", "only with network.publicAccess: false"),
    ("dev", {"network": {"allowedIps": ["10.1.2.0/24"]}}, "network.allowedIps.0", "public addresses only"),
    ("dev", {"network": {"outboundHosts": ["pypi.org"]}}, "network.outboundHosts", "AllowOnlyApprovedOutbound, which is Disabled"),
    ("dev", {"network": {"isolation": "Total"}}, "network.isolation = 'Total'", "'AllowOnlyApprovedOutbound'"),
    ("dev", {"network": {"isolaton": "Disabled"}}, "network.isolaton", "did you mean 'isolation'?"),
    ("dev", {"encryption": {"customerManagedKey": True}}, "encryption.customerManagedKey = True", "keyVault.purgeProtection"),
    ("dev", {"encryption": {"keySize": 1024}}, "encryption.keySize = 1024", "2048, 3072 or 4096"),
    ("dev", {"modelRegistry": {"name": "shared"}}, "modelRegistry.resourceGroup", "is missing"),
    ("dev", {"modelRegistry": {"create": True, "resourceGroup": "x"}}, "modelRegistry.resourceGroup = 'x'", "another stack's"),
    ("dev", {"modelRegistry": {"create": True, "regions": ["mars"]}}, "modelRegistry.regions = 'mars'", "unknown Azure region"),
    ("dev", {"modelRegistry": {"regions": ["westus"]}}, "modelRegistry.regions", "only with modelRegistry.create"),
    ("dev", {"datastores": {"raw": {"container": "rollout-journal"}}}, "datastores.raw.container", "the platform's own"),
    ("dev", {"datastores": {"raw": {"container": "Raw"}}}, "datastores.raw.container = 'Raw'", "match pattern"),
    ("prod", {"network": {"enabled": False}}, "network.enabled = False", "prod needs true"),
    ("prod", {"network": OPEN}, "network.publicAccess = True", "prod needs false"),
]  # fmt: skip


@pytest.mark.parametrize(("stack", "change", "key", "allowed"), WRONG, ids=[key for _, _, key, _ in WRONG])
def test_a_wrong_setting_is_named_with_what_is_allowed(
    stack: str, change: dict[str, Any], key: str, allowed: str
) -> None:
    refused(stack, {**stack_values(stack), **change}, key, allowed)


def test_two_datastores_do_not_share_a_container() -> None:
    stores = {"raw": {"container": "data"}, "clean": {"container": "data"}}
    with pytest.raises(SettingsError, match="2 datastores have it"):
        parse("dev", {**stack_values("dev"), "datastores": stores})


@given(st.integers(0, 15), st.integers(0, 15), st.integers(20, 24), st.integers(20, 24))
def test_two_subnets_are_taken_exactly_when_they_share_no_address(a: int, b: int, bits: int, others: int) -> None:
    one, other = range(a << 12, (a << 12) + (1 << 32 - bits)), range(b << 12, (b << 12) + (1 << 32 - others))
    share = max(one.start, other.start) < min(one.stop, other.stop)
    network = {
        "addressSpace": "172.16.0.0/12",
        "subnets": {
            "compute": f"172.16.{a << 4}.0/{bits}",
            "aks": f"172.16.{b << 4}.0/{others}",
            "endpoints": "172.20.0.0/24",
            "functions": "172.20.1.0/24",
        },
    }
    try:
        parse("dev", {**stack_values("dev"), "network": network})
        refused = False
    except SettingsError:
        refused = True
    assert refused == share


def test_the_network_is_on_in_prod_and_off_elsewhere() -> None:
    on = {stack: settings_of(stack).network.enabled for stack in ("dev", "staging", "prod")}
    assert on == {"dev": False, "staging": False, "prod": True}


def test_what_the_network_costs_is_told_with_its_assumptions() -> None:
    book = price_book()
    assert list(network_lines(settings_of("dev"), book)) == []
    (line,) = network_lines(settings_of("prod"), book)
    assert line.monthly_usd == pytest.approx(7 * 0.01 * 730 + 100 * 0.01 + 7 * 0.5)
    assert "unverified" in line.basis
    hosts = {**stack_values("prod")["network"], "isolation": "AllowOnlyApprovedOutbound", "outboundHosts": ["pypi.org"]}
    _, firewall = network_lines(settings_of("prod", network=hosts), book)
    assert firewall.monthly_usd == pytest.approx(0.395 * 730, abs=0.01)
    two = settings_of("dev", modelRegistry={"create": True, "regions": ["westus"]})
    (registry,) = model_registry_lines(two, book)
    assert registry.monthly_usd == pytest.approx(2 * 1.6666 * 730 / 24, abs=0.01)
