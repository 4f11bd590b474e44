"""The Functions app that handles events: its plan, identity, own storage, secrets' places, and the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.cost.settings import OffHoursSettings
from components.events.functions_storage import FunctionsStorage, FunctionsStorageArgs
from components.events.settings import OFF_HOURS_MINUTES, FunctionSettings
from components.identity.managed import user_assigned
from components.identity.roles import Principal, Role, assign
from components.network.reach import Reach
from components.network.vnet import Network

#: Secrets that people put into the workspace's vault, by the app setting that refers to them.
#: `rollout.handlers.settings` reads them; a test holds the two to each other.
SECRETS: Mapping[str, str] = {
    "ROLLOUT_GITHUB_TOKEN": "functions-github-token",  # nosec B105  # its name in the vault
    "ROLLOUT_DELIVERY_URL": "functions-delivery-url",
    "ROLLOUT_ALERT_URL": "functions-alert-url",
    "ROLLOUT_SIGNING_KEY": "functions-signing-key",
}
NOT_SET = "not-set"
PYTHON = "3.11"


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionsArgs:
    place: Placement
    settings: FunctionSettings
    off_hours: OffHoursSettings
    vault_name: pulumi.Input[str]
    app_insights_id: pulumi.Input[str]
    app_insights_connection: pulumi.Input[str]
    reach: Reach
    network: Network | None


class Functions(pulumi.ComponentResource):
    """A Functions app (Python, Flex Consumption) with an identity of its own and no key or password anywhere.

    Outputs: `app_id`, `app_name`, `host_name`, `principal_id` (of the identity), `secrets` (setting to secret name), `vault_name`,
    `packages_url` (container of its code).
    """

    app_id: pulumi.Output[str]
    app_name: pulumi.Output[str]
    host_name: pulumi.Output[str]
    principal_id: pulumi.Output[str]
    principal: Principal
    secrets: dict[str, str]
    vault_name: pulumi.Input[str]
    packages_url: pulumi.Output[str]

    def __init__(self, name: str, args: FunctionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Functions", name, None, opts)
        self._name, self._args, self.vault_name = name, args, args.vault_name
        self._identity = user_assigned(f"{self._name}-identity", whose="functions", parent=self, place=args.place)
        self.principal_id = self._identity.principal_id
        self.principal = Principal(self.principal_id, self._identity)
        storage = FunctionsStorageArgs(
            place=args.place,
            reach=args.reach,
            network=args.network,
            principal_id=self.principal_id,
            identity=self._identity,
        )
        self._storage = FunctionsStorage(f"{name}-storage", storage, pulumi.ResourceOptions(parent=self))
        self.packages_url = self._storage.packages_url
        self.secrets = {setting: SECRETS[setting] for setting in wanted_secrets(args.settings)}
        references, roles = self._build_secrets()
        site = self._build_site(references, [*self._storage.ready, *roles, self._let_publish()])
        self.app_id, self.app_name, self.host_name = site.id, site.name, site.default_host_name
        self._close_password_doors(site)
        self.register_outputs({"app_name": self.app_name, "host_name": self.host_name})

    def _build_secrets(self) -> tuple[dict[str, pulumi.Output[str]], list[pulumi.Resource]]:
        """A place for each secret, and the right to read it and no other. People put the values: none is in Pulumi's state.

        Without tags nothing about them ever changes, so no update writes the first value over theirs.
        """
        from pulumi_azure_native import keyvault

        args, place = self._args, self._args.place
        references: dict[str, pulumi.Output[str]] = {}
        roles = []
        for setting, name in self.secrets.items():
            secret = keyvault.Secret(
                f"{self._name}-secret-{name}",
                secret_name=name,
                vault_name=args.vault_name,
                resource_group_name=place.resource_group,
                properties=keyvault.SecretPropertiesArgs(value=NOT_SET),
                opts=child(self, place, ignore=["properties.value"]),
            )
            uri = secret.properties.apply(lambda properties: properties.secret_uri)
            # no version: a new value is read within a day, or at the next start
            references[setting] = pulumi.Output.concat("@Microsoft.KeyVault(SecretUri=", uri, ")")
            roles.append(self._grant(f"reads-{name}", Role.KEY_VAULT_SECRETS_USER, secret.id))
        return references, roles

    def _let_publish(self) -> pulumi.Resource:
        return self._grant("publishes-metrics", Role.MONITORING_METRICS_PUBLISHER, self._args.app_insights_id)

    def _grant(self, what: str, role: Role, scope: pulumi.Input[str]) -> pulumi.Resource:
        return assign(
            f"{self._name}-{what}",
            role,
            to=self.principal_id,
            scope=scope,
            parent=self,
            place=self._args.place,
            holder=self._identity,
        )

    def _build_site(self, references: Mapping[str, pulumi.Output[str]], ready: list[pulumi.Resource]) -> Any:
        from pulumi_azure_native import web

        args, place = self._args, self._args.place
        plan = web.AppServicePlan(
            f"{self._name}-plan",
            name=place.names.of("function app plan", "functions"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="functionapp",
            reserved=True,
            sku=web.SkuDescriptionArgs(name="FC1", tier="FlexConsumption"),
            tags=place.tags,
            opts=child(self, place),
        )
        return web.WebApp(
            self._name,
            name=place.names.of("function app", "functions"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="functionapp,linux",
            server_farm_id=plan.id,
            identity=web.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[self._identity.id]),
            key_vault_reference_identity=self._identity.id,
            https_only=True,
            client_cert_enabled=False,
            # Event Grid calls from outside any VNet: who else may is said by _restrictions
            public_network_access="Enabled",
            virtual_network_subnet_id=args.network.subnet_ids["functions"] if args.network else None,
            function_app_config=self._app_config(),
            site_config=web.SiteConfigArgs(
                app_settings=[
                    web.NameValuePairArgs(name=key, value=value)
                    for key, value in self._app_settings(references).items()
                ],
                min_tls_version="1.2",
                scm_min_tls_version="1.2",
                ftps_state="Disabled",
                http20_enabled=True,
                remote_debugging_enabled=False,
                **_restrictions(args.reach),
            ),
            tags=place.tags,
            opts=child(self, place, after=ready),
        )

    def _app_config(self) -> Any:
        from pulumi_azure_native import web

        settings = self._args.settings
        return web.FunctionAppConfigArgs(
            deployment=web.FunctionsDeploymentArgs(
                storage=web.FunctionsDeploymentStorageArgs(
                    type="blobContainer",
                    value=self._storage.packages_url,
                    authentication=web.FunctionsDeploymentStorageAuthenticationArgs(
                        type="UserAssignedIdentity", user_assigned_identity_resource_id=self._identity.id
                    ),
                )
            ),
            runtime=web.FunctionsRuntimeArgs(name="python", version=PYTHON),
            scale_and_concurrency=web.FunctionsScaleAndConcurrencyArgs(
                instance_memory_mb=settings.memory_mb, maximum_instance_count=settings.max_instances
            ),
        )

    def _app_settings(self, references: Mapping[str, pulumi.Output[str]]) -> dict[str, pulumi.Input[str]]:
        args, settings, client_id = self._args, self._args.settings, self._identity.client_id
        values: dict[str, pulumi.Input[str]] = {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": args.app_insights_connection,
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": pulumi.Output.concat(
                "ClientId=", client_id, ";Authorization=AAD"
            ),
            "AZURE_CLIENT_ID": client_id,
            "AzureWebJobsStorage__accountName": self._storage.account_name,
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": client_id,
            "ROLLOUT_DELIVERY": settings.delivery,
            "ROLLOUT_HANDLED_EVENTS_URL": self._storage.handled_events_url,
            **references,
        }
        if settings.repository is not None:
            values["ROLLOUT_GITHUB_REPOSITORY"] = settings.repository
        if settings.tick_minutes:
            values["ROLLOUT_TICK_SCHEDULE"] = f"0 */{settings.tick_minutes} * * * *"
        if settings.weight_minutes:
            values["ROLLOUT_WEIGHTS_SCHEDULE"] = f"0 */{settings.weight_minutes} * * * *"
        if args.off_hours.park_idle_minutes:
            hours = args.off_hours
            values["ROLLOUT_OFF_HOURS_SCHEDULE"] = f"0 */{OFF_HOURS_MINUTES} * * * *"
            values["ROLLOUT_OFF_HOURS"] = f"{hours.stop_at} {hours.start_at} {hours.time_zone}"
            values["ROLLOUT_PARK_IDLE_MINUTES"] = str(hours.park_idle_minutes)
        return values

    def _close_password_doors(self, site: Any) -> None:
        """Deployments sign in with Entra: the publishing user and password open nothing."""
        from pulumi_azure_native import web

        place = self._args.place
        common: dict[str, Any] = {"name": site.name, "resource_group_name": place.resource_group, "allow": False}
        web.WebAppScmAllowed(f"{self._name}-scm-password", **common, opts=child(self, place))
        web.WebAppFtpAllowed(f"{self._name}-ftp-password", **common, opts=child(self, place))


def wanted_secrets(settings: FunctionSettings) -> tuple[str, ...]:
    """The app settings that refer to secrets: those of the alert always, those of the delivery that is chosen."""
    delivery = {"github": ("ROLLOUT_GITHUB_TOKEN",), "webhook": ("ROLLOUT_DELIVERY_URL",), "none": ()}
    return (*delivery[settings.delivery], "ROLLOUT_ALERT_URL", "ROLLOUT_SIGNING_KEY")


def _restrictions(reach: Reach) -> dict[str, Any]:
    """Event Grid may call the site. Where the stack is private, nobody else: deployments come from allowed ranges."""
    if reach.public:
        return {}
    from pulumi_azure_native import web

    def allow(name: str, address: str, priority: int, tag: str = "Default") -> Any:
        return web.IpSecurityRestrictionArgs(name=name, action="Allow", ip_address=address, priority=priority, tag=tag)

    allowed = [allow(f"range-{at}", each, 200 + at) for at, each in enumerate(reach.allowed_ips)]
    return {
        "ip_security_restrictions": [allow("event-grid", "AzureEventGrid", 100, "ServiceTag")],
        "ip_security_restrictions_default_action": "Deny",
        "scm_ip_security_restrictions": allowed,
        "scm_ip_security_restrictions_default_action": "Deny",
        "scm_ip_security_restrictions_use_main": False,
    }
