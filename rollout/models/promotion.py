"""Promotion: a version goes from one stack to the next by way of their ML registry, as the same bytes.

Nothing is rebuilt. Each step is repeatable, so an interrupted promotion is finished by running it again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.azure.model_refs import ModelRef
from rollout.errors import BadInput, GateFailed, NotFound, Untrusted
from rollout.models import signing
from rollout.models.catalogue import FILES_HASH, SIGNED_BY, STAGE, recorded_shortfalls
from rollout.models.signing import SIGNATURE
from rollout.models.store import Models

if TYPE_CHECKING:
    from contract import StackOutputs

#: The way of a model.
STAGES = ("dev", "staging", "prod")


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was done, or, of a dry run, what would be. `signed_by`: empty when it is not signed."""

    source: ModelRef
    target: str
    shared: ModelRef
    files_hash: str
    signed_by: str
    steps: tuple[str, ...]

    @property
    def already(self) -> bool:
        """There was nothing left to do."""
        return not self.steps


@dataclass(frozen=True, slots=True)
class Way:
    """From one stack to the next: who moves it when, and whose signatures the target believes."""

    source: StackOutputs
    target: StackOutputs
    keys: Sequence[bytes]
    actor: str
    now: datetime

    @property
    def registry(self) -> str:
        """The registry that both stacks use; `BadInput` unless they do."""
        names = [each.model_registry.name if each.model_registry else "" for each in (self.source, self.target)]
        for outputs, name in zip((self.source, self.target), names, strict=True):
            if not name:
                raise BadInput(f"stack {outputs.stack!r} uses no ML registry", way_out="set modelRegistry in its file")
        if names[0] != names[1]:
            raise BadInput(
                f"stack {self.source.stack!r} uses ML registry {names[0]!r}, {self.target.stack!r} uses {names[1]!r}",
                way_out="name the same modelRegistry in both stack files",
            )
        return names[0]

    def check(self) -> None:
        """`BadInput` unless the target comes right after the source."""
        at, to = (STAGES.index(each.environment) for each in (self.source, self.target))
        if to != at + 1:
            follows = STAGES[at + 1] if at + 1 < len(STAGES) else "nothing"
            raise BadInput(
                f"a model does not go from {self.source.environment} to {self.target.environment}",
                way_out=f"after {self.source.environment} comes {follows}",
            )


def promote(models: Models, name: str, version: str, way: Way, *, dry_run: bool = False) -> Promotion:
    """Judge, then move. `GateFailed` with every shortfall, `Untrusted` when the signature does not hold."""
    way.check()
    shared = ModelRef(name, version, way.registry)
    there = models.find(shared)
    source = shared if way.source.environment != STAGES[0] else ModelRef(name, version)
    found = there if source == shared else models.get(source)
    if found is None or (source == shared and not _reached(found.tags.get(STAGE, ""), way.source.environment)):
        raise NotFound(
            f"model {name}:{version} was not promoted to {way.source.stack!r}",
            way_out=f"promote it there first, from {STAGES[STAGES.index(way.source.environment) - 1]}",
        )
    _refuse_shortfalls(found.tags, way, source)
    files_hash, signed_by = _inspect(models, source, way)
    steps = []
    if there is None:
        steps.append(f"copy {source} to registry {way.registry}")
        if not dry_run:
            models.share(source, way.registry)
    if source != shared and (there is not None or not dry_run):
        _refuse_other_bytes(models, shared, files_hash)
    known = there.tags if there else {}
    if not _reached(known.get(STAGE, ""), way.target.environment) or known.get(FILES_HASH) != files_hash:
        steps.append(f"mark {shared.short} as {way.target.environment}")
        if not dry_run:
            models.tag(shared, _marks(way, files_hash, signed_by))
    return Promotion(source, way.target.stack, shared, files_hash, signed_by, tuple(steps))


def _reached(stage: str, wanted: str) -> bool:
    return stage in STAGES and STAGES.index(stage) >= STAGES.index(wanted)


def _refuse_shortfalls(tags: Mapping[str, str], way: Way, source: ModelRef) -> None:
    missed = recorded_shortfalls(tags, way.target.gates)
    if missed:
        raise GateFailed(
            f"the gates of {way.target.stack!r} refuse {source.short}: " + "; ".join(each.said for each in missed),
            way_out="train a better one; nothing was moved",
        )


def _inspect(models: Models, source: ModelRef, way: Way) -> tuple[str, str]:
    """The hash of the files, and who signed them; `Untrusted` where the target asks for a signature that holds."""
    with tempfile.TemporaryDirectory(prefix="rollout-promote-") as folder:
        model = models.download(source, Path(folder))
        signed = (model / SIGNATURE).is_file()
        if way.target.model_trust.require_signed or (signed and way.keys):
            verified = signing.verify(model, way.keys, str(source))
            return verified.digest, verified.key
        return signing.files_hash(model), ""


def _refuse_other_bytes(models: Models, shared: ModelRef, files_hash: str) -> None:
    """The registry's copy is read back: that it has the same bytes is seen, not believed."""
    with tempfile.TemporaryDirectory(prefix="rollout-promote-") as folder:
        found = signing.files_hash(models.download(shared, Path(folder)))
    if found != files_hash:
        raise Untrusted(
            f"{shared} holds other files (hash {found[:16]}) than what is promoted (hash {files_hash[:16]})",
            way_out="another stack put a model of this name and version there; register yours as another version",
        )


def _marks(way: Way, files_hash: str, signed_by: str) -> dict[str, str]:
    stage = way.target.environment
    marks = {
        STAGE: stage,
        FILES_HASH: files_hash,
        f"promoted_to_{stage}_from": way.source.stack,
        f"promoted_to_{stage}_by": way.actor,
        f"promoted_to_{stage}_at": way.now.isoformat(timespec="seconds"),
        f"promoted_to_{stage}_gates": "passed",
    }
    return marks | ({SIGNED_BY: signed_by} if signed_by else {})
