"""Log-probabilities in process are those of the model."""

import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tiny_models import build_qwen3  # noqa: E402

from agentjudge.errors import ConfigError, DataError, ModelError  # noqa: E402
from agentjudge.rewards.logprobs_hf import HFScorer  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_qwen3(tmp_path_factory.mktemp("scorer") / "qwen3-noise", context=256)


async def test_they_are_the_models_own(folder: Path) -> None:
    scorer = HFScorer(str(folder))
    prefix, ids = await scorer.encode("The sky is"), await scorer.encode(" blue, and so on. " * 10)
    assert len(ids) > 64  # more than one block of rows
    tokens, spreads = await scorer.score(prefix, ids), await scorer.spreads(prefix, ids)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        logprobs = torch.log_softmax(model(torch.tensor([prefix + ids])).logits[0].float(), -1)[len(prefix) - 1 : -1]
    wanted = logprobs.gather(-1, torch.tensor(ids)[:, None])[:, 0].tolist()
    assert [token.logprob for token in tokens] == pytest.approx(wanted, abs=1e-4)
    assert "".join(token.text for token in tokens) == " blue, and so on. " * 10
    uniform = torch.full_like(logprobs, -torch.log(torch.tensor(float(logprobs.shape[-1]))))
    kl = torch.nn.functional.kl_div
    there = kl(uniform, logprobs, reduction="none", log_target=True).sum(-1)
    back = kl(logprobs, uniform, reduction="none", log_target=True).sum(-1)
    assert [spread.to_uniform for spread in spreads] == pytest.approx(there.tolist(), abs=1e-4)
    assert [spread.from_uniform for spread in spreads] == pytest.approx(back.tolist(), abs=1e-4)
    assert all(spread.exact for spread in spreads)
    assert await scorer.score(prefix, []) == []
    await scorer.aclose()


async def test_it_says_what_it_cannot_do(folder: Path, tmp_path: Path) -> None:
    scorer = pickle.loads(pickle.dumps(HFScorer(str(folder))))
    assert await scorer.encode("a")
    with pytest.raises(ModelError, match="more than the model's context of 256"):
        await scorer.score([1] * 200, [1] * 57)
    with pytest.raises(DataError, match="at least one token"):
        await scorer.spreads([], [1])
    with pytest.raises(ConfigError, match="cannot load the model"):
        await HFScorer(str(tmp_path)).encode("a")
    await scorer.aclose()
