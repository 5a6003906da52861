"""Rollouts a second: our graph on `TorchSampler` beside TRL's own environment loop, one model, 32 at once.

    python -m agentjudge.benchmarks.speed.rollouts [--rounds N] [--json]

| arm | a rollout is |
|---|---|
| `ours` | the judge `veri-r1` in LangGraph, on `TokenModel` and `TorchSampler`: three searches, then the verdict |
| `trl` | `GRPOTrainer` with `environment_factory` and transformers' `generate`: three searches, then a fourth turn |

Both have the same policy in fp32, the same opening messages, tool and corpus, and turns of the same length at
temperature 1: a Qwen3-shaped model of 2 million weights whose head recites, so that every turn is a thought of 40
tokens and a call. What is timed is the making of rollouts alone: of TRL generation, parsing and tools (`_generate`),
without the passes of its own that follow. Ours brings the log-probabilities as well. Rounds of both alternate in one
process, and what counts is the ratio of tokens a second, and that of CPU time a token, which is the steadier one where
other programs run. Needs the extra `train`.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentjudge.budget import Budget
from agentjudge.errors import require
from agentjudge.evidence import EvidenceStore
from agentjudge.graphs.veri_r1 import PROMPTS
from agentjudge.judge import Judge
from agentjudge.models.base import Sampling
from agentjudge.models.profiles import ModelProfile
from agentjudge.tools.base import ToolContext
from agentjudge.tools.retrieve import Retrieve
from agentjudge.training.gym import ClaimGym
from agentjudge.training.gym.claims import World
from agentjudge.training.rows import assemble, drift_of
from agentjudge.training.templates import keep_prefix
from agentjudge.training.tokens import TokenModel
from agentjudge.training.torch_sampler import TorchSampler

AT_ONCE, GROUP, SEARCHES = 32, 8, 3
THOUGHT = 40
"""Tokens."""
WIDTH = 192
ASKED, OFF = "<|im_start|>assistant\n", "<think>\n\n</think>\n\n"
CALL = ['<tool_call>\n{"name": "retrieve", "arguments": {"query": "', "works at", '"}}\n</tool_call>']
PROFILE = ModelProfile(thinking_switch="enable_thinking")


def phrases() -> list[list[str]]:
    """What is recited: behind an ordinary prompt a thought and a call, behind one without thoughts a verdict."""
    thought = [f"so{number} " for number in range(THOUGHT)]
    reason = [f"as{number} " for number in range(THOUGHT)]
    verdict = ['{"reason": "', *reason, '", "evidence": [], "label": ', '"NOT ENOUGH INFO", "confidence": 0.5}']
    return [[ASKED, "<think>\n", *thought, "\n</think>\n\n", *CALL], [OFF, *verdict]]


def tokenizer() -> Any:
    """Byte-level BPE of about 1,500 tokens and those that are recited, with the stock template of Qwen3."""
    tokenizers, transformers = require("tokenizers", extra="train"), require("transformers", extra="train")
    trl = Path(str(require("trl", extra="train").__file__)).parent
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False)
    texts = [path.read_text(encoding="utf-8") for path in sorted(PROMPTS.parent.rglob("*.txt"))]
    core.train_from_iterator(texts, trainer)
    core.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    pieces = dict.fromkeys(piece for phrase in phrases() for piece in phrase)
    core.add_tokens([tokenizers.AddedToken(piece, normalized=False) for piece in pieces])
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    words.chat_template = (trl / "chat_templates" / "qwen3.jinja").read_text(encoding="utf-8")
    return words


def reciting(words: Any) -> Any:
    """A model of the size of a small one, whose layers cost what they cost and whose head goes by the last token."""
    torch, transformers = require("torch", extra="train"), require("transformers", extra="train")
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=32,
        max_position_embeddings=4096,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=False,
    )
    model = transformers.Qwen3ForCausalLM(config)
    with torch.no_grad():
        embeddings = torch.nn.functional.normalize(torch.randn(len(words), WIDTH), dim=-1) * WIDTH**0.5
        model.model.embed_tokens.weight.copy_(embeddings)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        head = torch.zeros(len(words), WIDTH)
        for phrase in phrases():
            chain = [words.convert_tokens_to_ids(piece) for piece in phrase] + [words.eos_token_id]
            for token, following in zip(chain, chain[1:], strict=False):
                head[following] += 0.4 * embeddings[token]
        model.lm_head.weight.copy_(head)
    return model


class Environment:
    """The same search for TRL's loop."""

    tool: Retrieve

    def reset(self, **_: Any) -> None:
        """Nothing to set up."""

    def retrieve(self, query: str) -> str:
        """Search the corpus. Returns the passages that fit the query best, one sentence a line.

        Args:
            query: What to look for, in a few words.
        """
        context = ToolContext(None, EvidenceStore(), {}, PROFILE)  # type: ignore[arg-type]
        return self.tool.run(self.tool.Args(query=query), context).text


