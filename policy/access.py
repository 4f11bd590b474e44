"""Rules on roles and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policy.model import HIDDEN, UNKNOWN, Finding, Resource, ResourceRule, StackRule, at, listed

_OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
_USER_ACCESS_ADMINISTRATOR = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
_CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
_NAMES = {_OWNER: "Owner", _USER_ACCESS_ADMINISTRATOR: "User Access Administrator", _CONTRIBUTOR: "Contributor"}
_WIDE_SCOPE = re.compile(r"^(/subscriptions/[^/]+|/providers/microsoft\.management/managementgroups/[^/]+|/)/?$", re.I)
_PASSWORDS = (
    "azuread:index/applicationPassword:ApplicationPassword",
    "azuread:index/servicePrincipalPassword:ServicePrincipalPassword",
)
_SECRET_NAME = re.compile(
    r"(secret|password|passphrase|connection_?string|access_?key|account_?key|primary_?key|sas_?token)", re.I
)
_SECRET_VALUE = re.compile(r"AccountKey=|SharedAccessKey=|[?&]sig=|-----BEGIN [A-Z ]*PRIVATE KEY|InstrumentationKey=")


def _role_of(type_: str, props: Mapping[str, Any]) -> str:
    """The id of the built-in role that is assigned; empty for anything else."""
    if type_ != "authorization:RoleAssignment":
        return ""
    definition = at(props, "roleDefinitionId")
    return definition.rsplit("/", 1)[-1].lower() if isinstance(definition, str) else ""


def wide_contributor(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Contributor is for a resource or a group, not for a subscription."""
    role, scope = _role_of(type_, props), at(props, "scope")
    if role in _NAMES and isinstance(scope, str) and _WIDE_SCOPE.match(scope):
        yield f"{_NAMES[role]} at {scope}; assign it at a resource, or a narrower role"


def owner(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Nobody may hand out rights."""
    role = _role_of(type_, props)
    if role in (_OWNER, _USER_ACCESS_ADMINISTRATOR):
        yield f"{_NAMES[role]} is assigned; it may give any right to anyone: use a role with the actions that are needed"


def wildcard_actions(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Custom roles name what they allow; `*/read` and its like are fine."""
    if type_ != "authorization:RoleDefinition":
        return
    for permission in listed(at(props, "permissions")):
        for kind in ("actions", "dataActions"):
            for action in listed(at(permission, kind)):
                if isinstance(action, str) and (action == "*" or action.endswith("/*")):
                    yield f"{kind} has {action!r}; name the operations"


def client_secrets(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Applications sign in by federation."""
    if type_ in _PASSWORDS:
        yield "a client secret; use a federated credential"
    if type_ == "azuread:index/application:Application" and at(props, "passwords"):
        yield "passwords are set; use a federated credential"


def gateway_secrets(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """API Management's keys and secret values are no plain text in the state; best they stay in a vault."""
    if type_ == "apimanagement:Subscription":
        for name in ("primaryKey", "secondaryKey"):
            if isinstance(at(props, name), str):
                yield f"{name} is plain text; leave it out, or give it as a Pulumi secret"
    if type_ == "apimanagement:NamedValue" and isinstance(at(props, "value"), str):
        looks = _SECRET_NAME.search(str(at(props, "displayName"))) or _SECRET_VALUE.search(at(props, "value"))
        if at(props, "secret") is True or looks:
            yield "value is plain text; use keyVault, or a Pulumi secret with secret: true"


def secret_outputs(resources: Sequence[Resource]) -> Iterator[Finding]:
    """What the stack exports in plain text is no secret."""
    for stack in resources:
        if stack.type == "pulumi:pulumi:Stack":
            for path in _plain_secrets(stack.props, ""):
                yield Finding(f"output {path} looks like a secret and is not marked as one; use pulumi.Output.secret")


def _plain_secrets(value: Any, path: str) -> Iterator[str]:
    if value is HIDDEN or value is UNKNOWN:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _plain_secrets(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _plain_secrets(item, f"{path}[{number}]")
    elif isinstance(value, str) and value:
        last = path.rsplit(".", 1)[-1]
        # a vault's URL or a secret's name is none
        if _SECRET_VALUE.search(value) or (_SECRET_NAME.search(last) and not value.startswith(("https://", "/"))):
            yield path


RULES = (
    ResourceRule(
        name="no-wide-contributor", description="No contributor at a subscription's scope.", check=wide_contributor
    ),
    ResourceRule(name="no-owner-role", description="No assignment of Owner.", check=owner),
    ResourceRule(name="no-wildcard-actions", description="Custom roles name their actions.", check=wildcard_actions),
    ResourceRule(name="no-client-secrets", description="Applications have no client secret.", check=client_secrets),
    ResourceRule(
        name="no-plain-gateway-keys",
        description="API Management's secrets are marked or in a vault.",
        check=gateway_secrets,
    ),
    StackRule(name="no-plain-secrets", description="Outputs hold no secret in plain text.", check=secret_outputs),
)
