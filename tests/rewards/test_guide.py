"""The guide to rewards: its blocks run here or in the environment of their engine, its tables are those of the code."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import click
import pytest
from guide import BLOCKS, FENCES, GUIDE
from reward_servers import reward_server

from agentjudge import cli
from agentjudge.demo import CORPUS
from agentjudge.judge import Judge
from agentjudge.registry import load_kind
from agentjudge.rewards import adapters

ENGINES = ("trl", "trl environment", "verl", "openrlhf", "skyrl", "verifiers", "agent lightning")
HERE = ("judge", "policy", "slime")


def test_every_block_is_run_somewhere() -> None:
    run = {f"run: {name}" for name in (*HERE, *ENGINES)}
    assert set(BLOCKS) == run | {"prints: judge", "prints: policy", "parse: serve", "config: verl"}
    assert len(BLOCKS) == FENCES


@pytest.mark.parametrize("name", ["judge", "policy"])
def test_a_block_prints_what_it_says(name: str) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(BLOCKS[f"run: {name}"], "docs/rewards.md", "exec"), {})
    assert out.getvalue() == BLOCKS[f"prints: {name}"]


@pytest.fixture
def url() -> Iterator[str]:
    judge = Judge.load("veri-r1", corpus=CORPUS, seed=0)
    with judge, reward_server(judge) as address:
        yield address


async def test_slimes_file(url: str) -> None:
    module: dict[str, Any] = {"url": url}
    exec(compile(BLOCKS["run: slime"], "reward.py", "exec"), module)
    sample = SimpleNamespace(prompt="Where?", response="Linus Torvalds was born in Helsinki.", label=None, metadata={})
    sample.get_reward_value = lambda args: sample.reward
    sample.reward = await module["custom_rm"](None, sample)
    assert 0 <= sample.reward <= 1 and sample.metadata == {"judge_missing": False}
    args = SimpleNamespace(n_samples_per_prompt=1, grpo_std_normalization=True)
    assert module["post_process_rewards"](args, [sample]) == ([sample.reward], [0.0])


def test_commands_have_the_options_that_it_names() -> None:
    for line in BLOCKS["parse: serve"].splitlines():
        program, command, *options = shlex.split(line)
        assert program == "agentjudge"
        found = cli.main.get_command(click.Context(cli.main), command)  # type: ignore[attr-defined]
        assert found is not None
        known = {name for parameter in found.params for name in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= known


def test_every_reward_has_its_use_and_its_hack() -> None:
    table = GUIDE.partition("| reward | for | hacked by |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(load_kind("reward"))


def test_how_none_travels_is_what_the_adapters_say() -> None:
    def rows(text: str) -> list[str]:
        return text.partition("| engine | a sample without a score |")[2].strip().partition("\n\n")[0].splitlines()

    assert rows(adapters.__doc__ or "") == rows(GUIDE) and len(rows(GUIDE)) == 8


def test_its_links_lead_somewhere() -> None:
    heads = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in GUIDE.splitlines()
        if line[:1] == "#"
    }
    assert {name for name in re.findall(r"\(#([\w-]+)\)", GUIDE)} <= heads
