"""Runs on local Ray clusters: nodes and workers that die, interruptions, pictures, and what is refused."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentjudge.case import Case, Claim, Document, read_cases
from agentjudge.cli import main
from agentjudge.errors import ConfigError
from agentjudge.graphs.veri_r1 import veri_r1
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel
from agentjudge.runs.batch import judge_cases
from agentjudge.runs.folder import BLOBS, TRACES, Run, open_run
from agentjudge.runs.ray_pool import DEATHS, RayJudges
from agentjudge.runs.ray_worker import Recipe
from agentjudge.tools.corpus import Corpus
from agentjudge.trace import Trace

pytest.importorskip("ray", reason="pip install 'agentjudge[ray]'")
from ray_clusters import cluster  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
PAGE = Document(id="page", text="The bridge opened in 1932.")
YES = json.dumps({"reason": "So.", "evidence": ["page:0"], "label": "SUPPORT", "confidence": 0.5})


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Three nodes of two cores each."""
    with cluster(3) as made:
        yield made


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A judge whose model says one thing, of a file that workers read."""
    blind = json.dumps({"reason": "I see nothing.", "evidence": [], "label": "NOT ENOUGH INFO", "confidence": 0.5})
    said = [[YES], {"case": "red", "turns": [blind]}]
    (tmp_path / "script.jsonl").write_text("\n".join(map(json.dumps, said)))
    return Recipe(model=f"scripted:{tmp_path / 'script.jsonl'}", seed=0)


def claims(n: int) -> list[Case]:
    return [Claim(id=f"c{i}", claim=f"It opened in {i}.", documents=(PAGE,)) for i in range(n)]


def lines(folder: Path) -> list[str]:
    """The cases of the lines of a run, in their order, each as often as it was written."""
    return [json.loads(line)["case"] for line in (folder / TRACES).read_bytes().splitlines()]


def timeless(run: Run) -> dict[str, Any]:
    return {trace.case.id: trace.timeless().to_json() for trace in run.traces()}


def after(n: int, do: Callable[[], None]) -> Callable[[Trace], None]:
    """Does something when the n-th trace has been written."""
    seen: list[str] = []

    def count(trace: Trace) -> None:
        seen.append(trace.case.id)
        if len(seen) == n:
            do()

    return count


def test_a_node_killed_in_the_middle_of_2000_cases_costs_no_verdict(nodes: Any, recipe: Recipe, tmp_path: Path) -> None:
    run, cases = tmp_path / "run", claims(2000)
    with RayJudges.start(recipe, blobs=run / BLOBS) as judges:

        def kill() -> None:
            assert len(judges.nodes) == 3, "some node had no work"
            nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)

        judge_cases(judges, cases, run, concurrency=8, on_trace=after(900, kill))
        assert judges.lost >= 1 and len(judges.nodes) == 2
    assert sorted(lines(run)) == sorted(case.id for case in cases), "a verdict is missing, or there twice"
    assert {*open_run(run).statuses().values()} == {"scored"}
    with Judge.load(model=recipe.model, seed=0, blobs=tmp_path / "one" / BLOBS) as judge:
        alone = timeless(judge_cases(judge, cases[:50], tmp_path / "one"))
    there = timeless(open_run(run))
    assert {id: there[id] for id in alone} == alone, "a cluster judges otherwise than one process"


def test_an_interrupted_run_is_gone_on_with_by_the_command(
    nodes: Any, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures, a corpus and relative paths included; what was judged before is not judged again."""
    from PIL import Image

    Image.new("RGB", (40, 30), "#c03020").save(tmp_path / "red.png")
    picture = Claim(id="red", claim="It is red.", images=(str(tmp_path / "red.png"),))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.txt").write_text(PAGE.text)
    (tmp_path / "cases.jsonl").write_text("\n".join(case.model_dump_json() for case in (picture, *claims(300))))
    run, docs = tmp_path / "run", str(tmp_path / "docs")
    corpus = Corpus.load([docs])

    def interrupt() -> None:
        raise KeyboardInterrupt

    recipe = Recipe(model=recipe.model, seed=0, corpus=(docs,))
    sources = {"search": None, "fetch": False, "corpus": corpus.content_hash, "index": "bm25"}
    cases = list(read_cases(tmp_path / "cases.jsonl"))
    with RayJudges.start(recipe, blobs=run / BLOBS, corpus_hash=corpus.content_hash) as judges:
        with pytest.raises(KeyboardInterrupt):
            judge_cases(judges, cases, run, sources=sources, concurrency=8, on_trace=after(100, interrupt))
    before = lines(run)
    assert 100 <= len(before) < 301

    args = ["judge", "cases.jsonl", "--corpus", docs, "--out", "run", "--model", recipe.model, "--seed", "0"]
    args += ["--resume", "--json", "--ray", nodes.address, "--ray-workers", "2"]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["scored"] == 301
    assert lines(run)[: len(before)] == before and sorted(lines(run)) == sorted(case.id for case in cases)
    image = next(trace.case.images[0] for trace in open_run(run).traces() if trace.case.id == "red")
    assert open_run(run).blob(image) == (tmp_path / "red.png").read_bytes()


