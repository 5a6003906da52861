"""Prefix-preserving chat templates."""

from typing import Any, NamedTuple

from agentjudge.errors import ConfigError, boundary

_MARK = "the answer, 7f3a"


class TurnEnd(NamedTuple):
    """What a chat template puts behind an assistant's text."""

    id: int
    """The token that ends the turn; sampled, where the turn was not cut off."""
    text: str
    """That token."""
    tail: str
    """What follows it and is never sampled, such as a line break."""


def turn_end(tokenizer: Any) -> TurnEnd:
    """How a turn ends under the tokenizer's chat template.

    Raises:
        ConfigError: there is no template, or none that ends a turn with a special token.
    """
    if not tokenizer.chat_template:
        raise ConfigError("the tokenizer has no chat template; agentjudge.training.templates.keep_prefix gives it one")
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    with boundary(ConfigError, "the chat template failed"):
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    _, found, behind = text.rpartition(_MARK)
    ids = tokenizer.encode(behind, add_special_tokens=False) if found else []
    end = tokenizer.convert_ids_to_tokens(ids[0]) if ids else ""
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    if not end or end not in added or not behind.startswith(end):
        raise ConfigError(f"the chat template ends an assistant's turn with {behind!r}, not with a special token")
    return TurnEnd(ids[0], end, behind[len(end) :])
