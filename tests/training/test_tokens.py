"""Conversations in tokens: what is read is what was sampled, and behind it what is new."""

import gc
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tiny_models import build_qwen3  # noqa: E402

from agentjudge.budget import Budget  # noqa: E402
from agentjudge.case import Claim  # noqa: E402
from agentjudge.errors import ConfigError, ContextOverflow, DataError, ModelError  # noqa: E402
from agentjudge.evidence import EvidenceStore  # noqa: E402
from agentjudge.judge import Judge  # noqa: E402
from agentjudge.models.base import Request, Sampling  # noqa: E402
from agentjudge.models.profiles import ModelProfile  # noqa: E402
from agentjudge.trace import Message, Turn  # noqa: E402
from agentjudge.training.gym import ClaimGym  # noqa: E402
from agentjudge.training.rows import assemble, drift_of  # noqa: E402
from agentjudge.training.tokens import Sampled, TokenModel  # noqa: E402
from agentjudge.training.torch_sampler import TorchSampler  # noqa: E402

KEPT = """\
{%- if tools %}{{ '<|im_start|>tools\\n' + (tools | tojson) + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.reasoning_content %}{{ '<think>' + message.reasoning_content + '</think>' }}{% endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) }}
{{- '}</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""
TOOL = {"type": "function", "function": {"name": "retrieve", "parameters": {"type": "object"}}}
QUESTION = {"role": "user", "content": "Is it blue?"}


class Written:
    """A sampler that says given tokens, and notes what it was asked."""

    def __init__(self, *answers: Sequence[int]) -> None:
        self.answers = [list(answer) for answer in answers]
        self.prompts: list[list[int]] = []
        self.asked: list[dict[str, Any]] = []
        self.closed = False

    async def sample(self, prompt: Sequence[int], **asked: Any) -> Sampled:
        self.prompts.append(list(prompt))
        self.asked.append(asked)
        ids = self.answers[len(self.prompts) - 1]
        return Sampled(ids, [-0.5] * len(ids), "stop", "v")

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_qwen3(tmp_path_factory.mktemp("tokens") / "qwen3")


@pytest.fixture
def words(folder: Path) -> Any:
    words = transformers.AutoTokenizer.from_pretrained(folder)
    words.chat_template = KEPT
    return words


def spell(words: Any, text: str) -> list[int]:
    """Another way to write a text than the tokenizer's own: letter by letter."""
    return [token for letter in text for token in words.encode(letter, add_special_tokens=False)]


def request(messages: Sequence[Message], store: EvidenceStore, **more: Any) -> Request:
    case = Claim(id="1", claim="It is blue.")
    more = {"sampling": Sampling(max_tokens=20), "tools": [TOOL], **more}
    return Request(case=case, messages=messages, events=[], opening=[], store=store, **more)


