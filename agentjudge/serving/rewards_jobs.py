"""What there is to do for a request: jobs, each of which gives one or more cases their entries.

    jobs = Jobs(judge, reward="verdict_value")
    job = jobs.one(case)                                    # one case, one judgement
    several = jobs.group(cases)                             # answers to one prompt
    entries = await job.work(ask)                           # `ask` makes a judgement of a case

| group | with `verdict_value` | with another reward |
|---|---|---|
| responses to one prompt, and the judge compares | one job: a `Comparison`, by the policy | refused |
| actions at one page, and the judge chooses | one job: an `ActionChoice`, by the policy | refused |
| runs of agents, answers with references, policy `scores` | a job each | refused |
| one case, several times | as above | one job: n judgements, `score_group` |

A key is the SHA-256 of everything that the entries depend on: the case without its id, gold and metadata (with both
where a reward looks at them), the bytes of its files, the judge's settings, its sources, the reward, the policy, the
version of this package. Two requests of one key are one question. What a key cannot know is that a model's server got
other weights under the same name: give each its own folder.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, get_args

import orjson

from agentjudge import __version__
from agentjudge.case import ActionChoice, Case, Comparison, Response
from agentjudge.errors import ConfigError, DataError
from agentjudge.opening import has_files
from agentjudge.registry import lookup
from agentjudge.rewards.base import AnyReward, RewardResult, of_parts, paid, unknown
from agentjudge.rewards.verdict_value import VerdictValue, group_values
from agentjudge.runs.distinct import Distinct, groups_of
from agentjudge.runs.merging import agreed_or_tie, equal
from agentjudge.runs.policies import Ask, Once, Outcome, Policy, Swap
from agentjudge.runs.tournaments import RoundRobin
from agentjudge.serving.rewards_entries import Entry, entry_of
from agentjudge.serving.rewards_files import Files, on_disk
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

PolicyName = Literal["listwise", "once", "pairs", "scores"]
POLICIES: dict[str, Policy] = {
    "listwise": Swap(agreed_or_tie),
    "once": Once(),
    "pairs": RoundRobin(Swap(agreed_or_tie)),
}
VALUE = "verdict_value"
MOST_IN_GROUP = 64
HIDDEN = {"id", "gold", "metadata"}


class Spec(Protocol):
    """What is looked at of a judge's making."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def cases(self) -> tuple[type[Case], ...]:
        """The kinds of case it takes."""
        ...


class Served(Protocol):
    """What the server needs of a judge, such as a `Judge`."""

    @property
    def spec(self) -> Spec:
        """What it is."""
        ...

    async def arun(self, case: Case) -> Trace:
        """The trace of one judgement; what goes wrong is a failed verdict."""
        ...

    def settings(self) -> dict[str, Any]:
        """What its verdicts depend on, as JSON values."""
        ...

    async def aclose(self) -> None:
        """Release what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do, known by its key."""

    key: str
    cases: int
    """How many entries it makes."""
    work: Callable[[Ask], Coroutine[None, None, list[Entry]]]


