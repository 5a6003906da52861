"""Judges and rewards in Agent Lightning 1: the reward event of a rollout, or the end of one without a reward.

    class Agent:                                        # rollout.config.local.agent_class
        async def run(self):
            answer = await work(base_url=os.environ["AGL_OPENAI_BASE_URL"])
            await report(judge, Sample(question, answer))

    # the policy is the judge: its graph runs against the gateway, which records every turn
    judge = Judge.load("veri-r1", model="openai:NAME@" + os.environ["AGL_OPENAI_BASE_URL"].removesuffix("/v1"))
    await post((await paid(veri_r1(), [await judge.arun(case)], case))[0])

Agent Lightning fills a missing reward with 0.0 (`reward_fillna_value`), for rollouts that failed too, as long as turns
were recorded for them. So a sample without a score is taken out: its rollout is set to `failed`, with an attempt of
another name as its last one, under which there are no turns; the trainer finds nothing to train on and skips it. Then
`Unscored` is raised, which ends the agent's process. Addresses and key come from the environment of the agent.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from agentjudge.errors import ConfigError, ModelError
from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Source, Unscored, as_scorer, learned
from agentjudge.rewards.base import RewardResult

TRIES = 6
PATIENCE = 30.0
"""Seconds of one request, and the most that are waited before another one."""
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_ATTEMPT = "unscored"


async def report(source: Source, sample: Sample, *, url: str = "", key: str = "") -> RewardResult:
    """Score a sample and post what it is worth.

    Raises:
        Unscored: nothing is known of it; the rollout is taken out.
        ModelError: the gateway cannot be reached.
    """
    result = (await as_scorer(source).score_samples([sample]))[0]
    await post(result, url=url, key=key)
    return result


async def post(result: RewardResult, *, url: str = "", key: str = "") -> None:
    """Post a result as the reward of this rollout.

    Args:
        result: what it is worth.
        url: address for events; `AGL_EVENT_URL` when empty.
        key: of the gateway; `AGL_KEY` when empty.

    Raises:
        Unscored: there is no score; the rollout is taken out.
        ConfigError: no address, or the gateway refuses it.
        ModelError: the gateway cannot be reached.
    """
    url, key = url or os.environ.get("AGL_EVENT_URL", ""), key or os.environ.get("AGL_KEY", "")
    if "/attempt/" not in url:
        raise ConfigError("no address for events: run as an agent of Agent Lightning (AGL_EVENT_URL), or give `url`")
    score = learned(result)
    if score is None:
        why = result.error or "withheld"
        status = {"state": "failed", "last_attempt_id": _ATTEMPT, "error_message": why}
        await _send("PATCH", url.partition("/attempt/")[0], {"status": status}, key)
        raise Unscored(why)
    data = {"value": score, "source": "agentjudge", **result.components}
    await _send("POST", url, {"event_type": "reward", "data": data}, key)


async def _send(method: str, url: str, body: Mapping[str, Any], key: str) -> None:
    """A request that is made again while the gateway is paused, as it is when weights are synced."""
    import httpx

    async with httpx.AsyncClient(timeout=PATIENCE, headers={"Authorization": f"Bearer {key}"} if key else {}) as client:
        problem = ""
        for attempt in range(TRIES):
            wait = min(2.0**attempt, PATIENCE)
            try:
                reply = await client.request(method, url, json=body)
                if reply.is_success:
                    return
                problem = f"{reply.status_code}: {reply.text[:200]}"
                if reply.status_code not in _BUSY:
                    raise ConfigError(f"Agent Lightning refuses {method} {url} ({problem})")
                wait = min(float(reply.headers.get("Retry-After") or wait), PATIENCE)
            except httpx.HTTPError as exc:
                problem = str(exc) or type(exc).__name__
            if attempt + 1 < TRIES:
                await asyncio.sleep(wait)
    raise ModelError(f"Agent Lightning cannot be reached for {method} {url} ({problem})", retriable=True)