async def test_the_next_prompt_is_what_was_sampled_and_the_new_text(words: Any) -> None:
    end = words.eos_token_id
    said = spell(words, 'So.<tool_call>{"name":"retrieve",  "arguments":{"query":"x"}}</tool_call>')
    assert said != words.encode(words.decode(said), add_special_tokens=False)
    sampler, store = Written([*said, end], [*spell(words, "Blue it is."), end], [5]), EvidenceStore()
    model = TokenModel(sampler, words)
    first = await model.act(request([QUESTION], store))
    assert first.message_out["tool_calls"][0]["function"]["name"] == "retrieve" and first.finish_reason == "tool_calls"
    assert first.prompt_ids == words.apply_chat_template(
        [QUESTION], tools=[TOOL], add_generation_prompt=True, return_dict=False
    )
    result = {"role": "tool", "content": "It is."}
    second = await model.act(request([QUESTION, first.message_out, result], store))
    suffix = words.encode("\n<|im_start|>tool\nIt is.<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)
    assert sampler.prompts[1] == second.prompt_ids == first.prompt_ids + first.output_ids + suffix
    more = {"role": "user", "content": "Sure?"}
    third = await model.act(request([QUESTION, first.message_out, result, second.message_out, more], store))
    assert third.prompt_ids[: len(second.prompt_ids) + len(second.output_ids)] == [
        *second.prompt_ids,
        *second.output_ids,
    ]
    assert third.usage.prompt_tokens == len(third.prompt_ids) and third.logprobs == [-0.5]


async def test_a_turn_that_was_cut_off_is_ended_in_the_suffix(words: Any) -> None:
    sampler, store = Written(spell(words, "So it is pro"), [5]), EvidenceStore()
    model = TokenModel(sampler, words)
    first = await model.act(request([QUESTION], store))
    await model.act(request([QUESTION, first.message_out, QUESTION], store))
    behind = words.encode("<|im_end|>\n<|im_start|>user\nIs it blue?<|im_end|>\n<|im_start|>assistant\n")
    assert sampler.prompts[1] == first.prompt_ids + first.output_ids + behind


async def test_an_equal_answer_continues_too_and_branches_are_told_apart(words: Any) -> None:
    """Two answers of one text in other tokens: each branch goes on from its own."""
    text, end = "It is blue.", words.eos_token_id
    own, other = [*words.encode(text), end], [*spell(words, text), end]
    sampler, store = Written(own, other, [5], [5], [5]), EvidenceStore()
    model = TokenModel(sampler, words)
    a, b = [await model.act(request([QUESTION], store)) for _ in range(2)]
    assert a.message_out == b.message_out
    for said, ids in ((a.message_out, own), (b.message_out, other), (dict(b.message_out), other)):
        turn = await model.act(request([QUESTION, said, QUESTION], store))
        assert turn.prompt_ids[: len(a.prompt_ids) + len(ids)] == a.prompt_ids + ids


@pytest.mark.parametrize(
    "template",
    [
        KEPT.replace("message.reasoning_content %}", "message.reasoning_content and loop.last %}"),
        KEPT.replace(
            "{{- message.content }}", "{{- message.content if loop.index0 + 2 > messages|length else '...' }}"
        ),
        KEPT.replace("assistant\\n", "assistant: "),
    ],
    ids=["drops thoughts", "drops old messages", "asks otherwise"],
)
async def test_a_template_that_repeats_otherwise_is_rendered_as_a_whole(words: Any, template: str) -> None:
    words.chat_template = template
    sampler, store = Written([*spell(words, "<think>hm</think>Yes."), words.eos_token_id], [5]), EvidenceStore()
    model = TokenModel(sampler, words)
    first = await model.act(request([QUESTION], store))
    assert first.message_out["reasoning"] == "hm"
    conversation = [QUESTION, first.message_out, QUESTION]
    second = await model.act(request(conversation, store))
    held = first.prompt_ids + first.output_ids
    assert second.prompt_ids[: len(held)] != held
    plain = [QUESTION, {"role": "assistant", "content": "Yes.", "reasoning_content": "hm"}, QUESTION]
    assert second.prompt_ids == words.apply_chat_template(
        plain, tools=[TOOL], add_generation_prompt=True, return_dict=False
    )


async def test_what_was_taken_back_goes_on_from_the_turn_before(words: Any) -> None:
    end = words.eos_token_id
    sampler, store = Written([*spell(words, "One."), end], [*spell(words, "Two."), end], [5]), EvidenceStore()
    model = TokenModel(sampler, words)
    first = await model.act(request([QUESTION], store))
    long, short = {"role": "user", "content": "long " * 9}, {"role": "user", "content": "short"}
    second = await model.act(request([QUESTION, first.message_out, long], store))
    third = await model.act(request([QUESTION, first.message_out, short, second.message_out, QUESTION], store))
    held = first.prompt_ids + first.output_ids
    text = "\n<|im_start|>user\nshort<|im_end|>\n<|im_start|>assistant\nTwo.<|im_end|>\n<|im_start|>user\nIs it blue?"
    rest = words.encode(text + "<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)
    assert third.prompt_ids == held + rest


async def test_thoughts_that_were_never_closed_stay_as_they_were(words: Any) -> None:
    """Behind a switch that turns thinking off: the answer renders otherwise, the conversation does not."""
    switch = "{% if enable_thinking is defined and not enable_thinking %}{{ '<think></think>' }}{% endif %}"
    template = KEPT.replace("{% endif %}\n{{- message.content", "{% else %}{{ BLOCK }}{% endif %}\n{{- message.content")
    template = template.replace("BLOCK", "'<think></think>' if message.role == 'assistant' else ''")
    words.chat_template = template.replace("'<|im_start|>assistant\\n' }}", "'<|im_start|>assistant\\n' }}" + switch)
    end, store = words.eos_token_id, EvidenceStore()
    sampler = Written([*words.encode("<think>hm"), end], [5])
    model = TokenModel(sampler, words, profile=ModelProfile(thinking_switch="enable_thinking"))
    first = await model.act(request([QUESTION], store, phase="conclude"))
    assert words.decode(first.prompt_ids).endswith("assistant\n<think></think>")
    assert first.message_out == {"role": "assistant", "content": "", "reasoning": "hm"}
    second = await model.act(request([QUESTION, first.message_out, QUESTION], store, phase="conclude"))
    held = first.prompt_ids + first.output_ids
    assert second.prompt_ids[: len(held)] == held
    free = await TokenModel(Written([5]), words, profile=model.profile).act(request([QUESTION], store))
    assert words.decode(free.prompt_ids).endswith("assistant\n")


async def test_a_running_text_goes_on_from_what_was_sampled(words: Any) -> None:
    """Tag protocols: the judge's words are appended to the text that was sampled."""
    said, end = spell(words, "<search> sky </search>"), words.eos_token_id
    sampler, store = Written(said, [*spell(words, "Blue."), end], [5]), EvidenceStore()
    model = TokenModel(sampler, words, profile=ModelProfile(protocol="tags"))
    more: dict[str, Any] = {"tools": (), "stop": ("</search>",)}
    first = await model.act(request([QUESTION], store, **more))
    assert sampler.asked[0]["stop"] == ("</search>",)
    running = str(first.message_out["content"]) + "\n<information>grey</information>"
    second = await model.act(
        request([QUESTION, {"role": "assistant", "content": running}], store, continue_last=True, **more)
    )
    behind = words.encode("\n<information>grey</information>", add_special_tokens=False)
    assert second.prompt_ids == first.prompt_ids + said + behind
    running += str(second.message_out["content"]) + "\nGo on."
    third = await model.act(
        request([QUESTION, {"role": "assistant", "content": running}], store, continue_last=True, **more)
    )
    kept = second.prompt_ids + second.output_ids[:-1]  # a text that goes on has no end in it
    assert third.prompt_ids == kept + words.encode("\nGo on.", add_special_tokens=False)


async def test_what_is_asked_of_the_sampler(words: Any) -> None:
    sampler, store = Written([5], [5]), EvidenceStore()
    model = TokenModel(sampler, words, context=60)
    sampling = Sampling(max_tokens=50, temperature=0.7, top_p=0.9, seed=3, logprobs=False)
    turn = await model.act(request([QUESTION], store, tools=(), sampling=sampling, deadline=2.5))
    asked = sampler.asked[0]
    assert asked.pop("max_tokens") == 60 - len(turn.prompt_ids) < 50
    assert asked == {"temperature": 0.7, "top_p": 0.9, "stop": (), "seed": 3, "deadline": 2.5}
    assert turn.logprobs is None and turn.model_version == "v"
    with pytest.raises(ContextOverflow, match="tokens of 60"):
        await model.act(request([{"role": "user", "content": "blue " * 60}], store, tools=()))
    with pytest.raises(ModelError, match="pictures are not sampled"):
        await model.act(request([{"role": "user", "content": [{"type": "image_ref", "image": "0" * 64}]}], store))
    await model.aclose()
    assert sampler.closed


def test_a_tokenizer_without_a_usable_template_is_refused(words: Any) -> None:
    words.chat_template = None
    with pytest.raises(ConfigError, match="has no chat template"):
        TokenModel(Written(), words)
    words.chat_template = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
    with pytest.raises(ConfigError, match="not with a special token"):
        TokenModel(Written(), words)


async def test_conversations_that_are_over_are_forgotten(words: Any) -> None:
    model = TokenModel(Written(*[[5]] * 50), words)
    for _ in range(50):
        await model.act(request([QUESTION], EvidenceStore()))
    gc.collect()
    assert len(model._taken) == 0


@pytest.mark.parametrize("protocol", ["tools", "tags"])
async def test_judgements_of_random_weights_do_not_drift(folder: Path, words: Any, protocol: Any) -> None:
    """The real judge, tools and loop. A text that goes on behind a sampled end has lost this one token."""
    torch_model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    sampler = TorchSampler(torch_model, words)
    model = TokenModel(sampler, words, profile=ModelProfile(protocol=protocol))
    gym, chance = ClaimGym(hops=(1,), documents=4), random.Random(0)
    for number in range(10):
        world = gym.world(number)
        judge = Judge.load(
            "veri-r1",
            model=model,
            corpus=world.corpus,
            budget=Budget(answer_tokens=16),
            sampling=Sampling(max_tokens=chance.randrange(4, 12), temperature=1.0),
        )
        trace = await judge.arun(world.cases[0])
        assert len(trace.turns) >= 2 and trace.verdict.failure is not None and trace.verdict.failure.kind == "parse"
        if protocol == "tools":
            (row,) = assemble(trace)
            assert drift_of([row]).tokens == 0
        else:
            cut = [_ended(turn, words) for turn in trace.turns[:-1]]
            assert drift_of(assemble(trace, "realign")).tokens == sum(cut)
            if any(cut):
                with pytest.raises(DataError):
                    assemble(trace)
    await model.aclose()


def _ended(turn: Turn, words: Any) -> bool:
    assert turn.output_ids is not None
    return turn.output_ids[-1] == words.eos_token_id
