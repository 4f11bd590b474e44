"""The stack's outputs: `contract.StackOutputs`, made from what the components know and checked once all of it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi

from components.cost.prices import estimate, price_book
from components.events.wiring import functions_document
from components.foundation import foundation_outputs
from components.gateway.build import Gateway
from components.kubernetes.build import kubernetes_outputs
from components.serving.settings import BatchEndpointSettings, EndpointSettings
from components.settings import Settings
from contract.outputs import StackOutputs

if TYPE_CHECKING:
    from components.observability.watch import Watch
    from components.platform import Platform


def document(settings: Settings, platform: Platform, project: str) -> dict[str, Any]:
    """The outputs in the contract's shape; some values are known only after the update."""
    place = platform.place
    return {
        "schema_version": StackOutputs.model_fields["schema_version"].default,
        "project": project,
        "stack": settings.stack,
        "environment": settings.environment,
        "tenant_id": place.tenant_id,
        "subscription_id": place.subscription_id,
        "resource_group": place.resource_group,
        "location": settings.location,
        **_parts(platform),
        **foundation_outputs(platform.foundation),
        **kubernetes_outputs(settings, platform.kubernetes),
        "feature_store": platform.features.document() if platform.features else None,
        "load_testing": platform.load_testing.document() if platform.load_testing else None,
        "clusters": {
            name: {
                "name": name,
                "vm_size": cluster.vm_size,
                "tier": cluster.tier,
                "min_nodes": cluster.min_nodes,
                "max_nodes": cluster.max_nodes,
                "usd_per_hour": price_book().cluster_hourly(cluster.vm_size, cluster.tier),
            }
            for name, cluster in settings.clusters.items()
        },
        "gateway": _gateway(platform.gateway),
        "endpoints": {name: _endpoint(platform, name, each) for name, each in settings.endpoints.items()},
        "batch_endpoints": {
            name: _batch_endpoint(platform, name, each) for name, each in settings.batch_endpoints.items()
        },
        "model_trust": _model_trust(settings, platform),
        "gates": settings.gates.model_dump(mode="json"),
        "functions": functions_document(settings, platform.functions),
        "cost": estimate(settings).model_dump(mode="json"),
        "spending": platform.spending.outputs(),
    }


def _model_trust(settings: Settings, platform: Platform) -> dict[str, Any]:
    trust = settings.model_trust
    return {
        "require_signed": trust.required_in(settings.environment),
        "public_keys": list(trust.public_keys),
        "vault_uri": platform.workspace.vault_uri,
        "key_secret": trust.key_secret or "",
    }


def _gateway(gateway: Gateway | None) -> dict[str, Any] | None:
    if gateway is None:
        return None
    door, service = gateway.front_door, gateway.api_management
    return {
        "front_door_host": door.host_name,
        "front_door_id": door.front_door_id,
        "front_door_profile": door.profile_name,
        "waf_policy_id": door.waf_policy_id,
        "api_management_name": service.service_name,
        "api_management_url": service.gateway_url,
        "scoring_urls": gateway.scoring_urls,
        "domain_token": door.domain_token,
    }


def _parts(platform: Platform) -> dict[str, Any]:
    workspace, storage, seen, events = platform.workspace, platform.storage, platform.observability, platform.events
    return {
        "workspace": {
            "name": workspace.workspace_name,
            "id": workspace.workspace_id,
            "principal_id": workspace.principal_id,
            "mlflow_tracking_uri": workspace.mlflow_tracking_uri,
        },
        "storage": {
            "account_name": storage.account_name,
            "account_id": storage.account_id,
            "blob_endpoint": storage.blob_endpoint,
            "journal_container": storage.journal_container,
        },
        "observability": {
            "log_analytics_id": seen.log_analytics_id,
            "log_analytics_customer_id": seen.log_analytics_customer_id,
            "app_insights_id": seen.app_insights_id,
            "action_group_id": seen.action_group_id,
            "action_group_ids": seen.action_group_ids,
            **_watch(platform.watch),
        },
        "events": {
            "topic_name": events.topic_name,
            "topic_endpoint": events.topic_endpoint,
            "subscriptions": list(events.subscriptions),
            "system_topic_name": events.system_topic_name,
            "destinations": dict(events.destinations),
            "dead_letter_container": storage.dead_letter_container,
        },
        "identity": {
            "client_ids": platform.identity.client_ids if platform.identity else {},
            "role_ids": platform.identity.role_ids if platform.identity else {},
        },
    }


