"""The API description that API Management imports: real OpenAPI, and MLflow's envelope as it is used."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, validate

from components.gateway.openapi import document, text

REQUEST = document("churn", "churn")["components"]["schemas"]["ScoringRequest"]


def test_the_description_is_valid_openapi() -> None:
    validate(document("churn", "churn"), cls=OpenAPIV30SpecValidator)


def test_a_broken_description_would_be_caught() -> None:
    broken = document("churn", "churn")
    del broken["paths"]["/score"]["post"]["responses"]
    assert list(OpenAPIV30SpecValidator(broken).iter_errors())


def test_the_same_settings_give_the_same_bytes() -> None:
    assert text("churn", "churn") == text("churn", "churn")
    assert json.loads(text("churn", "churn")) == document("churn", "churn")
    assert "@" not in text("churn", "churn")


@pytest.mark.parametrize(
    "body",
    [
        {"input_data": {"columns": ["age"], "index": [0], "data": [[1]]}},
        {"input_data": {"data": [[1, "x", None, True]]}},
        {"input_data": [[1, 2], [3, 4]]},
        {"input_data": [{"age": 1}], "params": {"threshold": 0.5}},
        {"input_data": {"age": [1, 2]}},
    ],
)
def test_what_mlflow_models_take_is_let_through(body: dict[str, Any]) -> None:
    jsonschema.validate(body, REQUEST)


@pytest.mark.parametrize("body", [{}, {"data": [[1]]}, {"input_data": "x"}, {"input_data": [[1]], "params": 1}, []])
def test_what_no_model_takes_is_refused_at_the_door(body: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, REQUEST)
