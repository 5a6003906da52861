"""The reward of Veri-R1 (arXiv 2510.01932): label, evidence, format, and a weight that evidence gives the label.

With P the ids cited and G those of gold (n of them), L = 1 for the right label, F = 1 for the format,

    E = |P and G| / |P or G|, 0 where G is empty
    V = 1 if G lies in P, 0.5 if at least half of G (n / 2, rounded up) does, else 0
    R = 2 V L + E + F          and 2 L + E + F where gold is NOT ENOUGH INFO

The paper's gold is one set of ids. Where a case has alternative groups, the one that gives the most counts. An id is
cited only if the judge was shown it, as in every verdict of ours; the released code also pays for ids that were
guessed. `without` leaves a part out, as the paper's ablations do.
"""

import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from agentjudge.case import NOT_ENOUGH_INFO, Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, masked, of_parts
from agentjudge.rewards.terms import correct, well_formed
from agentjudge.trace import Trace

Without = Literal["nothing", "evidence", "weight", "format", "evidence and weight"]
_TAG = re.compile(r"<(/?)(plan|search|information|think|answer)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VeriR1(Alone):
    """The formula above; 0 to 4, or to 3 where gold has no evidence."""

    without: Without = "nothing"
    """`evidence and weight` is the ablation that pays for label and format alone."""
    keys: ClassVar = ("label", "evidence", "format")
    low: ClassVar = 0.0

    def __post_init__(self) -> None:
        if self.without not in get_args(Without):
            raise ConfigError(f"cannot leave {self.without!r} out; there is {', '.join(get_args(Without))}")

    @property
    def high(self) -> float:
        """See `Declared`."""
        return 4.0 - ("evidence" in self.without) - (self.without == "format")

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`.

        Raises:
            DataError: the case has no gold label.
        """
        if (found := masked(trace)) is not None:
            return found
        right = correct(trace.verdict, case)
        gold = case.gold
        assert gold is not None  # or `correct` had raised
        cited = {_normal(ref.id) for ref in trace.verdict.evidence if ref.id}
        groups = [{_normal(name) for name in group} for group in gold.evidence] or [set[str]()]
        weighed = "weight" not in self.without and gold.label != NOT_ENOUGH_INFO
        paid: list[dict[str, float]] = [
            {
                "label": 2.0 * right * (validity(cited, group) if weighed else 1.0),
                "evidence": 0.0 if "evidence" in self.without else overlap(cited, group),
            }
            for group in groups
        ]
        form = 0.0 if self.without == "format" else float(in_format(trace))
        best = max(paid, key=lambda parts: sum(parts.values()))
        return of_parts({**best, "format": form})


def overlap(cited: Set[str], gold: Set[str]) -> float:
    """E: shared ids of all ids (0..1), 0 where gold has none."""
    return len(cited & gold) / len(cited | gold) if gold else 0.0


def validity(cited: Set[str], gold: Set[str]) -> float:
    """V: 1 where all of gold is cited, 0.5 where half of it is, else 0."""
    if gold <= cited:
        return 1.0
    return 0.5 if len(cited & gold) >= (len(gold) + 1) // 2 else 0.0


def in_format(trace: Trace) -> bool:
    """Whether the judgement kept to its format: the paper's tags, or a last turn that is one JSON object.

    In the paper's tags no block stands in another, `information` is never written by the model, and one answer ends
    it all. The judge's observations open a `think` block that the model's next turn goes on writing.
    """
    if trace.verdict.status == "failed" or not trace.turns:
        return False
    if not any(_TAG.search(str(turn.message_out.get("content") or "")) for turn in trace.turns):
        return well_formed(trace)
    written: list[str] = []
    for turn in trace.turns:
        asked = str(trace.messages[len(turn.messages_in) - 1].get("content") or "") if turn.messages_in else ""
        blocks = _blocks(str(turn.message_out.get("content") or ""), inside=asked.rstrip().endswith("<think>"))
        if blocks is None or "information" in blocks:
            return False
        written += blocks
    return written.count("answer") == 1 and written[-1] == "answer"


def _blocks(text: str, *, inside: bool) -> list[str] | None:
    """Names of the blocks of a turn in order; None where they are nested, crossed or left open."""
    opened, names = ("think" if inside else ""), []
    for slash, name in _TAG.findall(text):
        name = name.lower()
        if bool(slash) != (opened == name) or (opened and not slash):
            return None
        opened = "" if slash else name
        names += [name] if slash else []
    return None if opened else names


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


@register("reward", "veri_r1", paper="2510.01932")
def veri_r1(without: Without = "nothing") -> VeriR1:
    """Veri-R1's reward: the label, weighed by its evidence, the evidence itself, and the format."""
    return VeriR1(without)
