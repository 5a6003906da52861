"""How likely the right answer was after what the policy thought: likelihood rewards (arXiv 2602.03979).

With a the tokens of the right answer, and p, z all tokens before the policy's own answer, prompt and thought,

| variant | reward | bounds |
|---|---|---|
| `logprob` | log P(a given p, z) | floor to 0 |
| `average` | the same divided by the number of tokens of a | floor to 0 |
| `probability` | P(a given p, z), as VeriFree; vanishes on long answers | 0 to 1 |
| `token probability` | the mean over the tokens of a of their probabilities, as RLPR | 0 to 1 |
| `group` | log of the group's mean P(a given p, z_i), less that of the others alone (JEPO) | floor to -floor |

The paper finds `logprob` the one that works on verifiable and on long answers. Its gradient has a second part, a
supervised loss on a, which is the trainer's to add; what is here is the reward of z. A judgement whose answer cannot be
read earns the least there is.

Log-probabilities have no lower bound and a single impossible token would outweigh a whole group, so they end at `floor`
nats. The tokens of the right answer are encoded apart from what comes before them, which can differ from how a model
would have split the whole text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log
from typing import Literal, get_args

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, of_parts
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.contexts import before_answer, gold_text, likely
from agentjudge.rewards.logprobs import LogprobScorer
from agentjudge.rewards.reading import Missing, OfTerms, Reading, Row, Term, total
from agentjudge.trace import Trace

Variant = Literal["logprob", "average", "probability", "token probability"]
FLOOR = -20.0
"""Nats; the likelihood of about one in 500 million."""


def read_off(logprobs: Sequence[float], variant: Variant, *, floor: float = FLOOR) -> float:
    """A variant's number of the log-probabilities of an answer's tokens.

    Raises:
        ConfigError: no such variant.
    """
    if variant == "logprob":
        return max(floor, min(0.0, fsum(logprobs)))
    if variant == "average":
        return max(floor, min(0.0, fsum(logprobs) / max(1, len(logprobs))))
    if variant == "probability":
        return min(1.0, exp(fsum(logprobs)))
    if variant == "token probability":
        return min(1.0, fsum(map(exp, logprobs)) / max(1, len(logprobs)))
    raise ConfigError(f"unknown variant {variant!r}; there is {', '.join(get_args(Variant))}, and 'group'")


def without_one(likelihoods: Sequence[float]) -> list[float]:
    """What each of a group's probabilities adds to the log of their mean: log mean of all, less that of the others.

    Args:
        likelihoods: above 0; one alone adds nothing.
    """
    n, whole = len(likelihoods), fsum(likelihoods)
    if n < 2:
        return [0.0] * n
    others = [fsum(other for j, other in enumerate(likelihoods) if j != i) / (n - 1) for i in range(n)]
    return [log(whole / n) - log(other) for other in others]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely the right answer was where the policy gave its own."""

    scorer: LogprobScorer
    variant: Variant = "logprob"
    reference: Callable[[Case], str] = gold_text
    """The right answer, as the policy would have written it at that place."""
    floor: float = FLOOR

    def __post_init__(self) -> None:
        read_off((0.0,), self.variant)
        if self.floor >= 0:
            raise ConfigError(f"the floor of a log-probability is negative, not {self.floor!r}")

    @property
    def low(self) -> float:
        """See `Term`."""
        return 0.0 if self.variant in ("probability", "token probability") else self.floor

    @property
    def high(self) -> float:
        """See `Term`."""
        return 1.0 if self.low == 0.0 else 0.0

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        wanted = self.reference(case)
        if trace.verdict.status == "failed":
            return self.low
        found = await before_answer(trace, self.scorer)
        if isinstance(found, Missing):
            return found
        tokens = await likely(self.scorer, found.prefix, found.instead(wanted))
        return read_off([token.logprob for token in tokens], self.variant, floor=self.floor)


@dataclass(frozen=True, slots=True)
class GroupLikelihood(OfTerms):
    """The variant `group`."""

    likelihood: Likelihood
    """Of the variant `logprob`."""

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        return ("likelihood",)

    @property
    def low(self) -> float:
        """See `Declared`."""
        return self.likelihood.floor

    @property
    def high(self) -> float:
        """See `Declared`."""
        return -self.likelihood.floor

    @property
    def terms(self) -> Mapping[str, Term]:
        """See `OfTerms`."""
        return {"likelihood": self.likelihood}

    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `OfTerms`."""
        added = without_one([exp(total(row["likelihood"])) for row in rows])
        return [of_parts({"likelihood": each}) for each in added]


@register("reward", "likelihood", paper="2602.03979")
def likelihood(
    scorer: LogprobScorer,
    variant: Literal["logprob", "average", "probability", "token probability", "group"] = "logprob",
    *,
    reference: Callable[[Case], str] = gold_text,
    floor: float = FLOOR,
) -> Composite | GroupLikelihood:
    """How likely the right answer was after the policy's thought, by its log-probability or a variant of it.

    Args:
        scorer: of the policy, or of a frozen model.
        variant: see the table of `agentjudge.rewards.likelihood`.
        reference: the right answer of a case, as the policy would write it; the label of a JSON verdict by default.
        floor: nats below which a log-probability counts no further.
    """
    if variant == "group":
        return GroupLikelihood(Likelihood(scorer, "logprob", reference, floor))
    return Composite((Part("likelihood", Likelihood(scorer, variant, reference, floor)),))
