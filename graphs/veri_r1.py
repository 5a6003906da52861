"""Veri-R1: online claim verification by plan, search and thought (arXiv 2510.01932).

Two dialects of one judge. `ClaimTools` is for models with function calls and JSON schemas. `TagDialect` is the
paper's own format (plan, search, information, think, answer in one running assistant text), so that its released
checkpoints can be used; it is chosen by the model's profile. Both allow the paper's three searches, tell the model
how many are left, and force a last turn without search. The prompts are our own wording.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentjudge.budget import Budget
from agentjudge.case import NOT_ENOUGH_INFO, Claim
from agentjudge.errors import ParseError
from agentjudge.graphs.dialect import (
    Dialect,
    ToolDialect,
    asked,
    cite,
    cited_schema,
    object_schema,
    plural,
    read_cited,
    read_confidence,
    read_object,
    said_with,
)
from agentjudge.graphs.loop import LoopJudge
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State, shown
from agentjudge.prompts import Fence, fill, load_prompt
from agentjudge.registry import register
from agentjudge.tools.base import ToolCall
from agentjudge.trace import Message

PROMPTS = Path(__file__).parent / "prompts" / "veri_r1"


class ClaimTools(ToolDialect):
    """Function calls, then a verdict under a JSON schema whose evidence ids are those that were shown.

    Args:
        conclusion: asks for the verdict, with a placeholder `{{labels}}`; the judge's own prompt when None.
    """

    def __init__(self, conclusion: str | None = None) -> None:
        self._conclusion = load_prompt(PROMPTS / "conclude.txt") if conclusion is None else conclusion
        fill(self._conclusion, labels="")

    @property
    def prompts(self) -> tuple[str, ...]:
        """System, labels, case, conclusion and repair."""
        system, labels, case, repair = (
            load_prompt(PROMPTS / f"{n}.txt") for n in ("system", "labels", "case", "repair")
        )
        return system, labels, case, self._conclusion, repair

    def with_conclusion(self, text: str) -> "ClaimTools":
        """See `Dialect.with_conclusion`; the placeholder is `{{labels}}`."""
        return ClaimTools(text)

    def open(self, case: Claim, context: JudgeContext) -> Opening:
        """The instructions; then the claim, its context, its documents and pictures, all fenced."""
        system, labels, template, _, _ = self.prompts
        wanted = "\n".join(line for line in labels.splitlines() if line.partition(":")[0] in case.labels)
        documents, opening = cite(case, context)
        fence = context.fence
        text = fill(
            template,
            claim=fence.wrap(case.claim, what="claim"),
            context="\n\n" + fence.wrap(case.context, what="context") if case.context else "",
            documents="\n\n" + fence.wrap(documents, what="documents") if documents else "",
        )
        instructions: Message = {"role": "system", "content": fill(system, labels=wanted)}
        return Opening([instructions, {"role": "user", "content": said_with(text, case.images)}], opening.refs)

    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The request for the JSON verdict."""
        *_, conclude, repair = self.prompts
        return asked(fill(conclude, labels=" | ".join(_claim(state).labels)), repair, problem, context)

    def schema(self, state: State, context: JudgeContext) -> dict[str, Any]:
        """Reason before evidence before label; a closed set of labels and, while they are few, of ids."""
        return object_schema(
            {
                "reason": {"type": "string", "maxLength": 1200},
                "evidence": cited_schema(state),
                "label": {"type": "string", "enum": list(_claim(state).labels)},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            }
        )

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The verdict in a JSON object. A label of null is an abstention, a confidence of null is none.

        Raises:
            ParseError: no JSON object, or a field is missing, of the wrong type or outside of its set.
        """
        data = read_object(text)
        labels = _claim(state).labels
        label = data.get("label")
        if label is None and "label" in data:
            return Draft(abstained=True, cited=read_cited(data), rationale=str(data.get("reason") or ""))
        if label not in labels:
            raise ParseError(f"label must be one of {', '.join(labels)}, not {label!r}")
        cited, profile = read_cited(data), context.model.profile
        unsure = "confidence" in data and data["confidence"] is None
        calibrated = profile.confidence == "calibrated"
        return Draft(
            label=label,
            cited=cited,
            rationale=str(data.get("reason") or ""),
            confidence=None if unsure else read_confidence(data, profile),
            probabilities=data.get("probabilities") if calibrated else None,
            complaints=_uncited(label, cited, state),
        )


_SEARCH = re.compile(r"<search>(.*?)</search>", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_LABEL = re.compile(r"^\s*Label:\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
_EVIDENCE = re.compile(r"^\s*Evidence:(.*)", re.MULTILINE | re.IGNORECASE | re.DOTALL)
_ID = re.compile(r"\[\[(.+?)\]\](?!\])")
_ALIASES = {"SUPPORTS": "SUPPORT", "SUPPORTED": "SUPPORT", "REFUTES": "REFUTE", "REFUTED": "REFUTE"}
_TAGS = re.compile(r"<(/?(?:plan|search|information|think|answer)\b)", re.IGNORECASE)


class TagDialect(Dialect):
    """The paper's tags in one assistant text that the judge's observations continue (research format of Veri-R1)."""

    stop = ("</search>", "</answer>")
    functions = False

    @property
    def prompts(self) -> tuple[str, ...]:
        """The single user message."""
        return (load_prompt(PROMPTS / "tags.txt"),)

    def open(self, case: Claim, context: JudgeContext) -> Opening:
        """One user message with the whole protocol; documents of the case in an information block."""
        documents, opening = cite(case, context)
        searches = min(context.budget.tool_calls, context.budget.turns) if context.tools.specs else 0
        text = fill(
            self.prompts[0],
            searches=plural(searches, "time"),
            labels=" or ".join(case.labels),
            documents=f"<information>\n{_plain(documents)}\n</information>\n\n" if documents else "",
            claim=_plain(case.claim),
        )
        return Opening([{"role": "user", "content": text}], opening.refs)

    def calls(self, message: Message, tools: Collection[str]) -> list[ToolCall]:
        """The first search, unless an answer stands before it: a call of the corpus, or else of the search engine."""
        content = message.get("content") or ""
        search, answer = _SEARCH.search(content), _ANSWER.search(content)
        if search is None or (answer is not None and answer.start() < search.start()):
            return []
        tool = next((name for name in ("retrieve", "search") if name in tools), "retrieve")
        return [ToolCall(f"search_{len(content)}", tool, {"query": search[1].strip()})]

    def observe(
        self, call: ToolCall, text: str, images: Sequence[str], context: JudgeContext, *, calls_left: int
    ) -> Message:
        """The information block, the searches that are left, and an opened think tag."""
        block = (
            f"\n\n<information>\n{_plain(text)}\n({plural(calls_left, 'search turn')} left)\n</information>\n\n<think>"
        )
        return {"role": "tool", "tool_call_id": call.id, "content": block}

    def nudge(self, message: Message, state: State, context: JudgeContext) -> Message:
        """What the paper's environment says to a turn that is neither a search nor an answer."""
        text = "\nThat was neither a search nor an answer. Write <search> query </search> or <answer> ... </answer>.\n"
        return {"role": "user", "content": text}

    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The end of the searches, told in the running text."""
        fault = f"That answer cannot be used: {_plain(problem)}. " if problem else ""
        text = f"\n{fault}No search turns are left. Think, then give the answer.\n<think>"
        return {"role": "user", "content": text}

    def render(self, messages: Sequence[Message]) -> tuple[Sequence[Message], bool]:
        """The protocol's user message and one assistant text with everything since."""
        if len(messages) == 1:
            return messages, False
        written = "".join(str(message.get("content") or "") for message in messages[1:])
        return [messages[0], {"role": "assistant", "content": written}], True

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The two lines of the answer block.

        Raises:
            ParseError: not exactly one answer block, or no label of the closed set in it.
        """
        answers = _ANSWER.findall(text)
        if len(answers) != 1:
            raise ParseError(f"expected one <answer> block, found {len(answers)}")
        labels = _LABEL.findall(answers[0])
        if len(labels) != 1:
            raise ParseError(f"expected one 'Label:' line in the answer, found {len(labels)}")
        label = labels[0].upper().strip(" .[]")
        label = _ALIASES.get(label, label)
        if label not in _claim(state).labels:
            raise ParseError(f"label must be one of {', '.join(_claim(state).labels)}, not {label!r}")
        evidence = _EVIDENCE.search(answers[0])
        known = shown(state)
        cited = [i for i in _ID.findall(evidence[1]) if i in known] if evidence else []
        return Draft(label=label, cited=cited, rationale=_ANSWER.sub("", text).strip())


def _plain(text: str) -> str:
    """`text` with anything that looks like a tag of the protocol, or a special token, made harmless."""
    return _TAGS.sub(r"&lt;\1", Fence.escape(text))


def _claim(state: State) -> Claim:
    case = state["case"]
    assert isinstance(case, Claim)
    return case


def _uncited(label: str, cited: Sequence[str], state: State) -> list[str]:
    if label == NOT_ENOUGH_INFO or cited or not shown(state):
        return []
    return [f"{label} needs the ids of the sentences it rests on"]


@lru_cache(maxsize=8)
def _dialect(protocol: str) -> Dialect:
    return TagDialect() if protocol == "tags" else ClaimTools()


@register("judge", "veri-r1", paper="2510.01932")
def veri_r1() -> LoopJudge:
    """Verifies a claim: searches, reads, then SUPPORT, REFUTE or NOT ENOUGH INFO with evidence ids."""
    return LoopJudge(
        name="veri-r1",
        cases=(Claim,),
        dialect=lambda profile: _dialect(profile.protocol),
        tools=("retrieve", "search", "fetch"),
        budget=Budget(turns=4, tool_calls=3),
    )
