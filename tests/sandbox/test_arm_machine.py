"""Whatever is put, deleted and restarted in whatever order, ARM knows what a plain dictionary would."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandbox.arm.state import ArmState
from sandbox.kernel.context import open_sandbox
from sandbox.kernel.settings import new_settings
from sandbox.kernel.store import Store

SUBSCRIPTION = "/subscriptions/s"
GROUPS = ("g1", "g2", "g10")
TYPES = ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults")
FOLDER = tempfile.TemporaryDirectory()
#: One for all runs: making a sandbox makes keys, which takes longer than a run.
SANDBOX = open_sandbox(Path(FOLDER.name), new_settings(now=0.0))
NAMES = st.sampled_from(("a", "ab", "B"))


class ArmMachine(RuleBasedStateMachine):
    """The model maps lower-case ids to tags."""

    def __init__(self) -> None:
        super().__init__()
        self._model: dict[str, dict[str, str]] = {}
        self._open()
        self._arm.reset()

    def _open(self) -> None:
        SANDBOX.store = Store(SANDBOX.home / "state.db")
        self._arm = ArmState(SANDBOX)

    def teardown(self) -> None:
        SANDBOX.store.close()

    @rule(
        group=st.sampled_from(GROUPS),
        kind=st.sampled_from(TYPES),
        name=NAMES,
        tag=st.text(max_size=3),
        upper=st.booleans(),
    )
    def put(self, group: str, kind: str, name: str, tag: str, upper: bool) -> None:
        text = f"{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}"
        resource = self._arm.new(text.upper().replace("/PROVIDERS/", "/providers/") if upper else text)
        resource.tags = {"tag": tag}
        self._arm.put(resource)
        self._model[text.lower()] = {"tag": tag}

    @precondition(lambda self: self._model)
    @rule(data=st.data())
    def put_below(self, data: st.DataObject) -> None:
        parent = data.draw(st.sampled_from(sorted(self._model)))
        text = f"{parent}/providers/Microsoft.Authorization/locks/keep"
        self._arm.put(self._arm.new(text))
        self._model[text.lower()] = {}

    @rule(group=st.sampled_from(GROUPS))
    def delete_group(self, group: str) -> None:
        text = f"{SUBSCRIPTION}/resourceGroups/{group}"
        self._arm.delete(text)
        self._model = {key: tags for key, tags in self._model.items() if not key.startswith(text.lower() + "/")}

    @precondition(lambda self: self._model)
    @rule(data=st.data())
    def delete_one(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self._model)))
        assert self._arm.delete(key)
        self._model = {
            other: tags for other, tags in self._model.items() if other != key and not other.startswith(key + "/")
        }

    @rule()
    def restart(self) -> None:
        SANDBOX.store.close()
        self._open()

    @rule()
    def reset(self) -> None:
        self._arm.reset()
        self._model = {}

    @invariant()
    def knows_the_same(self) -> None:
        assert {each.key: each.tags or {} for each in self._arm.children("")} == self._model
        for kind in (*TYPES, "Microsoft.Authorization/locks"):
            found = [each.key for each in self._arm.of_type(kind)]
            last = f"/providers/{kind}/".lower()
            assert found == sorted(key for key in self._model if last in key and "/" not in key.rsplit(last, 1)[1])
        for group in GROUPS:
            scope = f"{SUBSCRIPTION}/resourceGroups/{group}"
            inside = {key for key in self._model if key.startswith(scope.lower() + "/")}
            assert {each.key for each in self._arm.children(scope.upper())} == inside


TestArmMachine = ArmMachine.TestCase
TestArmMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
