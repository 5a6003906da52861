"""A reward server as a scorer: the one way that works from every process of every engine.

    scorer = RemoteScorer("http://127.0.0.1:8010")      # agentjudge serve --rewards --judge compare --model vllm:NAME
    scorer = RemoteScorer(url, reward="verdict_value", key="secret", seconds=60)

Cases go to `/v1/rewards`, many in a request. Every sample has its result within `seconds`: what has no answer by then,
or a server that is away, busy or drains after so many tries, is a result without a score. A server that refuses what it
is asked raises: that is no outage, and would mask every sample of the run.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from agentjudge.case import Case, Claim, Response
from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.adapters.samples import Sample, answer_case
from agentjudge.rewards.base import RewardResult, of_parts, unknown

if TYPE_CHECKING:
    import httpx

MOST = 256
"""Cases of one request."""
HELLO = 10.0
"""Seconds for the question what its judge takes."""
_FIELDS = ("score", "components", "turn_rewards", "metrics", "withheld", "error")


class RemoteScorer:
    """A reward server at a URL; it can be pickled.

    Args:
        url: its address, without a path.
        reward: the name of a reward that needs no arguments; the server's own when empty.
        takes: kinds of case that its judge takes; what the server says of itself when None.
        case: makes the case of a sample; `answer_case` when None.
        empty: what a blank completion earns, without anybody being asked.
        key: of the server, if it asks for one.
        seconds: for a batch, tries and pauses included.
        tries: of a request that meets nobody, or a server that is busy.
    """

    def __init__(
        self,
        url: str,
        *,
        reward: str = "",
        takes: Sequence[type[Case]] | None = None,
        case: Callable[[Sample], Case] | None = None,
        empty: float = 0.0,
        key: str = "",
        seconds: float = 120.0,
        tries: int = 5,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"not the address of a reward server: {url!r}; it begins with http:// or https://")
        self._url, self._reward, self._takes, self._case = url.rstrip("/"), reward, takes, case
        self._empty, self._key, self._seconds, self._tries = empty, key, seconds, tries

    async def score_samples(self, samples: Sequence[Sample], *, step: int = 0) -> list[RewardResult]:
        """See `Scorer`.

        Raises:
            ConfigError: the server refuses the key or the reward.
            DataError: it refuses a case.
        """
        import httpx

        found = [of_parts({"verdict": self._empty})] * len(samples)
        asked = [place for place, sample in enumerate(samples) if sample.answer.strip()]
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        until = time.monotonic() + self._seconds
        async with httpx.AsyncClient(headers=headers, timeout=None) as client:
            made = self._case or partial(answer_case, takes=await self._kinds(client))
            cases = [made(samples[place]).model_dump(mode="json") for place in asked]
            starts = range(0, len(cases), MOST)
            bodies = [{"cases": cases[start : start + MOST], **self._options(step)} for start in starts]
            parts = await asyncio.gather(*(self._post(client, body, until) for body in bodies))
        for place, result in zip(asked, (result for part in parts for result in part), strict=True):
            found[place] = result
        return found

    async def _kinds(self, client: "httpx.AsyncClient") -> Sequence[type[Case]]:
        import httpx

        if self._takes is None:
            try:
                reply = await client.get(f"{self._url}/health", timeout=HELLO)
                names = reply.json()["takes"]
            except (httpx.HTTPError, ValueError, LookupError, TypeError):
                return (Response,)  # nobody is there to ask
            self._takes = [kind for kind in (Response, Claim) if kind.__name__ in names] or (Response,)
        return self._takes

    def _options(self, step: int) -> dict[str, Any]:
        return {"reward": self._reward, "step": step} if self._reward else {}

    async def _post(self, client: "httpx.AsyncClient", body: dict[str, Any], until: float) -> list[RewardResult]:
        import httpx

        problem, wait = "", 0.5
        for attempt in range(self._tries):
            left = until - time.monotonic()
            if attempt:
                await asyncio.sleep(min(wait, max(0.0, left)))
                left = until - time.monotonic()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    reply = await client.post(f"{self._url}/v1/rewards", json=body | {"deadline": left})
            except (httpx.HTTPError, TimeoutError) as exc:
                problem, wait = str(exc) or type(exc).__name__, 0.5 * 2**attempt
                continue
            if reply.status_code == 200:
                return [_result(each) for each in reply.json()["results"]]
            problem = f"{reply.status_code}: {reply.text[:300]}"
            if reply.status_code not in (408, 429, 500, 502, 503, 504):
                refused = ConfigError if reply.status_code in (401, 403, 404) else DataError
                raise refused(f"the reward server refuses the request ({problem})")
            wait = float(reply.headers.get("Retry-After") or 0.5 * 2**attempt)
        return [unknown(f"model: the reward server gave no answer ({problem})")] * len(body["cases"])


def _result(answer: dict[str, Any]) -> RewardResult:
    return RewardResult.model_validate({name: answer[name] for name in _FIELDS})
