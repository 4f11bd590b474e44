"""Settings errors: each names the Pulumi config key, the value and what is allowed; all at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

PROJECT = "azureml-rollouts"
LOCATION_KEY = "azure-native:location"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting. `key` is a dotted path below the project's namespace."""

    key: str
    value: Any
    allowed: str

    def __str__(self) -> str:
        full = self.key if ":" in self.key else f"{PROJECT}:{self.key}"
        return f"{full}: {self.allowed}" if self.value is _ABSENT else f"{full} = {_shown(self.value)}: {self.allowed}"


class SettingsError(ValueError):
    """The stack's config is wrong; `problems` has every one of them."""

    def __init__(self, stack: str, problems: Sequence[Problem]) -> None:
        self.stack = stack
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"stack '{stack}': {count} wrong setting{'s' if count != 1 else ''}, nothing was changed"]
        lines += [f"  - {problem}" for problem in self.problems]
        lines.append(f"Set them in Pulumi.{stack}.yaml, or with: pulumi config set --path '{PROJECT}:<key>' <value>")
        super().__init__("\n".join(lines))


def missing(key: str, allowed: str) -> Problem:
    """A setting that is not there."""
    return Problem(key, _ABSENT, allowed)


def snake_keys(value: Any) -> Any:
    """The stack file's camelCase keys as the contract's names; mappings and lists are walked."""
    if isinstance(value, Mapping):
        return {_snake(key) if isinstance(key, str) else key: snake_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [snake_keys(item) for item in value]
    return value


def _snake(key: str) -> str:
    # not pydantic's to_snake, which makes f_1 of f1
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", key)


def from_pydantic(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Pydantic's findings as settings problems, in the order of the file."""
    return [_problem(finding, model) for finding in error.errors(include_url=False)]


def _problem(finding: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    parts = [part for part in finding["loc"] if part != "[key]"]
    key = ".".join(_as_key(parts))
    key = LOCATION_KEY if key == "location" else key
    if finding["type"] == "missing":
        return missing(key, "is missing; it has to be set")
    if finding["type"] == "extra_forbidden":
        return Problem(key, finding["input"], f"unknown key; {_known(parts, model)}")
    message = str(finding["msg"]).removeprefix("Value error, ")
    return Problem(key, finding["input"], message[:1].lower() + message[1:] if message[:2] != "Un" else message)


def _as_key(parts: Sequence[int | str]) -> Iterator[str]:
    """Contract fields arrive in snake case below `policy` and `gates`; what the user named is left alone."""
    inside_contract = False
    for part in parts:
        yield to_camel(part) if inside_contract and isinstance(part, str) else str(part)
        inside_contract = inside_contract or part in ("policy", "gates")


def _known(parts: Sequence[int | str], model: type[BaseModel]) -> str:
    known = sorted(_keys_at(parts[:-1], model))
    close = difflib.get_close_matches(str(parts[-1]), known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def _keys_at(parts: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    for part in parts:
        inner = next(
            (model_in(field.annotation) for name, field in model.model_fields.items() if part in (name, field.alias)),
            None,
        )
        model = inner or model
    return [to_camel(name) for name in model.model_fields if name not in ("stack", "location")]


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `X`, `X | None`, `dict[str, X]` or `Annotated[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := model_in(inner))), None)


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "[secret]"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
