"""Reward-guided search in a BrowserGym agent: propose several actions, let a judge choose, take the best.

    pip install agentjudge browsergym
    python examples/browsergym_rerank.py http://127.0.0.1:8080 "Put a blue mug into the cart." \
        --policy-model NAME --policy-url http://127.0.0.1:8000/v1 --judge-model vllm:NAME@http://127.0.0.1:8001

`RerankingAgent` needs no more of a policy than a function that proposes steps, so it wraps the agent that you have:

    agent = RerankingAgent(propose=my_agent_sampled, judge=Judge.load("web-arbiter", model="vllm:..."), n=5)
    action, info = agent.get_action(obs)

Where the judge decides nothing in time, the action proposed most often is taken, and `info["extra_info"]` says so.
"""

import argparse
import json
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from agentjudge import Budget, Judge, Step
from agentjudge.rerank import AnswerCache, RerankBudget, Reranked, rerank

try:
    from browsergym.experiments.agent import Agent
except ImportError:  # the agent runs without it, such as in tests
    Agent = object


class Proposal(NamedTuple):
    """A step that the policy would take: `click('12')`, and why."""

    action: str
    thought: str = ""


Propose = Callable[[dict[str, Any], int], Sequence[Proposal]]
"""Steps for an observation, so many of them, sampled; equal ones are fine, and judged once."""


class RerankingAgent(Agent):
    """Takes the best of several proposed actions.

    Args:
        propose: the policy.
        judge: of next actions, such as `web-arbiter`.
        n: proposals a step.
        budget: calls and seconds of a choice.
        cache: of answers; one in memory when None.
    """

    def __init__(
        self,
        *,
        propose: Propose,
        judge: Judge,
        n: int = 5,
        budget: RerankBudget | None = None,
        cache: AnswerCache | None = None,
    ) -> None:
        self.propose, self.judge, self.n = propose, judge, n
        self.budget = budget or RerankBudget(seconds=60)
        self.cache = cache or AnswerCache()
        self.history: list[Step] = []

    def obs_preprocessor(self, obs: dict[str, Any]) -> dict[str, Any]:
        """The observation with its accessibility tree as text, which policy and judge read alike."""
        from browsergym.utils.obs import flatten_axtree_to_str

        names = ("goal", "url", "last_action_error", "open_pages_urls", "active_page_index", "chat_messages")
        kept = {name: obs[name] for name in names if name in obs}
        return {**kept, "axtree_txt": flatten_axtree_to_str(obs["axtree_object"])}

    def get_action(self, obs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The best proposed action, and how it was chosen.

        Raises:
            ValueError: the policy proposes nothing.
        """
        self._note_error(str(obs.get("last_action_error") or ""))
        proposals = list(self.propose(obs, self.n))
        if not proposals:
            raise ValueError("the policy proposes nothing")
        page, url = obs["axtree_txt"], obs.get("url")
        found = rerank(
            judge=self.judge,
            goal=obs["goal"],
            observation=page,
            url=url,
            history=self.history,
            candidates=[proposal.action for proposal in proposals],
            thoughts=[proposal.thought for proposal in proposals],
            budget=self.budget,
            cache=self.cache,
            fallback="frequent",
            invalid="drop",
        )
        best = found.best if found.best is not None else 0  # all are invalid: the environment tells the policy why
        chosen = proposals[best]
        self.history.append(Step(observation=page, url=url, action=chosen.action, thought=chosen.thought))
        return chosen.action, _info(chosen, found)

    def _note_error(self, error: str) -> None:
        """The environment tells what went wrong with an action one observation later."""
        if error and self.history:
            self.history[-1] = self.history[-1].model_copy(update={"error": error})


def _info(chosen: Proposal, found: Reranked) -> dict[str, Any]:
    stats = {"judge_calls": found.calls, "judge_cached": found.cached, "judge_seconds": found.seconds}
    stats["judge_undecided"] = len(found.undecided)
    return {"think": chosen.thought, "stats": stats, "extra_info": found.summary()}


def chat_policy(url: str, model: str, *, temperature: float = 1.0) -> Propose:
    """A plain policy on an OpenAI-compatible server: one request, n samples."""

    def propose(obs: dict[str, Any], n: int) -> list[Proposal]:
        ask = (
            f"Goal: {obs['goal']}\nURL: {obs.get('url')}\nPage:\n{obs['axtree_txt']}\n\n"
            "Say in one sentence what to do next. Then give one action on a line of its own, such as click('12'), "
            "fill('12', 'text'), scroll(0, 500), goto('http://...'), go_back() or send_msg_to_user('answer')."
        )
        message = [{"role": "user", "content": ask}]
        body = {"model": model, "messages": message, "n": n, "temperature": temperature, "max_tokens": 512}
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=120) as reply:
            choices = json.load(reply)["choices"]
        return [read_proposal(choice["message"]["content"] or "") for choice in choices]

    return propose


def read_proposal(said: str) -> Proposal:
    """The last line is the action, what stands before it the thought."""
    lines = [line.strip().strip("`") for line in said.strip().splitlines() if line.strip().strip("`")]
    return Proposal(lines[-1], " ".join(lines[:-1])) if lines else Proposal("noop()", "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the agent on one page of one's own."""
    parser = argparse.ArgumentParser(description="A BrowserGym agent whose actions a judge chooses.")
    parser.add_argument("start_url")
    parser.add_argument("goal")
    parser.add_argument("--policy-model", required=True)
    parser.add_argument("--policy-url", required=True)
    parser.add_argument("--judge-model", required=True, help="as of agentjudge, such as vllm:NAME@URL")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("-n", type=int, default=5, help="proposals a step")
    options = parser.parse_args(arguments)

    import browsergym.core  # noqa: F401  (registers its environments)
    import gymnasium

    with Judge.load("web-arbiter", model=options.judge_model, budget=Budget(turns=0, answer_tokens=2048)) as judge:
        policy = chat_policy(options.policy_url, options.policy_model)
        agent = RerankingAgent(propose=policy, judge=judge, n=options.n)
        task = {"start_url": options.start_url, "goal": options.goal}
        env = gymnasium.make("browsergym/openended", task_kwargs=task)
        obs, _ = env.reset()
        for number in range(options.steps):
            action, info = agent.get_action(agent.obs_preprocessor(obs))
            print(f"{number}: {action}  ({info['extra_info']['by']}, {info['stats']['judge_calls']} judgements)")
            obs, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated or action.startswith("send_msg_to_user"):
                break
        env.close()


if __name__ == "__main__":
    main()
