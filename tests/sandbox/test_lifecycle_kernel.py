"""What all services stand on: documents that survive, tokens that expire, faults that strike as often as ordered."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rollout.errors import BadInput
from sandbox.kernel.errors import AzureError
from sandbox.kernel.faults import Fault, Faults
from sandbox.kernel.files import write_private
from sandbox.kernel.settings import load_settings, new_settings, settings_file
from sandbox.kernel.store import Store
from sandbox.kernel.tokens import Principal, Tokens

KEYS = st.text(alphabet="ab/é%_", min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernel")


@given(
    documents=st.dictionaries(KEYS, st.dictionaries(st.text(max_size=2), st.integers(), max_size=2), max_size=6),
    prefix=KEYS,
)
def test_documents_are_kept_in_order_and_found_by_prefix(folder: Path, documents: dict, prefix: str) -> None:
    store = Store(folder / "state.db")
    collection = store.collection("things")
    collection.clear()
    store.collection("others").put("a", {"not": "mine"})
    for key, document in documents.items():
        collection.put(key, document)
    store.close()
    again = Store(folder / "state.db").collection("things")
    assert dict(again.items()) == documents
    assert [key for key, _ in again.items()] == sorted(documents)
    assert {key for key, _ in again.items(prefix)} == {key for key in documents if key.startswith(prefix)}


def test_documents_may_be_written_from_many_threads(tmp_path: Path) -> None:
    collection = Store(tmp_path / "state.db").collection("things")

    def write(worker: int) -> None:
        for number in range(50):
            collection.put(f"{worker}/{number}", {"n": number})

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(collection.items())) == 200


def test_a_fault_strikes_on_about_its_share_of_the_calls(tmp_path: Path) -> None:
    faults = Faults(Store(tmp_path / "state.db"))
    faults.add(Fault(kind="scorer-errors", target="churn/green", share=0.3))
    struck = sum(faults.strike("scorer-errors", "churn/green") is not None for _ in range(1000))
    # Five standard deviations: wrong about once in two million runs.
    assert 228 <= struck <= 372
    assert faults.strike("scorer-errors", "churn/blue") is None


@given(times=st.integers(min_value=1, max_value=6), calls=st.integers(min_value=0, max_value=12))
def test_a_counted_fault_strikes_exactly_that_often(folder: Path, times: int, calls: int) -> None:
    faults = Faults(Store(folder / "faults.db"))
    faults.reset()
    faults.add(Fault(kind="drop", times=times))
    assert sum(faults.strike("drop", "arm:GET /x") is not None for _ in range(calls)) == min(times, calls)
    assert len(faults.list()) == (1 if calls < times else 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 404},
        {"share": 0},
        {"share": 1.5},
        {"times": 0},
        {"kind": "flood"},
        {"colour": "red"},
        {"seconds": -1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        Fault(**({"kind": "http"} | wrong))


def test_faults_survive_a_restart(tmp_path: Path) -> None:
    kept = Faults(Store(tmp_path / "state.db")).add(Fault(kind="delay", seconds=2))
    assert Faults(Store(tmp_path / "state.db")).list() == [kept]


def test_tokens_are_good_for_their_audience_their_time_and_their_sandbox(tmp_path: Path) -> None:
    tokens, other = Tokens(tmp_path / "a.pem", "tenant"), Tokens(tmp_path / "b.pem", "tenant")
    caller = Principal("object", "client")
    good = tokens.issue("https://a.example/", caller)
    assert tokens.check(good, ["https://a.example"]) == caller
    assert Tokens(tmp_path / "a.pem", "tenant").check(good, ["https://a.example"]) == caller
    refusals = {
        "InvalidAuthenticationTokenAudience": (tokens, good, "https://b.example"),
        "ExpiredAuthenticationToken": (
            tokens,
            tokens.issue("https://a.example", caller, lifetime=-1),
            "https://a.example",
        ),
        "InvalidAuthenticationToken": (other, good, "https://a.example"),
    }
    for code, (checker, token, audience) in refusals.items():
        with pytest.raises(AzureError) as refused:
            checker.check(token, [audience])
        assert (refused.value.status, refused.value.code) == (401, code)


def test_a_private_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"first")
    with pytest.raises(TypeError):
        write_private(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_settings_that_are_not_valid_are_told_without_their_secrets(tmp_path: Path) -> None:
    made = new_settings(now=0.0).model_dump(mode="json")
    secret = made["client_secret"]
    del made["tenant_id"]
    settings_file(tmp_path).write_text(json.dumps({"client_secret": made.pop("client_secret"), **made}))
    with pytest.raises(BadInput, match="tenant_id: Field required") as refused:
        load_settings(tmp_path)
    assert secret[:8] not in str(refused.value)
