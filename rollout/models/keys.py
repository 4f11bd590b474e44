"""Where keys come from: a file, or the stack's key vault and outputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.errors import BadInput
from rollout.models.signing import private_key, public_key, public_of, unique

if TYPE_CHECKING:
    from contract.policy import ModelTrust

KEY_VARIABLE = "ROLLOUT_SIGNING_KEY"
PUBLIC_KEY_VARIABLE = "ROLLOUT_MODEL_PUBLIC_KEY"

#: Reads a secret of a vault: (vault URI, secret's name) to its value.
ReadSecret = Callable[[str, str], str]


def signing_key(given: str, trust: ModelTrust, read_secret: ReadSecret) -> bytes:
    """The private key of `given`, else of `$ROLLOUT_SIGNING_KEY` (both files), else the secret that the stack names."""
    file = given or os.environ.get(KEY_VARIABLE, "")
    if file:
        return private_key(_read(file, "--key"), file)
    if not trust.key_secret:
        raise BadInput(
            "there is no key to sign with",
            way_out=f"--key FILE, {KEY_VARIABLE}=FILE, or modelTrust.keySecret in the stack file:"
            " the name of a secret in the stack's key vault",
        )
    origin = f"secret {trust.key_secret!r} of {trust.vault_uri}"
    return private_key(read_secret(trust.vault_uri, trust.key_secret).encode(), origin)


def has_signing_key(trust: ModelTrust) -> bool:
    """Whether `signing_key` would find one without being given a file."""
    return bool(os.environ.get(KEY_VARIABLE) or trust.key_secret)


def trusted_keys(given: str, trust: ModelTrust) -> tuple[bytes, ...]:
    """The public keys of `given`, else of `$ROLLOUT_MODEL_PUBLIC_KEY` (both files), else the stack's."""
    file = given or os.environ.get(PUBLIC_KEY_VARIABLE, "")
    if file:
        return (public_key(_read(file, "--public-key"), file),)
    return unique(public_key(pem.encode(), "modelTrust.publicKeys") for pem in trust.public_keys)


def matches(private: bytes, trusted: tuple[bytes, ...]) -> bool:
    """Whether what the private key signs will be believed; true where the stack names no key."""
    return not trusted or public_of(private) in trusted


def _read(file: str, option: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise BadInput(f"{option} {file}: {error.strerror or error}") from error
