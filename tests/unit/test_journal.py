"""The journal: what it proves, what it tolerates, and that replay is a pure fold of it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.controller.codec import redact
from rollout.controller.fold import fold, replay
from rollout.controller.journal import Journal, Writer
from rollout.controller.records import Kind, Record, canonical, parse, verify
from rollout.errors import AuditBroken, Busy
from rollout.reports.audit import audit_rows, audit_summary, count_effects
from rollout.reports.history import history_rows
from tests.unit.world import BLUE, GREEN, Behaviour, FakeWorld, order


def _story() -> FakeWorld:
    world = FakeWorld()
    world.controller().start(order(name=GREEN))
    world.controller().tick()
    world.behaviours[GREEN] = Behaviour(error_rate=0.3)
    world.drive()
    return world


STORY = _story()
JOURNAL = STORY.store.data
LINES = JOURNAL.splitlines(keepends=True)


def test_an_untouched_journal_verifies() -> None:
    report = verify(JOURNAL)
    assert report.ok
    assert report.lines == len(LINES) > 12
    assert report.head == json.loads(LINES[-1])["hash"]
    assert audit_summary(report) == f"{len(LINES)} lines verify, head {report.head[:12]}"


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_is_found_at_its_line(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(LINES) - 2))
    line = bytearray(LINES[index])
    at = data.draw(st.integers(0, len(line) - 2))
    line[at] ^= data.draw(st.sampled_from([1, 2, 4, 8]))
    if line[at] == ord("\n"):
        line[at] = ord("?")
    report = verify(b"".join([*LINES[:index], bytes(line), *LINES[index + 1 :]]))
    assert not report.ok
    assert report.broken_at == index + 1


def _resealed(index: int, **changes: object) -> bytes:
    """A forger who also corrects the line's own hash."""
    document = json.loads(LINES[index]) | changes
    record = Record(**{**document, "kind": Kind(document["kind"]), "hash": ""})
    return record.sealed().to_line()


@pytest.mark.parametrize("index", range(len(LINES) - 1))
def test_a_changed_removed_or_moved_line_is_named_by_its_sequence(index: int) -> None:
    forged = b"".join([*LINES[:index], _resealed(index, actor="mallory"), *LINES[index + 1 :]])
    removed = b"".join([*LINES[:index], *LINES[index + 1 :]])
    swapped = b"".join([*LINES[:index], LINES[index + 1], LINES[index], *LINES[index + 2 :]])
    doubled = b"".join([*LINES[: index + 1], LINES[index], *LINES[index + 1 :]])
    assert (verify(forged).ok, verify(forged).broken_at) == (False, index + 2), "the next line does not follow"
    for tampered, expected in ((removed, index + 1), (swapped, index + 1), (doubled, index + 2)):
        report = verify(tampered)
        assert (report.ok, report.broken_at) == (False, expected)
        with pytest.raises(AuditBroken, match=f"at sequence {expected}"):
            replay(tampered)


def test_lines_cut_off_at_the_end_show_against_a_head_kept_elsewhere() -> None:
    head = str(STORY.announcer.told[-1][1]["head"])
    assert verify(JOURNAL, head).ok
    cut = b"".join(LINES[:-4])
    assert verify(cut).ok, "the chain alone can't know"
    report = verify(cut, head)
    assert (report.ok, report.broken_at) == (False, len(LINES) - 3)


@pytest.mark.parametrize("kept", [1, 40, 200])
def test_a_torn_last_line_is_tolerated_and_closed_by_the_next_writer(kept: int) -> None:
    world = FakeWorld()
    world.store.data = b"".join(LINES[:-1]) + LINES[-1][:kept]
    world.store.fencing = 50
    torn = verify(world.store.data)
    assert torn.ok
    assert torn.torn_tail
    journal = _open(world)
    journal.append(Kind.NOTE, {"text": "after the crash"})
    report = verify(world.store.data)
    assert report.ok
    assert not report.torn_tail
    assert report.repaired == (len(LINES),)
    assert [record.kind for record in parse(world.store.data).records[-2:]] == [Kind.REPAIRED, Kind.NOTE]
    assert f"torn lines repaired before {len(LINES)}" in audit_summary(report)


def test_remains_that_nobody_accounts_for_are_tampering() -> None:
    report = verify(b"".join([*LINES[:3], b'{"sequence":4,"ti\n', *LINES[3:]]))
    assert (report.ok, report.broken_at) == (False, 4)


