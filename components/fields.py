"""What the stack file's blocks share: their base, and the types of their values."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Block(BaseModel):
    """A block of the stack file: frozen, camelCase keys, no unknown ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


def one_of(what: str, choices: tuple[str, ...]) -> AfterValidator:
    """A validator that names the choices."""

    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"unknown {what}; allowed: {', '.join(choices)}")
        return value

    return AfterValidator(check)


def _word(value: str) -> str:
    if (
        not value
        or not value[0].isalpha()
        or not value.replace("-", "").isalnum()
        or value != value.lower()
        or value[-1] == "-"
    ):
        raise ValueError("lower-case letters, digits and hyphens are allowed, starting with a letter")
    return value


Word = Annotated[str, Field(min_length=2, max_length=20), AfterValidator(_word)]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="an e-mail address")]
Guid = Annotated[
    str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", description="a GUID of 36 characters")
]
