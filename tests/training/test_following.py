"""What the one who waits for a training is told: each step once a change, and why it did not end well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from rollout.errors import BadInput, GateFailed, RolloutError
from training import following
from training.following import Step, follow
from training.job import STEPS


@dataclass
class Jobs:
    """A workspace whose jobs go on by one look at a time: looks of (pipeline's status, statuses of its steps)."""

    looks: list[tuple[str, dict[str, str]]]
    seen: int = -1

    def get(self, _: str) -> Any:
        self.seen += 1
        return SimpleNamespace(status=self.looks[self.seen][0])

    def list(self, parent_job_name: str) -> Iterator[Any]:
        for name, status in self.looks[self.seen][1].items():
            yield SimpleNamespace(display_name=name, status=status, name=f"{parent_job_name}-{name}")


@dataclass
class Files:
    """What the steps have left, by file; and what they printed."""

    texts: dict[str, Any] = field(default_factory=dict)

    def read(self, _: Step, file: str) -> str | None:
        return json.dumps(self.texts[file]) if file in self.texts else None

    def log(self, _: Step) -> str:
        return "MemoryError"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.0)


def watch(looks: list[tuple[str, dict[str, str]]], **texts: Any) -> list[Step]:
    heard: list[Step] = []
    client: Any = SimpleNamespace(jobs=Jobs(looks))
    files: Any = Files({name.replace("__", "."): text for name, text in texts.items()})
    follow(client, files, "p", heard.append)
    return heard


def test_each_change_is_told_once_in_the_steps_order() -> None:
    done = dict.fromkeys(STEPS, "Completed")
    heard = watch(
        [("Running", {"validate": "Running"}), ("Running", {"validate": "Running"}), ("Completed", done)],
        gates__json={"passed": True, "missed": []},
    )
    assert [(step.name, step.status) for step in heard] == [("validate", "Running"), *done.items()]
    assert heard[-2].figures == {"gates": "passed"}
    assert heard[-1].job == "p-prepare"


def test_missed_gates_are_all_told_with_what_to_try() -> None:
    missed = [{"gate": "auc", "said": "auc 0.7 is 0.1 under 0.8", "advice": "more rows"}]
    with pytest.raises(GateFailed) as caught:
        watch([("Failed", {"register": "Failed"})], gates__json={"passed": False, "missed": missed})
    assert "misses 1 gate; nothing was registered\n  auc 0.7 is 0.1 under 0.8; try: more rows" in str(caught.value)


def test_a_refused_table_is_bad_input_with_every_finding() -> None:
    findings = [{"severity": "error", "message": "999 rows"}, {"severity": "warning", "message": "odd"}]
    with pytest.raises(BadInput) as caught:
        watch(
            [("Failed", {"validate": "Failed"})],
            validation_report__json={"rows": 999, "columns": 2, "findings": findings},
        )
    assert "999 rows" in str(caught.value)
    assert "odd" not in str(caught.value)


def test_a_step_that_breaks_is_named_with_the_end_of_its_log_and_a_way_out() -> None:
    with pytest.raises(RolloutError) as caught:
        watch([("Failed", {"validate": "Completed", "train": "Failed"})])
    assert "step train failed; nothing was registered\nMemoryError" in str(caught.value)
    assert "az ml job stream --name p-train" in caught.value.way_out
    with pytest.raises(RolloutError, match="step prepare failed; the model is registered"):
        watch([("Failed", {"register": "Completed", "prepare": "Failed"})])


def test_a_cancelled_training_is_no_success() -> None:
    with pytest.raises(RolloutError, match="training p ended Canceled"):
        watch([("Canceled", {"validate": "Canceled"})])


def test_what_is_told_is_seen_although_the_sdk_is_kept_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    client: Any = SimpleNamespace(jobs=Jobs([("Completed", {"validate": "Completed"})]))
    files: Any = Files()
    follow(client, files, "p", lambda step: print(step.name, step.status))
    assert capsys.readouterr().out == "validate Completed\n"
