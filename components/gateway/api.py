"""One online endpoint behind API Management: where it is, what callers see, and the policy between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.gateway import openapi
from components.gateway.health import health_policy_xml
from components.gateway.policy_xml import PolicyArgs, policy_xml
from components.gateway.settings import ApiManagementSettings, GatewayEndpointSettings
from components.identity.define import Defined
from components.identity.roles import Principal, Role, assign


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoringApiArgs:
    place: Placement
    use_case: str
    model: str
    settings: GatewayEndpointSettings
    service: ApiManagementSettings
    service_name: pulumi.Input[str]
    #: Of the identity that the service calls endpoints as.
    principal: Principal
    client_id: pulumi.Input[str]
    #: Of the one that reads keys.
    vault_principal: Principal | None
    front_door_id: pulumi.Input[str]
    endpoint_id: pulumi.Input[str]
    #: The endpoint's own address, which ends in /score.
    scoring_uri: pulumi.Output[str]
    #: The stack's Key Vault, and its address; for endpoints with a key.
    vault_id: pulumi.Input[str]
    vault_name: str
    #: The role that may score; for endpoints with identities.
    scorer: Defined | None


class ScoringApi(pulumi.ComponentResource):
    """An API with its backend and policy; API Management gets the right to score, at this endpoint alone. Output: `path`."""

    path: str

    def __init__(self, name: str, args: ScoringApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:gateway:ScoringApi", name, None, opts)
        self._name, self._args = name, args
        self._common = {"service_name": args.service_name, "resource_group_name": args.place.resource_group}
        self.path = args.settings.path or args.use_case
        key = self._build_key() if args.settings.key_secret else None
        if key is None and args.scorer is not None:
            args.scorer.assign(f"{name}-scorer", to=args.principal, scope=args.endpoint_id, parent=self)
        backend = self._build_backend()
        api = self._build_api()
        self._build_policy(api, backend, key)
        self._build_health(api, backend)
        self.register_outputs({"path": self.path})

    def _build_key(self) -> Any:
        """The key stays in the vault; API Management reads it there, and reads it again when it is rotated."""
        from pulumi_azure_native import apimanagement

        args, place, secret = self._args, self._args.place, self._args.settings.key_secret
        reader = args.vault_principal or args.principal
        role = assign(
            f"{self._name}-secret-user",
            Role.KEY_VAULT_SECRETS_USER,
            to=reader.id,
            holder=reader.holder,
            scope=pulumi.Output.concat(args.vault_id, "/secrets/", secret or ""),
            parent=self,
            place=place,
        )
        name = f"{args.use_case}-key"
        return apimanagement.NamedValue(
            f"{self._name}-key",
            named_value_id=name,
            display_name=name,
            secret=True,
            key_vault=apimanagement.KeyVaultContractCreatePropertiesArgs(
                # without a version: the newest
                secret_identifier=f"https://{args.vault_name}.vault.azure.net/secrets/{secret}"
            ),
            **self._common,
            opts=child(self, place, after=[role]),
        )

    def _build_backend(self) -> Any:
        from pulumi_azure_native import apimanagement

        args = self._args
        return apimanagement.Backend(
            f"{self._name}-backend",
            backend_id=args.use_case,
            protocol="http",
            url=args.scoring_uri.apply(lambda uri: uri.removesuffix("/score")),
            description=f"online endpoint of {args.use_case}",
            tls=apimanagement.BackendTlsPropertiesArgs(validate_certificate_chain=True, validate_certificate_name=True),
            **self._common,
            opts=child(self, args.place),
        )

    def _build_api(self) -> Any:
        from pulumi_azure_native import apimanagement

        args = self._args
        description = openapi.document(args.use_case, args.model)["info"]
        return apimanagement.Api(
            f"{self._name}-api",
            api_id=args.use_case,
            path=self.path,
            display_name=description["title"],
            description=description["description"],
            protocols=["https"],
            # callers are known by their tokens
            subscription_required=False,
            api_revision="1",
            format="openapi+json",
            value=openapi.text(args.use_case, args.model),
            **self._common,
            opts=child(self, args.place),
        )

    def _build_policy(self, api: Any, backend: Any, key: Any) -> None:
        from pulumi_azure_native import apimanagement

        args = self._args

        def document(ids: list[str]) -> str:
            front_door_id, client_id = ids
            return policy_xml(
                PolicyArgs(
                    use_case=args.use_case,
                    settings=args.service,
                    tenant_id=args.place.tenant_id,
                    front_door_id=front_door_id,
                    client_id=client_id,
                    backend_id=args.use_case,
                    key_name=f"{args.use_case}-key" if key is not None else None,
                    prediction_cache_seconds=args.settings.prediction_cache_seconds,
                )
            )

        apimanagement.ApiPolicy(
            f"{self._name}-policy",
            api_id=api.name,
            policy_id="policy",
            format="xml",
            value=pulumi.Output.all(args.front_door_id, args.client_id).apply(document),
            **self._common,
            opts=child(self, args.place, after=[each for each in (backend, key) if each is not None]),
        )

    def _build_health(self, api: Any, backend: Any) -> None:
        from pulumi_azure_native import apimanagement

        args = self._args
        apimanagement.ApiOperationPolicy(
            f"{self._name}-health",
            api_id=api.name,
            operation_id=openapi.health_operation(args.use_case),
            policy_id="policy",
            format="xml",
            value=pulumi.Output.from_input(args.front_door_id).apply(
                lambda front_door_id: health_policy_xml(front_door_id, args.use_case)
            ),
            **self._common,
            opts=child(self, args.place, after=[backend]),
        )
