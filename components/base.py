"""What every component shares: where its resources go, and their options. Tags and protection are set here only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi

from components.naming import Names
from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a component's resources go. Names and location are plain, so that they are checked before anything exists."""

    resource_group: str
    location: str
    subscription_id: str
    tenant_id: str
    names: Names
    tags: Mapping[str, str]
    protect_data: bool
    #: What has to exist first: the resource group.
    after: tuple[pulumi.Resource, ...] = ()

    def behind(self, *resources: pulumi.Resource) -> Placement:
        """The same place, reached once `resources` exist."""
        return replace(self, after=(*self.after, *resources))

    @property
    def group_id(self) -> str:
        """The resource group's ARM id."""
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"


def standard_tags(settings: Settings, project: str) -> dict[str, str]:
    """The tags of every resource; the stack file's own win."""
    return {
        "project": project,
        "stack": settings.stack,
        "environment": settings.environment,
        "managed-by": "pulumi",
        **settings.tags,
    }


def child(
    parent: pulumi.Resource,
    place: Placement,
    *,
    precious: bool = False,
    after: Sequence[pulumi.Resource] = (),
    ignore: Sequence[str] = (),
) -> pulumi.ResourceOptions:
    """Options of a component's own resource. What is precious (holds data, serves traffic) is protected where the stack says so."""
    return pulumi.ResourceOptions(
        parent=parent,
        protect=True if precious and place.protect_data else None,
        depends_on=[*place.after, *after],
        ignore_changes=list(ignore) or None,
    )
