"""Which endpoints Azure's availability tests can ask from the internet. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.gateway.problems import exposed

if TYPE_CHECKING:
    from components.settings import Settings


def managed(settings: Settings) -> list[str]:
    """Use cases whose endpoints Azure has metrics of; what a Kubernetes cluster serves is not watched from outside."""
    return [use_case for use_case, each in settings.endpoints.items() if each.compute == "managed"]


def open_to_all(settings: Settings, use_case: str) -> bool:
    """Whether the internet reaches the endpoint by itself."""
    return settings.network.public_access and settings.endpoints[use_case].public_network_access


def tested(settings: Settings) -> list[str]:
    """The use cases that an availability test can ask, through the gateway or directly."""
    behind = exposed(settings)
    return [use_case for use_case in managed(settings) if use_case in behind or open_to_all(settings, use_case)]


def kept_inside(settings: Settings, use_case: str) -> bool:
    """Whether the stack file says so: a gateway there is, and this endpoint is not behind it."""
    return settings.gateway.enabled and not settings.gateway.of(use_case).exposed
