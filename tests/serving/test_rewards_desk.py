"""What happens between a request and its judgement: deadlines, the queue, the breaker, sharing, draining."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from reward_judges import ByNumber, answer, client_of, served, until

from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.serving.rewards import Limits

QUICK = Limits(deadline=5.0, tries=1, outages=3, open_seconds=1.0)


async def ask(client: httpx.AsyncClient, *texts: str, **how: Any) -> httpx.Response:
    headers = how.pop("headers", None)
    body = {"cases": [answer(text) for text in texts], **how}
    return await client.post("/v1/rewards", json=body, headers=headers, timeout=30)


def scores(reply: httpx.Response) -> list[Any]:
    return [one["score"] for one in reply.json()["results"]]


def errors(reply: httpx.Response) -> list[str]:
    return [one["error"] for one in reply.json()["results"]]


async def number(client: httpx.AsyncClient, name: str) -> float:
    """A number of the metrics."""
    text = (await client.get("/metrics")).text
    return float(next(line for line in text.splitlines() if line.startswith(f"agentjudge_{name} ")).split()[-1])


async def joined(client: httpx.AsyncClient, requests: int) -> None:
    """Wait until so many requests wait for a judgement that another one had asked for."""
    async with asyncio.timeout(20):
        while await number(client, "coalesced_total") < requests:
            await asyncio.sleep(0.005)


# deadlines


@pytest.mark.parametrize("where", ["header", "field", "server"])
async def test_every_request_is_answered_by_its_deadline_whatever_the_judge_does(where: str) -> None:
    limits = Limits(deadline=0.5 if where == "server" else 60.0)
    how: dict[str, Any] = {"header": {"headers": {"X-Deadline-Seconds": "0.5"}}, "field": {"deadline": 0.5}}.get(
        where, {}
    )
    app = served(ByNumber(), limits=limits)
    async with client_of(app) as client:
        clock = asyncio.get_running_loop().time
        began = clock()
        replies = await asyncio.gather(*(ask(client, f"{n} #slow", **how) for n in range(20)))
        assert clock() - began < 20  # and not the hour that the judge would take
        for reply in replies:
            assert reply.status_code == 200 and scores(reply) == [None]
            (found,) = reply.json()["results"]
            assert found["error"].startswith("budget: no answer by the deadline")
            assert found["verdict"]["failure"]["kind"] == "budget" and found["verdict"]["failure"]["retriable"] is True
        assert await number(client, "deadlines_missed_total") == 20
        await until(lambda: app.desk.asker.running == 0)  # nobody waits, so nothing goes on
        assert await number(client, "judgements_running") == 0


async def test_what_is_there_by_the_deadline_is_answered_with_the_rest() -> None:
    async with client_of(served(ByNumber())) as client:
        reply = await ask(client, "a #0.4", "b #slow", "c #0.6", deadline=2.0)
    assert scores(reply) == [0.4, None, 0.6]


async def test_a_deadline_longer_than_the_servers_is_the_servers() -> None:
    async with client_of(served(ByNumber(), limits=Limits(deadline=0.3))) as client:
        assert scores(await ask(client, "a #slow", deadline=1_000)) == [None]
        assert scores(await ask(client, "b #slow", headers={"X-Deadline-Seconds": "1e9"})) == [None]


@pytest.mark.parametrize("header", ["soon", "0", "-1", "nan"])
async def test_a_deadline_that_is_none_is_refused(header: str) -> None:
    async with client_of(served()) as client:
        assert (await ask(client, "a", headers={"X-Deadline-Seconds": header})).status_code == 422


async def test_a_body_that_does_not_come_is_answered_too() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield b'{"cases": ['
        await asyncio.sleep(3_600)

    app = served(limits=Limits(deadline=0.2))
    sent: list[Any] = []
    pieces = trickle()

    async def receive() -> Any:
        return {"type": "http.request", "body": await anext(pieces), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/rewards", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert sent[0]["status"] == 408


# the queue


async def test_a_full_queue_is_refused_with_the_time_to_wait() -> None:
    say = ByNumber()
    say.gate = asyncio.Event()
    async with client_of(served(say, limits=Limits(concurrency=2, queue=4))) as client:
        first = [asyncio.create_task(ask(client, f"{n} #0.5")) for n in range(4)]
        await until(lambda: say.asked.total() == 2)
        refused = await ask(client, "one more #0.5")
        assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
        assert "the queue is full" in refused.json()["detail"]
        fifth = asyncio.create_task(ask(client, "3 #0.5"))  # what is in flight already needs no room
        await joined(client, 1)
        assert say.asked.total() == 2 and await number(client, "judgements_queued") == 2
        say.gate.set()
        assert [scores(reply) for reply in await asyncio.gather(*first, fifth)] == [[0.5]] * 5
        assert scores(await ask(client, "one more #0.5")) == [0.5]
        assert await number(client, "refused_total") == 1


async def test_no_more_judgements_at_once_than_allowed() -> None:
    say, most = ByNumber(seconds=0.01), 0

    async def watched(request: Any) -> str:
        nonlocal most
        most = max(most, app.desk.asker.running)
        return await say(request)

    app = served(watched, limits=Limits(concurrency=3))
    async with client_of(app) as client:
        replies = await asyncio.gather(*(ask(client, f"{n} #0.5", f"{n}+ #0.5") for n in range(20)))
    assert most == 3 and all(scores(reply) == [0.5, 0.5] for reply in replies)


# retries and the breaker


async def test_failures_that_may_pass_are_tried_again_and_others_are_not() -> None:
    failures = {"a": 1, "b": 5}
    say = ByNumber()

    async def sometimes(request: Any) -> str:
        name = request.case.response.split()[0]
        if failures.get(name, 0) > 0:
            failures[name] -= 1
            say.asked[request.case.response] += 1
            say.down = True
        try:
            return await say(request)
        finally:
            say.down = False

    async with client_of(served(sometimes, limits=Limits(tries=3, outages=100))) as client:
        found = await ask(client, "a #0.5", "b #0.5", "c #broken", "d #garbled")
        assert scores(found) == [0.5, None, None, None]
        assert await number(client, "judge_retries_total") == 1 + 2


async def test_the_breaker_opens_and_the_judge_is_left_alone_and_recovers() -> None:
    say = ByNumber()
    say.down = True
    async with client_of(served(say, limits=QUICK)) as client:
        for n in range(3):
            assert (await ask(client, f"{n} #0.5")).status_code == 200
        asked = say.asked.total()
        out = await ask(client, "x #0.5", "y #0.5")
        assert out.status_code == 503 and int(out.headers["Retry-After"]) >= 1
        assert all("the judge is out" in error for error in errors(out)) and say.asked.total() == asked
        assert await number(client, "breaker_state") == 2
        assert (await client.get("/health")).json()["breaker"] == "open"

        await asyncio.sleep(1.1)  # half-open: one may try, and it is still out
        replies = await asyncio.gather(*(ask(client, f"half {n} #0.5") for n in range(8)))
        assert say.asked.total() == asked + 1
        assert sorted(reply.status_code for reply in replies) == [200] + [503] * 7

        say.down = False
        await asyncio.sleep(1.1)
        assert scores(await ask(client, "back #0.9")) == [0.9]
        assert (await client.get("/health")).json()["breaker"] == "closed"
        assert await number(client, "breaker_state") == 0
        assert scores(await ask(client, "x #0.5", "y #0.5")) == [0.5, 0.5]


async def test_known_answers_are_given_while_the_judge_is_out() -> None:
    say = ByNumber()
    async with client_of(served(say, limits=QUICK)) as client:
        assert scores(await ask(client, "known #0.7")) == [0.7]
        say.down = True
        for n in range(3):
            await ask(client, f"{n} #0.5")
        mixed = await ask(client, "known #0.7", "new #0.5")
        assert mixed.status_code == 200 and scores(mixed) == [0.7, None]


async def test_a_judge_that_hangs_is_out() -> None:
    app = served(ByNumber(), limits=QUICK)
    app.desk.asker.usual = 0.01  # as after a while
    async with client_of(app) as client:
        for n in range(3):
            assert errors(await ask(client, f"{n} #slow", deadline=0.1))[0].startswith("budget")
            await until(lambda: app.desk.asker.running == 0)
        assert (await ask(client, "x #0.5")).status_code == 503


async def test_short_deadlines_of_some_do_not_shut_the_judge_for_others() -> None:
    app = served(ByNumber(seconds=0.3), limits=QUICK)
    app.desk.asker.usual = 60.0
    async with client_of(app) as client:
        for n in range(3):
            hasty = [ask(client, f"hasty {n} {k} #0.5", deadline=0.05) for k in range(10)]
            assert [scores(reply) for reply in await asyncio.gather(*hasty)] == [[None]] * 10
            await until(lambda: app.desk.asker.running == 0)
        assert (await client.get("/health")).json()["breaker"] == "closed"
        assert scores(await ask(client, "patient #0.5")) == [0.5]


# sharing


async def test_identical_requests_share_one_judgement() -> None:
    say = ByNumber()
    say.gate = asyncio.Event()
    async with client_of(served(say)) as client:
        asking = [asyncio.create_task(ask(client, "same #0.7")) for _ in range(20)]
        await joined(client, 19)
        say.gate.set()
        replies = await asyncio.gather(*asking)
        assert say.asked == {"same #0.7": 1} and [scores(reply) for reply in replies] == [[0.7]] * 20
        shared = [reply.json()["results"][0]["coalesced"] for reply in replies]
        assert shared.count(True) == 19 and await number(client, "coalesced_total") == 19
        again = (await ask(client, "same #0.7")).json()["results"][0]
        assert again["cached"] is True and again["coalesced"] is False and say.asked.total() == 1


async def test_ids_gold_and_metadata_make_no_other_question_but_everything_else_does() -> None:
    say = ByNumber()
    async with client_of(served(say)) as client:

        async def post(**more: Any) -> bool:
            reply = await client.post("/v1/rewards", json={"cases": [answer("a #0.7", **more)]})
            (found,) = reply.json()["results"]
            assert found["id"] == more.get("id", "0") == found["verdict"]["case_id"]
            return bool(found["cached"])

        assert [await post(), await post(id="x"), await post(gold={"score": 1}), await post(metadata={"a": 1})] == [
            False,
            True,
            True,
            True,
        ]
        assert not await post(prompt="Who?") and not await post(criteria=["right"]) and not await post(reference="a")
        assert not await post(documents=[{"id": "d", "text": "A text."}])


async def test_a_client_that_hangs_up_takes_nothing_from_the_others() -> None:
    say = ByNumber()
    say.gate = asyncio.Event()
    async with client_of(served(say)) as client:
        leaver = asyncio.create_task(ask(client, "same #0.7"))
        await until(lambda: say.asked.total() == 1)
        stayer = asyncio.create_task(ask(client, "same #0.7"))
        await joined(client, 1)
        leaver.cancel()
        await asyncio.sleep(0.05)
        say.gate.set()
        assert scores(await stayer) == [0.7] and say.asked.total() == 1


async def test_one_with_more_time_gets_the_answer_that_another_could_not_wait_for() -> None:
    say = ByNumber()
    say.gate = asyncio.Event()
    async with client_of(served(say)) as client:
        hasty = asyncio.create_task(ask(client, "same #0.7", deadline=2.0))
        await until(lambda: say.asked.total() == 1)
        patient = asyncio.create_task(ask(client, "same #0.7", deadline=20))
        await joined(client, 1)
        assert scores(await hasty) == [None]
        say.gate.set()
        assert scores(await patient) == [0.7] and say.asked.total() == 1


async def test_what_was_given_up_is_asked_anew() -> None:
    say = ByNumber()
    say.gate = asyncio.Event()
    async with client_of(served(say)) as client:
        assert scores(await ask(client, "same #0.7", deadline=0.1)) == [None]
        say.gate.set()
        assert scores(await ask(client, "same #0.7")) == [0.7] and say.asked.total() == 2


async def test_failures_are_shared_and_not_kept() -> None:
    say = ByNumber()
    say.down = True
    say.gate = asyncio.Event()
    async with client_of(served(say, limits=QUICK)) as client:
        asking = [asyncio.create_task(ask(client, "same #0.7")) for _ in range(5)]
        await joined(client, 4)
        say.gate.set()
        assert [scores(reply) for reply in await asyncio.gather(*asking)] == [[None]] * 5
        assert say.asked.total() == 1
        say.down = False
        assert scores(await ask(client, "same #0.7")) == [0.7]


async def test_the_same_case_twice_in_a_request_is_one_judgement() -> None:
    say = ByNumber()
    async with client_of(served(say)) as client:
        assert scores(await ask(client, "same #0.7", "same #0.7")) == [0.7, 0.7] and say.asked.total() == 1


async def test_an_error_of_the_server_itself_is_no_score_and_says_no_more_than_its_name() -> None:
    judge = Judge.load("compare", model=ScriptedModel(ByNumber()))

    async def broken(case: Any) -> Any:
        raise RuntimeError(f"the case was {case.response}")

    judge.arun = broken  # type: ignore[method-assign,assignment]
    async with client_of(served(judge=judge)) as client:
        reply = await ask(client, "a secret")
    assert scores(reply) == [None] and "RuntimeError" in errors(reply)[0] and "secret" not in errors(reply)[0]


# draining


async def test_a_drain_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    say = ByNumber()
    say.gate = asyncio.Event()
    app = served(say)
    async with client_of(app) as client:
        inside = asyncio.create_task(ask(client, "inside #0.7"))
        await until(lambda: say.asked.total() == 1)
        drain: asyncio.Task[None] = asyncio.create_task(app.desk.drain(20))
        await asyncio.sleep(0.02)
        refused = await ask(client, "late #0.7")
        assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
        health = await client.get("/health")
        assert health.status_code == 503 and health.json()["status"] == "draining"
        assert not drain.done()
        say.gate.set()
        assert scores(await inside) == [0.7]
        await asyncio.wait_for(drain, 20)
    assert say.asked.total() == 1


async def test_what_a_drain_cannot_finish_is_answered_without_a_score() -> None:
    app = served(ByNumber(), limits=Limits(concurrency=1))
    async with client_of(app) as client:
        inside = [asyncio.create_task(ask(client, f"{n} #slow")) for n in range(3)]
        await until(lambda: app.desk.in_flight == 3)
        await app.desk.drain(0.1)
        for reply in await asyncio.gather(*inside):
            assert reply.status_code == 503 and "shutting down" in errors(reply)[0]
        assert app.desk.in_flight == 0 and app.desk.asker.running == 0
