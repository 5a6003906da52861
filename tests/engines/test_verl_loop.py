"""The judge as verl's agent loop: its workers, its queue, its advantages, and the recipes under its configuration.

The servers are local: one that says what a script says, in tokens, and one that samples from a tiny random Qwen3.
"""

import asyncio
import json
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("verl", reason="needs .venv-verl: make test-engines")

import torch
import transformers
import verl
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker, _agent_loop_registry
from verl.trainer.ppo import core_algos
from verl.trainer.ppo.metric_utils import compute_data_metrics
from verl.trainer.ppo.ray_trainer import compute_advantage
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.workers.rollout.replica import TokenOutput

from agentjudge.boxes import Box
from agentjudge.errors import ConfigError, DataError
from agentjudge.models.profiles import fitted, profile_of
from agentjudge.training.gym import PictureGym
from agentjudge.training.rows import TurnSpan
from agentjudge.training.verl_data import gym_items, write
from agentjudge.training.verl_estimators import NAMES, advantages
from agentjudge.training.verl_loop import JudgeLoop
from agentjudge.training.verl_rows import TokenSequence, token_rewards
from agentjudge.training.verl_settings import LoopSettings

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "agentjudge" / "training" / "recipes"
THEIRS = Path(verl.__file__).parent / "trainer" / "config"
NAMED = [f"{judge}_{gpus}gpus" for judge in ("veri_r1", "arm_thinker", "web_arbiter") for gpus in (8, 64)]
SIDES = 4
"""Rollouts of a claim."""


def composed(name: str, *overrides: str) -> DictConfig:
    given = ["data.train_files=a.parquet", "data.val_files=b.parquet", *overrides]
    with initialize_config_dir(str(RECIPES), version_base=None):
        return compose(name, overrides=[f"hydra.searchpath=[file://{THEIRS}]", *given])


class Scripted:
    """Servers of verl that search, say that it is enough, and give the right label at every second try.

    `broken` names claims whose judgements find the servers away, `easy` those that are right at every try.
    """

    def __init__(
        self,
        tokenizer: Any,
        cases: list[dict[str, Any]],
        broken: tuple[str, ...] = (),
        easy: tuple[str, ...] = (),
    ) -> None:
        self.tokenizer, self.cases, self.broken, self.easy = tokenizer, cases, broken, easy
        self.asked: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.sampled: dict[str, list[TokenOutput]] = defaultdict(list)
        self.order: dict[str, list[str]] = defaultdict(list)

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], **others: Any
    ) -> TokenOutput:
        text = self.tokenizer.decode(prompt_ids)
        case = next(case for case in self.cases if case["claim"] in text)
        tries = self.order[case["claim"]]
        if request_id not in tries:
            tries.append(request_id)
        self.asked[request_id].append({"prompt": prompt_ids, **sampling_params})
        if case["claim"] in self.broken:
            raise RuntimeError("the replica died")
        await asyncio.sleep(0)
        turn, right = len(self.sampled[request_id]), tries.index(request_id) % 2 == 0 or case["claim"] in self.easy
        said = self._say(case, turn, right)
        ids = [*self.tokenizer.encode(said, add_special_tokens=False), self.tokenizer.eos_token_id]
        logprobs = [-(k + 1) / 1000 - turn for k in range(len(ids))]
        output = TokenOutput(token_ids=ids, log_probs=logprobs, stop_reason="completed", num_preempted=0)
        output.extra_fields = {"global_steps": 7, "min_global_steps": 7, "max_global_steps": 7}
        self.sampled[request_id].append(output)
        return output

    @staticmethod
    def _say(case: dict[str, Any], turn: int, right: bool) -> str:
        if turn == 0:
            call = {"name": "retrieve", "arguments": {"query": case["claim"] if right else "nobody"}}
            return f"<tool_call>{json.dumps(call)}</tool_call>"
        if turn == 1:
            return "That is enough."
        gold = case["gold"]["label"]
        label = gold if right else next(label for label in case["labels"] if label != gold)
        cited = case["gold"]["evidence"][0] if right and case["gold"]["evidence"] else []
        return json.dumps({"reason": "So.", "evidence": cited, "label": label, "confidence": 0.9})


