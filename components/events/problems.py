"""What subscriptions and the Functions app need of each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from components.config_errors import Problem, missing
from components.settings import Settings

_ML = "Microsoft.MachineLearningServices."


def problems_of_events(settings: Settings) -> Iterator[Problem]:
    """Every problem of these blocks that needs more than one value to be seen."""
    yield from _subscriptions(settings)
    yield from _functions(settings)


def _subscriptions(settings: Settings) -> Iterator[Problem]:
    for name, each in settings.events.subscriptions.items():
        key = f"events.subscriptions.{name}"
        if each.function is not None and each.webhook_url is not None:
            yield Problem(f"{key}.function", each.function, "one destination: function or webhookUrl")
        if each.function is not None and not settings.functions.enabled:
            yield Problem(f"{key}.function", each.function, "needs functions.enabled: true")
        if each.function == "model_registered" and settings.functions.delivery == "none":
            yield Problem("functions.delivery", "none", f"github or webhook, which {key} starts")
        for kind in each.event_types:
            if kind.startswith(_ML) != (each.source == "workspace"):
                where = "workspace" if kind.startswith(_ML) else "topic"
                yield Problem(f"{key}.source", each.source, f"{where} is where {kind} comes from")


def _functions(settings: Settings) -> Iterator[Problem]:
    functions = settings.functions
    if functions.delivery == "github" and functions.repository is None:
        yield missing("functions.repository", "is missing; delivery: github needs owner/name")
    if functions.repository is not None and functions.delivery != "github":
        yield Problem("functions.repository", functions.repository, "only with functions.delivery: github")
    if not functions.enabled:
        for name in ("deployed", "tick_minutes", "weight_minutes"):
            if getattr(functions, name):
                key = f"functions.{to_camel(name)}"
                yield Problem(key, getattr(functions, name), "only with functions.enabled: true")
    elif not settings.identity.enabled:
        if functions.tick_minutes:
            allowed = "needs identity.enabled: true, whose role it ticks by"
            yield Problem("functions.tickMinutes", functions.tick_minutes, allowed)
        if functions.weight_minutes:
            allowed = "needs identity.enabled: true, whose role it reads endpoints by"
            yield Problem("functions.weightMinutes", functions.weight_minutes, allowed)
