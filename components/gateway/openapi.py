"""The OpenAPI description of an endpoint that API Management imports. Pure.

Every MLflow model takes the same envelope, `input_data`; columns differ by model version, and a rollout changes the version
under the same address. So the envelope is described, not the columns: a gateway that knew blue's columns would refuse green's.
"""

from __future__ import annotations

import json
from typing import Any

#: Whether the endpoint can be reached; the one operation that needs no token.
HEALTH_PATH = "/health"

_CELL: dict[str, Any] = {"description": "a number, text, true or false, or null"}
_ROWS = {"type": "array", "items": {}, "description": "rows; each a list of cells or an object by column"}
_TABLE = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "columns": {"type": "array", "items": {}, "description": "names of the columns"},
        "index": {"type": "array", "items": {}, "description": "one label a row"},
        "data": {"type": "array", "items": {"type": "array", "items": _CELL}, "description": "rows of cells"},
    },
}


def document(use_case: str, model: str) -> dict[str, Any]:
    """OpenAPI 3.0 of one endpoint: scoring, the description that the live deployment gives of itself, and its health."""
    return {
        "openapi": "3.0.1",
        "info": {
            "title": f"{use_case} scoring",
            "description": f"Predictions of model {model}. Which version answers is the rollout's affair.",
            "version": "1",
        },
        "paths": {
            "/score": {"post": _score(use_case)},
            "/swagger.json": {"get": _description(use_case)},
            HEALTH_PATH: {"get": _health(use_case)},
        },
        "components": {"schemas": {"ScoringRequest": _request(), "Predictions": {"description": "one for each row"}}},
    }


def text(use_case: str, model: str) -> str:
    """The document as the import takes it; the same bytes for the same settings."""
    return json.dumps(document(use_case, model), sort_keys=True, separators=(",", ":"))


def _request() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["input_data"],
        "properties": {
            "input_data": {"anyOf": [_TABLE, _ROWS, {"type": "object"}]},
            "params": {"type": "object", "description": "parameters of the model's signature"},
        },
    }


def _score(use_case: str) -> dict[str, Any]:
    return {
        "operationId": f"score-{use_case}",
        "summary": "Predict",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ScoringRequest"}}},
        },
        "responses": {
            "200": {
                "description": "Predictions, in the order of the rows",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Predictions"}}},
            },
            "400": {"description": "The body is no scoring request, or too large"},
            "401": {"description": "No token, or not one for this API"},
            "424": {"description": "The model failed on this input"},
            "429": {"description": "Too many requests; Retry-After says when to come back"},
        },
    }


def _description(use_case: str) -> dict[str, Any]:
    return {
        "operationId": f"describe-{use_case}",
        "summary": "What the live model says of its input",
        "responses": {
            "200": {
                "description": "An OpenAPI document",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "401": {"description": "No token, or not one for this API"},
        },
    }


def health_operation(use_case: str) -> str:
    """Its id, for the policy of its own."""
    return f"health-{use_case}"


def _health(use_case: str) -> dict[str, Any]:
    return {
        "operationId": health_operation(use_case),
        "summary": "Whether the endpoint can be reached; the model is not asked",
        "security": [],
        "responses": {
            "200": {"description": "The gateway reaches the endpoint, and its sign-in works"},
            "429": {"description": "Asked too often from one address"},
            "503": {"description": "The endpoint did not answer as it should"},
        },
    }
