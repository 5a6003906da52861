"""The command line: results alone on standard output, one helpful line for what is wrong, and the exit codes."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from servers import ChatServer

from agentjudge.cli import main
from agentjudge.demo import CLAIMS, CORPUS
from agentjudge.verdict import Verdict

TEXTS = {
    "bridge": "The Lagan Bridge opened in 1932. It is painted grey.\nTrams crossed it until 1954.",
    "alps": "Mont Blanc is 4806 metres high. It lies on the border of France and Italy.",
}
CLAIM = "The Lagan Bridge opened in 1932."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a small corpus in `texts`."""
    (tmp_path / "texts").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "texts" / f"{name}.txt").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def down() -> Iterator[str]:
    """The address of a model whose server refuses connections: the port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"vllm:gone@http://127.0.0.1:{taken.getsockname()[1]}"


def invoke(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def said(*args: Any, code: int = 0) -> Any:
    """The JSON that a command prints, and nothing else on either stream."""
    done = invoke(*args, "--json")
    assert (done.exit_code, done.stderr) == (code, ""), done.output
    return json.loads(done.stdout)


def refused(*args: Any) -> str:
    """The one line with which a command refuses its input."""
    done = invoke(*args)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("error: ").strip()


def write_rows(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


# verify


def test_verify_gives_the_verdict_alone_with_literal_quotes(folder: Path) -> None:
    found = said("verify", CLAIM, "--corpus", "texts", "--seed", 7)
    verdict = Verdict.model_validate(found)
    assert (verdict.status, verdict.label) == ("scored", "SUPPORT")
    (ref,) = verdict.evidence
    assert (ref.kind, ref.doc, ref.quote) == ("text", "bridge", CLAIM)
    assert TEXTS["bridge"][ref.start : ref.end] == ref.quote
    assert verdict.confidence is not None and 0.5 < verdict.confidence.value < 1
    assert verdict.usage.tool_calls >= 1 and verdict.usage.turns >= 2
    made = verdict.provenance
    assert (made.judge, made.model, made.seed) == ("veri-r1", "embedded", 7) and len(made.prompt_hash) == 64


def test_verify_holds_against_the_corpus_not_against_what_the_model_knows(folder: Path) -> None:
    found = said("verify", "The Lagan Bridge opened in 1999.", "--corpus", "texts")
    assert found["label"] == "REFUTE" and found["evidence"][0]["doc"] == "bridge"
    assert said("verify", "Ducks sleep at night.", "--corpus", "texts")["label"] == "NOT ENOUGH INFO"


def test_verify_reads_files_documents_and_several_corpora(folder: Path) -> None:
    for options in (["--corpus", "texts/bridge.txt"], ["--corpus", "texts/alps.txt", "--corpus", "texts/bridge.txt"]):
        assert said("verify", CLAIM, *options)["evidence"][0]["doc"] == "bridge"
    whole = said("verify", CLAIM, "--doc", "texts/bridge.txt")
    assert whole["label"] == "SUPPORT" and whole["usage"]["tool_calls"] == 0
    assert said("verify", CLAIM, "--corpus", "texts/alps.txt")["label"] == "NOT ENOUGH INFO"


def test_verify_streams_the_steps_beside_the_result(folder: Path) -> None:
    done = invoke("verify", CLAIM, "--corpus", "texts")
    assert done.exit_code == 0
    assert "retrieve" in done.stderr and "sentences" in done.stderr and "SUPPORT" not in done.stderr
    assert done.stdout.startswith("SUPPORT (") and f"“{CLAIM}” bridge 0-32" in done.stdout


def test_verify_asks_a_server(folder: Path, serve: Callable[..., ChatServer]) -> None:
    server = serve()
    found = said("verify", CLAIM, "--corpus", "texts", "--model", f"vllm:any@{server.url}")
    assert (found["status"], found["label"]) == ("scored", "NOT ENOUGH INFO")
    assert found["usage"]["tool_calls"] == 3 and found["usage"]["completion_tokens"] > 0
    assert any(CLAIM in str(message["content"]) for message in server.bodies[0]["messages"])


@pytest.mark.parametrize("as_json", [True, False])
def test_a_model_that_is_down_is_a_failed_verdict(folder: Path, down: str, as_json: bool) -> None:
    if as_json:
        verdict = Verdict.model_validate(said("verify", CLAIM, "--corpus", "texts", "--model", down, code=3))
        assert verdict.status == "failed" and verdict.label is None and verdict.score is None
        assert verdict.failure is not None and verdict.failure.kind == "model" and verdict.failure.retriable
        assert "cannot be reached" in verdict.failure.message
    else:
        done = invoke("verify", CLAIM, "--corpus", "texts", "--model", down)
        assert done.exit_code == 3 and done.stdout.startswith("failed") and "cannot be reached" in done.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((" \n", "--corpus", "texts"), "the claim is empty"),
        ((CLAIM,), "nothing to hold the claim against: give --corpus, --doc, --image, --search or --mcp"),
        ((CLAIM, "--corpus", "nowhere"), "no such file or folder: nowhere"),
        ((CLAIM, "--corpus", "empty"), "nothing to read in empty; a corpus needs text in .txt .md"),
        ((CLAIM, "--corpus", "blank.txt"), "blank.txt"),
        ((CLAIM, "--corpus", "noise.txt"), "noise.txt: not UTF-8 text"),
        ((CLAIM, "--corpus", "noise.pdf"), "noise.pdf: not a readable PDF"),
        ((CLAIM, "--corpus", "noise.png"), "cannot read noise.png: its suffix is none of .txt .md"),
        ((CLAIM, "--corpus", "row.jsonl"), "row.jsonl:2: a row needs 'text'"),
        ((CLAIM, "--corpus", "cut.jsonl"), "cut.jsonl:1: not JSON"),
        ((CLAIM, "--corpus", "texts", "--judge", "veri-r2"), "unknown judge 'veri-r2'; there is 'veri-r1'"),
        ((CLAIM, "--corpus", "texts", "--model", "gpt9"), "unknown model 'gpt9'; there is 'embedded', 'hf', 'openai'"),
        ((CLAIM, "--corpus", "texts", "--model", ""), "the model's name is empty; try --model embedded"),
        ((CLAIM, "--corpus", "texts", "--model", "scripted:nowhere"), "cannot read the script nowhere"),
        ((CLAIM, "--doc", "nowhere.txt"), "no such file: nowhere.txt"),
        ((CLAIM, "--image", "nowhere.png"), "no such file: nowhere.png"),
        ((CLAIM, "--search", "bing@http://127.0.0.1"), "unknown search engine 'bing'; there is searxng@URL"),
    ],
)
def test_verify_refuses_bad_input_in_one_helpful_line(folder: Path, args: tuple[str, ...], says: str) -> None:
    (folder / "empty").mkdir()
    (folder / "blank.txt").write_text(" \n ")
    for name in ("noise.txt", "noise.pdf", "noise.png"):
        (folder / name).write_bytes(b"\xff\xfe\x00\xd8" * 99)
    write_rows(folder / "row.jsonl", {"id": "a", "text": "Tea is hot."}, {"id": "b"})
    write_rows(folder / "cut.jsonl", '{"id": "a"')
    assert says in refused("verify", *args)


@pytest.mark.parametrize(("option", "name"), [("--image", "noise.png"), ("--doc", "noise.pdf")])
def test_a_file_that_cannot_be_read_is_a_failed_verdict_that_names_it(folder: Path, option: str, name: str) -> None:
    (folder / name).write_bytes(b"\xff\xfe\x00\xd8" * 99)
    verdict = Verdict.model_validate(said("verify", CLAIM, option, name, code=3))
    assert verdict.failure is not None and verdict.failure.kind == "data" and name in verdict.failure.message


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    """A shell may hand over any bytes."""
    command = [sys.executable, "-m", "agentjudge.cli", "verify", b"caf\xe9", "--corpus", "texts", "--json"]
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: the command line: claim: ") and done.stderr.count(b"\n") == 1


def test_the_command_as_a_process(folder: Path) -> None:
    """What a library may print at its import or its end would be seen only here."""
    command = [sys.executable, "-m", "agentjudge.cli", "verify", CLAIM, "--corpus", "texts", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "default"})
    assert done.returncode == 0 and json.loads(done.stdout)["label"] == "SUPPORT"
    assert done.stdout.startswith("{") and done.stdout.endswith("}\n")
    assert done.stderr == ""


# demo


def test_the_demo_shows_what_the_judge_can_do() -> None:
    found = said("demo")
    assert found["cases"] == found["scored"] == len(found["verdicts"]) == 12
    assert found["right"] >= 10 and found["two_searches"] >= 2
    texts = {row["id"]: row["text"] for row in map(json.loads, CORPUS.read_text().splitlines())}
    refs = [ref for verdict in found["verdicts"] for ref in verdict["evidence"]]
    assert sum(bool(verdict["evidence"]) for verdict in found["verdicts"]) >= 6
    assert all(texts[ref["doc"]][ref["start"] : ref["end"]] == ref["quote"] for ref in refs)


def test_the_demo_on_a_terminal_says_the_same() -> None:
    done = invoke("demo")
    assert done.exit_code == 0
    assert f"{said('demo')['right']} of 12 labels right" in done.stdout
    assert done.stdout.count("“") >= 6 and done.stderr.count("→ retrieve") >= 12


def test_a_demo_without_its_model_is_failed_throughout(down: str) -> None:
    found = said("demo", "--model", down, code=3)
    assert (found["failed"], found["scored"], found["right"]) == (12, 0, 0)


# judge


def test_judge_writes_a_run_and_sums_it_up(folder: Path) -> None:
    found = said("judge", CLAIMS, "--corpus", CORPUS, "--out", "run", "--concurrency", 4)
    assert found["run"] == "run" and found["cases"] == found["scored"] == 12 == sum(found["labels"].values())
    assert found == said("judge", CLAIMS, "--corpus", CORPUS, "--out", "run", "--resume")
    assert "holds a run already; go on with it by --resume" in refused("judge", CLAIMS, "--out", "run")


def test_judge_takes_up_what_failed(folder: Path) -> None:
    """The server is away for one case; after its return only that case is judged again."""
    cases = write_rows(folder / "cases.jsonl", *({"claim": f"Tea {i} is hot."} for i in range(4)))
    answer = json.dumps({"reason": "So.", "evidence": [], "label": "NOT ENOUGH INFO", "confidence": 0.5})
    script = write_rows(folder / "script.jsonl", {"case": "", "turns": [answer]}, {"case": "3", "turns": []})
    command = ("judge", cases, "--model", f"scripted:{script}", "--out", "run")
    found = said(*command, code=3)
    assert (found["cases"], found["scored"], found["failed"]) == (4, 3, 1)
    write_rows(script, {"case": "3", "turns": [answer]})  # and nothing for the cases that have their verdicts
    found = said(*command, "--resume")
    assert (found["cases"], found["scored"], found["failed"]) == (4, 4, 0)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", "cases.jsonl:3: not JSON"),
        ("7", "cases.jsonl:3: expected a JSON object, found int"),
        ({"claim": " "}, "cases.jsonl:3: claim: "),
        ({"text": "x"}, "cases.jsonl:3: no kind, and none of the fields claim, response"),
        ({"claim": "x", "labels": ["SUPPORT", "MAYBE"]}, "cases.jsonl:3: labels.1: "),
        ({"claim": "x", "colour": "red"}, "cases.jsonl:3: colour: "),
        ({"id": "1", "claim": "y"}, "two cases have the id '1'"),
    ],
)
def test_a_bad_row_is_named_before_anything_is_judged(folder: Path, row: dict[str, Any] | str, says: str) -> None:
    cases = write_rows(folder / "cases.jsonl", {"claim": CLAIM}, "", row)
    assert says in refused("judge", cases, "--corpus", "texts", "--out", "run")
    assert not list(folder.glob("run/*.jsonl"))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nowhere.jsonl",), "no such file: nowhere.jsonl"),
        (("texts",), "no such file: texts"),
        (("none.jsonl",), "there are no cases to judge"),
        (("one.jsonl", "--corpus", "nowhere"), "no such file or folder: nowhere"),
        (("one.jsonl", "--judge", "veri"), "unknown judge 'veri'; there is 'veri-r1'"),
        (("one.jsonl", "--model", "none:x"), "unknown model 'none'"),
        (("one.jsonl", "--out", "one.jsonl/run"), "one.jsonl/run"),
    ],
)
def test_judge_refuses_bad_input_in_one_helpful_line(folder: Path, args: tuple[str, ...], says: str) -> None:
    write_rows(folder / "none.jsonl")
    write_rows(folder / "one.jsonl", {"claim": CLAIM})
    assert says in refused("judge", *args[:1], "--out", "run", *args[1:])


def test_a_case_that_the_judge_does_not_take_fails_alone(folder: Path) -> None:
    both = {"id": "b", "prompt": "Tea?", "responses": ["Yes.", "No."]}
    cases = write_rows(folder / "cases.jsonl", {"id": "a", "claim": CLAIM}, both)
    found = said("judge", cases, "--corpus", "texts", "--out", "run", code=3)
    assert (found["scored"], found["failed"], found["labels"]) == (1, 1, {"SUPPORT": 1})


# bench


def claim_set(folder: Path) -> Path:
    """A data folder with eight rows of our own, four a file, in FoolMeTwice's format."""
    (folder / "claims" / "fool_me_twice").mkdir(parents=True)
    rows = []
    for number in range(4):
        gold = {"section_header": "Life", "text": f"Person {number} was a painter."}
        label = "SUPPORTS" if number % 2 else "REFUTES"
        rows.append({"id": f"f{number}", "text": f"Person {number} painted.", "label": label})
        rows[-1] |= {"wikipedia_page": f"Page {number}", "gold_evidence": [gold], "retrieved_evidence": [gold]}
    for name in ("dev.jsonl", "test.jsonl"):
        write_rows(folder / "claims" / "fool_me_twice" / name, *rows)
    return folder


