"""The file of a training run: what is asked for is read, what is not known is refused by name."""

from pathlib import Path
from typing import Any

import pytest

from agentjudge.errors import ConfigError
from agentjudge.training.config import parse_config, read_config

LEAST: dict[str, Any] = {"model": {"path": "m"}, "data": {"gym": {}}}


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        '[model]\npath = "m"\nlora = {r = 8}\n[judge.budget]\ntool_calls = 2\n[data.gym]\nhops = [1, 2]\n'
        '[grpo]\nsteps = 7\n[rollout]\npolicy = "strict"\n'
    )
    config = read_config(file)
    assert config.model.lora is not None and config.model.lora.r == 8 and config.grpo.steps == 7
    assert config.judge.budget is not None and config.judge.budget.tool_calls == 2
    assert config.data.gym is not None and config.data.gym.hops == (1, 2) and config.rollout.policy == "strict"
    assert config.sft.batch == 16 and config.gate is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"modle": {}}, r"unknown key 'modle'; there is seed, model,"),
        ({"grpo": {"step": 3}}, r"unknown key 'grpo\.step'; there is steps, lr"),
        ({"data": {"gym": {"hop": 1}}}, r"unknown key 'data\.gym\.hop'; there is hops"),
        ({"judge": {"budget": {"tool_call": 1}}}, r"unknown key 'judge\.budget\.tool_call'; there is turns"),
        ({"grpo": {"group": 1}}, r"grpo\.group: .*greater than or equal to 2"),
        ({"judge": {"sampling": {"top_p": 0.9}}}, r"unknown key 'judge\.sampling\.top_p'"),
        ({"rollout": {"sampler": "sglang"}}, r"'torch' or 'vllm:NAME@http"),
        ({"rollout": {"sampler": "vllm:http://127.0.0.1:8000"}}, r"'torch' or 'vllm:NAME@http"),
        ({"rollout": {"policy": "loose"}}, r"rollout\.policy"),
        ({"data": {}}, r"either a \[data\.gym\] or a file of cases"),
        ({"data": {"gym": {}, "cases": "c.jsonl"}}, r"either a"),
        ({"data": {"gym": {}, "corpus": ["docs"]}}, r"brings its own corpus"),
        ({"curriculum": {}}, r"set \[data\.gym\] worlds"),
        ({"data": {"cases": "c.jsonl"}, "sft": {"steps": 3}}, r"the oracle knows a gym alone"),
        ({"model": {}}, r"model\.path: Field required"),
    ],
)
def test_what_cannot_be_is_refused_and_named(change: dict[str, Any], says: str) -> None:
    parse_config(LEAST, where="here")
    with pytest.raises(ConfigError, match=says):
        parse_config(LEAST | change, where="here")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"here: .*'grpo\.step'.*'modle'"):
        parse_config(LEAST | {"grpo": {"step": 1}, "modle": 1}, where="here")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_config(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("[model")
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "broken.toml")


def test_the_ready_plans_can_be_read() -> None:
    plans = sorted((Path(__file__).parents[2] / "agentjudge/training/plans").glob("*.toml"))
    for plan in plans:
        read_config(plan)
