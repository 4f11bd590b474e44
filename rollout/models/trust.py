"""Signing and verifying registered models: files are fetched, judged, and only the signature is put beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rollout.azure.model_refs import ModelRef
from rollout.errors import BadInput
from rollout.models import signing
from rollout.models.catalogue import FILES_HASH, SIGNED_BY
from rollout.models.signing import SIGNATURE, Verified
from rollout.models.store import Models


@dataclass(frozen=True, slots=True)
class Signed:
    """What `sign_model` did. `again`: the key's signature was there and fitted, so nothing was written."""

    ref: ModelRef
    key: str
    files: int
    files_hash: str
    again: bool


def sign_model(models: Models, ref: ModelRef, key: bytes, *, dry_run: bool = False) -> Signed:
    """Sign a workspace's version and keep `model.sig` beside its files. A signature of this key that fits is left."""
    if ref.registry:
        raise BadInput(f"{ref}: files of a registry's model can't be changed", way_out="sign it before `promote`")
    models.get(ref)
    with tempfile.TemporaryDirectory(prefix="rollout-sign-") as folder:
        model = models.download(ref, Path(folder))
        public = signing.public_of(key)
        again = (model / SIGNATURE).is_file() and _fits(model, public, ref)
        found = Signed(ref, signing.key_id(public), len(signing.files_of(model)), signing.files_hash(model), again)
        if dry_run:
            return found
        if not again:
            signature = signing.sign(model, key)
            models.add_file(ref, SIGNATURE, signature.read_bytes())
    # also after a kill between the two
    models.tag(ref, {SIGNED_BY: found.key, FILES_HASH: found.files_hash})
    return found


def verify_model(models: Models, ref: ModelRef, keys: Sequence[bytes]) -> Verified:
    """Fetch the files and judge them; `Untrusted` names what does not fit."""
    with tempfile.TemporaryDirectory(prefix="rollout-verify-") as folder:
        return signing.verify(models.download(ref, Path(folder)), keys, str(ref))


def _fits(model: Path, public: bytes, ref: ModelRef) -> bool:
    from rollout.errors import Untrusted

    try:
        signing.verify(model, [public], str(ref))
    except Untrusted:
        return False
    return True
