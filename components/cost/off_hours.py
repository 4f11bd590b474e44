"""Off hours: an Automation account whose runbook takes idle nodes away in the evening and allows them in the morning."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pulumi

from components.base import Placement, child
from components.cost.settings import OffHoursSettings
from components.identity.roles import held

SOURCE = Path(__file__).parent / "runbooks" / "off_hours.py"
RUNBOOK = "off-hours"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_COMPUTES = "Microsoft.MachineLearningServices/workspaces/computes"
_AKS = "Microsoft.ContainerService/managedClusters"


@dataclass(frozen=True, kw_only=True, slots=True)
class OffHoursArgs:
    place: Placement
    settings: OffHoursSettings
    workspace_id: pulumi.Input[str]
    runbook_uri: str
    kubernetes_id: pulumi.Input[str] | None = None


class OffHours(pulumi.ComponentResource):
    """Outputs: `account_name`, `runbook_name`, `schedules` (names by what they do: off, on)."""

    account_name: pulumi.Output[str]
    runbook_name: pulumi.Output[str]
    schedules: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: OffHoursArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:OffHours", name, None, opts)
        self._name, self._args = name, args
        self._account = self._build_account()
        self._build_role()
        self._runbook = self._build_runbook()
        self.account_name, self.runbook_name = self._account.name, self._runbook.name
        times = {"off": args.settings.stop_at, "on": args.settings.start_at}
        self.schedules = {action: self._build_schedule(action, at) for action, at in times.items()}
        self.register_outputs({"account_name": self.account_name, "runbook_name": self.runbook_name})

    def _build_account(self) -> Any:
        from pulumi_azure_native import automation

        place = self._args.place
        return automation.AutomationAccount(
            self._name,
            automation_account_name=place.names.of("automation account"),
            resource_group_name=place.resource_group,
            location=place.location,
            sku=automation.SkuArgs(name="Basic"),
            identity=automation.IdentityArgs(type="SystemAssigned"),
            disable_local_auth=True,
            # nothing calls into the account: no webhooks, no hybrid workers
            public_network_access=False,
            tags=place.tags,
            opts=child(self, place),
        )

    def _build_role(self) -> None:
        """Reads and writes of the workspace's clusters: the runbook reaches nothing else in it, and no data."""
        from pulumi_azure_native import authorization

        place, args = self._args.place, self._args
        actions = [f"{_COMPUTES}/read", f"{_COMPUTES}/write"]
        # at the workspace, so that one more cluster needs no one more assignment
        scopes: dict[str, pulumi.Input[str]] = {"workspace": args.workspace_id}
        if args.kubernetes_id is not None:
            actions += [f"{_AKS}/agentPools/read", f"{_AKS}/agentPools/write"]
            scopes["kubernetes"] = args.kubernetes_id
        guid = place.names.guid("role", "off-hours")
        role = authorization.RoleDefinition(
            f"{self._name}-role",
            role_definition_id=guid,
            role_name=f"Off Hours ({place.names.workload}-{place.names.stack})",
            role_type="CustomRole",
            description="Sets how many nodes clusters keep. Nothing else.",
            permissions=[
                authorization.PermissionArgs(actions=actions, not_actions=[], data_actions=[], not_data_actions=[])
            ],
            assignable_scopes=[place.group_id],
            scope=place.group_id,
            opts=child(self, place),
        )
        for target, scope in scopes.items():
            name = f"{self._name}-at-{target}"
            authorization.RoleAssignment(
                name,
                role_assignment_name=place.names.guid(name, "off-hours"),
                principal_id=self._account.identity.principal_id,
                principal_type="ServicePrincipal",
                role_definition_id=(
                    f"/subscriptions/{place.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{guid}"
                ),
                scope=scope,
                opts=held(self, place, self._account, after=[role]),
            )

    def _build_runbook(self) -> Any:
        from pulumi_azure_native import automation

        place = self._args.place
        digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
        return automation.Runbook(
            f"{self._name}-runbook",
            runbook_name=RUNBOOK,
            # plain, not the account's output: a preview of its update doesn't know that, and would replace what is in it
            automation_account_name=place.names.of("automation account"),
            resource_group_name=place.resource_group,
            location=place.location,
            runbook_type="Python3",
            description="Clusters keep no idle node in the off hours; AKS keeps one",
            log_progress=False,
            log_verbose=False,
            # Azure fetches the text from there, and refuses one that is not this file
            publish_content_link=automation.ContentLinkArgs(
                uri=self._args.runbook_uri,
                version=digest[:12],
                content_hash=automation.ContentHashArgs(algorithm="sha256", value=digest),
            ),
            tags=place.tags,
            opts=child(self, place, after=[self._account]),
        )

    def _build_schedule(self, action: str, at: str) -> pulumi.Output[str]:
        """Its name says when: another time is another schedule, because Azure keeps the first run as it was given."""
        from pulumi_azure_native import automation

        place, zone = self._args.place, self._args.settings.time_zone
        schedule_name = f"{action}-{at.replace(':', '')}-{zone.replace('/', '-').replace('+', '-plus-')}"
        schedule = automation.Schedule(
            f"{self._name}-{action}",
            name=schedule_name,
            schedule_name=schedule_name,
            automation_account_name=place.names.of("automation account"),
            resource_group_name=place.resource_group,
            frequency="Week",
            interval=1,
            start_time=first_start(at, zone, datetime.now(UTC)),
            time_zone=zone,
            advanced_schedule=automation.AdvancedScheduleArgs(week_days=list(_WEEKDAYS)),
            opts=child(self, place, after=[self._account], ignore=["startTime"]),
        )
        self._link(action, schedule_name, schedule)
        identifier: pulumi.Output[str] = schedule.name
        return identifier

    def _link(self, action: str, schedule_name: str, schedule: Any) -> None:
        from pulumi_azure_native import automation

        place, args = self._args.place, self._args
        words = [action, args.workspace_id]
        if args.kubernetes_id is not None:
            words.append(args.kubernetes_id)
        automation.JobSchedule(
            f"{self._name}-{action}-job",
            # a link can't be changed: what is in it is in its name
            job_schedule_id=place.names.guid("job", schedule_name, str(args.kubernetes_id is not None)),
            automation_account_name=place.names.of("automation account"),
            resource_group_name=place.resource_group,
            runbook=automation.RunbookAssociationPropertyArgs(name=RUNBOOK),
            schedule=automation.ScheduleAssociationPropertyArgs(name=schedule_name),
            # one parameter, in words: Automation reads what looks like JSON its own way
            parameters={"parameter1": pulumi.Output.all(*words).apply(" ".join)},
            opts=child(self, place, after=[self._runbook, schedule]),
        )


def first_start(at: str, zone: str, now: datetime) -> str:
    """`at` of tomorrow in that zone, with its offset: Azure wants the first run ahead of now by five minutes or more."""
    hours, minutes = at.split(":")
    local = now.astimezone(ZoneInfo(zone)) + timedelta(days=1)
    return local.replace(hour=int(hours), minute=int(minutes), second=0, microsecond=0).isoformat()
