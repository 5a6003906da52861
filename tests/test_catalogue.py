"""The listings say what is registered, and no more."""

import re
from collections import Counter
from pathlib import Path

import pytest

from agentjudge import registry
from agentjudge.catalogue import KINDS, components, paper_rows
from agentjudge.papers import find, papers
from agentjudge.registry import PACKAGES, Component, load_kind, register

ROOT = Path(__file__).resolve().parents[1]


def registered() -> list[Component]:
    return [component for kind in PACKAGES for component in load_kind(kind).values()]


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry in which every kind is loaded and empty."""
    monkeypatch.setattr(registry, "_components", {kind: {} for kind in PACKAGES})
    monkeypatch.setattr(registry, "_loaded", set(PACKAGES))


def test_there_is_one_row_for_each_paper() -> None:
    rows = paper_rows()
    assert len(rows) == 61 and Counter(row["kind"] for row in rows) == {
        "judge": 19, "reward": 26, "training": 7, "audit": 8, "benchmark": 1
    }  # fmt: skip
    assert len({row["title"] for row in rows}) == len({row["arxiv"] for row in rows if row["arxiv"]}) == 61
    for row in rows:
        assert list(row) == ["title", "arxiv", "kind", "home", "working"]
        assert isinstance(row["title"], str) and isinstance(row["working"], bool)
        assert re.fullmatch(r"\d{4}\.\d{5}", row["arxiv"]) and row["home"].endswith(".py")


def test_a_paper_works_exactly_if_a_component_names_it() -> None:
    named = {paper.title for c in registered() if c.paper is not None and (paper := find(c.paper)) is not None}
    assert {row["title"] for row in paper_rows() if row["working"]} == named
    assert find("veri-r1").title in named  # type: ignore[union-attr]


def test_what_works_is_where_the_catalogue_says() -> None:
    for row in paper_rows():
        if row["working"]:
            assert (ROOT / row["home"]).is_file(), row["title"]


def test_every_component_names_a_paper_of_the_catalogue() -> None:
    """Tools, benchmarks and trainings may also carry other people's works; those are named by a whole arXiv id."""
    for component in registered():
        if component.paper is None or find(component.paper) is not None:
            continue
        assert component.kind in ("tool", "benchmark", "training"), component
        assert re.fullmatch(r"\d{2}(0[1-9]|1[0-2])\.\d{5}", component.paper), component


def test_a_paper_begins_to_work_when_something_registers(nothing: None) -> None:
    assert [row for row in paper_rows() if row["working"]] == []
    register("judge", "by-id", paper="2601.21872")(lambda: 1)
    register("reward", "by-slug", paper="self-certainty")(lambda: 2)
    register("tool", "without-paper")(lambda: 3)
    register("benchmark", "another-paper", paper="2403.13787")(lambda: 4)
    rows = paper_rows()
    assert [row["arxiv"] for row in rows if row["working"]] == ["2601.21872", "2502.18581"]
    assert len(rows) == len(papers())


def test_components_have_their_summary_and_paper(nothing: None) -> None:
    @register("judge", "b", paper="2510.01932")
    def judge() -> None:
        """Judges.

        At length.
        """

    register("judge", "a")(lambda: 1)
    assert components("judges") == [
        {"name": "a", "summary": "", "paper": None},
        {"name": "b", "summary": "Judges.", "paper": "2510.01932"},
    ]
    assert [components(what) for what in KINDS if what != "judges"] == [[]] * (len(KINDS) - 1)


@pytest.mark.parametrize("what", KINDS)
def test_every_component_says_what_it_is_in_a_line(what: str) -> None:
    for row in components(what):
        assert row["summary"].endswith(".") and "\n" not in row["summary"], row