class Live:
    """Servers of verl that sample from a model in this process."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], **others: Any
    ) -> TokenOutput:
        limit = min(12, sampling_params["max_tokens"])
        with torch.inference_mode():
            out = self.model.generate(
                torch.tensor([prompt_ids]),
                attention_mask=torch.ones(1, len(prompt_ids), dtype=torch.long),
                do_sample=True,
                top_k=0,
                temperature=sampling_params["temperature"],
                max_new_tokens=limit,
                return_dict_in_generate=True,
                output_logits=True,
            )
        ids = out.sequences[0, len(prompt_ids) :].tolist()
        odds = torch.stack(out.logits)[:, 0].log_softmax(-1)
        logprobs = [float(odds[k, token]) for k, token in enumerate(ids)]
        return TokenOutput(token_ids=ids, log_probs=logprobs, stop_reason="completed", extra_fields={"global_steps": 1})


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Path]) -> Path:
    return tiny(context=16384)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from itertools import islice

    path = tmp_path_factory.mktemp("data") / "train.parquet"
    items = gym_items("claims", split="train", seed=1, hops=(1,), documents=10, pictures=None)
    assert write(path, islice(items, 3), source="gym-claims") == 3
    return path


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """The recipe's loops, where a judgement that needs more than one row is an error."""
    loops = OmegaConf.load(RECIPES / "agents.yaml")
    for loop in loops:
        loop.rows = "strict"
    path = tmp_path / "agents.yaml"
    OmegaConf.save(loops, path)
    return path


@pytest.fixture
def settings(model: Path, agents: Path, data: Path) -> DictConfig:
    rollout = "actor_rollout_ref.rollout"
    return composed(
        "veri_r1_8gpus",
        f"actor_rollout_ref.model.path={model}",
        "actor_rollout_ref.model.use_remove_padding=false",
        f"data.train_files={data}",
        "data.max_prompt_length=6000",
        "data.max_response_length=8000",
        f"{rollout}.max_model_len=14000",
        f"{rollout}.agent.agent_loop_config_path={agents}",
    )


@pytest.fixture
def batch(settings: DictConfig) -> DataProto:
    """Three claims as verl's own data set reads them, each as often as it is rolled out."""
    words = transformers.AutoTokenizer.from_pretrained(settings.actor_rollout_ref.model.path)
    rows = RLHFDataset(settings.data.train_files, words, settings.data)
    read = collate_fn([rows[n] for n in range(len(rows))])
    read["uid"] = np.array([f"claim{n}" for n in range(len(rows))], dtype=object)
    arrays = {key: value for key, value in read.items() if isinstance(value, np.ndarray)}
    return DataProto.from_dict(
        tensors={"dummy": torch.zeros(len(rows), 1)}, non_tensors=arrays, meta_info={"global_steps": 7}
    ).repeat(SIDES, interleave=True)


def cases_of(batch: DataProto) -> list[dict[str, Any]]:
    found = {info["case"]: None for info in batch.non_tensor_batch["extra_info"]}
    return [json.loads(case) for case in found]


def worker_of(settings: DictConfig, servers: Any) -> AgentLoopWorker:
    async def made() -> AgentLoopWorker:
        return AgentLoopWorker(settings, servers)

    return asyncio.get_event_loop().run_until_complete(made())


