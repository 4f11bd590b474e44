"""Which of the sandbox's ports answers for which of Azure's public host names."""

from __future__ import annotations

from fnmatch import fnmatchcase

#: Host pattern to service; the first that matches holds. Names that are not here are refused.
PUBLIC_HOSTS = (
    ("management.azure.com", "arm"),
    ("login.microsoftonline.com", "login"),
    ("login.microsoft.com", "login"),
    ("login.windows.net", "login"),
    ("sts.windows.net", "login"),
    ("graph.microsoft.com", "graph"),
    ("*.blob.core.windows.net", "blob"),
    ("*.inference.ml.azure.com", "gateway"),
    ("ml.azure.com", "ml"),
    ("*.api.azureml.ms", "ml"),
    ("api.loganalytics.azure.com", "logs"),
    ("api.loganalytics.io", "logs"),
    ("*.in.applicationinsights.azure.com", "logs"),
    ("*.metrics.monitor.azure.com", "monitor"),
    ("*.eventgrid.azure.net", "eventgrid"),
)


def service_of(host: str) -> str | None:
    """The service that stands in for `host`; None when the sandbox has none."""
    name = host.lower().rstrip(".")
    return next((service for pattern, service in PUBLIC_HOSTS if fnmatchcase(name, pattern)), None)
