"""The resource types that the sandbox knows, one module a provider."""

from __future__ import annotations

from sandbox.arm.model import ResourceType

TYPES: tuple[ResourceType, ...] = ()