def test_bench_tells_a_finished_table_from_one_with_failures(folder: Path, down: str) -> None:
    command = ("bench", "claims", "--data", claim_set(folder), "--sets", "fool_me_twice", "--split", "all")
    (good,) = said(*command)["sets"]
    assert (good["n"], good["scored"], good["failed"]) == (8, 8, 0)
    (bad,) = said(*command, "--model", down, code=3)["sets"]
    assert (bad["n"], bad["scored"], bad["failed"]) == (8, 0, 8)
    assert bad["metrics"]["label_accuracy"]["over_scored"] is None  # nothing scored is no accuracy of 0 percent
    table = invoke(*command, "--model", down)
    assert table.exit_code == 3 and "fool_me_twice" in table.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("clams", "--data", "."), "unknown benchmark 'clams'; there is 'claims'"),
        (("claims", "--data", "nowhere"), "no such folder: nowhere; --data or AGENTJUDGE_DATA names the folder"),
        (("claims",), "no benchmark data: pass --data PATH or set AGENTJUDGE_DATA"),
        (("claims", "--data", ".", "--sets", "fool"), "unknown claim set 'fool'"),
        (("claims", "--data", ".", "--resume"), "--resume goes on with the runs in a folder: name it by --out"),
        (("judgebench", "--data", ".", "--oracle-evidence"), "takes no --oracle-evidence"),
    ],
)
def test_bench_refuses_bad_input_in_one_helpful_line(
    folder: Path, args: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTJUDGE_DATA", raising=False)
    claim_set(folder)
    assert says in refused("bench", *args)


# list, doctor


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("judges", {"veri-r1", "compare"}),
        ("tools", {"retrieve", "search", "fetch"}),
        ("models", {"embedded", "vllm", "openai", "hf", "scripted"}),
        ("benchmarks", {"claims"}),
        ("training", {"grpo", "gigpo", "claim-gym", "b-star"}),
    ],
)
def test_list_says_what_there_is(what: str, names: set[str]) -> None:
    found = said("list", what)
    assert names <= {row["name"] for row in found} and all(row["summary"] for row in found)
    table = invoke("list", what)
    assert table.exit_code == 0 and all(row["name"] in table.stdout for row in found)


