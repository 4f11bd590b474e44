"""Whom alerts tell: an action group for each severity."""

from __future__ import annotations

from typing import Any

import pulumi

from components.base import Placement, child
from components.observability.rules import GROUPS
from components.observability.settings import AlertSettings, ReceiverSettings


def build_groups(name: str, place: Placement, alerts: AlertSettings, parent: pulumi.Resource) -> dict[str, Any]:
    """Declare the groups, by name (`rules.GROUPS`). Those of `alerts` itself hear of everything."""
    from pulumi_azure_native import monitor

    return {
        group: monitor.ActionGroup(
            f"{name}-{group}",
            action_group_name=place.names.of("action group", group),
            resource_group_name=place.resource_group,
            location="global",
            # 12 characters at most; the start of SMS and e-mail subjects
            group_short_name=f"{place.names.stack[:7]}-{group}",
            enabled=True,
            email_receivers=_emails(alerts, getattr(alerts, group)),
            webhook_receivers=_webhooks(alerts, getattr(alerts, group)),
            tags=place.tags,
            opts=child(parent, place),
        )
        for group in GROUPS
    }


def _emails(everything: AlertSettings, own: ReceiverSettings) -> list[dict[str, Any]]:
    addresses = dict.fromkeys((*everything.emails, *own.emails))
    return [
        {"name": f"email-{number}", "email_address": address, "use_common_alert_schema": True}
        for number, address in enumerate(addresses, 1)
    ]


def _webhooks(everything: AlertSettings, own: ReceiverSettings) -> list[dict[str, Any]]:
    urls = {"webhook": everything.webhook_url, "webhook-of-severity": own.webhook_url}
    return [
        {
            "name": name,
            "service_uri": pulumi.Output.secret(url.get_secret_value()),
            "use_common_alert_schema": True,
        }
        for name, url in urls.items()
        if url is not None
    ]
