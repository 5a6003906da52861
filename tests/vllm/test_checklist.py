"""Alternatives to tokens from a real server, and the score that the checklist judge makes of them, counted again."""

import json
import math
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentjudge.budget import Budget
from agentjudge.case import ActionChoice
from agentjudge.graphs.subgoals import ALTERNATIVES, WORTH
from agentjudge.judge import Judge
from agentjudge.models.base import Request, Sampling, load_model
from agentjudge.models.openai import OpenAIModel
from agentjudge.trace import Trace, Turn
from tests.vllm.test_contract import OPENING, check_tokens, request

NAME = "tiny-qwen3"
CASE = ActionChoice(
    id="c",
    goal="Put one green lamp into the cart.",
    observation="RootWebArea 'Lamps'\n[4] button 'Add green lamp'",
    candidates=("click('4')",),
    thoughts=("That is the one.",),
    checklist=("The lamps are listed.", "A green lamp is in the cart.", "Nothing else is in the cart."),
)


@pytest.fixture
async def model(qwen3: Any) -> AsyncIterator[OpenAIModel]:
    model = load_model(qwen3.spec(NAME))
    assert isinstance(model, OpenAIModel)
    yield model
    await model.aclose()


class Heard:
    """A model whose requests are kept."""

    def __init__(self, inner: OpenAIModel) -> None:
        self.inner, self.requests = inner, list[Request]()
        self.name, self.profile, self.aclose = inner.name, inner.profile, inner.aclose

    async def act(self, request: Request) -> Turn:
        self.requests.append(request)
        return await self.inner.act(request)


@pytest.mark.parametrize("temperature", [0.0, 2.0])
async def test_alternatives_come_with_every_token(model: OpenAIModel, qwen3: Any, temperature: float) -> None:
    sampling = Sampling(max_tokens=40, seed=3, temperature=temperature)
    turn = await model.act(request(sampling=sampling, alternatives=5))
    check_tokens(turn)
    assert turn.tokens is not None and turn.alternatives is not None and turn.logprobs is not None
    assert len(turn.tokens) == len(turn.alternatives) == len(turn.logprobs)
    whole = qwen3.text(NAME, turn.output_ids or []).replace("\ufffd", "")  # bytes without text, which are not told
    assert "".join(turn.tokens).replace("\ufffd", "") == whole and turn.message_out["content"][:20] in whole
    for token, logprob, row in zip(turn.tokens, turn.logprobs, turn.alternatives, strict=True):
        assert 1 <= len(row) <= 5 and sum(map(math.exp, row.values())) <= 1.001
        if temperature == 0:
            assert row[token] == pytest.approx(logprob, abs=1e-5) == pytest.approx(max(row.values()), abs=1e-5)
    plain = await model.act(request(OPENING, sampling=sampling))
    assert plain.tokens is plain.alternatives is None and plain.output_ids == turn.output_ids


@pytest.mark.parametrize("seed", range(4))
async def test_the_score_is_that_of_the_raw_reply(model: OpenAIModel, qwen3: Any, seed: int) -> None:
    heard = Heard(model)
    budget = Budget(turns=4, answer_tokens=3000, seconds=240, repairs=0)
    judge = Judge.load(
        "checklist", model=heard, budget=budget, sampling=Sampling(temperature=1.0, seed=seed), seed=seed
    )
    trace = await judge.arun(CASE)
    verdict = trace.verdict
    assert verdict.status == "scored", verdict.failure
    (turn,) = trace.turns
    (asked,) = heard.requests
    assert asked.alternatives == ALTERNATIVES

    raw = qwen3.post("/v1/chat/completions", **model.payload(asked))
    assert raw["choices"][0]["token_ids"] == turn.output_ids, "the same seed, another answer"
    score, labels, shares = counted(raw)
    assert verdict.score == pytest.approx(score, abs=1e-4)
    assert [item.label for item in verdict.criteria] == labels
    assert [item.probability for item in verdict.criteria] == pytest.approx(
        [share[label] for share, label in zip(shares, labels, strict=True)], abs=1e-4
    )
    assert verdict.confidence is not None and verdict.confidence.method == "logprob"
    assert any(0.001 < share < 0.999 for row in shares for share in row.values()), "no label was in any doubt"
    assert Trace.from_json(json.loads(json.dumps(trace.to_json()))) == trace


def counted(reply: dict[str, Any]) -> tuple[float, list[str], list[dict[str, float]]]:
    """Score, labels and shares out of a reply, by the bytes of its tokens alone."""
    choice = reply["choices"][0]
    text = choice["message"]["content"]
    entries = choice["logprobs"]["content"]
    pieces = [bytes(entry["bytes"]) for entry in entries]
    assert b"".join(pieces).startswith(text.encode())
    labels = [item["label"] for item in json.loads(text)["items"]]
    ends = [match.end() for match in re.finditer(r'"label": ?"', text) if text[match.start() - 1] != "\\"]
    assert len(ends) == len(labels)
    shares = [at(len(text[:end].encode()), pieces, entries) for end in ends]
    worth = [sum(WORTH[label] * share for label, share in row.items()) for row in shares]
    return sum(worth) / len(worth), labels, shares


def at(place: int, pieces: list[bytes], entries: list[dict[str, Any]]) -> dict[str, float]:
    number, begin = 0, 0
    while begin + len(pieces[number]) <= place:
        begin += len(pieces[number])
        number += 1
    head = pieces[number][: place - begin]
    told = {bytes(each["bytes"]): each["logprob"] for each in [*entries[number]["top_logprobs"], entries[number]]}
    mass = dict.fromkeys(WORTH, 0.0)
    for piece, logprob in told.items():
        rest = piece[len(head) :].lower()
        if piece.startswith(head) and rest:
            for label in mass:
                name = label.lower().encode()
                if name.startswith(rest) or (rest.startswith(name) and not rest[len(name) :][:1].isalpha()):
                    mass[label] += math.exp(logprob)
    return {label: share / sum(mass.values()) for label, share in mass.items()}
