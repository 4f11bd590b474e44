"""What budget, export and off hours need of each other and of the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from components.config_errors import Problem, missing
from components.settings import Settings

RUNBOOK_PATH = "components/cost/runbooks/off_hours.py"
#: Azure's most notices of a budget.
MOST_NOTICES = 5


def problems_of_cost(settings: Settings) -> Iterator[Problem]:
    """Every problem of these blocks that needs more than one value to be seen."""
    percents = settings.budget.notify_at
    if len(set(percents)) < len(percents) or len(percents) > MOST_NOTICES:
        yield Problem("budget.notifyAt", list(percents), f"at most {MOST_NOTICES} percents, each once")
    off = settings.off_hours
    yield from _parking(settings)
    if not off.enabled:
        return
    if off.stop_at == off.start_at:
        yield Problem("offHours.startAt", off.start_at, "must differ from offHours.stopAt")
    if runbook_uri(settings) is None:
        allowed = "is missing: an https:// address of off_hours.py, or identity.github, whose branch has it"
        yield missing("offHours.runbookUri", allowed)
    if not settings.clusters:
        yield Problem("offHours.enabled", True, "there is no cluster to put to rest; add clusters, or set it false")


def _parking(settings: Settings) -> Iterator[Problem]:
    """The Functions app parks, as the identity that it has, by a role of the stack's."""
    key, minutes = "offHours.parkIdleMinutes", settings.off_hours.park_idle_minutes
    if not minutes:
        return
    if settings.environment == "prod":
        yield Problem(key, minutes, "prod needs 0: callers of a parked endpoint get 404")
    needs = {
        "offHours": settings.off_hours.enabled,
        "functions": settings.functions.enabled,
        "identity": settings.identity.enabled,
    }
    for block, enabled in needs.items():
        if not enabled:
            yield Problem(key, minutes, f"needs {block}.enabled: true")


def runbook_uri(settings: Settings) -> str | None:
    """Where Azure fetches the runbook's text from; its hash is checked, so a branch that moved on is refused."""
    github = settings.identity.github
    if settings.off_hours.runbook_uri is not None or github is None:
        return settings.off_hours.runbook_uri
    return f"https://raw.githubusercontent.com/{github.repository}/{github.branch}/{RUNBOOK_PATH}"
