"""Microsoft.Insights' data collection: rules of what agents send where, and what they are tied to. Nothing is collected."""

from __future__ import annotations

from sandbox.arm.catalogue.common import made_once, new_guid, versions
from sandbox.arm.model import Change, ResourceType
from sandbox.kernel.errors import AzureError

RULE = "Microsoft.Insights/dataCollectionRules"
_VERSIONS = versions("2021-09-01-preview 2022-06-01 2023-03-11 2024-03-11")


def _validate_rule(change: Change) -> None:
    """Every flow goes to a destination that is declared, and every workspace is there."""
    properties, known = change.resource.properties, set()
    for kind, targets in (properties.get("destinations") or {}).items():
        for each in targets if isinstance(targets, list) else [targets]:
            known.add(each.get("name"))
            if kind == "logAnalytics" and change.arm.get(str(each.get("workspaceResourceId"))) is None:
                target = each.get("workspaceResourceId")
                raise AzureError(400, "InvalidPayload", f"'workspaceResourceId' is '{target}', which does not exist.")
    for flow in properties.get("dataFlows") or []:
        for name in flow.get("destinations") or []:
            if name not in known:
                raise AzureError(400, "InvalidPayload", f"A data flow goes to '{name}', which is no destination.")


def _validate_association(change: Change) -> None:
    target = str(change.resource.properties.get("dataCollectionRuleId"))
    rule = change.arm.get(target)
    if rule is None or rule.type != RULE:
        raise AzureError(400, "InvalidPayload", f"'dataCollectionRuleId' is '{target}', which does not exist.")


def _before_rule(change: Change) -> None:
    made_once(change, immutableId=lambda: f"dcr-{new_guid().replace('-', '')}")


TYPES = (
    ResourceType(name=RULE, versions=_VERSIONS, validate=_validate_rule, before_put=_before_rule),
    ResourceType(
        name="Microsoft.Insights/dataCollectionRuleAssociations",
        versions=_VERSIONS,
        scopes=frozenset({"extension"}),
        listing="scope",
        location="none",
        taggable=False,
        required=("dataCollectionRuleId",),
        validate=_validate_association,
    ),
)
