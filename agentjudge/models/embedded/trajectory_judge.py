"""How the embedded judge judges a whole run: what it plans, which tools it calls, what verdict it gives.

The chance of success is that of `OutcomeModel` on features of the run, moved by what pages and errors say
(`trajectory_pages`). Tools are called for what a verdict cites: all steps are listed, the steps that decide are opened,
and the lines of pages that bear on the answer; a screenshot is read where no page has a text.

| label | where |
|---|---|
| `success` | the chance is at least `THRESHOLD`: it is calibrated, so the run is likelier a success than not |
| `blocked` | else, where one of the last steps shows a captcha, a login, a refusal or an outage |
| `failure` | else |
| none | no action was taken and nothing answered, or there are pictures alone and they cannot be read |

Reasons name what moved the chance, and the steps. The agent's own statement of success is told as a claim and never
stands alone. A key point is `yes` where the run is a success and what the point names was seen, typed or chosen; `no`
where the run is none and something that it names was met nowhere; else `unclear`. Side effects are not told apart.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from agentjudge.case import Trajectory
from agentjudge.models.base import Request
from agentjudge.models.embedded.looking import Call
from agentjudge.models.embedded.trajectory_features import Featurer, read_goal
from agentjudge.models.embedded.trajectory_outcome import OutcomeModel, logit, sigmoid
from agentjudge.models.embedded.trajectory_pages import PageFacts, read_pages, spoken
from agentjudge.models.embedded.trajectory_reasons import because, steps_said
from agentjudge.models.embedded.trajectory_signs import Signs, read_signs
from agentjudge.models.embedded.verifier import Verifier
from agentjudge.sentences import sentence_spans
from agentjudge.trace import picture_names

THRESHOLD = 0.5
"""Chance of success from which a run is called one."""
MOST_POINTS = 8
POINT = 300
"""Characters of a key point."""
MOST_CITED = 8
DECISIVE = 4
"""Steps that are opened because of a sign."""
A_LIST = 10
"""Steps that a list is sure to have room for, about."""
MOST_SEARCHED = 2
KEPT = 8
"""Runs whose reading is remembered between turns."""


class Reading(NamedTuple):
    """A run with its signs; pages are read again when the pictures have been."""

    run: Trajectory
    signs: Signs
    pages: PageFacts


class TrajectoryJudge:
    """Judges runs. Not safe for concurrent calls.

    Args:
        verifier: the learned reader.
        outcome: the learned outcome; the one in the package when None.
    """

    def __init__(self, verifier: Verifier, outcome: OutcomeModel | None = None) -> None:
        self._verifier = verifier
        self._featurer = Featurer(verifier)
        self._outcome = outcome or OutcomeModel.load()
        self._readings: OrderedDict[int, Reading] = OrderedDict()

    def plan(self, goal: str) -> str:
        """The key points of a task as the JSON that the judge asks for, from the task's text alone."""
        return json.dumps({"points": list(key_points(goal))}, ensure_ascii=False)

    def calls(self, request: Request) -> list[Call]:
        """The calls to make next; none where everything that decides has been seen, or the budget is spent."""
        left = request.remaining.get("tool_calls", 0)
        if request.phase != "act" or left <= 0 or request.remaining.get("turns", 1) <= 1:
            return []
        offered = {tool["function"]["name"] for tool in request.tools}
        reading = self._reading(request)
        wanted = _looks(request, reading) if not request.events else _follows(request, reading.run)
        return [call for call in wanted if call.tool in offered][:left]

    def verdict(self, request: Request) -> str:
        """The verdict as the JSON that the judge `trajectory` asks for."""
        run, signs, pages = self._reading(request)
        rows = [
            (ref.id, ref.quote) for event in request.events for ref in event.refs if ref.kind == "region" and ref.quote
        ]
        if rows:
            pages = read_pages(run, signs, self._verifier, rows)
        features = self._featurer.features(run, signs)
        chance = sigmoid(logit(self._outcome.success(features)) + pages.shift)
        shown = _shown(request)
        nothing = not signs.taken and not (run.final_answer or "").strip()
        unseen = not any(map(_shows_page, shown)) and bool(
            run.images or any(step.screenshot or step.observation.strip() for step in run.steps)
        )
        if nothing or unseen:
            why = (
                "No action was taken and nothing was answered." if nothing else "No page of the run could be looked at."
            )
            return json.dumps({"evidence": [], "reason": why, "label": None, "confidence": None})
        success = chance >= THRESHOLD
        blocked = not success and bool(signs.blocked or signs.answer_blocked)
        label = "success" if success else "blocked" if blocked else "failure"
        chances = {"success": round(chance, 4), label if not success else "failure": round(1 - chance, 4)}
        reason = because(run, signs, pages, self._outcome.moved_by(features), chance, THRESHOLD, blocked=blocked)
        grades = self._outcome.optimality(features)
        grade = max(grades, key=lambda name: grades[name])
        said = {
            "points": list(_points(run, signs, pages, success)),
            "side_effect": {
                "reason": "People see one in 6% of runs, and no feature of a run told which; so this is always no.",
                "label": "no",
            },
            "looping": _looping(signs, self._outcome.looping(features)),
            "optimality": {"reason": f"The likeliest grade, with a chance of {grades[grade]:.2f}.", "label": grade},
            "evidence": _cited(request, signs, pages, shown),
            "reason": reason,
            "label": label,
            "confidence": None if pages.moved or not signs.taken else chances[label],
            "probabilities": chances,
        }
        return json.dumps(said, ensure_ascii=False)

    def _reading(self, request: Request) -> Reading:
        case = request.case
        assert isinstance(case, Trajectory)
        found = self._readings.get(id(case))
        if found is None:
            run = case.blind()
            signs = read_signs(run)
            found = self._readings[id(case)] = Reading(case, signs, read_pages(run, signs, self._verifier))
            if len(self._readings) > KEPT:
                self._readings.popitem(last=False)
        return found


