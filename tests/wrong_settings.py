"""Wrong settings: what every table of them asserts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from components.config import SettingsError, parse


def refused(stack: str, values: Mapping[str, Any], key: str, allowed: str) -> None:
    """The stack file is refused with a line that names the key (and value), and says what is allowed."""
    with pytest.raises(SettingsError) as caught:
        parse(stack, values)
    said = [line for line in str(caught.value).splitlines() if f"azureml-rollouts:{key}" in line]
    assert said, str(caught.value)
    assert allowed in said[0]
