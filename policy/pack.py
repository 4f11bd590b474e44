"""From rules to Pulumi's policies.

The level of a policy is fixed before Pulumi says which stack is at hand. So each rule becomes two: `NAME`, mandatory,
speaks in prod; `NAME-advice`, advisory, elsewhere. The environment is the `environment` tag of the first resource that
has one (the resource group comes first), or else the stack's name; an unknown stack is taken for prod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi_policy.policy as sdk
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY
from pulumi_policy.proxy import UnknownValueError

from policy import access, exposure, keeping, kubernetes, production
from policy.model import HIDDEN, UNKNOWN, Resource, ResourceRule, Rule, StackRule

RULES: tuple[Rule, ...] = (*exposure.RULES, *access.RULES, *keeping.RULES, *production.RULES, *kubernetes.RULES)
ENVIRONMENTS = ("dev", "staging", "prod")


class Stage:
    """Which environment the stack is, as far as seen."""

    def __init__(self) -> None:
        self._tagged: str | None = None

    def see(self, props: Mapping[str, Any], urn: str) -> str:
        """Learn from a resource, and give the environment."""
        tags = props.get("tags")
        told = tags.get("environment") if isinstance(tags, Mapping) else None
        if self._tagged is None and told in ENVIRONMENTS:
            self._tagged = told
        if self._tagged is not None:
            return self._tagged
        stack = urn.split(":")[2].split("::")[0] if urn.startswith("urn:pulumi:") else ""
        return stack if stack in ENVIRONMENTS else "prod"


def speaks(rule: Rule, environment: str, *, advice: bool) -> bool:
    """Whether the mandatory or the advisory twin of a rule reports."""
    if environment != "prod":
        return advice and not rule.prod_only
    return advice == bool(rule.advisory_because)


def plain(value: Any) -> Any:
    """Pulumi's proxies as plain data, with `UNKNOWN` where they would raise."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(holder: Any, key: Any) -> Any:
    try:
        return plain(holder[key])
    except UnknownValueError:
        return UNKNOWN


def short(type_: str) -> str:
    """A type token without the provider's name and an API version."""
    parts = type_.removeprefix("azure-native:").split(":")
    return ":".join([parts[0].split("/")[0], *parts[1:]]) if type_.startswith("azure-native:") else type_


def _resource_policy(rule: ResourceRule, stage: Stage, *, advice: bool) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        props = plain(args.props)
        environment = stage.see(props, args.urn)
        if speaks(rule, environment, advice=advice):
            for message in rule.check(short(args.resource_type), props, environment):
                report(message, None)

    return ResourceValidationPolicy(
        name=_name(rule, advice), description=rule.description, validate=validate, enforcement_level=_level(advice)
    )


def _stack_policy(rule: StackRule, stage: Stage, *, advice: bool) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        environment = "prod"
        resources = []
        for each in args.resources:
            props = plain(each.props)
            environment = stage.see(props, each.urn)
            resources.append(
                Resource(
                    type=short(each.resource_type),
                    name=each.name,
                    props=props,
                    urn=each.urn,
                    protect=each.opts.protect,
                )
            )
        if speaks(rule, environment, advice=advice):
            for finding in rule.check(resources):
                report(finding.message, finding.urn or None)

    return StackValidationPolicy(
        name=_name(rule, advice), description=rule.description, validate=validate, enforcement_level=_level(advice)
    )


def _name(rule: Rule, advice: bool) -> str:
    return f"{rule.name}-advice" if advice else rule.name


def _level(advice: bool) -> EnforcementLevel:
    return EnforcementLevel.ADVISORY if advice else EnforcementLevel.MANDATORY


def policies() -> list[Any]:
    """Both twins of every rule."""
    stage = Stage()
    return [
        (
            _resource_policy(rule, stage, advice=advice)
            if isinstance(rule, ResourceRule)
            else _stack_policy(rule, stage, advice=advice)
        )
        for rule in RULES
        for advice in (False, True)
    ]


def keep_secrets_hidden() -> None:
    """pulumi-policy shows validations a secret's value and drops the mark; rules get `HIDDEN` instead."""
    original = vars(sdk)["deserialize_properties"]

    def deserialize(props: dict[str, Any], proxy_secrets: bool = False) -> dict[str, Any]:
        return original(props, proxy_secrets) if proxy_secrets else {k: _hide(v, original) for k, v in props.items()}

    vars(sdk)["deserialize_properties"] = deserialize


def _hide(value: Any, original: Any) -> Any:
    if isinstance(value, list):
        return [_hide(item, original) for item in value]
    if isinstance(value, dict):
        if value.get(SPECIAL_SIG_KEY) == SPECIAL_SECRET_SIG:
            return HIDDEN
        if SPECIAL_SIG_KEY in value:
            return original({"it": value})["it"]
        return {key: _hide(item, original) for key, item in value.items()}
    return value


def serve() -> None:
    """Run the pack until Pulumi ends it."""
    keep_secrets_hidden()
    PolicyPack("azureml-rollouts", policies=policies())
