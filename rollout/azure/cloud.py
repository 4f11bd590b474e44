"""Where Azure is: addresses and credentials from the environment, Azure's public cloud by default.

Nothing here imports an SDK until a client is asked for.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rollout.errors import BadInput

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.core.credentials import TokenCredential
    from azure.eventgrid import EventGridPublisherClient
    from azure.monitor.query import LogsQueryClient
    from azure.monitor.querymetrics import MetricsClient
    from azure.storage.blob import BlobServiceClient

    from contract import StackOutputs

PUBLIC_RESOURCE_MANAGER = "https://management.azure.com"
_PUBLIC_AUTHORITIES = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.chinacloudapi.cn",
        "login.partner.microsoftonline.cn",
    }
)
#: Names that azure-ai-ml knows without being given metadata.
_NAMED_CLOUDS = {
    "management.azure.com": "AzureCloud",
    "management.usgovcloudapi.net": "AzureUSGovernment",
    "management.chinacloudapi.cn": "AzureChinaCloud",
}
_POLL_SECONDS = 2
#: A refused connection is told after one more try. The SDKs' defaults, one inside the other, take two minutes.
_RETRIES: dict[str, Any] = {"retry_total": 4, "retry_connect": 1}


@dataclass(frozen=True, slots=True)
class Cloud:
    """One Azure cloud and who we are in it. URLs carry no closing slash; `metrics` holds `{region}`."""

    authority: str = "https://login.microsoftonline.com"
    resource_manager: str = PUBLIC_RESOURCE_MANAGER
    graph: str = "https://graph.microsoft.com"
    metrics: str = "https://{region}.metrics.monitor.azure.com"
    logs: str = "https://api.loganalytics.azure.com/v1"
    ml_audience: str = "https://ml.azure.com"
    storage_suffix: str = "core.windows.net"
    vault_audience: str = "https://vault.azure.net"
    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    subscription_id: str = ""

    def credential(self) -> TokenCredential:
        """The service principal of the environment, else whatever identity the machine offers."""
        return _credential(self)

    def ml_client(self, outputs: StackOutputs) -> MLClient:
        """The workspace's client: no metadata calls, no telemetry, no progress bars."""
        from azure.ai.ml import MLClient

        options: dict[str, Any] = {"enable_telemetry": False, "show_progress": False}
        options["polling_interval"] = _POLL_SECONDS
        options |= self.ml_cloud()
        return MLClient(
            self.credential(), outputs.subscription_id, outputs.resource_group, outputs.workspace.name, **options
        )

    def registry_client(self, name: str) -> MLClient:
        """An ML registry's client; where it is, the registry's discovery says."""
        from azure.ai.ml import MLClient

        options: dict[str, Any] = {"enable_telemetry": False, "show_progress": False, **self.ml_cloud()}
        return MLClient(self.credential(), registry_name=name, **options)

    def ml_cloud(self) -> dict[str, Any]:
        """`cloud=` makes azure-ai-ml fail when its cloud is down, instead of going to the public one."""
        host = urlsplit(self.resource_manager).hostname or ""
        if host in _NAMED_CLOUDS:
            return {"cloud": _NAMED_CLOUDS[host]}
        # azure-ai-ml keeps clouds by name for the life of the process: a name per set of addresses.
        digest = hashlib.sha256(f"{self.resource_manager} {self.authority} {self.storage_suffix}".encode())
        metadata = {
            "azure_portal": self.resource_manager,
            "resource_manager": self.resource_manager,
            "active_directory": self.authority,
            "aml_resource_id": self.ml_audience,
            "storage_endpoint": self.storage_suffix,
            # where registries tell their addresses, for tokens of the same audience
            "registry_discovery_endpoint": self.ml_audience,
        }
        return {"cloud": f"rollout-{digest.hexdigest()[:12]}", "cloud_metadata": metadata}

    def blob_service(self, outputs: StackOutputs) -> BlobServiceClient:
        """The workspace's blob storage, with the caller's identity."""
        from azure.storage.blob import BlobServiceClient, LinearRetry

        # Its default waits up to 84 s, also for a login that refuses; the next tick tries again anyway.
        retries = LinearRetry(backoff=1, retry_total=3, random_jitter_range=0)
        return BlobServiceClient(outputs.storage.blob_endpoint, credential=self.credential(), retry_policy=retries)

    def metrics_client(self, region: str) -> MetricsClient:
        """Azure Monitor's metrics of one region."""
        from azure.monitor.querymetrics import MetricsClient

        # Every region's endpoint takes tokens for the host without the region.
        audience = self.metrics.replace("{region}.", "")
        return MetricsClient(self.metrics.format(region=region), self.credential(), audience=audience, **_RETRIES)

    def logs_client(self) -> LogsQueryClient:
        """Log Analytics' query endpoint."""
        from azure.monitor.query import LogsQueryClient

        audience = self.logs.removesuffix("/v1")
        return LogsQueryClient(self.credential(), endpoint=self.logs, audience=audience, **_RETRIES)

    def event_publisher(self, topic_endpoint: str) -> EventGridPublisherClient:
        """An Event Grid topic, with the caller's identity. Few retries: the next tick tries again anyway."""
        from azure.eventgrid import EventGridPublisherClient

        return EventGridPublisherClient(topic_endpoint, self.credential(), retry_total=1, connection_timeout=5)


