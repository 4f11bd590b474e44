"""Management locks on what holds data: nobody deletes it by mistake, whoever they are and whatever tool they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.base import Placement, child


@dataclass(frozen=True, kw_only=True, slots=True)
class LocksArgs:
    place: Placement
    #: Name to the ARM id of what is locked.
    targets: Mapping[str, pulumi.Input[str]]
    #: Made before the locks and deleted after them: a lock also holds what is below its resource.
    after: Sequence[pulumi.Resource]


class Locks(pulumi.ComponentResource):
    """A CanNotDelete lock on each target. The workspace has none: it would stop `rollout` from deleting deployments."""

    def __init__(self, name: str, args: LocksArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Locks", name, None, opts)
        from pulumi_azure_native import authorization

        for what, target in args.targets.items():
            authorization.ManagementLockByScope(
                f"{name}-{what}",
                lock_name="platform-data",
                scope=target,
                level="CanNotDelete",
                notes="Holds data. To take it down: protectData and lockData false, pulumi up, then pulumi destroy.",
                opts=child(self, args.place, after=args.after),
            )
        self.register_outputs({})
