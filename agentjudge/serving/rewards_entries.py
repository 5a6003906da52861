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

import orjson

from agentjudge.errors import AgentJudgeError, ModelError
from agentjudge.rewards.base import RewardResult, unknown
from agentjudge.verdict import Failure, Provenance, Verdict

_ID = {"case_id"}


class Unavailable(ModelError):
    """Nobody is asked now; `after` is the number of seconds after which it is worth another try."""

    def __init__(self, message: str, *, after: float) -> None:
        super().__init__(message, retriable=True)
        self.after = after


@dataclass(frozen=True, slots=True)
class Entry:
    """A reward and its verdict, kept as JSON: of thousands in a cache Python's garbage collector sees next to nothing.

    A verdict stands without its case's id here, since each client calls the case by another one.
    """

    score: float | None
    """The reward; None where nothing is known."""
    status: str
    """That of the verdict."""
    error: str
    """Why there is no score."""
    result: bytes
    """The fields of `RewardResult`, a JSON object."""
    verdict: bytes
    """In our JSON names, a JSON object."""
    passing: bool = False
    """Whether there is no score for a reason that may pass."""
    after: float | None = None
    """Seconds after which to ask again, where nobody was asked now."""

    @property
    def lasting(self) -> bool:
        """Whether it may be kept: the judge decided, or said that it cannot, and the reward is its last word."""
        return self.status == "abstained" or (self.status == "scored" and self.score is not None)

    def verdict_on(self, case_id: str) -> orjson.Fragment:
        """The verdict, under the id that this client gave the case."""
        return orjson.Fragment(b'{"case_id":' + orjson.dumps(case_id) + b"," + self.verdict[1:])

    def shown(self, case_id: str, **more: Any) -> orjson.Fragment:
        """An object of an answer: the id, the reward, the verdict, and what else is said of it."""
        beside = orjson.dumps({"verdict": self.verdict_on(case_id), **more})
        return orjson.Fragment(b'{"id":' + orjson.dumps(case_id) + b"," + self.result[1:-1] + b"," + beside[1:])

    def to_json(self) -> orjson.Fragment:
        """A JSON object that `from_json` reads."""
        return orjson.Fragment(b'{"result":' + self.result + b',"verdict":' + self.verdict + b"}")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Entry":
        """The entry that `to_json` wrote."""
        result, verdict = data["result"], data["verdict"]
        told = orjson.dumps(result), orjson.dumps(verdict)
        return cls(result["score"], verdict["status"], result["error"], *told)


def entry_of(verdict: Verdict, result: RewardResult, *, after: float | None = None) -> Entry:
    """The entry of a verdict and the reward that was made of it."""
    failure = verdict.failure
    return Entry(
        result.score,
        verdict.status,
        result.error,
        result.model_dump_json().encode(),
        verdict.model_dump_json(exclude=_ID).encode(),
        passing=result.score is None and failure is not None and failure.retriable,
        after=after,
    )


def no_score(judge: str, error: BaseException) -> Entry:
    """The entry of a case that was not judged; foreign errors keep their words to themselves."""
    if not isinstance(error, AgentJudgeError):
        error = AgentJudgeError(f"the reward server failed ({type(error).__name__})")
    failure = Failure.of(error)
    verdict = Verdict(case_id="", status="failed", failure=failure, provenance=Provenance(judge=judge))
    after = error.after if isinstance(error, Unavailable) else None
    return entry_of(verdict, unknown(f"{failure.kind}: {failure.message}"), after=after)
