"""What every layout of the checklist judge shows, and what follows from its answers (`agentjudge.graphs.checklist`)."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from agentjudge.case import ActionChoice, Case, Step, Trajectory
from agentjudge.errors import DataError, ParseError, StoreError
from agentjudge.evidence import EvidenceStore
from agentjudge.graphs.arbiter_opening import fenced_parts
from agentjudge.graphs.arbiter_page import see_page
from agentjudge.graphs.fan_dialect import Answer, FanDialect
from agentjudge.graphs.odds import Odds
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State
from agentjudge.graphs.turns import text_of
from agentjudge.verdict import Confidence, Criterion

PROMPTS = Path(__file__).parent / "prompts" / "checklist"
Label = Literal["Yes", "In Progress", "No"]
LABELS: tuple[Label, ...] = get_args(Label)
WORTH: dict[str, float] = {"Yes": 1.0, "In Progress": 0.5, "No": 0.0}
MOST_ITEMS = 5
"""Subgoals that the judge writes; a case may bring more."""
ALTERNATIVES = 10
"""Tokens beside the sampled one, as in the released code."""


class Item(NamedTuple):
    """What was said of one subgoal."""

    label: Label
    reason: str
    odds: Odds | None
    """Of the labels; None where they are not known."""


class Judged(NamedTuple):
    """What was said of one step."""

    summary: str
    items: tuple[Item, ...]


class ChecklistDialect(FanDialect):
    """A checklist, then labels for each step, in one layout or another."""

    alternatives = ALTERNATIVES

    @abstractmethod
    def read_plan(self, text: str) -> tuple[str, ...]:
        """The subgoals that a model wrote.

        Raises:
            ParseError: none, or more than `MOST_ITEMS`.
        """

    @abstractmethod
    def steps(self, choices: Sequence[ActionChoice], items: Sequence[str], context: JudgeContext) -> Opening:
        """A message for each step, after the instructions."""

    def prepare(self, case: Case, context: JudgeContext) -> None:
        """Decode the screenshots that will be shown."""
        if isinstance(case, Trajectory):
            for step in case.steps:
                _screenshot(step, context)

    def open(self, case: Case, context: JudgeContext) -> Opening:
        """The steps to be judged, by the checklist that the case brings.

        Raises:
            DataError: a choice of several actions, or a run without steps.
        """
        case = judged_case(case)
        return self.steps(choices(case, context), case.checklist, context)

    def unfold(self, text: str, case: Case, context: JudgeContext) -> Opening:
        """The steps to be judged, by the checklist that was written.

        Raises:
            ParseError: there is none.
        """
        return self.steps(choices(case, context), self.read_plan(text), context)

    def checklist(self, state: State) -> tuple[str, ...]:
        """The subgoals of this judgement: the case's own, or those of the plan."""
        plans = [turn for turn in state.get("turns", []) if turn.phase == "plan"]
        return self.read_plan(text_of(plans[-1].message_out)) if plans else judged_case(state["case"]).checklist

    def together(self, answers: Sequence[Answer], state: State, context: JudgeContext) -> Draft:
        """The score of each step.

        Raises:
            ParseError: nothing could be read of one.
        """
        for answer in answers:
            if answer.value is None:
                raise ParseError(answer.problem)
        steps: list[Judged] = [answer.value for answer in answers]
        every = [_probability(item) for step in steps for item in step.items]
        known = [probability for probability in every if probability is not None]
        by_odds = len(known) == len(every)
        scores = tuple(_mean([_worth(item, by_odds) for item in step.items]) for step in steps)
        how = "probabilities of the labels" if by_odds else "labels alone: the model told no probabilities of them all"
        run = isinstance(state["case"], Trajectory)
        return Draft(
            score=None if run else scores[0],
            step_scores=scores if run else None,
            criteria=tuple(
                Criterion(
                    name=name,
                    reason=item.reason,
                    label=item.label,
                    score=_worth(item, by_odds),
                    probability=_probability(item) if by_odds else None,
                )
                for name, item in zip(self.checklist(state), steps[-1].items, strict=True)
            ),
            confidence=Confidence(value=_mean(known), method="logprob") if by_odds else None,
            rationale=f"{steps[-1].summary}\n(Scored by the {how}.)".strip(),
        )


