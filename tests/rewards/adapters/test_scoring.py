"""Judges, rewards and reward servers as scorers of samples."""

import asyncio
import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar

import pytest
from reward_servers import reward_server

from agentjudge.case import Case, Claim, Gold, Response
from agentjudge.demo import CORPUS
from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.adapters.remote import RemoteScorer
from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import JudgeScorer, RewardScorer, as_scorer, engine, metrics
from agentjudge.rewards.adapters.trl import make_reward_func
from agentjudge.rewards.base import Alone, RewardResult, of_parts, unknown
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.reading import Reads
from agentjudge.rewards.schedules import Decay
from agentjudge.rewards.verdict_value import verdict_value
from agentjudge.rewards.veri_r1 import veri_r1
from agentjudge.trace import Trace


def by_length(request: Request) -> str:
    """Scores by length; is away for what says so, abstains from nothing."""
    case = request.case
    assert isinstance(case, Response)
    if "away" in case.response:
        raise ModelError("the server is away", retriable=True)
    score = min(1.0, len(case.response) / 100)
    criteria = [{"name": "length", "reason": "So long.", "score": score}]
    return json.dumps({"criteria": criteria, "reason": "So long.", "evidence": [], "score": score})


@pytest.fixture
def judge() -> Iterator[Judge]:
    with Judge.load("compare", model=ScriptedModel(by_length), seed=0) as loaded:
        yield loaded


@pytest.fixture
def serve_rewards() -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(reward_server(*args, **options))


SAMPLES = [Sample("Say something.", text) for text in ("x" * 30, "away", " ", "x" * 70)]


def shown(results: Sequence[RewardResult]) -> list[float | None]:
    return [result.score for result in results]


async def test_a_judge_says_what_a_completion_is_worth(judge: Judge) -> None:
    results = await JudgeScorer(judge).score_samples(SAMPLES)
    assert shown(results) == [0.3, None, 0.0, 0.7]
    assert results[1].error == "model: the server is away"
    assert {name for result in results for name in result.components} == {"verdict"}


async def test_a_reward_server_says_the_same(judge: Judge, serve_rewards: Callable[..., str]) -> None:
    there = await RemoteScorer(serve_rewards(judge)).score_samples(SAMPLES)
    here = await JudgeScorer(judge).score_samples(SAMPLES)
    assert shown(there) == shown(here) and there[1].error == here[1].error
    named = await RemoteScorer(serve_rewards(judge), reward="tool_tried").score_samples(SAMPLES, step=3)
    assert named[0].components == {"tool tried": 0.0} and named[1].score is None


async def test_a_reward_over_the_judges_trace(judge: Judge) -> None:
    doubled = Composite((Part("twice", verdict_term(), weight=2.0, schedule=Decay(10)),))
    at_0, at_9 = [(await JudgeScorer(judge, reward=doubled).score_samples(SAMPLES[:1], step=s))[0] for s in (0, 9)]
    assert at_0.score == pytest.approx(0.6) and at_9.score is not None and at_9.score < 0.6
    blank = (await JudgeScorer(judge, reward=doubled, empty=-1.0).score_samples([Sample("?", "")]))[0]
    assert blank.components == {"twice": -1.0}


def verdict_term() -> Any:
    return Reads(lambda trace, case: verdict_value().score(trace, case).score or 0.0)


async def test_a_judge_that_hangs_is_an_outage() -> None:
    async def hang(_: Request) -> str:
        await asyncio.sleep(30)
        return ""

    with Judge.load("compare", model=ScriptedModel(hang)) as slow:
        (result,) = await JudgeScorer(slow, seconds=0.05).score_samples(SAMPLES[:1])
    assert result.score is None and result.error == "budget: no verdict within 0.05 s"


async def test_so_many_at_once() -> None:
    now, most = 0, 0

    async def count(request: Request) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return by_length(request)

    with Judge.load("compare", model=ScriptedModel(count)) as judge:
        await JudgeScorer(judge, concurrency=3).score_samples([Sample("?", f"{n}") for n in range(12)])
    assert most == 3


async def test_completions_that_are_judgements_are_paid_by_gold() -> None:
    right = Claim(id="r", claim="Linus Torvalds was born in Helsinki.", gold=Gold(label="NOT ENOUGH INFO"))
    said = {"reason": "So.", "evidence": [], "label": "NOT ENOUGH INFO", "confidence": 0.5}
    wrong = right.model_copy(update={"id": "w", "gold": Gold(label="REFUTE")})
    with Judge.load("veri-r1", model=ScriptedModel([]), corpus=CORPUS) as judge:
        rows = [Sample("", json.dumps(said), {"case": case.model_dump_json()}) for case in (right, wrong)]
        results = await RewardScorer(veri_r1(), judge).score_samples([*rows, Sample("", "?", rows[0].columns)])
    assert [result.components for result in results] == [
        {"label": 2.0, "evidence": 0.0, "format": 1.0},
        {"label": 0.0, "evidence": 0.0, "format": 1.0},
        {"label": 0.0, "evidence": 0.0, "format": 0.0},
    ]


class Beside(Alone):
    """How many judgements there are of the case; the first of them is masked."""

    keys: ClassVar = ("beside",)
    low: ClassVar = 0.0
    high: ClassVar = 9.0

    def score(self, trace: Trace, case: Case) -> RewardResult:
        return self.score_group([trace], case)[0]

    def score_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        return [unknown("the first"), *(of_parts({"beside": float(len(traces))}) for _ in traces[1:])]


