"""What one value alone can't tell: what production asks for, and names within Azure's rules. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from components import naming
from components.config_errors import Problem, missing
from components.cost.problems import problems_of_cost
from components.events.problems import problems_of_events
from components.feature_store.problems import problems_of_features
from components.gateway.problems import problems_of_gateway
from components.kubernetes.problems import problems_of_kubernetes
from components.network.problems import problems_of_network
from components.observability.problems import problems_of_observability
from components.serving.problems import problems_of_serving
from components.settings import Settings

_DEFAULT_GATES = {"dev": None, "staging": None, "prod": ("f1", "auc")}


def problems_of(settings: Settings) -> list[Problem]:
    """Every problem that needs more than one setting to be seen."""
    found = [
        *_names(settings),
        *_secrets(settings),
        *_gates(settings),
        *problems_of_network(settings),
        *problems_of_cost(settings),
        *problems_of_kubernetes(settings),
        *problems_of_events(settings),
        *problems_of_observability(settings),
        *problems_of_serving(settings),
        *problems_of_features(settings),
        *problems_of_gateway(settings),
    ]
    if settings.environment == "prod":
        found += [*_prod_endpoints(settings), *_prod_platform(settings)]
    return found


def _prod_endpoints(settings: Settings) -> Iterator[Problem]:
    for use_case, endpoint in settings.endpoints.items():
        key = f"endpoints.{use_case}"
        if endpoint.instance_count < 2:
            yield Problem(f"{key}.instanceCount", endpoint.instance_count, "prod needs 2 or more, so that one may fail")
        if endpoint.policy.approvers_required < 1:
            yield Problem(f"{key}.policy.approversRequired", endpoint.policy.approvers_required, "prod needs 1 or more")
        if endpoint.policy.steps[0] == 100:
            yield Problem(
                f"{key}.policy.steps",
                list(endpoint.policy.steps),
                "prod needs a step below 100 first, e.g. [10, 50, 100]",
            )


def _prod_platform(settings: Settings) -> Iterator[Problem]:
    if not settings.budget.enabled:
        yield Problem("budget.enabled", False, "prod needs a budget")
    if not settings.key_vault.purge_protection:
        yield Problem("keyVault.purgeProtection", False, "prod needs true")
    if settings.logs.retention_days < 90:
        yield Problem("logs.retentionDays", settings.logs.retention_days, "prod needs 90 or more")


def _gates(settings: Settings) -> Iterator[Problem]:
    for name in _DEFAULT_GATES[settings.environment] or ():
        if getattr(settings.gates, name) is None:
            yield missing(f"gates.{name}", "is missing; prod needs it")


def _secrets(settings: Settings) -> Iterator[Problem]:
    urls = {
        f"events.subscriptions.{name}.webhookUrl": item.webhook_url
        for name, item in settings.events.subscriptions.items()
    }
    for key, url in urls.items():
        if url is not None and not url.get_secret_value().startswith("https://"):
            yield Problem(key, url, "an https:// address is needed")


def _names(settings: Settings) -> Iterator[Problem]:
    """Names are tried with a stand-in subscription: rules don't depend on which one it is."""
    names = naming.Names(settings.workload, settings.stack, "0" * 8, settings.location)
    if settings.resource_group is not None:
        yield from _bad("resourceGroup", "resource group", settings.resource_group)
    for name in settings.clusters:
        yield from _bad(f"clusters.{name}", "compute cluster", name)
    for use_case, endpoint in settings.endpoints.items():
        yield from _bad(f"endpoints.{use_case}.name", "online endpoint", endpoint.name or names.endpoint(use_case))
    for use_case, batch in settings.batch_endpoints.items():
        name = batch.name or names.batch_endpoint(use_case)
        yield from _bad(f"batchEndpoints.{use_case}.name", "batch endpoint", name)


def _bad(key: str, kind: str, name: str) -> Iterator[Problem]:
    try:
        naming.check(kind, name)
    except naming.BadName as error:
        yield Problem(key, name, str(error))
