"""Create, read, update and delete of one resource in ARM, in the SDK's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.plugins.azure_client import AzureClient, AzureServiceError, Cancelled
from sandbox.plugins.azure_native import shape
from sandbox.plugins.azure_native.row import Row
from sandbox.plugins.diffing import carry_over
from sandbox.plugins.servicer import InitFailed, Refused


@dataclass(frozen=True, slots=True)
class Resources:
    """The operations of one type at one API version."""

    client: AzureClient
    subscription_id: str
    row: Row
    api_version: str

    def create(self, inputs: Mapping[str, Any], seconds: float) -> tuple[str, dict[str, Any]]:
        """The new resource's id and outputs. Refused: there already is one."""
        resource_id = self.row.resource_id(inputs, self.subscription_id)
        if self.row.singleton is None and self._get(resource_id) is not None:
            raise Refused(f"cannot create already existing resource '{resource_id}'")
        return self._put(resource_id, inputs, shape.request_body(self.row, inputs), seconds)

    def update(self, inputs: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Replace the resource by what the inputs say, wholly, as azure-native does."""
        resource_id = self.row.resource_id(inputs, self.subscription_id)
        body = shape.request_body(self.row, inputs)
        self._keep_unset(resource_id, inputs, body)
        return self._put(resource_id, inputs, body, seconds)[1]

    def read(self, resource_id: str, old_inputs: Mapping[str, Any], old_outputs: Mapping[str, Any]) -> Any:
        """Outputs and inputs as they are in Azure now; None when the resource is gone.

        Without old inputs (an import) the inputs are the id's parts and all that can be set. With
        them, they change only where the outputs did since they were last seen: defaults that
        Azure filled in must not show up as the program's.
        """
        document = self._get(resource_id)
        if document is None:
            return None
        outputs = shape.outputs(self.row, document, self.api_version)
        if not old_inputs:
            return outputs, {**self._parsed(resource_id), **shape.project(self.row, outputs)}
        visible = dict(outputs)
        for name in self.row.keep_unset:
            if name not in old_inputs and name in visible:
                visible[name] = old_outputs.get(name, [])
        before, after = shape.project(self.row, old_outputs), shape.project(self.row, visible)
        return visible, carry_over(old_inputs, before, after)

    def delete(self, resource_id: str, seconds: float) -> None:
        """Delete and wait; a resource that is gone already is fine."""
        if self.row.singleton is not None:
            body = dict(self.row.singleton)
            self.client.run("PUT", resource_id, body, seconds, api_version=self.api_version)
            return
        try:
            self.client.run("DELETE", resource_id, None, seconds, api_version=self.api_version)
        except AzureServiceError as error:
            if error.status != 404:
                raise

    def _put(
        self, resource_id: str, inputs: Mapping[str, Any], body: dict[str, Any], seconds: float
    ) -> tuple[str, dict[str, Any]]:
        query = {name: inputs[name] for name in self.row.query if name in inputs}
        try:
            self.client.run("PUT", resource_id, body, seconds, api_version=self.api_version, **query)
        except (AzureServiceError, Cancelled) as error:
            self._keep_what_exists(resource_id, inputs, error)
            raise
        document = self._get(resource_id)
        if document is None:
            raise Refused(f"the resource '{resource_id}' is gone right after it was written")
        return str(document.get("id", resource_id)), shape.outputs(self.row, document, self.api_version)

    def _keep_what_exists(self, resource_id: str, inputs: Mapping[str, Any], error: Exception) -> None:
        """A failed operation may leave a resource behind: the state must know of it."""
        if isinstance(error, AzureServiceError) and error.status != 200:
            return  # refused at the door: nothing was begun
        document = self._get(resource_id)
        if document is not None:
            outputs = shape.outputs(self.row, document, self.api_version)
            raise InitFailed(resource_id, outputs, inputs, str(error)) from error

    def _keep_unset(self, resource_id: str, inputs: Mapping[str, Any], body: dict[str, Any]) -> None:
        missing = [name for name in self.row.keep_unset if name not in inputs]
        document = self._get(resource_id) if missing else None
        for name in missing:
            live = ((document or {}).get("properties") or {}).get(name)
            if live is not None:
                body.setdefault("properties", {})[name] = live

    def _get(self, resource_id: str) -> dict[str, Any] | None:
        try:
            return dict(self.client.get(resource_id, api_version=self.api_version))
        except AzureServiceError as error:
            if error.status == 404:
                return None
            raise

    def _parsed(self, resource_id: str) -> dict[str, str]:
        try:
            return self.row.parse_id(resource_id)
        except ValueError as error:
            raise Refused(str(error)) from error
