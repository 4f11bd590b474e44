"""ARM in process, with the paths that its tests use."""

from __future__ import annotations

from typing import Any

from tests.sandbox.asgi import Answer, Service


class Arm:
    """ARM in process, with the paths that the tests use."""

    def __init__(self, service: Service, subscription: str) -> None:
        self.service, self.subscription = service, subscription

    def path(self, below: str, group: str = "shop", version: str = "") -> str:
        base = f"/subscriptions/{self.subscription}/resourceGroups/{group}"
        return f"{base}{below}?api-version={version or _version(below)}"

    def make_group(self, name: str = "shop") -> None:
        assert self.service.put(self.path("", name), {"location": "eastus"}).status == 201

    def finish(self, answer: Answer) -> str:
        """Poll as the SDKs do until the operation ends; its status."""
        url = answer.headers["azure-asyncoperation"]
        for _ in range(100):
            document = self.service.get(url).json()
            if document["status"] != "InProgress":
                return document["status"]
            self.service.wait()
        raise AssertionError("the operation never ended")

    def make(self, below: str, body: dict[str, Any], group: str = "shop") -> dict[str, Any]:
        answer = self.service.put(self.path(below, group), body)
        assert answer.status in (200, 201), answer.text
        if "azure-asyncoperation" in answer.headers:
            assert self.finish(answer) == "Succeeded"
        return self.service.get(self.path(below, group)).json()


def _version(below: str) -> str:
    """The type's own version, or else its provider's."""
    if not below:
        return "2024-03-01"
    parts = below.split("/")
    return VERSIONS.get("/".join(parts[2:4])) or VERSIONS[parts[2]]


VERSIONS = {
    "Microsoft.Network/frontdoorWebApplicationFirewallPolicies": "2025-11-01",
    "Microsoft.Storage": "2024-01-01",
    "Microsoft.KeyVault": "2024-11-01",
    "Microsoft.Insights": "2020-02-02",
    "Microsoft.MachineLearningServices": "2025-12-01",
    "Microsoft.Authorization": "2022-04-01",
    "Microsoft.EventGrid": "2025-02-15",
    "Microsoft.Consumption": "2024-08-01",
    "Microsoft.CostManagement": "2024-08-01",
    "Microsoft.Automation": "2024-10-23",
    "Microsoft.OperationalInsights": "2023-09-01",
    "Microsoft.ContainerRegistry": "2023-07-01",
    "Microsoft.ManagedIdentity": "2023-01-31",
    "Microsoft.Network": "2024-05-01",
    "Microsoft.Web": "2025-05-01",
    "Microsoft.Cdn": "2025-06-01",
    "Microsoft.ApiManagement": "2024-05-01",
}
