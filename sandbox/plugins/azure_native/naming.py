"""Names that the program leaves out, as azure-native makes them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.plugins.azure_native.row import Row
from sandbox.plugins.protocol import provider_pb2

#: Set in the inputs of randomly named resources: the new one can exist beside the old.
CREATE_BEFORE_DELETE = "__createBeforeDelete"
_RANDOM_DIGITS = 8
_Options = provider_pb2.CheckRequest.AutonamingOptions


def default_name(
    row: Row, logical_name: str, seed: bytes, options: _Options | None, olds: Mapping[str, Any]
) -> dict[str, Any]:
    """The inputs to add for a missing name: nothing when autonaming is off."""
    key = row.name_parameter
    if key in olds:
        return {key: olds[key], CREATE_BEFORE_DELETE: olds.get(CREATE_BEFORE_DELETE)}
    if options is not None:
        if options.mode == _Options.DISABLE:
            return {}
        if options.mode == _Options.ENFORCE or (options.mode == _Options.PROPOSE and not row.uuid_name):
            return {key: options.proposed_name, CREATE_BEFORE_DELETE: True}
    digits = hashlib.sha256(seed + key.encode()).hexdigest() if seed else uuid.uuid4().hex
    if row.uuid_name:
        return {key: str(uuid.UUID(digits[:32])), CREATE_BEFORE_DELETE: True}
    if row.random_name:
        return {key: logical_name + digits[:_RANDOM_DIGITS], CREATE_BEFORE_DELETE: True}
    return {key: logical_name}