class Deadly(Recipe):
    """A judge whose model ends its process where a case is named so."""

    def load(self, place: int, corpus: Corpus | None, *, blobs: Path) -> Judge:
        def answer(request: Request) -> str:
            if request.case.id.startswith("deadly"):
                os._exit(1)
            return YES

        return Judge(veri_r1(), model=ScriptedModel(answer), blobs=blobs, seed=0)


def test_a_case_that_ends_workers_fails_alone(nodes: Any, tmp_path: Path) -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    run, cases = tmp_path / "run", claims(40)
    cases.insert(3, Claim(id="deadly", claim="It opened.", documents=(PAGE,)))
    try:
        with RayJudges.start(Deadly(), workers=2, blobs=run / BLOBS) as judges:
            judge_cases(judges, cases, run, concurrency=8)
            assert judges.lost >= DEATHS, "one may be lost before its first word as well"
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert sorted(lines(run)) == sorted(case.id for case in cases)
    verdicts = {verdict.case_id: verdict for verdict in open_run(run).verdicts()}
    failure = verdicts.pop("deadly").failure
    assert failure is not None and failure.retriable and failure.message.startswith(f"{DEATHS} workers ended")
    assert {verdict.status for verdict in verdicts.values()} == {"scored"}, "a case beside it was given up with it"


def test_workers_that_cannot_judge_are_told_at_once(nodes: Any, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="could not load the judge: .*no-such-judge"):
        RayJudges.start(Recipe(judge="no-such-judge", model=recipe.model), workers=1)
    (tmp_path / "a.txt").write_text("The bridge opened in 1932.")
    with pytest.raises(ConfigError, match="finds other texts"):
        RayJudges.start(Recipe(model=recipe.model, corpus=(str(tmp_path / "a.txt"),)), workers=1, corpus_hash="0" * 64)


def test_replicas_are_of_one_model_and_each_has_a_worker(recipe: Recipe) -> None:
    urls = ("http://gpu1:8000", "http://gpu2:8000")
    with pytest.raises(ConfigError, match="name it without an address"):
        Recipe(model="vllm:m@http://gpu1:8000", replicas=urls)
    with pytest.raises(ConfigError, match="name it without an address"):
        Recipe(model=recipe.model, replicas=urls)
    with pytest.raises(ConfigError, match="begins with http"):
        Recipe(model="vllm:m", replicas=("gpu1:8000",))
    served = Recipe(model="vllm:m", replicas=urls)
    with pytest.raises(ConfigError, match="1 workers cannot ask 2 replicas"):
        RayJudges.start(served, workers=1)
    names = [served.load(place, None, blobs=Path("x")).model.name for place in range(3)]
    assert names == ["vllm:m@http://gpu1:8000", "vllm:m@http://gpu2:8000", "vllm:m@http://gpu1:8000"]


def test_options_of_ray_want_ray(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text(json.dumps({"id": "1", "claim": "It opened."}))
    for option in (("--ray-workers", "2"), ("--replica", "http://a"), ("--ray-gpus", "1")):
        done = CliRunner().invoke(main, ["judge", str(tmp_path / "cases.jsonl"), "--out", str(tmp_path / "r"), *option])
        assert done.exit_code == 2 and "go with --ray" in done.output