def ours(policy: Any, words: Any, world: World) -> Callable[[], int]:
    """Makes 32 rollouts and tells the tokens that were sampled."""

    async def roll() -> int:
        sampler = TorchSampler(policy, words)
        judge = Judge.load(
            "veri-r1",
            model=TokenModel(sampler, words, profile=PROFILE),
            corpus=world.corpus,
            budget=Budget(turns=SEARCHES, tool_calls=SEARCHES),
            sampling=Sampling(max_tokens=128, temperature=1.0),
        )
        traces = await asyncio.gather(*(judge.arun(case) for case in world.cases for _ in range(GROUP)))
        await sampler.aclose()
        rows = [row for trace in traces for row in assemble(trace)]
        if len(rows) != AT_ONCE or drift_of(rows).tokens or any(len(t.events) != SEARCHES for t in traces):
            raise SystemExit("the rollouts are not those that are to be timed")
        return sum(row.trained for row in rows)

    return lambda: asyncio.run(roll())


def trl(policy: Any, words: Any, world: World, folder: str) -> Callable[[], int]:
    """The same by TRL; of its step only the part that makes rollouts is counted."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    library, datasets = require("trl", extra="train"), require("datasets", extra="train")
    opening = asyncio.run(_opening(world))
    Environment.tool = Retrieve(world.corpus)
    trainer = library.GRPOTrainer(
        model=policy,
        processing_class=words,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        environment_factory=Environment,
        train_dataset=datasets.Dataset.from_list([{"prompt": messages} for messages in opening]),
        args=library.GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=AT_ONCE,
            num_generations=GROUP,
            max_completion_length=2048,
            max_tool_calling_iterations=SEARCHES,
            temperature=1.0,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            disable_tqdm=True,
        ),
    )
    inputs = [{"prompt": messages} for messages in opening for _ in range(GROUP)]
    trainer._environment_pool[None] += [Environment() for _ in range(AT_ONCE)]
    trainer._batch_environments = [None] * AT_ONCE
    trainer.environments = [Environment() for _ in inputs]
    trainer._sync_tool_dicts = [{"retrieve": environment.retrieve} for environment in trainer.environments]
    trainer._async_tool_dicts = [{} for _ in inputs]

    def roll() -> int:
        policy.train()
        _, completions, mask, *_ = trainer._generate([each["prompt"] for each in inputs])
        if len(completions) != AT_ONCE:
            raise SystemExit("the rollouts are not those that are to be timed")
        return sum(map(sum, mask))

    return roll


async def _opening(world: World) -> list[list[dict[str, Any]]]:
    """The messages with which our judge opens each case."""
    from agentjudge.models.scripted import ScriptedModel

    async def nothing(_: Any) -> str:
        return "{}"

    judge = Judge.load("veri-r1", model=ScriptedModel(nothing), corpus=world.corpus)
    traces = [await judge.arun(case) for case in world.cases]
    return [[trace.messages[place] for place in trace.turns[0].messages_in] for trace in traces]


def measure(rounds: int) -> dict[str, Any]:
    """Rounds of both arms by turns."""
    require("torch", extra="train").manual_seed(0)
    words = tokenizer()
    stock = words.chat_template
    world = ClaimGym(hops=(1,), claims=AT_ONCE // GROUP, documents=10).world(0)
    policy = reciting(words)
    kept = keep_prefix(tokenizer(), "qwen3")
    with tempfile.TemporaryDirectory() as folder:
        arms = {"trl": trl(policy, words, world, folder), "ours": ours(policy, kept, world)}
        assert words.chat_template == stock
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
        for number in range(rounds + 1):
            for name, roll in arms.items():
                wall, cpu = time.perf_counter(), time.process_time()
                tokens = roll()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                if number:  # the first round warms up
                    found[name].append((tokens / wall, tokens / cpu))
    rates = {
        name: {
            "tokens_per_second": statistics.median(wall for wall, _ in rows),
            "tokens_per_cpu_second": statistics.median(cpu for _, cpu in rows),
            "tokens": tokens,
        }
        for name, rows in found.items()
    }
    ratios = {
        key: statistics.median(
            mine[place] / theirs[place] for mine, theirs in zip(found["ours"], found["trl"], strict=True)
        )
        for place, key in enumerate(("wall", "cpu"))
    }
    return {"rounds": rounds, "arms": rates, "ours / trl": ratios}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, row in found["arms"].items():
        print(f"{name:6}" + "  ".join(f"{key} {value:9.0f}" for key, value in row.items()))
    print("ours / trl: " + ", ".join(f"{ratio:.2f} by {name}" for name, ratio in found["ours / trl"].items()))


if __name__ == "__main__":
    main()
