"""What a caller of a scoring URI meets: the split, pins, mirrors, refusals, and no lost request while weights move."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sandbox.gateway.http import MAX_BODY_BYTES, Request, Response
from sandbox.gateway.rights import KEPT_SECONDS
from sandbox.gateway.routing import token_audience
from sandbox.kernel.tokens import Principal, Tokens
from tests.sandbox.gateway_rig import Rig, deployment, endpoint, ok, run, slow, status

CALLER = Principal("oid", "app")


def test_requests_are_split_by_weight_and_answers_name_their_deployment(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue, green = await rig.backend("b-1", ok(b'"blue"')), await rig.backend("g-1", ok(b'"green"'))
        await rig.publish(
            endpoint(deployment("blue", blue), deployment("green", green), traffic={"blue": 90, "green": 10})
        )
        answers = [await rig.post(x_ms_client_request_id=f"c-{number}") for number in range(300)]
        counts = Counter(answer.deployment for answer in answers)
        assert abs(counts["green"] - 30) <= 2
        assert all(answer.text == f'"{answer.deployment}"' for answer in answers)
        assert len({answer.headers["x-request-id"] for answer in answers}) == 300
        assert answers[7].headers["x-ms-client-request-id"] == "c-7"
        records = await rig.shipped(300)
        assert Counter(record["deployment"] for record in records) == counts
        assert {record["status"] for record in records} == {200}
        assert {record["id"] for record in records} == {answer.headers["x-request-id"] for answer in answers}

    run(tmp_path, story)


def test_replicas_of_a_deployment_share_its_requests(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        first, second = await rig.backend("b-1"), await rig.backend("b-2")
        await rig.publish(endpoint(deployment("blue", first, second)))
        for _ in range(40):
            await rig.post()
        assert len(first.requests) == len(second.requests) == 20

    run(tmp_path, story)


def test_the_replica_sees_the_request_but_not_the_callers_key(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue = await rig.backend("b-1")
        await rig.publish(endpoint(deployment("blue", blue)))
        await rig.post(
            b'{"input_data": []}', "/WS/Churn/score?explain=1", content_type="application/json", x_note="hello"
        )
        [seen] = blue.requests
        assert (seen.method, seen.target, seen.body) == (b"POST", b"/score?explain=1", b'{"input_data": []}')
        assert seen.header(b"x-note") == b"hello"
        assert seen.header(b"authorization") is None

    run(tmp_path, story)


def test_the_header_pins_a_request_which_is_then_never_mirrored(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue, green = await rig.backend("b-1"), await rig.backend("g-1")
        route = endpoint(deployment("blue", blue), deployment("green", green), mirror={"green": 50})
        await rig.publish(route)
        pinned = [await rig.post(azureml_model_deployment="green") for _ in range(5)]
        assert {answer.deployment for answer in pinned} == {"green"}
        [await rig.post(azureml_model_deployment="blue") for _ in range(20)]
        await asyncio.sleep(0.1)
        assert len(green.requests) == 5
        missing = await rig.post(azureml_model_deployment="red")
        assert (missing.status, missing.deployment) == (404, "")

    run(tmp_path, story)


def test_a_mirror_that_hangs_costs_the_live_answer_nothing(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue, green = await rig.backend("b-1"), await rig.backend("g-1", slow(1.0))
        await rig.publish(endpoint(deployment("blue", blue), deployment("green", green), mirror={"green": 50}))
        answers = [await rig.post() for _ in range(20)]
        assert max(answer.seconds for answer in answers) < 0.5
        assert {answer.deployment for answer in answers} == {"blue"}
        await asyncio.sleep(1.2)  # the copies have been answered
        counts = Counter((record["deployment"], record["mirrored"]) for record in await rig.shipped(28))
        assert counts["blue", False] == 20
        assert counts["green", True] == len(green.requests)
        assert abs(counts["green", True] - 10) <= 2

    run(tmp_path, story)


def test_nobody_scores_without_a_key_and_both_keys_work(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1"))))
        assert [(await rig.post(authorization=value)).status for value in ("", "Basic x", "Bearer wrong")] == [401] * 3
        assert (await rig.post(authorization="Bearer the-second-key")).status == 200

    run(tmp_path, story)


@pytest.mark.parametrize("mode", ["AMLToken", "AADToken"])
def test_tokens_are_checked_for_audience_and_expiry(tmp_path: Path, mode: str) -> None:
    async def story(rig: Rig) -> None:
        tokens = Tokens(rig.home / "token-key.pem", rig.settings.tenant_id)
        audience = token_audience("ws", "churn") if mode == "AMLToken" else "https://ml.azure.com"
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1")), auth_mode=mode))
        rig.scorers.add(CALLER.object_id)

        async def try_token(audience: str, lifetime: int = 60) -> int:
            return (await rig.post(authorization=f"Bearer {tokens.issue(audience, CALLER, lifetime)}")).status

        assert await try_token(audience) == 200
        assert await try_token(audience, -60) == 401
        assert await try_token(token_audience("ws", "another")) == 401
        assert (await rig.post()).status == 401  # a key is no token

    run(tmp_path, story)


def test_an_entra_token_alone_opens_nothing(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        token = Tokens(rig.home / "token-key.pem", rig.settings.tenant_id).issue("https://ml.azure.com", CALLER)
        replica = await rig.backend("b-1")
        await rig.publish(endpoint(deployment("blue", replica), auth_mode="AADToken"))

        async def ask() -> Any:
            return await rig.post(authorization=f"Bearer {token}")

        refused = await ask()
        assert refused.status == 401
        assert "onlineEndpoints/score/action" in refused.text
        assert not replica.requests, "the model is not asked"
        rig.scorers.add(CALLER.object_id)
        await asyncio.sleep(KEPT_SECONDS + 0.1)
        assert (await ask()).status == 200
        rig.close_sink()
        await asyncio.sleep(KEPT_SECONDS + 0.1)
        assert (await ask()).status == 200, "while the control process is away, what it said last holds"
        rig.scorers.clear()
        await rig.open_sink()
        await asyncio.sleep(KEPT_SECONDS + 0.1)
        assert (await ask()).status == 401

    run(tmp_path, story)


def test_an_endpoint_without_traffic_answers_404_in_azures_words(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1")), traffic={}))
        answer = await rig.post()
        assert (answer.status, answer.text.startswith("No valid deployments to route to.")) == (404, True)
        assert (await rig.post(path="/ws/nowhere/score")).status == 404
        assert (await rig.post(path="/ws/churn/other")).status == 404

    run(tmp_path, story)


def test_a_scorers_error_is_a_424_that_tells_the_scorers_own_status(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1", status(500)))))
        answer = await rig.post()
        assert (answer.status, answer.text) == (424, '{"message": "broken"}')
        assert answer.headers["ms-azureml-model-error-statuscode"] == "500"
        assert answer.headers["ms-azureml-model-error-reason"] == "model_error"
        [record] = await rig.shipped(1)
        assert (record["status"], record["model_status"]) == (424, 500)

    run(tmp_path, story)


def test_a_request_over_its_time_out_is_a_408_on_time(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1", slow(3)), timeout_ms=200)))
        answer = await rig.post()
        assert (answer.status, answer.text) == (408, "upstream request timeout")
        assert 0.2 <= answer.seconds < 1.0

    run(tmp_path, story)


def test_twice_the_concurrent_requests_may_be_outstanding_the_next_is_a_429(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue = await rig.backend("b-1", slow(0.3))
        await rig.publish(endpoint(deployment("blue", blue, max_concurrent=2)))
        answers = await asyncio.gather(*(rig.post() for _ in range(7)))
        assert Counter(answer.status for answer in answers) == {200: 4, 429: 3}
        assert (await rig.post()).status == 200

    run(tmp_path, story)


def test_who_waits_longer_than_the_queue_allows_is_sent_away(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue = await rig.backend("b-1", slow(0.6))
        await rig.publish(endpoint(deployment("blue", blue, max_concurrent=1, queue_ms=100)))
        first, second = await asyncio.gather(rig.post(), rig.post())
        assert sorted((first.status, second.status)) == [200, 429]
        assert min(first.seconds, second.seconds) < 0.4

    run(tmp_path, story)


def test_a_dead_replica_is_passed_over_and_with_none_left_it_is_a_503(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        first, second = await rig.backend("b-1"), await rig.backend("b-2")
        await rig.publish(endpoint(deployment("blue", first, second)))
        first.die()
        assert {(await rig.post()).status for _ in range(10)} == {200}
        second.die()
        assert (await rig.post()).status == 503

    run(tmp_path, story)


def test_a_replica_that_dies_while_it_scores_is_not_asked_twice(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue = await rig.backend("b-1")

        async def die(_: Request) -> Response:
            blue.die()
            await asyncio.sleep(1)
            return Response(200, [])

        blue.behaviour = die
        other = await rig.backend("b-2", die)
        await rig.publish(endpoint(deployment("blue", blue)))
        answer = await rig.post()
        assert answer.status == 502
        assert (len(blue.requests), len(other.requests)) == (1, 0)

    run(tmp_path, story)


def test_a_payload_over_the_limit_is_refused_and_the_largest_passes(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blue = await rig.backend("b-1")
        await rig.publish(endpoint(deployment("blue", blue)))
        assert (await rig.post(b"x" * (MAX_BODY_BYTES + 1))).status == 413
        assert (await rig.post(b"x" * MAX_BODY_BYTES)).status == 200
        assert len(blue.requests[0].body) == MAX_BODY_BYTES

    run(tmp_path, story)


def test_weights_move_under_load_without_a_failed_request(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        blues = [await rig.backend(f"b-{n}", slow(0.005)) for n in range(2)]
        greens = [await rig.backend(f"g-{n}", slow(0.005)) for n in range(2)]
        both = deployment("blue", *blues), deployment("green", *greens)
        statuses: Counter[int] = Counter()
        moving = True

        async def client() -> None:
            while moving:
                statuses[(await rig.post()).status] += 1

        await rig.publish(endpoint(*both))
        clients = [asyncio.create_task(client()) for _ in range(8)]
        for green in (10, 50, 100, 50, 0) * 4:
            traffic = {name: weight for name, weight in (("blue", 100 - green), ("green", green)) if weight}
            await rig.publish(endpoint(*both, traffic=traffic))
            await asyncio.sleep(0.05)
        moving = False
        await asyncio.gather(*clients)
        assert set(statuses) == {200}
        assert statuses[200] > 100
        assert greens[0].requests
        assert blues[0].requests

    run(tmp_path, story)


def test_draining_a_replica_lets_its_requests_finish_and_gives_it_no_new_ones(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        old, new = await rig.backend("b-old", slow(0.5)), await rig.backend("b-new")
        await rig.publish(endpoint(deployment("blue", old)))
        in_flight = asyncio.create_task(rig.post())
        await asyncio.sleep(0.1)
        await rig.publish(endpoint(deployment("blue", old, new)))
        assert await rig.client.drain(("ws", "churn"), "blue", "b-old", 0.05) == 1  # not in this time
        assert {(await rig.post()).status for _ in range(10)} == {200}
        assert await rig.client.drain(("ws", "churn"), "blue", "b-old", 5) == 0
        assert in_flight.done()
        assert (await in_flight).status == 200
        assert (len(old.requests), len(new.requests)) == (1, 10)

    run(tmp_path, story)


def test_a_gateway_that_starts_again_knows_its_routes_before_anybody_tells_it(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1"))))
        await rig.stop_gateway()
        await rig.start_gateway()
        assert (await rig.post()).status == 200
        assert (await rig.client.status())["version"] == 1

    run(tmp_path, story)


def test_records_are_kept_while_nobody_takes_them(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1"))))
        rig.close_sink()
        assert [(await rig.post()).status for _ in range(5)] == [200] * 5
        await asyncio.sleep(0.7)
        assert rig.records == []
        await rig.open_sink()
        assert len(await rig.shipped(5)) == 5
        assert (await rig.client.status())["access"] == {"queued": 0, "shipped": 5, "lost": 0}

    run(tmp_path, story)


def test_the_admin_port_wants_the_internal_token(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        url = rig.settings.url("gateway_admin")
        for headers in ({}, {"authorization": "Bearer x"}):
            async with rig.session.get(f"{url}/status", headers=headers) as response:
                assert response.status == 401

    run(tmp_path, story)


def test_azures_host_name_reaches_the_endpoint_too(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await rig.publish(endpoint(deployment("blue", await rig.backend("b-1"))))
        host = "churn.eastus.inference.ml.azure.com"
        assert (await rig.post(path="/score", host=host)).status == 200
        assert (await rig.post(path="/score", host="other.eastus.inference.ml.azure.com")).status == 404

    run(tmp_path, story)
