"""A judge of a million weights that verifies claims by searching: small enough to be trained on two cores.

    python -m agentjudge.training.nano build/nano/untrained

It is a model for trying things out, not one to judge with: it reads the generated worlds of the gym (`gym`) and nothing
else. But it goes every way that a large one goes: the real judge with its tools and templates, reading, imitation,
reinforcement, serving by vLLM. The shape is Qwen3's. What makes it small is its tokenizer:

- **Names are single tokens**, the same with a space before them and without, so that copying one is one step.
- **Messages that never change are single tokens**: the instructions, the tool's description, the request for the
  verdict. Between names and messages stand a few phrases. A conversation of 3,000 characters has about 100 tokens.
- **The nonce of a fence is not read**: it is dropped, since nothing in the gym tries to break out of a fence.

Every text can still be written in it, byte by byte. The price is that it has to be made and trained again when the
judge's prompts change; a test says when.
"""

import asyncio
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from agentjudge.errors import require
from agentjudge.judge import Judge
from agentjudge.registry import lookup
from agentjudge.tools.retrieve import Retrieve
from agentjudge.trace import Trace
from agentjudge.training.examples import rendered
from agentjudge.training.gym import ClaimGym, Names, Oracle, Slop, demonstrations
from agentjudge.training.gym.names import Split
from agentjudge.training.templates import keep_prefix

PLANS = Path(__file__).parent / "plans"
NAMES = 150
WORLDS = 300
"""From which its phrases are learned."""
MERGED = 900
"""Tokens of bytes and phrases."""
REPEATED = 0.2
"""Share of the conversations in which a text between two chat tokens stands, to become a token."""
LONG = 60
"""Characters of such a text, at least."""
CONTEXT = 1024
CHAT = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ASSISTANT = "<|im_start|>assistant\n"
"""A token of its own, so that no merge goes across where a prompt ends and an answer begins."""
SHAPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    "initializer_range": 0.05,
    "bos_token_id": None,
}


@lru_cache
def names() -> Names:
    """The names of its worlds: 150 of two syllables, drawn once for all."""
    spelled = Names.syllables(2).words
    places = random.Random("nano").sample(range(len(spelled)), NAMES)
    return Names.of(spelled[place] for place in places)


def gym(hops: tuple[int, ...] = (1, 2), *, split: Split = "train", seed: int = 0) -> ClaimGym:
    """Its worlds: 10 documents, two sentences for each thing that is asked for, one wording."""
    return ClaimGym(names=names(), hops=hops, documents=10, wordings=1, split=split, seed=seed)


def tokenizer(texts: Sequence[str]) -> Any:
    """Its tokenizer, without a chat template.

    Args:
        texts: conversations as the chat template renders them, to learn the phrases from.
    """
    kit, transformers = require("tokenizers", extra="train"), require("transformers", extra="train")
    between = _any_of([ASSISTANT, *CHAT])
    often = Counter(part for text in texts for part in set(between.split(text)) if len(part) >= LONG)
    whole = [part for part, count in often.items() if count >= REPEATED * len(texts)]
    known = [ASSISTANT, *whole, *names().words]
    around = _any_of([*known, *CHAT])
    core = kit.Tokenizer(kit.models.BPE())
    core.normalizer = kit.normalizers.Replace(kit.Regex(_NONCE.pattern), "untrusted")
    core.pre_tokenizer = kit.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = kit.decoders.ByteLevel()
    trainer = kit.trainers.BpeTrainer(
        vocab_size=MERGED, initial_alphabet=kit.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator([part for text in texts for part in around.split(text) if part], trainer)
    core.add_special_tokens(list(CHAT))
    core.add_tokens([kit.AddedToken(text, normalized=False) for text in known])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=CONTEXT
    )


_NONCE = re.compile("untrusted-[0-9a-f]{8}")


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))


async def conversations(worlds: int) -> list[str]:
    """Texts in the manner of what it reads and writes: claims read with their documents, and searched for."""
    spec, found = lookup("judge", "veri-r1").target(), list[str]()
    letters = keep_prefix(tokenizer([]), family="chatml")
    for world in islice(gym().worlds(), worlds):
        judge = Judge(spec, model=Oracle(world), tools=[], seed=0)
        found.append(_text(await judge.arun(world.reading(world.cases[0])), letters))
        await judge.aclose()
    offered = [Retrieve(gym().world(0).corpus).spec()]
    async for _, trace in demonstrations(islice(gym().worlds(), worlds), slop=Slop(superfluous=0.3, disorder=0.3)):
        found.append(_text(trace, letters, offered))
    return found


def _text(trace: Trace, words: Any, tools: Sequence[dict[str, Any]] = ()) -> str:
    last = rendered(trace, words, tools=tools).turns[-1]
    return str(words.decode([*(last.prompt_ids or ()), *(last.output_ids or ())]))


def untrained(words: Any, *, seed: int = 0) -> Any:
    """The model with random weights."""
    torch, transformers = require("torch", extra="train"), require("transformers", extra="train")
    torch.manual_seed(seed)
    ends = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(vocab_size=len(words), **SHAPE, **ends))


def main(folder: Path) -> None:
    """Write the tokenizer and the untrained model."""
    words = keep_prefix(tokenizer(asyncio.run(conversations(WORLDS))), family="chatml")
    model = untrained(words)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    print(f"{folder}: {model.num_parameters():,} weights, {len(words):,} tokens")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m agentjudge.training.nano FOLDER")
    main(Path(sys.argv[1]))
