"""Files and folders to and from the blob service, in process. Blocking: call it in a thread."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sandbox.ml.datastores import Location
from sandbox.storage.errors import StorageError
from sandbox.storage.state import StorageState


class NothingThere(Exception):
    """No blob at or below the place."""

    def __init__(self, location: Location) -> None:
        super().__init__(f"nothing at '{location.path}' in container '{location.container}' of '{location.account}'")


def download(storage: StorageState, location: Location, folder: Path) -> Path:
    """Copy the blob at `location`, or all below it, into `folder`. Gives the file, or the folder.

    Raises NothingThere. Only what is linked read-only may share the blob's file, so bytes are copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if location.path and storage.find(location.account, location.container, location.path) is not None:
        target = folder / Path(location.path).name
        _copy(storage, location, location.path, target)
        return target
    prefix = f"{location.path}/" if location.path else ""
    names = storage.list(location.account, location.container, prefix)
    if not names:
        raise NothingThere(location)
    for name in names:
        target = (folder / name[len(prefix) :]).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise StorageError(400, "InvalidBlobName", f"The blob name '{name}' leads out of its folder.")
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(storage, location, name, target)
    return folder


def _copy(storage: StorageState, location: Location, name: str, target: Path) -> None:
    blob = storage.blob(location.account, location.container, name)
    with storage.file(blob.file).open("rb") as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
        sink.truncate(blob.length)


def upload(storage: StorageState, source: Path, location: Location) -> int:
    """Copy a file, or all files below a folder, to `location`. Gives how many files."""
    storage.ensure_container(location.account, location.container)
    if source.is_file():
        storage.put(location.account, location.container, location.path, source)
        return 1
    count = 0
    for base, _, names in os.walk(source):
        for name in names:
            file = Path(base) / name
            blob = f"{location.path}/{file.relative_to(source).as_posix()}".lstrip("/")
            storage.put(location.account, location.container, blob, file)
            count += 1
    return count
