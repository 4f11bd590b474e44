"""dev, staging and prod with every option on: up, nothing left to do, no drift, and down again as a user would take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.options import every_option
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project
from tests.sandbox.test_engine_stacks import documents, outputs_of

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]
PROJECT = "azureml-rollouts:"


def write_settings(engine: Engine, stack: str, values: dict[str, Any]) -> None:
    """The stack's file with these values and its own salt."""
    file = engine.project / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(file.read_text("utf-8"))
    document["config"] = {key if ":" in key else PROJECT + key: value for key, value in values.items()}
    file.write_text(yaml.safe_dump(document), "utf-8")


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_a_stack_with_every_option_on_lives_its_life(sandbox: RunningSandbox, tmp_path: Path, stack: str) -> None:
    engine, values = Engine(copy_project(tmp_path / "project"), sandbox.env), every_option(stack)
    write_settings(engine, stack, values)
    engine.up(stack)
    group = outputs_of(engine, stack).resource_group
    assert documents(sandbox, group)
    engine.up(stack, "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack)

    # What holds data is let go by its settings first, on purpose.
    write_settings(engine, stack, {**values, "protectData": False, "lockData": False})
    engine.up(stack)
    engine.run("destroy", "--yes", "--skip-preview", "--stack", stack)
    assert documents(sandbox, group) == [], "nothing is left"
    assert set(engine.resources(stack)) == set()
