"""Who works on the stack: CI's app registrations, trusted by federation and without a secret, and the project's roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.base import Placement, child
from components.identity.custom_roles import (
    BATCHER,
    CUSTOM_ROLES,
    LOG_READER,
    OPERATOR,
    PARKER,
    PREVIEWER,
    READER,
    SCALER,
    SCORER,
    CustomRole,
    Where,
)
from components.identity.define import Defined, define
from components.identity.roles import Principal
from components.identity.settings import IdentitySettings

#: What Entra ID asks of a token that is exchanged.
AUDIENCE = "api://AzureADTokenExchange"
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityArgs:
    place: Placement
    settings: IdentitySettings
    #: The ids that roles are assigned at.
    scopes: Mapping[Where, pulumi.Input[str]]
    #: Ids of the identities that endpoints run as, by use case.
    endpoint_identities: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    #: Some endpoint's deployments scale.
    scales: bool = False
    #: Whether an endpoint asks for Entra tokens: then the operator's smoke tests need a role to score.
    scores_by_identity: bool = False
    #: Some endpoint is on the cluster.
    on_cluster: bool = False
    #: There is a batch endpoint.
    scores_files: bool = False
    #: Idle endpoints are parked in the off hours.
    parks: bool = False


@dataclass(frozen=True, slots=True)
class Trust:
    """One workload that may become the app: exactly this subject, of this issuer."""

    name: str
    issuer: str
    subject: str


class Identity(pulumi.ComponentResource):
    """The custom roles and two apps: `operator` runs rollouts, `previewer` runs `pulumi preview` on pull requests.

    Outputs: `client_ids` (by app), `role_ids` (role definition ids, by role).
    """

    client_ids: dict[str, pulumi.Output[str]]
    role_ids: dict[str, str]
    #: For those that assign them elsewhere.
    roles: dict[str, Defined]

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Identity", name, None, opts)
        self._name, self._args = name, args
        asked = (
            (SCALER, args.scales),
            (SCORER, args.scores_by_identity),
            (LOG_READER, args.on_cluster),
            (BATCHER, args.scores_files),
            (PARKER, args.parks),
        )
        roles = (*CUSTOM_ROLES, *(role for role, wanted in asked if wanted))
        self.roles = {role.key: define(f"{name}-{role.key}", role, parent=self, place=args.place) for role in roles}
        self.role_ids = {key: defined.id for key, defined in self.roles.items()}
        self.client_ids = {}
        self._build_app("operator", OPERATOR, operator_trusts(args.settings))
        self._build_app("previewer", PREVIEWER, previewer_trusts(args.settings))
        for group in args.settings.readers:
            self._assign(f"reader-{group}", READER, group)
        self.register_outputs({"client_ids": self.client_ids, "role_ids": self.role_ids})

    def let(self, who: str, role: CustomRole, principal: Principal) -> None:
        """Give an identity of the platform one of the roles, where the role is assigned."""
        self._assign(who, role, principal)

    def let_drive(self, who: str, role: CustomRole, principal: Principal) -> None:
        """Give `role` to whoever changes endpoints, and what such a one needs beside it in this stack."""
        self._assign(who, role, principal)
        for use_case, identity in self._args.endpoint_identities.items():
            self._assign_at(f"{who}-at-identity-{use_case}", role, principal, identity)
        for also, suffix in ((SCALER, "scaling"), (SCORER, "scoring"), (LOG_READER, "requests")):
            if also.key in self.roles:
                self._assign(f"{who}-{suffix}", also, principal)

    def _build_app(self, app: str, role: CustomRole, trusts: tuple[Trust, ...]) -> None:
        """Nobody to trust, no app."""
        if not trusts:
            return
        import pulumi_azuread as azuread

        place = self._args.place
        application = azuread.Application(
            f"{self._name}-{app}",
            display_name=f"{place.names.workload}-{place.names.stack}-{app}",
            description=f"{role.title} of stack {place.names.stack}; signs in by federation only",
            sign_in_audience="AzureADMyOrg",
            prevent_duplicate_names=True,
            opts=child(self, place),
        )
        principal = azuread.ServicePrincipal(
            f"{self._name}-{app}-principal", client_id=application.client_id, opts=child(self, place)
        )
        for trust in trusts:
            azuread.ApplicationFederatedIdentityCredential(
                f"{self._name}-{app}-{trust.name}",
                application_id=application.id,
                display_name=trust.name,
                audiences=[AUDIENCE],
                issuer=trust.issuer,
                subject=trust.subject,
                opts=child(self, place),
            )
        self.client_ids[app] = application.client_id
        who = Principal(principal.object_id, principal)
        if role is OPERATOR:
            self.let_drive(app, role, who)
            if BATCHER.key in self.roles:
                self._assign(f"{app}-batches", BATCHER, who)
        else:
            self._assign(app, role, who)

    def _assign(self, who: str, role: CustomRole, to: Principal | str) -> None:
        for where in role.assigned:
            self._assign_at(f"{who}-at-{where.name.lower()}", role, to, self._args.scopes[where])

    def _assign_at(self, what: str, role: CustomRole, to: Principal | str, scope: pulumi.Input[str]) -> None:
        self.roles[role.key].assign(f"{self._name}-{what}", to=to, scope=scope, parent=self)


def operator_trusts(settings: IdentitySettings) -> tuple[Trust, ...]:
    """Rollouts run from a branch or from an environment, which may ask for approvals; never from a pull request."""
    github, azure = settings.github, settings.azure_devops
    found = []
    if github is not None:
        base = f"repo:{github.repository}"
        found = [Trust("github-branch", GITHUB_ISSUER, f"{base}:ref:refs/heads/{github.branch}")]
        found += [
            Trust(f"github-environment-{each}", GITHUB_ISSUER, f"{base}:environment:{each}")
            for each in github.environments
        ]
    if azure is not None:
        issuer = f"https://vstoken.dev.azure.com/{azure.organization_id}"
        subject = f"sc://{azure.organization}/{azure.project}/{azure.service_connection}"
        found.append(Trust("azure-devops", issuer, subject))
    return tuple(found)


def previewer_trusts(settings: IdentitySettings) -> tuple[Trust, ...]:
    """Pull requests, whose code nobody has read yet: they may look, and no more."""
    github = settings.github
    if github is None or not github.pull_requests:
        return ()
    return (Trust("github-pull-request", GITHUB_ISSUER, f"repo:{github.repository}:pull_request"),)
