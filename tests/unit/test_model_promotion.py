"""Promotion: the same bytes go one stack further, judged by the stack that takes them; a second time nothing happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.policy import Gates, ModelTrust
from rollout.azure.model_refs import ModelRef
from rollout.cli.ship import admitted
from rollout.errors import BadInput, GateFailed, NotFound, Unavailable, Untrusted
from rollout.models import signing
from rollout.models.promotion import Promotion, Way, promote
from rollout.models.trust import sign_model
from tests.unit.trust_rig import METRICS, FakeModels, new_key, stack

KEY = new_key()
PUBLIC = signing.public_of(KEY)
STRICT = Gates(accuracy=0.90, precision=0.85, recall=0.80, f1=0.82, auc=0.88)
TRUST = ModelTrust(require_signed=True, public_keys=(PUBLIC.decode(),))
TO_STAGING = Way(stack("dev"), stack("staging"), (), "alice", datetime(2026, 11, 21, tzinfo=UTC))
TO_PROD = Way(stack("staging"), stack("prod", STRICT, TRUST), (PUBLIC,), "bob", datetime(2026, 11, 22, tzinfo=UTC))
SHARED = str(ModelRef("churn", "3", "reg"))


@pytest.fixture
def models(tmp_path: Path) -> FakeModels:
    made = FakeModels(tmp_path)
    made.add("churn", "3")
    return made


def go(models: FakeModels, way: Way = TO_STAGING, *, dry_run: bool = False) -> Promotion:
    return promote(models, "churn", "3", way, dry_run=dry_run)


def test_a_model_goes_all_the_way_as_the_same_bytes(models: FakeModels) -> None:
    sign_model(models, ModelRef("churn", "3"), KEY)
    first = go(models)
    assert models.tags[SHARED]["stage"] == "staging"
    assert models.tags[SHARED]["promoted_to_staging_by"] == "alice"
    second = go(models, TO_PROD)
    assert second.source == second.shared, "staging has it from the registry"
    assert (second.files_hash, second.signed_by) == (first.files_hash, signing.key_id(PUBLIC))
    assert models.tags[SHARED]["stage"] == "prod"
    assert models.tags[SHARED]["promoted_to_staging_by"] == "alice", "who moved it before stays told"


def test_twice_is_once_and_a_later_stage_is_not_taken_back(models: FakeModels) -> None:
    sign_model(models, ModelRef("churn", "3"), KEY)
    go(models)
    go(models, TO_PROD)
    calls = list(models.calls)
    assert go(models).already
    assert go(models, TO_PROD).already
    assert models.calls == calls
    assert models.tags[SHARED]["stage"] == "prod"


@pytest.mark.parametrize("broken", ["share", "tag"])
def test_an_interrupted_promotion_is_finished_by_the_next(models: FakeModels, broken: str) -> None:
    models.broken = broken
    with pytest.raises(Unavailable):
        go(models)
    done = go(models)
    assert done.steps == ("mark churn:3 as staging",)
    assert models.tags[SHARED]["stage"] == "staging"
    assert [call for call in models.calls if call.startswith("share")] == ["share churn:3"]


def test_a_dry_run_says_all_and_does_nothing(models: FakeModels) -> None:
    found = go(models, dry_run=True)
    assert found.steps == ("copy churn:3 to registry reg", "mark churn:3 as staging")
    assert models.calls == []


def test_the_target_refuses_with_every_shortfall(models: FakeModels) -> None:
    models.tags["churn:3"] |= {"accuracy": "0.80", "auc": "nan"}
    with pytest.raises(GateFailed, match=r"accuracy 0.800 is 0.100 under 0.900; auc was not measured") as caught:
        go(models, replace(TO_STAGING, target=stack("staging", STRICT)))
    assert caught.value.exit_code == 7
    del models.tags["churn:3"]["recall"]
    with pytest.raises(GateFailed, match="recall was not measured"):
        go(models)
    assert models.calls == []


def test_an_unsigned_or_tampered_model_does_not_reach_a_stack_that_asks(models: FakeModels) -> None:
    go(models)
    with pytest.raises(Untrusted, match="is not signed"):
        go(models, TO_PROD)
    models.add("churn", "4")
    sign_model(models, ModelRef("churn", "4"), KEY)
    (models.folder / "workspace" / "churn" / "4" / "MLmodel").write_text("other")
    with pytest.raises(Untrusted, match="changed: MLmodel"):
        promote(models, "churn", "4", replace(TO_STAGING, keys=(PUBLIC,)))
    assert "share churn:4" not in models.calls


def test_other_bytes_under_the_same_name_are_not_taken_for_it(models: FakeModels) -> None:
    go(models)
    (models.folder / "workspace" / "churn" / "3" / "MLmodel").write_text("rebuilt")
    with pytest.raises(Untrusted, match="holds other files"):
        go(models)


def test_no_stage_is_left_out(models: FakeModels) -> None:
    with pytest.raises(BadInput, match="does not go from dev to prod") as caught:
        go(models, replace(TO_STAGING, target=stack("prod")))
    assert "staging" in caught.value.way_out
    with pytest.raises(NotFound, match="was not promoted to 'staging'"):
        go(models, TO_PROD)
    models.tags[SHARED] = dict(METRICS)  # shared by hand, judged by nobody
    with pytest.raises(NotFound, match="was not promoted to 'staging'"):
        go(models, TO_PROD)


def test_both_stacks_have_to_use_one_registry(models: FakeModels) -> None:
    with pytest.raises(BadInput, match="'reg', 'staging' uses 'other'"):
        go(models, replace(TO_STAGING, target=stack("staging", registry="other")))
    alone = stack("dev").model_copy(update={"model_registry": None})
    with pytest.raises(BadInput, match="'dev' uses no ML registry"):
        go(models, replace(TO_STAGING, source=alone))


def test_a_start_is_refused_where_signatures_are_asked_for(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.azure.models.AzureModels", lambda *_: models)
    models.shared = "reg"
    churn = ModelRef("churn", "3")
    easy, strict = (SimpleNamespace(outputs=each) for each in (stack("dev"), stack("prod", STRICT, TRUST)))
    assert admitted(easy, churn, False) == churn  # type: ignore[arg-type]
    with pytest.raises(Untrusted, match="is not signed"):
        admitted(strict, churn, False)  # type: ignore[arg-type]
    sign_model(models, churn, KEY)
    assert admitted(strict, churn, False) == churn  # type: ignore[arg-type]
    go(models)
    assert str(admitted(strict, churn, True)) == SHARED  # type: ignore[arg-type]
    (models.folder / "reg" / "churn" / "3" / "data" / "model.skops").write_bytes(b"swapped")
    with pytest.raises(Untrusted, match=r"changed: data/model\.skops"):
        admitted(strict, churn, True)  # type: ignore[arg-type]
    keyless = stack("prod", STRICT, ModelTrust(require_signed=True))
    with pytest.raises(Untrusted, match="no public key"):
        admitted(SimpleNamespace(outputs=keyless), churn, False)  # type: ignore[arg-type]
