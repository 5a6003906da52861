"""The nano judge's tokenizer: the judge's prompts and the names of the gym are single tokens in it."""

import asyncio
from itertools import islice
from typing import Any

import pytest

pytest.importorskip("trl")

from agentjudge.tools.retrieve import Retrieve  # noqa: E402
from agentjudge.training.config import read_config  # noqa: E402
from agentjudge.training.examples import sft_examples  # noqa: E402
from agentjudge.training.gym import Slop, demonstrations  # noqa: E402
from agentjudge.training.nano import PLANS, conversations, gym, names, tokenizer, untrained  # noqa: E402
from agentjudge.training.templates import keep_prefix, prefix_error  # noqa: E402


@pytest.fixture(scope="module")
def words() -> Any:
    return keep_prefix(tokenizer(asyncio.run(conversations(60))), family="chatml")


async def test_conversations_are_short(words: Any) -> None:
    offered = [Retrieve(gym().world(0).corpus).spec()]
    lengths = []
    async for case, trace in demonstrations(islice(gym((2,), split="test").worlds(), 12), slop=Slop(superfluous=0.3)):
        (example,) = sft_examples(trace, words, tools=offered)
        lengths.append(len(example.input_ids))
        said = [id for id in example.labels if id != -100]
        assert case.claim.split()[-1].rstrip(".") in words.decode(example.input_ids)
        assert words.decode(said).count("<|im_end|>") == len(trace.turns)
    assert max(lengths) < 250, "the instructions are no longer single tokens"


def test_names_are_single_tokens_wherever_they_stand(words: Any) -> None:
    for name in names().words:
        (id,) = words.encode(name)
        assert id in words.encode(f"of {name},") and id in words.encode(f"[[{name}:0]]")
    assert prefix_error(words) is None


def test_any_text_can_be_written(words: Any) -> None:
    for text in ("Zürich, 42 °C\n\tfür dich 👍", "{'a': [1, 2]}", "Bakopiti"):
        assert words.decode(words.encode(text)) == text


def test_the_model_takes_its_tokens_and_its_plans_are_read(words: Any) -> None:
    model = untrained(words)
    assert model.get_input_embeddings().weight.shape[0] == len(words)
    assert model.num_parameters() < 1_100_000
    for plan in sorted(PLANS.glob("nano_*.toml")):
        assert read_config(plan).data.gym is not None
