"""Groups of rollouts: drawn by the number of the step; an outage is waited for or masked, and is never a reward."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_policies import tiny_tokenizer

from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.models.profiles import GENERIC
from agentjudge.training.config import TrainConfig, parse_config
from agentjudge.training.curriculum import chosen
from agentjudge.training.groups import Drawing, made, reward_of
from agentjudge.training.lessons import estimator_of, taught
from agentjudge.training.sources import Chosen, FileSource, GymSource, open_source
from agentjudge.training.tokens import Sampled, TokenModel


def config(**tables: Any) -> TrainConfig:
    given: dict[str, Any] = {
        "model": {"path": "m"},
        "data": {"gym": {"documents": 4}},
        "grpo": {"prompts": 2, "group": 3},
        "reward": {"name": "veri_r1"},
        "rollout": {"wait": 0.01, "waits": 2},
    }
    return parse_config({**given, **tables}, where="a test")


class Saying:
    """A sampler that gives one verdict after another, and is out for some of its requests."""

    def __init__(self, tokenizer: Any, *, out: Sequence[int] = ()) -> None:
        self.tokenizer, self.out, self.asked = tokenizer, set(out), 0
        self.prompts: list[str] = []
        self.always = ""

    async def sample(self, prompt: Sequence[int], *, seed: int | None = None, **_: Any) -> Sampled:
        number, self.asked = self.asked, self.asked + 1
        if number in self.out:
            raise ModelError("the server is out", retriable=True)
        self.prompts.append(self.tokenizer.decode(prompt))
        label = self.always or ("NOT ENOUGH INFO", "SUPPORT", "REFUTE")[(seed or 0) % 3]
        said = f'{{"reason": "So.", "evidence": [], "label": "{label}", "confidence": 0.5}}<|im_end|>'
        ids = self.tokenizer.encode(said, add_special_tokens=False)
        return Sampled(ids, [-0.1] * len(ids), "stop", "")

    async def aclose(self) -> None: ...


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


def drawing(asked: TrainConfig, sampler: Saying) -> Drawing:
    model = TokenModel(sampler, sampler.tokenizer, profile=GENERIC)
    return Drawing(open_source(asked), asked, model, reward_of(asked))


async def test_what_a_step_draws_follows_from_its_number(tokenizer: Any) -> None:
    first, again = (drawing(config(), Saying(tokenizer)) for _ in range(2))
    await first.step(0)
    batches = [await each.step(3) for each in (first, again)]
    names = [[rollout.id for group in batch.groups for rollout in group.rollouts] for batch in batches]
    said = [[r.trace.verdict.label for group in batch.groups for r in group.rollouts] for batch in batches]
    assert names[0] == names[1] and said[0] == said[1] and len(set(said[0])) > 1
    numbers = [number for step in range(5) for number in first.numbers(step)]
    assert numbers == sorted(set(numbers)) and len(batches[0].groups) == 2


async def test_rounds_of_a_step_share_no_case_with_another_step() -> None:
    sampled = drawing(config(grpo={"prompts": 2, "group": 3, "rounds": 3}), Saying(tiny_tokenizer()))
    numbers = [number for step in range(4) for again in range(3) for number in sampled.numbers(step, again)]
    assert len(numbers) == len(set(numbers)) == 24


async def test_dynamic_sampling_learns_from_groups_that_tell(tokenizer: Any) -> None:
    asked = config(grpo={"prompts": 2, "group": 3, "rounds": 4})
    batch = await drawing(asked, Saying(tokenizer)).step(0)
    assert all(group.tells for group in batch.groups) and 1 <= len(batch.groups) <= 2
    assert len(batch.drawn) == 2 * batch.rounds


async def test_an_outage_is_waited_for(tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        batch = await drawing(config(), Saying(tokenizer, out=[0, 2, 5])).step(0)
    assert "3 of 6 rollouts broke off (the server is out)" in caplog.text
    assert all(result.score is not None for group in batch.groups for result in group.results)
    whole = await drawing(config(), Saying(tokenizer)).step(0)
    assert [r.score for g in batch.groups for r in g.results] == [r.score for g in whole.groups for r in g.results]


async def test_what_stays_broken_is_masked_and_never_zero(tokenizer: Any) -> None:
    asked = config(rollout={"waits": 0, "concurrency": 1})
    batch = await drawing(asked, Saying(tokenizer, out=[1])).step(0)
    results = [result for group in batch.groups for result in group.results]
    assert sum(result.score is None for result in results) == 1
    lesson = taught(batch, estimator_of(asked))
    (broken,) = [r.id for g in batch.groups for r, x in zip(g.rollouts, g.results, strict=True) if x.score is None]
    assert broken not in {paid.row.rollout for paid in lesson.paid} and lesson.whole.rollouts == 5
    assert [lesson.numbers["masked"], lesson.numbers["judge_errors"]] == pytest.approx([1 / 6, 1 / 6])
    scores = [result.score for result in results if result.score is not None]
    assert lesson.numbers["reward"] == pytest.approx(sum(scores) / 5)


async def test_where_nothing_comes_back_the_training_stops(tokenizer: Any) -> None:
    with pytest.raises(ModelError, match="no rollout came back, after 2 waits: the server is out"):
        await drawing(config(), Saying(tokenizer, out=range(1000))).step(0)


async def test_rows_that_are_too_long_are_masked(tokenizer: Any) -> None:
    asked = config(grpo={"prompts": 1, "group": 2, "max_length": 16})
    batch = await drawing(asked, Saying(tokenizer)).step(0)
    assert {result.error.partition(" tokens")[2] for result in batch.groups[0].results} == {", more than 16"}
    assert batch.groups[0].rows == ()


async def test_reading_has_the_documents_and_no_tools(tokenizer: Any) -> None:
    sampler = Saying(tokenizer)
    asked = config(data={"gym": {"documents": 4}, "reading": True}, grpo={"prompts": 1, "group": 2})
    await drawing(asked, sampler).step(0)
    assert all("retrieve" not in prompt and "[[" in prompt for prompt in sampler.prompts)


def test_options_that_a_reward_does_not_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="'veri_r1' does not take these options"):
        reward_of(config(reward={"name": "veri_r1", "options": {"wihtout": "format"}}))
    with pytest.raises(ConfigError, match="unknown reward 'very_r1'"):
        made("reward", "very_r1", {})
    with pytest.raises(ConfigError, match="estimates no advantages"):
        estimator_of(config(advantage={"name": "claim-gym"}))


def test_cases_by_number() -> None:
    endless = open_source(config())
    assert isinstance(endless, GymSource) and endless.size is None
    assert endless.case(5).case == endless.case(5).case != endless.case(6).case
    limited = open_source(config(data={"gym": {"worlds": 3}}))
    assert limited.size == 3 and limited.case(4).case == limited.case(1).case
    test = open_source(config(), split="test")
    assert test.case(0).case.id.startswith("test-")
    cases = tuple(endless.case(number).case for number in range(5))
    source = FileSource(cases, seed=1)
    passes = [[source.case(5 * turn + place).case.id for place in range(5)] for turn in range(3)]
    assert all(sorted(each) == sorted(case.id for case in cases) for each in passes) and passes[0] != passes[1]
    chosen = Chosen(endless, (4, 9))
    assert [chosen.case(n).case.id for n in range(3)] == [endless.case(n).case.id for n in (4, 9, 4)]


async def test_a_curriculum_leaves_out_what_is_always_right(tokenizer: Any, tmp_path: Path) -> None:
    asked = config(data={"gym": {"documents": 4, "worlds": 9}}, curriculum={"tries": 3})
    source = open_source(asked)
    sampler = Saying(tokenizer)
    sampler.always = "NOT ENOUGH INFO"
    model = TokenModel(sampler, tokenizer, profile=GENERIC)
    kept = await chosen(source, asked, model, reward_of(asked), folder=tmp_path)
    assert isinstance(kept, Chosen) and kept.size == 6
    golds = {kept.case(number).case.gold.label for number in range(6)}  # type: ignore[union-attr]
    assert golds == {"SUPPORT", "REFUTE"}
    before = sampler.asked
    assert await chosen(source, asked, model, reward_of(asked), folder=tmp_path) == kept and sampler.asked == before
    strict = config(data={"gym": {"documents": 4, "worlds": 9}}, curriculum={"tries": 3, "never": True})
    with pytest.raises(DataError, match="nothing to learn"):
        await chosen(source, strict, model, reward_of(strict), folder=tmp_path)
