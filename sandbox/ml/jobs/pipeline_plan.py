"""A pipeline read as a plan: each step as a job of its own, with every input bound and every output placed. Pure.

The children's names are chosen while planning, so where each output goes is known before the first step runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sandbox.kernel.errors import AzureError
from sandbox.ml.batch.spec import BatchSpec
from sandbox.ml.components import COMMAND, PIPELINE, Component, asset_id, value_entry
from sandbox.ml.datastores import BLOB_STORE
from sandbox.ml.http import user_error
from sandbox.ml.jobs.bindings import Entry, Produced, Scope, bound_input, bound_text
from sandbox.ml.jobs.spec import CommandSpec, compute_of
from sandbox.ml.jobs.sweep_node import SWEEP, sweep_properties
from sandbox.ml.jobs.sweep_spec import SweepSpec
from sandbox.ml.jobs.workdir import default_output

_NODE = re.compile(r"[a-zA-Z_]\w{0,254}", re.ASCII)
_KINDS = (COMMAND, PIPELINE, SWEEP)
_CAMEL = {"instance_count": "instanceCount", "instance_type": "instanceType", "shm_size": "shmSize"}


@dataclass(frozen=True, slots=True)
class Step:
    """A node of the graph: the job `child`, its document's properties, and the nodes whose outputs it reads."""

    node: str
    child: str
    spec: BatchSpec | CommandSpec | SweepSpec | PipelinePlan
    properties: dict[str, Any]
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """`steps` by node. Without `continue_on_failure` the first failure ends the pipeline."""

    steps: Mapping[str, Step]
    continue_on_failure: bool

    def order(self) -> TopologicalSorter[str]:
        return TopologicalSorter({node: step.needs for node, step in self.steps.items()})


