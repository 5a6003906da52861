"""Bodies of the native routes: what is asked, and how the answer looks.

    POST /v1/rewards  {"cases": [{"kind": "response", "prompt": ..., "response": ...}], "reward": "verdict_value"}
    POST /v1/rewards  {"groups": [[{...}, {...}], ...], "policy": "listwise"}
    POST /v1/rank     {"prompt": ..., "responses": [..., ...]}
    POST /v1/rank     {"cases": [{...trajectory...}, ...]}            or one of them
    POST /v1/rank     {"messages": [[{"role": ..., "content": ...}, ...], ...]}

Cases are those of `agentjudge.case`; an id may be left out, gold is never shown to the judge. `deadline` (seconds) may
stand in every body. Messages are answers to what all lists begin with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from agentjudge.case import Case, Comparison, Response, parse_case
from agentjudge.errors import DataError
from agentjudge.runs.ordering import alone
from agentjudge.serving.rewards_desk import Answer
from agentjudge.serving.rewards_entries import Entry
from agentjudge.serving.rewards_jobs import VALUE, Job, Jobs

MOST_CASES = 1_024
"""Cases of one request."""


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are answered together, and the jobs that make their entries, in order."""

    ids: tuple[str, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    groups: tuple[Group, ...]
    reward: str
    grouped: bool = False
    """The answers are to come in groups."""
    deadline: float | None = None
    """Seconds."""

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in order."""
        return [job for group in self.groups for job in group.jobs]

    def split(self, answers: Sequence[Answer]) -> list[list[tuple[str, Entry, Answer]]]:
        """The entries of each group with the ids of their cases."""
        left = iter(answers)
        found = []
        for group in self.groups:
            entries = [(entry, answer) for answer in (next(left) for _ in group.jobs) for entry in answer.entries]
            found.append([(id, *each) for id, each in zip(group.ids, entries, strict=True)])
        return found


def read_rewards(data: Any, jobs: Jobs) -> Asked:
    """The jobs of a body of /v1/rewards.

    Raises:
        DataError: the body is not of this form; the message names the field.
        ConfigError: unknown reward or policy.
    """
    fields = _fields(data, {"cases", "groups", "reward", "step", "policy", "deadline"})
    reward, step, policy = _text(fields, "reward"), _step(fields), _text(fields, "policy")
    if ("cases" in fields) == ("groups" in fields):
        raise DataError("give either 'cases' or 'groups'")
    if "cases" in fields:
        cases = _cases(fields["cases"], "cases")
        if policy is not None:
            raise DataError("a policy is for groups")
        groups = [Group((case.id,), (_named(jobs, case, reward, step, n),)) for n, case in enumerate(cases)]
    else:
        groups = []
        for n, given in enumerate(_list(fields["groups"], "groups")):
            cases = _cases(given, f"groups[{n}]")
            try:
                found = jobs.group(cases, reward=reward, policy=policy, step=step)  # type: ignore[arg-type]
            except DataError as exc:
                raise DataError(f"groups[{n}]: {exc.message}") from exc
            groups.append(Group(tuple(case.id for case in cases), tuple(found)))
        _enough(sum(len(group.ids) for group in groups))
    return Asked(tuple(groups), reward or jobs.reward, "groups" in fields, _seconds(fields))


def shown_rewards(asked: Asked, answers: Sequence[Answer], *, judge: str, seconds: float) -> Any:
    """The answer to /v1/rewards: an object a case, in a list a group where groups were asked."""
    shown = [
        [
            entry.shown(id, judge=judge, cached=answer.cached, coalesced=answer.coalesced, seconds=seconds)
            for id, entry, answer in group
        ]
        for group in asked.split(answers)
    ]
    results: Any = shown if asked.grouped else [one for (one,) in shown]
    return {"results": results, "reward": asked.reward, "judge": judge}


def read_rank(data: Any, jobs: Jobs) -> Asked:
    """The jobs of a body of /v1/rank: one group, paid by what the verdict says.

    Raises:
        DataError: the body is not of this form.
        ConfigError: unknown policy.
    """
    told = {"prompt", "responses", "criteria", "images", "documents"}
    fields = _fields(data, {"cases", "messages", "policy", "deadline", *told})
    if len(forms := {"cases", "messages", "responses"} & fields.keys()) != 1:
        raise DataError("give one of 'responses', 'cases' and 'messages'")
    if forms != {"responses"} and (beside := told & fields.keys()):
        raise DataError(f"{sorted(beside)[0]!r} goes with 'responses'")
    cases: Sequence[Case]
    if "cases" in fields:
        cases = _cases(fields["cases"], "cases")
    elif "messages" in fields:
        cases = _of_messages(_list(fields["messages"], "messages"))
    else:
        given = {name: fields[name] for name in told & fields.keys()}
        whole = parse_case({"id": "0", "kind": "comparison", **given}, where="the body")
        assert isinstance(whole, Comparison)
        cases = [alone(whole, n, id=str(n)) for n in range(len(whole.responses))]
    policy = _text(fields, "policy")
    found = jobs.group(cases, reward=VALUE, policy=policy)  # type: ignore[arg-type]
    return Asked((Group(tuple(case.id for case in cases), tuple(found)),), VALUE, deadline=_seconds(fields))


def shown_rank(asked: Asked, answers: Sequence[Answer], *, judge: str, seconds: float) -> Any:
    """The answer to /v1/rank: scores, the indexes best first, why; no ranking where a score is missing."""
    (group,) = asked.split(answers)
    entries = [entry for _, entry, _ in group]
    scores = [entry.score for entry in entries]
    ranked = [score for score in scores if score is not None]
    whole, together = len(ranked) == len(scores), len(asked.jobs) == 1
    return {
        "scores": scores,
        "ranking": sorted(range(len(scores)), key=lambda i: -ranked[i]) if whole else None,
        "explanations": [orjson.loads(entry.verdict)["rationale"] for entry in entries],
        "errors": [entry.error for entry in entries],
        "together": together,
        "verdicts": [entry.verdict_on(id) for id, entry, _ in (group[:1] if together else group)],
        "ids": [id for id, _, _ in group],
        "judge": judge,
        "cached": all(answer.cached for answer in answers),
        "coalesced": any(answer.coalesced for answer in answers),
        "seconds": seconds,
    }


def _named(jobs: Jobs, case: Case, reward: str | None, step: int | None, n: int) -> Job:
    try:
        return jobs.one(case, reward=reward, step=step)
    except DataError as exc:
        raise DataError(f"cases[{n}]: {exc.message}") from exc


def _fields(data: Any, known: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DataError(f"the body must be a JSON object, not {type(data).__name__}")
    if unknown := data.keys() - known:
        raise DataError(f"unknown field {sorted(unknown)[0][:80]!r}; there is {', '.join(sorted(known))}")
    return data


def _list(found: Any, where: str) -> list[Any]:
    if not isinstance(found, list) or not found:
        raise DataError(f"{where}: expected a list with something in it")
    _enough(len(found))
    return found


def _enough(count: int) -> None:
    if count > MOST_CASES:
        raise DataError(f"{count} cases are more than the {MOST_CASES} that a request may hold")


def _cases(found: Any, where: str) -> list[Case]:
    cases = []
    for n, data in enumerate(_list(found, where)):
        if isinstance(data, dict) and "id" not in data:
            data = {"id": str(n), **data}
        cases.append(parse_case(data, where=f"{where}[{n}]"))
    return cases


def _text(fields: dict[str, Any], name: str) -> str | None:
    found = fields.get(name)
    if found is not None and not isinstance(found, str):
        raise DataError(f"{name}: expected a name, not {type(found).__name__}")
    return found


def _step(fields: dict[str, Any]) -> int | None:
    found = fields.get("step")
    if found is not None and (isinstance(found, bool) or not isinstance(found, int) or found < 0):
        raise DataError("step: expected a whole number from 0")
    return found


def _seconds(fields: dict[str, Any]) -> float | None:
    found = fields.get("deadline")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or found <= 0:
        raise DataError("deadline: expected seconds, more than 0")
    return float(found)


def _of_messages(lists: Sequence[Any]) -> list[Response]:
    """Conversations that begin alike as answers to their beginning."""
    for n, messages in enumerate(lists):
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise DataError(f"messages[{n}]: expected a list of messages")
    shortest = min(map(len, lists))
    shared = 0
    while shared < shortest - 1 and all(messages[shared] == lists[0][shared] for messages in lists):
        shared += 1
    if not shared:
        raise DataError("messages: the conversations do not begin with the same message")
    prompt = _told(lists[0][:shared])
    return [Response(id=str(n), prompt=prompt, response=_told(each[shared:])) for n, each in enumerate(lists)]


def _told(messages: Sequence[dict[str, Any]]) -> str:
    """A message's text; several messages, or one that is more than a text, as a line of JSON each."""
    if len(messages) == 1 and isinstance(text := messages[0].get("content"), str) and not messages[0].get("tool_calls"):
        return text
    return "\n".join(orjson.dumps(message).decode() for message in messages)
