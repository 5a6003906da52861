"""The judge as an agent loop of verl (0.9): a rollout is a judgement by the very graph that judges, token for token.

    actor_rollout_ref.model.external_lib=agentjudge.training.verl_loop       # in every process of verl
    actor_rollout_ref.rollout.agent.default_agent_loop=agentjudge-veri-r1    # of recipes/agents.yaml, or
    actor_rollout_ref.rollout.agent.agent_loop_config_path=my_agents.yaml    # of your own
    algorithm.adv_estimator=agentjudge_grpo

A loop is an entry of such a file, whose fields are those of `LoopSettings`: the judge, its sources, its budget and its
reward. A row of the data (`agentjudge.training.verl_data`) brings the case with its gold, and its own corpus where
each case has one. The model is verl's: its servers sample, its tokenizer renders (`agentjudge.training.tokens`), so
the ids that are trained are those that were sampled.

- **One row a judgement**, by `rows`; see `verl_rows`.
- **The reward is paid here**, by a reward of ours over trace and gold. With `reward: null` it is left to verl's
  reward manager, which sees the decoded response. Rewards that compare the judgements of a group see a group of one.
- **A judge that fails is no bad policy.** It is tried again as often as `tries` says, then its row is masked in full
  and its reward is NaN: our estimators leave it out, an estimator of verl's own turns its whole group into NaN, which
  nobody takes for a zero. What the policy did wrong (an answer that cannot be read) is paid as the reward says.
- **What is told beside it** has the same keys in every row. `reward_extra_info`: `score`, `judge_missing`, each part of
  the reward as `part_NAME`, `turns`, `calls`, `left_out` (sampled tokens that are not trained). `extra_fields`:
  `turn_scores`, `turn_spans`, `judge_error`, and the steps of the weights that were sampled from.

Rewards of turns reach verl's estimators as rewards of tokens, which verl's present trainer (`trainer.use_v1`) takes
from the loop and the old one does not; estimators by turns are refused there.
"""

import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentjudge.case import Case, first_error
from agentjudge.errors import ConfigError
from agentjudge.judge import Judge
from agentjudge.models.base import Sampling
from agentjudge.rewards.adapters.scoring import engine
from agentjudge.rewards.base import RewardResult, masked, paid
from agentjudge.trace import Trace
from agentjudge.training.rows import assemble
from agentjudge.training.verl_estimators import by_turn, register_estimators
from agentjudge.training.verl_judges import Shared, judge_of, model_of
from agentjudge.training.verl_rows import TokenSequence, blank, sequence_of, token_rewards
from agentjudge.training.verl_sampler import PictureModel, Rolling, rolling
from agentjudge.training.verl_settings import LoopSettings, Task, plain

LOOPS = Path(__file__).parent / "recipes" / "agents.yaml"
NAN = float("nan")


