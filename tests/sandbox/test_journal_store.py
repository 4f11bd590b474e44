"""The journal in blob storage: one writer at a time, nothing lost, nothing twice. On the sandbox and on Azurite."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.storage.blob import BlobLeaseClient

from rollout.azure.journal import BlobJournal
from rollout.errors import Busy, NotFound
from tests.sandbox.blob_fixtures import *  # noqa: F403
from tests.sandbox.blob_fixtures import BlobService


@pytest.fixture
def box(blob_service: BlobService) -> Any:
    """The workspace's journal container."""
    return blob_service.container()


@pytest.fixture
def journal(box: Any) -> BlobJournal:
    return BlobJournal(box, "churn", lease_seconds=15)


def break_lease(box: Any) -> None:
    """What the service does by itself when a holder has died and its lease runs out."""
    BlobLeaseClient(box.get_blob_client("churn/journal.jsonl")).break_lease(lease_break_period=0)


def test_an_endpoint_without_rollouts_has_an_empty_journal(journal: BlobJournal) -> None:
    assert journal.read() == (b"", 0)


def test_lines_come_back_in_order_also_to_another_process(journal: BlobJournal, box: Any) -> None:
    lease = journal.acquire("anna@laptop")
    position = 0
    for number in range(5):
        position = journal.append(b"line %d\n" % number, position, lease)
    lease.release()
    content, end = BlobJournal(box, "churn").read()
    assert content == b"".join(b"line %d\n" % number for number in range(5))
    assert end == position == len(content)


def test_a_second_controller_is_told_who_holds_the_endpoint(journal: BlobJournal, box: Any) -> None:
    lease = journal.acquire("jürgen@build-7")
    with pytest.raises(Busy, match=r"'churn' is held by jürgen@build-7 since 20") as refused:
        BlobJournal(box, "churn").acquire("bert")
    assert "within" in refused.value.way_out
    lease.release()
    BlobJournal(box, "churn").acquire("bert").release()


def test_other_endpoints_are_not_held_up(journal: BlobJournal, box: Any) -> None:
    lease = journal.acquire("anna")
    BlobJournal(box, "fraud").acquire("bert").release()
    lease.release()


def test_the_fencing_number_rises_with_every_holder_and_outlives_them(journal: BlobJournal, box: Any) -> None:
    numbers = []
    for _ in range(3):
        lease = BlobJournal(box, "churn").acquire("anna")
        numbers.append(lease.fencing_number)
        lease.release()
    assert numbers == [1, 2, 3]


def test_a_controller_that_lost_its_lease_can_write_nothing_more(journal: BlobJournal, box: Any) -> None:
    stale = journal.acquire("sleeper")
    position = journal.append(b"before\n", 0, stale)
    break_lease(box)
    fresh = BlobJournal(box, "churn").acquire("successor")
    with pytest.raises(Busy):
        journal.append(b"too late\n", position, stale)
    with pytest.raises(Busy, match="lease"):
        stale.renew()
    stale.release()  # giving back what is lost is no error
    BlobJournal(box, "churn").append(b"after\n", position, fresh)
    fresh.release()
    assert journal.read()[0] == b"before\nafter\n"


def test_nothing_is_written_where_somebody_else_wrote_first(journal: BlobJournal) -> None:
    lease = journal.acquire("anna")
    end = journal.append(b"mine\n", 0, lease)
    with pytest.raises(Busy, match="position"):
        journal.append(b"other\n", 0, lease)
    with pytest.raises(Busy, match="position"):
        journal.append(b"gap\n", end + 3, lease)
    assert journal.read() == (b"mine\n", end)
    lease.release()


def test_an_append_whose_answer_was_lost_is_not_written_twice(journal: BlobJournal) -> None:
    lease = journal.acquire("anna")
    first = journal.append(b"shift to 10\n", 0, lease)
    assert journal.append(b"shift to 10\n", 0, lease) == first
    assert journal.read()[0] == b"shift to 10\n"
    lease.release()


def test_a_journal_longer_than_one_blob_may_be_reads_as_one(box: Any) -> None:
    journal = BlobJournal(box, "churn", lease_seconds=15, max_blocks=4)
    lease, position = journal.acquire("anna"), 0
    lines = [b"line %d\n" % number for number in range(11)]
    for line in lines:
        position = journal.append(line, position, lease)
    assert journal.read() == (b"".join(lines), position)
    with pytest.raises(Busy, match="held by anna"):
        BlobJournal(box, "churn").acquire("bert")
    lease.release()
    assert len(list(box.list_blobs(name_starts_with="churn/"))) == 3
    successor = BlobJournal(box, "churn").acquire("bert")
    assert successor.fencing_number == 2
    assert journal.append(b"last\n", position, successor) == position + 5
    successor.release()


def test_a_crash_in_the_middle_of_a_rotation_loses_and_doubles_nothing(box: Any) -> None:
    journal = BlobJournal(box, "churn", lease_seconds=15, max_blocks=2)
    lease = journal.acquire("anna")
    position = journal.append(b"one\n", 0, lease)
    # Copied, then killed before the live blob was put again; another controller wrote on.
    box.upload_blob("churn/journal-00000000000000000000.jsonl", b"one\n")
    position = journal.append(b"two\n", position, lease)
    assert journal.read() == (b"one\ntwo\n", position)
    position = journal.append(b"three\n", position, lease)
    assert journal.read() == (b"one\ntwo\nthree\n", position)
    lease.release()


def test_of_many_controllers_at_once_exactly_one_gets_the_endpoint(box: Any) -> None:
    barrier = threading.Barrier(6)

    def attempt(number: int) -> Any:
        barrier.wait()
        try:
            return BlobJournal(box, "churn", lease_seconds=15).acquire(f"controller-{number}")
        except Busy:
            return None

    with ThreadPoolExecutor(6) as pool:
        leases = [lease for lease in pool.map(attempt, range(6)) if lease is not None]
    assert [lease.fencing_number for lease in leases] == [1]
    leases[0].release()


def test_a_lease_is_kept_through_a_deployment_that_takes_longer(sandbox_service: BlobService) -> None:
    box = sandbox_service.container()
    lease = BlobJournal(box, "churn", lease_seconds=15).acquire("anna")
    time.sleep(16.5)
    with pytest.raises(Busy, match="anna"):
        BlobJournal(box, "churn").acquire("bert")
    lease.renew()
    lease.release()


def test_a_missing_container_is_named(blob_service: BlobService) -> None:
    nowhere = BlobJournal(blob_service.client().get_container_client("no-such-container"), "churn")
    with pytest.raises(NotFound, match="no-such-container/churn"):
        nowhere.acquire("anna")
    with pytest.raises(NotFound, match="no-such-container/churn"):
        nowhere.read()
