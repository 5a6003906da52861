"""Listings of what there is, made from the registry and the catalogue of papers."""

from typing import Any

from agentjudge.papers import papers
from agentjudge.registry import Kind, load_kind, working_papers

KINDS: dict[str, Kind] = {
    "judges": "judge",
    "tools": "tool",
    "models": "model",
    "rewards": "reward",
    "benchmarks": "benchmark",
    "training": "training",
    "audits": "audit",
}


def components(what: str) -> list[dict[str, Any]]:
    """Name, summary and paper of every registered component of a kind."""
    found = load_kind(KINDS[what]).values()
    return [{"name": c.name, "summary": c.summary, "paper": c.paper} for c in found]


def paper_rows() -> list[dict[str, Any]]:
    """Every paper of the catalogue; `working` where a registered component names it by arXiv id or slug."""
    working = working_papers()
    return [
        {
            "title": paper.title,
            "arxiv": paper.arxiv,
            "kind": paper.kind,
            "home": paper.home,
            "working": paper.slug in working or (paper.arxiv is not None and paper.arxiv in working),
        }
        for paper in papers()
    ]
