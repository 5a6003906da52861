"""BR-RM's reward: its released constants, and what its -100 does to a group."""

import statistics

import pytest
from judgements import PAIR, judgement, verdict_text

from agentjudge.errors import ConfigError
from agentjudge.rewards.branch_rethink import branch_rethink

RANKING = "[The Begin of Ranking Score]\n\\boxed{{{}}}\n[The End of Ranking Score]"


@pytest.mark.parametrize(
    ("said", "preference", "score"),
    [
        ("Both analysed.\n" + RANKING.format(1), -2, 0.0),
        ("Both analysed.\n" + RANKING.format(1).removesuffix("[The End of Ranking Score]"), -2, 0.0),
        (RANKING.format(2), 2, -10.0),
        (RANKING.format(7), None, -100.0),
        (RANKING.format("1, 2"), None, -100.0),
        ("\\boxed{1}", -2, -100.0),
        ("\\boxed{2} " + RANKING.format(1), -2, -100.0),
        (RANKING.format(1) + RANKING.format(1), -2, -100.0),
        (RANKING.format(1) + " Or not.", -2, -100.0),
        (RANKING.format(2), -2, -100.0),
        (verdict_text(preference=-1), -1, 0.0),
        (verdict_text(preference=2), 2, -10.0),
    ],
)
def test_the_table(said: str, preference: int | None, score: float) -> None:
    assert branch_rethink().score(judgement(PAIR, said=("", said), preference=preference), PAIR).score == score


def test_readme_and_code_differ_in_what_is_wrong_costs() -> None:
    wrong = judgement(PAIR, said=(RANKING.format(2),), preference=2)
    assert branch_rethink(wrong=-1).score(wrong, PAIR).score == -1.0
    assert branch_rethink().score(judgement(PAIR, failed="parse"), PAIR).components == {"verdict": 0, "format": -100}
    assert branch_rethink().score(judgement(PAIR, failed="budget"), PAIR).score is None
    with pytest.raises(ConfigError, match="malformed <= wrong"):
        branch_rethink(wrong=-5, malformed=-1)


@pytest.mark.parametrize(("malformed", "bad", "apart"), [(-100.0, 0, 2.0), (-100.0, 1, 0.31), (-20.0, 1, 1.44)])
def test_one_malformed_answer_outweighs_the_rest_of_its_group(malformed: float, bad: int, apart: float) -> None:
    said = [(RANKING.format(1), -2)] * 4 + [(RANKING.format(2), 2)] * (4 - bad) + [("?", None)] * bad
    group = [judgement(PAIR, said=(text,), preference=preference) for text, preference in said]
    scores = [r.score or 0.0 for r in branch_rethink(malformed=malformed).score_group(group, PAIR)]
    assert (scores[0] - scores[4]) / statistics.pstdev(scores) == pytest.approx(apart, abs=0.01)
