"""Rows, rewards, advantages and tokens of real judgements: a tiny model in this process, in a generated world.

Its template writes a line break after `assistant` where answers are repeated, and not where one is asked for, and
switches thoughts off for the conclusion: the drift of real templates.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import ACT, CONCLUDE, TEMPLATE, build_qwen3  # noqa: E402

from agentjudge.budget import Budget  # noqa: E402
from agentjudge.case import Claim  # noqa: E402
from agentjudge.errors import DataError  # noqa: E402
from agentjudge.judge import Judge  # noqa: E402
from agentjudge.models.hf import HFModel  # noqa: E402
from agentjudge.rewards.evidence_first import evidence_first  # noqa: E402
from agentjudge.trace import Trace  # noqa: E402
from agentjudge.training.advantages import estimate, fold, to_tokens  # noqa: E402
from agentjudge.training.gym import ClaimGym, World  # noqa: E402
from agentjudge.training.rollouts import group_of  # noqa: E402
from agentjudge.training.rows import assemble, drift_of  # noqa: E402

CALL = ["<think>", "look", "</think>\n", "<tool_call>", '{"name": "retrieve", ', '"arguments": {"query": "works"}}']
VERDICT = ['{"reason": "Nothing.", ', '"evidence": [], ', '"label": "NOT ENOUGH INFO", ', '"confidence": 0.5}']


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    phrases = {ACT: [*CALL, "</tool_call>"], CONCLUDE: VERDICT}
    return HFModel(str(build_qwen3(tmp_path_factory.mktemp("rows") / "qwen3-rows", phrases)))


@pytest.fixture(scope="module")
def world() -> World:
    return ClaimGym(hops=(1,), documents=6).world(0, labels=["NOT ENOUGH INFO"])


async def judged(model: HFModel, world: World, *, calls: int = 2) -> tuple[Trace, Claim]:
    judge = Judge.load(
        "veri-r1", model=model, corpus=world.corpus, budget=Budget(turns=calls, tool_calls=calls), seed=0
    )
    trace = await judge.arun(world.cases[0])
    return trace, world.cases[0]


async def test_a_template_that_repeats_otherwise_drifts_and_all_is_trained_all_the_same(
    model: HFModel, world: World
) -> None:
    trace, _ = await judged(model, world)
    assert trace.verdict.label == "NOT ENOUGH INFO" and [t.phase for t in trace.turns] == ["act", "act", "conclude"]
    with pytest.raises(DataError, match="does not go on from turn 0"):
        assemble(trace)
    for policy in ("fork", "realign"):
        rows = assemble(trace, policy)  # type: ignore[arg-type]
        drift = drift_of(rows)
        assert drift.turns == 2 and drift.tokens > 0 and drift.fork_rate + drift.realign_rate == 1
        said = [token for row in rows for start, end, _ in row.spans for token in row.input_ids[start:end]]
        assert sorted(said) == sorted(token for turn in trace.turns for token in turn.output_ids or ())
        assert sum(row.weight for row in rows) == pytest.approx(1)


async def test_a_template_that_keeps_what_was_sampled_makes_one_row(model: HFModel, world: World) -> None:
    kept = model._tokenizer.chat_template
    same = TEMPLATE.replace("message.role + '\\n'", "message.role + ('' if message.role == 'assistant' else '\\n')")
    same = same.replace("'<think></think>'", "''").replace("'</think>'", "'</think>\\n'")
    model._tokenizer.chat_template = same
    try:
        trace, _ = await judged(model, world)
    finally:
        model._tokenizer.chat_template = kept
    (row,) = assemble(trace)
    assert drift_of([row]).tokens == 0 and len(row.spans) == len(trace.turns) > 1
    text = model._tokenizer.decode(row.input_ids)
    spoken = [model._tokenizer.decode(row.input_ids[start:end]) for start, end, _ in row.spans]
    assert all("<tool_call>" in each and each.endswith("<|im_end|>") for each in spoken[:-1])
    assert "untrusted" in text and not any("untrusted" in each for each in spoken)


async def test_from_judgements_to_the_advantage_of_each_token(model: HFModel, world: World) -> None:
    """Two searches against none: the second group member has not looked, so its label earns nothing."""
    looked, case = await judged(model, world)
    blind, _ = await judged(model, world, calls=0)
    rollouts = group_of([looked, blind], group="g")
    results = evidence_first().score_group([looked, blind], case)
    advantages = estimate("mt-grpo", rollouts, results)
    rows = [row for each in rollouts for row in assemble(each.trace, "fork", rollout=each.id)]
    tokens = to_tokens(advantages, rows)
    assert results[0].score > results[1].score  # type: ignore[operator]
    for row, values in zip(rows, tokens, strict=True):
        assert values.shape == (len(row.input_ids),)
        assert np.array_equal(values != 0, np.array(row.loss_mask) == 1)
        assert np.all(values * (1 if row.rollout == "g#0" else -1) >= 0)
    assert fold(advantages, rows)[0] > 0 > fold(advantages, rows)[1]
