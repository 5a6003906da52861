"""Probes: a model that knows texts by heart is told from one that does not, and a verdict's ground from its colour."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from judgements import Call, judgement
from tiny_models import build_qwen3

from agentjudge.case import Claim, Comparison, Document, Gold, Trajectory
from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.evidence import EvidenceRef
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.embedded.verifier import Scores, Verifier
from agentjudge.models.hf import HFModel
from agentjudge.models.scripted import ScriptedModel
from agentjudge.tools.corpus import Corpus
from agentjudge.trace import Trace
from agentjudge.training.gym import ClaimGym, demonstrations
from agentjudge.training.probes import ASKED, OfModel, OfSampler, contamination, fresh, text_of
from agentjudge.training.probes_causal import Change, Unmoved, swapped, unmoved
from agentjudge.training.probes_faithful import faithfulness
from agentjudge.training.probes_reach import reached, read_tries, shrunk

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


async def test_a_real_model_that_has_read_nothing(tmp_path: Path) -> None:
    build_qwen3(tmp_path, context=512)
    model = HFModel(str(tmp_path))
    found = await contamination(OfModel(model), READ[:2], fractions=(0.6,), concurrency=1)
    await model.aclose()
    assert found.failed == 0 and found.shares[0].n == 2 and not found.suspicious


# faithfulness


async def judged_rightly(many: int) -> list[Trace]:
    traces: list[Trace] = []
    async for _, trace in demonstrations(ClaimGym(split="test", seed=3).worlds()):
        traces.append(trace)
        if len(traces) == many:
            break
    return traces


def relabelled(trace: Trace, label: str) -> Trace:
    return replace(trace, verdict=trace.verdict.model_copy(update={"label": label}))


async def test_the_embedded_verifier_tells_right_evidence_from_any_other() -> None:
    traces = [trace for trace in await judged_rightly(24) if trace.verdict.label != "NOT ENOUGH INFO"]
    found = faithfulness(traces, Verifier.load())
    assert found.every.n == 16 and found.every.agreed.mean > 0.8 and set(found.by_label) == {"SUPPORT", "REFUTE"}
    assert found.every.floor is not None and found.every.agreed.low > found.every.floor.high
    turned = {"SUPPORT": "REFUTE", "REFUTE": "SUPPORT"}
    wrong = faithfulness([relabelled(each, turned[each.verdict.label or ""]) for each in traces], Verifier.load())
    assert wrong.every.agreed.mean < 0.2 and wrong.every.probability.mean < found.every.probability.mean


class Words:
    """A reader that takes a text at its word: what it says of a claim stands in it."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        places = [0 if claim in text else 1 if f"not {claim}" in text.casefold() else 2 for claim, text in pairs]
        return Scores(np.zeros(len(pairs), np.float32), np.eye(3, dtype=np.float32)[places])


def test_each_link_is_counted_by_itself() -> None:
    def verdict(name: str, label: str, evidence: str, reason: str = "") -> Trace:
        trace = judgement(Claim(id=name, claim=name), label=label, rationale=reason)
        refs = [EvidenceRef(kind="text", doc="d", start=0, end=len(evidence), quote=evidence)] if evidence else []
        return replace(trace, verdict=trace.verdict.model_copy(update={"evidence": tuple(refs)}))

    traces = [
        verdict("a", "SUPPORT", "surely a", "surely a"),
        verdict("b", "SUPPORT", "something", "It is b! Something."),
        verdict("c", "SUPPORT", ""),
        verdict("d", "NOT ENOUGH INFO", "nothing"),
        judgement(Claim(id="e", claim="e")),
        judgement(Comparison(id="p", prompt="?", responses=("1", "2")), preference=1),
    ]
    found = faithfulness(traces, Words())
    assert (found.every.n, found.left_out, found.bare) == (4, 2, 1)
    assert found.every.agreed.mean == found.every.probability.mean == 0.5
    assert found.by_label["SUPPORT"].agreed.mean == pytest.approx(1 / 3)
    assert found.by_label["NOT ENOUGH INFO"].agreed.mean == 1
    assert found.every.floor is not None and found.every.floor.mean == 0.25, "only the one that is of no evidence"
    assert found.reason is not None and (found.reason.mean, found.reason.n) == (1.0, 2)
    assert found.grounded is not None and (found.grounded.mean, found.grounded.n) == (pytest.approx(1 / 3), 3)
    with pytest.raises(DataError, match="nothing to read"):
        faithfulness(traces[4:], Words())


# the causal probe

CORPUS = Corpus(
    [
        Document.of_sentences("tower", ["The tower of Alm is 90 m high.", "It was built by monks."], title="Alm"),
        Document.of_sentences("lake", ["The lake of Bree is 12 m deep.", "It freezes in January."], title="Bree"),
    ]
)
CLAIMS = [
    Claim(id="a", claim="The tower of Alm is 90 m high.", gold=Gold(label="SUPPORT")),
    Claim(id="b", claim="The lake of Bree is 12 m deep.", gold=Gold(label="SUPPORT")),
]


def reads(request: Request) -> Any:
    """Says SUPPORT where it sees the very words, in the conversation as well as in the records."""
    seen = {ref.quote: ref.id for event in request.events for ref in event.refs}
    if request.phase == "act" and not request.events:
        return searched(request)
    told = any(request.case.claim in str(m["content"]) for m in request.messages if m["role"] == "tool")  # type: ignore[attr-defined]
    assert told == (request.case.claim in seen)  # type: ignore[attr-defined]
    if not told:
        return json.dumps({"reason": "No.", "evidence": [], "label": "NOT ENOUGH INFO", "confidence": 0.5})
    return supported(seen[request.case.claim])  # type: ignore[attr-defined]


