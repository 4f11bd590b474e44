"""RSA keys that are made once and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from sandbox.kernel.files import write_private


def load_or_make(path: Path) -> rsa.RSAPrivateKey:
    """The key in `path`, made on first use, readable by its owner alone."""
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise ValueError(f"{path} does not hold an RSA key")
    return loaded


def jwk(key: rsa.RSAPrivateKey, key_id: str) -> dict[str, Any]:
    """The public half as JWKS lists it."""
    public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id, "n": public["n"], "e": public["e"]}
