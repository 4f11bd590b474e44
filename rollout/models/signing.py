"""Signatures of model folders: OpenSSF model-signing with an elliptic-curve key.

The signature is `model.sig` in the model's folder, and is the one file that is not signed: so it goes wherever the
model goes. Sigstore's keyless signing needs the internet and is not offered (docs/adr/0017-model-trust.md).
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout.errors import BadInput, Untrusted

SIGNATURE = "model.sig"
#: Curves that model-signing takes.
CURVES = ("secp256r1", "secp384r1", "secp521r1")
_NEW_KEY = "openssl ecparam -name prime256v1 -genkey -noout -out model-key.pem"


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that fits: which key made it, over how many files, and what these are together."""

    key: str
    files: int
    digest: str


def private_key(pem: bytes, origin: str) -> bytes:
    """The PEM text when it holds a private key that can sign; `BadInput` otherwise. The key is never in a message."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except TypeError as error:
        raise BadInput(f"{origin}: the key has a password", way_out="keep it in the key vault without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{origin}: not a PEM private key", way_out=_NEW_KEY) from error
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise BadInput(f"{origin}: the key's curve is none of {', '.join(CURVES)}", way_out=_NEW_KEY)
    return pem


def public_of(pem: bytes) -> bytes:
    """The public half of a private key, as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    key = load_pem_private_key(pem, None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_key(pem: bytes, origin: str) -> bytes:
    """The PEM text of a public key in its plain form; `BadInput` when it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(
            f"{origin}: not a PEM public key", way_out="openssl ec -in model-key.pem -pubout -out model-key.pub"
        ) from error
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise BadInput(f"{origin}: the key's curve is none of {', '.join(CURVES)}", way_out=_NEW_KEY)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_id(public: bytes) -> str:
    """What a key is called in tags and messages; the signature's own hint begins with it."""
    return hashlib.sha256(public).hexdigest()[:16]


def files_of(model: Path) -> list[Path]:
    """The files that a signature covers, sorted by path; links are refused, since they lead out of what is signed."""
    found = sorted(path for path in model.rglob("*") if path.is_symlink() or path.is_file())
    links = [path.relative_to(model).as_posix() for path in found if path.is_symlink()]
    if links:
        raise Untrusted(f"the model holds links: {', '.join(links)}", way_out="register the files themselves")
    return [path for path in found if path != model / SIGNATURE]


def files_hash(model: Path) -> str:
    """SHA-256 over the paths and contents of all files but the signature: the same bytes, the same hash."""
    digest = hashlib.sha256()
    for path in files_of(model):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(model).as_posix()}\n".encode())
    return digest.hexdigest()


def sign(model: Path, key: bytes) -> Path:
    """Write `model.sig` into the model's folder; a signature that is there is replaced."""
    from model_signing import signing

    files_of(model)
    with tempfile.TemporaryDirectory(prefix="rollout-key-") as folder:
        pem, made = Path(folder) / "key.pem", Path(folder) / SIGNATURE
        pem.touch(mode=0o600)
        pem.write_bytes(key)
        config: Any = signing.Config  # its constructor has no annotations
        config().use_elliptic_key_signer(private_key=pem).set_hashing_config(_hashing()).sign(model, made)
        (model / SIGNATURE).write_bytes(made.read_bytes())
    return model / SIGNATURE


def verify(model: Path, keys: Sequence[bytes], what: str) -> Verified:
    """`Untrusted` unless one of the public `keys` signed exactly these files. `what` is for the message: "churn:7"."""
    if not keys:
        raise Untrusted(
            f"{what}: there is no public key to verify with",
            way_out="set modelTrust.publicKeys in the stack file and `pulumi up`, or give --public-key",
        )
    if not (model / SIGNATURE).is_file():
        raise Untrusted(f"{what} is not signed: it has no {SIGNATURE}", way_out=f"rollout model sign {what}")
    files = files_of(model)
    refusals = []
    for key in keys:
        said = _refusal(model, key)
        if said is None:
            return Verified(key_id(key), len(files), files_hash(model))
        refusals.append(said)
    mismatch = next((each for each in refusals if each.startswith("file")), refusals[0])
    raise Untrusted(f"{what}: {mismatch}", way_out="do not deploy it; find out who changed it, and register it anew")


def _refusal(model: Path, key: bytes) -> str | None:
    """None when the key's signature fits."""
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    with tempfile.TemporaryDirectory(prefix="rollout-key-") as folder, redirect_stdout(io.StringIO()):
        pem = Path(folder) / "key.pub"
        pem.write_bytes(key)
        made: Any = verifying.Config
        config = made().use_elliptic_key_verifier(public_key=pem).set_hashing_config(_hashing())
        try:
            config.verify(model, model / SIGNATURE)
        except InvalidSignature:
            return f"the signature was not made by key {key_id(key)}"
        except Exception as error:  # noqa: BLE001 - whatever a forged bundle makes the library raise, it is a refusal
            return _said(error, key)
    return None


def _said(error: Exception, key: bytes) -> str:
    text = str(error)
    if "Key mismatch" in text:
        return f"signed by another key than {key_id(key)}"
    if text.startswith("Signature mismatch: "):
        return _changed_files(text)
    return f"{SIGNATURE} can't be read as a signature ({type(error).__name__})"


def _changed_files(text: str) -> str:
    """Files by name out of model-signing's message."""
    import ast

    found: list[str] = ast.literal_eval(text.removeprefix("Signature mismatch: "))
    parts = []
    for line in found:
        names = line.rpartition("': ")[2] if "files" in line.partition("'")[0] else line.split("'")[1]
        kind = {"Extra": "added", "Missing": "removed"}.get(line.split()[0], "changed")
        parts.append(f"{kind}: {names}")
    return f"files are not as they were signed ({'; '.join(parts)})"


def _hashing() -> Any:
    from model_signing import hashing

    # Nothing but the signature is left out, git's files neither: what is not signed could be swapped.
    made: Any = hashing.Config
    return made().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def unique(keys: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(keys))
