"""Scripted models for tests of the reward server: they say what an answer asks for, and go wrong where it says so.

An answer `good #0.8` is scored 0.8, and of two the one with the larger number is preferred. `#gone` is an outage that
may pass, `#broken` one that may not, `#garbled` an answer that cannot be read, `#slow` hangs.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from agentjudge.case import Comparison, Response
from agentjudge.errors import ModelError
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel
from agentjudge.serving.rewards import Limits, create_app
from agentjudge.serving.rewards_engines import Neutral
from agentjudge.serving.rewards_files import Files
from agentjudge.serving.rewards_jobs import Jobs


def scored(score: float, reason: str = "So it is.") -> str:
    criteria = [{"name": "right", "reason": reason, "score": score}]
    return json.dumps({"criteria": criteria, "evidence": [], "reason": reason, "score": score, "confidence": None})


def preferred(preference: int, reason: str = "So it is.") -> str:
    best = "1" if preference < 0 else "2" if preference > 0 else "tie"
    criteria = [{"name": "right", "reason": reason, "best": best}]
    return json.dumps(
        {"criteria": criteria, "evidence": [], "reason": reason, "preference": preference, "confidence": None}
    )


def ranked(order: list[int], reason: str = "So it is.") -> str:
    criteria = [{"name": "right", "reason": reason, "best": str(order[0] + 1)}]
    ranking = [i + 1 for i in order]
    return json.dumps({"criteria": criteria, "evidence": [], "reason": reason, "ranking": ranking, "confidence": None})


def worth(text: str) -> float:
    found = re.search(r"#([\d.]+)", text)
    return float(found[1]) if found else 0.5


class ByNumber:
    """The scripted model's function; counts how often it was asked about each answer."""

    def __init__(self, *, seconds: float = 0.0, bias: float = 0.0) -> None:
        self.seconds, self.bias = seconds, bias
        self.asked: Counter[str] = Counter()
        self.seen: list[Request] = []
        self.down = False
        """Every call is an outage."""
        self.gate: asyncio.Event | None = None
        """What calls wait for."""

    async def __call__(self, request: Request) -> str:
        case = request.case
        self.seen.append(request)
        if isinstance(case, Comparison):
            self.asked[" | ".join(case.responses)] += 1
            await self.pause()
            return self.compare(case)
        assert isinstance(case, Response)
        self.asked[case.response] += 1
        if "#slow" in case.response:
            await asyncio.sleep(3_600)
        await self.pause()
        if self.down or "#gone" in case.response:
            raise ModelError("the server is gone", retriable=True)
        if "#broken" in case.response:
            raise ModelError("the server refuses")
        if "#garbled" in case.response:
            return "I like it."
        return scored(worth(case.response))

    async def pause(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.seconds:
            await asyncio.sleep(self.seconds)

    def compare(self, case: Comparison) -> str:
        values = [worth(text) for text in case.responses]
        values[0] += self.bias
        if len(values) == 2:
            ahead = values[1] - values[0]
            return preferred((ahead > 0) - (ahead < 0) if abs(ahead) < 0.5 else 3 if ahead > 0 else -3)
        return ranked(sorted(range(len(values)), key=lambda i: -values[i]))


def served(
    say: Any = None,
    *,
    judge: Judge | None = None,
    limits: Limits | None = None,
    cache: Path | None = None,
    keys: tuple[str, ...] = (),
    neutral: float | None = None,
    after: int = 3,
    files: Path | None = None,
    log: Any = None,
    **how: Any,
) -> Any:
    """The application of a scripted judge of answers."""
    judge = judge or Judge.load("compare", model=ScriptedModel(say or ByNumber()))
    jobs = Jobs(judge, files=Files(files), **how)
    return create_app(jobs, limits=limits, cache=cache, keys=keys, neutral=Neutral(neutral, after=after), log=log)


@asynccontextmanager
async def client_of(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=transport, base_url="http://x") as client,
    ):
        yield client


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def answer(text: str, prompt: str = "Which?", **more: Any) -> dict[str, Any]:
    """A case as it comes over HTTP."""
    return {"kind": "response", "prompt": prompt, "response": text, **more}


def claim_script(label: str = "SUPPORT") -> list[Any]:
    """Turns of the judge of claims that says this label."""
    return [json.dumps({"reason": "Seen.", "evidence": [], "label": label, "confidence": 0.9})]
