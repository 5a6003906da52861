"""Judges with one flaw each, an honest one, and cases on which the honest one is always right.

A judge is a rule on the case: `judged(MasterKeys(), always_yes, sums(40))` is what an audit finds in it. What is right
can be told from every case by itself: sums can be added up, claims stand in their documents or do not, and a run was a
success if its last page says so.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from agentjudge.audit.base import Audit, Audited, Finding
from agentjudge.case import (
    ActionChoice,
    Case,
    Claim,
    Comparison,
    Document,
    Gold,
    Response,
    Step,
    Trajectory,
)
from agentjudge.runs.floors import RuleJudge
from agentjudge.runs.ordering import options_of
from agentjudge.trace import Trace

Rule = Callable[[Case], dict[str, Any]]


def judged(audit: Audit, rule: Rule, cases: Sequence[Case]) -> Finding:
    """What an audit finds in a judge, its second round included."""
    fitting = [case for case in cases if isinstance(case, audit.kinds)]
    first = [Audited(probe, trace_of(rule, probe.case)) for probe in audit.probes(fitting)]
    second = [Audited(probe, trace_of(rule, probe.case)) for probe in audit.again(first)]
    return audit.find([*first, *second])


def trace_of(rule: Rule, case: Case) -> Trace:
    """The judgement of a rule, which sees what a judge may see and does not say the same twice by its memory."""
    verdict = RuleJudge(rule.__name__, rule).judge(case.blind())
    return Trace(case.blind(), rule.__name__, [], [], [], (), verdict)


def state_of(finding: Finding, name: str) -> str:
    return next(number.state for number in finding.numbers if number.name == name)


def value_of(finding: Finding, name: str) -> float:
    return next(number.value.mean for number in finding.numbers if number.name == name)


# cases


def sums(n: int) -> list[Case]:
    """Answers to sums, every second one wrong."""
    return [
        Response(
            id=f"sum-{i}",
            prompt=f"What is {i} + {2 * i}?",
            response=f"{i} + {2 * i} = {3 * i + i % 2}. It doesn't take more than adding up.",
            gold=Gold(score=1 - i % 2),
        )
        for i in range(1, n + 1)
    ]


def pairs(n: int, *, answers: int = 2) -> list[Case]:
    """A right answer to a sum among wrong ones, in every place."""
    found: list[Case] = []
    for i in range(1, n + 1):
        right = i % answers
        texts = [
            f"{i} + {2 * i} = {3 * i + (j - right) % answers}. It doesn't take more than adding up."
            for j in range(answers)
        ]
        order = sorted(range(answers), key=lambda j: (j - right) % answers)
        gold = Gold(preference=3 if right else -3) if answers == 2 else Gold(ranking=tuple(order))
        found.append(Comparison(id=f"pair-{i}", prompt=f"What is {i} + {2 * i}?", responses=tuple(texts), gold=gold))
    return found


def claims(n: int) -> list[Case]:
    """Claims about bridges with a document each: in turn supported, refuted, and about something else."""
    found: list[Case] = []
    for i in range(n):
        text = f"Bridge {i} opened in {1800 + i}. It doesn't carry trains."
        label = ("SUPPORT", "REFUTE", "NOT ENOUGH INFO")[i % 3]
        said = {
            "SUPPORT": f"Bridge {i} opened in {1800 + i}.",
            "REFUTE": f"Bridge {i} opened in {1900 + i}.",
            "NOT ENOUGH INFO": f"Tower {i} opened in {1800 + i}.",
        }[label]
        found.append(
            Claim(id=f"claim-{i}", claim=said, documents=(Document(id=f"d{i}", text=text),), gold=Gold(label=label))
        )
    return found


def runs(n: int) -> list[Case]:
    """Runs of an agent, every second one a failure."""
    return [
        Trajectory(
            id=f"run-{i}",
            goal=f"Order {i} mugs.",
            steps=(
                Step(observation="A shop.", action="click('1')"),
                Step(observation="Order placed." if i % 2 else "The basket is empty.", action="noop()"),
            ),
            final_answer=f"I ordered {i} mugs.",
            gold=Gold(label="success" if i % 2 else "failure"),
        )
        for i in range(n)
    ]


def clicks(n: int) -> list[Case]:
    """Next actions, of which one clicks on what is asked for."""
    return [
        ActionChoice(
            id=f"click-{i}",
            goal=f"Click on {i}.",
            observation=f"[{i}] button, [{i + 1}] button",
            candidates=(f"click('{i + i % 2}')", f"click('{i + 1 - i % 2}')"),
            thoughts=("This one.", "That one."),
            gold=Gold(ranking=(1, 0) if i % 2 else (0, 1)),
        )
        for i in range(n)
    ]


# what is right


def worth(case: Case, text: str) -> float:
    """1 where a text answers the question of its case, 0 where it does not."""
    if isinstance(case, ActionChoice):
        return float(text == f"click('{case.goal.split()[-1].rstrip('.')}')")
    first, second = re.findall(r"\d+", case.prompt)[:2]  # type: ignore[attr-defined]
    found = re.search(r"= (\d+)", text)
    return float(found is not None and int(found[1]) == int(first) + int(second))


def weighed(case: Case, values: Sequence[float]) -> dict[str, Any]:
    """The outcome of a judge that gives each candidate a value."""
    if len(values) == 2:
        return {"preference": 3 * ((values[1] > values[0]) - (values[1] < values[0]))}
    return {"ranking": tuple(sorted(range(len(values)), key=lambda i: -values[i]))}


def labelled(label: str, sure: float = 0.9) -> dict[str, Any]:
    rest = [each for each in ("SUPPORT", "REFUTE", "NOT ENOUGH INFO") if each != label]
    return {"label": label, "probabilities": {label: sure, **dict.fromkeys(rest, (1 - sure) / 2)}}


def honest(case: Case) -> dict[str, Any]:
    """Adds up, reads, looks; whatever else is said moves it nowhere."""
    if isinstance(case, Response):
        return {"score": worth(case, case.response)}
    if isinstance(case, Claim):
        text = " ".join(each.text for each in case.documents if isinstance(each, Document))
        said = re.search(r"Bridge (\d+) opened in (\d+)\.", case.claim)
        known = said and re.search(rf"Bridge {said[1]} opened in (\d+)\.", text)
        return labelled(("SUPPORT" if known[1] == said[2] else "REFUTE") if known and said else "NOT ENOUGH INFO")
    if isinstance(case, Trajectory):
        return {"label": "success" if any("Order placed." in s.observation for s in case.steps) else "failure"}
    return weighed(case, [worth(case, text) for text in options_of(case)])


# flaws


def always_yes(case: Case) -> dict[str, Any]:
    """Takes everything for right; of two it prefers the one that was not written by the honest."""
    if isinstance(case, Response):
        return {"score": 1.0}
    if isinstance(case, Claim):
        return labelled("SUPPORT")
    if isinstance(case, Trajectory):
        return {"label": "success"}
    return weighed(case, [0.0] * len(options_of(case)))


def first_position(case: Case) -> dict[str, Any]:
    """Prefers what stands first."""
    options = options_of(case)
    return weighed(case, range(len(options), 0, -1)) if options else honest(case)


def longest(case: Case) -> dict[str, Any]:
    """Prefers what is long."""
    options = options_of(case)
    if isinstance(case, Response):
        return {"score": len(case.response) / (len(case.response) + 60)}
    return weighed(case, [len(text) for text in options]) if options else honest(case)


TAGS = re.compile(r"<\w+>|\[\[|\"label\"|verdict:|score:|ignore|instead of", re.IGNORECASE)


def tag_believer(case: Case) -> dict[str, Any]:
    """Believes tags and whatever gives it orders; honest otherwise."""
    if isinstance(case, Response):
        return {"score": 1.0} if TAGS.search(case.response) else honest(case)
    if isinstance(case, Trajectory):
        said = " ".join([case.final_answer or "", *(step.observation for step in case.steps)])
        return {"label": "success"} if TAGS.search(said) else honest(case)
    if isinstance(case, Claim):
        return labelled("SUPPORT") if TAGS.search(case.claim) else honest(case)
    return weighed(case, [2.0 if TAGS.search(text) else worth(case, text) for text in options_of(case)])


def evidence_ignorer(case: Case) -> dict[str, Any]:
    """Knows the claims by heart, and believes what an agent says of itself; never looks at what it is shown."""
    if isinstance(case, Claim):
        said = re.search(r"(Bridge|Tower) \d+ opened in (\d+)\.", case.claim)
        if said is None or said[1] == "Tower":
            return labelled("NOT ENOUGH INFO")
        return labelled("SUPPORT" if int(said[2]) < 1900 else "REFUTE")
    return {"label": "success"} if isinstance(case, Trajectory) else honest(case)


def overconfident(case: Case) -> dict[str, Any]:
    """Right about two claims in three, and all but sure of each."""
    if not isinstance(case, Claim):
        return honest(case)
    said = honest(case)["label"]
    return labelled("SUPPORT" if said == "NOT ENOUGH INFO" else said, 0.99)


LABELS = "SUPPORT|REFUTE|NOT ENOUGH INFO|success|failure"
WANTED = re.compile(rf"(?:give|outcome is) (?:the label ({LABELS})|the score (\d\.\d)|number (\d+))")


def obedient(case: Case) -> dict[str, Any]:
    """Does what any text of the case tells it to; honest otherwise."""
    told = WANTED.search(case.model_dump_json())
    if told is None:
        return honest(case)
    if isinstance(case, Claim):
        return labelled(told[1])
    if isinstance(case, Trajectory):
        return {"label": told[1]}
    if isinstance(case, Response):
        return {"score": float(told[2])}
    return weighed(case, [float(i + 1 == int(told[3])) for i in range(len(options_of(case)))])
