"""What the SDKs and the journal need of a blob service; each story runs on the sandbox and on Azurite."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobLeaseClient, BlobPrefix, ContentSettings

from tests.sandbox.blob_fixtures import *  # noqa: F403
from tests.sandbox.blob_fixtures import BlobService


@pytest.fixture
def box(blob_service: BlobService) -> Any:
    """An empty container."""
    return blob_service.container()


def code(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    name = getattr(error.value, "error_code", "")
    return error.value.status_code, str(getattr(name, "value", name))


def test_a_model_folder_comes_back_as_it_was_uploaded(box: Any) -> None:
    files = {
        f"models/churn/{name}": os.urandom(size)
        for name, size in (("MLmodel", 300), ("a/model.ubj", 70_000), ("empty", 0))
    }
    for name, content in files.items():
        box.upload_blob(name, content, metadata={"owner": "ml"})
    assert {blob.name: blob.size for blob in box.list_blobs()} == {
        name: len(content) for name, content in files.items()
    }
    for name, content in files.items():
        assert box.download_blob(name).readall() == content
    assert box.get_blob_client("models/churn/MLmodel").get_blob_properties().metadata == {"owner": "ml"}


def test_names_with_spaces_umlauts_and_signs_are_kept(box: Any) -> None:
    names = sorted(["räte/größe 100%.txt", "a+b&c=d?.txt", "x/y z/#1.csv"])
    for name in names:
        box.upload_blob(name, name.encode())
    assert [blob.name for blob in box.list_blobs()] == names
    assert all(box.download_blob(name).readall().decode() == name for name in names)


def test_a_large_upload_goes_in_blocks_and_downloads_in_ranges(blob_service: BlobService) -> None:
    client = blob_service.client(
        max_single_put_size=64 * 1024,
        max_block_size=256 * 1024,
        max_single_get_size=300_000,
        max_chunk_get_size=200_000,
    )
    box = client.create_container(f"test-{uuid.uuid4().hex[:12]}")
    content = os.urandom(1_500_000)
    box.upload_blob("big.bin", content, max_concurrency=2)
    blob = box.get_blob_client("big.bin")
    assert blob.download_blob(max_concurrency=2).readall() == content
    assert blob.download_blob(offset=999_990, length=20).readall() == content[999_990:1_000_010]
    committed, uncommitted = blob.get_block_list("all")
    assert sum(block.size for block in committed) == len(content)
    assert not uncommitted


def test_blocks_can_be_reused_reordered_and_must_exist(box: Any) -> None:
    blob = box.get_blob_client("blocks")
    for block_id, content in (("one", b"1111"), ("two", b"22")):
        blob.stage_block(block_id, content)
    _, uncommitted = blob.get_block_list("uncommitted")
    assert {block.id for block in uncommitted} == {"one", "two"}
    blob.commit_block_list([BlobBlock("one"), BlobBlock("two")])
    blob.stage_block("six", b"666666")
    blob.commit_block_list([BlobBlock("six"), BlobBlock("one")])
    assert blob.download_blob().readall() == b"6666661111"
    with pytest.raises(HttpResponseError) as error:
        blob.commit_block_list([BlobBlock("two")])
    assert code(error) == (400, "InvalidBlockList")


def test_a_blob_is_not_overwritten_by_accident(box: Any) -> None:
    box.upload_blob("config.json", b"{}")
    with pytest.raises(ResourceExistsError) as error:
        box.upload_blob("config.json", b"[]")
    assert code(error) == (409, "BlobAlreadyExists")
    assert box.download_blob("config.json").readall() == b"{}"
    box.upload_blob("config.json", b"[]", overwrite=True)
    assert box.download_blob("config.json").readall() == b"[]"


def test_every_write_changes_the_etag_and_if_match_protects_it(box: Any) -> None:
    blob = box.get_blob_client("state")
    first = blob.upload_blob(b"1")["etag"]
    second = blob.upload_blob(b"2", overwrite=True)["etag"]
    third = blob.set_blob_metadata({"step": "10"})["etag"]
    assert len({first, second, third}) == 3
    assert blob.get_blob_properties().etag == third
    with pytest.raises(ResourceModifiedError) as error:
        blob.upload_blob(b"3", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)
    assert code(error) == (412, "ConditionNotMet")
    blob.upload_blob(b"3", overwrite=True, etag=third, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(HttpResponseError) as unchanged:
        blob.download_blob(etag=blob.get_blob_properties().etag, match_condition=MatchConditions.IfModified)
    assert unchanged.value.status_code == 304


def test_a_missing_blob_or_container_is_told_apart(blob_service: BlobService, box: Any) -> None:
    with pytest.raises(ResourceNotFoundError) as blob:
        box.download_blob("nothing")
    assert code(blob) == (404, "BlobNotFound")
    with pytest.raises(ResourceNotFoundError) as container:
        blob_service.client().get_container_client("no-such-box").upload_blob("a", b"a")
    assert code(container) == (404, "ContainerNotFound")
    assert not box.get_blob_client("nothing").exists()


def test_listing_walks_folders_and_pages(box: Any) -> None:
    for name in ("a.txt", "logs/1", "logs/2", "logs/deep/3", "z.txt"):
        box.upload_blob(name, b"x")
    top = sorted(box.walk_blobs(), key=lambda item: item.name)
    assert [(type(item) is BlobPrefix, item.name) for item in top] == [
        (False, "a.txt"),
        (True, "logs/"),
        (False, "z.txt"),
    ]
    assert {item.name for item in box.walk_blobs("logs/")} == {"logs/1", "logs/2", "logs/deep/"}
    pages = [[blob.name for blob in page] for page in box.list_blobs(results_per_page=2).by_page()]
    assert pages == [["a.txt", "logs/1"], ["logs/2", "logs/deep/3"], ["z.txt"]]


def test_a_damaged_upload_is_refused(box: Any) -> None:
    with pytest.raises(HttpResponseError) as error:
        box.upload_blob("a", b"right", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert code(error) == (400, "Md5Mismatch")
    assert not box.get_blob_client("a").exists()


def test_content_settings_are_shown_and_can_be_changed(box: Any) -> None:
    blob = box.get_blob_client("report.html")
    blob.upload_blob(b"<p>", content_settings=ContentSettings(content_type="text/html", cache_control="no-store"))
    shown = blob.get_blob_properties().content_settings
    assert (shown.content_type, shown.cache_control) == ("text/html", "no-store")
    blob.set_http_headers(ContentSettings(content_type="text/plain"))
    shown = blob.get_blob_properties().content_settings
    assert (shown.content_type, shown.cache_control) == ("text/plain", None)


def test_a_copy_is_a_blob_of_its_own(box: Any) -> None:
    source, target = box.get_blob_client("source"), box.get_blob_client("copies/target")
    source.upload_blob(b"content", metadata={"version": "7"})
    assert target.start_copy_from_url(source.url)["copy_status"] == "success"
    source.delete_blob()
    assert target.download_blob().readall() == b"content"
    assert target.get_blob_properties().metadata == {"version": "7"}


class TestAppend:
    """The journal's blob."""

    def test_lines_land_where_they_were_meant_or_not_at_all(self, box: Any) -> None:
        journal = box.get_blob_client("journal.jsonl")
        journal.create_append_blob()
        first = journal.append_block(b"line 1\n", appendpos_condition=0)
        assert int(first["blob_append_offset"]) == 0
        with pytest.raises(HttpResponseError) as error:
            journal.append_block(b"line 1 again\n", appendpos_condition=0)
        assert code(error) == (412, "AppendPositionConditionNotMet")
        second = journal.append_block(b"line 2\n", appendpos_condition=7)
        assert (int(second["blob_append_offset"]), int(second["blob_committed_block_count"])) == (7, 2)
        assert journal.download_blob().readall() == b"line 1\nline 2\n"
        assert first["etag"] != second["etag"]

    def test_creating_it_again_needs_consent(self, box: Any) -> None:
        journal = box.get_blob_client("journal.jsonl")
        journal.create_append_blob(match_condition=MatchConditions.IfMissing)
        journal.append_block(b"kept")
        with pytest.raises(ResourceExistsError) as error:
            journal.create_append_blob(match_condition=MatchConditions.IfMissing)
        assert code(error) == (409, "BlobAlreadyExists")
        assert journal.download_blob().readall() == b"kept"

    def test_it_stays_below_the_size_that_the_writer_allows(self, box: Any) -> None:
        journal = box.get_blob_client("small")
        journal.create_append_blob()
        journal.append_block(b"12345", maxsize_condition=5)
        with pytest.raises(HttpResponseError) as error:
            journal.append_block(b"6", maxsize_condition=5)
        assert code(error) == (412, "MaxBlobSizeConditionNotMet")

    def test_a_block_blob_takes_no_appends(self, box: Any) -> None:
        box.upload_blob("plain", b"x")
        with pytest.raises(HttpResponseError) as error:
            box.get_blob_client("plain").append_block(b"y")
        assert code(error) == (409, "InvalidBlobType")


