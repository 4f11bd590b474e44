"""The README's picture is that of the program's resources."""

from __future__ import annotations

from tests.components.test_platform import deploy
from tools.architecture_picture import BEGIN, END, TARGET, graph, reduced, render


def test_the_picture_is_current() -> None:
    text = TARGET.read_text("utf-8")
    shown = text[text.index(BEGIN) : text.index(END) + len(END)]
    assert shown == render(), "the README's picture is not current: make docs"


def test_every_resource_of_a_component_is_counted_and_needs_are_the_programs() -> None:
    run = deploy("prod")
    found = graph(run)
    assert sum(sum(kinds.values()) for kinds in found.kinds.values()) == len(run.declared) - 1, "all but the group"
    assert "storage" in found.needs["workspace"]
    assert "network" in found.needs["private"]


def test_arrows_that_follow_from_others_are_left_out() -> None:
    needs = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert reduced(needs) == {"a": {"b"}, "b": {"c"}, "c": set()}
