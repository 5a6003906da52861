"""One judgement as the one sequence that verl takes: a prompt, a response, and what of it is trained.

    sequence = sequence_of(assemble(trace, "strict"), prompt_length=4096, response_length=12288)
    sequence.response_ids, sequence.response_mask, sequence.logprobs, sequence.spans

verl compares rows, not rollouts: its estimators are told a row's prompt (`uid`) and nothing of the judgement that it
belongs to, so a judgement in two rows would count twice in its group. There is one row a judgement:

- `strict`: a judgement that needs two rows is an error that says so. Use a chat template that keeps what was said.
- `realign`: the row that ends in the verdict is trained. What was sampled in other rows is left out, and counted.

The prompt is what stands before the first sampled token, as far as `prompt_length` reaches; what is longer goes to the
response, masked. A response is cut at `response_length`; what is lost by it is counted too.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from agentjudge.errors import ConfigError, DataError
from agentjudge.training.rows import TrainRow, TurnSpan

RowPolicy = Literal["strict", "realign"]


class TokenSequence(NamedTuple):
    """A row of verl, without its reward."""

    prompt_ids: list[int]
    response_ids: list[int]
    response_mask: list[int]
    """1 for each sampled token that is trained."""
    logprobs: list[float]
    """Of the response, by the server; 0 where it is masked."""
    spans: tuple[TurnSpan, ...] = ()
    """What is trained of each turn, counted from the beginning of the response."""
    left_out: int = 0
    """Tokens that were sampled, and are not trained."""

    @property
    def masked(self) -> "TokenSequence":
        """The same tokens with nothing to train."""
        size = len(self.response_ids)
        return self._replace(response_mask=[0] * size, logprobs=[0.0] * size, spans=())


def blank(token: int) -> TokenSequence:
    """The row of a judgement that failed before anything was sampled: two tokens, masked, as verl pads a batch."""
    return TokenSequence([token], [token], [0], [0.0])


def sequence_of(
    rows: Sequence[TrainRow], *, prompt_length: int, response_length: int, policy: RowPolicy = "strict"
) -> TokenSequence | None:
    """The sequence of a judgement; None where nothing is left to train.

    Args:
        rows: of one rollout, as `assemble` makes them under the policy of this name.
        prompt_length: tokens of the prompt, at most.
        response_length: tokens of the response, at most.
        policy: what to do with more than one row.

    Raises:
        ConfigError: unknown policy.
        DataError: more than one row, by `strict`.
    """
    if policy not in get_args(RowPolicy):
        raise ConfigError(f"unknown policy {policy!r} for rows of verl; there is {', '.join(get_args(RowPolicy))}")
    if not rows:
        return None
    if len(rows) > 1 and policy == "strict":
        raise DataError(
            f"{rows[0].rollout!r} is {len(rows)} rows, and verl takes one a rollout: use a chat template that keeps "
            f"what was sampled, or rows: realign, which trains the row with the verdict alone"
        )
    row = max(rows, key=lambda each: each.spans[-1].turn)
    first = min(row.spans[0].start, prompt_length)
    end = min(len(row.input_ids), first + response_length)
    spans = tuple(
        TurnSpan(span.start - first, min(span.end, end) - first, span.turn) for span in row.spans if span.start < end
    )
    trained = sum(span.end - span.start for span in spans)
    if not trained:
        return None
    return TokenSequence(
        row.input_ids[:first],
        row.input_ids[first:end],
        row.loss_mask[first:end],
        row.logprobs[first:end],
        spans,
        sum(each.trained for each in rows) - trained,
    )


def token_rewards(score: float, turn_rewards: Sequence[float], sequence: TokenSequence) -> list[float]:
    """A reward spread over the tokens of a response: a turn's at its first token, the rest at the last of all.

    `agentjudge.training.verl_estimators` reads it back. A turn of one token at the very end is one with the outcome.

    Args:
        score: of the judgement; NaN for none.
        turn_rewards: what each turn of the trace earned; empty where the reward pays no turns.
        sequence: the row.
    """
    rewards = [0.0] * len(sequence.response_ids)
    for span in sequence.spans if turn_rewards else ():
        rewards[span.start] += turn_rewards[span.turn]
    rewards[-1] += score - sum(rewards)
    return rewards
