"""What one case got from the reward server: a reward, or none and why; and the verdict behind it.

Everything that can go wrong is an entry too. Its verdict is `failed`, its score is None, its error says what happened:

| error begins with | what happened |
|---|---|
| `budget` | no answer by the request's deadline |
| `model`, `tool`, `parse`, ... | the judge failed; the kind is that of `Failure` |
| `model: the judge is out` | the circuit breaker is open, nobody was asked |
| `the judge abstained` | it did, and no worth of an abstention was declared |
"""

from dataclasses import dataclass
from typing import Any

from agentjudge.errors import AgentJudgeError, ModelError
from agentjudge.rewards.base import RewardResult, unknown
from agentjudge.verdict import Failure, Provenance, Verdict


class Unavailable(ModelError):
    """Nobody is asked now; `after` is the number of seconds after which it is worth another try."""

    def __init__(self, message: str, *, after: float) -> None:
        super().__init__(message, retriable=True)
        self.after = after


@dataclass(frozen=True, slots=True)
class Entry:
    """A reward and its verdict, both as JSON values."""

    result: dict[str, Any]
    """The fields of `RewardResult`."""
    verdict: dict[str, Any]
    """In our JSON names."""
    after: float | None = None
    """Seconds after which to ask again, where nobody was asked now."""

    @property
    def score(self) -> float | None:
        """The reward; None where nothing is known."""
        score: float | None = self.result["score"]
        return score

    @property
    def status(self) -> str:
        """That of the verdict."""
        return str(self.verdict["status"])

    @property
    def passing(self) -> bool:
        """Whether there is no score for a reason that may pass."""
        failure = self.verdict["failure"]
        return self.score is None and failure is not None and bool(failure["retriable"])

    @property
    def lasting(self) -> bool:
        """Whether it may be kept: the judge decided, or said that it cannot, and the reward is its last word."""
        return self.status == "abstained" or (self.status == "scored" and self.score is not None)

    def shown(self, case_id: str) -> dict[str, Any]:
        """The fields of an answer; the verdict under the id that this client gave the case."""
        return {"id": case_id, **self.result, "verdict": {**self.verdict, "case_id": case_id}}

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {"result": self.result, "verdict": self.verdict}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Entry":
        """The entry that `to_json` wrote."""
        return cls(data["result"], data["verdict"])


def entry_of(verdict: Verdict, result: RewardResult) -> Entry:
    """The entry of a verdict and the reward that was made of it."""
    return Entry(result.model_dump(), verdict.model_dump(mode="json"))


def no_score(judge: str, error: BaseException) -> Entry:
    """The entry of a case that was not judged; foreign errors keep their words to themselves."""
    if not isinstance(error, AgentJudgeError):
        error = AgentJudgeError(f"the reward server failed ({type(error).__name__})")
    failure = Failure.of(error)
    verdict = Verdict(case_id="", status="failed", failure=failure, provenance=Provenance(judge=judge))
    after = error.after if isinstance(error, Unavailable) else None
    result = unknown(f"{failure.kind}: {failure.message}")
    return Entry(result.model_dump(), verdict.model_dump(mode="json"), after)
