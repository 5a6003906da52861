"""Judges that check before they score: LangGraph state machines with tools, evidence and verdicts.

from agentjudge import Claim, Judge

judge = Judge.load("veri-r1", model="embedded", corpus="docs/")
verdict = judge.judge("The bridge opened in 1932.")
"""

import os
from typing import TYPE_CHECKING

from agentjudge.budget import Budget
from agentjudge.case import ActionChoice, Case, Claim, Comparison, Document, Gold, Response, Step, Trajectory
from agentjudge.errors import AgentJudgeError
from agentjudge.evidence import Box, EvidenceRef, EvidenceStore
from agentjudge.trace import ToolEvent, Trace, Turn
from agentjudge.verdict import Confidence, Criterion, Failure, Provenance, Usage, Verdict

if TYPE_CHECKING:
    from agentjudge.judge import Judge

__version__ = "0.1.0"

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.29 and later report models by default, on Linux too

__all__ = [
    "ActionChoice",
    "AgentJudgeError",
    "Box",
    "Budget",
    "Case",
    "Claim",
    "Comparison",
    "Confidence",
    "Criterion",
    "Document",
    "EvidenceRef",
    "EvidenceStore",
    "Failure",
    "Gold",
    "Judge",
    "Provenance",
    "Response",
    "Step",
    "ToolEvent",
    "Trace",
    "Trajectory",
    "Turn",
    "Usage",
    "Verdict",
    "__version__",
]


def __getattr__(name: str) -> object:
    """`Judge` is imported when it is first used: it brings the graph and the tools."""
    if name == "Judge":
        from agentjudge.judge import Judge

        return Judge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
