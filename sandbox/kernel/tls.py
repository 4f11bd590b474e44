"""The sandbox's own certificate authority and the certificate that every TLS port shows.

Made once per sandbox and kept, so that clients that trust `ca.pem` go on working after a restart.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sandbox.kernel.files import write_private

LIFETIME = timedelta(days=3650)
#: Made anew when it is nearer to its end than this.
RENEW_BEFORE = timedelta(days=30)

#: A wildcard covers one label only, so names with a region in the middle are listed per region.
REGIONS = (
    "eastus", "eastus2", "centralus", "northcentralus", "southcentralus", "westus", "westus2", "westus3",
    "northeurope", "westeurope", "uksouth", "francecentral", "germanywestcentral", "swedencentral",
    "switzerlandnorth", "southeastasia", "australiaeast", "japaneast", "canadacentral",
)  # fmt: skip

_PUBLIC_NAMES = (
    "management.azure.com",
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
    "graph.microsoft.com",
    "ml.azure.com",
    "*.blob.core.windows.net",
    "*.dfs.core.windows.net",
    "*.file.core.windows.net",
    "*.queue.core.windows.net",
    "*.table.core.windows.net",
    "*.vault.azure.net",
    "*.azurecr.io",
    "*.api.azureml.ms",
    "*.modelmanagement.azureml.net",
    "*.inference.ml.azure.com",
    "*.eventgrid.azure.net",
    "api.loganalytics.azure.com",
    "api.loganalytics.io",
    "*.metrics.monitor.azure.com",
    "*.in.applicationinsights.azure.com",
)
_REGIONAL_NAMES = (
    "*.{region}.inference.ml.azure.com",
    "*.workspace.{region}.api.azureml.ms",
    "*.{region}-1.eventgrid.azure.net",
)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """`ca` is what clients trust; `server` holds the key and the chain (mode 0600)."""

    ca: Path
    server: Path


def tls_files(home: Path) -> TlsFiles:
    """The certificates of the sandbox in `home`; made when missing, incomplete or near their end."""
    files = TlsFiles(home / "ca.pem", home / "server.pem")
    if not (files.ca.exists() and files.server.exists() and _lasts(files.server)):
        _make(files)
    return files


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """What a listener of the sandbox shows its callers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.server)
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Trusts this sandbox and nothing else."""
    return ssl.create_default_context(cafile=str(files.ca))


def server_names() -> list[str]:
    """Every name that the certificate is good for."""
    regional = [name.format(region=region) for name in _REGIONAL_NAMES for region in REGIONS]
    return ["127.0.0.1", "localhost", *_PUBLIC_NAMES, *regional]


def _make(files: TlsFiles) -> None:
    # Loaded here only: a restart, which reads the files, need not pay for the import.
    import trustme

    expires = datetime.now(UTC) + LIFETIME
    authority = trustme.CA(organization_name="azureml-rollouts sandbox")
    certificate = authority.issue_cert(*server_names(), common_name="sandbox", not_after=expires)
    write_private(files.server, certificate.private_key_and_cert_chain_pem.bytes())
    authority.cert_pem.write_to_path(str(files.ca))


def _lasts(certificate: Path) -> bool:
    from cryptography import x509

    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except ValueError:
        return False
    return all(part.not_valid_after_utc > datetime.now(UTC) + RENEW_BEFORE for part in chain)
