"""WebJudge: was the task of a web agent done? Its three-step protocol, for comparison (arXiv 2504.01382).

    judge = Judge(webjudge(threshold=3), model=load_model("openai:gpt-4o"))
    verdict = judge.judge(run)
    verdict.label                    # "success" or "failure"
    verdict.evidence                 # the screenshots that were kept

1. Key points, from the task alone: a numbered list. A case may bring its own.
2. Every screenshot is scored from 1 to 5, after a reason, all at once and each by itself. Those of at least `threshold`
   are kept, in order of time the first `most` of them.
3. The verdict, from task, key points, actions without thoughts, and what was kept, with its reasons: `Thoughts:`, then
   `Status: "success"` or `"failure"`.

As in the release, the text alone is judged where no screenshot is kept, and an answer to the user is no action: a last
step that gives one is left out, and so is `Trajectory.final_answer`. Otherwise than there

- a score that cannot be read is asked for once more, and then counts as none: never silently as 0;
- the last `Status:` counts, and one that cannot be read is asked for once more, and then fails: it is no "failure";
- a screenshot that comes again is scored once, at its first place: the question would be the same.

The rationale begins with the protocol, the threshold, and how many screenshots were kept of how many; criteria are the
screenshots with their scores. Where the model tells alternatives to its tokens, the verdict has the probabilities of
both labels. Screenshots of a case that have no place (`Trajectory.images`) come after those of the steps. The prompts
are our own wording.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agentjudge.actions import parse_action
from agentjudge.boxes import WHOLE
from agentjudge.budget import Budget
from agentjudge.case import Case, Trajectory
from agentjudge.errors import ConfigError, DataError, ParseError, StoreError
from agentjudge.evidence import EvidenceRef, EvidenceStore
from agentjudge.graphs.dialect import plural
from agentjudge.graphs.fan_dialect import Answer, FanDialect, answers
from agentjudge.graphs.fanout import FanJudge
from agentjudge.graphs.odds import odds
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State
from agentjudge.graphs.turns import text_of
from agentjudge.prompts import fill, load_prompt
from agentjudge.registry import register
from agentjudge.tools.citing import plain
from agentjudge.trace import Message, Phase, Turn, picture_names
from agentjudge.verdict import Confidence, Criterion

PROMPTS = Path(__file__).parent / "prompts" / "webjudge"
THRESHOLD, MOST = 3, 50
"""The least score of a screenshot that is kept, and how many are kept at most."""
MOST_POINTS = 30
STATUSES = ("success", "failure")
_POINT = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]+(.+)$", re.MULTILINE)
_REASONING = re.compile(r"reasoning[^\w\n:]*:", re.IGNORECASE)
_SCORE = re.compile(r"score[^\w\n:]*:", re.IGNORECASE)
_ONE_TO_FIVE = re.compile(r"\W{0,12}([1-5])(?!\d|[.,]\d|\s*[-–]\s*\d)")
_STATUS = re.compile(r"status[^\w\n:]*:", re.IGNORECASE)
_EITHER = re.compile(r"\W{0,12}(success|failure)[^\w\n]*(?:\n|$)", re.IGNORECASE)


class Shot(NamedTuple):
    """A screenshot of a run."""

    name: str
    """By which it is cited: `step 7`, or that of a picture without a place."""
    image: str
    """SHA-256 in the store."""
    step: int | None


class Shots(NamedTuple):
    """The screenshots of a run, in order of time, each once."""

    seen: list[Shot]
    damaged: int
    """Others that could not be opened."""


class Scored(NamedTuple):
    """What was found on a screenshot."""

    score: int
    """1 to 5."""
    reason: str


class Screens(FanDialect):
    """The three questions.

    Args:
        threshold: the least score of a screenshot that is kept, 1 to 5.
        most: how many are kept.
    """

    asks: Phase = "act"
    whole = False
    alternatives = 10

    def __init__(self, *, threshold: int = THRESHOLD, most: int = MOST) -> None:
        if not 1 <= threshold <= 5 or most < 1:
            raise ConfigError(f"cannot keep {most} screenshots of a score of {threshold}: at least 1, of 1 to 5")
        self.threshold, self.most = threshold, most

    @property
    def prompts(self) -> tuple[str, ...]:
        """The files, then the options, on which verdicts depend as well."""
        names = ("points", "task", "screen", "picture", "rescore", "system", "verdict", "found", "restate")
        files = (load_prompt(PROMPTS / f"{name}.txt") for name in names)
        return (*files, f"threshold {self.threshold}, at most {self.most} screenshots")

    def prepare(self, case: Case, context: JudgeContext) -> None:
        """Decode the screenshots.

        Raises:
            ConfigError: the model is none of language, and could not be asked.
        """
        if context.model.profile.family == "embedded":
            raise ConfigError("webjudge asks in words, as its protocol does; for the embedded model take 'trajectory'")
        shots(_run(case), context.store)

    def plan(self, case: Case, context: JudgeContext) -> Opening | None:
        """The task alone; None where the case brings its key points."""
        if _run(case).checklist:
            return None
        system, task, *_ = self.prompts
        text = fill(task, goal=_goal(case, context))
        return Opening([{"role": "system", "content": system}, {"role": "user", "content": text}])

    def plan_schema(self) -> dict[str, Any] | None:
        """None: a list in words."""
        return None

    def unfold(self, text: str, case: Case, context: JudgeContext) -> Opening:
        """A message for each screenshot, after the instructions.

        Raises:
            ParseError: the text has no key points.
        """
        return self._screens(case, read_points(text), context)

    def open(self, case: Case, context: JudgeContext) -> Opening:
        """The same, by the key points that the case brings."""
        return self._screens(case, _run(case).checklist, context)

    def _screens(self, case: Case, points: Sequence[str], context: JudgeContext) -> Opening:
        _, _, system, picture, *_ = self.prompts
        asked = {"type": "text", "text": fill(picture, goal=_goal(case, context), points=_listed(points, context))}
        messages: list[Message] = [{"role": "system", "content": system}]
        refs = []
        for shot in shots(_run(case), context.store).seen:
            messages.append({"role": "user", "content": [asked, {"type": "image_ref", "image": shot.image}]})
            ref = {"kind": "region", "image": shot.image, "box": WHOLE, "box_root": WHOLE, "step": shot.step}
            refs.append(EvidenceRef.model_validate({**ref, "id": shot.name}))
        return Opening(messages, tuple(refs))

    def read_part(self, part: Message, turn: Turn, state: State, context: JudgeContext) -> Scored:
        """Reason and score.

        Raises:
            ParseError: no score behind the last `Score:`.
        """
        text = _after_thought(text_of(turn.message_out))
        label = _last(_SCORE, text)
        score = None if label is None else _ONE_TO_FIVE.match(text, label.end())
        if label is None or score is None:
            raise ParseError("there is no score from 1 to 5 behind 'Score:'")
        before = text[: label.start()]
        reasoning = _REASONING.search(before)
        reason = " ".join(before[reasoning.end() if reasoning else 0 :].split())
        return Scored(int(score[1]), reason.strip("*# "))

    def again(self, problem: str, state: State, context: JudgeContext) -> Message:
        """The request for another reason and score."""
        return {"role": "user", "content": fill(self.prompts[4], problem=context.fence.escape(problem))}

    def together(self, answers: Sequence[Answer], state: State, context: JudgeContext) -> Draft | None:
        """None: a conclusion follows."""
        return None

    def conclusion(self, answers: Sequence[Answer], state: State, context: JudgeContext) -> list[Message]:
        """Rules; then task, key points, actions, and what was kept."""
        *_, system, verdict, found, _, _ = self.prompts
        case, fence, kept = _run(state["case"]), context.fence, self._kept(answers)
        actions = fence.wrap("\n".join(listed_actions(case)) or "(none)", what="actions")
        points = _listed(_points(state), context)
        text = fill(verdict, goal=_goal(case, context), points=points, actions=actions)
        parts: list[dict[str, Any]] = []
        if kept:
            reasons = "\n".join(f"{number}. {plain(each.value.reason)}" for number, each in enumerate(kept, 1))
            text += fill(found, reasons=fence.wrap(reasons, what="reasons"))
        for number, each in enumerate(kept, 1):
            parts += [{"type": "text", "text": f"Screenshot {number}:"}, {"type": "image_ref", "image": _image(each)}]
        content = [{"type": "text", "text": text}, *parts] if parts else text
        return [{"role": "system", "content": system}, {"role": "user", "content": content}]

    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The request for another verdict."""
        fault = context.fence.escape(problem or "it has no status")
        return {"role": "user", "content": fill(self.prompts[8], problem=fault)}

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The last status, with what was kept as evidence.

        Raises:
            ParseError: none, or neither success nor failure.
        """
        said = _after_thought(text)
        label = _last(_STATUS, said)
        status = None if label is None else _EITHER.match(said, label.end())
        if label is None or status is None:
            raise ParseError("the last 'Status:' is neither success nor failure")
        found, (seen, damaged) = answers(state, self, context), shots(_run(state["case"]), context.store)
        names = {shot.image: shot.name for shot in seen}
        place = len(text) - len(said) + status.start(1)
        (shares,) = odds(state["turns"][-1], [place], STATUSES)
        thoughts = said[: label.start()].strip().removeprefix("Thoughts:").strip()
        draft = Draft(
            label=status[1].lower(),
            cited=[names[_image(each)] for each in self._kept(found)],
            criteria=tuple(_criterion(each, names) for each in found),
            rationale=f"{self._protocol(found, len(seen), damaged)}\n{thoughts}",
        )
        if shares is not None:
            draft.probabilities = shares
            draft.confidence = Confidence(value=shares[draft.label or ""], method="logprob")
        return draft

    def _high(self, found: Sequence[Answer]) -> list[Answer]:
        return [each for each in found if each.value is not None and each.value.score >= self.threshold]

    def _kept(self, found: Sequence[Answer]) -> list[Answer]:
        return self._high(found)[: self.most]

    def _protocol(self, found: Sequence[Answer], shots: int, damaged: int) -> str:
        """What was done, for whoever compares numbers."""
        kept, high = len(self._kept(found)), len(self._high(found))
        unread = sum(each.value is None for each in found)
        notes = [f"{kept} of {plural(shots, 'screenshot')} kept"]
        notes += [f"{high - kept} more scored as high"] if high > kept else []
        notes += [f"no score could be read of {unread}"] if unread else []
        notes += [f"{shots - len(found)} not looked at, for the budget"] if shots > len(found) else []
        notes += [f"{damaged} could not be opened"] if damaged else []
        notes += ["judged by the text alone"] if not kept else []
        return f"WebJudge in three steps, threshold {self.threshold}, at most {self.most}: {'; '.join(notes)}."


def shots(case: Trajectory, store: EvidenceStore) -> Shots:
    """The screenshots of a run; those of the steps, then those without a place."""
    seen: dict[str, Shot] = {}
    damaged = 0
    for number, step in enumerate(case.steps):
        if step.screenshot:
            try:
                image = store.add_image(store.get(step.screenshot)).sha256
            except (DataError, StoreError):
                damaged += 1
            else:
                seen.setdefault(image, Shot(f"step {number}", image, number))
    for name, image in picture_names(case, ()).items():
        seen.setdefault(image, Shot(name, image, None))
    return Shots(list(seen.values()), damaged)


def listed_actions(case: Trajectory) -> list[str]:
    """The actions, numbered from 1; without thoughts, and without a last one that answers the user."""
    actions = [step.action for step in case.steps if step.action.strip()]
    if actions and parse_action(actions[-1]).kind == "answer":
        actions.pop()
    return [f"{number}. {plain(action)}" for number, action in enumerate(actions, 1)]


def read_points(text: str) -> tuple[str, ...]:
    """The key points in a list.

    Raises:
        ParseError: there is none, or it is longer than `MOST_POINTS`.
    """
    found = _POINT.findall(_after_thought(text))
    points = [" ".join(point.split()) for point in found if any(map(str.isalnum, point))]
    if not 1 <= len(points) <= MOST_POINTS:
        raise ParseError(f"there must be a numbered list of 1 to {MOST_POINTS} key points, not of {len(points)}")
    return tuple(points)


def _points(state: State) -> tuple[str, ...]:
    """The key points of this judgement: the case's own, or those of the plan."""
    plans = [turn for turn in state.get("turns", []) if turn.phase == "plan"]
    return read_points(text_of(plans[-1].message_out)) if plans else _run(state["case"]).checklist


