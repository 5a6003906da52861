"""Outcome judge of web agents: did a whole run do what its task asks for? It browses the run with tools.

    with Judge.load("trajectory", model="vllm:Qwen/Qwen3-VL-8B-Instruct") as judge:
        verdict = judge.judge(next(read_trajectories("runs/task7")))
    verdict.label                    # success, failure, blocked or impossible; undecided is an abstention
    verdict.evidence                 # lines of pages, steps, regions of screenshots

The key points of the task are written before the run is shown, from the task alone, so that they cannot be fitted to
what was done (WebJudge, arXiv 2504.01382); a case may bring its own. The run is never pasted into the prompt: the
opening has its outline, its last page and what the agent reported, and tools show the rest. Five judgements follow,
four of them those of AgentRewardBench (arXiv 2504.08942): each key point, side effects, looping, optimality, success.

What the agent says of its success is fenced as a claim and can be cited for nothing. No verdict is given without a
page or a picture having been looked at, if there is one; it is asked again where it cites none, or calls a run a
success of which a point is not met.
"""

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentjudge.actions import parse_action
from agentjudge.budget import Budget
from agentjudge.case import TRAJECTORY_LABELS, Trajectory
from agentjudge.errors import ParseError
from agentjudge.evidence import EvidenceRef
from agentjudge.graphs.arm_thinker import look
from agentjudge.graphs.dialect import (
    ToolDialect,
    asked,
    cited_schema,
    object_schema,
    plural,
    read_cited,
    read_confidence,
    read_object,
)
from agentjudge.graphs.loop import LoopJudge
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State, shown
from agentjudge.graphs.turns import text_of
from agentjudge.prompts import fill, load_prompt
from agentjudge.registry import register
from agentjudge.tools.base import Tool
from agentjudge.tools.citing import plain
from agentjudge.tools.steps import fit, lines_of, step_ref
from agentjudge.tools.trajectory import step_row
from agentjudge.trace import Message
from agentjudge.verdict import Criterion

PROMPTS = Path(__file__).parent / "prompts" / "trajectory"
MOST_POINTS = 8
"""Key points of a task."""
FIRST, LAST = 3, 5
"""Steps at both ends of a run that the opening shows."""
LAST_PAGE = 1_500
"""Characters of the last page in the opening."""
MAX_ANSWER = 6_000
"""Characters of the agent's report in the opening."""
MOST_ERRORS = 20
"""Steps with an error that the opening names."""
MET = ("yes", "no", "unclear")
YES_NO = ("yes", "no")
OPTIMALITY = ("complete failure", "suboptimal", "somewhat optimal", "completely optimal")
"""1 to 4 of AgentRewardBench."""
ASPECTS = {"side_effect": YES_NO, "looping": YES_NO, "optimality": OPTIMALITY}
"""What is judged beside success: fields of the verdict, and criteria by the name with a space."""


