"""A judge as TRL's environment: the policy becomes the judge, calls its tools, and is paid by the gold of its case.

    scorer = RewardScorer(veri_r1(), judge)
    trainer = GRPOTrainer(model, reward_funcs=make_reward_func(scorer), train_dataset=rows,
                          environment_factory=judge_environment(judge), args=args)

The dataset has the columns `prompt`, to whose last user message the judge's opening is appended, and `case`, with gold.
The graph runs the tools and keeps the record; the completion only brings the verdict. No score is `None`, as for any
reward function (`agentjudge.rewards.adapters.trl`). Tools are called on the judge's own event loop, so a judge whose
model is never asked (`scripted:FILE`, `embedded`) does.
"""

from collections.abc import Mapping
from typing import Any

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.models.base import Request
from agentjudge.registry import lookup
from agentjudge.rewards.adapters.episodes import NOTHING, Episode
from agentjudge.rewards.adapters.samples import Said, read_case, text_of
from agentjudge.rewards.adapters.trl_tools import as_method
from agentjudge.trace import Trace


class JudgeEnvironment:
    """One judgement that the policy makes. TRL calls `reset` and then the tools, which `judge_environment` adds."""

    _judge: Any
    _case: Case
    _episode: Episode | None = None
    _request: Request | None

    def reset(self, case: Any, **columns: Any) -> str:
        """Begin a judgement.

        Args:
            case: a `Case`, or its JSON form, with gold.
            columns: the row's others.

        Returns:
            What the judge's model would be told, and how its verdict is to be written.
        """
        if self._episode is not None:  # of a rollout that nobody asked the reward of
            self._judge.wait(self._episode.drop())
        self._case = read_case(case)
        self._episode = Episode(self._judge, self._case)
        self._request = self._judge.wait(self._episode.begin())
        told = [text_of([message]) for message in self._request.messages] if self._request is not None else []
        return "\n\n".join([*told, self._judge.wait(_conclusion(Episode(self._judge, self._case)))])

    def _call(self, name: str, args: Mapping[str, Any]) -> str:
        if self._episode is None or self._request is None or self._request.phase != "act":
            raise ConfigError("no more tools may be called: give the verdict")
        seen = len(self._request.messages) + 1
        call = {"function": {"name": name, "arguments": dict(args)}}
        self._request = self._judge.wait(self._episode.say({"content": "", "tool_calls": [call]}))
        shown = self._request.messages[seen:] if self._request is not None else ()
        return "\n\n".join(text_of([message]) for message in shown) or "The judgement is over."

    def _trace(self, completion: Said) -> Trace:
        """The judgement with this end."""
        assert self._episode is not None, "reset comes first"
        spoke = isinstance(completion, str) or (completion and completion[-1].get("role") == "assistant")
        if self._request is not None:
            said = {"content": text_of(completion)} if spoke else NOTHING
            self._request = self._judge.wait(self._episode.say(said))
        trace: Trace = self._judge.wait(self._episode.end())
        return trace


def judge_environment(judge: Any) -> type[JudgeEnvironment]:
    """The environment in which a policy becomes this judge, for `environment_factory`.

    Raises:
        ConfigError: the judge makes a plan before it sees its case, for which TRL has no place.
    """
    if judge.spec.plans:
        raise ConfigError(f"judge {judge.spec.name!r} plans before it is shown its case, which TRL cannot play")
    tools = {name: as_method(lookup("tool", name).target.spec()["function"]) for name in judge.settings()["tools"]}
    return type("JudgeEnvironment", (JudgeEnvironment,), {"_judge": judge, **tools})


async def _conclusion(episode: Episode) -> str:
    """How the judge asks for its verdict, found by saying nothing until it does."""
    request = await episode.begin()
    while request is not None and request.phase != "conclude":
        request = await episode.say(NOTHING)
    await episode.end()
    return text_of(request.messages) if request is not None else ""
