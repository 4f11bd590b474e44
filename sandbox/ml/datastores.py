"""Datastores: the four that every workspace has, and those that are made on top; all on the sandbox's blob service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from starlette.responses import JSONResponse, Response

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource, View
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.settings import LOOPBACK
from sandbox.ml.http import PROVIDER, Call, listing, user_error
from sandbox.storage.accounts import Account
from sandbox.storage.errors import StorageError
from sandbox.storage.sas import blob_url, service_sas

if TYPE_CHECKING:
    from sandbox.storage.state import StorageState

TYPE = f"{PROVIDER}/workspaces/datastores"
BLOB_STORE, ARTIFACT_STORE = "workspaceblobstore", "workspaceartifactstore"
_SHARES = ("workspaceworkingdirectory", "workspacefilestore")
_SAS_HOURS = 12
_DATASTORE_URI = re.compile(
    r"^azureml://(?:subscriptions/[^/]+/resource[gG]roups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/)?"
    r"datastores/(?P<store>[^/]+)/(?:paths/)?(?P<path>.*)$"
)


@dataclass(frozen=True, slots=True)
class Location:
    """A place in the blob service: an account's container and a path in it ('' is its root)."""

    account: str
    container: str
    path: str


class Datastores:
    """What a workspace's datastores point to, and their bytes."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def _storage(self) -> StorageState:
        state: StorageState = self._sandbox.states["storage"]
        return state

    def ensure(self, workspace: Resource) -> None:
        """Make the workspace's own datastores and their containers, unless they are there; 404 without the workspace."""
        arm = self._sandbox.states["arm"]
        if arm.get(f"{workspace.id}/datastores/{BLOB_STORE}") is not None:
            return
        if arm.get(workspace.id) is None:
            raise user_error(f"Workspace '{workspace.name}' was deleted.", 404)
        account = storage_account(workspace)
        suffix = str(workspace.properties.get("workspaceId") or workspace.name)
        targets = {BLOB_STORE: ("AzureBlob", f"azureml-blobstore-{suffix}"), ARTIFACT_STORE: ("AzureBlob", "azureml")}
        targets |= {name: ("AzureFile", f"code-{suffix}") for name in _SHARES}
        for name, (kind, place) in targets.items():
            resource = arm.new(f"{workspace.id}/datastores/{name}")
            resource.properties = _properties(kind, account, place, is_default=name == BLOB_STORE)
            if kind == "AzureBlob":
                self._storage.ensure_container(account, place)
            arm.put(resource)

    def get(self, workspace: Resource, name: str) -> Resource:
        """AzureError 404 for an unknown datastore."""
        self.ensure(workspace)
        resource = self._sandbox.states["arm"].get(f"{workspace.id}/datastores/{name}")
        if resource is None:
            raise user_error(f"Could not find datastore: {name}", 404)
        found: Resource = resource
        return found

    def account(self, name: str) -> Account:
        try:
            return self._storage.accounts.get(name)
        except StorageError as error:
            raise AzureError(error.status, error.code, error.message) from error

    # Places

    def locate(self, workspace: Resource, uri: str) -> Location:
        """Where a datastore URI or a link to the blob service points; AzureError 400 for any other URI."""
        if (match := _DATASTORE_URI.match(uri)) is not None:
            properties = self.get(workspace, match["store"]).properties
            if properties["datastoreType"] != "AzureBlob":
                raise user_error(f"Datastore '{match['store']}' is a file share; only blob datastores hold assets.")
            return _within(
                Location(properties["accountName"], properties["containerName"], unquote(match["path"]).strip("/"))
            )
        if (location := self._from_url(uri)) is not None:
            return _within(location)
        raise user_error(
            f"'{uri}' is neither azureml://datastores/{{name}}/paths/{{path}} nor a link to the blob service."
        )

    def _from_url(self, uri: str) -> Location | None:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        if parts.scheme not in ("https", "wasbs"):
            return None
        path = unquote(parts.path).lstrip("/")
        if host == LOOPBACK and parts.port == self._sandbox.settings.ports["blob"]:
            account, _, path = path.partition("/")
            account = account.partition(".")[0]
        elif ".blob." in host:
            account = host.partition(".")[0]
        else:
            return None
        container, _, name = path.partition("/")
        return Location(account, container, name.strip("/"))

    def uri(self, workspace: Resource, store: str, path: str) -> str:
        """The long form, as Azure shows it."""
        owner = parse(workspace.id)
        return (
            f"azureml://subscriptions/{owner.subscription}/resourcegroups/{owner.group}"
            f"/workspaces/{workspace.name}/datastores/{store}/paths/{path}"
        )

    def is_blob(self, uri: str) -> bool:
        """Whether the link leads to the sandbox's blob service."""
        return self._from_url(uri) is not None

    def make_container(self, location: Location) -> None:
        self._storage.ensure_container(location.account, location.container)

    # Links

    def container_url(self, location: Location, view: View) -> str:
        """The container's address as the caller knows the blob service."""
        if view.public:
            return f"https://{location.account}.blob.core.windows.net/{location.container}"
        return f"{self._sandbox.settings.url('blob')}/{location.account}/{location.container}"

    def sas(self, location: Location, permissions: str = "racwdl", hours: float = _SAS_HOURS) -> str:
        """A token for the container."""
        key = self.account(location.account).keys[0]
        return service_sas(location.account, key, location.container, permissions=permissions, lifetime=hours * 3600.0)

    def read_link(self, location: Location, view: View) -> str:
        """A link that reads one blob."""
        link = blob_url(
            self._sandbox.settings.url("blob"), location.account, self.account(location.account).keys[0],
            location.container, location.path,
        )  # fmt: skip
        if not view.public:
            return link
        return f"{self.container_url(location, view)}/{quote(location.path)}?{link.partition('?')[2]}"


