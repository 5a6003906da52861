"""Answers by the content of the question: asked once, whoever wants to know; failures are kept for nobody."""

import asyncio
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.case import ActionChoice, Gold, Step
from agentjudge.errors import ConfigError, StoreError
from agentjudge.runs.answers import AnswerCache, Question
from agentjudge.runs.ordering import reordered
from agentjudge.verdict import Failure, Provenance, Verdict

CASE = ActionChoice(
    id="s", goal="Buy", observation="[1] link 'a'", url="http://x", candidates=("a", "b", "c"), thoughts=("1", "2", "3")
)
SETTINGS = {"model": "m", "seed": None}


def verdict(preference=1):
    return Verdict(case_id="s", status="scored", preference=preference, provenance=Provenance(judge="j"))


def failed():
    failure = Failure(kind="model", message="down")
    return Verdict(case_id="s", status="failed", failure=failure, provenance=Provenance(judge="j"))


def asking(said, seconds=0.0):
    """What asks, and how often it was asked."""
    count = Counter()

    async def ask():
        count["asked"] += 1
        await asyncio.sleep(seconds)
        answer = said(count["asked"]) if callable(said) else said
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask, count


def pair(low, high, *, id="s~0v1", case=CASE):
    return reordered(case, (low, high), id=id)


def test_a_key_is_of_content_and_order_and_of_what_is_to_be_asked_again():
    question = Question.of(CASE, SETTINGS)
    key = question.key(pair(0, 1))
    assert key == question.key(pair(0, 1, id="s~4v7")) == question.key(pair(0, 1, id="s~1v0~swap"))
    same = CASE.model_copy(update={"id": "t", "gold": Gold(preference=1), "metadata": {"site": "x"}})
    assert key == Question.of(same, dict(reversed(SETTINGS.items()))).key(pair(0, 1, id="t~2v3", case=same))
    others = [
        question.key(pair(1, 0)),
        question.key(pair(0, 2)),
        question.key(pair(0, 1, id="s~0v1~r2")),
        question.key(pair(0, 1, id="s~0v1~r3")),
        question.key(pair(0, 1, id="s~0v1~tiebreak")),
        question.key(pair(0, 1, id="s~0v1~tiebreak~swap~r2")),
        question.key(pair(0, 1).model_copy(update={"thoughts": ("1", "9")})),
        Question.of(CASE, SETTINGS | {"seed": 1}).key(pair(0, 1)),
    ]
    for change in (
        {"goal": "Sell"},
        {"observation": "[1] link 'b'"},
        {"url": None},
        {"history": (Step(action="noop()"),)},
        {"checklist": ("Pay",)},
    ):
        others.append(Question.of(CASE.model_copy(update=change), SETTINGS).key(pair(0, 1)))
    assert len({key, *others}) == len(others) + 1


def test_pictures_count_by_their_bytes(tmp_path: Path):
    def key(page, past, *, name="1", at=0):
        for kind, data in (("page", page), ("past", past)):
            (tmp_path / f"{kind}{name}.png").write_bytes(data)
        steps = [Step(), Step()]
        steps[at] = Step(screenshot=str(tmp_path / f"past{name}.png"))
        shown = {"images": (str(tmp_path / f"page{name}.png"),), "history": tuple(steps)}
        return Question.of(CASE.model_copy(update=shown), SETTINGS).digest

    assert key(b"a", b"b") == key(b"a", b"b", name="2")
    assert len({key(b"a", b"b"), key(b"c", b"b"), key(b"a", b"d"), key(b"a", b"b", at=1)}) == 4
    assert Question.of(CASE.model_copy(update={"images": ("absent.png",)}), SETTINGS).digest


async def test_an_answer_is_kept_and_a_failure_is_not():
    cache = AnswerCache()
    ask, count = asking(lambda n: failed() if n == 1 else verdict())
    assert (await cache.answer("k", ask))[0].status == "failed" and len(cache) == 0
    assert await cache.answer("k", ask) == (verdict(), False)
    assert await cache.answer("k", ask) == (verdict(), True) and count["asked"] == 2 and len(cache) == 1
    shy = Verdict(case_id="s", status="abstained", provenance=Provenance(judge="j"))
    assert await cache.answer("shy", asking(shy)[0]) == (shy, False)
    assert await cache.answer("shy", ask) == (shy, True)


async def test_the_same_question_is_asked_once_at_a_time():
    cache = AnswerCache()
    ask, count = asking(verdict(), 0.05)
    found = await asyncio.gather(*(cache.answer("k", ask) for _ in range(20)), cache.answer("other", ask))
    assert count["asked"] == 2 and sorted(known for _, known in found) == [False] * 2 + [True] * 19
    ask, count = asking(failed(), 0.05)
    found = await asyncio.gather(*(cache.answer("f", ask) for _ in range(20)))
    assert count["asked"] == 1 and all(each.status == "failed" for each, _ in found)


