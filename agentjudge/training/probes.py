"""Probes of a model, before and after a training: what it knows by heart, what its verdicts rest on, what it reaches.

    found = await contamination(OfSampler(sampler, tokenizer), [text_of(case) for case in cases])
    for share in found.shares:
        print(share.given, share.exact, share.floor)        # of what is left after 40, 60 and 80%, word for word

| module | question |
|---|---|
| `probes` | does it know the cases by heart? |
| `probes_faithful` | do its evidence and its reasons bear its verdicts? |
| `probes_causal` | would its verdicts be others with other evidence? |
| `probes_reach` | what does it reach that it did not at the start, and the other way round? |

A gain on cases that were learned by heart is none: on such ones even a reward at random brings some (arXiv
2507.10532). So a model is given the beginning of each and goes on, greedily. What it gets right by being good at texts
is told by a floor, texts as long that nobody can have read: claims drawn anew (`ClaimGym`). They are of few words and
odd names, so ROUGE-L of natural text lies above their floor without any memory; what speaks is the share of endings
that are word for word the true ones.
"""

import math
import random
import re
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple, Protocol

from agentjudge.case import ActionChoice, Case, Claim, Comparison, Record, Response, Trajectory
from agentjudge.errors import AgentJudgeError, ConfigError, DataError
from agentjudge.evidence import EvidenceStore
from agentjudge.judge import spread
from agentjudge.models.base import Model, Request, Sampling
from agentjudge.registry import register
from agentjudge.rewards.tiers import rouge_l
from agentjudge.runs.comparing import Difference, paired_bootstrap
from agentjudge.runs.statistics import Interval, bootstrap_interval, wilson
from agentjudge.training.gym.claims import ClaimGym
from agentjudge.training.tokens import TokenSampler

FRACTIONS = (0.4, 0.6, 0.8)
LEAST = 4
"""Words that have to be left to say; fewer are guessed too easily."""
MOST = 200
"""Words of a text that are looked at, from its beginning."""
ROOM = 8
"""Tokens more than the rest of a text should need."""
ASKED = "Go on with this text exactly where it breaks off, word for word."


class Completes(Protocol):
    """Anything that goes on with a text, greedily."""

    async def complete(self, text: str, *, characters: int) -> str:
        """What comes after `text`: at least this many characters, if so much comes.

        Raises:
            ModelError: nothing could be had.
        """
        ...


class OfSampler:
    """Goes on with a text as a sampler of tokens does, without any chat template.

    Args:
        sampler: of a model.
        tokenizer: of the model, as of `transformers`.
    """

    def __init__(self, sampler: TokenSampler, tokenizer: Any) -> None:
        self._sampler, self._tokenizer = sampler, tokenizer

    async def complete(self, text: str, *, characters: int) -> str:
        """See `Completes`."""
        ids = list(self._tokenizer.encode(text))
        if ids and ids[-1] == self._tokenizer.eos_token_id:
            ids.pop()
        most = ROOM + math.ceil(1.5 * characters * len(ids) / max(1, len(text)))
        sampled = await self._sampler.sample(ids, max_tokens=most, temperature=0.0)
        return str(self._tokenizer.decode(list(sampled.ids), skip_special_tokens=True))