def _within(location: Location) -> Location:
    """AzureError 400 for a path that leads out of its container: paths become folders on this machine."""
    if not {".", ".."}.isdisjoint((location.container, *location.path.split("/"))):
        raise user_error(f"The path '{location.path}' is not allowed: it has a part '.' or '..'.")
    return location


def _properties(kind: str, account: str, place: str, *, is_default: bool) -> dict[str, Any]:
    key = "containerName" if kind == "AzureBlob" else "fileShareName"
    return {
        "datastoreType": kind,
        "accountName": account,
        key: place,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity" if kind == "AzureBlob" else "None",
        "credentials": {"credentialsType": "AccountKey"},
        "isDefault": is_default,
        "description": None,
        "tags": {},
        "properties": {},
    }


def storage_account(workspace: Resource) -> str:
    """The name of the workspace's storage account; AzureError 400 when it has none."""
    account = str(workspace.properties.get("storageAccount") or "")
    if not account:
        raise user_error(f"Workspace '{workspace.name}' has no storage account (properties.storageAccount).")
    return parse(account).name


def shown(resource: Resource, view: View) -> dict[str, Any]:
    """The document of a GET. Locally the account name carries the address of the blob service, since azure-ai-ml
    builds `https://{accountName}.blob.{suffix}` from it and takes what comes after a slash as a path."""
    document = resource.document()
    if not view.public:
        port = view.sandbox.settings.ports["blob"]
        document["properties"]["accountName"] = f"{LOOPBACK}:{port}/{resource.properties['accountName']}"
    return document


# Routes


async def list_all(call: Call) -> Response:
    call.ml.datastores.ensure(call.workspace)
    resources = call.arm.children(call.workspace.id, TYPE)
    names = [name for name in call.query.get("names", "").split(",") if name]
    if call.query.get("isDefault", "").lower() == "true":
        resources = [resource for resource in resources if resource.properties.get("isDefault")]
    return listing([shown(each, call.view) for each in resources if not names or each.name in names])


async def get(call: Call) -> Response:
    return JSONResponse(shown(call.ml.datastores.get(call.workspace, call["name"]), call.view))


async def put(call: Call) -> Response:
    properties = await call.properties()
    kind = properties.get("datastoreType")
    if kind != "AzureBlob":
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox does not imitate datastores of type {kind!r}.")
    account = str(properties.get("accountName", "")).rpartition("/")[2]
    call.ml.datastores.account(account)
    call.ml.datastores.ensure(call.workspace)
    old = call.arm.get(call.id("datastores", call["name"]))
    resource = old or call.arm.new(call.id("datastores", call["name"]))
    credentials = properties.get("credentials") or {"credentialsType": "None"}
    resource.private = {"credentials": credentials}
    shown_credentials = {key: value for key, value in credentials.items() if key != "secrets"}
    defaults = {"isDefault": False, "tags": {}, "properties": {}}
    resource.properties = defaults | properties | {"accountName": account, "credentials": shown_credentials}
    call.arm.put(resource, call.request.state.principal)
    return JSONResponse(shown(resource, call.view), 200 if old else 201)


async def delete(call: Call) -> Response:
    resource = call.arm.get(call.id("datastores", call["name"]))
    if resource is None:
        return Response(status_code=204)
    if resource.name in (BLOB_STORE, ARTIFACT_STORE, *_SHARES):
        raise user_error(f"Datastore '{resource.name}' belongs to the workspace and can't be deleted.")
    call.arm.delete(resource.id)
    return Response(status_code=200)


async def list_secrets(call: Call) -> Response:
    resource = call.ml.datastores.get(call.workspace, call["name"])
    properties = resource.properties
    if properties["credentials"]["credentialsType"] in ("None", "ServicePrincipal", "Certificate"):
        raise user_error(f"No secrets for credentials of type {properties['credentials']['credentialsType']}.")
    account = call.ml.datastores.account(properties["accountName"])
    body = await call.body()
    if properties["datastoreType"] == "AzureBlob" and body.get("expirableSecret"):
        location = Location(account.name, properties["containerName"], "")
        hours = min(float(body.get("expireAfterHours") or _SAS_HOURS), _SAS_HOURS)
        expires = datetime.now(UTC) + timedelta(hours=hours)
        return JSONResponse(
            {
                "secretsType": "Sas",
                "sasToken": call.ml.datastores.sas(location, hours=hours),
                "expirableSecretExpiry": expires.isoformat(),
            }
        )
    return JSONResponse({"secretsType": "AccountKey", "key": account.keys[0]})