@pytest.mark.parametrize("end", ["error", "cancel", "timeout"])
async def test_a_question_that_is_given_up_is_asked_by_one_of_those_who_wait(end):
    cache = AnswerCache()
    fails, slow = asking(ValueError("mine alone"), 0.02)[0], asking(verdict(), 9)[0]
    first = asyncio.create_task(
        cache.answer("k", fails)
        if end == "error"
        else asyncio.wait_for(cache.answer("k", slow), 0.05 if end[0] == "t" else 9)
    )
    await asyncio.sleep(0.01)
    ask, count = asking(verdict(), 0.01)
    waiting = [asyncio.create_task(cache.answer("k", ask)) for _ in range(5)]
    await asyncio.sleep(0)
    if end == "cancel":
        first.cancel()
    assert [each for each, _ in await asyncio.gather(*waiting)] == [verdict()] * 5 and count["asked"] == 1
    with pytest.raises({"error": ValueError, "cancel": asyncio.CancelledError, "timeout": TimeoutError}[end]):
        await first


async def test_who_gives_up_waiting_disturbs_nobody():
    cache = AnswerCache()
    ask, count = asking(verdict(), 0.05)
    first, other = (asyncio.create_task(cache.answer("k", ask)) for _ in range(2))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cache.answer("k", ask), 0.01)
    assert {known for _, known in await asyncio.gather(first, other)} == {False, True} and count["asked"] == 1


def test_threads_with_loops_of_their_own_share_a_question():
    cache, count, lock = AnswerCache(), Counter(), threading.Lock()
    found = []

    async def ask():
        with lock:
            count["asked"] += 1
        await asyncio.sleep(0.05)
        return verdict()

    async def some():
        return await asyncio.gather(*(cache.answer(str(n % 4), ask) for n in range(40)))

    threads = [threading.Thread(target=lambda: found.extend(asyncio.run(some()))) for _ in range(8)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 320 and count["asked"] == 4 == sum(not known for _, known in found)
    assert time.perf_counter() - began < 20


def test_a_loop_that_ended_while_it_waited_is_no_harm(caplog):
    cache = AnswerCache()
    started = threading.Event()

    async def ask():
        started.set()
        await asyncio.sleep(0.3)
        return verdict()

    leader = threading.Thread(target=lambda: asyncio.run(cache.answer("k", ask)))
    leader.start()
    started.wait(5)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(cache.answer("k", ask), 0.02))
    leader.join(30)
    assert len(cache) == 1 and not caplog.records


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 5))
def test_the_least_recently_used_are_forgotten(keys, entries):
    cache, kept = AnswerCache(entries=entries), []
    for key in keys:
        _, known = asyncio.run(cache.answer(str(key), asking(verdict())[0]))
        assert known == (key in kept)
        kept = [*(other for other in kept if other != key), key][-entries:]
        assert len(cache) == len(kept)


async def test_answers_outlive_the_process_in_a_file(tmp_path: Path):
    ask, count = asking(verdict(-2))
    for _ in range(2):
        with AnswerCache(file=tmp_path / "deep" / "answers.sqlite") as cache:
            assert (await cache.answer("k", ask))[0] == verdict(-2)
            assert (await cache.answer("f", asking(failed())[0]))[1] is False
    assert count["asked"] == 1


async def test_a_file_is_shared_and_bounded(tmp_path: Path):
    file = tmp_path / "answers.sqlite"
    with AnswerCache(file=file, rows=20, entries=1) as one, AnswerCache(file=file, rows=20) as two:
        for n in range(50):
            await one.answer(str(n), asking(verdict())[0])
            await one.answer("0", asking(verdict())[0])  # used all the time
        assert (await two.answer("49", asking(verdict(3))[0]))[0] == verdict()
        assert (await two.answer("0", asking(verdict(3))[0]))[0] == verdict()
        assert (await two.answer("7", asking(verdict(3))[0]))[0] == verdict(3)
    with sqlite3.connect(file) as base:
        assert 20 <= base.execute("SELECT COUNT(*) FROM answers").fetchone()[0] <= 22
    base.close()


def test_what_cannot_be_a_cache_is_refused(tmp_path: Path):
    (tmp_path / "note.txt").write_text("not a database, but long enough to be looked at " * 40)
    for path in (tmp_path / "note.txt", tmp_path, tmp_path / "note.txt" / "under"):
        with pytest.raises(StoreError, match="cannot keep answers"):
            AnswerCache(file=path)
    with pytest.raises(ConfigError, match="at least one answer"):
        AnswerCache(entries=0)


async def test_a_file_that_breaks_is_told(tmp_path: Path):
    with AnswerCache(file=tmp_path / "a.sqlite") as cache:
        with sqlite3.connect(tmp_path / "a.sqlite") as base:
            base.execute("DROP TABLE answers")
        base.close()
        with pytest.raises(StoreError, match="no such table"):
            await cache.answer("k", asking(verdict())[0])