class Jobs:
    """Makes jobs for one judge.

    Args:
        judge: who is asked.
        reward: the reward where a request names none; `verdict_value` or any registered one that needs no arguments.
        abstained: what `verdict_value` gives for an abstention; None masks it.
        policy: how groups are asked where a request does not say; `listwise` where that is possible when None.
        files: what cases may bring.
        sources: what the judge's tools look into, as JSON values; part of every key.

    Raises:
        ConfigError: an unknown reward, or one that needs arguments.
    """

    def __init__(
        self,
        judge: Served,
        *,
        reward: str = VALUE,
        abstained: float | None = None,
        policy: PolicyName | None = None,
        files: Files | None = None,
        sources: Mapping[str, Any] | None = None,
    ) -> None:
        self.judge = judge
        self._files = files or Files()
        self._default = policy
        self._rewards: dict[str, AnyReward] = {VALUE: VerdictValue(abstained)}
        known = [__version__, judge.settings(), dict(sources or {})]
        self._about = hashlib.sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS, default=str)).digest()
        self.judge_id = f"{judge.spec.name}@{self._about.hex()[:12]}"
        """Name and a hash of the settings, the same for the same."""
        self.reward = reward
        self.paying(reward)

    def paying(self, name: str | None) -> AnyReward:
        """The reward with this name, or the server's own.

        Raises:
            ConfigError: there is none, or it needs arguments.
        """
        name = name or self.reward
        if name not in self._rewards:
            try:
                self._rewards[name] = lookup("reward", name).target()
            except TypeError as exc:
                raise ConfigError(f"the reward {name!r} is made of parts that have no name here: {exc}") from exc
        return self._rewards[name]

    def one(self, case: Case, *, reward: str | None = None, step: int | None = None) -> Job:
        """The job of a single case.

        Raises:
            DataError: the judge does not take it, or it brings files that it must not.
            ConfigError: as `paying`.
        """
        pays, name = self.paying(reward), reward or self.reward
        case, contents = self._admitted(case)
        if isinstance(pays, VerdictValue):
            return Job(self._key(case, contents, name), 1, partial(_value, pays, case))
        key = self._key(case, [*contents, f"step {step}"], name, hidden={"id"})
        return Job(key, 1, partial(_paid, pays if step is None else pays.at(step), case, 1))

    def group(
        self,
        cases: Sequence[Case],
        *,
        reward: str | None = None,
        policy: PolicyName | None = None,
        step: int | None = None,
    ) -> list[Job]:
        """The jobs of the answers to one prompt, whose entries come in their order.

        Raises:
            DataError: as `one`; too many; or they cannot be judged together, although the policy says so.
            ConfigError: as `paying`; or an unknown policy.
        """
        if not 1 <= len(cases) <= MOST_IN_GROUP:
            raise DataError(f"a group has 1 to {MOST_IN_GROUP} cases, not {len(cases)}")
        pays, name = self.paying(reward), reward or self.reward
        if not isinstance(pays, VerdictValue):
            return [self._together(cases, pays, name, step)]
        chosen = policy or self._default
        if chosen is not None and chosen not in get_args(PolicyName):
            raise ConfigError(f"unknown policy {chosen!r}; there is {', '.join(get_args(PolicyName))}")
        if chosen == "scores" or len(cases) == 1:
            return [self.one(case, reward=reward) for case in cases]
        try:
            whole = joint(cases, self.judge.spec.cases)
        except DataError:
            if chosen is not None:
                raise
            return [self.one(case, reward=reward) for case in cases]
        whole, contents = self._admitted(whole)
        how = chosen or "listwise"
        key = self._key(whole, [*contents, f"policy {how}"], name)
        return [Job(key, len(cases), partial(_compared, POLICIES[how], whole))]

    def _together(self, cases: Sequence[Case], pays: AnyReward, name: str, step: int | None) -> Job:
        first = cases[0]
        if any(case.model_copy(update={"id": first.id}) != first for case in cases):
            raise DataError(
                f"{name!r} pays several judgements of one case: the cases of a group must be the same but for their ids"
            )
        first, contents = self._admitted(first)
        key = self._key(first, [*contents, f"step {step}", f"times {len(cases)}"], name, hidden={"id"})
        return Job(key, len(cases), partial(_paid, pays if step is None else pays.at(step), first, len(cases)))

    def _admitted(self, case: Case) -> tuple[Case, list[str]]:
        takes = self.judge.spec.cases
        if not isinstance(case, takes):
            wanted = " or ".join(kind.__name__ for kind in takes)
            raise DataError(f"the judge {self.judge.spec.name!r} takes a {wanted}, not a {type(case).__name__}")
        return self._files.admitted(case)

    def _key(self, case: Case, more: Sequence[str], reward: str, *, hidden: set[str] = HIDDEN) -> str:
        digest = hashlib.sha256(self._about)
        digest.update(orjson.dumps([reward, *more]))
        digest.update(case.model_dump_json(exclude=hidden).encode())
        return digest.hexdigest()


def joint(cases: Sequence[Case], takes: tuple[type[Case], ...]) -> Case:
    """The case that asks about all of a group at once.

    Raises:
        DataError: there is none; the message says why.
    """
    first = cases[0]
    if all(isinstance(case, Response) for case in cases):
        return _comparison([case for case in cases if isinstance(case, Response)], takes)
    if all(isinstance(case, ActionChoice) and len(case.candidates) == 1 for case in cases):
        return _choice([case for case in cases if isinstance(case, ActionChoice)], takes)
    raise DataError(f"a group of {type(first).__name__} cases is judged one by one: leave the policy out, or 'scores'")


