"""What Azure fixes at creation, and a stack file that wants it otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from components.fixed import Existing, problems_of_fixed
from tests.components.mocks import settings_of

MADE = Existing(region="East US", soft_delete_days=7, encrypted=False, isolation="Disabled")


def said(there: Existing, **changes: Any) -> list[str]:
    return [str(each) for each in problems_of_fixed(settings_of("dev", **changes), there)]


def test_a_stack_that_is_as_it_was_made_is_fine_and_so_is_a_new_one() -> None:
    assert said(MADE) == []
    assert said(Existing()) == []


@pytest.mark.parametrize(
    ("there", "key"),
    [
        (Existing(region="westeurope"), "azure-native:location = 'eastus': westeurope"),
        (Existing(soft_delete_days=90), "keyVault.softDeleteDays = 7: 90"),
        (Existing(encrypted=True), "encryption.customerManagedKey = False: true"),
        (
            Existing(isolation="AllowInternetOutbound"),
            "network.isolation = 'Disabled': AllowInternetOutbound, or stricter",
        ),
    ],
)
def test_each_is_named_with_what_there_is(there: Existing, key: str) -> None:
    (only,) = said(there)
    assert key in only


def test_all_are_told_at_once() -> None:
    assert (
        len(said(Existing(region="westus", soft_delete_days=30, encrypted=True, isolation="AllowOnlyApprovedOutbound")))
        == 4
    )


def test_a_managed_network_may_become_stricter() -> None:
    assert said(Existing(isolation="Disabled"), network={"isolation": "AllowInternetOutbound"}) == []
