"""How the embedded judge compares answers: what its claim verifier can say of them, and no more than that.

The verifier knows claims and evidence, not quality. It is asked three things of every answer, passage by passage:

| criterion | question to the verifier | share |
|---|---|---|
| on topic | does the passage bear on the prompt? | mean relevance |
| consistent | does the next passage contradict this one? | 1 - mean chance of REFUTE |
| grounded | do the sentences shown support it? Only where some are shown. | mean of SUPPORT - REFUTE, moved to 0..1 |

Answers are compared by the plain mean of these. What says nothing contradicts nothing, and is neither supported nor
refuted: its mean is 1/2. So an answer that is scored alone gets by how much its mean is above that, from 0 to 1, which
leaves the order of answers as it is. An answer without a letter or a digit is none, as an empty one.

There is no trained weight, no threshold fitted on any benchmark, and no rule about length or form. Whether that is
better than chance is for the benchmarks to say; the numbers stand in `benchmarks/README.md`. It says nothing of how
sure it is, because that was never calibrated.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentjudge.case import Comparison, Response
from agentjudge.models.embedded.verifier import Verifier, format_evidence
from agentjudge.sentences import sentence_spans

PASSAGE = 300
"""Characters to which sentences are joined: about what the verifier was trained on."""
MOST_PASSAGES = 12
"""Passages of an answer that are looked at, spread evenly over it."""
PROMPT = 600
"""Characters of the prompt that are looked at: the verifier reads 192 tokens in all."""
MOST_EVIDENCE = 24
"""Sentences shown that a passage is held against."""
JUDGED_TOGETHER = 3
CACHED = 20_000
"""Answers whose marks are kept."""
STRENGTHS = (0.05, 0.2)
"""Differences of means from which one answer is clearly better, and much better. Only the sign decides a verdict."""

Sentence = tuple[str, str, str]
"""(id, title, text) of a sentence that was shown."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What the verifier makes of one answer; shares are 0..1."""

    shares: dict[str, float]
    """By criterion."""
    cited: tuple[str, ...] = ()
    """Ids of the sentences that spoke most clearly for or against it."""

    @property
    def mean(self) -> float:
        """The plain mean of the shares, by which answers are compared; 0 for an empty answer."""
        return sum(self.shares.values()) / len(self.shares) if self.shares else 0.0

    @property
    def alone(self) -> float:
        """The score of an answer by itself: how far its mean is above that of an answer which says nothing."""
        return max(0.0, 2 * self.mean - 1)


