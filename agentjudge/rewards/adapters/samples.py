"""What an engine hands over: a prompt, a completion, and the columns of its dataset; and the case that they are.

    sample = Sample("When did it open?", "In 1932.", {"reference": "The bridge opened in 1932."})
    answer_case(sample, takes=judge.spec.cases)         # a Claim or a Response, whichever the judge takes
    given_case(sample)                                  # the column `case`, with its gold: for policies that judge

Prompts and completions are texts, or messages in OpenAI's shape. Of messages the last one counts: what was asked, and
what was answered in the end.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentjudge.case import Case, Claim, Document, Response, parse_case
from agentjudge.errors import ConfigError, DataError

Said = str | Sequence[Mapping[str, Any]]
"""A text, or messages."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion of a prompt."""

    prompt: Said
    completion: Said
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What else the dataset's row holds."""

    @property
    def question(self) -> str:
        """The text that was asked."""
        return text_of(self.prompt)

    @property
    def answer(self) -> str:
        """The text that was answered in the end."""
        return text_of(self.completion)

    @property
    def id(self) -> str:
        """The column `id`, or else a hash of prompt and completion."""
        known = self.columns.get("id")
        if known is not None:
            return str(known)
        return hashlib.sha256(json.dumps([self.question, self.answer]).encode()).hexdigest()[:16]


def text_of(said: Said) -> str:
    """The text itself, or that of the last message; pictures among its parts are left out."""
    if isinstance(said, str):
        return said
    if not said:
        return ""
    content = said[-1].get("content")
    if isinstance(content, str) or content is None:
        return content or ""
    return "".join(str(part.get("text") or "") for part in content if part.get("type") == "text")


def answer_case(sample: Sample, *, takes: Sequence[type[Case]] = (Response,)) -> Case:
    """A completion as a case for a judge of answers.

    A column `reference` is the reference of a `Response`. For a judge of claims the answer is the claim, the prompt its
    context, and the reference a document to verify it against.

    Args:
        sample: the completion.
        takes: kinds of case that the judge takes.

    Raises:
        ConfigError: the judge takes neither.
        DataError: there is no prompt that a response could answer.
    """
    reference = sample.columns.get("reference")
    if Response in takes:
        if not sample.question.strip():
            raise DataError(f"sample {sample.id!r} has no prompt, and the judge scores answers to one")
        return Response(id=sample.id, prompt=sample.question, response=sample.answer, reference=reference or None)
    if Claim not in takes:
        kinds = " or ".join(kind.__name__ for kind in takes)
        raise ConfigError(f"the judge takes a {kinds}; say by `case=` how a completion becomes one")
    documents = (Document(id="reference", text=reference),) if reference else ()
    return Claim(id=sample.id, claim=sample.answer, context=sample.question, documents=documents)


def given_case(sample: Sample) -> Case:
    """The case in the column `case`: a `Case`, its JSON form, or that as a text. Its gold pays, and is never shown.

    Raises:
        DataError: there is no such column, or it holds no case.
    """
    given = sample.columns.get("case")
    if given is None:
        raise DataError("a policy that judges is paid by the gold of its case: give the dataset a column `case`")
    return read_case(given)


def read_case(given: Any) -> Case:
    """See `given_case`."""
    if isinstance(given, Case):
        return given
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as exc:
            raise DataError(f"the column `case` is not JSON: {exc}") from exc
    if isinstance(given, Mapping):  # columns of Arrow have every key of every row, absent ones as None
        given = {key: value for key, value in given.items() if value is not None}
    return parse_case(given, where="the column `case`")
