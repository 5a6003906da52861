"""The policy becomes the judge in TRL's own tool loop: a tiny model that now calls a tool, now gives a verdict."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="needs .venv-trl: make test-engines")

import torch
import transformers
import trl
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from agentjudge.case import Claim, Gold
from agentjudge.demo import CORPUS
from agentjudge.errors import ConfigError
from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.adapters.scoring import RewardScorer
from agentjudge.rewards.adapters.trl import make_reward_func
from agentjudge.rewards.adapters.trl_environment import JudgeEnvironment, judge_environment
from agentjudge.rewards.veri_r1 import veri_r1

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")]

CASE = Claim(
    id="c", claim="Linus Torvalds was born in Helsinki.", gold=Gold(label="SUPPORT", evidence=(("torvalds:0",),))
)
CALL = '\n{"name": "retrieve", "arguments": {"query": "Where was Linus Torvalds born?"}}\n'
VERDICT = '{"reason": "It says so.", "evidence": ["torvalds:0"], "label": "SUPPORT", "confidence": 0.9}'


@pytest.fixture
def judge() -> Iterator[Judge]:
    with Judge.load("veri-r1", model=ScriptedModel([]), corpus=CORPUS, seed=0) as loaded:  # its model is never asked
        yield loaded


@pytest.fixture(scope="module")
def policy(tiny: Callable[..., Path]) -> Path:
    """After a line break it calls the tool or gives the verdict, at even odds."""
    phrases = {"Ċ": ["<tool_call>", CALL, "</tool_call>"], "<verdict>": [VERDICT]}
    folder = tiny(phrases, context=8192)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    words.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text()
    call, verdict = (words.convert_tokens_to_ids(piece) for piece in ("<tool_call>", VERDICT))
    with torch.no_grad():
        model.lm_head.weight[verdict] = model.lm_head.weight[call]
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_a_policy_is_paid_for_what_the_graph_saw_it_do(policy: Path, judge: Judge, tmp_path: Path) -> None:
    row = {"prompt": [{"role": "user", "content": "You verify claims."}], "case": CASE.model_dump_json()}
    args = GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=8,
        num_generations=8,
        max_completion_length=3000,
        max_tool_calling_iterations=3,
        max_steps=1,
        report_to=[],
        use_cpu=True,
        bf16=False,
        seed=0,
    )
    made = GRPOTrainer(
        str(policy),
        reward_funcs=make_reward_func(RewardScorer(veri_r1(), judge)),
        train_dataset=Dataset.from_list([row] * 4),
        environment_factory=judge_environment(judge),
        args=args,
    )
    made.train()
    paid = dict[tuple[str, ...], set[float]]()
    for completion, reward in zip(made._logs["completion"], made._logs["rewards"]["judge_reward"], strict=True):
        did = tuple("call" if m.get("tool_calls") else m["role"] for m in completion if m["role"] != "tool")
        paid.setdefault(did, set()).add(round(reward, 3))
    for did, rewards in paid.items():
        looked_and_ended = did[0] == "call" and did[-1] == "assistant"
        assert rewards == {4.0 if looked_and_ended else 0.0}, did  # label 2, evidence 1, format 1
    assert {0.0, 4.0} == set().union(*paid.values())  # one that never looked cites what it never saw
    assert made.state.log_history[0]["judge/missing"] == 0.0


def test_the_environment_shows_what_the_judge_would_be_shown(judge: Judge) -> None:
    environment = judge_environment(judge)()
    told = environment.reset(case=json.loads(CASE.model_dump_json()), prompt=[])
    assert CASE.claim in told and '"label"' in told and "torvalds:0" not in told
    shown = environment.retrieve(query="Where was Linus Torvalds born?")
    assert "[[torvalds:0]]" in shown and "left" in shown
    trace = environment._trace([{"role": "assistant", "content": VERDICT}])
    assert [event.name for event in trace.events] == ["retrieve"] and trace.verdict.label == "SUPPORT"
    assert trace.shown["torvalds:0"].quote == "Linus Torvalds was born in Helsinki in 1969."


def test_tools_are_told_to_trl_as_the_judge_has_them(judge: Judge) -> None:
    environment = judge_environment(judge)()
    schema = transformers.utils.get_json_schema(environment.retrieve)["function"]
    assert schema["name"] == "retrieve" and schema["parameters"]["required"] == ["query"]
    assert schema["parameters"]["properties"]["query"]["type"] == "string"
    environment.reset(case=CASE)
    assert "Wrong arguments for retrieve" in environment.retrieve(question="?")
    assert [event.status for event in environment._trace("").events] == ["bad_args"]


def test_a_policy_that_calls_on_and_on_is_told_to_end(judge: Judge) -> None:
    environment = judge_environment(judge)()
    environment.reset(case=CASE)
    for _ in range(judge.budget.tool_calls):
        shown = environment.retrieve(query="Torvalds")
    assert '"label"' in shown  # the request for the verdict
    with pytest.raises(ConfigError, match="give the verdict"):
        environment.retrieve(query="Torvalds")
    assert environment._trace([{"role": "tool", "content": "x"}]).verdict.failure.kind == "parse"


def test_a_judge_that_plans_is_refused() -> None:
    with Judge.load("trajectory", model=ScriptedModel([])) as planner, pytest.raises(ConfigError, match="plans before"):
        judge_environment(planner)


def test_environments_are_of_their_own(judge: Judge) -> None:
    made: Any = judge_environment(judge)
    one, two = made(), made()
    for environment in (one, two):
        environment.reset(case=CASE)
    one.retrieve(query="Torvalds")
    assert isinstance(one, JudgeEnvironment) and len(one._trace(VERDICT).events) == 1
    assert two._trace(VERDICT).events == []


def test_the_guides_example(run_block: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    made = run_block("trl environment")
    assert len(made["environment"]._trace("").events) == 1
    made["judge"].close()
    assert "result" in capsys.readouterr().out
