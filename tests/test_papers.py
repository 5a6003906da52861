import dataclasses
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from agentjudge.papers import Paper, find, papers

ROOT = Path(__file__).resolve().parents[1]
HEART = {"arm-thinker": "2512.05111", "web-arbiter": "2601.21872", "veri-r1": "2510.01932"}
HOMES = {
    "judge": ("graphs", "agentjudge/synthesis"),
    "reward": ("agentjudge/rewards",),
    "training": ("agentjudge/training", "agentjudge/training/gym"),
    "audit": ("agentjudge/audit",),
    "benchmark": ("benchmarks",),
}
ROLES = {
    *("judge", "benchmark", "synthesis", "gate", "term", "group term", "shaper", "composite", "selection", "monitor"),
    *("credit", "model", "data", "statistics", "advantage", "curriculum", "gym", "probe", "audit"),
}


def test_the_catalogue_is_whole() -> None:
    counts = Counter(paper.kind for paper in papers())
    assert counts == {"judge": 19, "reward": 26, "training": 7, "audit": 8, "benchmark": 1}
    assert len(papers()) == 61


def test_nothing_in_the_file_is_left_unread() -> None:
    tables = tomllib.loads((ROOT / "agentjudge/papers.toml").read_text("utf-8"))
    rows = [row for table in tables.values() for row in table.values()]
    assert len(rows) == len(papers())
    assert all({"title", "home"} <= row.keys() <= {"title", "arxiv", "role", "home"} for row in rows)


@pytest.mark.parametrize("field", ["slug", "title", "arxiv"])
def test_names_are_unique(field: str) -> None:
    named = [getattr(paper, field).casefold() for paper in papers() if getattr(paper, field) is not None]
    assert [name for name, n in Counter(named).items() if n > 1] == []


@pytest.mark.parametrize("paper", papers(), ids=lambda paper: paper.slug)
def test_a_row_is_well_formed(paper: Paper) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", paper.slug)
    assert paper.arxiv is None or re.fullmatch(r"\d{2}(0[1-9]|1[0-2])\.\d{5}", paper.arxiv)
    assert paper.title == " ".join(paper.title.split()) != ""
    assert set(paper.role.split(", ")) <= ROLES
    home = PurePosixPath(paper.home)
    assert str(home.parent) in HOMES[paper.kind]
    assert re.fullmatch(r"[a-z][a-z0-9_]*\.py", home.name)


@pytest.mark.parametrize(("slug", "arxiv"), HEART.items())
def test_the_heart_has_its_ids(slug: str, arxiv: str) -> None:
    paper = find(slug)
    assert paper is not None and paper.arxiv == arxiv and paper.kind == "judge"


@pytest.mark.parametrize("paper", papers(), ids=lambda paper: paper.slug)
def test_a_paper_is_found_by_each_of_its_names(paper: Paper) -> None:
    for key in (paper.slug, paper.title, paper.slug.upper(), f" {paper.title.lower()} "):
        assert find(key) is paper
    if paper.arxiv is not None:
        for key in (paper.arxiv, f"arXiv:{paper.arxiv}", f"{paper.arxiv}v3"):
            assert find(key) is paper


@pytest.mark.parametrize("key", ["", "none", "no-such-paper", "0000.00000", "2510.0193", "12510.01932"])
def test_nothing_is_found_for_another_name(key: str) -> None:
    assert find(key) is None


def test_a_paper_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        papers()[0].arxiv = "2510.01932"  # type: ignore[misc]


def test_the_catalogue_needs_nothing_beyond_the_standard_library() -> None:
    code = "import sys; import agentjudge.papers as p; p.papers(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    source = (ROOT / "agentjudge/papers.py").read_text()
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, flags=re.MULTILINE))
    assert imported <= set(sys.stdlib_module_names)
    assert not loaded & {"langgraph", "torch", "numpy", "cv2", "faiss", "transformers", "onnxruntime", "aiohttp"}
