"""WebArbiter's and RM-R1's rewards: 1 or -1, on a verdict tag that stands alone at the very end."""

from typing import Any

import pytest
from judgements import PAIR, judgement, verdict_text

from agentjudge.case import ActionChoice, Gold
from agentjudge.errors import DataError
from agentjudge.judge import Judge
from agentjudge.models.profiles import ModelProfile
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.preference import LETTERS, RESPONSES, rm_r1, web_arbiter
from agentjudge.rewards.tags import sole_tag

ONE, TWO = RESPONSES
THOUGHT = "<State>Home.</State><Criteria>Progress.</Criteria><Analysis>The first one searches.</Analysis>"
CHOICE = ActionChoice(
    id="w", goal="Find red shoes.", observation="[1] textbox", candidates=("fill('1', 'red shoes')", "go_back()"),
    gold=Gold(preference=-1),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "side"),
    [
        (THOUGHT + ONE, 0),
        (THOUGHT + TWO + "\n", 1),
        (THOUGHT + "<answer> response  1 </ANSWER>", 0),
        (f"<think>{TWO} at first.</think>{ONE}", 0),
        (f"<think>a</think>{TWO}</think>{ONE}", None),
        (ONE + TWO, None),
        (ONE + ONE, None),
        (f"{TWO} No. " + "Let me see. " * 20 + ONE, None),
        (ONE + " So the first is better, as I have said, and I stand by it." * 2, None),
        (THOUGHT + "<Answer>Response 3</Answer>", None),
        (THOUGHT + "<Answer>Response 1", None),
        ("Response 1", None),
        ("", None),
    ],
)
def test_the_tag_stands_alone_at_the_end(text: str, side: int | None) -> None:
    assert sole_tag(text, RESPONSES) == side


@pytest.mark.parametrize("reward", [web_arbiter(), rm_r1()])
@pytest.mark.parametrize(("preference", "score"), [(-2, 1.0), (-1, 1.0), (1, -1.0), (3, -1.0), (0, -1.0)])
def test_a_json_verdict_is_paid_by_what_was_read_from_it(reward: Any, preference: int, score: float) -> None:
    said = verdict_text(reason=f"Its page says {TWO} and [[B]].", preference=preference)
    assert reward.score(judgement(PAIR, said=(said,), preference=preference), PAIR).score == score


@pytest.mark.parametrize(("reward", "tags"), [(web_arbiter(), RESPONSES), (rm_r1(), LETTERS)])
def test_in_the_released_layout_the_tag_decides(reward: Any, tags: tuple[str, str]) -> None:
    def paid(said: str, preference: int | None) -> Any:
        return reward.score(judgement(PAIR, said=(said,), preference=preference), PAIR).score

    assert paid(THOUGHT + tags[0], -2) == 1.0
    assert paid(THOUGHT + tags[1], 2) == -1.0
    assert paid(THOUGHT + tags[0] + tags[1], -2) == -1.0
    assert paid(THOUGHT + tags[1], -2) == -1.0  # a record that says otherwise than its text
    assert paid(THOUGHT, None) == -1.0


def test_what_cannot_be_read_is_the_policys_fault_and_an_outage_is_not() -> None:
    for reward in (web_arbiter(), rm_r1()):
        assert reward.score(judgement(PAIR, failed="parse"), PAIR).score == -1.0
        assert reward.score(judgement(PAIR, failed="model"), PAIR).score is None
        with pytest.raises(DataError, match="has no gold"):
            reward.score(judgement(PAIR, preference=1), PAIR.blind())


@pytest.mark.parametrize(
    ("said", "score"), [(THOUGHT + ONE, 1.0), (THOUGHT + TWO, -1.0), (THOUGHT, -1.0), (ONE + TWO + ONE, -1.0)]
)
def test_whole_judgements_in_the_released_layout(said: str, score: float) -> None:
    model = ScriptedModel([said] * 3, profile=ModelProfile(protocol="tags"))
    with Judge.load("web-arbiter", model=model) as judge:
        trace = judge.run(CHOICE)
    assert web_arbiter().score(trace, CHOICE).score == score