def _watch(watch: Watch) -> dict[str, Any]:
    dashboards, grafana = watch.dashboards, watch.grafana
    return {
        "alert_ids": watch.alert_ids,
        "availability_test_ids": watch.availability.test_ids if watch.availability else {},
        "saved_queries": list(dashboards.saved_queries),
        "query_pack_id": dashboards.query_pack_id,
        "workbook_id": dashboards.workbook_id,
        "grafana_endpoint": grafana.endpoint if grafana else None,
        "monitor_workspace_id": grafana.monitor_workspace_id if grafana else None,
    }


def _endpoint(platform: Platform, name: str, settings: EndpointSettings) -> dict[str, Any]:
    endpoint = platform.endpoints[name]
    return {
        "name": endpoint.endpoint_name,
        "id": endpoint.endpoint_id,
        "scoring_uri": endpoint.scoring_uri,
        "auth_mode": settings.auth_mode,
        "model_name": settings.model,
        "deployment": {
            "compute": settings.compute,
            "instance_type": settings.instance_type,
            "instance_count": settings.instance_count,
            "usd_per_hour": (
                price_book().serving_hourly(settings.instance_type, reserved=settings.reserved)
                if settings.compute == "managed"
                else 0.0
            ),
            "max_concurrent_requests_per_instance": settings.max_concurrent_requests,
            "request_timeout_ms": settings.request_timeout_ms,
            "resources": settings.resources.model_dump(mode="json") if settings.resources else None,
            "scale": settings.scale.model_dump(mode="json") if settings.scale else None,
            "collect_share": settings.collect_share,
        },
        "policy": settings.policy.model_dump(mode="json"),
    }


def _batch_endpoint(platform: Platform, name: str, settings: BatchEndpointSettings) -> dict[str, Any]:
    endpoint = platform.batch_endpoints[name]
    return {
        "name": endpoint.endpoint_name,
        "id": endpoint.endpoint_id,
        "scoring_uri": endpoint.scoring_uri,
        "model_name": settings.model,
        "deployment": settings.model_dump(mode="json", exclude={"name", "model"}),
    }


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved outputs as plain data, checked against the contract; pydantic's error names what is off."""
    return StackOutputs.model_validate(dict(values)).model_dump(mode="json")


def export(values: Mapping[str, Any]) -> None:
    """One output with everything (`rollout`), and the ones that people and scripts ask for by name."""
    # with unknowns in a preview this apply does not run, and the output is shown as unknown
    pulumi.export("rollout", pulumi.Output.from_input(dict(values)).apply(checked))
    flat: dict[str, Any] = {
        "resource_group": values["resource_group"],
        "location": values["location"],
        "workspace_name": values["workspace"]["name"],
        "workspace_id": values["workspace"]["id"],
        "mlflow_tracking_uri": values["workspace"]["mlflow_tracking_uri"],
        "storage_account_name": values["storage"]["account_name"],
        "log_analytics_id": values["observability"]["log_analytics_id"],
        "app_insights_id": values["observability"]["app_insights_id"],
        "topic_endpoint": values["events"]["topic_endpoint"],
        "container_registry_name": values["container_registry"]["name"],
        "model_registry_name": (values["model_registry"] or {}).get("name", ""),
        "feature_store_name": (values["feature_store"] or {}).get("name", ""),
        "online_store_host": (values["feature_store"] or {}).get("online_host", ""),
        "load_testing_name": (values["load_testing"] or {}).get("name", ""),
        "vnet_id": values["network"].get("vnet_id", ""),
        "batch_endpoint_names": {name: each["name"] for name, each in values["batch_endpoints"].items()},
        "kubernetes_cluster_name": (values["kubernetes"] or {}).get("cluster_name", ""),
        "kubernetes_compute_name": (values["kubernetes"] or {}).get("compute_name", ""),
        "cluster_names": sorted(values["clusters"]),
        "gateway_urls": values["gateway"]["scoring_urls"] if values["gateway"] else {},
        "endpoint_names": {name: each["name"] for name, each in values["endpoints"].items()},
        "scoring_uris": {name: each["scoring_uri"] for name, each in values["endpoints"].items()},
        # known in a preview, where `rollout` is not: the policy pack reads it
        "endpoint_instance_counts": {
            name: each["deployment"]["instance_count"] for name, each in values["endpoints"].items()
        },
        "monthly_cost_usd": values["cost"]["monthly_usd"],
        "monthly_budget_usd": values["cost"]["budget_usd"],
        "cost_export_container": values["spending"]["export_container"],
        "automation_account_name": values["spending"]["automation_account"],
    }
    for name, value in flat.items():
        pulumi.export(name, value)
