"""How the Functions app fits into the platform."""

from __future__ import annotations

from typing import Any

from components.base import Placement
from components.events.functions import Functions, FunctionsArgs
from components.foundation import Foundation
from components.identity.apps import Identity
from components.identity.custom_roles import OPERATOR, PARKER, READER
from components.network.reach import reach_of
from components.observability.logs import Observability
from components.settings import Settings


def build_functions(
    settings: Settings, place: Placement, foundation: Foundation, seen: Observability
) -> Functions | None:
    """The app; None where the stack has none."""
    if not settings.functions.enabled:
        return None
    args = FunctionsArgs(
        place=place,
        settings=settings.functions,
        off_hours=settings.off_hours,
        vault_name=foundation.workspace.vault_name,
        app_insights_id=seen.app_insights_id,
        app_insights_connection=seen.app_insights_connection,
        reach=reach_of(settings),
        network=foundation.network,
    )
    return Functions("functions", args)


def drive_rollouts(settings: Settings, functions: Functions | None, identity: Identity | None) -> None:
    """Its timers do what an operator does, or park what is idle, and nothing else."""
    if functions is None or identity is None:
        return
    if settings.functions.tick_minutes:
        identity.let_drive("functions", OPERATOR, functions.principal)
    elif settings.off_hours.park_idle_minutes:
        identity.let_drive("functions", PARKER, functions.principal)
    elif settings.functions.weight_minutes:
        identity.let("functions", READER, functions.principal)


def functions_document(settings: Settings, functions: Functions | None) -> dict[str, Any] | None:
    """Its part of the stack's outputs."""
    if functions is None:
        return None
    return {
        "app_name": functions.app_name,
        "app_id": functions.app_id,
        "host_name": functions.host_name,
        "principal_id": functions.principal_id,
        "deployed": settings.functions.deployed,
        "delivery": settings.functions.delivery,
        "packages_url": functions.packages_url,
        "vault_name": functions.vault_name,
        "secret_names": sorted(functions.secrets.values()),
    }