def knows(request: Request) -> Any:
    """Looks it up, for appearances."""
    shown = [ref.id for event in request.events for ref in event.refs]
    return searched(request) if request.phase == "act" and not shown else supported(*shown[:1])


def searched(request: Request) -> dict[str, Any]:
    function = {"name": "retrieve", "arguments": json.dumps({"query": request.case.claim, "k": 1})}  # type: ignore[attr-defined]
    return {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def supported(*ids: str) -> str:
    return json.dumps({"reason": "So it says.", "evidence": ids, "label": "SUPPORT", "confidence": 0.9})


def held(policy: Any, change: Change, **options: Any) -> Unmoved:
    with Judge.load("veri-r1", model=ScriptedModel(policy), corpus=CORPUS) as judge:
        traces = [judge.run(case) for case in CLAIMS]
        assert [trace.verdict.label for trace in traces] == ["SUPPORT", "SUPPORT"]
        return judge.wait(unmoved(judge, traces, change=change, **options))


@pytest.mark.parametrize("change", ["kept", "removed", "swapped"])
def test_a_verdict_that_rests_on_evidence_goes_with_it(change: Change) -> None:
    found = held(reads, change)
    stays = change == "kept"
    assert (found.same.mean, found.same.n, found.failed, found.left_out) == (float(stays), 2, 0, 0)
    assert found.became == ({} if stays else {"NOT ENOUGH INFO": 2})
    assert found.by_label["SUPPORT"].mean == found.same.mean


@pytest.mark.parametrize("change", ["kept", "removed", "swapped"])
def test_a_verdict_that_was_known_by_heart_stays(change: Change) -> None:
    assert held(knows, change).same.mean == 1


def test_a_sentence_is_swapped_wherever_it_stands() -> None:
    with Judge.load("veri-r1", model=ScriptedModel(reads), corpus=CORPUS) as judge:
        trace = judge.run(CLAIMS[0])
    other = "A sentence about something else, and quite a long one, which needs more room than was there before."
    found = swapped(trace, [other, CLAIMS[0].claim])
    assert found is not None and found.messages is not trace.messages
    text = json.dumps([message["content"] for message in found.messages if message["role"] == "tool"])
    assert other in text and CLAIMS[0].claim not in text and "It was built by monks." in text
    (ref,) = [ref for event in found.events for ref in event.refs if ref.id == "tower:0"]
    assert ref.quote == other and (ref.end or 0) - (ref.start or 0) == len(other)
    assert json.dumps(trace.to_json()) != json.dumps(found.to_json()) and Trace.from_json(found.to_json())
    assert swapped(trace, [CLAIMS[0].claim]) is None, "there is nothing else"
    assert swapped(judgement(label="SUPPORT", calls=[Call(shows=["a"])]), [other]) is None, "nothing is cited"


def test_what_says_nothing_is_left_out() -> None:
    def down(request: Request) -> Any:
        if request.phase == "conclude" and not request.events and request.case.id == "a":
            raise ModelError("no server")
        return reads(request)

    found = held(down, "removed")
    assert (found.failed, found.same.n, found.left_out) == (1, 1, 0)
    with Judge.load("veri-r1", model=ScriptedModel(reads), corpus=CORPUS) as judge:
        with pytest.raises(DataError, match="can be removed"):
            judge.wait(unmoved(judge, [judgement(label="SUPPORT"), judgement()]))
        with pytest.raises(ConfigError, match="not 'burnt'"):
            judge.wait(unmoved(judge, [], change="burnt"))  # type: ignore[arg-type]


# reach


def write_tries(path: Path, tries: dict[str, list[bool | None]]) -> Path:
    rows = [{"case": case, "right": right} for case, each in tries.items() for right in each]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_policy_that_is_surer_of_less(tmp_path: Path) -> None:
    """At first each case is solved once in four times; then three quarters always, and the others never."""
    start = {str(n): [True, False, False, False] for n in range(40)}
    now: dict[str, list[bool | None]] = {str(n): [n % 4 > 0] * 4 for n in range(40)}
    found = reached(start, read_tries(write_tries(tmp_path / "now.jsonl", now)), ks=(4, 1, 8))
    assert [(each.k, each.start.mean, each.now.mean, each.n) for each in found] == [
        (1, 0.25, 0.75, 40),
        (4, 1, 0.75, 40),
    ]
    assert found[0].change.low > 0 > found[1].change.high and shrunk(found)
    assert not shrunk(reached(start, start, ks=(1, 4))) and not shrunk(found[:1])


def test_tries_are_read_and_refused(tmp_path: Path) -> None:
    path = write_tries(tmp_path / "tries.jsonl", {"a": [True, None, False], "b": [None]})
    assert read_tries(path) == {"a": [True, False]}
    with pytest.raises(DataError, match="sample more"):
        reached(read_tries(path), {"a": [True]}, ks=(2,))
    with pytest.raises(ConfigError, match="at least 1"):
        reached({}, {}, ks=(0,))
    for text, complaint in {
        "[1]": "line 1: expected",
        '{"case": "a"}': "line 1: expected",
        '{"case": "a", "right": 1}': "true, false or null",
        '{"case": "a", "right": null}': "no try that counts",
    }.items():
        path.write_text(text)
        with pytest.raises(DataError, match=complaint):
            read_tries(path)
    with pytest.raises(DataError, match="cannot read"):
        read_tries(tmp_path / "none.jsonl")
