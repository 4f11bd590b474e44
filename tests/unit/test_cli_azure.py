"""What the adapters decide without Azure: addresses from the environment, errors in plain words, requests and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from hypothesis import given
from hypothesis import strategies as st

from rollout.azure.cloud import Cloud, cloud_from_environment
from rollout.azure.errors import SANDBOX_WAY_OUT, azure_errors, waiting_while_busy
from rollout.azure.metrics import is_error
from rollout.azure.payloads import as_request, payload_from_file, rows_of
from rollout.azure.prober import what_is_wrong
from rollout.azure.specs import check_code, check_model_name, fingerprint
from rollout.controller.ports import DeploymentSpec
from rollout.errors import BadInput, Busy, LeaseLost, NotFound, RolloutError, Unavailable


class TestCloud:
    def test_an_empty_environment_is_azures_public_cloud(self) -> None:
        cloud = cloud_from_environment({})
        assert cloud == Cloud()
        assert cloud.ml_cloud() == {"cloud": "AzureCloud"}

    def test_the_sandboxs_addresses_become_a_cloud_of_their_own(self) -> None:
        one = cloud_from_environment({"ROLLOUT_AZURE_RESOURCE_MANAGER": "https://127.0.0.1:8443/"})
        other = cloud_from_environment({"ROLLOUT_AZURE_RESOURCE_MANAGER": "https://127.0.0.1:8444"})
        assert one.ml_cloud()["cloud_metadata"]["resource_manager"] == "https://127.0.0.1:8443"
        assert one.ml_cloud()["cloud"] != other.ml_cloud()["cloud"], "azure-ai-ml keeps clouds by name"

    def test_sovereign_clouds_are_known_by_their_resource_manager(self) -> None:
        cloud = cloud_from_environment({"ROLLOUT_AZURE_RESOURCE_MANAGER": "https://management.usgovcloudapi.net"})
        assert cloud.ml_cloud() == {"cloud": "AzureUSGovernment"}

    @pytest.mark.parametrize("value", ["http://x", "x.y", "https://", "https://h/?q=1", "https://{zone}.x"])
    def test_an_address_that_is_none_is_named_with_its_variable(self, value: str) -> None:
        with pytest.raises(BadInput, match="ROLLOUT_AZURE_METRICS=") as refused:
            cloud_from_environment({"ROLLOUT_AZURE_METRICS": value})
        assert "unset it" in refused.value.way_out

    def test_the_providers_names_serve_too_but_may_not_contradict(self) -> None:
        assert cloud_from_environment({"ARM_TENANT_ID": "t"}).tenant_id == "t"
        with pytest.raises(BadInput, match="AZURE_TENANT_ID and ARM_TENANT_ID"):
            cloud_from_environment({"AZURE_TENANT_ID": "t", "ARM_TENANT_ID": "u"})

    def test_a_secret_is_neither_shown_nor_used_without_its_name(self) -> None:
        cloud = cloud_from_environment({"AZURE_CLIENT_SECRET": "hush", "AZURE_TENANT_ID": "t"})
        assert "hush" not in repr(cloud)
        with pytest.raises(BadInput, match="AZURE_CLIENT_ID is not"):
            cloud.credential()
        with pytest.raises(BadInput) as refused:
            cloud_from_environment({"AZURE_CLIENT_SECRET": "hush", "ARM_CLIENT_SECRET": "hushhush"})
        assert "hush" not in refused.value.message


def answered(status: int) -> HttpResponseError:
    error = HttpResponseError(message=f"the service said {status}")
    error.status_code = status
    return error


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "kind", "said"),
        [
            (answered(404), NotFound, "the service said 404"),
            (answered(409), Busy, "the service said 409"),
            (answered(412), Busy, "the service said 412"),
            (answered(429), Unavailable, "429"),
            (answered(503), Unavailable, "503"),
            (answered(400), BadInput, "the service said 400"),
            (answered(200), RolloutError, "the service said 200"),
            (ServiceRequestError("HTTPSConnection(host='127.0.0.1'): Connection refused"), Unavailable, "not running"),
            (ServiceResponseError("cut off"), Unavailable, "no answer: cut off"),
            (ServiceRequestError("CERTIFICATE_VERIFY_FAILED"), Unavailable, "not trusted"),
            (ClientAuthenticationError("AADSTS7000215"), RolloutError, "no credential works"),
            (AzureError("instance_count: not a number"), BadInput, "instance_count"),
        ],
        ids=lambda value: getattr(value, "__name__", str(value))[:20],
    )
    def test_each_becomes_one_of_ours(self, error: Exception, kind: type[RolloutError], said: str) -> None:
        with pytest.raises(RolloutError) as raised, azure_errors("read endpoint 'churn'"):
            raise error
        assert type(raised.value) is kind
        assert raised.value.message.startswith("cannot read endpoint 'churn'")
        assert said in raised.value.message

    @pytest.mark.parametrize(
        ("doing", "role"),
        [
            ("append to the journal x", "Storage Blob Data Contributor"),
            ("read the metrics x", "Monitoring Reader"),
            ("send the event x", "EventGrid Data Sender"),
            ("deploy churn:7", "AzureML Data Scientist"),
        ],
    )
    def test_what_is_forbidden_names_the_role_that_allows_it(self, doing: str, role: str) -> None:
        with pytest.raises(RolloutError) as raised, azure_errors(doing):
            raise answered(403)
        assert role in raised.value.way_out

    def test_a_busy_endpoint_is_waited_for_and_never_called_a_lost_lease(self) -> None:
        calls = iter([Busy("Updating"), Unavailable("429"), None])

        def call() -> str:
            if (error := next(calls)) is not None:
                raise error
            return "done"

        assert waiting_while_busy(call, longest_wait=0.01) == "done"
        with pytest.raises(Unavailable, match=r"Updating \(asked 3 times\)"):
            waiting_while_busy(lambda: (_ for _ in ()).throw(Busy("Updating")), attempts=3, longest_wait=0.01)

    @pytest.mark.parametrize("error", [Unavailable("down", way_out=SANDBOX_WAY_OUT), LeaseLost("taken over")])
    def test_a_sandbox_that_is_down_or_a_lost_lease_is_not_waited_for(self, error: RolloutError) -> None:
        seen: list[int] = []

        def call() -> None:
            seen.append(1)
            raise error

        with pytest.raises(type(error)):
            waiting_while_busy(call, longest_wait=0.01)
        assert seen == [1]


class TestRequestsAndAnswers:
    @pytest.mark.parametrize(
        ("example", "data", "rows"),
        [
            ({"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}, {"columns": ["a"], "data": [[1], [2]]}, 2),
            ({"columns": ["a"], "data": [[1]]}, {"columns": ["a"], "data": [[1]]}, 1),
            ({"inputs": [1, 2, 3]}, [1, 2, 3], 3),
            ({"input_data": [[1]]}, [[1]], 1),
            ([[1], [2]], [[1], [2]], 2),
            ({"a": 1}, [{"a": 1}], 1),
        ],
    )
    def test_any_of_mlflows_examples_becomes_a_request(self, example: Any, data: Any, rows: int) -> None:
        request = as_request(example)
        assert request == {"input_data": data}
        assert rows_of(json.dumps(request).encode()) == rows

    @pytest.mark.parametrize(
        ("answer", "wrong"),
        [
            ("[0.1, 0.9]", ""),
            ('{"predictions": [0, 1]}', ""),
            (json.dumps("[0, 1]"), ""),
            ("[0.1]", "1 predictions for 2 rows"),
            ("[0.1, null]", "a prediction is null"),
            ("<html>", "not JSON"),
            ('"nothing"', "not JSON"),
            ("42", "no list of predictions"),
            ('{"error": "no such column"}', "an error in a 200: no such column"),
        ],
    )
    def test_an_answer_has_a_prediction_for_every_row(self, answer: str, wrong: str) -> None:
        said = what_is_wrong(answer, 2)
        assert said.startswith(wrong)
        assert bool(said) == bool(wrong)

    @given(st.lists(st.floats(allow_nan=False) | st.integers() | st.text(), min_size=1), st.integers(1, 20))
    def test_the_number_of_predictions_decides(self, predictions: list[Any], rows: int) -> None:
        assert (what_is_wrong(json.dumps(predictions), rows) == "") == (len(predictions) == rows)

    @pytest.mark.parametrize(
        ("status", "counts"),
        [("200", False), ("400", False), ("401", False), ("404", False), ("408", True), ("424", True), ("429", True),
         ("500", True), ("503", True), ("5xx", True), ("2xx", False), ("", False)],
    )  # fmt: skip
    def test_what_counts_against_a_deployment(self, status: str, counts: bool) -> None:
        assert is_error(status) is counts

    def test_a_payload_file_has_to_be_json(self, tmp_path: Path) -> None:
        (tmp_path / "bad.json").write_text("{")
        for name in ("bad.json", "missing.json"):
            with pytest.raises(BadInput, match="--payload"):
                payload_from_file(str(tmp_path / name))


class TestSpecs:
    SPEC = DeploymentSpec("green", "churn:7", "Standard_DS3_v2", 1, 1, 5000, None, {"team": "ml"})

    def test_the_fingerprint_changes_with_anything_and_only_then(self, tmp_path: Path) -> None:
        (tmp_path / "score.py").write_text("one")
        with_code = replace(self.SPEC, code_path=str(tmp_path))
        marks = {fingerprint(self.SPEC), fingerprint(with_code), fingerprint(replace(self.SPEC, instance_count=2))}
        (tmp_path / "__pycache__").mkdir()
        (tmp_path / "__pycache__" / "score.pyc").write_text("noise")
        assert fingerprint(with_code) in marks
        (tmp_path / "score.py").write_text("two")
        assert len(marks | {fingerprint(with_code)}) == 4

    @pytest.mark.parametrize("model", ["churn", "churn:", ":7", "churn:7:8", "churn:7/..", "a b:1", ""])
    def test_a_model_is_a_name_and_a_version(self, model: str) -> None:
        assert check_model_name("azureml:churn:7") == ("churn", "7")
        with pytest.raises(BadInput, match="NAME:VERSION"):
            check_model_name(model)

    def test_a_code_folder_needs_a_scorer_and_a_conda_file(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"no score\.py"):
            check_code(str(tmp_path))
        (tmp_path / "score.py").touch()
        with pytest.raises(BadInput, match="no conda file"):
            check_code(str(tmp_path))
        (tmp_path / "conda.yml").touch()
        assert check_code(str(tmp_path)) == (tmp_path / "score.py", tmp_path / "conda.yml")


def test_an_event_goes_out_with_the_journals_id() -> None:
    from rollout.azure.events import EventGridAnnouncer

    sent: list[Any] = []
    announcer = EventGridAnnouncer(lambda: SimpleNamespace(send=sent.append))  # type: ignore[arg-type,return-value]
    announcer.announce("Rollouts.Shifted", "endpoints/churn", {"id": "r-7", "weights": {"green": 10}})
    assert (sent[0].id, sent[0].event_type, sent[0].data["weights"]) == ("r-7", "Rollouts.Shifted", {"green": 10})
