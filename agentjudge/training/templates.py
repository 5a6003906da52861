"""Chat templates that keep what was said: each prompt is what was there before, and something behind it.

    tokenizer = keep_prefix(AutoTokenizer.from_pretrained("Qwen/Qwen3-0.6B"))       # the family is found
    tokenizer = keep_prefix(tokenizer, family="chatml")
    assert prefix_error(tokenizer) is None

Released templates are made for chatting. They drop the thoughts of turns that are over, trim answers, or write a
repeated answer otherwise than it was asked for; a model that is trained on what it sampled then sees other prompts when
it is served. Those here write in the words that each family was trained with, and always the text of the turn before
and something behind it. Put them into the checkpoint (`tokenizer.save_pretrained`) and serve that: then a chat server
renders what was trained.

| family | for | tools |
|---|---|---|
| qwen2.5 | Qwen2.5, Qwen2.5-VL text | Hermes calls, results in user turns |
| qwen3 | Qwen3 with its thoughts, all of them kept; a turn without any has an empty block | the same |
| hermes | Hermes, and what speaks ChatML with its calls; Qwen3 without thoughts | Hermes calls, `tool` turns |
| llama-3.1 | Llama 3.1 and 3.2 | JSON, `ipython` turns |
| idefics3 | Idefics3, SmolVLM: text, and pictures as placeholders | Hermes calls, `Tool` turns |
| chatml | anything with `<|im_start|>` and `<|im_end|>`, and models of one's own | Hermes calls, `tool` turns |

Tag protocols, in which an answer is a running text that opens its own thoughts, want one without thought blocks. All
white space that counts is written out in expressions, so that no setting of Jinja (`trim_blocks`) changes a text.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from agentjudge.errors import ConfigError, boundary
from agentjudge.trace import Message

Family = Literal["qwen2.5", "qwen3", "hermes", "llama-3.1", "idefics3", "chatml"]
FOLDER = Path(__file__).parent / "templates"

_MARK = "the answer, 7f3a"


def _call(name: str, **arguments: Any) -> Message:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


TOOLS: tuple[Message, ...] = (
    {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Looks <it> up & tells.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
    },
)
CONVERSATION: tuple[Message, ...] = (
    {"role": "system", "content": "Judge claims."},
    {"role": "user", "content": "The sea is blue.\n"},
    {
        "role": "assistant",
        "content": "",
        "reasoning_content": "Look first.",
        "tool_calls": [_call("look", query="sea")],
    },
    {"role": "tool", "name": "look", "content": "The sea is grey-blue.\n"},
    {"role": "assistant", "content": "More:", "tool_calls": [_call("look", query="é <b>"), _call("look", query="")]},
    {"role": "tool", "name": "look", "content": "Nothing."},
    {"role": "tool", "name": "look", "content": ""},
    {"role": "assistant", "content": "It is.\n\nNearly.", "reasoning_content": "Enough."},
    {"role": "user", "content": "Give the verdict."},
    {"role": "assistant", "content": '{"label": "SUPPORT"}'},
    {"role": "user", "content": "Again."},
)
"""What a template is tried on: thoughts and none, one call, two, none, and results one and two at a time."""


class TurnEnd(NamedTuple):
    """What a chat template puts behind an assistant's text."""

    id: int
    """The token that ends the turn; sampled, where the turn was not cut off."""
    text: str
    """That token."""
    tail: str
    """What follows it and is never sampled, such as a line break."""


def keep_prefix(tokenizer: Any, family: Family | None = None) -> Any:
    """Give a tokenizer a template that keeps what was said.

    Args:
        tokenizer: a fast one of transformers; changed in place.
        family: one that keeps it already stays when None; otherwise the family is found by template and tokens.

    Returns:
        The same tokenizer.

    Raises:
        ConfigError: unknown family, one that cannot be found, or tokens that the tokenizer lacks.
    """
    if family is None:
        if tokenizer.chat_template and prefix_error(tokenizer, ids=False) is None:
            return tokenizer
        family = _family(tokenizer)
    template = template_of(family)
    end = _ENDS[family]
    if end not in tokenizer.get_vocab():
        raise ConfigError(f"the tokenizer has no token {end!r}, with which turns of the family {family!r} end")
    tokenizer.chat_template = template
    if problem := prefix_error(tokenizer, ids=False):
        raise ConfigError(f"the template of {family!r} does not keep what was said with this tokenizer: {problem}")
    return tokenizer


@lru_cache
def template_of(family: Family) -> str:
    """The Jinja text of a family's template.

    Raises:
        ConfigError: unknown family.
    """
    if family not in get_args(Family):
        raise ConfigError(f"there is no template for {family!r}; there is {', '.join(get_args(Family))}")
    return (FOLDER / f"{family}.jinja").read_text(encoding="utf-8")