class Comparer:
    """Compares and scores answers with the learned verifier. Not safe for concurrent calls.

    Args:
        verifier: the learned part.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._marks: OrderedDict[bytes, Marks] = OrderedDict()

    def verdict(self, case: Comparison | Response, shown: Sequence[Sentence]) -> str:
        """The verdict on a case as the JSON object that the judge `compare` asks for.

        Args:
            case: without pictures.
            shown: the sentences of documents and searches.
        """
        answers = (case.response,) if isinstance(case, Response) else case.responses
        marks = [self.marks(case.prompt, answer, shown) for answer in answers]
        names = list(dict.fromkeys(name for each in marks for name in each.shares)) or ["on topic"]
        reason = f"Mean of {', '.join(names)}: {', '.join(f'{each.mean:.3f}' for each in marks)}."
        judged: list[dict[str, Any]]
        outcome: dict[str, Any]
        if isinstance(case, Response):
            shares = {name: marks[0].shares.get(name, 0.0) for name in names}
            judged = [
                {"name": name, "reason": _reason(name, [share]), "score": round(share, 4)}
                for name, share in shares.items()
            ]
            outcome = {"score": round(marks[0].alone, 6)}
            reason += " An answer that says nothing has 0.5, and the score is what is above that."
        else:
            judged = [_criterion(name, [each.shares.get(name, 0.0) for each in marks]) for name in names]
            outcome = _preference(marks) if len(marks) == 2 else {"ranking": _ranking(marks, answers)}
        found = {
            "criteria": judged,
            "evidence": list(dict.fromkeys(id for each in marks for id in each.cited))[:JUDGED_TOGETHER],
            "reason": reason,
            **outcome,
            "confidence": None,
        }
        return json.dumps(found, ensure_ascii=False)

    def marks(self, prompt: str, answer: str, shown: Sequence[Sentence]) -> Marks:
        """The marks of one answer; the same whatever it stands beside."""
        key = _key(prompt, answer, *(id for id, _, _ in shown))
        if key in self._marks:
            self._marks.move_to_end(key)
            return self._marks[key]
        made = self._marks[key] = self._mark(" ".join(prompt.split())[:PROMPT], passages(answer), shown)
        if len(self._marks) > CACHED:
            self._marks.popitem(last=False)
        return made

    def _mark(self, prompt: str, parts: Sequence[str], shown: Sequence[Sentence]) -> Marks:
        if not any(char.isalnum() for part in parts for char in part):
            return Marks({})
        topic = self._verifier.score([(prompt, part) for part in parts]).relevance
        shares = {"on topic": float(topic.mean())}
        pairs = [(later, earlier) for earlier, later in zip(parts, parts[1:], strict=False)]
        clash = float(self._verifier.score(pairs).probabilities[:, 1].mean()) if pairs else 0.0
        shares["consistent"] = 1 - clash
        if not shown:
            return Marks(shares)
        grounds = [self._ground(part, shown[:MOST_EVIDENCE]) for part in parts]
        shares["grounded"] = sum(ground.balance for ground in grounds) / len(grounds)
        clearest = max(grounds, key=lambda ground: abs(ground.balance - 0.5))
        return Marks(shares, clearest.cited)

    def _ground(self, part: str, shown: Sequence[Sentence]) -> "_Ground":
        """How far the most relevant of the sentences speak for a passage."""
        texts = [format_evidence([(title, text)]) for _, title, text in shown]
        relevance = self._verifier.score([(part, text) for text in texts]).relevance
        best = sorted(range(len(shown)), key=lambda i: -relevance[i])[:JUDGED_TOGETHER]
        together = format_evidence([shown[i][1:] for i in best])
        support, refute, _ = map(float, self._verifier.score([(part, together)]).probabilities[0])
        return _Ground((1 + float(relevance[best[0]]) * (support - refute)) / 2, tuple(shown[i][0] for i in best))


class _Ground(NamedTuple):
    balance: float
    """1: supported, 0: refuted, 1/2: neither."""
    cited: tuple[str, ...]


def passages(text: str) -> list[str]:
    """The sentences of a text, neighbours joined while they stay short; at most `MOST_PASSAGES`, spread evenly."""
    found: list[str] = []
    for start, end in sentence_spans(text):
        sentence = " ".join(text[start:end].split())
        if found and len(found[-1]) + len(sentence) < PASSAGE:
            found[-1] += f" {sentence}"
        else:
            found.append(sentence)
    if len(found) <= MOST_PASSAGES:
        return found
    return [found[round(i * (len(found) - 1) / (MOST_PASSAGES - 1))] for i in range(MOST_PASSAGES)]


def _criterion(name: str, shares: Sequence[float]) -> dict[str, Any]:
    top = max(shares)
    best = [i for i, share in enumerate(shares, 1) if share == top]
    return {"name": name, "reason": _reason(name, shares), "best": best[0] if len(best) == 1 else "tie"}


def _reason(name: str, shares: Sequence[float]) -> str:
    said = {
        "on topic": "Chance that a passage bears on the prompt",
        "consistent": "Chance that a passage does not contradict the one before it",
        "grounded": "Support by the sentences shown, 1/2 being neither support nor contradiction",
    }
    return f"{said[name]}, on average: {', '.join(f'{share:.3f}' for share in shares)}."


def _preference(marks: Sequence[Marks]) -> dict[str, int]:
    gap = round(marks[1].mean - marks[0].mean, 6)
    strength = bool(gap) + sum(abs(gap) >= step for step in STRENGTHS)
    return {"preference": strength if gap > 0 else -strength}


def _ranking(marks: Sequence[Marks], answers: Sequence[str]) -> list[int]:
    """Numbers of the answers, best first; equal ones by a lot that does not know their places."""
    order = sorted(range(len(marks)), key=lambda i: (-marks[i].mean, _key(answers[i])))
    return [i + 1 for i in order]


def _key(*texts: str) -> bytes:
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "replace")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
