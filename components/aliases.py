"""The aliases that resources are registered with: none for API versions that no stack was ever made with.

azure-native lists every API version of every type as an alias: up to 60 a resource, 3,000 in the prod stack, each of which
costs the program and the engine time and memory. They lead a stack that pinned a version (`azure-native:network/v20230901:Subnet`)
to the type without one. The components name no version, so no stack of theirs holds such a type. What a type was called before
it moved to another module stays an alias, and so does every alias of our own.
"""

from __future__ import annotations

import re

import pulumi

_VERSIONED = re.compile(r"azure-native:\w+/v\d{8}\w*:\w+")


def without_api_versions(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """The resource as it was declared, without those aliases; None where it has none of them."""
    declared = args.opts.aliases or []
    kept = [alias for alias in declared if not _is_api_version(alias)]
    if len(kept) == len(declared):
        return None
    options = pulumi.ResourceOptions.merge(None, args.opts)  # a copy: the caller may use its own again
    options.aliases = kept
    return pulumi.ResourceTransformationResult(args.props, options)


def _is_api_version(alias: pulumi.Input[str | pulumi.Alias]) -> bool:
    """Whether nothing but the API version in the type tells the alias from the resource."""
    if not isinstance(alias, pulumi.Alias) or not isinstance(alias.type_, str):
        return False
    same_otherwise = all(getattr(alias, name) is ... for name in ("name", "parent", "project", "stack"))
    return same_otherwise and _VERSIONED.fullmatch(alias.type_) is not None
