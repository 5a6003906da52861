"""The shape of the package: floors, import weight, links, sizes."""

import ast
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "agentjudge"
FLOORS = {
    **dict.fromkeys(
        ["case", "verdict", "evidence", "boxes", "pictures", "trace", "budget", "errors", "registry", "prompts"]
        + ["sentences", "papers", "actions"],
        1,
    ),
    **dict.fromkeys(["tools", "models"], 2),
    **dict.fromkeys(["graphs", "rewards"], 3),
    **dict.fromkeys(["judge", "opening", "runs", "rerank", "audit", "synthesis", "training", "demo"], 4),
    **dict.fromkeys((path.stem for path in PACKAGE.glob("cli*.py")), 5),
    **dict.fromkeys(["console", "catalogue", "doctor", "interop", "serving", "benchmarks"], 5),
}
# What a lower floor may name of a higher one: data files, and the default context of LangGraph Studio.
ALLOWED = {("graphs", "demo")}
HEAVY = ("langgraph", "torch", "cv2", "faiss", "vllm", "transformers", "onnxruntime", "sentence_transformers")


def modules() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in p.parts] + [
        p for name in ("tools", "graphs", "benchmarks") for p in sorted((ROOT / name).rglob("*.py"))
    ]


def noun(path: Path) -> str:
    base = path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else path.relative_to(ROOT)
    return base.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_floor_or_lower_ones(path: Path) -> None:
    here = noun(path)
    if here == "__init__":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.partition(".")[0] not in ("tools", "graphs", "benchmarks"), f"say agentjudge.{name}"
            parts = name.split(".")
            if parts[0] == "agentjudge" and len(parts) > 1:
                there = parts[1]
                assert FLOORS[there] <= FLOORS[here] or (here, there) in ALLOWED, f"{here} imports {there}"


def test_every_noun_has_a_floor() -> None:
    assert {noun(path) for path in modules()} - {"__init__"} <= set(FLOORS)


def test_no_module_is_too_long() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in modules()}
    assert {name: n for name, n in lengths.items() if n > 600} == {}


def test_the_three_folders_are_linked_relatively() -> None:
    for name in ("tools", "graphs", "benchmarks"):
        link = PACKAGE / name
        assert link.is_symlink() and str(link.readlink()) == f"../{name}"


def loaded_by(code: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light() -> None:
    loaded = loaded_by("import agentjudge")
    assert not loaded & set(HEAVY)


def test_the_contracts_need_pydantic_alone() -> None:
    third_party = {"numpy", "orjson", "httpx", "aiohttp", "click", "rich", *HEAVY}
    code = "import agentjudge.case, agentjudge.verdict, agentjudge.evidence, agentjudge.trace, agentjudge.budget"
    assert not loaded_by(code) & third_party


def test_help_is_quick_and_light() -> None:
    code = "import agentjudge.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & {*HEAVY, "numpy"}
    helped, needed = ["-m", "agentjudge.cli", "--help"], ["-c", "import click, pydantic; pydantic.BaseModel"]
    assert min(cpu_seconds(helped) for _ in range(3)) < 4 * min(cpu_seconds(needed) for _ in range(3))


def cpu_seconds(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
