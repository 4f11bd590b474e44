"""Where azure-ai-ml may upload the files of an asset that it is about to create."""

from __future__ import annotations

import uuid

from starlette.responses import JSONResponse, Response

from sandbox.kernel.errors import not_imitated
from sandbox.ml.datastores import BLOB_STORE, Location
from sandbox.ml.http import Call

_KINDS = ("codes", "models", "data", "environments")


async def start_pending_upload(call: Call) -> Response:
    """A container of its own for the upload, as Azure gives, and a token for it."""
    if call["kind"].lower() not in _KINDS:
        raise not_imitated("POST", call.request.url.path, call.query.get("api-version"))
    store = call.ml.datastores.get(call.workspace, BLOB_STORE)
    upload = str((await call.body()).get("pendingUploadId") or uuid.uuid4())
    location = Location(store.properties["accountName"], f"upload-{upload}"[:63], "")
    call.ml.datastores.make_container(location)
    url = call.ml.datastores.container_url(location, call.view)
    return JSONResponse(
        {
            "pendingUploadId": upload,
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {
                "blobUri": url,
                "storageAccountArmId": call.workspace.properties["storageAccount"],
                "credential": {"credentialType": "SAS", "sasUri": f"{url}?{call.ml.datastores.sas(location)}"},
            },
        }
    )
