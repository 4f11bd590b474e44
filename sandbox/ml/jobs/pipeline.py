"""Runs a pipeline: each step as soon as what it reads is there, side by side as far as their computes have nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.arm.model import Resource
from sandbox.ml.jobs import records
from sandbox.ml.jobs.book import JobFailed
from sandbox.ml.jobs.parent import Parent
from sandbox.ml.jobs.pipeline_plan import PipelinePlan, Step
from sandbox.ml.jobs.workdir import PIPELINE_LOG, Workdir

if TYPE_CHECKING:
    from sandbox.ml.jobs.runner import JobRunner
    from sandbox.ml.state import MlState


class PipelineWork:
    """One run of a pipeline."""

    def __init__(
        self, ml: MlState, runner: JobRunner, workspace: Resource, job_id: str, plan: PipelinePlan, workdir: Workdir
    ) -> None:
        self._plan = plan
        self._parent = Parent(ml, runner, workspace, job_id, workdir, PIPELINE_LOG)
        self._failed: dict[str, str] = {}

    async def __call__(self) -> None:
        await self._parent.begin()
        reason = "The pipeline was canceled."
        try:
            await self._steps()
            reason = "Another step of the pipeline failed."
        finally:
            await self._parent.leave(reason)
        if self._failed:
            steps = "; ".join(f"{node}: {why}" for node, why in self._failed.items())
            raise JobFailed(
                "Pipeline has some failed steps. See child run or execution logs for more details."
                f" Failed: {steps}"
            )  # fmt: skip
        self._parent.runner.book.status(self._parent.job_id, records.FINALIZING)

    async def _steps(self) -> None:
        parent, order = self._parent, self._plan.order()
        nodes = {step.child: node for node, step in self._plan.steps.items()}
        order.prepare()
        while True:
            if ready := order.get_ready():
                await self._start([self._plan.steps[node] for node in ready])
            if not parent.children:
                return  # all done, or what is left waits for a step that failed
            for child in await parent.next():
                if await self._succeeded(nodes[child], child):
                    order.done(nodes[child])
            if self._failed and not self._plan.continue_on_failure:
                return

    async def _start(self, steps: list[Step]) -> None:
        names = ", ".join(f"{step.node}:{step.child}" for step in steps[:5])
        await self._parent.say(f"Submitting {len(steps)} runs, first five are: {names}")
        for step in steps:
            above = self._parent.workdir.job
            properties = {"azureml.nodeid": step.node, "azureml.pipelinerunid": above, "azureml.isreused": "false"}
            self._parent.start(step.child, {**step.properties, "properties": properties}, step.spec, step=step.node)

    async def _succeeded(self, node: str, child: str) -> bool:
        job = self._parent.child(child)
        if job.properties["status"] == records.COMPLETED:
            await self._parent.say(f"Completing processing run id {child}.")
            return True
        self._failed[node] = str((job.private.get("error") or {}).get("message", job.properties["status"]))
        await self._parent.say(f"Run id {child} of step {node} ended {job.properties['status']}: {self._failed[node]}")
        return False