def cloud_from_environment(environ: Mapping[str, str] | None = None) -> Cloud:
    """The cloud that the variables of docs/architecture.md describe; `BadInput` names the variable."""
    env = os.environ if environ is None else environ
    public = Cloud()
    return Cloud(
        authority=_url(env, "AZURE_AUTHORITY_HOST", public.authority),
        resource_manager=_url(env, "ROLLOUT_AZURE_RESOURCE_MANAGER", public.resource_manager),
        graph=_url(env, "ROLLOUT_AZURE_GRAPH", public.graph),
        metrics=_url(env, "ROLLOUT_AZURE_METRICS", public.metrics),
        logs=_url(env, "ROLLOUT_AZURE_LOGS", public.logs),
        ml_audience=_url(env, "ROLLOUT_AZURE_ML_AUDIENCE", public.ml_audience),
        vault_audience=_url(env, "ROLLOUT_AZURE_VAULT_AUDIENCE", public.vault_audience),
        storage_suffix=env.get("ROLLOUT_AZURE_STORAGE_SUFFIX") or public.storage_suffix,
        tenant_id=_either(env, "TENANT_ID"),
        client_id=_either(env, "CLIENT_ID"),
        client_secret=_either(env, "CLIENT_SECRET"),
        subscription_id=_either(env, "SUBSCRIPTION_ID"),
    )


def _either(env: Mapping[str, str], name: str) -> str:
    """`AZURE_X`, else the providers' `ARM_X`; two different values are a mistake to tell."""
    azure, arm = env.get(f"AZURE_{name}", ""), env.get(f"ARM_{name}", "")
    if azure and arm and azure != arm:
        shown = "they differ" if name == "CLIENT_SECRET" else f"{azure!r} and {arm!r} differ"
        raise BadInput(f"AZURE_{name} and ARM_{name}: {shown}", way_out=f"unset one, or set both to the same {name}")
    return azure or arm


def _url(env: Mapping[str, str], name: str, default: str) -> str:
    text = (env.get(name) or default).rstrip("/")
    if "://" not in text and name == "AZURE_AUTHORITY_HOST":
        text = f"https://{text}"  # azure-identity takes a bare host too
    try:
        parts = urlsplit(text.replace("{region}", "region"))
        valid = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or "{" in text.replace("{region}", ""):
        raise BadInput(
            f"{name}={env.get(name)!r} is not an https URL", way_out=f"unset it for Azure's public {default}"
        )
    return text


@functools.cache
def _credential(cloud: Cloud) -> TokenCredential:
    """One credential per cloud and process, so that its tokens are reused."""
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    custom = urlsplit(cloud.authority).hostname not in _PUBLIC_AUTHORITIES
    if cloud.client_secret:
        missing = [name for name in ("tenant_id", "client_id") if not getattr(cloud, name)]
        if missing:
            raise BadInput(
                f"AZURE_CLIENT_SECRET is set, but AZURE_{missing[0].upper()} is not",
                way_out="set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET together",
            )
        return ClientSecretCredential(
            cloud.tenant_id,
            cloud.client_id,
            cloud.client_secret,
            authority=cloud.authority,
            disable_instance_discovery=custom,
            **_RETRIES,
        )
    return DefaultAzureCredential(authority=cloud.authority, disable_instance_discovery=custom)
