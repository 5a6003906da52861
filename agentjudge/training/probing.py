"""All probes of a model at once, on cases that are not trained on: `agentjudge train probe`.

    found = probe(config, load_policy(config.model), numbers=range(60), start=load_policy(config.model, path="sft"))
    found.unmoved["removed"].same, found.contamination.suspicious, found.reach

What each asks, and what its answers mean: `probes`, `probes_causal`, `probes_faithful` and `probes_reach`.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar, get_args

from agentjudge.case import Record
from agentjudge.errors import DataError
from agentjudge.models.embedded.verifier import Verifier
from agentjudge.training.config import TrainConfig
from agentjudge.training.evaluate import cell, judged
from agentjudge.training.measures import measured
from agentjudge.training.policies import Policy, asked
from agentjudge.training.probes import Contamination, OfSampler, contamination, text_of
from agentjudge.training.probes_causal import Change, Unmoved, unmoved
from agentjudge.training.probes_faithful import Faithfulness, faithfulness
from agentjudge.training.probes_reach import Reach, reached
from agentjudge.training.sources import judge_for, open_source
from agentjudge.training.tokens import TokenModel

_T = TypeVar("_T")


class Probed(Record):
    """What the probes found. One that had nothing to look at is None, and `silent` says why."""

    n: int
    """Cases that were judged."""
    contamination: Contamination | None
    unmoved: dict[str, Unmoved]
    """By change."""
    faithfulness: Faithfulness | None
    reach: tuple[Reach, ...]
    """Against the start; empty where none was given."""
    silent: dict[str, str]


def probe(
    config: TrainConfig,
    policy: Policy,
    *,
    numbers: Sequence[int],
    start: Policy | None = None,
    tries: int = 8,
    seed: int = 0,
) -> Probed:
    """Probe a model on the weights in this process.

    Args:
        config: of the run.
        policy: the model.
        numbers: of the test cases.
        start: the model before the training, for what is reached now and was not then.
        tries: samples a case of both, for pass@1 to pass@`tries`.
        seed: of what is sampled and of the intervals.

    Raises:
        ModelError: no judgement came back.
        DataError: the cases cannot be read.
    """
    return asyncio.run(_probe(config, policy, numbers, start, tries, seed))


async def _probe(
    config: TrainConfig, policy: Policy, numbers: Sequence[int], start: Policy | None, tries: int, seed: int
) -> Probed:
    silent: dict[str, str] = {}

    async def said(name: str, work: Awaitable[_T]) -> _T | None:
        try:
            return await work
        except DataError as exc:
            silent[name] = exc.message
            return None

    source = open_source(config, split="test")
    async with asked(policy, config) as (sampler, model):
        found = await judged(source, config, model, numbers=numbers, seed=seed)
        traces, texts = [trace for trace, _ in found], [text_of(case) for _, case in found]
        known = await said("contamination", contamination(OfSampler(sampler, policy.tokenizer), texts, seed=seed))
        judge = judge_for(source.case(numbers[0]), config, model, temperature=0.0)
        held = {
            change: await said(f"unmoved, {change}", unmoved(judge, traces, change=change, seed=seed))
            for change in get_args(Change)
        }
        borne = await said("faithfulness", asyncio.to_thread(faithfulness, traces, Verifier.load(), seed=seed))
        now = {} if start is None else await _tries(config, model, numbers, tries, seed)
    reach: list[Reach] = []
    if start is not None:
        async with asked(start, config) as (_, model):
            before = await _tries(config, model, numbers, tries, seed)
        reach = reached(before, now, ks=[2**power for power in range(tries.bit_length())], seed=seed)
    return Probed(
        n=len(found),
        contamination=known,
        unmoved={change: each for change, each in held.items() if each is not None},
        faithfulness=borne,
        reach=tuple(reach),
        silent=silent,
    )


async def _tries(
    config: TrainConfig, model: TokenModel, numbers: Sequence[int], tries: int, seed: int
) -> dict[str, list[bool]]:
    """For each case whether each sampled judgement was right in label and evidence."""
    source, found = open_source(config, split="test"), dict[str, list[bool]]()
    for turn in range(tries):
        sampled = await judged(
            source,
            config,
            model,
            numbers=numbers,
            temperature=config.judge.sampling.temperature,
            seed=seed * tries + turn,
        )
        for trace, case in sampled:
            found.setdefault(case.id, []).append(measured(trace, case).joint)
    return found


def table(found: Probed) -> tuple[list[str], list[list[str]]]:
    """Columns and cells, for a terminal."""
    rows = []
    if found.contamination is not None:
        rows += [
            [f"rest of the text after {share.given:.0%}, word for word", str(share.n), cell(share.exact),
             f"{share.floor.mean:.3f} on unread texts"]
            for share in found.contamination.shares
        ]  # fmt: skip
    kept = found.unmoved.get("kept")
    for change, held in found.unmoved.items():
        beside = f"{kept.same.mean:.3f} where nothing is changed" if kept is not None and change != "kept" else ""
        rows.append([f"verdicts that stay, evidence {change}", str(held.same.n), cell(held.same), beside])
    if (borne := found.faithfulness) is not None:
        every = borne.every
        beside = "" if every.floor is None else f"{every.floor.mean:.3f} on the evidence of another case"
        rows.append(["evidence bears the verdict (embedded verifier)", str(every.n), cell(every.agreed), beside])
    rows += [
        [f"pass@{reach.k}", str(reach.n), cell(reach.now), f"{reach.start.mean:.3f} at the start"]
        for reach in found.reach
    ]
    return ["probe", "n", "share", "beside"], [*rows, *([name, "", "", why] for name, why in found.silent.items())]