class JudgeLoop:
    """An agent loop of verl around a judge, by verl's protocol: made for each rollout, then `run`.

    Args:
        trainer_config: wraps the whole configuration.
        server_manager: verl's servers.
        tokenizer: of the model that is trained.
        processor: of a model that sees pictures; None of another.
        dataset_cls, data_config, hf_model_type, name, tools: given by verl to every loop; not needed.
        settings: fields of `LoopSettings`.

    Raises:
        ConfigError: the settings, the reward, or an estimator that this trainer cannot serve.
    """

    def __init__(
        self,
        trainer_config: Any,
        server_manager: Any,
        tokenizer: Any,
        processor: Any = None,
        dataset_cls: Any = None,
        data_config: Any = None,
        hf_model_type: str | None = None,
        *,
        name: str = "agentjudge",
        tools: Any = None,
        **settings: Any,
    ) -> None:
        config = trainer_config.config
        try:
            self.settings = LoopSettings.model_validate(plain(settings))
        except ValidationError as exc:
            raise ConfigError(f"the agent loop {name!r}: {first_error(exc)}") from exc
        if by_turn(str(config.algorithm.adv_estimator)) and not config.trainer.get("use_v1", True):
            raise ConfigError(
                f"{config.algorithm.adv_estimator} needs rewards of turns, which verl's old trainer drops: "
                f"set trainer.use_v1=True, or algorithm.adv_estimator=agentjudge_grpo"
            )
        rollout = config.actor_rollout_ref.rollout
        self._prompt, self._response = int(rollout.prompt_length), int(rollout.response_length)
        self._reward = self.settings.pays()
        profile = self.settings.profile or str(config.actor_rollout_ref.model.path)
        context = self._prompt + self._response
        self._pictures = plain(config.data.get("mm_processor_kwargs") or {})
        shared = Shared(server_manager, tokenizer, processor, self._pictures)
        self._model = model_of(shared, profile, self.settings.template, context)
        self._tokenizer = tokenizer
        self._placeholder = self._model.token if isinstance(self._model, PictureModel) else ""

    async def run(self, sampling_params: dict[str, Any], **fields: Any) -> Any:
        """Judge the case of a row.

        Args:
            sampling_params: verl's, for training or validation.
            fields: the columns of the row, and `global_steps`.

        Returns:
            An `AgentLoopOutput`.

        Raises:
            DataError: the row is no task, gold does not say what is right, or the judgement is more than one row.
            ConfigError: as the judge and its sources.
        """
        task, step = Task.of(fields), int(fields.get("global_steps") or 0)
        params = {key: value for key, value in sampling_params.items() if key != "logprobs"}
        at = Rolling(params, self._prompt, self._response)
        judge = self._judge(task, sampling_params)
        trace = await self._judged(judge, task.case, at)
        began = time.perf_counter()
        result = await self._paid(trace, task.case, step)
        scoring = time.perf_counter() - began
        sequence, error = self._sequence(trace, result)
        metrics = {
            "generate_sequences": at.seconds,
            "tool_calls": sum(event.seconds for event in trace.events),
            "compute_score": scoring,
            "num_preempted": at.preempted,
        }
        score = NAN if error else None if result is None else result.score
        turns = list(result.turn_rewards) if result is not None else []
        return _output()(
            prompt_ids=sequence.prompt_ids,
            response_ids=sequence.response_ids,
            response_mask=sequence.response_mask,
            response_logprobs=sequence.logprobs,
            multi_modal_data={"images": [at.pictures[sha] for sha in at.shown]} if at.shown and not error else None,
            mm_processor_kwargs=self._pictures,
            reward_score=score,
            num_turns=len(trace.messages),
            metrics=metrics,
            extra_fields={
                "reward_extra_info": self._told(trace, None if error else result, sequence, error),
                "turn_scores": turns,
                "tool_rewards": [],
                "turn_spans": [list(span) for span in sequence.spans],
                "token_rewards": [] if score is None else token_rewards(score, turns, sequence),
                "judge_error": error,
                "min_global_steps": min(at.steps, default=step),
                "max_global_steps": max(at.steps, default=step),
            },
        )

    def _judge(self, task: Task, params: Mapping[str, Any]) -> Judge:
        """The judge of this worker with these sources and this sampling."""
        sampling = Sampling(
            temperature=float(params.get("temperature", 1.0)),
            top_p=float(params.get("top_p", 1.0)),
            max_tokens=self.settings.turn_tokens,
            thinking=self.settings.thinking,
        )
        return judge_of(self.settings, self._model, sampling, task.documents, self._prompt + self._response)

    async def _judged(self, judge: Judge, case: Case, at: Rolling) -> Trace:
        for left in reversed(range(self.settings.tries)):
            at.opening = None
            with rolling(at):
                trace = await judge.arun(case)
            failure = trace.verdict.failure
            if not left or failure is None or not failure.retriable:
                break
        return trace

    async def _paid(self, trace: Trace, case: Case, step: int) -> RewardResult | None:
        if self._reward is None:
            return masked(trace)
        return (await paid(self._reward.at(step), [trace], case))[0]

    def _sequence(self, trace: Trace, result: RewardResult | None) -> tuple[TokenSequence, str]:
        """The row, and why it is masked; empty where it is not."""
        error = "" if result is None else result.error
        nothing = blank(self._tokenizer.eos_token_id)._replace(
            left_out=sum(len(turn.output_ids or ()) for turn in trace.turns)
        )
        if error:
            return nothing, error
        pictures = [self._tokenizer.convert_tokens_to_ids(self._placeholder)] if self._placeholder else []
        policy = self.settings.rows
        rows = assemble(trace, policy, image_tokens=pictures)
        sequence = sequence_of(rows, prompt_length=self._prompt, response_length=self._response, policy=policy)
        if sequence is None:
            return nothing, f"nothing that was sampled stands in the first {self._response} tokens of the response"
        return sequence, ""

    def _told(self, trace: Trace, result: RewardResult | None, sequence: TokenSequence, error: str) -> dict[str, float]:
        """Numbers for the log, by the same keys for every row."""
        told = {"score": NAN if result is None or result.score is None else result.score}
        told["judge_missing"] = float(bool(error))
        for key in () if self._reward is None else self._reward.keys:
            told[f"part_{key}"] = NAN if result is None or result.score is None else result.components.get(key, 0.0)
        return told | {
            "turns": float(len(trace.turns)),
            "calls": float(len(trace.events)),
            "left_out": float(sequence.left_out),
        }


@cache
def _output() -> Any:
    """The output of a loop of verl, with rewards of tokens."""
    loops = engine("verl.experimental.agent_loop.agent_loop")
    torch = engine("torch")

    class JudgeOutput(loops.AgentLoopOutput):  # type: ignore[name-defined,misc]  # verl has no types
        """A judgement; its rewards stand where its turns begin."""

        def as_dict(self) -> dict[str, Any]:
            """The tensors of a row, for verl's queue."""
            made: dict[str, Any] = super().as_dict()
            if rewards := made["extra_fields"].pop("token_rewards", None):
                made["rm_scores"] = torch.tensor(rewards, dtype=torch.float32)
            return made

    return JudgeOutput


@cache
def register_loops() -> None:
    """Make the loops of `recipes/agents.yaml` and our estimators known to the verl of this process, once.

    verl puts the entries of `agent_loop_config_path` into the same table, later: they count.
    """
    register_estimators()
    known = engine("verl.experimental.agent_loop.agent_loop")._agent_loop_registry
    for entry in engine("omegaconf").OmegaConf.load(LOOPS):
        known[entry.name] = entry


if "verl" in sys.modules:  # verl itself has imported this
    register_loops()