async def test_completions_of_one_case_are_a_group() -> None:
    cases = [Claim(id=name, claim="So.", gold=Gold(label="SUPPORT")) for name in "abab"]
    with Judge.load("veri-r1", model=ScriptedModel([]), corpus=CORPUS) as judge:
        samples = [Sample("", "?", {"case": case}) for case in [*cases, cases[0]]]
        results = await RewardScorer(Beside(), judge).score_samples(samples)
    assert shown(results) == [None, None, 3.0, 2.0, 3.0]


def test_what_a_source_stands_for(judge: Judge) -> None:
    assert isinstance(as_scorer("http://127.0.0.1:1"), RemoteScorer)
    assert isinstance(as_scorer(judge), JudgeScorer) and isinstance(as_scorer(partial(Judge.load, "x")), JudgeScorer)
    scorer = RewardScorer(veri_r1(), judge)
    assert as_scorer(scorer) is scorer
    with pytest.raises(ConfigError, match="RewardScorer"):
        as_scorer(veri_r1())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="neither a judge"):
        as_scorer(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="begins with http"):
        as_scorer("localhost:8010")
    with pytest.raises(ConfigError, match="'no_such_engine' is needed here"):
        engine("no_such_engine.part")


@pytest.mark.parametrize("of", ["judge", "reward", "url"])
async def test_scorers_can_be_pickled(of: str) -> None:
    make = partial(Judge.load, "veri-r1", corpus=CORPUS)
    made = {"judge": JudgeScorer(make), "reward": RewardScorer(veri_r1(), make), "url": RemoteScorer("http://h:1")}[of]
    if not isinstance(made, RemoteScorer):
        assert made.judge is made.judge  # made once, and not taken along
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is type(made)
    if isinstance(again, JudgeScorer):
        (result,) = await again.score_samples([Sample("Where?", "Linus Torvalds was born in Helsinki.")])
        assert result.score is not None and result.score > 0.5


async def test_a_server_that_is_away_masks_and_one_that_refuses_raises(
    judge: Judge, serve_rewards: Callable[..., str]
) -> None:
    (result,) = await RemoteScorer("http://127.0.0.1:9", tries=2, seconds=5).score_samples(SAMPLES[:1])
    assert result.score is None and result.error.startswith("model: the reward server gave no answer")
    url = serve_rewards(judge)
    with pytest.raises(DataError, match="422|400"):
        await RemoteScorer(url, reward="nonsense").score_samples(SAMPLES[:1])
    with pytest.raises(ConfigError, match="404|401"):
        await RemoteScorer(url + "/elsewhere").score_samples(SAMPLES[:1])
    with pytest.raises(DataError, match="takes a|takes"):
        await RemoteScorer(url, takes=(Claim,)).score_samples(SAMPLES[:1])


async def test_cases_are_of_the_kind_that_the_servers_judge_takes(serve_rewards: Callable[..., str]) -> None:
    with Judge.load("veri-r1", corpus=CORPUS, seed=0) as claims:
        scorer = RemoteScorer(serve_rewards(claims))
        said = "Linus Torvalds was born in Helsinki."
        (result,) = await scorer.score_samples([Sample("Where was Linus Torvalds born?", said)])
        (again,) = await pickle.loads(pickle.dumps(scorer)).score_samples([Sample("", said)])
    assert result.score is not None and result.score > 0.5 and again.score is not None


async def test_a_slow_server_masks_in_time(serve_rewards: Callable[..., str]) -> None:
    async def slow(request: Request) -> str:
        await asyncio.sleep(30)
        return by_length(request)

    with Judge.load("compare", model=ScriptedModel(slow)) as judge:
        clock = asyncio.get_running_loop().time
        began = clock()
        (result,) = await RemoteScorer(serve_rewards(judge), seconds=1.0).score_samples(SAMPLES[:1])
        assert result.score is None and clock() - began < 3


async def test_large_batches_go_in_parts(judge: Judge, serve_rewards: Callable[..., str]) -> None:
    many = [Sample("?", "x" * (1 + n % 90)) for n in range(600)]
    results = await RemoteScorer(serve_rewards(judge)).score_samples(many)
    assert shown(results) == [(1 + n % 90) / 100 for n in range(600)]


class Withheld:
    """A scorer whose second sample is not learned from."""

    async def score_samples(self, samples: Sequence[Sample], *, step: int = 0) -> list[RewardResult]:
        found = [of_parts({"a": 0.25 + n}) for n, _ in enumerate(samples)]
        return [result.model_copy(update={"withheld": n == 1}) for n, result in enumerate(found)]


async def test_what_is_withheld_is_not_learned_from() -> None:
    func = make_reward_func(Withheld())
    assert await func(prompts=["?"] * 3, completions=["a", "b", "c"], completion_ids=[[1]] * 3) == [0.25, None, 2.25]


def test_metrics_of_a_batch() -> None:
    results = [of_parts({"a": 1.0, "b": 0.5}), unknown("gone"), of_parts({"a": 0.0, "b": 0.5})]
    assert metrics(results) == {"judge/missing": pytest.approx(1 / 3), "judge/a": 0.5, "judge/b": 0.5}
    assert metrics([unknown("gone")]) == {"judge/missing": 1.0} and metrics([])["judge/missing"] == 1.0