def test_a_whole_line_without_its_newline_counts() -> None:
    world = FakeWorld()
    world.store.data, world.store.fencing = JOURNAL.rstrip(b"\n"), 50
    journal = _open(world)
    assert journal.state.sequence == len(LINES)
    journal.append(Kind.NOTE, {})
    assert verify(world.store.data).lines == len(LINES) + 1


def test_lines_under_an_older_fencing_number_change_nothing() -> None:
    state = replay(JOURNAL)
    last = parse(JOURNAL).records[-1]
    stale = Record(
        sequence=last.sequence + 1,
        time=last.time,
        real_time=last.real_time,
        rollout=last.rollout,
        endpoint="churn",
        actor="a ghost",
        fencing=1,
        kind=Kind.DECISION,
        evidence={"action": "finish", "phase": "Promoted", "reason": "I was asleep"},
        policy="",
        weights_before={},
        weights_after={GREEN: 100},
        previous=last.hash,
    ).sealed()
    after = replay(JOURNAL + stale.to_line())
    assert after.rollout == state.rollout
    assert after.stale == verify(JOURNAL + stale.to_line()).stale == (stale.sequence,)


def test_a_controller_with_an_old_number_cannot_open_the_journal() -> None:
    world = FakeWorld()
    world.store.data = JOURNAL
    with pytest.raises(Busy, match="fencing number 1 is older than"):
        _open(world)


def test_two_writers_at_one_position_are_kept_apart() -> None:
    world = FakeWorld()
    lease = world.store.acquire("ann")
    writer = Writer("churn", "ann", lambda: world.time, lambda: world.real)
    one, other = Journal(world.store, lease, writer), Journal(world.store, lease, writer)
    one.append(Kind.NOTE, {"text": "first"})
    with pytest.raises(Busy):
        other.append(Kind.NOTE, {"text": "second"})


@given(st.integers(0, len(LINES)), st.integers(0, len(LINES)))
def test_replay_is_a_fold_prefix_by_prefix(one: int, other: int) -> None:
    """Folding a prefix and then the rest is folding it all: resuming sees what the dead one saw."""
    records = parse(JOURNAL).records
    assert replay(b"".join(LINES[:one])) == fold(records[:one])
    assert (fold(records[:one]) == fold(records[:other])) == (one == other)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**9), 10**9)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_canonical_json_survives_a_round_trip(value: object) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"p95": math.nan})


@pytest.mark.parametrize(
    "text",
    [
        "GET https://x.blob/y?sv=1&sig=abc%2Fdef123&se=2",
        "Authorization: Bearer abcdefghijklmnop.qrstuv",
        'listKeys said {"primaryKey": "abc123secretsecret"}',
        "AccountKey=abc123secretsecret;EndpointSuffix=x",
        "token eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhcm0ifQ.c2VjcmV0",
    ],
)
def test_no_secret_gets_in(text: str) -> None:
    clean = redact({"failure": ["deploy failed: " + text]})["failure"][0]
    assert "***" in clean
    for secret in ("abc%2F", "abcdefghijklmnop", "abc123secret", "c2VjcmV0"):
        assert secret not in clean
    assert clean.startswith("deploy failed: ")


def test_long_logs_keep_their_end() -> None:
    clean = redact("x" * 9000 + " the cause")
    assert len(clean) < 4100
    assert clean.endswith(" the cause")


def test_the_audit_trail_tells_the_story_in_words() -> None:
    records = STORY.controller().records()
    rows = audit_rows(records)
    assert rows[0].what == f"churn:2 as {GREEN} beside {BLUE}: 10/50/100"
    moves = [row.traffic for row in rows if row.traffic]
    assert moves == [f"{BLUE} 100 -> {BLUE} 90, {GREEN} 10", f"{BLUE} 90, {GREEN} 10 -> {BLUE} 100"]
    assert any("errors against blue fail" in row.what for row in rows if row.kind == "verdict")
    assert len(audit_rows(records, everything=True)) == len(LINES)
    assert audit_rows(records, rollout="another") == []
    assert {row.policy for row in rows} == {records[0].policy}
    count = count_effects(records)
    assert (count.intents, count.done, count.repeated, count.open, count.resumed) == (4, 4, 0, 0, 0)


def test_history_shows_how_far_each_rollout_came() -> None:
    (row,) = history_rows(STORY.controller().history(), STORY.time)
    assert (row.model, row.outcome, row.highest_weight, row.traffic) == ("churn:2", "RolledBack", 10, f"{BLUE} 100")
    assert row.minutes == 2.0


def _open(world: FakeWorld) -> Journal:
    lease = world.store.acquire("bob")
    return Journal(world.store, lease, Writer("churn", "bob", lambda: world.time, lambda: world.real))
