"""Probes: a model that knows texts by heart is told from one that does not, and a verdict's ground from its colour."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from agentjudge.case import Claim, Comparison, Trajectory
from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.models.scripted import ScriptedModel
from agentjudge.training.probes import ASKED, OfModel, OfSampler, contamination, fresh, text_of

READ = [
    "The lighthouse of Brandt Point was built of red brick in 1846 and has warned ships of the shoals ever since.",
    "Copper roofs turn green because carbonates form on them slowly in the damp air of towns near the sea.",
    "A violin has four strings which are tuned in fifths, and its back is most often carved from maple wood.",
    "The bakers of the valley leave their dough overnight in cool cellars so that it rises slowly until dawn.",
    "Most tram lines in the old quarter were closed after the flood and were never opened again to the public.",
    "Every spring the river carries away a part of the lower road, which the village then builds once more.",
]
UNREAD = [
    "The glider crossed the ridge at noon and landed on a meadow that no pilot had used for thirty years.",
    "Her second novel was printed on grey paper since white paper could not be had anywhere that winter.",
    "Bees do not sleep in the cold months but keep the hive warm by trembling with their flight muscles.",
    "The clock tower strikes eleven times at ten because a clerk once wound it while he was not sober.",
    "Salt was so dear in the mountains that guards were paid with it and houses were sold for a sack.",
    "When the ferry broke down the children went to school by boat and came home an hour late each day.",
]


class Drawn(NamedTuple):
    ids: list[int]


class Letters:
    """A tokenizer of code points, with an end of the text."""

    eos_token_id = 0

    def encode(self, text: str) -> list[int]:
        return [*map(ord, text), 0]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return "".join(chr(id) for id in ids if id)


class Grams:
    """A language model that counts: the letter that came most often after the longest ending that it knows."""

    def __init__(self, texts: Sequence[str], *, down: str = "", order: int = 12) -> None:
        self.order, self.down, self.next = order, down, dict[str, dict[str, int]]()
        for text in texts:
            for at in range(1, len(text)):
                for length in range(1, min(order, at) + 1):
                    counts = self.next.setdefault(text[at - length : at], {})
                    counts[text[at]] = counts.get(text[at], 0) + 1

    async def sample(self, prompt: Sequence[int], *, max_tokens: int, temperature: float) -> Drawn:
        assert temperature == 0 and prompt[-1] != 0
        text = "".join(map(chr, prompt))
        if self.down and self.down in text:
            raise ModelError("no server", retriable=True)
        begun = len(text)
        while len(text) - begun < max_tokens:
            known = next((n for size in range(self.order, 0, -1) if (n := self.next.get(text[-size:]))), None)
            if known is None:
                break
            text += max(sorted(known), key=lambda letter: known[letter])
        return Drawn([*map(ord, text[begun:])])


async def test_texts_that_were_learned_by_heart_come_back() -> None:
    model = OfSampler(Grams(READ), Letters())
    found = await contamination(model, READ)
    assert [share.given for share in found.shares] == [0.4, 0.6, 0.8] and found.suspicious
    assert all(share.exact.mean > 0.6 and share.rouge.mean > 0.6 for share in found.shares), found.shares[0]
    assert all(share.floor.mean == 0 and share.n == 6 for share in found.shares)
    other = await contamination(model, UNREAD)
    assert not other.suspicious and all(share.exact.mean == 0 for share in other.shares)
    assert other.failed == other.short == 0
    assert await contamination(model, READ, concurrency=1) == found


async def test_a_model_of_conversations_goes_on_with_its_own_answer() -> None:
    """Words as they stand, line breaks too; what comes after the rest does not count."""
    poem = "one two\n\nthree four five\nsix seven eight"
    asked = []

    def goes_on(request: object) -> str:
        messages = request.messages  # type: ignore[attr-defined]
        assert request.continue_last and messages[0]["content"] == ASKED  # type: ignore[attr-defined]
        asked.append(messages[1]["content"])
        return " five\nsix seven  eight nine" if messages[1]["content"].endswith("four") else "and so on"

    model = OfModel(ScriptedModel(goes_on))
    found = await contamination(model, [poem, "too short a text"], fractions=(0.5, 0.8), control=["a " * 8, "b"])
    assert asked == ["one two\n\nthree four", "a a a a"]
    (share,) = found.shares
    assert (share.given, share.n, share.exact.mean, share.rouge.mean, share.floor.mean) == (0.5, 1, 1, 1, 0)
    assert share.rouge_floor.mean == 0 and share.above.mean == 1 and found.short == 2


async def test_what_cannot_be_had_is_left_out_and_counted() -> None:
    found = await contamination(OfSampler(Grams(READ, down="violin"), Letters()), READ)
    assert found.failed == 3 and all(share.n == 5 for share in found.shares)
    with pytest.raises(ModelError, match="no server"):
        await contamination(OfSampler(Grams(READ, down=" "), Letters()), READ)


async def test_a_probe_that_says_nothing_is_refused() -> None:
    model = OfSampler(Grams(READ), Letters())
    with pytest.raises(DataError, match="probe longer cases"):
        await contamination(model, ["Water is wet."])
    with pytest.raises(ConfigError, match="between 0 and 1"):
        await contamination(model, READ, fractions=(1.0,))
    with pytest.raises(ConfigError, match="2 texts to compare with for 6"):
        await contamination(model, READ, control=["a", "b"])


def test_fresh_texts_are_as_long_and_the_same_again() -> None:
    texts = fresh([5, 40, 3], seed=4)
    assert [len(text.split()) for text in texts] == [5, 40, 3]
    assert texts == fresh([5, 40, 3], seed=4) and texts != fresh([5, 40, 3], seed=5)
    assert len(set(fresh([12] * 50))) == 50


def test_the_text_of_a_case() -> None:
    assert text_of(Claim(id="c", claim="It is so.", context="elsewhere")) == "It is so."
    assert text_of(Comparison(id="p", prompt="Which?", responses=("This.", "That."))) == "Which?\n\nThis.\n\nThat."
    assert text_of(Trajectory(id="t", goal="Buy it.", final_answer="Done.")) == "Buy it."