def key_points(goal: str) -> tuple[str, ...]:
    """What a task asks for, point by point: its numbered lines, else its sentences; at most `MOST_POINTS`."""
    lines = [" ".join(line.split()) for line in goal.splitlines()]
    numbered = [line.lstrip("0123456789.)-* ") for line in lines if line[:1].isdigit() or line[:2] in ("- ", "* ")]
    parts = (
        numbered if len(numbered) > 1 else [" ".join(goal[start:end].split()) for start, end in sentence_spans(goal)]
    )
    found = list(dict.fromkeys(part[:POINT].strip() for part in parts if any(map(str.isalnum, part))))
    return tuple(found[:MOST_POINTS]) or (" ".join(goal.split())[:POINT],)


def _looks(request: Request, reading: Reading) -> list[Call]:
    """The first calls, the most telling first: they are cut to what the budget allows."""
    run, signs, pages = reading
    steps = len(run.steps)
    if not steps:
        return _unread(request, run)
    made = [Call("get_step", {"step": step}) for step in decisive(signs)]
    seen = dict.fromkeys(passage.step for passage in pages.passages if passage.step is not None)
    for step in list(seen)[:2]:
        line = min(passage.line for passage in pages.passages if passage.step == step)
        made.append(Call("get_step", {"step": step, "part": "observation", "line": line}))
    if not signs.pages:
        pictured = [number for number, step in enumerate(run.steps) if step.screenshot]
        made += [Call("view_screenshot", {"step": number}) for number in pictured[-1:]] or _unread(request, run)
    made += [Call("find_element", {"query": signs.actions[i].target, "step": i}) for i in signs.missing[:1]]
    made += [Call("diff_steps", {"a": i, "b": i + 1}) for i in signs.unchanged[:1]]
    values = read_goal(spoken(run.final_answer or "") or run.goal).values if signs.pages else ()
    made += [Call("search_steps", {"query": value}) for value in values[:MOST_SEARCHED] if value.strip()]
    room = max(1, request.remaining.get("tool_calls", 0) - len(made))
    stride = max(A_LIST, -(-steps // room))
    lists = [{"start": start, "end": min(start + stride, steps) - 1} for start in range(0, steps, stride)]
    return [*made, *(Call("list_steps", args) for args in lists)]


def _follows(request: Request, run: Trajectory) -> list[Call]:
    """What is left to see: the text of a screenshot, a picture without any text, and steps that lists left out."""
    read = [event.args.get("image") for event in request.events if event.name == "ocr"]
    viewed = [event for event in request.events if event.name == "view_screenshot" and event.images]
    names = [
        name for name, image in picture_names(run, request.events).items() if viewed and image in viewed[-1].images
    ]
    made = [Call("ocr", {"image": name}) for name in names[-1:] if not read]
    if read and not any(ref.kind == "region" for event in request.events for ref in event.refs):
        zoomed = any(event.name == "image_zoom_in_tool" for event in request.events)
        made += [] if zoomed else [Call("image_zoom_in_tool", {"image": read[-1], "bbox_2d": [0, 0, 1000, 1000]})]
    listed = {event.args.get("start") for event in request.events if event.name == "list_steps"}
    gaps = [event.data.get("next") for event in request.events if event.name == "list_steps"]
    made += [Call("list_steps", gap) for gap in gaps if isinstance(gap, dict) and gap.get("start") not in listed]
    return made


def _unread(request: Request, run: Trajectory) -> list[Call]:
    """The last picture that came with the run, to be read."""
    return [Call("ocr", {"image": name}) for name in list(picture_names(run, ()))[-1:]]


def decisive(signs: Signs) -> list[int]:
    """The steps that decide most, ascending: the last action, and the first of each bad sign."""
    firsts = [signs.taken[-1:], tuple(i for i, _ in signs.blocked), signs.failed[-1:], signs.missing, signs.repeated]
    return sorted(list(dict.fromkeys(steps[0] for steps in firsts if steps))[:DECISIVE])


def _shown(request: Request) -> dict[str, Any]:
    events = (ref for event in request.events for ref in event.refs)
    return {ref.id: ref for ref in (*request.opening, *events)}


def _shows_page(id: str) -> bool:
    """Whether an id is that of a line of a page, or of a picture or a part of one."""
    step, _, line = id.partition(":")
    return line.isdigit() if step.startswith("step ") and "@" not in id else True


def _cited(request: Request, signs: Signs, pages: PageFacts, shown: dict[str, Any]) -> list[str]:
    """What the verdict rests on, of what was shown: lines that bear on the answer, then steps; a page among them."""
    wanted = [passage.id for passage in pages.passages]
    wanted += [f"step {step}" for step in (*decisive(signs), *signs.repeated[1:3], *signs.failed[:2])]
    found = [id for id in dict.fromkeys(wanted) if id in shown][:MOST_CITED]
    if not any(map(_shows_page, found)):
        last = [id for id in shown if _shows_page(id)][-1:]
        found = [*last, *found][:MOST_CITED]
    return found


def _looping(signs: Signs, chance: float) -> dict[str, str]:
    again = (
        f" {steps_said(signs.repeated)} again what was done before." if signs.repeated else " No action is repeated."
    )
    return {"reason": f"Chance {chance:.2f}.{again}", "label": "yes" if chance >= 0.5 else "no"}


def _points(run: Trajectory, signs: Signs, pages: PageFacts, success: bool) -> Iterator[dict[str, str]]:
    given = " ".join(filter(None, (signs.actions[i].text for i in signs.taken))).casefold()
    seen = " ".join(passage.text for passage in pages.passages).casefold()
    for point in run.checklist or key_points(run.goal):
        values = read_goal(point).values
        met = [value for value in values if value in given or value in seen]
        missing = [value for value in values if value not in met]
        label = "unclear"
        reason = "It names nothing that could be looked for; what was seen does not tell."
        if values and not missing:
            label = "yes" if success else "unclear"
            reason = f"What it names was typed, chosen or seen: {', '.join(met[:5])}."
        elif missing:
            label = "unclear" if success else "no"
            reason = f"Neither typed, chosen nor seen on the lines that were read: {', '.join(missing[:5])}."
        yield {"point": point, "reason": reason[:600], "met": label}