@pytest.fixture(autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """verl asks for the loop of its thread."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    asyncio.set_event_loop(None)
    made.close()


# recipes


@pytest.mark.parametrize("name", NAMED)
def test_a_recipe_composes_with_verls_configuration(name: str) -> None:
    with initialize_config_dir(str(THEIRS), version_base=None):
        base = compose("ppo_trainer")
    OmegaConf.set_struct(base, True)
    OmegaConf.set_struct(base.data.mm_processor_kwargs, False)  # options of any processor
    for file in ("agentjudge_common", name):
        own = OmegaConf.to_container(OmegaConf.load(RECIPES / f"{file}.yaml"), resolve=False)
        assert isinstance(own, dict) and own.pop("defaults")
        OmegaConf.merge(base, own)  # raises where verl has no such key

    config = composed(name)
    checked = composed(name, "actor_rollout_ref.model.lora_rank=0")  # its check of LoRA imports vLLM
    validate_config(checked, need_reference_policy(checked), need_critic(checked))
    assert not need_critic(config)
    rollout = config.actor_rollout_ref.rollout
    assert rollout.max_model_len == rollout.prompt_length + rollout.response_length
    assert (rollout.temperature, rollout.top_p, rollout.top_k, rollout.calculate_log_probs) == (1.0, 1.0, -1, True)
    assert rollout.multi_turn.max_tool_response_length > 256
    assert config.algorithm.filter_groups.enable and config.trainer.use_v1
    assert config.trainer.nnodes * config.trainer.n_gpus_per_node == int(name.split("_")[-1].removesuffix("gpus"))
    assert (config.data.train_batch_size * rollout.n) % (config.trainer.nnodes * config.trainer.n_gpus_per_node) == 0

    core_algos.get_adv_estimator_fn(config.algorithm.adv_estimator)
    entry = _agent_loop_registry[rollout.agent.default_agent_loop]
    fields = {str(key): value for key, value in entry.items() if key not in ("name", "_target_")}
    judging = LoopSettings.model_validate(OmegaConf.to_container(OmegaConf.create(fields)))
    assert judging.pays() is not None and entry._target_.endswith(".JudgeLoop")
    judging_tokens = judging.budget["turns"] * judging.turn_tokens + judging.budget["answer_tokens"]
    assert judging_tokens < rollout.response_length


def test_a_recipe_by_verls_own_command() -> None:
    command = [sys.executable, "-m", "verl.trainer.main_ppo", "--config-dir", str(RECIPES)]
    given = ["--config-name", "web_arbiter_8gpus", "--cfg", "job", "data.train_files=a", "data.val_files=b"]
    told = subprocess.run([*command, *given], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stderr[-2000:]
    config = OmegaConf.create(told.stdout[told.stdout.index("actor_rollout_ref:") :])
    assert config.actor_rollout_ref.rollout.agent.default_agent_loop == "agentjudge-web-arbiter"
    assert config.actor_rollout_ref.model.lora_rank == 64


# rollouts


def test_rollouts_through_verls_worker_and_its_advantages(settings: DictConfig, batch: DataProto) -> None:
    worker = worker_of(settings, None)
    claims = cases_of(batch)
    servers = Scripted(worker.tokenizer, claims, broken=(claims[2]["claim"],))
    worker.llm_client = servers
    done = asyncio.get_event_loop().run_until_complete(worker.generate_sequences(batch))
    assert len(done) == 3 * SIDES
    mask, logprobs = done.batch["response_mask"], done.batch["rollout_log_probs"]
    seen = done.non_tensor_batch
    gone = torch.tensor(seen["judge_missing"] == 1.0)
    assert gone.tolist() == [False] * 2 * SIDES + [True] * SIDES

    # what was sampled is what is trained, with the log-probabilities that the server told
    rows = {
        tuple(row[keep.bool()].tolist()): values[keep.bool()].tolist()
        for row, keep, values in zip(done.batch["responses"], mask, logprobs, strict=True)
    }
    told = {
        tuple(token for output in outputs for token in output.token_ids): [
            value for output in outputs for value in output.log_probs
        ]
        for outputs in servers.sampled.values()
        if outputs
    }
    assert {row: pytest.approx(values, abs=1e-6) for row, values in told.items()} == {
        row: values for row, values in rows.items() if row
    }
    assert int(mask.sum()) == sum(len(output.token_ids) for outputs in servers.sampled.values() for output in outputs)
    assert (logprobs[mask == 0] == 0).all()
    assert (seen["left_out"] == 0).all() and (seen["turns"][~gone.numpy()] == 3).all()

    # each prompt goes on from the tokens before it, and is a prefix of its row
    for request, outputs in servers.sampled.items():
        before: list[int] = []
        for asked, output in zip(servers.asked[request], outputs, strict=False):
            assert asked["prompt"][: len(before)] == before
            before = asked["prompt"] + output.token_ids
            assert (asked["temperature"], asked["top_p"], asked["top_k"]) == (1.0, 1.0, -1)

    # a failed judge is a masked row and no zero, also for the reward
    assert (mask[gone] == 0).all() and (mask[~gone].sum(-1) > 0).all()
    scores = done.batch["rm_scores"].sum(-1)
    assert scores[gone].isnan().all() and not scores[~gone].isnan().any()
    assert all("replica died" in error for error in seen["judge_error"][gone.numpy()])
    assert scores[~gone].unique().numel() > 1
    assert np.allclose(seen["score"][~gone.numpy()], scores[~gone].numpy(), atol=1e-5)
    parts = [key for key in seen if key.startswith("part_")]
    assert parts and np.allclose(sum(seen[key] for key in parts)[~gone.numpy()], scores[~gone].numpy(), atol=1e-5)
    assert set(seen["min_global_steps"][~gone.numpy()]) == {7} and None not in seen["max_global_steps"]

    done.non_tensor_batch["uid"] = batch.non_tensor_batch["uid"]
    done.batch["token_level_rewards"] = done.batch["token_level_scores"] = done.batch["rm_scores"]
    done = compute_advantage(done, settings.algorithm.adv_estimator, num_repeat=SIDES, config=settings.algorithm)
    given = done.batch["advantages"]
    assert not given.isnan().any() and (given[gone] == 0).all() and (given[mask == 0] == 0).all()
    assert not any(
        math.isnan(value)
        for key, value in compute_data_metrics(done, use_critic=False).items()
        if not key.startswith(("critic/score", "critic/rewards"))
    )
    right = [int(given[n][mask[n].bool()][0] > 0) for n in range(2 * SIDES)]
    assert sum(right) == SIDES  # every second one


def test_log_probabilities_are_those_of_the_trainers_model(settings: DictConfig, batch: DataProto, model: Path) -> None:
    policy = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    worker = worker_of(settings, None)
    worker.llm_client = Live(policy, worker.tokenizer)
    done = asyncio.get_event_loop().run_until_complete(worker.generate_sequences(batch[:2]))
    assert (done.batch["response_mask"].sum(-1) > 0).all()
    for row in done:
        whole = row.batch["attention_mask"].bool()
        ids, positions = row.batch["input_ids"][whole], row.batch["position_ids"][whole]
        with torch.inference_mode():
            logits = policy(input_ids=ids[None], position_ids=positions[None]).logits[0]
        again = logits[:-1].log_softmax(-1).gather(-1, ids[1:, None])[:, 0]
        size = int(row.batch["attention_mask"][row.batch["prompts"].shape[0] :].sum())
        trained = row.batch["response_mask"][:size].bool()
        assert torch.allclose(again[-size:][trained], row.batch["rollout_log_probs"][:size][trained], atol=1e-3)


def made_loop(settings: DictConfig, **fields: Any) -> JudgeLoop:
    words = transformers.AutoTokenizer.from_pretrained(settings.actor_rollout_ref.model.path)
    servers = SimpleNamespace(generate=None)
    return JudgeLoop(SimpleNamespace(config=settings), servers, words, **{"judge": "veri-r1"} | fields)


def test_what_cannot_be_is_refused(settings: DictConfig, loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(ConfigError, match="agent loop 'x'.*judges"):
        made_loop(settings, name="x", judges="veri-r1")
    with pytest.raises(ConfigError, match="evidence_first.*does not take"):
        made_loop(settings, reward="evidence_first", reward_options={"weight": 1})
    with pytest.raises(DataError, match="verl_data"):
        loop.run_until_complete(made_loop(settings).run({"temperature": 1.0}, extra_info={"index": 1}))
    old = OmegaConf.merge(settings, {"trainer": {"use_v1": False}, "algorithm": {"adv_estimator": "agentjudge_lare"}})
    with pytest.raises(ConfigError, match="use_v1=True"):
        made_loop(old)


def test_without_a_reward_it_is_left_to_verl(settings: DictConfig, batch: DataProto, loop: Any) -> None:
    made = made_loop(settings)
    claims = cases_of(batch)
    fields = {key: value[0] for key, value in batch.non_tensor_batch.items()}
    for broken in (False, True):
        servers = Scripted(made._tokenizer, claims, (claims[0]["claim"],) if broken else ())
        made = JudgeLoop(SimpleNamespace(config=settings), servers, made._tokenizer, judge="veri-r1")
        output = loop.run_until_complete(made.run({"temperature": 1.0, "top_p": 1.0, "logprobs": True}, **fields))
        assert math.isnan(output.reward_score) if broken else output.reward_score is None
        assert any(output.response_mask) is not broken
        assert ("rm_scores" in output.as_dict()) is broken
        assert len(servers.asked[next(iter(servers.asked))]) == (2 if broken else 3)  # tried again, once


class Grids:
    """Tells how many patches a picture has, by Qwen2.5-VL's rule: its own processor needs torchvision."""

    merge_size = 2

    def __call__(self, images: list[Any], *, return_tensors: str, max_pixels: int) -> dict[str, Any]:
        sizes = [fitted(image.size, multiple=28, least=56 * 56, most=max_pixels) for image in images]
        return {"image_grid_thw": np.array([[1, height // 14, width // 14] for width, height in sizes])}


def test_pictures_are_sampled_and_trained_together(settings: DictConfig, tmp_path: Path, loop: Any) -> None:
    words = transformers.AutoTokenizer.from_pretrained(settings.actor_rollout_ref.model.path)
    words.add_special_tokens({"additional_special_tokens": ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>"]})
    pad = words.convert_tokens_to_ids("<|image_pad|>")
    settings.data.mm_processor_kwargs = {"max_pixels": 200_704}
    settings.data.max_prompt_length = settings.data.max_response_length = 40_000
    case = PictureGym(tmp_path).case(0)
    frame = Box(*case.metadata["frame"])
    box = profile_of("qwen2.5-vl").model_copy(update={"max_pixels": 200_704}).written(frame, (4000, 3000))
    zoom = {"name": "image_zoom_in_tool", "arguments": {"image": "original_image", "bbox_2d": box}}
    assert case.gold is not None
    verdict = {"reason": "So.", "evidence": ["observation_1"], "label": case.gold.label, "confidence": 0.9}
    says = [f"<tool_call>{json.dumps(zoom)}</tool_call>", "Enough.", json.dumps(verdict)]
    seen: list[dict[str, Any]] = []

    async def generate(request_id: str, **request: Any) -> TokenOutput:
        ids = [*words.encode(says[len(seen)], add_special_tokens=False), words.eos_token_id]
        seen.append(request)
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), stop_reason="completed")

    made = JudgeLoop(
        SimpleNamespace(config=settings),
        SimpleNamespace(generate=generate),
        words,
        SimpleNamespace(image_processor=Grids(), image_token="<|image_pad|>"),
        judge="arm-thinker",
        reward="arm_thinker",
        profile="qwen2.5-vl",
    )
    fields = {"extra_info": {"case": case.model_dump_json()}, "global_steps": 3}
    output = loop.run_until_complete(made.run({"temperature": 1.0, "top_p": 1.0}, **fields))
    assert output.extra_fields["judge_error"] == "" and output.reward_score == pytest.approx(1.5)
    images = output.multi_modal_data["images"]
    assert [len(request["image_data"]) for request in seen] == [1, 2, 2] and images == seen[-1]["image_data"]
    assert all(request["mm_processor_kwargs"] == {"max_pixels": 200_704} for request in seen)
    grids = Grids()(images, return_tensors="np", max_pixels=200_704)["image_grid_thw"]
    ids = np.array(output.prompt_ids + output.response_ids)
    assert int((ids == pad).sum()) == int(grids.prod(-1).sum()) // 4 and len(images) == 2
    mask = np.array([0] * len(output.prompt_ids) + output.response_mask, bool)
    across, down = images[1].size
    assert across / down == pytest.approx(4 * (frame[2] - frame[0]) / (3 * (frame[3] - frame[1])), rel=0.1)
    assert not mask[ids == pad].any() and mask.sum() == sum(len(words.encode(each)) + 1 for each in says)
    assert output.extra_fields["min_global_steps"] == 3


# verl's present trainer: rows go through its queue


@pytest.fixture(scope="module")
def queue() -> Iterator[Any]:
    """verl's TransferQueue, on a Ray of one machine."""
    ray = pytest.importorskip("ray")
    transfer = pytest.importorskip("transfer_queue", reason="needs .venv-verl: make test-engines")
    ray.init(num_cpus=4, include_dashboard=False, object_store_memory=200 * 2**20, log_to_driver=False)
    config = composed("veri_r1_8gpus", "transfer_queue.backend.SimpleStorage.num_data_storage_units=1")
    transfer.init(OmegaConf.merge(config.transfer_queue, {"enable": True}))
    yield transfer
    transfer.close()
    ray.shutdown()


def test_the_present_trainer_filters_groups_and_tells_turns_apart(
    settings: DictConfig, batch: DataProto, queue: Any, loop: asyncio.AbstractEventLoop
) -> None:
    from verl.trainer.ppo.v1 import AgentLoopWorkerTQ, PPOTrainer
    from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
    from verl.utils import tensordict_utils as tu

    overrides = {"actor_rollout_ref": {"rollout": {"n": SIDES}}, "algorithm": {"adv_estimator": "agentjudge_mt-grpo"}}
    settings = OmegaConf.merge(settings, overrides)
    assert isinstance(settings, DictConfig)
    claims = cases_of(batch)
    prompts = {key: value[::SIDES] for key, value in batch.non_tensor_batch.items()}
    prompts["uid"] = np.array([f"claim{n}" for n in range(3)], dtype=object)
    waiting = [{"is_prompt": True, "status": "pending", "global_steps": 7} for _ in range(3)]
    queue.kv_batch_put(keys=list(prompts["uid"]), partition_id="train", tags=waiting)

    async def rolled() -> Scripted:
        worker = AgentLoopWorkerTQ.__ray_metadata__.modified_class(settings, None)
        easy, broken = (claims[1]["claim"],), (claims[2]["claim"],)
        servers = worker.llm_client = Scripted(worker.tokenizer, claims, broken, easy)
        given = tu.get_tensordict(prompts)
        tu.assign_non_tensor_data(given, "global_steps", 7)
        await worker.generate_sequences(given)
        await asyncio.gather(*worker.background_tasks)
        return servers

    servers = loop.run_until_complete(rolled())
    refilled: list[int] = []
    buffer = ReplayBuffer(
        trainer_mode="sync",
        trainer_config=settings.trainer,
        max_off_policy_threshold=None,
        max_off_policy_strategy="drop",
        sampler_kwargs={},
        poll_interval=0.1,
        refill_fn=refilled.append,
        filter_groups_metric=settings.algorithm.filter_groups.metric,
        train_batch_size=3,
        gen_batch_size=1,
        sync_refill_failed_groups=True,
    )
    rows, metrics = buffer.sample(7, "train", 2)
    assert metrics["training/filter_groups/evicted_samples"] == 1
    assert {key.split("_")[0] for key in rows.keys} == {"claim0", "claim2"} and len(rows.keys) == 2 * SIDES
    assert all(tag["min_global_steps"] == 7 for tag in rows.tags)

    fields = ["uid", "response_mask", "rm_scores", "rollout_log_probs", "extra_fields"]
    before = queue.kv_batch_get(keys=rows.keys, partition_id="train", select_fields=fields)
    told = [getattr(each, "data", each) for each in before["extra_fields"]]
    old = tu.get_tensordict({"old_log_probs": before["rollout_log_probs"]})
    rows = queue.kv_batch_put(keys=rows.keys, partition_id="train", fields=old)
    rows = PPOTrainer._compute_advantage(SimpleNamespace(config=settings), rows, metrics)
    after = queue.kv_batch_get(keys=rows.keys, partition_id="train", select_fields=["advantages", "response_mask"])
    assert metrics["rollout_corr/rollout_is_mean"] == pytest.approx(1.0, abs=0.01)

    asked = servers.order[claims[0]["claim"]]
    sampled = sum(len(output.token_ids) for request in asked for output in servers.sampled[request])
    assert sum(int(row.sum()) for row in after["response_mask"].unbind()) == sampled
    apart = 0
    for info, scores, mask, given in zip(
        told, before["rm_scores"].unbind(), after["response_mask"].unbind(), after["advantages"].unbind(), strict=True
    ):
        assert not given.isnan().any() and (given[mask == 0] == 0).all()
        if info["judge_error"]:
            assert scores.isnan().any() and not mask.any() and not given.any()
            continue
        assert float(scores.sum()) == pytest.approx(info["reward_extra_info"]["score"], abs=1e-5)
        (first, *_), (second, *_), _ = info["turn_spans"]
        assert float(scores[first]) == pytest.approx(info["turn_scores"][0], abs=1e-6) and info["turn_scores"][0] != 0
        apart += bool(given[first] != given[second])
    assert apart == SIDES


# estimators


def test_turns_are_read_back_from_the_tokens() -> None:
    spans = (TurnSpan(0, 3, 0), TurnSpan(5, 6, 1), TurnSpan(8, 12, 3))
    mask = [1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1]
    sequence = TokenSequence([1], [2] * 12, mask, [-1.0 * each for each in mask], spans)
    rewards = token_rewards(1.5, [0.25, -0.5, 9.0, 0.0], sequence)
    assert [rewards[0], rewards[5], rewards[8], rewards[11]] == [0.25, -0.5, 0.0, 1.75]
    assert sum(rewards) == pytest.approx(1.5)
    assert math.isnan(sum(token_rewards(math.nan, [], sequence)))


@pytest.mark.parametrize("name", NAMES)
def test_every_estimator_is_known_to_verl_and_leaves_out_what_has_no_score(name: str) -> None:
    mask = torch.tensor([[1, 1, 0, 1, 1]] * 4 + [[0, 0, 0, 0, 0]])
    rewards = torch.zeros(5, 5)
    rewards[:, 0] = torch.tensor([0.5, 0.0, 0.25, 0.0, 0.0])  # the first turn, which called
    rewards[:, 3] = torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0])
    rewards[3] = math.nan
    if name != "agentjudge_lare":
        rewards[:, -1] += torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    index = np.array(["a"] * 5, dtype=object)
    given = {"token_level_rewards": rewards, "response_mask": mask, "index": index, "config": OmegaConf.create({})}
    found, returns = core_algos.get_adv_estimator_fn(name)(**given)
    assert torch.equal(found, returns) and not found.isnan().any()
    assert (found[3:] == 0).all() and (found[:, 2] == 0).all() and (mask[3] == 0).all()
    assert (found[:3] != 0).any()
    told = name in ("agentjudge_mt-grpo", "agentjudge_lare")
    assert bool((found[:3, 0] != found[:3, 3]).any()) is told
    if told:
        with pytest.raises(ConfigError, match="use_kl_in_reward"):
            core_algos.get_adv_estimator_fn(name)(**given | {"config": OmegaConf.create({"use_kl_in_reward": True})})


def test_mt_grpo_by_hand() -> None:
    mask = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 0, 1]], float)
    rewards = np.array([[0.2, 0, 0, 1], [0.1, 0, 0, 0], [0.0, 0, 0, 1]])
    found = advantages("mt-grpo", rewards, mask, ["a"] * 3)
    outcome = (np.array([1, 0, 1]) - 2 / 3) / np.std([1, 0, 1], ddof=1)
    turn = np.array([1.0, 0.0, -1.0])
    assert found[:, 0] == pytest.approx(outcome + turn) and found[:, 3] == pytest.approx(outcome)
    assert found[0, 1] == found[0, 0] and found[1, 1] == 0
