"""The graphs as LangGraph Studio wants them: module-level, and runnable without a caller.

`langgraph.json` points here. Started without a `JudgeContext`, a judge uses the embedded model over the demo corpus, so
Studio's input is just a case: `{"case": {"id": "1", "claim": "..."}}`.
"""

from functools import lru_cache
from typing import Any

from agentjudge.case import Case
from agentjudge.evidence import EvidenceStore
from agentjudge.graphs.arbiter_predictive import web_arbiter_predictive as _web_arbiter_predictive
from agentjudge.graphs.arm_thinker import arm_thinker as _arm_thinker
from agentjudge.graphs.checklist import checklist as _checklist
from agentjudge.graphs.compare import compare as _compare
from agentjudge.graphs.loop import LoopJudge
from agentjudge.graphs.state import JudgeContext
from agentjudge.graphs.trajectory import trajectory as _trajectory
from agentjudge.graphs.veri_r1 import veri_r1 as _veri_r1
from agentjudge.graphs.web_arbiter import web_arbiter as _web_arbiter
from agentjudge.graphs.webjudge import webjudge as _webjudge
from agentjudge.models.base import Model, Sampling, load_model
from agentjudge.prompts import Fence
from agentjudge.tools.base import ToolBox

arm_thinker = _arm_thinker().compile()
checklist = _checklist().compile()
compare = _compare().compile()
trajectory = _trajectory().compile()
veri_r1 = _veri_r1().compile()
web_arbiter = _web_arbiter().compile()
webjudge = _webjudge().compile()
web_arbiter_predictive = _web_arbiter_predictive().compile()


@lru_cache(maxsize=1)
def _parts() -> tuple[Model, ToolBox]:
    from agentjudge.demo import CORPUS
    from agentjudge.tools.corpus import Corpus
    from agentjudge.tools.retrieve import Retrieve

    return load_model("embedded"), ToolBox([Retrieve(Corpus.load(CORPUS))])


@lru_cache(maxsize=32)
def _context(judge: LoopJudge, case_id: str) -> JudgeContext:
    model, tools = _parts()
    return JudgeContext(
        judge=judge.name,
        model=model,
        tools=tools,
        store=EvidenceStore(),
        budget=judge.budget,
        sampling=Sampling(),
        fence=Fence(),
        prompt_hash=judge.prompt_hash(model.profile),
    )


def default_context(judge: LoopJudge, case: Case | dict[str, Any]) -> JudgeContext:
    """The context of a graph that was started without one; the same for all steps of one case."""
    return _context(judge, case["id"] if isinstance(case, dict) else case.id)
