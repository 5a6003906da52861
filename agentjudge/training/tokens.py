"""Token-in, token-out: a model whose conversations are the very ids that it read and sampled.

    sampler = TorchSampler(model, tokenizer)              # or VLLMSampler(url, name)
    judge = Judge.load("veri-r1", model=TokenModel(sampler, tokenizer), corpus=world.corpus)
    rows = assemble(await judge.arun(case))               # strict: one row, no drift

A chat server tokenises the whole conversation at every turn, and what it reads then is not always what was sampled: one
text can be written in different tokens, and a template may drop thoughts or white space. Here the conversation is
rendered by the tokenizer's chat template as well, but the prompt of a turn is the ids of the turn that it continues,
prompt and answer as they were, and behind them the ids of what was newly rendered. What was sampled is never decoded
and encoded again.

The turn that a prompt continues is found by its answer, the very object that `act` returned and the loop put among the
messages (an equal one will do, as after a checkpoint), or, in tag protocols, by the running text that goes on where it
ended. What belongs to the suffix and is masked in training: what the template puts behind the token that ends a turn,
such as a line break, and that token itself where the answer was cut off before it.

Where the template renders what lies before the suffix otherwise than it did (it drops thoughts, a result was taken
back), going on would hide that the model is used in another way than it is trained. The prompt then goes on from an
earlier turn that it does repeat, or is rendered as a whole, and `rows.assemble` sees and counts the drift.
`templates.keep_prefix` gives a tokenizer a template under which this does not happen.

No JSON schema is enforced: training samples freely, and the prompt states the form.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn, Protocol
from weakref import WeakKeyDictionary

from agentjudge.errors import ContextOverflow, ModelError, boundary
from agentjudge.evidence import EvidenceStore
from agentjudge.models.base import Request
from agentjudge.models.hf import read_text, templated, thinks
from agentjudge.models.profiles import ModelProfile, profile_of
from agentjudge.trace import Message, Turn, TurnUsage
from agentjudge.training.templates import turn_end


class Sampled(NamedTuple):
    """An answer in tokens."""

    ids: list[int]
    """With the token that ended it, where it was not cut off."""
    logprobs: list[float]
    """Of each token, natural logarithm, under the distribution it was drawn from: after temperature and top-p."""
    finish: Literal["stop", "length"]
    version: str
    """Of the weights."""


class TokenSampler(Protocol):
    """Something that goes on with token ids."""

    async def sample(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        temperature: float,
        top_p: float = 1.0,
        stop: Sequence[str] = (),
        seed: int | None = None,
        deadline: float | None = None,
    ) -> Sampled:
        """Sample one answer.

        Args:
            prompt: token ids.
            max_tokens: at most so many.
            temperature: 0 takes the likeliest token each time.
            top_p: the smallest set of tokens with this probability is drawn from.
            stop: strings that end the answer and stay in it.
            seed: makes the answer reproducible.
            deadline: seconds from now.

        Raises:
            ModelError: the answer could not be had.
        """
        ...

    async def aclose(self) -> None:
        """Release what it holds."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """A turn that was taken."""

    message: Message
    """The answer as it was returned."""
    prompt: str
    said: str
    """The answer as text, without the token that ended it."""
    ids: list[int]
    """Prompt and answer."""
    ended: bool
    """Whether the last token is the one that ends a turn."""


class _Prompt(NamedTuple):
    text: str
    ids: list[int]


class TokenModel:
    """A model that keeps its conversations in tokens.

    Args:
        sampler: gives the tokens.
        tokenizer: a fast tokenizer of transformers with a chat template.
        name: what verdicts say about where they come from.
        profile: found by `name` when None; pictures are not taken here.
        context: tokens of prompt and answer; the sampler's own limit alone when None.

    Raises:
        ConfigError: no chat template, or one that ends a turn with no special token.
    """

    def __init__(
        self,
        sampler: TokenSampler,
        tokenizer: Any,
        *,
        name: str = "tokens",
        profile: ModelProfile | None = None,
        context: int | None = None,
    ) -> None:
        self.name = name
        found = profile or profile_of(name)
        self.profile = found.model_copy(update={"images": False, "image_in_tool": False})
        self._sampler, self._tokenizer, self._context = sampler, tokenizer, context
        self._end = turn_end(tokenizer)
        self._taken: WeakKeyDictionary[EvidenceStore, list[_Taken]] = WeakKeyDictionary()
        """By the store of the case: it lives as long as the judgement."""

    async def act(self, request: Request) -> Turn:
        """Take one turn.

        Raises:
            ContextOverflow: the conversation fills the context.
            ModelError: the template failed, a picture, or what the sampler raises.
        """
        with boundary(ModelError, "the chat template failed"):
            prompt = self._prompt(request)
        sampling, most = request.sampling, request.sampling.max_tokens
        if self._context is not None:
            most = min(most, self._context - len(prompt.ids))
            if most < 1:
                known = f"{len(prompt.ids)} tokens of {self._context}"
                raise ContextOverflow(f"the conversation is longer than the model's context ({known})")
        sampled = await self._sampler.sample(
            prompt.ids,
            max_tokens=most,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=request.stop,
            seed=sampling.seed,
            deadline=request.deadline,
        )
        return self._turn(request, prompt, sampled)

    def _turn(self, request: Request, prompt: _Prompt, sampled: Sampled) -> Turn:
        ids = list(sampled.ids)
        ended = ids[-1:] == [self._end.id]
        text = self._tokenizer.decode(
            ids[:-1] if ended else ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        if self.profile.protocol == "tags":
            message: Message = {"role": "assistant", "content": text}
        else:
            thinking = prompt.text.rstrip().endswith("<think>")
            message = read_text(text, thinking=thinking, tools=bool(request.tools) and request.phase == "act")
        taken = _Taken(message, prompt.text, text, prompt.ids + ids, ended)
        self._taken.setdefault(request.store, []).append(taken)
        return Turn(
            message_out=message,
            prompt_ids=prompt.ids,
            output_ids=ids,
            logprobs=list(sampled.logprobs) if request.sampling.logprobs else None,
            finish_reason="tool_calls" if "tool_calls" in message else sampled.finish,
            model_version=sampled.version,
            usage=TurnUsage(prompt_tokens=len(prompt.ids), completion_tokens=len(ids)),
        )

    # the prompt

    def _prompt(self, request: Request) -> _Prompt:
        text = self._text(request, request.messages, ask=not request.continue_last, go_on=request.continue_last)
        for taken in self._candidates(request):
            if request.continue_last and text.startswith(told := taken.prompt + taken.said):
                ids = taken.ids[:-1] if taken.ended else taken.ids
                return _Prompt(text, ids + self._behind_end(text[len(told) :]))
            if (suffix := self._suffix(request, taken, text)) is not None:
                return _Prompt(text, taken.ids + self._behind_end(suffix))
        return _Prompt(text, self._encode(text))

    def _candidates(self, request: Request) -> Iterator[_Taken]:
        """Turns that the conversation may continue, the likeliest first: by their very answers, then the latest."""
        place = {id(message): number for number, message in enumerate(request.messages)}
        taken = self._taken.get(request.store, [])
        order = [(place.get(id(each.message), -1), number) for number, each in enumerate(taken)]
        return (taken[number] for _, number in sorted(order, reverse=True))

    def _suffix(self, request: Request, taken: _Taken, text: str) -> str | None:
        """What the conversation has behind a turn; None where it does not go on from it."""
        place = self._place(request.messages, taken.message)
        if place is None:
            return None
        before = request.messages[:place]
        closed = self._text(request, [*before, taken.message])
        if not (text.startswith(closed) and closed.endswith(self._end.text + self._end.tail)):
            return None
        if not closed.startswith(taken.prompt):
            # What was sampled may render otherwise than it stood (thoughts that were never closed); an answer that
            # cannot must render behind the prompt as it was.
            plain = {"role": "assistant", "content": "."}
            if not self._text(request, [*before, plain]).startswith(taken.prompt):
                return None
        suffix = text[len(closed) - len(self._end.tail) :]
        return suffix if taken.ended else self._end.text + suffix

    @staticmethod
    def _place(messages: Sequence[Message], answer: Message) -> int | None:
        """Where an answer stands: itself, or else the last one that is equal."""
        places = range(len(messages) - 1, -1, -1)
        itself = next((place for place in places if messages[place] is answer), None)
        return next((place for place in places if messages[place] == answer), None) if itself is None else itself

    def _text(self, request: Request, messages: Sequence[Message], *, ask: bool = False, go_on: bool = False) -> str:
        """The conversation as the template writes it."""
        switches = self.profile.template_kwargs(thinking=thinks(request))
        return templated(
            self._tokenizer, messages, picture=_no_picture, tools=request.tools, switches=switches, ask=ask, go_on=go_on
        )

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _behind_end(self, text: str) -> list[int]:
        """The ids of a text that follows another one: without the mark that some tokenizers put before a beginning."""
        return self._encode(self._end.text + text)[1:]

    async def aclose(self) -> None:
        """Close the sampler."""
        await self._sampler.aclose()


def _no_picture(image: str) -> NoReturn:
    raise ModelError("pictures are not sampled in tokens; train on them with an engine's own image processor")