class TestLease:
    """One controller at a time."""

    @pytest.fixture
    def blob(self, box: Any) -> Any:
        blob = box.get_blob_client("lease")
        blob.create_append_blob()
        return blob

    def test_a_second_holder_is_refused_and_a_stranger_cannot_write(self, blob: Any) -> None:
        lease = blob.acquire_lease(15)
        with pytest.raises(HttpResponseError) as taken:
            blob.acquire_lease(15)
        assert code(taken) == (409, "LeaseAlreadyPresent")
        with pytest.raises(HttpResponseError) as missing:
            blob.append_block(b"stranger")
        assert code(missing) == (412, "LeaseIdMissing")
        with pytest.raises(HttpResponseError) as wrong:
            blob.append_block(b"stranger", lease=str(uuid.uuid4()))
        assert code(wrong) == (412, "LeaseIdMismatchWithBlobOperation")
        blob.append_block(b"holder", lease=lease)
        properties = blob.get_blob_properties()
        assert (properties.lease.status, properties.lease.state, properties.lease.duration) == (
            "locked",
            "leased",
            "fixed",
        )
        lease.release()
        blob.append_block(b"anyone")
        assert blob.download_blob().readall() == b"holderanyone"

    def test_it_is_renewed_changed_and_broken(self, blob: Any) -> None:
        lease = blob.acquire_lease(-1)
        lease.renew()
        old, new = lease.id, str(uuid.uuid4())
        lease.change(new)
        with pytest.raises(HttpResponseError) as error:
            BlobLeaseClient(blob, old).renew()
        assert code(error) == (409, "LeaseIdMismatchWithLeaseOperation")
        assert BlobLeaseClient(blob, new).break_lease(0) == 0
        assert blob.get_blob_properties().lease.state == "broken"
        with pytest.raises(HttpResponseError) as broken:
            lease.renew()
        assert code(broken) == (409, "LeaseIsBrokenAndCannotBeRenewed")
        blob.acquire_lease(15).release()

    def test_breaking_leaves_the_holder_the_time_that_was_agreed(self, blob: Any) -> None:
        lease = blob.acquire_lease(60)
        assert 0 < BlobLeaseClient(blob).break_lease(2) <= 2
        assert blob.get_blob_properties().lease.state == "breaking"
        blob.append_block(b"last words", lease=lease)
        time.sleep(2.2)
        assert blob.get_blob_properties().lease.state == "broken"
        blob.append_block(b"free")

    def test_only_15_to_60_seconds_or_for_ever(self, blob: Any) -> None:
        for seconds in (14, 61):
            with pytest.raises(HttpResponseError) as error:
                blob.acquire_lease(seconds)
            assert error.value.status_code == 400

    def test_leasing_changes_no_etag(self, blob: Any) -> None:
        before = blob.get_blob_properties().etag
        lease = blob.acquire_lease(15)
        assert blob.get_blob_properties().etag == before
        lease.release()

    def test_a_leased_container_is_deleted_by_its_holder_only(self, blob_service: BlobService) -> None:
        box = blob_service.container()
        lease = box.acquire_lease(15)
        with pytest.raises(HttpResponseError) as error:
            box.delete_container()
        assert code(error) == (412, "LeaseIdMissing")
        box.delete_container(lease=lease)
        assert not box.exists()
