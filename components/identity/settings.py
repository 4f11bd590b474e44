"""Settings of who may sign in. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.fields import Block, Guid


class GitHubSettings(Block):
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name of the repository that is trusted")
    branch: str = Field(
        default="main", pattern=r"^[^\s*]+$", description="jobs on this branch are rollout operators; no wildcards"
    )
    environments: tuple[Annotated[str, Field(pattern=r"^[\w-]{1,60}$")], ...] = Field(
        default=(), description="jobs in these environments are rollout operators too"
    )
    pull_requests: bool = Field(default=True, description="jobs of pull requests may run `pulumi preview`")


class AzureDevOpsSettings(Block):
    organization_id: Guid = Field(description="the organization's id, part of its issuer")
    organization: str = Field(pattern=r"^[\w-]+$", description="the organization's name")
    project: str = Field(pattern=r"^[^/]+$", description="the project's name")
    service_connection: str = Field(pattern=r"^[^/]+$", description="the service connection that is a rollout operator")


class IdentitySettings(Block):
    enabled: bool = Field(default=True, description="create the custom roles, and the apps of what is trusted below")
    github: GitHubSettings | None = Field(default=None, description="GitHub Actions; none: not trusted")
    azure_devops: AzureDevOpsSettings | None = Field(default=None, description="Azure Pipelines; none: not trusted")
    readers: tuple[Guid, ...] = Field(default=(), description="object ids of groups that get Model Reader")