def judged_case(case: Case) -> ActionChoice | Trajectory:
    """The case as one of the kinds that the judge takes."""
    assert isinstance(case, ActionChoice | Trajectory)
    return case


def choices(case: Case, context: JudgeContext) -> list[ActionChoice]:
    """What is to be judged, each as a choice of one action with the steps before it, and pictures for who takes them.

    Raises:
        DataError: a choice of several actions, or a run without steps.
    """
    case = judged_case(case)
    if isinstance(case, Trajectory):
        if not case.steps:
            raise DataError(f"case {case.id!r} is a run without steps, of which none could be scored")
        return [_choice(case, number, context) for number in range(len(case.steps))]
    if len(case.candidates) != 1:
        raise DataError(
            f"one action is scored at a time, and case {case.id!r} has {len(case.candidates)}: ask by the policy "
            f"ByScore, which scores each alone"
        )
    return [case if context.model.profile.images else case.model_copy(update={"images": ()})]


def _choice(case: Trajectory, number: int, context: JudgeContext) -> ActionChoice:
    step = case.steps[number]
    return ActionChoice(
        id=f"{case.id}~{number}",
        goal=case.goal,
        history=case.steps[:number],
        observation=step.observation,
        url=step.url,
        candidates=(step.action.strip() or "(none)",),
        thoughts=(step.thought,) if step.thought else (),
        images=_screenshot(step, context),
    )


def _screenshot(step: Step, context: JudgeContext) -> tuple[str, ...]:
    """The screenshot of a page of which there is no text, for models that take pictures."""
    if step.observation.strip() or not step.screenshot or not context.model.profile.images:
        return ()
    try:
        return (context.store.add_image(context.store.get(step.screenshot)).sha256,)
    except (DataError, StoreError):  # it is not shown, and the page is "(not given)"
        return ()


def first_page(case: Case) -> ActionChoice:
    """The task at its first page, as far as it is known.

    Raises:
        DataError: see `choices`.
    """
    case = judged_case(case)
    steps = case.steps if isinstance(case, Trajectory) else case.history
    if not steps and isinstance(case, ActionChoice):
        return case
    first = steps[0]
    return ActionChoice(id=case.id, goal=case.goal, observation=first.observation, url=first.url, candidates=("",))


def shown(choice: ActionChoice, context: JudgeContext) -> dict[str, str]:
    """Goal, page, steps before and address, fenced."""
    page = see_page(choice, replace(context, store=EvidenceStore()))  # pages of many steps, none of which is cited
    parts = fenced_parts(choice, context, page=page.text)
    parts["page"] += f"\n({page.cut} What is left out is on the page all the same.)" if page.cut else ""
    return parts


def listed(items: Sequence[str]) -> tuple[str, ...]:
    """Subgoals, a line each.

    Raises:
        ParseError: none, or more than `MOST_ITEMS`.
    """
    if not 1 <= len(items) <= MOST_ITEMS:
        raise ParseError(f"there must be 1 to {MOST_ITEMS} subgoals, not {len(items)}")
    return tuple(" ".join(item.split()) for item in items)


def read_label(said: object) -> Label:
    """One of `LABELS`, in small letters or capitals.

    Raises:
        ParseError: it is none.
    """
    folded = " ".join(said.replace("_", " ").replace("-", " ").split()).lower() if isinstance(said, str) else ""
    for label in LABELS:
        if folded == label.lower():
            return label
    raise ParseError(f"a label must be one of {', '.join(LABELS)}, not {said!r}")


def _worth(item: Item, by_odds: bool) -> float:
    if by_odds and item.odds is not None:
        return min(1.0, sum(WORTH[label] * share for label, share in item.odds.items()))
    return WORTH[item.label]


def _probability(item: Item) -> float | None:
    return None if item.odds is None else min(1.0, item.odds[item.label])


def _mean(values: Sequence[float]) -> float:
    return min(1.0, sum(values) / len(values))
