"""Azure Load Testing: runs the Locust files of `load/` at scale, against the stack's endpoints and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.custom_roles import CustomRole
from components.identity.define import define
from components.identity.managed import managed_identity

_ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
LOAD_TESTER = CustomRole(
    "Endpoint Load Tester",
    "Calls an online endpoint, with its key or as itself; changes nothing.",
    actions=(
        f"{_ENDPOINTS}/read",
        f"{_ENDPOINTS}/score/action",
        f"{_ENDPOINTS}/listKeys/action",
        f"{_ENDPOINTS}/token/action",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadTestingArgs:
    place: Placement
    #: Ids of the online endpoints, by use case.
    endpoint_ids: Mapping[str, pulumi.Input[str]]


class LoadTesting(pulumi.ComponentResource):
    """A load testing resource whose tests run as an identity of its own. Outputs: `load_test_id`, `load_test_name`, `data_plane_uri`."""

    load_test_id: pulumi.Output[str]
    load_test_name: pulumi.Output[str]
    data_plane_uri: pulumi.Output[str]

    def __init__(self, name: str, args: LoadTestingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:features:LoadTesting", name, None, opts)
        from pulumi_azure_native import loadtestservice

        place = args.place
        identity = managed_identity(f"{name}-identity", whose="load-test", parent=self, place=place, grants=())
        role = define(f"{name}-tester", LOAD_TESTER, parent=self, place=place)
        for use_case, endpoint_id in args.endpoint_ids.items():
            role.assign(
                f"{name}-calls-{use_case}",
                to=identity.principal,
                scope=endpoint_id,
                parent=self,
            )
        resource = loadtestservice.LoadTest(
            name,
            load_test_name=place.names.of("load test"),
            resource_group_name=place.resource_group,
            location=place.location,
            description="Load on the stack's online endpoints",
            identity=loadtestservice.ManagedServiceIdentityArgs(
                type="UserAssigned", user_assigned_identities=[identity.plain_id]
            ),
            tags=place.tags,
            opts=child(self, place, after=identity.ready),
        )
        self.load_test_id, self.load_test_name, self.data_plane_uri = (
            resource.id,
            resource.name,
            resource.data_plane_uri,
        )
        self.register_outputs({"load_test_id": self.load_test_id})

    def document(self) -> dict[str, Any]:
        """The contract's `LoadTesting`."""
        return {"name": self.load_test_name, "id": self.load_test_id, "data_plane_uri": self.data_plane_uri}
