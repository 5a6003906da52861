"""The shapes in which RL trainers ask: OpenRLHF's remote reward model, slime's `remote_rm`.

    POST /get_reward  {"query": [...], "prompts": [...], "labels": [...]}
                   -> {"rewards": [...], "scores": [...], "extra_logs": {"judge_missing": [...], ...}}
    POST /slime       {"prompt": ..., "response": ..., "label": ...}      -> 0.75
    POST /slime?key=score                                                 -> {"score": 0.75, "judge_missing": 0}
    POST /slime       [{...}, {...}]                                      -> [0.75, 0.25], judged as one group

A label that is a text is the reference of the answer; one that is a JSON object holds fields of the case, such as
`{"criteria": [...], "gold": {...}}`. Gold is never shown to the judge.

Neither shape knows "no score". Where there is none the answer is 503, upon which both trainers ask again (OpenRLHF 5
times in all, slime 10). After some such answers to one question, and at once where asking again cannot help, a neutral
value is given, if one was declared: with `judge_missing` 1, so that it can be seen and filtered, and counted in the
metrics. Without a declared value no number is made up: the trainer stops, which is its own word for it.

A blank answer is worth what was declared for it, 0 by default, and nobody is asked: it is the policy's own doing, and
saying nothing must be no way out of being judged.

OpenRLHF sends prompt and answer as one text, decoded with special tokens. The prompt is taken off its front; where it
does not stand there the whole text is judged, and `prompt_unmatched` is 1.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from agentjudge.case import Case, parse_case
from agentjudge.errors import DataError
from agentjudge.rewards.adapters.samples import Said, Sample, answer_case
from agentjudge.serving.rewards_entries import Entry
from agentjudge.serving.rewards_jobs import Job

REMEMBERED = 100_000
"""Questions of which the number of failures is remembered."""
OURS = frozenset({"id", "kind", "prompt", "response", "claim"})
"""Fields that a label does not hold: they are the policy's."""
_SPECIAL = re.compile(r"<\|([\w-]+)\|>")
_LAST = re.compile(r"(?:<\|[\w-]{1,60}\|>|</s>|<eos>|<end_of_turn>)$")


class Asking(NamedTuple):
    """One sample of a trainer."""

    case: Case | None
    """None where the answer is blank."""
    unmatched: bool = False
    """The prompt was not found in the text, which is judged as a whole."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a trainer gets for one sample."""

    value: float
    missing: bool = False
    """It is the neutral one."""


class Neutral:
    """Says when the neutral value is given.

    Args:
        value: the neutral value; none is ever given when None.
        after: answers without a score to one question before it is given.
    """

    def __init__(self, value: float | None, *, after: int = 3) -> None:
        self.value = value
        self._after = after
        self._failed: OrderedDict[str, int] = OrderedDict()

    def given(self, jobs: Sequence[Job], entries: Sequence[Entry]) -> list[Given] | None:
        """What is given for the entries of these jobs; None where the trainer is to ask again."""
        if all(entry.score is not None for entry in entries):
            for job in jobs:
                self._failed.pop(job.key, None)
        elif any(entry.score is None and entry.passing for entry in entries) and not self._tried(jobs):
            return None
        given = []
        for entry in entries:
            value = self.value if entry.score is None else entry.score
            if value is None:
                return None
            given.append(Given(value, missing=entry.score is None))
        return given

    def refused(self, jobs: Sequence[Job]) -> list[Given] | None:
        """What is given where the server is too busy to ask; None where the trainer is to ask again."""
        if self.value is None or not self._tried(jobs):
            return None
        return [Given(self.value, True) for job in jobs for _ in range(job.cases)]

    def failed(self, jobs: Sequence[Job]) -> None:
        """Count an answer without a score to each of these questions."""
        for job in jobs:
            self._failed[job.key] = self._failed.pop(job.key, 0) + 1
            if len(self._failed) > REMEMBERED:
                self._failed.popitem(last=False)

    def _tried(self, jobs: Sequence[Job]) -> bool:
        return max((self._failed.get(job.key, 0) for job in jobs), default=0) >= self._after