class RunTools(ToolDialect):
    """Key points, then function calls that browse the run, then a verdict under a JSON schema."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """System, task, key points, run, conclusion, repair, and the call to look at a page."""
        names = ("system", "task", "points", "run", "conclude", "repair", "look")
        return tuple(load_prompt(PROMPTS / f"{name}.txt") for name in names)

    def plan(self, case: Trajectory, context: JudgeContext) -> Opening | None:
        """The task alone, and the question for its key points; None where the case brings them."""
        if case.checklist:
            return None
        system, task, *_ = self.prompts
        text = fill(task, goal=context.fence.wrap(case.goal, what="task"), most=str(MOST_POINTS))
        return Opening([{"role": "system", "content": system}, {"role": "user", "content": text}])

    def plan_schema(self) -> dict[str, Any]:
        """A list of short texts."""
        point = {"type": "string", "minLength": 1, "maxLength": 300}
        return object_schema({"points": {"type": "array", "items": point, "minItems": 1, "maxItems": MOST_POINTS}})

    def unfold(self, text: str, case: Trajectory, context: JudgeContext) -> Opening:
        """The run, after the key points.

        Raises:
            ParseError: there are no key points.
        """
        read_points(text)
        return _run(case, context, self.prompts[3])

    def open(self, case: Trajectory, context: JudgeContext) -> Opening:
        """The task, the key points that the case brings, and the run."""
        system, _, points, run, *_ = self.prompts
        said = "\n".join(f"{n}. {plain(point)}" for n, point in enumerate(case.checklist, 1))
        fence, opening = context.fence, _run(case, context, run)
        task = fill(points, goal=fence.wrap(case.goal, what="task"), points=fence.wrap(said, what="points"))
        (message,) = opening.messages
        content = message["content"]
        content = task + content if isinstance(content, str) else [{"type": "text", "text": task}, *content]
        return Opening([{"role": "system", "content": system}, {**message, "content": content}], opening.refs)

    def nudge(self, message: Message, state: State, context: JudgeContext) -> Message | None:
        """Once, where the judge would conclude without having looked at any page: that it must look at one."""
        said: Message = {"role": "user", "content": self.prompts[-1]}
        return None if _pages(state) or not _to_see(_case(state)) or said in state["messages"] else said

    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The request for the JSON verdict."""
        *_, conclude, repair, _ = self.prompts
        pages = "lines of pages or pictures among them" if _pages(state) else "or an empty list"
        return asked(fill(conclude, count=str(len(_points(state))), pages=pages), repair, problem, context)

    def schema(self, state: State, context: JudgeContext) -> dict[str, Any]:
        """Key points and aspects, each with its reason first; evidence and reason before the label."""
        n, reason = len(_points(state)), {"type": "string", "maxLength": 600}
        point = {"point": {"type": "string", "maxLength": 300}, "reason": reason, "met": {"enum": list(MET)}}
        aspects = {
            name: object_schema({"reason": reason, "label": {"enum": list(labels)}}) for name, labels in ASPECTS.items()
        }
        return object_schema(
            {
                "points": {"type": "array", "items": object_schema(point), "minItems": n, "maxItems": n},
                **aspects,
                "evidence": cited_schema(state),
                "reason": {"type": "string", "maxLength": 1200},
                "label": {"enum": [*TRAJECTORY_LABELS, None]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            }
        )

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The verdict in a JSON object. A label of null is an abstention, a confidence of null is none.

        Raises:
            ParseError: no JSON object, or a field is missing, of the wrong type or outside of its set.
        """
        data, profile = read_object(text), context.model.profile
        cited, label = read_cited(data), data.get("label")
        if label is None and "label" in data:
            return Draft(abstained=True, cited=cited, rationale=str(data.get("reason") or ""))
        if label not in TRAJECTORY_LABELS:
            raise ParseError(f"label must be one of {', '.join(TRAJECTORY_LABELS)}, or null, not {label!r}")
        pages = _pages(state)
        if not pages and _to_see(_case(state)):
            raise ParseError("no page of the run was looked at, so the verdict rests on nothing")
        points = _read_points(data, _points(state))
        aspects = [_read_aspect(data, name, labels) for name, labels in ASPECTS.items()]
        unmet = [point.name for point in points if point.label == "no"]
        complaints = (
            [f"the label is success, but a point is not met: {unmet[0]!r}"] if label == "success" and unmet else []
        )
        if pages and not pages.intersection(cited):
            complaints.append(f"no page is cited; cite what shows it, such as {min(pages, key=len)!r}")
        unsure = "confidence" in data and data["confidence"] is None
        return Draft(
            label=label,
            cited=cited,
            criteria=(*points, *aspects),
            rationale=str(data.get("reason") or ""),
            confidence=None if unsure else read_confidence(data, profile),
            probabilities=data.get("probabilities") if profile.confidence == "calibrated" else None,
            complaints=complaints,
        )


def read_points(text: str) -> tuple[str, ...]:
    """The key points that a model wrote.

    Raises:
        ParseError: no JSON object with a list of one to `MOST_POINTS` texts.
    """
    points = read_object(text).get("points")
    if not isinstance(points, list) or not all(isinstance(point, str) and point.strip() for point in points):
        raise ParseError("points must be a list of texts")
    if not 1 <= len(points) <= MOST_POINTS:
        raise ParseError(f"there must be 1 to {MOST_POINTS} points, not {len(points)}")
    return tuple(" ".join(point.split()) for point in points)


def _points(state: State) -> tuple[str, ...]:
    """The key points of this judgement: the case's own, or those of the plan."""
    plans = [turn for turn in state.get("turns", []) if turn.phase == "plan"]
    return read_points(text_of(plans[-1].message_out)) if plans else _case(state).checklist


def _read_points(data: dict[str, Any], points: tuple[str, ...]) -> list[Criterion]:
    found = data.get("points")
    if not isinstance(found, list) or len(found) != len(points) or not all(isinstance(each, dict) for each in found):
        raise ParseError(f"points must be a list of {len(points)} objects, one for each key point")
    criteria = []
    for point, said in zip(points, found, strict=True):
        if said.get("met") not in MET:
            raise ParseError(f"met must be one of {', '.join(MET)}, not {said.get('met')!r}")
        criteria.append(Criterion(name=point, reason=str(said.get("reason") or ""), label=said["met"]))
    return criteria


def _read_aspect(data: dict[str, Any], name: str, labels: tuple[str, ...]) -> Criterion:
    said = data.get(name)
    if not isinstance(said, dict) or said.get("label") not in labels:
        raise ParseError(f"{name} must have a reason and a label, one of {', '.join(labels)}")
    return Criterion(name=name.replace("_", " "), reason=str(said.get("reason") or ""), label=said["label"])


def _run(case: Trajectory, context: JudgeContext, template: str) -> Opening:
    """The outline of a run, its last page, what the agent reported, and the pictures that belong to it."""
    fence, steps = context.fence, case.steps
    first, last = range(min(FIRST, len(steps))), range(max(FIRST, len(steps) - LAST), len(steps))
    lines, refs = [_counts(case)], [step_ref(steps[number], number) for number in (*first, *last)]
    lines += [step_row(steps[number], number) for number in first]
    if last and last[0] > FIRST:
        lines.append(f"({plural(last[0] - FIRST, 'step')} not listed here: list_steps shows them)")
    lines += [step_row(steps[number], number) for number in last]
    page, shown_lines = _last_page(case)
    parts: list[dict[str, Any]] = []
    if context.model.profile.images:
        seen = look(case, context)
        lines, parts, refs = [*lines, *seen.lines], seen.parts, [*refs, *seen.refs]
    outline = fence.wrap("\n".join([*lines, *page]), what="run")
    text = fill(template, outline=outline, answer=_answer(case, context))
    content = [{"type": "text", "text": text}, *parts] if parts else text
    return Opening([{"role": "user", "content": content}], (*refs, *shown_lines))


def _counts(case: Trajectory) -> str:
    """How long the run is, what there is to see of it, and what kinds of action it took."""
    steps = case.steps
    if not steps:
        return "No step is recorded."
    kinds = Counter(parse_action(step.action).kind for step in steps if step.action.strip())
    took = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    pages, pictures = sum(bool(s.observation.strip()) for s in steps), sum(bool(s.screenshot) for s in steps)
    errors = [str(number) for number, step in enumerate(steps) if step.error]
    more = f" and {len(errors) - MOST_ERRORS} more" if len(errors) > MOST_ERRORS else ""
    failed = f"Errors at steps {', '.join(errors[:MOST_ERRORS])}{more}." if errors else "No errors."
    return (
        f"{plural(len(steps), 'step')}, 0 to {len(steps) - 1}: {pages} with the text of the page, {pictures} with a "
        f"screenshot. Actions: {took or 'none'}. {failed}"
    )


def _last_page(case: Trajectory) -> tuple[list[str], tuple[EvidenceRef, ...]]:
    """The beginning of the last page of which there is a text."""
    seen = [number for number, step in enumerate(case.steps) if step.observation.strip()]
    if not seen:
        return [], ()
    number = seen[-1]
    lines = lines_of(case.steps[number], number, "observation")
    some = lines[: fit(lines, LAST_PAGE)]
    more = f" of {len(lines)}; get_step(step={number}, part='observation', line={len(some)}) goes on"
    head = f"The page of step {number}, lines 0 to {len(some) - 1}{more if len(some) < len(lines) else ''}:"
    return ["", head, *(line.shown for line in some)], tuple(line.ref() for line in some)


def _answer(case: Trajectory, context: JudgeContext) -> str:
    """What the agent reported, as a claim."""
    if case.final_answer is None:
        return "The agent reported nothing at the end."
    said, cut = case.final_answer[:MAX_ANSWER], max(0, len(case.final_answer) - MAX_ANSWER)
    more = f"\n({cut} more characters are not shown)" if cut else ""
    return (
        "What the agent reported at the end, a claim of its own:\n"
        + context.fence.wrap(said or "(an empty text)", what="report")
        + more
    )


def _pages(state: State) -> set[str]:
    """Ids of all that shows a page: lines of its text, screenshots and regions of them."""
    return {
        id
        for id, ref in shown(state).items()
        if ref.kind == "region" or (ref.kind == "step" and id.partition(":")[2].isdigit())
    }


def _to_see(case: Trajectory) -> bool:
    """Whether there is any page to look at, as a text or a picture."""
    return bool(case.images) or any(step.observation.strip() or step.screenshot for step in case.steps)


def _case(state: State) -> Trajectory:
    case = state["case"]
    assert isinstance(case, Trajectory)
    return case


@lru_cache(maxsize=1)
def _dialect() -> RunTools:
    return RunTools()


def _tools() -> list[Tool[Any]]:
    """The tools that browse a run, and those that look at pictures which belong to it."""
    from agentjudge.tools.ocr import FindText, Ocr
    from agentjudge.tools.trajectory import trajectory_tools
    from agentjudge.tools.zoom import ImageZoomIn

    return [*trajectory_tools(), ImageZoomIn(), Ocr(), FindText()]


@register("judge", "trajectory")
def trajectory() -> LoopJudge:
    """Says whether a web agent's run did what its task asks for, with side effects, loops and optimality."""
    return LoopJudge(
        name="trajectory",
        cases=(Trajectory,),
        dialect=lambda profile: _dialect(),
        tools=tuple(tool.name for tool in _tools()),
        brings=_tools,
        budget=Budget(turns=12, tool_calls=24, images=24, answer_tokens=2048),
        plans=True,
    )