class OfModel:
    """Goes on with a text as a model of conversations does: the text is its own answer, which it has not finished.

    Args:
        model: one that goes on writing an answer (`vllm:`, `hf:`).
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    async def complete(self, text: str, *, characters: int) -> str:
        """See `Completes`."""
        request = Request(
            case=Claim(id="probe", claim=ASKED),
            messages=[{"role": "user", "content": ASKED}, {"role": "assistant", "content": text}],
            events=(),
            opening=(),
            store=EvidenceStore(),
            tools=(),
            sampling=Sampling(max_tokens=ROOM + characters // 2, logprobs=False, thinking=False),
            continue_last=True,
        )
        turn = await self._model.act(request)
        return str(turn.message_out.get("content") or "")


class Share(Record):
    """How much of the texts came back when this much of each was given."""

    given: float
    n: int
    exact: Interval
    """Share of the texts whose rest was said word for word."""
    rouge: Interval
    """Mean ROUGE-L (F1, words) of what was said and the rest, 0 to 1."""
    floor: Interval
    """`exact` of texts as long that cannot have been read."""
    rouge_floor: Interval
    above: Difference
    """`exact` less its floor, pair by pair."""


class Contamination(Record):
    """What a model knows by heart of some texts."""

    shares: tuple[Share, ...]
    """One for each fraction that was given."""
    short: int
    """Texts that were passed over at some fraction, for too little was left to say."""
    failed: int
    """Completions that could not be had; the texts are left out there."""

    @property
    def suspicious(self) -> bool:
        """Whether rests came back word for word more often than those of unread texts, beyond chance."""
        return any(share.above.low > 0 for share in self.shares)


class _Cut(NamedTuple):
    place: int
    fraction: int
    fresh: bool
    start: str
    rest: list[str]


@register("training", "contamination", paper="2507.10532")
async def contamination(
    model: Completes,
    texts: Sequence[str],
    *,
    fractions: Sequence[float] = FRACTIONS,
    control: Sequence[str] | None = None,
    seed: int = 0,
    concurrency: int = 16,
) -> Contamination:
    """How much of each text a model says word for word when it is given the beginning.

    Args:
        model: goes on greedily; `OfSampler` or `OfModel`.
        texts: such as `text_of` makes of cases; from the first `MOST` words.
        fractions: of the words of a text that are given, each between 0 and 1.
        control: a text for each that the model cannot have read; claims drawn anew (`fresh`) when None.
        seed: of the control and of the intervals.
        concurrency: completions in flight at once.

    Raises:
        ConfigError: no such fraction, or not one control a text.
        DataError: no text is long enough.
        ModelError: no completion could be had at all.
    """
    if not fractions or not all(0 < fraction < 1 for fraction in fractions):
        raise ConfigError(f"give fractions between 0 and 1, not {tuple(fractions)!r}")
    others = fresh([min(MOST, len(text.split())) for text in texts], seed=seed) if control is None else control
    if len(others) != len(texts):
        raise ConfigError(f"{len(others)} texts to compare with for {len(texts)} texts")
    cuts, short = list[_Cut](), set[int]()
    for place, pair in enumerate(zip(texts, others, strict=True)):
        for number, fraction in enumerate(fractions):
            own, other = (_cut(text, fraction) for text in pair)
            if own is None or other is None:
                short.add(place)
            else:
                cuts += [_Cut(place, number, False, *own), _Cut(place, number, True, *other)]
    if not cuts:
        raise DataError(f"no text is so long that {LEAST} words are left to say; probe longer cases")
    said, errors = dict[_Key, tuple[float, float]](), list[AgentJudgeError]()

    async def work(cut: _Cut) -> None:
        rest = " ".join(cut.rest)
        try:
            more = (await model.complete(cut.start, characters=len(rest))).split()[: len(cut.rest)]
        except AgentJudgeError as exc:
            errors.append(exc)
            return
        said[cut.place, cut.fraction, cut.fresh] = float(more == cut.rest), rouge_l(" ".join(more), rest)

    await spread(cuts, work, concurrency=concurrency)
    if not said:
        raise errors[0]
    return Contamination(
        shares=tuple(
            share
            for number, fraction in enumerate(fractions)
            if (share := _share(said, number, fraction, seed)) is not None
        ),
        short=len(short),
        failed=len(errors),
    )


def fresh(lengths: Sequence[int], *, seed: int = 0) -> list[str]:
    """Texts of these lengths, in words, that nobody can have read: claims of test worlds, drawn anew."""
    gym = ClaimGym(hops=(1, 2, 3), claims=3, split="test", seed=random.Random(f"fresh/{seed}").getrandbits(31))
    numbers, texts = count(), []
    for length in lengths:
        words: list[str] = []
        while len(words) < length:
            words += " ".join(case.claim for case in gym.world(next(numbers)).cases).split()
        texts.append(" ".join(words[:length]))
    return texts


def text_of(case: Case) -> str:
    """The text of a case that stands in a benchmark's files, in their order; without gold.

    Raises:
        ConfigError: a case of a kind that has none.
    """
    match case:
        case Claim():
            return case.claim
        case Response():
            return f"{case.prompt}\n\n{case.response}"
        case Comparison():
            return "\n\n".join((case.prompt, *case.responses))
        case Trajectory() | ActionChoice():
            return case.goal
    raise ConfigError(f"a {type(case).__name__} has no text to go on with")


_Key = tuple[int, int, bool]


def _cut(text: str, fraction: float) -> tuple[str, list[str]] | None:
    """The beginning of a text as it stands, and the words that are left; None where these are too few."""
    words = list(re.finditer(r"\S+", text))[:MOST]
    at = max(1, int(len(words) * fraction))
    if len(words) - at < LEAST:
        return None
    return text[: words[at - 1].end()], [word[0] for word in words[at:]]


def _share(said: dict[_Key, tuple[float, float]], number: int, fraction: float, seed: int) -> Share | None:
    places = [place for place, cut, new in said if cut == number and not new and (place, number, True) in said]
    if not places:
        return None
    own = [said[place, number, False] for place in places]
    new = [said[place, number, True] for place in places]
    return Share(
        given=fraction,
        n=len(places),
        exact=wilson(sum(map(int, (exact for exact, _ in own))), len(own)),
        rouge=bootstrap_interval([rouge for _, rouge in own], seed=seed),
        floor=wilson(sum(map(int, (exact for exact, _ in new))), len(new)),
        rouge_floor=bootstrap_interval([rouge for _, rouge in new], seed=seed),
        above=paired_bootstrap([exact for exact, _ in new], [exact for exact, _ in own], seed=seed),
    )