@dataclass(frozen=True, slots=True)
class Planner:
    """`component` finds a component by reference and field; `check_compute` refuses an unknown compute."""

    component: Callable[[Any, str], Component]
    check_compute: Callable[[str, str], None]
    new_name: Callable[[], str]

    def plan(self, properties: Mapping[str, Any]) -> PipelinePlan:
        """The plan of a pipeline job; `properties` must have its outputs placed. AzureError names the field."""
        settings = properties.get("settings") or {}
        scope = Scope(
            path="properties",
            inputs=dict(properties.get("inputs") or {}),
            outputs=properties.get("outputs") or {},
            compute=compute_of(settings.get("default_compute") or properties.get("computeId")),
            datastore=datastore_of(settings),
            experiment=properties["experimentName"],
        )
        if scope.compute:
            self.check_compute(scope.compute, "properties.settings.default_compute")
        return self._graph(scope, properties.get("jobs"), bool(settings.get("continue_on_step_failure")))

    def _graph(self, scope: Scope, nodes: Any, continue_on_failure: bool) -> PipelinePlan:
        if not isinstance(nodes, dict) or not nodes:
            raise user_error(f"{scope.path}.jobs: a pipeline needs at least one step.")
        drafts = {node: self._draft(scope, node, entry) for node, entry in nodes.items()}
        produced = {node: draft.outputs for node, draft in drafts.items()}
        steps = {node: draft.step(produced, continue_on_failure) for node, draft in drafts.items()}
        _check_outputs(scope, nodes)
        plan = PipelinePlan(steps, continue_on_failure)
        try:
            plan.order().prepare()
        except CycleError as error:
            raise user_error(
                f"{scope.path}.jobs: the steps {' -> '.join(error.args[1])} wait for one another."
            ) from error
        return plan

    def _draft(self, scope: Scope, node: str, entry: Any) -> _Draft:
        where = f"{scope.path}.jobs.{node}"
        if not _NODE.fullmatch(node):
            raise user_error(f"{where}: a step's name is made of letters, digits and '_'.")
        kind = str(entry.get("type", "")) if isinstance(entry, dict) else ""
        if kind not in _KINDS:
            raise AzureError(
                501, "NotImitatedBySandbox", f"{where}.type: the sandbox does not imitate steps of type {kind!r}."
            )
        holder, key = (entry.get("trial") or {}, "trial.componentId") if kind == SWEEP else (entry, "componentId")
        component = self.component(holder.get("componentId"), f"{where}.{key}")
        wanted = COMMAND if kind == SWEEP else kind
        if component.kind != wanted:
            raise user_error(f"{where}.{key}: a {kind} step needs a {wanted} component, not a {component.kind} one.")
        child = self.new_name()
        return _Draft(
            self, scope, where, node, kind, entry, component, child, _outputs(scope, where, entry, component, child)
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A step whose outputs have their places, and whose inputs are not bound yet."""

    planner: Planner
    scope: Scope
    where: str
    node: str
    kind: str
    entry: Mapping[str, Any]
    component: Component
    child: str
    outputs: Mapping[str, Entry]

    def step(self, produced: Produced, continue_on_failure: bool) -> Step:
        inputs, needs = self._inputs(produced)
        properties = {
            "displayName": self.entry.get("display_name") or self.node,
            "description": self.entry.get("description"),
            "experimentName": self.scope.experiment,
            "inputs": inputs,
            "outputs": dict(self.outputs),
            "tags": dict(self.entry.get("tags") or {}),
        }
        if self.kind == PIPELINE:
            properties |= {"jobType": "Pipeline", "jobs": self.component.spec["jobs"], "settings": {}}
            return Step(self.node, self.child, self._sub_plan(inputs, continue_on_failure), properties, needs)
        properties |= self._runnable()
        spec: CommandSpec | SweepSpec
        try:
            if self.kind == SWEEP:
                properties |= sweep_properties(self.entry, properties, self.where)
                spec = SweepSpec.read(self.child, properties)
            else:
                spec = CommandSpec.read(self.child, properties)
        except AzureError as error:
            message = error.message.replace("properties.", f"{self.where}.", 1)
            text = message if self.where in message else f"{self.where}: {message}"
            raise AzureError(error.status, error.code, text) from error
        return Step(
            self.node, self.child, spec, {key: value for key, value in properties.items() if value is not None}, needs
        )

    def _sub_plan(self, inputs: Mapping[str, Entry], continue_on_failure: bool) -> PipelinePlan:
        optional = {name for name in self.component.inputs if name not in inputs}
        inner = replace(self.scope, path=self.where, inputs={**dict.fromkeys(optional), **inputs}, outputs=self.outputs)
        return self.planner._graph(inner, self.component.spec["jobs"], continue_on_failure)

    def _runnable(self) -> dict[str, Any]:
        """What a command needs beside its inputs and outputs."""
        spec, entry = self.component.spec, self.entry
        compute = entry.get("computeId")
        if compute:
            compute = bound_text(self.scope, str(compute), f"{self.where}.computeId")
        compute = compute_of(compute) if compute else self.scope.compute
        if compute:
            self.planner.check_compute(compute, f"{self.where}.computeId")
        variables = {**(spec.get("environment_variables") or {}), **(entry.get("environment_variables") or {})}
        limits = entry.get("limits") or {}
        resources = {**(spec.get("resources") or {}), **(entry.get("resources") or {})}
        return {
            "jobType": "Command",
            "command": spec["command"],
            "codeId": asset_id(spec.get("code")),
            "environmentId": asset_id(spec["environment"]),
            "computeId": compute,
            "environmentVariables": {
                key: bound_text(self.scope, str(value), f"{self.where}.environment_variables.{key}")
                for key, value in variables.items()
            },
            "limits": {"jobLimitsType": "Command", **({"timeout": f"PT{limits['timeout']}S"} if limits.get("timeout") else {})},
            "resources": {_CAMEL.get(key, key): value for key, value in resources.items()},
            "distribution": entry.get("distribution") or spec.get("distribution"),
        }  # fmt: skip

    def _inputs(self, produced: Produced) -> tuple[dict[str, Entry], frozenset[str]]:
        given = self.entry.get("inputs") or {}
        for name in given:
            if name not in self.component.inputs:
                names = ", ".join(sorted(self.component.inputs)) or "none"
                raise user_error(f"{self.where}.inputs.{name}: the component has no such input; it has: {names}.")
        searched = self.entry.get("search_space") or {}
        inputs: dict[str, Entry] = {}
        needs: set[str] = set()
        for name, port in self.component.inputs.items():
            where = f"{self.where}.inputs.{name}"
            entry, sources = bound_input(self.scope, produced, given.get(name), where)
            needs |= sources
            if entry is None and port.default is not None:
                entry = value_entry(port.default)
            if entry is None:
                if not port.optional and name not in searched:
                    raise user_error(f"{where}: the component needs it.")
                continue
            is_value = entry["jobInputType"] == "literal"
            if is_value != port.is_value:
                given_kind = "a value" if is_value else "a file or folder"
                raise user_error(f"{where}: the component wants type {port.type} and is given {given_kind}.")
            if is_value:
                port.check(str(entry["value"]), where)
            inputs[name] = entry if is_value else {**entry, "jobInputType": port.type}
        return inputs, frozenset(needs)


def _outputs(scope: Scope, where: str, node: Mapping[str, Any], component: Component, child: str) -> dict[str, Entry]:
    """Each output of the component with its address."""
    given = node.get("outputs") or {}
    for name in given:
        if name not in component.outputs:
            names = ", ".join(sorted(component.outputs)) or "none"
            raise user_error(f"{where}.outputs.{name}: the component has no such output; it has: {names}.")
    made = {}
    for name, port in component.outputs.items():
        entry = given.get(name) or {}
        uri = str(entry.get("uri") or "")
        if (target := _parents(entry)) is not None:
            if target not in scope.outputs:
                raise user_error(f"{where}.outputs.{name}: the pipeline has no output {target!r}.")
            uri = scope.outputs[target]["uri"]
        made[name] = {
            "jobOutputType": port.type,
            "mode": str(entry.get("mode") or "ReadWriteMount"),
            "uri": uri or default_output(child, name, scope.datastore),
            "assetName": entry.get("assetName") or entry.get("asset_name") or entry.get("name"),
            "assetVersion": entry.get("assetVersion") or entry.get("asset_version") or entry.get("version"),
        }
    return made


_OWN = re.compile(r"\s*\$\{\{\s*parent\.outputs\.(\w+)\s*\}\}\s*")


def _parents(entry: Mapping[str, Any]) -> str | None:
    """The pipeline's output that an entry is bound to."""
    match = _OWN.fullmatch(str(entry.get("value") or ""))
    return match[1] if match else None


def _bound_outputs(nodes: Mapping[str, Any]) -> Iterator[str]:
    for node in nodes.values():
        for entry in (node.get("outputs") or {}).values():
            if (target := _parents(entry or {})) is not None:
                yield target


def _check_outputs(scope: Scope, nodes: Mapping[str, Any]) -> None:
    """AzureError 400 for an output of the pipeline that no step or that two steps write."""
    bound = list(_bound_outputs(nodes))
    for name in scope.outputs:
        if bound.count(name) != 1:
            how = "no step writes it" if name not in bound else "more than one step writes it"
            raise user_error(f"{scope.path}.outputs.{name}: {how}.")


def datastore_of(settings: Mapping[str, Any]) -> str:
    """The name of the pipeline's default datastore."""
    return str(settings.get("default_datastore") or BLOB_STORE).removeprefix("azureml:").rpartition("/")[2]
