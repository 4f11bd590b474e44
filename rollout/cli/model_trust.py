"""`rollout model sign|verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rollout.cli.model_look import FromRegistry, Model
from rollout.cli.options import DryRun, Json, Outputs, Stack

if TYPE_CHECKING:
    from contract import StackOutputs

Key = Annotated[
    str,
    typer.Option("--key", help="PEM file with the private key; default: the stack's key vault.", metavar="FILE"),
]
PublicKey = Annotated[
    str,
    typer.Option("--public-key", help="PEM file with the public key; default: the stack's keys.", metavar="FILE"),
]


def sign(
    model: Model, stack: Stack = "", outputs: Outputs = "", key: Key = "", dry_run: DryRun = False, json: Json = False
) -> None:
    """Sign a version's files with an elliptic-curve key, and keep the signature (model.sig) beside them.

    The key: --key, ROLLOUT_SIGNING_KEY (files), else the secret of the stack's key vault that modelTrust.keySecret names.
    """
    from dataclasses import asdict

    from rollout.cli.model_look import open_models, pick
    from rollout.cli.output import emit, say
    from rollout.models.keys import matches, signing_key, trusted_keys
    from rollout.models.trust import sign_model

    models, found = open_models(stack, outputs)
    private = signing_key(key, found.model_trust, models.secret)
    done = sign_model(models, pick(models, model, False), private, dry_run=dry_run)
    believed = matches(private, trusted_keys("", found.model_trust))
    if json:
        emit({**asdict(done), "ref": str(done.ref), "dry_run": dry_run, "believed": believed})
        return
    verb = "would sign" if dry_run else "was signed before:" if done.again else "signed"
    say(f"{verb} {done.ref}: {done.files} files, hash {done.files_hash[:16]}, key {done.key}")
    if not believed:
        say(f"note: {found.stack!r} does not believe this key yet: add it to modelTrust.publicKeys in its stack file")


def verify(
    model: Model,
    stack: Stack = "",
    outputs: Outputs = "",
    public_key: PublicKey = "",
    from_registry: FromRegistry = False,
    json: Json = False,
) -> None:
    """Fetch a version's files and check them against its signature. Code 7, naming the files, when they don't fit."""
    from dataclasses import asdict

    from rollout.cli.model_look import open_models, pick
    from rollout.cli.output import emit, say
    from rollout.models.keys import trusted_keys
    from rollout.models.trust import verify_model

    models, found = open_models(stack, outputs)
    ref = pick(models, model, from_registry)
    verified = verify_model(models, ref, trusted_keys(public_key, found.model_trust))
    if json:
        emit({"model": str(ref), **asdict(verified)})
    else:
        say(f"{ref} is as it was signed: {verified.files} files, hash {verified.digest[:16]}, key {verified.key}")


def sign_registered(outputs: StackOutputs, model: str) -> str:
    """Sign what a training has just registered, where a key is configured: the key's id, else empty.

    Here and not in the training job, which never sees the key.
    """
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.model_refs import parse_model
    from rollout.azure.models import AzureModels
    from rollout.models.keys import has_signing_key, signing_key
    from rollout.models.trust import sign_model

    if not has_signing_key(outputs.model_trust):
        return ""
    models = AzureModels(cloud_from_environment(), outputs)
    return sign_model(models, parse_model(model), signing_key("", outputs.model_trust, models.secret)).key
