"""GRPO with a judge as the reward, from end to end on a CPU: TRL, a tiny random policy, a reward server over HTTP.

    pip install 'agentjudge[serve,hf]' trl
    python examples/grpo_with_judge.py --steps 50 --out runs-out/grpo

The policy knows a few statements, one token each, and says one of them at random; what it should say is for the judge
to tell, who holds each statement against a small corpus. The embedded judge answers `/v1/rewards` of a reward server in
this process (or give `--url` of another one, such as `agentjudge serve --rewards`). `--outages` makes the judge fail on
a share of what it is asked, as servers do: those samples have no score, and are no zeros. (The server asks no question
twice, so the prompts are numbered, which no one needs to answer them.)

`steps.jsonl` has a line a step: the mean reward of what was scored, how many rows were masked, the share of the judge's
answers that were errors, the loss. The last lines printed sum them up.
"""

import argparse
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentjudge import Judge
from agentjudge.demo import CORPUS
from agentjudge.errors import ModelError
from agentjudge.models.base import Request, load_model
from agentjudge.rewards.adapters.remote import RemoteScorer
from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Scorer
from agentjudge.rewards.adapters.trl import make_reward_func
from agentjudge.rewards.base import RewardResult
from agentjudge.trace import Turn

TRUE = (
    "Linus Torvalds was born in Helsinki.",
    "Helsinki is the capital of Finland.",
    "Linus Torvalds was born in 1969.",
    "Helsinki has been the Finnish capital since 1812.",
)
FALSE = (
    "Linus Torvalds was born in Paris.",
    "Helsinki is the capital of Norway.",
    "Linus Torvalds was born in 1899.",
    "Helsinki has been the Finnish capital since 1950.",
)


class Unreliable:
    """A model that fails on a share of what it is asked."""

    def __init__(self, inner: Any, share: float, seed: int) -> None:
        self.name, self.profile = inner.name, inner.profile
        self._inner, self._share, self._draw = inner, share, random.Random(seed)

    async def act(self, request: Request) -> Turn:
        """See `Model`."""
        if not request.events and self._draw.random() < self._share:
            raise ModelError("an outage that was asked for by --outages")
        turn: Turn = await self._inner.act(request)
        return turn

    async def aclose(self) -> None:
        """See `Model`."""
        await self._inner.aclose()


class Counted:
    """A scorer that keeps count of what it could not score, and why."""

    def __init__(self, inner: Scorer) -> None:
        self._inner = inner
        self.scored, self.missing = 0, Counter[str]()

    async def score_samples(self, samples: Sequence[Sample], *, step: int = 0) -> list[RewardResult]:
        """See `Scorer`."""
        results = await self._inner.score_samples(samples, step=step)
        self.scored += sum(result.score is not None for result in results)
        self.missing.update(result.error.partition(":")[0] for result in results if result.score is None)
        return results

    @property
    def error_rate(self) -> float:
        """The share of samples without a score."""
        gone = self.missing.total()
        return gone / max(1, gone + self.scored)


@contextmanager
def reward_server(judge: Judge) -> Iterator[str]:
    """The address of a reward server that asks this judge."""
    import uvicorn

    from agentjudge.serving.rewards import Limits, create_app
    from agentjudge.serving.rewards_jobs import Jobs

    app = create_app(Jobs(judge), limits=Limits(tries=1, outages=1_000))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def tiny_policy(seed: int) -> tuple[Any, Any]:
    """A random Qwen3 of two layers whose tokens are whole statements, and its tokenizer."""
    import torch
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    words = ["<pad>", "<end>", "<unk>", "State", "a", "fact."]
    core = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_tokens([AddedToken(statement, normalized=False) for statement in TRUE + FALSE])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", padding_side="left"
    )
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(config), tokenizer


def train(scorer: Counted, *, steps: int, out: Path, seed: int) -> list[dict[str, float]]:
    """The run; a record a step, which `steps.jsonl` in `out` has too."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    policy, tokenizer = tiny_policy(seed)
    records: list[dict[str, float]] = []

    class Log(TrainerCallback):  # type: ignore[misc]
        """Writes a line a step."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not logs or "reward" not in logs:
                return
            missing = float(logs["judge/missing"])
            record = {"step": float(state.global_step), "reward": float(logs["reward"])}
            record |= {"masked": round(missing * args.generation_batch_size), "error_rate": missing}
            record |= {"loss": float(logs.get("loss", 0.0)), "entropy": float(logs.get("entropy", 0.0))}
            records.append(record)
            with (out / "steps.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")

    out.mkdir(parents=True, exist_ok=True)
    (out / "steps.jsonl").unlink(missing_ok=True)
    args = GRPOConfig(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=16,
        num_generations=8,
        max_completion_length=1,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        seed=seed,
    )
    trainer = GRPOTrainer(
        policy,
        reward_funcs=make_reward_func(scorer),
        train_dataset=Dataset.from_list([{"prompt": f"State a fact. {n}"} for n in range(64)]),
        processing_class=tokenizer,
        callbacks=[Log()],
        args=args,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return records


def main() -> None:
    """Train, and sum it up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("runs-out/grpo"))
    parser.add_argument("--url", help="address of a reward server; one is started when left out")
    parser.add_argument("--outages", type=float, default=0.1, help="share of questions that the judge fails on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    began = time.monotonic()
    if options.url:
        scorer = Counted(RemoteScorer(options.url))
        records = train(scorer, steps=options.steps, out=options.out, seed=options.seed)
    else:
        model = Unreliable(load_model("embedded"), options.outages, options.seed)
        judge = Judge.load("veri-r1", model=model, corpus=CORPUS, seed=options.seed)
        with judge, reward_server(judge) as url:
            scorer = Counted(RemoteScorer(url))
            records = train(scorer, steps=options.steps, out=options.out, seed=options.seed)

    known = [record["reward"] for record in records if record["reward"] == record["reward"]]
    tenth = max(1, len(known) // 5)
    first, last = sum(known[:tenth]) / tenth, sum(known[-tenth:]) / tenth
    print(f"{len(records)} steps in {time.monotonic() - began:.0f} s, {options.out / 'steps.jsonl'}")
    print(f"mean reward, first {tenth} steps {first:.3f}, last {tenth} steps {last:.3f}")
    print(f"rows {scorer.scored + scorer.missing.total()}, masked {scorer.missing.total()}")
    print(f"judge error rate {scorer.error_rate:.3f} ({dict(scorer.missing) or 'none'})")


if __name__ == "__main__":
    main()
