"""The token endpoint and what leads to it: openid-configuration, instance discovery, keys."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.kernel.context import Sandbox
from sandbox.kernel.http import create_app
from sandbox.kernel.tokens import LIFETIME_SECONDS
from sandbox.login.errors import LoginError, login_error
from sandbox.login.state import Credential, LoginState

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TOKEN_TYPE = "Bearer"  # nosec B105  # OAuth's name for the kind of token
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves `login.microsoftonline.com`'s routes for one tenant."""
    login = _Login(sandbox)
    routes = [
        Route("/common/discovery/instance", login.instances),
        Route("/federation/.well-known/openid-configuration", login.federation_configuration),
        Route("/federation/keys", login.federation_keys),
        Route("/msi/token", login.managed_identity),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", login.configuration),
        Route("/{tenant}/.well-known/openid-configuration", login.configuration_v1),
        Route("/{tenant}/discovery/v2.0/keys", login.keys),
        Route("/{tenant}/discovery/keys", login.keys),
        Route("/{tenant}/oauth2/v2.0/token", login.token, methods=["POST"]),
        Route("/{tenant}/oauth2/token", login.token_v1, methods=["POST"]),
    ]
    return create_app("login", sandbox, routes, {LoginError: login_error})


class _Login:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._state: LoginState = sandbox.states["login"]

    async def instances(self, request: Request) -> Response:
        host = request.url.netloc
        tenant = self._sandbox.settings.tenant_id
        metadata = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
        endpoint = f"https://{host}/{tenant}/v2.0/.well-known/openid-configuration"
        return JSONResponse(
            {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": metadata}, headers=_NO_STORE
        )

    async def configuration(self, request: Request) -> Response:
        return JSONResponse(self._configuration(request, "/v2.0"))

    async def configuration_v1(self, request: Request) -> Response:
        return JSONResponse(self._configuration(request, ""))

    def _configuration(self, request: Request, version: str) -> dict[str, object]:
        tenant = self._state.tenant(request.path_params["tenant"])
        base = f"https://{request.url.netloc}/{tenant}"
        return {
            "issuer": f"{base}/v2.0" if version else f"https://sts.windows.net/{tenant}/",
            "token_endpoint": f"{base}/oauth2{version}/token",
            "authorization_endpoint": f"{base}/oauth2{version}/authorize",
            "jwks_uri": f"{base}/discovery{version}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }

    async def keys(self, request: Request) -> Response:
        self._state.tenant(request.path_params["tenant"])
        return JSONResponse(self._sandbox.tokens.keys())

    async def federation_configuration(self, _: Request) -> Response:
        issuer = self._state.federation.own_issuer
        return JSONResponse({"issuer": issuer, "jwks_uri": f"{issuer}/keys"})

    async def federation_keys(self, _: Request) -> Response:
        return JSONResponse(self._state.federation.keys())

    async def token(self, request: Request) -> Response:
        form = await self._form(request)
        resource = _resource_of_scope(_needed(form, "scope"))
        token = self._issue(form, resource)
        answer = {"token_type": _TOKEN_TYPE, "expires_in": LIFETIME_SECONDS, "ext_expires_in": LIFETIME_SECONDS}
        return JSONResponse(answer | {"access_token": token}, headers=_NO_STORE)

    async def token_v1(self, request: Request) -> Response:
        form = await self._form(request)
        resource = _needed(form, "resource")
        token = self._issue(form, resource)
        now = int(time.time())
        answer = {
            "token_type": _TOKEN_TYPE,
            "expires_in": str(LIFETIME_SECONDS),
            "ext_expires_in": str(LIFETIME_SECONDS),
            "expires_on": str(now + LIFETIME_SECONDS),
            "not_before": str(now - 5),
            "resource": resource,
            "access_token": token,
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def managed_identity(self, request: Request) -> Response:
        """App Service's own token endpoint: the app is known by its IDENTITY_HEADER."""
        functions = self._sandbox.states.get("functions")
        header, query = request.headers.get("x-identity-header", ""), request.query_params
        principal = functions.principal(header, query.get("client_id", "")) if functions and header else None
        if principal is None:
            raise LoginError(
                50034,
                "invalid_request",
                "No managed identity of this app has that client id, or the app is not known.",
                400 if header else 401,
            )
        resource = query.get("resource", "").removesuffix("/.default")
        token = self._sandbox.tokens.issue(self._state.audience(resource), principal)
        until = str(int(time.time()) + LIFETIME_SECONDS)
        answer = {"access_token": token, "expires_on": until, "resource": resource, "token_type": _TOKEN_TYPE}
        return JSONResponse(answer | {"client_id": principal.client_id}, headers=_NO_STORE)

    async def _form(self, request: Request) -> Mapping[str, str]:
        self._state.tenant(request.path_params["tenant"])
        form = dict(parse_qsl((await request.body()).decode()))
        if (grant := _needed(form, "grant_type")) != "client_credentials":
            raise LoginError(
                70003,
                "unsupported_grant_type",
                f"The app requested an unsupported grant type '{grant}'. The sandbox imitates client_credentials only.",
            )
        return form

    def _issue(self, form: Mapping[str, str], resource: str) -> str:
        client_id = _needed(form, "client_id")
        assertion = form.get("client_assertion", "")
        if assertion and form.get("client_assertion_type") != _JWT_BEARER:
            raise LoginError(90023, "invalid_request", f"client_assertion_type must be {_JWT_BEARER}.")
        principal = self._state.authenticate(Credential(client_id, form.get("client_secret", ""), assertion))
        return self._sandbox.tokens.issue(self._state.audience(resource), principal)


def _needed(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise LoginError(900144, "invalid_request", f"The request body must contain the following parameter: '{name}'.")
    return form[name]


def _resource_of_scope(scope: str) -> str:
    # MSAL may add these; they mean nothing to a client that logs in as itself.
    wanted = [part for part in scope.split() if part not in ("openid", "profile", "offline_access")]
    if len(wanted) != 1 or not wanted[0].endswith("/.default"):
        raise LoginError(
            70011,
            "invalid_scope",
            f"The provided request must include a 'scope' input parameter. The provided value for the input parameter"
            f" 'scope' is not valid. The scope {scope} is not valid: one resource with '/.default' is expected.",
        )
    return wanted[0].removesuffix("/.default")