def read_openrlhf(data: Any, takes: Sequence[type[Case]]) -> list[Asking]:
    """The samples of OpenRLHF's request.

    Raises:
        DataError: not of this form.
    """
    if not isinstance(data, dict):
        raise DataError("expected an object with the lists 'query', 'prompts' and 'labels'")
    queries, prompts = _texts(data.get("query"), "query"), _texts(data.get("prompts"), "prompts")
    labels = data.get("labels") or [None] * len(queries)
    if not isinstance(labels, list) or not len(queries) == len(prompts) == len(labels):
        raise DataError("'query', 'prompts' and 'labels' must be lists of one length")
    found = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        answer = answer_in(query, prompt)
        text = query if answer is None else answer
        found.append(Asking(case_of(prompt, ended(text), label, takes), answer is None))
    return found


def read_slime(data: Any, takes: Sequence[type[Case]]) -> list[Asking]:
    """The samples of slime's request: one, or those of a group.

    Raises:
        DataError: not of this form.
    """
    samples = data if isinstance(data, list) else [data]
    if not samples:
        raise DataError("a group has at least one sample")
    return [_of_slime(sample, takes) for sample in samples]


def _of_slime(sample: Any, takes: Sequence[type[Case]]) -> Asking:
    if not isinstance(sample, dict) or not isinstance(sample.get("response"), str):
        raise DataError("expected an object with 'prompt', 'response' and 'label'")
    prompt: Any = sample.get("prompt")
    messages = isinstance(prompt, list) and all(isinstance(message, dict) for message in prompt)
    if not messages and not isinstance(prompt, str):
        raise DataError("'prompt' must be a text, or messages")
    return Asking(case_of(prompt, ended(sample["response"]), sample.get("label"), takes))


def case_of(prompt: Said, answer: str, label: Any, takes: Sequence[type[Case]]) -> Case | None:
    """The case that an answer is, with what its label says; None where it is blank.

    Raises:
        DataError: the label is no text, or holds fields that make no case.
        ConfigError: the judge takes neither responses nor claims.
    """
    if not answer.strip():
        return None
    if label is not None and not isinstance(label, str):
        label = orjson.dumps(label).decode()
    fields = _fields(label)
    columns = {} if fields is not None or not label else {"reference": label}
    said = plain(prompt) if isinstance(prompt, str) else prompt
    case = answer_case(Sample(said, plain(answer), columns), takes=takes)
    if not fields:
        return case
    if refused := OURS & fields.keys():
        raise DataError(f"the label: {sorted(refused)[0]!r} is not for a label to say")
    return parse_case({**case.model_dump(), **fields}, where="the label")


def answer_in(query: str, prompt: str) -> str | None:
    """What follows the prompt in a text; None where the text does not begin with it, but for special tokens.

    A prompt that was cut at its front, for being too long, is found by what is left of it.
    """
    if query.startswith(prompt):
        return query[len(prompt) :]
    start = _SPECIAL.match(query) or re.match(r"<s>|<bos>", query)
    if start is not None and query.startswith(prompt, start.end()):
        return query[start.end() + len(prompt) :]
    head = query[:64]
    at = prompt.find(head) if len(head) == 64 else -1
    while at >= 0:
        if query.startswith(prompt[at:]):
            return query[len(prompt) - at :]
        at = prompt.find(head, at + 1)
    return None


def ended(text: str) -> str:
    """A text without the special tokens that ended it."""
    while last := _LAST.search(text.rstrip()[-80:]):
        text = text.rstrip()[: -len(last[0])]
    return text


def plain(text: str) -> str:
    """A text whose special tokens, such as `<|im_start|>`, are words: no tokenizer takes them for its own."""
    return _SPECIAL.sub(r"<\1>", text)


def _fields(label: str | None) -> dict[str, Any] | None:
    """The fields in a label that is a JSON object; None for any other."""
    if not label or not label.lstrip().startswith("{"):
        return None
    try:
        found = orjson.loads(label)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _texts(found: Any, name: str) -> list[str]:
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise DataError(f"{name!r} must be a list of texts")
    return found