def _comparison(cases: Sequence[Response], takes: tuple[type[Case], ...]) -> Comparison:
    if Comparison not in takes:
        raise DataError("the judge compares no answers: leave the policy out, or 'scores'")
    if any(case.reference is not None for case in cases):
        raise DataError("answers with a reference are judged one by one: leave the policy out, or 'scores'")
    first = cases[0]
    _alike(cases, but={"id", "response", "gold", "metadata"})
    return Comparison(
        id=first.id,
        prompt=first.prompt,
        responses=tuple(case.response for case in cases),
        criteria=first.criteria,
        images=first.images,
        documents=first.documents,
    )


def _choice(cases: Sequence[ActionChoice], takes: tuple[type[Case], ...]) -> ActionChoice:
    if ActionChoice not in takes:
        raise DataError("the judge chooses between no actions: leave the policy out, or 'scores'")
    _alike(cases, but={"id", "candidates", "thoughts", "gold", "metadata"})
    thoughts = [case.thoughts[0] if case.thoughts else "" for case in cases]
    change: dict[str, Any] = {"candidates": tuple(case.candidates[0] for case in cases), "gold": None, "metadata": {}}
    return cases[0].model_copy(update={**change, "thoughts": tuple(thoughts) if any(thoughts) else ()})


def _alike(cases: Sequence[Case], *, but: set[str]) -> None:
    for field in type(cases[0]).model_fields.keys() - but:
        if any(getattr(case, field) != getattr(cases[0], field) for case in cases):
            raise DataError(f"the cases of a group differ in {field!r}: one group has one prompt")


async def _value(pays: VerdictValue, case: Case, ask: Ask) -> list[Entry]:
    """One verdict, and what it is worth."""
    if has_files(case):
        async with on_disk(case) as ready:
            verdict = (await ask(ready)).verdict
    else:
        verdict = (await ask(case)).verdict
    return [entry_of(verdict, pays.of(verdict))]


async def _paid(pays: AnyReward, case: Case, times: int, ask: Ask) -> list[Entry]:
    """Judgements of one case, paid together."""
    ids = [case.id, *(f"{case.id}~r{k}" for k in range(2, times + 1))]
    async with on_disk(case) as ready:
        traces = await asyncio.gather(*(ask(ready.model_copy(update={"id": id})) for id in ids))
        try:
            results = await paid(pays, traces, case)
        except DataError as exc:  # gold that says nothing of such an outcome
            results = [unknown(f"data: {exc.message}") for _ in traces]
    return [entry_of(trace.verdict, result) for trace, result in zip(traces, results, strict=True)]


async def _compared(policy: Policy, case: Case, ask: Ask) -> list[Entry]:
    """Answers judged together, and what each is worth beside the others."""
    async with on_disk(case) as ready:
        outcome = await Distinct(policy).decide(ready, ask)
    same = groups_of(case)
    n, verdict = sum(map(len, same)), _worded(outcome, len(same))
    values = group_values(verdict, n, ties=[*same, *_ties(outcome)])
    if values is None:
        failure = verdict.failure
        why = f"{failure.kind}: {failure.message}" if failure else f"nothing was decided: {verdict.rationale}"
        return [entry_of(verdict, unknown(why)) for _ in range(n)]
    results: list[RewardResult] = [of_parts({"verdict": value}) for value in values]
    return [entry_of(verdict, result) for result in results]


def _ties(outcome: Outcome) -> tuple[tuple[int, ...], ...]:
    points = [point for point in outcome.points if point is not None]
    return equal(points) if len(points) == len(outcome.points) else ()


def _worded(outcome: Outcome, shown: int) -> Verdict:
    """The verdict with the reason that was given where all of the answers stood in their own order."""
    verdict = outcome.verdict
    if verdict.status != "scored" or verdict.rationale:
        return verdict
    own = [run for run in outcome.runs if len(run.order) == shown and list(run.order) == sorted(run.order)]
    said = next((run.trace.verdict for run in own if run.trace.verdict.rationale), None)
    if said is None:
        return verdict
    return verdict.model_copy(update={"rationale": said.rationale, "criteria": said.criteria})
