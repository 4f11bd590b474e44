"""Signatures: what was signed is known again; whatever changed is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contract.policy import ModelTrust
from rollout.azure.model_refs import ModelRef, parse_model
from rollout.errors import BadInput, Untrusted
from rollout.models import keys, signing
from rollout.models.trust import sign_model, verify_model
from tests.unit.trust_rig import FakeModels, new_key, write_model

KEY = new_key()
PUBLIC = signing.public_of(KEY)
CHURN = ModelRef("churn", "3")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    model = write_model(tmp_path / "model")
    signing.sign(model, KEY)
    return model


def test_what_was_signed_is_known_again_by_any_of_the_trusted_keys(signed: Path) -> None:
    older = signing.public_of(new_key())
    found = signing.verify(signed, [older, PUBLIC], "churn:3")
    assert (found.key, found.files) == (signing.key_id(PUBLIC), 2)
    assert found.digest == signing.files_hash(signed)


def _swap(model: Path) -> None:
    (model / "data" / "model.skops").write_bytes(b"other weights")


def _add(model: Path) -> None:
    (model / ".gitattributes").write_text("what git owns is signed too")


def _remove(model: Path) -> None:
    (model / "MLmodel").unlink()


def _link(model: Path) -> None:
    (model / "linked").symlink_to("/etc/hostname")


def _forge(model: Path) -> None:
    (model / signing.SIGNATURE).write_text("{}")


def _unsign(model: Path) -> None:
    (model / signing.SIGNATURE).unlink()


def _resign(model: Path) -> None:
    signing.sign(model, new_key())


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_swap, r"changed: data/model\.skops"),
        (_add, r"added: \.gitattributes"),
        (_remove, "removed: MLmodel"),
        (_link, "links: linked"),
        (_forge, "can't be read as a signature"),
        (_unsign, "is not signed"),
        (_resign, "another key"),
    ],
)
def test_a_changed_model_is_refused_and_the_file_is_named(
    signed: Path, tamper: Callable[[Path], None], said: str
) -> None:
    tamper(signed)
    with pytest.raises(Untrusted, match=said) as caught:
        signing.verify(signed, [PUBLIC], "churn:3")
    assert caught.value.exit_code == 7
    assert "churn:3" in caught.value.message or tamper is _link


def test_without_a_key_nothing_is_believed(signed: Path) -> None:
    with pytest.raises(Untrusted, match="no public key") as caught:
        signing.verify(signed, [], "churn:3")
    assert "modelTrust.publicKeys" in caught.value.way_out


def test_signing_twice_writes_once_and_a_new_key_signs_anew(tmp_path: Path) -> None:
    models = FakeModels(tmp_path)
    models.add("churn", "3")
    first = sign_model(models, CHURN, KEY)
    again = sign_model(models, CHURN, KEY)
    assert (first.again, again.again) == (False, True)
    assert models.calls.count("add model.sig") == 1
    assert models.tags["churn:3"]["signed_by"] == signing.key_id(PUBLIC)
    assert models.tags["churn:3"]["files_hash"] == verify_model(models, CHURN, [PUBLIC]).digest
    other = new_key()
    sign_model(models, CHURN, other)
    with pytest.raises(Untrusted, match="another key"):
        verify_model(models, CHURN, [PUBLIC])
    assert verify_model(models, CHURN, [signing.public_of(other)]).digest == first.files_hash


def test_a_dry_run_and_a_registry_are_left_as_they_are(tmp_path: Path) -> None:
    models = FakeModels(tmp_path)
    models.add("churn", "3")
    assert sign_model(models, CHURN, KEY, dry_run=True).files == 2
    assert models.calls == []
    with pytest.raises(BadInput, match="can't be changed"):
        sign_model(models, ModelRef("churn", "3", "reg"), KEY)


def test_the_key_comes_from_a_file_or_the_vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def vault(uri: str, name: str) -> str:
        asked.append((uri, name))
        return KEY.decode()

    trust = ModelTrust(vault_uri="https://kv.vault.azure.net/", key_secret="model-key")
    monkeypatch.delenv(keys.KEY_VARIABLE, raising=False)
    assert keys.signing_key("", trust, vault) == KEY
    assert asked == [("https://kv.vault.azure.net/", "model-key")]
    file = tmp_path / "key.pem"
    file.write_bytes(KEY)
    assert keys.signing_key(str(file), trust, vault) == KEY
    assert len(asked) == 1
    with pytest.raises(BadInput, match="no key to sign with"):
        keys.signing_key("", ModelTrust(), vault)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", PUBLIC])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    with pytest.raises(BadInput, match="not a PEM private key") as caught:
        keys.signing_key(str(file), ModelTrust(), lambda *_: "")
    assert "AAAA" not in str(caught.value)


def test_models_are_named_in_two_ways() -> None:
    assert parse_model("azureml:churn:7") == ModelRef("churn", "7")
    shared = "azureml://registries/rollouts-staging/models/churn/versions/7"
    assert parse_model(shared) == ModelRef("churn", "7", "rollouts-staging")
    assert str(parse_model(shared)) == shared
    for wrong in ("churn", "churn:", "azureml://registries/r/models/churn", "a b:1"):
        with pytest.raises(BadInput, match="NAME:VERSION"):
            parse_model(wrong)