_ENDS: dict[str, str] = {
    "qwen2.5": "<|im_end|>",
    "qwen3": "<|im_end|>",
    "hermes": "<|im_end|>",
    "llama-3.1": "<|eot_id|>",
    "idefics3": "<end_of_utterance>",
    "chatml": "<|im_end|>",
}


def _family(tokenizer: Any) -> Family:
    known, template = tokenizer.get_vocab(), str(tokenizer.chat_template or "")
    if "<|start_header_id|>" in known and "<|eot_id|>" in known:
        return "llama-3.1"
    if "<end_of_utterance>" in template:
        return "idefics3"
    if "<|im_start|>" in known and "<|im_end|>" in known:
        if "<tool_response>" not in template:
            return "chatml"
        if "</think>" in template:
            return "qwen3"
        return "qwen2.5" if "created by Alibaba" in template else "hermes"
    families = ", ".join(get_args(Family))
    raise ConfigError(f"no template that keeps what was said is known for this tokenizer; name a family: {families}")


def prefix_error(
    tokenizer: Any,
    messages: Sequence[Message] = CONVERSATION,
    tools: Sequence[Message] | None = TOOLS,
    *,
    ids: bool = True,
) -> str | None:
    """Where a template does not keep what was said; None where it does, in text and in token ids.

    Each prompt for an answer has to begin the conversation with that answer, and that one the next prompt. Where the
    template has a switch for thoughts, that holds with it off as well, for the answers without any.

    Args:
        tokenizer: with a chat template.
        messages: with `reasoning_content`, and arguments of calls as objects.
        tools: OpenAI function tools.
        ids: look at token ids as well: some tokenizers merge the end of a prompt with the beginning of an answer, such
            as line breaks. `TokenModel` never encodes the two together, and does not mind; a chat server does.

    Raises:
        ConfigError: the template fails on these messages.
    """
    switches: list[dict[str, Any]] = [{}]
    if "enable_thinking" in str(tokenizer.chat_template):
        switches.append({"enable_thinking": False})
    told = [_told(tokenizer, messages, tools, switch) for switch in switches]
    problems = [_text_problem(each) for each in told]
    if ids and not any(problems):
        problems = [_ids_problem(tokenizer, each) for each in told]
    return next(filter(None, problems), None)


def _told(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Message] | None, switch: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What should grow: each prompt, the conversation with its answer, and the whole at last; with names."""
    places = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    told: list[tuple[str, str]] = []
    for number, place in enumerate(places, 1):
        asked = {} if messages[place].get("reasoning_content") else switch
        told.append((f"the prompt of answer {number}", _text(tokenizer, messages[:place], tools, asked, ask=True)))
        told.append((f"answer {number}", _text(tokenizer, messages[: place + 1], tools, switch)))
    told.append(("the whole conversation", _text(tokenizer, messages, tools, switch)))
    return told


def _text_problem(told: Sequence[tuple[str, str]]) -> str | None:
    for (_, before), (name, after) in pairwise(told):
        if not after.startswith(before):
            same = next(n for n, letter in enumerate(before) if after[n : n + 1] != letter)
            return f"{name} has {after[same : same + 40]!r} where {before[same : same + 40]!r} was"
    return None


def _ids_problem(tokenizer: Any, told: Sequence[tuple[str, str]]) -> str | None:
    encoded = [(name, text, tokenizer.encode(text, add_special_tokens=False)) for name, text in told]
    for (_, text, ids), (name, _, more) in pairwise(encoded):
        if more[: len(ids)] != ids:
            return f"{name} has other tokens than what it begins with, {text[-40:]!r} at its end"
    return None


def _text(
    tokenizer: Any,
    messages: Sequence[Message],
    tools: Sequence[Message] | None,
    switch: Mapping[str, Any],
    *,
    ask: bool = False,
) -> str:
    with boundary(ConfigError, "the chat template failed"):
        text: str = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tools=list(tools) if tools else None,
            add_generation_prompt=ask,
            tokenize=False,
            **switch,
        )
    return text


def turn_end(tokenizer: Any) -> TurnEnd:
    """How a turn ends under the tokenizer's chat template.

    Raises:
        ConfigError: there is no template, or none that ends a turn with a special token.
    """
    if not tokenizer.chat_template:
        raise ConfigError("the tokenizer has no chat template; agentjudge.training.templates.keep_prefix gives it one")
    text = _text(tokenizer, [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}], None, {})
    _, found, behind = text.rpartition(_MARK)
    ids = tokenizer.encode(behind, add_special_tokens=False) if found else []
    end = tokenizer.convert_ids_to_tokens(ids[0]) if ids else ""
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    if not end or end not in added or not behind.startswith(end):
        raise ConfigError(f"the chat template ends an assistant's turn with {behind!r}, not with a special token")
    return TurnEnd(ids[0], end, behind[len(end) :])
