"""Rules on cost and on keeping things: tags, SKUs, scale to zero, retention, purge protection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from components.cost.prices import price_book, training_sizes
from policy.model import ResourceRule, at, known_and_not, listed

REQUIRED_TAGS = ("project", "stack", "environment", "owner", "cost-center")
_TAGGED = frozenset(
    {
        "resources:ResourceGroup", "storage:StorageAccount", "keyvault:Vault", "containerregistry:Registry",
        "operationalinsights:Workspace", "applicationinsights:Component", "managedidentity:UserAssignedIdentity",
        "machinelearningservices:Workspace", "machinelearningservices:Compute",
        "machinelearningservices:OnlineEndpoint", "machinelearningservices:BatchEndpoint", "monitor:ActionGroup",
        "monitor:MetricAlert", "monitor:ScheduledQueryRule", "eventgrid:Topic", "eventgrid:SystemTopic",
        "network:VirtualNetwork", "network:NetworkSecurityGroup", "network:PrivateEndpoint", "web:AppServicePlan",
        "web:WebApp", "monitor:ActivityLogAlert", "monitor:AzureMonitorWorkspace", "operationalinsights:QueryPack",
        "applicationinsights:Workbook", "applicationinsights:WebTest", "dashboard:Grafana",
        "redisenterprise:RedisEnterprise", "loadtestservice:LoadTest", "automation:AutomationAccount", "automation:Runbook",
        "cdn:Profile", "cdn:AFDEndpoint", "frontdoor:Policy", "apimanagement:ApiManagementService",
        "containerservice:ManagedCluster", "containerservice:AgentPool", "monitor:DataCollectionRule",
    }
)  # fmt: skip
LOG_DAYS = {"prod": 90}
LOG_DAYS_ELSEWHERE = 30


def tags(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Who owns it and who pays."""
    given = at(props, "tags")
    if type_ not in _TAGGED or not known_and_not(given):
        return
    missing = [name for name in REQUIRED_TAGS if not (given or {}).get(name)]
    if missing:
        yield f"tags are missing: {', '.join(missing)}"


def priced(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Only what the price book knows: else the cost estimate is wrong."""
    book = price_book()
    checks: dict[str, tuple[str, tuple[str, ...]]] = {
        "machinelearningservices:Compute": ("properties.properties.vmSize", training_sizes()),
        "storage:StorageAccount": ("sku.name", tuple(book.storage_gb_month)),
        "containerregistry:Registry": ("sku.name", tuple(book.registry_day)),
        "redisenterprise:RedisEnterprise": ("sku.name", tuple(book.redis_hour)),
        "apimanagement:ApiManagementService": ("sku.name", tuple(book.gateway.api_management_month)),
    }
    if type_ in checks:
        path, allowed = checks[type_]
        if known_and_not(at(props, path), *allowed, None):
            yield f"{path} {at(props, path)!r} is not in components/cost/prices.yaml; allowed: {', '.join(allowed)}"
    if type_ == "containerservice:AgentPool" and known_and_not(at(props, "vmSize"), *book.virtual_machines):
        yield f"vmSize {at(props, 'vmSize')!r} is not in components/cost/prices.yaml"
    if type_ == "containerservice:ManagedCluster":
        for pool in listed(at(props, "agentPoolProfiles")):
            if known_and_not(at(pool, "vmSize"), *book.virtual_machines):
                yield f"pool {at(pool, 'name')!r}: vmSize {at(pool, 'vmSize')!r} is not in components/cost/prices.yaml"


def scale_to_zero(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """An idle cluster costs nothing."""
    if type_ != "machinelearningservices:Compute" or at(props, "properties.computeType") != "AmlCompute":
        return
    least = at(props, "properties.properties.scaleSettings.minNodeCount")
    if known_and_not(least, 0, 0.0, None):
        yield f"minNodeCount is {least:g}; set `clusters.*.minNodes: 0`"


def log_retention(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Logs are there when someone asks."""
    if type_ != "operationalinsights:Workspace":
        return
    wanted, days = LOG_DAYS.get(environment, LOG_DAYS_ELSEWHERE), at(props, "retentionInDays")
    if days is None or (isinstance(days, int | float) and days < wanted):
        kept = "not set" if days is None else f"{days:g}"
        yield f"retentionInDays is {kept}; at least {wanted} in {environment}: `logs.retentionDays`"


def purge_protection(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Nobody can destroy prod's keys."""
    if type_ != "keyvault:Vault":
        return
    if known_and_not(at(props, "properties.enablePurgeProtection"), True):
        yield "enablePurgeProtection is off; set `keyVault.purgeProtection: true`"


def vault_by_role(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """One place for rights: roles; and a deleted vault can be had back."""
    if type_ != "keyvault:Vault":
        return
    if known_and_not(at(props, "properties.enableRbacAuthorization"), True):
        yield "enableRbacAuthorization is off; set it to true"
    if at(props, "properties.enableSoftDelete") is False:
        yield "enableSoftDelete is false; leave it on"


def soft_delete(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """A deleted blob can be had back."""
    if type_ == "storage:BlobServiceProperties" and known_and_not(at(props, "deleteRetentionPolicy.enabled"), True):
        yield "deleteRetentionPolicy is off; enable it"


RULES = (
    ResourceRule(name="required-tags", description="Every resource says whose it is.", check=tags),
    ResourceRule(name="priced-skus", description="SKUs are in the price book.", check=priced),
    ResourceRule(name="cluster-scales-to-zero", description="Clusters scale to zero.", check=scale_to_zero),
    ResourceRule(name="log-retention", description="Logs are kept 30 days, in prod 90.", check=log_retention),
    ResourceRule(
        name="purge-protection", description="Prod's vaults can't be purged.", check=purge_protection, prod_only=True
    ),
    ResourceRule(name="vault-by-role", description="Vaults go by roles, and soft delete is on.", check=vault_by_role),
    ResourceRule(name="blob-soft-delete", description="Deleted blobs can be had back.", check=soft_delete),
)
