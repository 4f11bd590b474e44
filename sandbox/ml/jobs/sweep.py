"""Runs a sweep: trials as command jobs, so many at once, and the best of them by what they logged to MLflow."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from typing import TYPE_CHECKING

from sandbox.arm.model import Resource
from sandbox.ml.jobs import records
from sandbox.ml.jobs.book import JobFailed, JobTimedOut
from sandbox.ml.jobs.early_termination import Histories
from sandbox.ml.jobs.parent import Parent
from sandbox.ml.jobs.search_space import Point
from sandbox.ml.jobs.spec import CommandSpec
from sandbox.ml.jobs.sweep_spec import SweepSpec
from sandbox.ml.jobs.workdir import SWEEP_LOG, Workdir
from sandbox.ml.transfer import NothingThere, download, upload

if TYPE_CHECKING:
    from sandbox.ml.jobs.runner import JobRunner
    from sandbox.ml.state import MlState

#: How often running trials are judged, when the sweep has a policy.
_LOOK_SECONDS = 0.5
#: So many trials that failed, and none that did not, end the sweep.
_HOPELESS = 3


class SweepWork:
    """One run of a sweep."""

    def __init__(
        self, ml: MlState, runner: JobRunner, workspace: Resource, job_id: str, spec: SweepSpec, workdir: Workdir
    ) -> None:
        self._spec = spec
        self._parent = Parent(ml, runner, workspace, job_id, workdir, SWEEP_LOG)
        #: Of trials that are over: the status, and what they logged.
        self._ended: dict[str, str] = {}
        self._logged: dict[str, list[float]] = {}
        self._judged: dict[str, int] = {}
        self._best: tuple[str, float] | None = None

    async def __call__(self) -> None:
        await self._parent.begin()
        limit = asyncio.timeout(self._spec.timeout)
        try:
            async with limit:
                await self._trials()
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            await self._parent.leave("The sweep was canceled, or reached its limit.")
        await self._keep_outputs()
        if limit.expired():
            raise JobTimedOut(f"The sweep ran longer than its limit of {self._spec.timeout:g} s.")
        if self._ended and set(self._ended.values()) == {records.FAILED}:
            first = next(iter(self._ended))
            why = (self._parent.child(first).private.get("error") or {}).get("message", "")
            raise JobFailed(f"The first {len(self._ended)} trials have failed. {first}: {why}")
        self._parent.runner.book.status(self._parent.job_id, records.FINALIZING)

    async def _trials(self) -> None:
        points = enumerate(self._spec.points())
        look = _LOOK_SECONDS if self._spec.policy else None
        while True:
            while len(self._parent.children) < self._spec.concurrent and (point := next(points, None)):
                await self._start(*point)
            if not self._parent.children:
                return
            for name in await self._parent.next(look):
                await self._end(name)
            if self._spec.policy:
                await self._judge()
            if len(self._ended) >= _HOPELESS and set(self._ended.values()) == {records.FAILED}:
                return

    async def _start(self, number: int, point: Point) -> None:
        name = self._spec.trial_name(number)
        properties = self._spec.trial(point)
        properties["displayName"] = name
        properties["experimentName"] = self._parent.runner.book.get(self._parent.job_id).properties["experimentName"]
        spec = CommandSpec.read(name, properties)
        await self._parent.say(f"Trial {name}: {json.dumps(point)}")
        self._parent.start(name, properties, spec, point=point)

    async def _end(self, name: str) -> None:
        """Note how it ended; a completed trial may be the best."""
        status = self._ended[name] = str(self._parent.child(name).properties["status"])
        values = self._logged[name] = await self._values(name)
        goal, book = self._spec.goal, self._parent.runner.book
        score = goal.best(values) if values else None
        await self._parent.say(f"Trial {name} ended {status}, {goal.metric}: {score}")
        if status != records.COMPLETED or score is None:
            return
        if self._best is None or goal.worse(self._best[1], score):
            self._best = (name, score)
            book.note(self._parent.job_id, best_child_run_id=name, score=repr(score), best_metric_status="Succeeded")

    async def _values(self, name: str) -> list[float]:
        """What the trial logged of the primary metric so far, without NaN."""
        run_id = self._parent.child(name).private.get("mlflowRunId")
        if run_id is None:
            return []
        logged = await self._parent.ml.mlflow.metric_history(run_id, self._spec.goal.metric)
        return [value for value in logged if not math.isnan(value)]

    async def _judge(self) -> None:
        """End the running trials that the policy has given up."""
        running = list(self._parent.children.values())
        now = {name: await self._values(name) for name in running}
        lost = [name for name in running if self._is_lost(name, {**self._logged, **now})]
        for name in lost:
            await self._parent.say(
                f"Trial {name} is ended early by the {self._spec.policy and self._spec.policy.kind} policy"
            )
        await self._parent.cancel(lost, "The trial was ended early by the sweep's policy.")

    def _is_lost(self, name: str, histories: Histories) -> bool:
        policy, logged = self._spec.policy, len(histories[name])
        if policy is None:
            return False
        due = policy.due(self._judged.get(name, 0), logged)
        self._judged[name] = logged
        return any(policy.ends(self._spec.goal, name, at, histories) for at in due)

    async def _keep_outputs(self) -> None:
        """The best trial's outputs are the sweep's."""
        if self._best is None:
            return
        parent, name = self._parent, self._best[0]
        theirs = parent.child(name).properties["outputs"]
        for key, output in parent.runner.book.get(parent.job_id).properties["outputs"].items():
            await asyncio.to_thread(self._copy, theirs[key]["uri"], output["uri"], key)

    def _copy(self, source: str, target: str, key: str) -> None:
        parent = self._parent
        storage, datastores = parent.ml.sandbox.states["storage"], parent.ml.datastores
        folder = parent.workdir.root / "best" / key
        try:
            found = download(storage, datastores.locate(parent.workspace, source), folder)
            upload(storage, found, datastores.locate(parent.workspace, target))
        except NothingThere:
            return  # the trial wrote nothing there
        finally:
            shutil.rmtree(folder, ignore_errors=True)
