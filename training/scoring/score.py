"""The scoring script of Azure's inference server. It answers with its own status codes, so the request comes as it is."""

import os
from pathlib import Path
from typing import Any

from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse
from flask import g
from werkzeug.exceptions import RequestEntityTooLarge

from training.scoring.collect import collecting
from training.scoring.handler import Handler, Reply, limits_of
from training.scoring.schema import SCHEMA_FILE
from training.scoring.service import Service

_handlers: list[Handler] = []


def init() -> None:
    """Loads the one model below AZUREML_MODEL_DIR, which is .../NAME/VERSION."""
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(root.rglob(SCHEMA_FILE), key=lambda path: len(path.parts))
    if not found:
        raise FileNotFoundError(f"no {SCHEMA_FILE} below {root}: the model was not trained by this project's pipeline")
    service = Service.open(found[0].parent, limits=limits_of(), version=root.name)
    _handlers[:] = [Handler(service, collecting(service.schema))]


@rawhttp  # type: ignore[untyped-decorator]
def run(request: Any) -> Any:
    """POST scores; GET tells what is served."""
    handler = _handlers[0]
    request.max_content_length = handler.service.limits.max_body_bytes
    try:
        body = request.get_data() if request.method == "POST" else b""
    except RequestEntityTooLarge:
        return _response(handler.too_large())
    return _response(handler.handle(request.method, body, str(g.get("request_id", ""))))


def _response(reply: Reply) -> Any:
    return AMLResponse(reply.body, reply.status, dict(reply.headers))
