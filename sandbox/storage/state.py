"""What the blob service holds: containers and blobs in the store, their bytes in files below `blobs/`.

Other services use it in process: `ensure_container`, `put`, `get`, `list`, `path`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox.kernel.context import Sandbox
from sandbox.storage.accounts import Accounts
from sandbox.storage.errors import StorageError, blob_not_found, container_not_found
from sandbox.storage.model import Blob, Block, Container, Content, new_etag

_SEPARATOR = "\n"  # in no account, container or blob name


class StorageState:
    """Containers and blobs of all accounts. `lock` makes check-then-write one step; no call holds it over slow I/O."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.accounts = Accounts(sandbox)
        self.lock = threading.RLock()
        self._containers = sandbox.store.collection("storage.containers")
        self._blobs = sandbox.store.collection("storage.blobs")
        self._blocks = sandbox.store.collection("storage.blocks")
        self._folder = sandbox.home / "blobs"
        self._folder.mkdir(parents=True, exist_ok=True)

    async def start(self) -> None:
        """Removes files that a killed process had begun and no blob came to own."""
        owned = {document["file"] for _, document in self._blobs.items()}
        owned |= {document["file"] for _, document in self._blocks.items()}
        for file in self._folder.iterdir():
            if file.name not in owned:
                file.unlink()

    def reset(self) -> None:
        with self.lock:
            for collection in (self._containers, self._blobs, self._blocks):
                collection.clear()
            self.accounts.forget()
            shutil.rmtree(self._folder)
            self._folder.mkdir()

    # In-process use by other services

    def ensure_container(self, account: str, container: str) -> None:
        with self.lock:
            if self._containers.get(_key(account, container)) is None:
                self.save_container(Container(account, container, new_etag(), time.time()))

    def put(self, account: str, container: str, name: str, content: bytes | Path, content_type: str = "") -> Blob:
        """Write a block blob, over what was there; a path is copied. StorageError when there is no such container."""
        file = self.new_file()
        if isinstance(content, Path):
            shutil.copyfile(content, self.file(file))
        else:
            self.file(file).write_bytes(content)
        headers = {"content-type": content_type or "application/octet-stream"}
        return self.commit(account, container, name, Content(file, headers))

    def get(self, account: str, container: str, name: str) -> bytes:
        """The whole content; StorageError 404 when it isn't there."""
        blob = self.blob(account, container, name)
        with self.file(blob.file).open("rb") as file:
            return file.read(blob.length)

    def list(self, account: str, container: str, prefix: str = "") -> Sequence[str]:
        """Names below `prefix`, in order."""
        return [blob.name for blob in self.blobs(account, container, prefix)]

    def path(self, account: str, container: str, name: str) -> Path:
        """The file with the content, to be read only. A later write of the blob leaves it, or removes it."""
        return self.file(self.blob(account, container, name).file)

    def delete_blob(self, account: str, container: str, name: str) -> None:
        with self.lock:
            blob = self.blob(account, container, name)
            self._blobs.delete(_key(account, container, name))
            self.drop_blocks(account, container, name)
        self.drop_files({blob.file})

    def drop_account(self, account: str) -> None:
        """Everything of an account that ARM deleted."""
        for container in self.containers(account):
            self.delete_container(container)

    # Containers

    def container(self, account: str, name: str) -> Container:
        """StorageError 404 when there is none."""
        document = self._containers.get(_key(account, name))
        if document is None:
            raise container_not_found()
        return Container.from_document(document)

    def containers(self, account: str, prefix: str = "") -> Sequence[Container]:
        return [Container.from_document(document) for _, document in self._containers.items(_key(account, prefix))]

    def save_container(self, container: Container) -> None:
        self._containers.put(_key(container.account, container.name), container.document())

    def delete_container(self, container: Container) -> None:
        """With all that is in it."""
        prefix = _key(container.account, container.name, "")
        files = set()
        with self.lock:
            self._containers.delete(_key(container.account, container.name))
            for collection in (self._blobs, self._blocks):
                for key, document in list(collection.items(prefix)):
                    files.add(document["file"])
                    collection.delete(key)
        self.drop_files(files)

    # Blobs

    def find(self, account: str, container: str, name: str) -> Blob | None:
        document = self._blobs.get(_key(account, container, name))
        return Blob.from_document(document) if document else None

    def blob(self, account: str, container: str, name: str) -> Blob:
        """StorageError 404 when the container or the blob isn't there."""
        blob = self.find(account, container, name)
        if blob is None:
            self.container(account, container)
            raise blob_not_found()
        return blob

    def blobs(self, account: str, container: str, prefix: str = "") -> Iterator[Blob]:
        items = self._blobs.items(_key(account, container, prefix))
        return (Blob.from_document(document) for _, document in items)

    def save(self, blob: Blob) -> None:
        self._blobs.put(_key(blob.account, blob.container, blob.name), blob.document())

    def commit(self, account: str, container: str, name: str, content: Content) -> Blob:
        """Put `content` in place of the blob's, in one step. The old content goes; lease and age stay."""
        with self.lock:
            self.container(account, container)
            old = self.find(account, container, name)
            now = time.time()
            length = self.file(content.file).stat().st_size
            blob = Blob(
                account, container, name, content.kind, content.file, length, new_etag(), now, now,
                dict(content.headers), dict(content.metadata), content.blocks, content.append_count,
                copy=dict(content.copy),
            )  # fmt: skip
            if old is not None:
                kept = old.touched()
                blob = replace(blob, created=old.created, lease=kept.lease)
            self.save(blob)
            self.drop_blocks(account, container, name)
        if old is not None and old.file != blob.file:
            self.drop_files({old.file})
        return blob

    def append(self, blob: Blob, content: bytes) -> Blob:
        """Write `content` at the end, down to the disk, then make it count. The caller holds `lock`."""
        with self.file(blob.file).open("r+b") as file:
            # What a killed process wrote beyond the length never counted.
            file.truncate(blob.length)
            file.seek(blob.length)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        grown = blob.touched(length=blob.length + len(content), append_count=blob.append_count + 1)
        self.save(grown)
        return grown

    # Blocks that no block list has claimed yet

    def stage(self, account: str, container: str, name: str, block_id: str, file: str) -> None:
        with self.lock:
            self.container(account, container)
            key = _key(account, container, name, block_id)
            old = self._blocks.get(key)
            length = self.file(file).stat().st_size
            self._blocks.put(key, {"id": block_id, "file": file, "length": length})
        if old is not None:
            self.drop_files({old["file"]})

    def staged(self, account: str, container: str, name: str) -> dict[str, Block]:
        items = self._blocks.items(_key(account, container, name, ""))
        return {doc["id"]: Block(doc["id"], doc["file"], 0, doc["length"]) for _, doc in items}

    def drop_blocks(self, account: str, container: str, name: str) -> None:
        with self.lock:
            dropped = list(self._blocks.items(_key(account, container, name, "")))
            for key, _ in dropped:
                self._blocks.delete(key)
        self.drop_files({document["file"] for _, document in dropped})

    # Files

    def new_file(self) -> str:
        """A name for content to come."""
        return uuid.uuid4().hex

    def file(self, name: str) -> Path:
        return self._folder / name

    def drop_files(self, names: set[str]) -> None:
        for name in names:
            self.file(name).unlink(missing_ok=True)

    def join(self, blocks: Sequence[Block], file: str) -> str:
        """Write the blocks one after the other into `file`; gives the base64 MD5 of the whole. Slow: not in the loop."""
        # Azure's content check, not a signature.
        digest = hashlib.md5(usedforsecurity=False)
        with self.file(file).open("wb") as target:
            for block in blocks:
                with self.file(block.file).open("rb") as source:
                    source.seek(block.offset)
                    left = block.length
                    while left and (chunk := source.read(min(left, 1 << 20))):
                        digest.update(chunk)
                        target.write(chunk)
                        left -= len(chunk)
                if left:
                    raise StorageError(409, "InvalidBlockList", f"Block {block.id} was changed while it was committed.")
            target.flush()
            os.fsync(target.fileno())
        return base64.b64encode(digest.digest()).decode()


def _key(*parts: str) -> str:
    return _SEPARATOR.join(parts)
