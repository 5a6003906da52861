"""Token ids are the truth: the rows that a trainer learns from, made of what the server really saw and sampled.

    rows = assemble(trace, "fork")                      # [TrainRow], usually one
    rows[0].input_ids, rows[0].loss_mask, rows[0].logprobs
    drift_of(rows).fork_rate                            # beside the other numbers of the step

Messages are a view of a judgement, and re-tokenising them gives other ids than were sampled. So nothing is tokenised
here: a turn's `prompt_ids` and `output_ids` are the server's own. All turns are trained, whatever their phase: the plan
(its prompt shows the task alone, and the conversation goes on behind it), free turns, the conclusion, a conclusion that
was refused and the one that repaired it. Each is in the row of the conversation that it was part of, and has the number
of its turn in `spans`, by which advantages reach it. What the judge was told, results of tools among it, is masked.

Two things hold of all rows together, under every policy:

- every sampled token is trained exactly once, and nothing else is;
- it is trained behind exactly those ids behind which it was sampled.

Usually a prompt is the ids of the turn before and a suffix, and the rollout is one row. A turn continues the last turn
whose answer stands among its messages; one that continues none begins a row (judges that ask about every part of a case
in a conversation of its own), and so does one beside another that continues the same turn. Where a prompt is *not* what
was there and a suffix (a template that drops thoughts or switches them off for the conclusion, merges across a
boundary, a result that was taken back), the server saw other tokens than were sampled. These are counted as `drift`:

- `strict`: an error that says where they differ;
- `realign`: the row keeps what is common to both, and goes on with the prompt, masked. The sampled tokens that had to
  give way are trained in a row of their own, behind what they were sampled behind;
- `fork`: the row ends, and another one begins with the whole prompt, masked.

`realign` leaves most of a rollout in one row, which losses over whole sequences (GSPO) want.

A conclusion under a JSON schema is sampled from what the schema allows, so its log-probabilities are not those of the
policy alone: train without enforcing schemas (the prompt states the form), or expect the ratios to be off.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np

from agentjudge.errors import ConfigError, DataError
from agentjudge.trace import Trace, Turn
from agentjudge.training.rollouts import parents

Policy = Literal["strict", "realign", "fork"]
JoinKind = Literal["begin", "extend", "branch", "realign", "fork"]


class TurnSpan(NamedTuple):
    """Sampled tokens of one turn in a row, from `start` to `end` (exclusive)."""

    start: int
    end: int
    turn: int
    """Index into `Trace.turns`."""


class Join(NamedTuple):
    """How a turn came into its row."""

    turn: int
    kind: JoinKind
    drift: int = 0
    """Tokens of the conversation so far that the server saw otherwise."""


class Picture(NamedTuple):
    """A picture in a row, and the placeholder tokens that stand for it."""

    sha256: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TrainRow:
    """One sequence to train on."""

    rollout: str
    """Id of the rollout; several rows may be of one."""
    input_ids: list[int]
    logprobs: list[float]
    """Of the sampled tokens, by the server (natural logarithm); 0 elsewhere."""
    spans: tuple[TurnSpan, ...]
    """What is trained, in order. The rest is masked."""
    pictures: tuple[Picture, ...] = ()
    """In order; the row holds all their tokens."""
    joins: tuple[Join, ...] = ()
    weight: float = 1.0
    """The share of the rollout's sampled tokens that are in this row. Weights of a rollout sum to 1, so that means over
    rows count it once, and weighted means over a row's tokens sum to the mean over the rollout's."""

    def __post_init__(self) -> None:
        size, last = len(self.input_ids), 0
        assert len(self.logprobs) == size, f"{len(self.logprobs)} log-probabilities for {size} tokens"
        for span in self.spans:
            assert last <= span.start < span.end <= size, f"{span} in a row of {size} tokens, after token {last}"
            last = span.end
        for before, after in pairwise(self.pictures):
            assert before.end <= after.start, f"{before} and {after} overlap"
        assert all(0 <= p.start < p.end <= size for p in self.pictures), "a picture outside of the row"
        masked = np.asarray(self.loss_mask, bool)
        values = np.asarray(self.logprobs, float)
        assert not values[~masked].any(), "a masked token has a log-probability"
        assert (values <= 0).all(), "a log-probability above 0"
        assert 0 < self.weight <= 1, f"weight {self.weight}"

    @property
    def loss_mask(self) -> list[int]:
        """1 for each sampled token that is trained here, 0 for all others."""
        mask = [0] * len(self.input_ids)
        for start, end, _ in self.spans:
            mask[start:end] = [1] * (end - start)
        return mask

    @property
    def images(self) -> tuple[str, ...]:
        """SHA-256 of the pictures, in the order of their tokens."""
        return tuple(picture.sha256 for picture in self.pictures)

    @property
    def trained(self) -> int:
        """Tokens that are trained."""
        return sum(end - start for start, end, _ in self.spans)


class Drift(NamedTuple):
    """How far what servers saw was from what had been sampled."""

    turns: int
    """Turns that continue another one."""
    tokens: int
    """Tokens that they saw otherwise than they were, or not at all."""
    forks: int
    realigns: int

    @property
    def fork_rate(self) -> float:
        """Share of the continuing turns that began a row because they had to."""
        return self.forks / self.turns if self.turns else 0.0

    @property
    def realign_rate(self) -> float:
        """Share of the continuing turns before which a row was repaired."""
        return self.realigns / self.turns if self.turns else 0.0


def drift_of(rows: Iterable[TrainRow]) -> Drift:
    """What became of the turns of some rows, of one rollout or of many."""
    joins = [join for row in rows for join in row.joins if join.kind != "begin"]
    kinds = [join.kind for join in joins]
    return Drift(len(joins), sum(join.drift for join in joins), kinds.count("fork"), kinds.count("realign"))


def assemble(
    trace: Trace, policy: Policy = "strict", *, rollout: str = "", image_tokens: Collection[int] = ()
) -> list[TrainRow]:
    """The rows of a rollout, in the order in which they begin; none where nothing was sampled.

    Args:
        trace: with token ids and log-probabilities in all its turns.
        policy: what to do with a prompt that is not what was there before and a suffix.
        rollout: name of the rollout; the id of the case when empty.
        image_tokens: ids that stand for a part of a picture; needed where the judge was shown any.

    Raises:
        ConfigError: unknown policy.
        DataError: a turn without ids or log-probabilities, pictures that cannot be told apart, or, by `strict`, drift.
    """
    if policy not in get_args(Policy):
        raise ConfigError(f"unknown policy {policy!r}; there is {', '.join(get_args(Policy))}")
    turns = [_Sampled.of(turn, f"turn {number} of {trace.case.id!r}") for number, turn in enumerate(trace.turns)]
    drafts, tips = list[_Draft](), dict[int, _Draft]()
    for number, (turn, parent) in enumerate(zip(turns, parents(trace), strict=True)):
        join, draft = Join(number, "begin"), None
        if parent is not None:
            held, draft = turns[parent].ids, tips.pop(parent, None)
            shared = _common(held, turn.prompt)
            drift = len(held) - shared
            if drift and policy == "strict":
                raise DataError(_differs(trace, number, parent, shared, drift))
            if drift and policy == "fork":
                draft = None
            if draft is None:
                join = Join(number, "fork" if drift else "branch", drift)
            else:
                join = Join(number, "realign" if drift else "extend", drift)
                drafts += draft.cut(shared)
        if draft is None:
            drafts.append(draft := _Draft(number, []))
        draft.tip = number
        draft.joins.append(join)
        if turn.output:
            draft.spans.append(TurnSpan(len(turn.prompt), len(turn.ids), number))
        tips[number] = draft
    return _rows(trace, turns, drafts, rollout or trace.case.id, frozenset(image_tokens))


class _Sampled(NamedTuple):
    """A turn in tokens."""

    prompt: list[int]
    output: list[int]
    logprobs: list[float]

    @property
    def ids(self) -> list[int]:
        return self.prompt + self.output

    @classmethod
    def of(cls, turn: Turn, where: str) -> "_Sampled":
        if turn.prompt_ids is None or turn.output_ids is None:
            raise DataError(f"{where} has no token ids; roll out with vllm:NAME@URL or hf:PATH, which tell them")
        if turn.logprobs is None or len(turn.logprobs) != len(turn.output_ids):
            raise DataError(f"{where} has no log-probability for each sampled token; ask for them (Sampling.logprobs)")
        return cls(turn.prompt_ids, turn.output_ids, turn.logprobs)


@dataclass(slots=True, eq=False)
class _Draft:
    """A row in the making: its ids are those of its last turn, prompt and answer."""

    tip: int
    """Its last turn."""
    joins: list[Join]
    spans: list[TurnSpan] = field(default_factory=list)

    def cut(self, at: int) -> "list[_Draft]":
        """Give up what was sampled from token `at` on, to a row of its own that ends where this one ends now."""
        gone = [TurnSpan(max(start, at), end, turn) for start, end, turn in self.spans if end > at]
        self.spans = [TurnSpan(start, min(end, at), turn) for start, end, turn in self.spans if start < at]
        return [_Draft(self.tip, [], gone)] if gone else []


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    size = min(len(a), len(b))
    differs = np.flatnonzero(np.asarray(a[:size]) != np.asarray(b[:size]))
    return int(differs[0]) if len(differs) else size


def _differs(trace: Trace, turn: int, parent: int, at: int, drift: int) -> str:
    return (
        f"the prompt of turn {turn} of {trace.case.id!r} does not go on from turn {parent}: it differs from token {at} "
        f"on ({drift} tokens). Use a chat template that keeps what was sampled, or the policy 'fork' or 'realign'"
    )


def _rows(
    trace: Trace, turns: Sequence[_Sampled], drafts: Sequence[_Draft], rollout: str, image_tokens: frozenset[int]
) -> list[TrainRow]:
    whole = sum(len(turn.output) for turn in turns)
    rows = []
    for draft in drafts:
        trained = sum(end - start for start, end, _ in draft.spans)
        if not trained:
            continue
        ids = turns[draft.tip].ids
        logprobs = [0.0] * len(ids)
        for start, end, turn in draft.spans:
            first = start - len(turns[turn].prompt)
            logprobs[start:end] = turns[turn].logprobs[first : first + end - start]
        pictures = _pictures(trace, draft.tip, turns[draft.tip].prompt, image_tokens)
        rows.append(TrainRow(rollout, ids, logprobs, tuple(draft.spans), pictures, tuple(draft.joins), trained / whole))
    return rows


def _pictures(trace: Trace, turn: int, prompt: Sequence[int], image_tokens: frozenset[int]) -> tuple[Picture, ...]:
    """The pictures in the messages of a turn, with the runs of their tokens in its prompt.

    Raises:
        DataError: there are not as many runs as pictures.
    """
    contents = [trace.messages[place].get("content") for place in trace.turns[turn].messages_in]
    shown = [
        part["image"]
        for content in contents
        if isinstance(content, list)
        for part in content
        if part["type"] == "image_ref"
    ]
    if not shown:
        return ()
    if not image_tokens:
        raise DataError(f"{trace.case.id!r} has pictures: say which token ids stand for them (image_tokens)")
    inside = np.isin(np.asarray(prompt), list(image_tokens)).astype(int)
    edges = np.flatnonzero(np.diff(inside, prepend=0, append=0))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    if len(runs) != len(shown):
        raise DataError(f"turn {turn} of {trace.case.id!r} saw {len(shown)} pictures, but {len(runs)} runs of tokens")
    return tuple(Picture(sha, start, end) for sha, (start, end) in zip(shown, runs, strict=True))
