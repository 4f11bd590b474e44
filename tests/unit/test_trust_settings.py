"""Whose signatures a stack believes, as its file says it."""

from __future__ import annotations

from typing import Any

import pytest

from rollout.models.signing import public_of
from tests.components.mocks import settings_of, stack_values
from tests.unit.trust_rig import new_key
from tests.wrong_settings import refused

PEM = public_of(new_key()).decode()


@pytest.mark.parametrize(
    ("trust", "key", "allowed"),
    [
        ({"publicKeys": ["ssh-ed25519 AAAA"]}, "modelTrust.publicKeys.0", "PEM public key"),
        ({"publicKeys": [PEM.replace("PUBLIC", "PRIVATE")]}, "modelTrust.publicKeys.0", "PEM public key"),
        ({"keySecret": "a_secret"}, "modelTrust.keySecret", "pattern"),
        ({"requireSined": True}, "modelTrust.requireSined", "did you mean 'requireSigned'?"),
    ],
)
def test_wrong_settings_are_told(trust: dict[str, Any], key: str, allowed: str) -> None:
    refused("dev", stack_values("dev") | {"modelTrust": trust}, key, allowed)


def test_prod_asks_for_signatures_unless_told_otherwise() -> None:
    asked = {stack: settings_of(stack).model_trust.required_in(stack) for stack in ("dev", "staging", "prod")}
    assert asked == {"dev": False, "staging": False, "prod": True}
    off = settings_of("prod", modelTrust={"requireSigned": False, "publicKeys": [PEM]}).model_trust
    assert not off.required_in("prod")
    assert off.public_keys == (PEM,)
