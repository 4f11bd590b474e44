"""App Service: plans, Functions apps, and whether passwords may publish to them."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row

_SITE = "Microsoft.Web/sites/{name}"
ROWS = (
    row("web:AppServicePlan", "Microsoft.Web/serverfarms/{name}", immutable=("location", "reserved")),
    row("web:WebApp", _SITE, immutable=("location", "kind")),
    *(
        row(
            f"web:WebApp{door}Allowed",
            f"{_SITE}/basicPublishingCredentialsPolicies/{door.lower()}",
            singleton={"properties": {"allow": True}},
        )
        for door in ("Scm", "Ftp")
    ),
)