def test_list_of_the_papers() -> None:
    found = said("list", "papers")
    assert {"title", "arxiv", "kind", "home", "working"} == set(found[0])
    (ours,) = [row for row in found if row["arxiv"] == "2510.01932"]
    assert ours["working"] is True and ours["home"] in invoke("list", "papers").stdout


def test_a_list_may_be_empty() -> None:
    assert isinstance(said("list", "rewards"), list) and invoke("list", "rewards").exit_code == 0


def test_doctor_finds_this_machine_fit() -> None:
    found = said("doctor")
    assert {"name": "embedded model", "state": "ok"}.items() <= found[-1].items()
    assert all(row["state"] != "problem" for row in found)
    assert "embedded model" in invoke("doctor").stdout


def test_doctor_exits_with_3_for_a_problem(down: str) -> None:
    found = said("doctor", "--model", down, code=3)
    assert (found[-1]["name"], found[-1]["state"]) == ("model server", "problem")
    assert "PROBLEM" in invoke("doctor", "--model", down).stdout


# the whole


COMMANDS = sorted(main.commands)


def test_the_commands_of_the_house() -> None:
    assert {"verify", "judge", "demo", "bench", "list", "doctor", "serve", "report", "rescore"} <= set(COMMANDS)
    done = invoke("--help")
    assert done.exit_code == 0 and all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_explains_itself(name: str) -> None:
    done = invoke(name, "--help")
    assert done.exit_code == 0 and done.stdout.startswith("Usage: ")
    command = main.commands[name]
    assert (command.help or "").strip().endswith("."), "a sentence says what the command does"
    silent = [p.opts[-1] for p in command.params if isinstance(p, click.Option) and not (p.help or "").strip()]
    assert silent == []


@pytest.mark.parametrize("args", [["nope"], ["verify"], ["verify", "x", "--index", "foo"], ["list"], ["judge", "x"]])
def test_bad_usage_names_the_help(args: list[str]) -> None:
    done = invoke(*args)
    assert (done.exit_code, done.stdout) == (2, "") and "--help" in done.stderr and "Error: " in done.stderr


def test_a_reader_that_hangs_up_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "agentjudge.cli", "list", "papers", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
