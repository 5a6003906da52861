"""Where things stand in the tokens of a judgement: what came before the answer, and the answer.

    found = await before_answer(trace, scorer)          # Located, or Missing
    tokens = await likely(scorer, found.prefix, found.instead(gold_text(case)))

Everything is taken from the ids of `Turn`, as the server gave them. The place of the answer is found in the texts of
the tokens: the value of the outcome's field in a JSON verdict, what stands in a box, behind `Label:`, or in the last
answer tag. What a model quotes inside a string of its JSON is no field of it. A token may begin before the answer does;
the letters that it has of what comes before are the `lead`, and go before the text that takes the answer's place.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from agentjudge.case import Case
from agentjudge.errors import DataError
from agentjudge.rewards.logprobs import LogprobScorer, Token
from agentjudge.rewards.reading import Missing
from agentjudge.trace import Trace, Turn

_FIELD = re.compile(r'"(?:label|preference|ranking|score)"\s*:\s*("[^"\\]+"|-?\d+(?:\.\d+)?|\[[\d,\s]*\]|null)')
_ANSWERS = (
    re.compile(r"\\boxed\s*\{([^{}]+)\}"),
    re.compile(r"^\s*Label:\s*(\S[^\n<]*)", re.MULTILINE | re.IGNORECASE),
    re.compile(r"<answer>\s*(.+?)\s*</answer>", re.IGNORECASE | re.DOTALL),
)
_BARE = re.compile(r"-?\d+(?:\.\d+)?|\[[\d,\s]*\]")


class Span(NamedTuple):
    """Where an answer stands in a text, in characters."""

    start: int
    end: int
    field: bool
    """Whether it is the value of a field of a JSON verdict, with its quotes."""


class Located(NamedTuple):
    """The answer of a judgement in its tokens."""

    prefix: list[int]
    """All token ids before the first one of the answer."""
    lead: str
    """What that token has of the text before the answer."""
    answer: list[Token]
    """The tokens of the answer, quotes left out, as the scorer finds them."""
    field: bool
    """See `Span`."""

    def instead(self, text: str) -> str:
        """Another answer as it would be written after the prefix."""
        return self.lead + (json.dumps(text) if self.field and not _BARE.fullmatch(text) else text)


def answer_span(text: str) -> Span | None:
    """Where the answer stands in the text of a last turn; the last place of the most telling kind."""
    for pattern in (_FIELD, *_ANSWERS):
        found = list(pattern.finditer(text))
        if found:
            return Span(*found[-1].span(1), pattern is _FIELD)
    return None


def gold_text(case: Case) -> str:
    """The right answer in the words of a JSON verdict.

    Raises:
        DataError: the case's gold names no outcome.
    """
    gold = case.gold
    if gold is not None and gold.label is not None:
        return gold.label
    if gold is not None and gold.preference is not None:
        return str(gold.preference)
    if gold is not None and gold.ranking is not None:
        return "[" + ", ".join(str(place + 1) for place in gold.ranking) + "]"
    if gold is not None and gold.score is not None:
        return f"{gold.score:g}"
    raise DataError(f"case {case.id!r} has no gold outcome whose likelihood could be asked for")


def ids_of(turn: Turn) -> tuple[list[int], list[int]] | Missing:
    """Ids of a turn's prompt and of what was sampled."""
    if not turn.prompt_ids or turn.output_ids is None:
        return Missing("the turn has no token ids; serve the policy with vLLM, which gives them")
    return turn.prompt_ids, turn.output_ids


async def before_answer(trace: Trace, scorer: LogprobScorer) -> Located | Missing:
    """The answer of the last turn, and what came before it."""
    if not trace.turns:
        return Missing("the trace has no turns")
    ids = ids_of(trace.turns[-1])
    if isinstance(ids, Missing):
        return ids
    prompt, output = ids
    tokens = await scorer.score(prompt, output)
    text = "".join(token.text for token in tokens)
    span = answer_span(text)
    if span is None:
        return Missing("the last turn has no answer that could be found in its tokens")
    starts = list(accumulate((len(token.text) for token in tokens), initial=0))
    first = bisect_right(starts, span.start) - 1
    quotes = span.field and text[span.start] == '"'
    inner = range(span.start + quotes, span.end - quotes)
    answer = [t for t, at in zip(tokens, starts, strict=False) if at < inner.stop and at + len(t.text) > inner.start]
    return Located(prompt + output[:first], text[starts[first] : span.start], answer, span.field)


async def likely(scorer: LogprobScorer, prefix: Sequence[int], text: str) -> list[Token]:
    """The tokens of a text of our own after a prefix."""
    return await scorer.score(prefix, await scorer.encode(text))