def _criterion(answer: Answer, names: dict[str, str]) -> Criterion:
    name = names[_image(answer)]
    if answer.value is None:
        return Criterion(name=name, reason=f"(not scored: {answer.problem})")
    return Criterion(name=name, reason=answer.value.reason, label=str(answer.value.score))


def _image(answer: Answer) -> str:
    return str(answer.part["content"][-1]["image"])


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = list(pattern.finditer(text))
    return found[-1] if found else None


def _after_thought(text: str) -> str:
    thought, end, rest = text.partition("</think>")
    return rest if end else thought


def _goal(case: Case, context: JudgeContext) -> str:
    return context.fence.wrap(_run(case).goal, what="task")


def _listed(points: Sequence[str], context: JudgeContext) -> str:
    lines = "\n".join(f"{number}. {plain(point)}" for number, point in enumerate(points, 1))
    return context.fence.wrap(lines, what="points")


def _run(case: Case) -> Trajectory:
    assert isinstance(case, Trajectory)  # `cases` of the judge
    return case


@register("judge", "webjudge", paper="2504.01382")
def webjudge(*, threshold: int = THRESHOLD, most: int = MOST) -> FanJudge:
    """Says whether a web agent's run succeeded, by WebJudge's protocol: key points, scored screenshots, a status.

    Args:
        threshold: the least score of a screenshot that is kept, 1 to 5.
        most: how many are kept, the first ones.
    """
    dialect = Screens(threshold=threshold, most=most)
    return FanJudge(
        name="webjudge",
        cases=(Trajectory,),
        dialect=lambda profile: dialect,
        tools=(),
        budget=Budget(turns=500, images=None, answer_tokens=2048, seconds=900.0),
    )
