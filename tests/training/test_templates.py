"""Templates that keep what was said: in text, in token ids, and in the prompts of rollouts."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

pytest.importorskip("transformers")

import jinja2  # noqa: E402
from two_tokenizers import HEADERS, Kind, build  # noqa: E402

from agentjudge.case import Claim  # noqa: E402
from agentjudge.errors import ConfigError  # noqa: E402
from agentjudge.evidence import EvidenceStore  # noqa: E402
from agentjudge.models.base import Request, Sampling  # noqa: E402
from agentjudge.models.profiles import ModelProfile  # noqa: E402
from agentjudge.trace import Message  # noqa: E402
from agentjudge.training.templates import (  # noqa: E402
    CONVERSATION,
    TOOLS,
    Family,
    keep_prefix,
    prefix_error,
    template_of,
    turn_end,
)
from agentjudge.training.tokens import Sampled, TokenModel  # noqa: E402

FAMILIES = get_args(Family)
KINDS = get_args(Kind)
PLAIN = tuple({k: v for k, v in message.items() if k != "reasoning_content"} for message in CONVERSATION)
BARE = (CONVERSATION[1], CONVERSATION[7], CONVERSATION[8], CONVERSATION[9])
"""No system message, no calls."""
DROPPING = """\
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\\n' }}
{%- if m.reasoning_content and loop.last %}{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{%- endif %}
{{- m.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


def keeping(family: Family, kind: Kind = "bpe") -> Any:
    return keep_prefix(build(kind), family)


def rendered(words: Any, messages: Sequence[Message], *, tools: bool = True, **options: Any) -> str:
    tools = list(TOOLS) if tools else None
    return str(words.apply_chat_template(list(messages), tools=tools, tokenize=False, **options))


# the property


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_prompt_begins_with_the_turn_before(family: Family, kind: Kind) -> None:
    words = keeping(family, kind)
    for messages in (CONVERSATION, PLAIN, BARE, CONVERSATION[1:]):
        for tools in (TOOLS, None):
            assert prefix_error(words, messages, tools) is None
    text = rendered(words, CONVERSATION, add_generation_prompt=True)
    said = [message["content"] for message in CONVERSATION if message["role"] != "tool"]
    assert all(content in text for content in said) and "look" in text
    assert ("Look first." in text) == (family == "qwen3"), "thoughts are kept by the family that has them"
    assert '"query": "é <b>"' in text and text.count("The sea is grey-blue.") == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_no_setting_of_jinja_changes_a_text(family: Family) -> None:
    """`trim_blocks` swallows line breaks behind tags: none that counts may stand there."""
    expected = rendered(keeping(family), CONVERSATION, add_generation_prompt=True)
    for trim in (False, True):
        environment = jinja2.Environment(trim_blocks=trim, lstrip_blocks=trim, keep_trailing_newline=not trim)
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        text = environment.from_string(template_of(family).rstrip("\n")).render(
            messages=CONVERSATION, tools=TOOLS, add_generation_prompt=True, bos_token="<|begin_of_text|>"
        )
        assert text == expected


STOCK = {"qwen2.5": "qwen2_5", "qwen3": "qwen3_training", "llama-3.1": "llama3_1", "idefics3": "idefics3"}


@pytest.mark.parametrize("family", STOCK)
def test_a_family_reads_what_it_was_released_with(family: Family) -> None:
    """Held against the released templates, as far as they take a conversation, in TRL's package."""
    spec = importlib.util.find_spec("trl")
    if spec is None or spec.origin is None:
        pytest.skip("the released templates are in TRL's package: pip install 'agentjudge[train]'")
    words = keeping(family)
    conversation: list[Message] = [dict(message) for message in (CONVERSATION if family == "qwen3" else PLAIN)]
    tools = family != "idefics3"
    if family == "llama-3.1":  # one call at a time, trimmed, and nothing said beside it
        conversation = [dict(m, content=m["content"] if m["role"] == "tool" else m["content"].strip()) for m in PLAIN]
        del conversation[4:7]
    if family == "idefics3":
        conversation = [
            {"role": m["role"], "content": [{"type": "text", "text": m["content"]}]}
            for m in PLAIN
            if m["role"] in ("user", "assistant") and "tool_calls" not in m
        ]
    ours = rendered(words, conversation, tools=tools, add_generation_prompt=True)
    stock = Path(spec.origin).parent / "chat_templates" / f"{STOCK[family]}.jinja"
    words.chat_template = stock.read_text(encoding="utf-8")
    assert rendered(words, conversation, tools=tools, add_generation_prompt=True) == ours


# rollouts


class Canonical:
    """A sampler that says what the template would write, in the tokenizer's own tokens."""

    def __init__(self, words: Any, answers: list[str]) -> None:
        self.words, self.answers = words, answers
        self.ids: list[int] = []

    async def sample(self, prompt: Sequence[int], **_: Any) -> Sampled:
        end = turn_end(self.words).text
        ids = self.words.encode(end + self.answers.pop(0) + end, add_special_tokens=False)[1:]
        self.ids = [*prompt, *ids]
        return Sampled(ids, [-1.0] * len(ids), "stop", "v")

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
async def test_the_ids_of_a_rollout_are_those_of_the_text_that_is_imitated(family: Family, kind: Kind) -> None:
    """The messages of the rollout are what was read out of the sampled tokens; the last answer is without thoughts."""
    words = keeping(family, kind)
    places = [place for place, message in enumerate(CONVERSATION) if message["role"] == "assistant"]
    answers = []
    for place in places:
        asked = {"enable_thinking": False} if place == places[-1] else {}
        prompt = rendered(words, CONVERSATION[:place], add_generation_prompt=True, **asked)
        whole = rendered(words, CONVERSATION[: place + 1], **asked)
        assert whole.startswith(prompt)
        answers.append(whole[len(prompt) :].removesuffix(turn_end(words).tail).removesuffix(turn_end(words).text))
    sampler, store = Canonical(words, answers), EvidenceStore()
    model = TokenModel(sampler, words, profile=ModelProfile(thinking_switch="enable_thinking"))
    conversation: list[Message] = []
    for place, message in enumerate(CONVERSATION[: places[-1] + 1]):
        if place not in places:
            conversation.append(dict(message))
            continue
        request = Request(
            case=Claim(id="1", claim="It is."),
            messages=list(conversation),
            events=[],
            opening=[],
            store=store,
            tools=list(TOOLS),
            sampling=Sampling(),
            phase="conclude" if place == places[-1] else "act",
        )
        turn = await model.act(request)
        conversation.append(turn.message_out)
    text = rendered(words, CONVERSATION[: places[-1] + 1]).removesuffix(turn_end(words).tail)
    assert sampler.ids == words.encode(text, add_special_tokens=False)
    calls = [call["function"]["name"] for message in conversation for call in message.get("tool_calls", ())]
    assert calls == (["look"] if family == "llama-3.1" else ["look"] * 3), "llama has no calls beside a text"


# choosing


def test_a_template_that_keeps_it_already_stays() -> None:
    words = build("bpe")
    words.chat_template = template_of("chatml").replace("# Tools", "# My tools")
    own = words.chat_template
    assert keep_prefix(words) is words and words.chat_template == own


@pytest.mark.parametrize(
    "mark, family",
    [
        ("{# </think> <tool_response> #}", "qwen3"),
        ("{# created by Alibaba <tool_response> #}", "qwen2.5"),
        ("{# <tool_response> #}", "hermes"),
        ("{# <end_of_utterance> #}", "idefics3"),
        ("", "chatml"),
    ],
)
def test_the_family_is_found(mark: str, family: Family) -> None:
    words = build("bpe")
    words.chat_template = mark + "{{ messages[-1].content }}"
    known = {token: number for token, number in words.get_vocab().items() if token not in HEADERS}
    words.get_vocab = lambda: known
    assert keep_prefix(words).chat_template == template_of(family)


def test_llama_is_found_by_its_tokens() -> None:
    words = build("bpe", end="<|eot_id|>")
    assert keep_prefix(words).chat_template == template_of("llama-3.1")


def test_what_cannot_be_kept_is_refused() -> None:
    words = build("bpe")
    with pytest.raises(ConfigError, match="no template for 'gpt'; there is qwen2.5, qwen3"):
        keep_prefix(words, "gpt")  # type: ignore[arg-type]
    words.get_vocab = lambda: {"a": 1}
    with pytest.raises(ConfigError, match="no token '<\\|im_end\\|>'"):
        keep_prefix(words, "qwen3")
    with pytest.raises(ConfigError, match="name a family: qwen2.5, qwen3"):
        keep_prefix(words)


def test_where_it_is_not_kept_is_told() -> None:
    words = build("bpe")
    words.chat_template = DROPPING
    assert prefix_error(words, BARE, None) == (
        r"the prompt of answer 2 has 'It is.\n\nNearly.<|im_end|>\n<|im_start|>us' "
        r"where '<think>\nEnough.\n</think>\n\nIt is.\n\nNearly' was"
    )
    own = template_of("chatml")
    words.chat_template = own.replace("'<|im_start|>assistant\\n' }}", "'<|im_start|>assistant: ' }}")
    assert str(prefix_error(words)).startswith("answer 1 has '\\n")
    merged = own.replace("assistant\\n' +", "assistant\\nverdict: ' +")
    words.chat_template = merged.replace("assistant\\n' }}", "assistant\\nverd' }}")
    assert "other tokens than what it begins with" in str(prefix_error(words))
    assert prefix_error(words, ids=False) is None and keep_prefix(words).chat_template.startswith(merged[:40])
    words.chat_template = "{{ raise_exception('no tools') }}"
    with pytest.raises(ConfigError, match="the chat template failed: no tools"):
        prefix_error(words)
