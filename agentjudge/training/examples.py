"""What a judge imitates: traces as token ids and labels, in the very tokens in which it will be asked later.

    for input_ids, labels in sft_examples(trace, tokenizer, tools=specs):
        ...                              # labels are -100 wherever nothing is to be learned

A rollout goes from turn to turn: the next prompt is the ids of the turn before and a newly rendered suffix. An example
is made in the same way, piece by piece, by the chat template: the prompt of the first turn, what was answered up to the
end of the turn, what the judge was told then, the next answer. Tokenising the conversation as one text would merge
tokens across those boundaries, and teach what no rollout ever asks. Only what the judge said is trained, its end
of the turn included; all that it was told, results of tools among it, is masked.

The traces may be an oracle's or another model's; ids that stand in them are not looked at, for they may be of another
tokenizer. A conversation that begins anew in a trace is an example of its own.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

from agentjudge.errors import DataError, ModelError, boundary
from agentjudge.graphs.dialect import Dialect
from agentjudge.models.hf import templated
from agentjudge.models.profiles import GENERIC, ModelProfile
from agentjudge.registry import lookup
from agentjudge.trace import Message, Trace, Turn
from agentjudge.training.rollouts import parents
from agentjudge.training.rows import Policy, TrainRow, assemble
from agentjudge.training.templates import turn_end

IGNORED = -100
"""The label of a token that is not trained, as torch's cross entropy ignores it."""


class Example(NamedTuple):
    """One sequence to imitate."""

    input_ids: list[int]
    labels: list[int]
    """The same ids where the judge speaks, `IGNORED` elsewhere; not shifted."""


def sft_examples(
    trace: Trace,
    tokenizer: Any,
    *,
    tools: Sequence[dict[str, Any]] = (),
    profile: ModelProfile = GENERIC,
    policy: Policy = "strict",
) -> list[Example]:
    """The sequences to imitate in a trace, usually one.

    Args:
        trace: of any model.
        tokenizer: with the chat template under which the judge will be asked.
        tools: OpenAI function tools that the judge offered (`Tool.spec`).
        profile: of the model that will be asked.
        policy: what to do where the template does not keep what was said before; see `rows`.

    Raises:
        DataError: the template does not show an answer as it was said, has no end of a turn, or, by `strict`, does not
            keep what was said before.
    """
    return [example_of(row) for row in assemble(rendered(trace, tokenizer, tools=tools, profile=profile), policy)]


def example_of(row: TrainRow) -> Example:
    """A row, without what its tokens were sampled with."""
    labels = [IGNORED] * len(row.input_ids)
    for start, end, _ in row.spans:
        labels[start:end] = row.input_ids[start:end]
    return Example(row.input_ids, labels)


def rendered(
    trace: Trace, tokenizer: Any, *, tools: Sequence[dict[str, Any]] = (), profile: ModelProfile = GENERIC
) -> Trace:
    """The trace with the token ids that a model would have been shown and would have sampled, log-probabilities of 0.

    Raises:
        DataError: as `sft_examples`.
    """
    dialect: Dialect = lookup("judge", trace.judge).target().dialect(profile)
    view = _View(trace, tokenizer, dialect, list(tools) if dialect.functions else [], profile)
    made: list[_Spoken] = []
    for turn, parent in zip(trace.turns, parents(trace), strict=True):
        made.append(view.spoken(turn, None if parent is None else made[parent]))
    turns = [
        replace(turn, prompt_ids=said.prompt_ids, output_ids=said.output_ids, logprobs=[0.0] * len(said.output_ids))
        for turn, said in zip(trace.turns, made, strict=True)
    ]
    return replace(trace, turns=turns)


class _Spoken(NamedTuple):
    """A turn as text and as tokens."""

    prompt: str
    answer: str
    prompt_ids: list[int]
    output_ids: list[int]


class _View:
    """A trace under a chat template."""

    def __init__(
        self, trace: Trace, tokenizer: Any, dialect: Dialect, tools: list[dict[str, Any]], profile: ModelProfile
    ) -> None:
        self._trace, self._tokenizer, self._dialect, self._tools = trace, tokenizer, dialect, tools
        self._profile, self._end = profile, turn_end(tokenizer).text

    def spoken(self, turn: Turn, before: _Spoken | None) -> _Spoken:
        said, going_on = self._dialect.render([self._trace.messages[place] for place in turn.messages_in])
        thinking = False if turn.phase != "act" else None
        prompt = self._text(said, thinking, ask=not going_on, go_on=going_on)
        answer = self._answer(turn, said, prompt, thinking)
        kept = "" if before is None else before.prompt + before.answer
        if before is not None and prompt.startswith(kept):
            prompt_ids = before.prompt_ids + before.output_ids + self._behind(prompt[len(kept) :])
        else:
            prompt_ids = self._ids(prompt)
        return _Spoken(prompt, answer, prompt_ids, self._behind(answer))

    def _answer(self, turn: Turn, said: Sequence[Message], prompt: str, thinking: bool | None) -> str:
        """The text of an answer up to its end: a stop string of the judge's, or the end of a turn."""
        text = str(turn.message_out.get("content") or "")
        if any(text.endswith(stop) for stop in self._dialect.stop):
            return text
        end = self._end
        if self._profile.protocol == "tags":
            return text + end
        whole = self._text([*said, turn.message_out], thinking)
        answer, ended, _ = whole[len(prompt) :].partition(end)
        if not whole.startswith(prompt) or not ended or text.strip() not in answer:
            raise DataError(
                f"the chat template shows an answer of {self._trace.case.id!r} otherwise than after its own prompt, or "
                f"without the end of a turn ({end!r}); take one of agentjudge.training.templates"
            )
        return answer + end

    def _text(
        self, messages: Sequence[Message], thinking: bool | None, *, ask: bool = False, go_on: bool = False
    ) -> str:
        switches = self._profile.template_kwargs(thinking=thinking)
        with boundary(DataError, "the chat template failed"):
            return templated(
                self._tokenizer,
                messages,
                picture=_no_picture,
                tools=self._tools,
                switches=switches,
                ask=ask,
                go_on=go_on,
            )

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _behind(self, text: str) -> list[int]:
        """The ids of a text that follows another one, without the mark that some tokenizers put at a beginning."""
        return self._ids(self._end + text)[1:]


def _no_picture(image: str) -> NoReturn:
    raise ModelError("examples are of text; traces with pictures are trained by their rows (agentjudge.training.rows)")
