"""Examples to imitate: what the judge said is trained, in the tokens of a rollout, and nothing else."""

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from tiny_policies import tiny_tokenizer

from agentjudge.errors import ConfigError, DataError
from agentjudge.judge import Judge
from agentjudge.models.profiles import GENERIC, ModelProfile
from agentjudge.registry import lookup
from agentjudge.tools.retrieve import Retrieve
from agentjudge.trace import Trace
from agentjudge.training.examples import IGNORED, example_of, sft_examples
from agentjudge.training.gym import ClaimGym, Slop, demonstrations
from agentjudge.training.gym.oracle import Protocol
from agentjudge.training.rows import assemble
from agentjudge.training.tokens import Sampled, TokenModel

TAGS = ModelProfile(family="oracle", protocol="tags")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def tools() -> list[dict[str, Any]]:
    return [Retrieve(ClaimGym().world(0).corpus).spec()]


async def traces(count: int, protocol: Protocol = "tools") -> list[Trace]:
    gym, found = ClaimGym(hops=(1, 2)), []
    async for _, trace in demonstrations(gym.worlds(), slop=Slop(0.4, 0.4), protocol=protocol):
        found.append(trace)
        if len(found) == count:
            break
    return found


def trained(labels: Sequence[int]) -> list[list[int]]:
    """The runs of labels that are trained."""
    runs: list[list[int]] = [[]]
    for label in labels:
        if label == IGNORED:
            runs.append([])
        else:
            runs[-1].append(label)
    return [run for run in runs if run]


async def test_what_the_judge_said_is_trained_and_nothing_else(tokenizer: Any, tools: list[dict[str, Any]]) -> None:
    for trace in await traces(6):
        [(ids, labels)] = sft_examples(trace, tokenizer, tools=tools)
        assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
        said = [tokenizer.decode(run) for run in trained(labels)]
        assert len(said) == len(trace.turns)
        assert [text.startswith("<tool_call>") for text in said].count(True) == len(trace.events) > 0
        assert said[-1] == trace.turns[-1].message_out["content"] + "<|im_end|>"


async def test_the_tokens_are_those_of_the_template(tokenizer: Any, tools: list[dict[str, Any]]) -> None:
    [trace] = await traces(1)
    [(ids, _)] = sft_examples(trace, tokenizer, tools=tools)
    last = trace.turns[-1]
    messages = [deepcopy(trace.messages[place]) for place in last.messages_in]
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    whole = tokenizer.apply_chat_template([*messages, last.message_out], tools=tools, tokenize=False)
    assert tokenizer.decode(ids) == whole.removesuffix("\n")
    first = tokenizer.apply_chat_template(messages[:2], tools=tools, add_generation_prompt=True, return_dict=False)
    assert ids[: len(first)] == list(first)


async def test_a_running_text_with_tags_is_one_example(tokenizer: Any) -> None:
    for trace in await traces(4, "tags"):
        [(ids, labels)] = sft_examples(trace, tokenizer, profile=TAGS)
        said = [tokenizer.decode(run) for run in trained(labels)]
        assert said == [turn.message_out["content"] for turn in trace.turns]
        assert said[-1].endswith("</answer>") and len(ids) > len(trained(labels)[0])


async def test_a_template_that_does_not_show_what_was_said_is_refused(
    tokenizer: Any, tools: list[dict[str, Any]]
) -> None:
    [trace] = await traces(1)
    cutting, forgetful = tiny_tokenizer(), tiny_tokenizer()
    cutting.chat_template = tokenizer.chat_template.replace("(message.content or '')", "(message.content or '')[:30]")
    with pytest.raises(DataError, match="otherwise than"):
        sft_examples(trace, cutting, tools=tools)
    calls = "message.tool_calls or []"
    forgetful.chat_template = tokenizer.chat_template.replace(calls, f"(({calls}) if loop.last else [])")
    with pytest.raises(DataError, match="does not go on"):
        sft_examples(trace, forgetful, tools=tools)
    first, *others = sft_examples(trace, forgetful, tools=tools, policy="fork")
    assert others and "<tool_call>" in tokenizer.decode(trained(first.labels)[0])


async def test_a_template_without_the_end_of_a_turn_is_refused(tokenizer: Any, tools: list[dict[str, Any]]) -> None:
    [trace] = await traces(1)
    endless = tiny_tokenizer()
    endless.chat_template = tokenizer.chat_template.replace("<|im_end|>", "\n")
    with pytest.raises(ConfigError, match="not with a special token"):
        sft_examples(trace, endless, tools=tools, profile=GENERIC)


class Dictated:
    """A sampler that samples what it is told to."""

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        self.answers = list(answers)

    async def sample(self, prompt: Sequence[int], **_: Any) -> Sampled:
        ids = list(self.answers.pop(0))
        return Sampled(ids, [0.0] * len(ids), "stop", "")

    async def aclose(self) -> None: ...


async def test_a_rollout_that_says_the_same_has_the_same_tokens(tokenizer: Any) -> None:
    gym, seen = ClaimGym(hops=(1, 2)), 0
    async for case, trace in demonstrations(gym.worlds(), slop=Slop(0.4, 0.4)):
        world = gym.world(seen)
        tool = Retrieve(world.corpus, world.index, k=3)
        [(ids, labels)] = sft_examples(trace, tokenizer, tools=[tool.spec()])
        model = TokenModel(Dictated(trained(labels)), tokenizer, profile=GENERIC)
        judge = Judge(lookup("judge", "veri-r1").target(), model=model, tools=[tool], seed=0)
        rollout = await judge.arun(case)
        assert rollout.verdict.label == trace.verdict.label
        [row] = assemble(rollout)
        assert row.input_ids == ids and example_of(row).labels == labels
        seen += 1
        if seen == 5:
            break
