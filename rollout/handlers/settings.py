"""The app's settings, as the platform's Pulumi program writes them (components/events/functions.py)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from rollout.errors import BadInput
from rollout.handlers.off_hours import OffHours

DELIVERY = "ROLLOUT_DELIVERY"
GITHUB_REPOSITORY = "ROLLOUT_GITHUB_REPOSITORY"
GITHUB_API = "ROLLOUT_GITHUB_API"
HANDLED_EVENTS = "ROLLOUT_HANDLED_EVENTS_URL"
#: Application Insights' connection string, which Azure names so.
INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
#: Timer, "HH:MM HH:MM zone" (when they begin and end), and minutes without a request.
OFF_HOURS = "ROLLOUT_OFF_HOURS"
PARK_IDLE_MINUTES = "ROLLOUT_PARK_IDLE_MINUTES"
#: Settings whose values lie in Key Vault, and the secrets that hold them.
SECRETS: Mapping[str, str] = {
    "ROLLOUT_GITHUB_TOKEN": "functions-github-token",  # nosec B105  # its name in the vault
    "ROLLOUT_DELIVERY_URL": "functions-delivery-url",
    "ROLLOUT_ALERT_URL": "functions-alert-url",
    "ROLLOUT_SIGNING_KEY": "functions-signing-key",
}
#: What Pulumi puts into a new secret; people then put the value.
NOT_SET = "not-set"  # nosec B105  # says that there is no secret yet
_REFERENCE = "@Microsoft.KeyVault("
_PUBLIC_GITHUB = "https://api.github.com"


class AppSettings:
    """Reads one setting at a time: a handler needs no more than its own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def plain(self, name: str, default: str = "") -> str:
        """A setting that is no secret; `BadInput` when it is missing and has no default."""
        value = self._environ.get(name, "").strip() or default
        if not value:
            raise BadInput(
                f"the app setting {name} is missing", way_out="pulumi up writes it: functions.* in the stack file"
            )
        return value

    def secret(self, name: str) -> str:
        """The value behind a Key Vault reference; the message never shows it.

        Where the platform can't resolve a reference, the setting holds the reference itself.
        """
        value = self._environ.get(name, "").strip()
        where = f"the secret {SECRETS[name]} of the workspace's key vault"
        if not value:
            raise BadInput(
                f"the app setting {name} is missing", way_out="pulumi up writes it: functions.* in the stack file"
            )
        if value.startswith(_REFERENCE):
            raise BadInput(
                f"the Key Vault reference of {name} was not resolved",
                way_out=f"see that {where} exists, and that the app's identity reaches and may read it",
            )
        if value == NOT_SET:
            raise BadInput(f"{name} has no value yet", way_out=f"put it: az keyvault secret set, {where}")
        return value

    def url(self, name: str) -> str:
        """A secret that is an https address."""
        value = self.secret(name)
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname:
            raise BadInput(f"{name} is not an https address", way_out=f"correct the secret {SECRETS[name]}")
        return value

    @property
    def off_hours(self) -> OffHours:
        """When endpoints may be parked, and how idle they have to be."""
        text, minutes = self.plain(OFF_HOURS), self.plain(PARK_IDLE_MINUTES)
        words = text.split()
        try:
            stop, start = (time.fromisoformat(each) for each in words[:2])
            return OffHours(stop, start, ZoneInfo(words[2]), int(minutes))
        except (ValueError, IndexError, KeyError) as error:
            raise BadInput(
                f"{OFF_HOURS} is {text!r} and {PARK_IDLE_MINUTES} is {minutes!r}; e.g. '18:00 06:00 Europe/Berlin' and 120",
                way_out="pulumi up writes both: offHours.* in the stack file",
            ) from error

    @property
    def delivery(self) -> str:
        """github, webhook or none."""
        value = self.plain(DELIVERY, "none")
        if value not in ("github", "webhook", "none"):
            raise BadInput(f"{DELIVERY} is {value!r}; allowed: github, webhook, none")
        return value

    @property
    def github_dispatch_url(self) -> str:
        base = self.plain(GITHUB_API, _PUBLIC_GITHUB).rstrip("/")
        if not base.startswith("https://"):
            raise BadInput(f"{GITHUB_API} is not an https address")
        return f"{base}/repos/{self.plain(GITHUB_REPOSITORY)}/dispatches"
