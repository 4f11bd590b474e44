"""Pulumi's gRPC messages, without the rest of its SDK.

`import pulumi` runs the whole SDK (about half a second); a plugin needs only the
generated messages below it, so empty parent packages stand in while they load.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        errors_pb2,
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        status_pb2,
    )

__all__ = [
    "errors_pb2",
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
    "status_pb2",
]


def _load_messages() -> None:
    """Put the generated modules into this one, under their own package names."""
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the pulumi package is not installed for this interpreter")
    root = Path(next(iter(spec.submodule_search_locations)))
    added = [name for name in ("pulumi", "pulumi.runtime", "pulumi.runtime.proto") if name not in sys.modules]
    for name in added:
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    for name in __all__:
        globals()[name] = importlib.import_module(f"pulumi.runtime.proto.{name}")
    for name in added:  # whoever wants the SDK later gets the real packages
        del sys.modules[name]


_load_messages()
