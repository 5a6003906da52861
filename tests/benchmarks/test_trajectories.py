"""Readers of trajectories: every format, its faults, and the real files."""

import base64
import copy
import gzip
import io
import json
import os
import pickle
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentjudge.actions import parse_action
from agentjudge.benchmarks.trajectories import Format, detect, read_trajectories
from agentjudge.case import Trajectory
from agentjudge.errors import DataError

PICTURE = b"\x89PNG\r\n\x1a\n a picture"
INSIDE = base64.b64encode(PICTURE).decode()

REQUEST = "<user_request>\nFind red shoes.\n</user_request>\n<browser_state>\n[3]<a>Shoes</a>\n</browser_state>"
BRAIN = {"evaluation_previous_goal": "Fine.", "memory": "Nothing yet.", "next_goal": "Click."}
FILES: dict[Format, Any] = {
    "agentjudge": {
        "goal": "Find red shoes.",
        "steps": [
            {"observation": "[1] link Shoes", "screenshot": "a.png", "action": "click [1]", "thought": "Go.",
             "url": "u"},
            {"action": "click [9]", "error": "no such element"},
        ],
        "final_answer": "Found.",
    },
    "agent-reward-bench": {
        "benchmark": "webarena", "agent": "A", "model": "m", "valid": True, "goal": "Find red shoes.", "seed": 0,
        "summary_info": {"cum_reward": 1.0, "n_steps": 2, "terminated": True, "truncated": False, "err_msg": None},
        "steps": [
            {"num": 0, "reasoning": "Go.", "action": "click('1')", "screenshot_path": "shots/a.png", "url": "http://s/",
             "last_action_error": "", "axtree": "[1] link Shoes", "axtree_pruned": "[1]"},
            {"num": 1, "reasoning": None, "action": "send_msg_to_user('Found.')", "screenshot_path": "gone.png",
             "url": "http://s/shoes", "last_action_error": "Timeout", "axtree": "[2] heading Red", "axtree_pruned": ""},
            {"num": 2, "reasoning": None, "action": None, "screenshot_path": None, "url": "http://s/shoes",
             "last_action_error": None, "axtree": None, "axtree_pruned": "[2]"},
        ],
    },
    "webjudge": {
        "id": "r1", "benchmark": "webarena", "agent": "A", "goal": "Find red shoes.\n", "cum_reward": 0.0, "n_steps": 3,
        "human_success": ["Successful", "Successful"], "image_files": ["a.png", "gone.png"],
        "action_history": "1. click('1'). Reasoning: I see:\n1. a link\n3. a button"
        "\n2. fill('2', 'red'). Reasoning: Type."
        "\n3. send_msg_to_user('Found.'). Reasoning: Done.\n4. None. Reasoning: None",
    },
    "online-mind2web-v1": {
        "task_id": "t1", "task": "Find red shoes.", "final_result_response": "Found.", "result_status": "success",
        "action_history": ["<a> Shoes -> CLICK", "<input> Search -> TYPE: red | FAILED"], "thoughts": ["Go.", ""],
    },
    "online-mind2web-v2": {
        "schema_version": "online-mind2web-v2", "task_id": "t2", "task": "Find red shoes.", "reference_length": 3,
        "agent_final_answer": "Found.",
        "action_history": [
            {"step": 0, "screenshot": "0000.png", "url": "http://s/", "action": "<a> Shoes -> CLICK | FAILED",
             "thought": None},
            {"step": 1, "screenshot": "0001.png", "url": "http://s/2", "action": "TASK_COMPLETE -> ANSWER: Found."},
        ],
    },
    "browser-use": {
        "history": [
            {"model_output": {**BRAIN, "thinking": "Hm.",
                              "action": [{"input": {"index": 3, "text": "red"}}, {"click": {"index": 4}}]},
             "result": [{"error": "no such element"}, {"extracted_content": "x"}],
             "state": {"url": "http://s/", "title": "S", "tabs": [], "interacted_element": [None],
                       "screenshot_path": "/x/a.png"},
             "metadata": None, "state_message": REQUEST},
            {"model_output": None, "result": [], "state": {"url": "http://s/", "screenshot_path": None},
             "metadata": None},
            {"model_output": {**BRAIN, "action": [{"done": {"text": "Found.", "success": True}}]},
             "result": [{"is_done": True, "success": True, "extracted_content": "Found."}],
             "state": {"url": "http://s/2", "title": "S", "tabs": [], "interacted_element": []}},
        ]
    },
    "mind2web": {
        "annotation_id": "m1", "website": "s", "domain": "Shopping", "subdomain": "Shoes",
        "confirmed_task": "Find red shoes.",
        "action_reprs": ["[link]  Shoes -> CLICK", "[textbox]  Search -> TYPE: red"],
        "actions": [
            {"action_uid": "a", "raw_html": "<html>", "cleaned_html": "<a>Shoes</a>", "pos_candidates": [],
             "neg_candidates": [], "operation": {"op": "CLICK", "value": "", "original_op": "CLICK"}},
            {"action_uid": "b", "raw_html": "<html>", "cleaned_html": "<input>", "pos_candidates": [],
             "neg_candidates": [], "operation": {"op": "TYPE", "value": "red", "original_op": "TYPE"}},
        ],
    },
    "webarena-json": {
        "example_7": {
            "task_id": 7, "intent": "Find red shoes.", "sites": ["shopping"], "success": 1,
            "messages": [
                {"user": "URL: http://s/\n[1] link Shoes", "image": f"data:image/png;base64,{INSIDE}"},
                {"assistant": "Let's go. In summary, the next action is ```click [1]```"},
                {"user": "URL: http://s/2\n[2] heading", "image": None},
                {"assistant": "Done. ```stop [Found.]```"},
            ],
        }
    },
}  # fmt: skip
OLD_HISTORY = {
    "history": [
        {"model_output": {"current_state": BRAIN, "action": [{"click_element": {"index": 3}}]},
         "result": [{"is_done": False, "extracted_content": "Clicked", "include_in_memory": True}],
         "state": {"url": "http://s/", "title": "S", "tabs": [], "interacted_element": [None], "screenshot": INSIDE},
         "metadata": {"input_tokens": 10, "step_number": 1}},
    ]
}  # fmt: skip
RENDER = """<html><head><style>.x</style></head><body>
<pre>intent: Find red &amp; blue shoes: cheap.
task_id: 7
start_url: http://s/
</pre>
<h2>New Page</h2><h3 class='url'><a href=http://s/>URL: http://s/</a></h3>
<div class='state_obv'><pre>[1] link 'Shoes &lt;3'
[2] button 'Buy'</pre><div>
<img src='data:image/png;base64,INSIDE' style='width:50vw'/>
<div class='prev_action'>None</div>
<div class='predict_action'><div class='raw_parsed_prediction'><pre>Go. ```click [1]```</pre></div>
<div class='action_object'><pre>ACTION_TYPES.CLICK</pre></div>
<div class='parsed_action'><pre>click [1] where it says Shoes</pre></div></div>
<h2>New Page</h2><h3 class='url'>URL: http://s/2</h3><div class='state_obv'><pre>[3] heading</pre></div>
<div class='predict_action'><div class='parsed_action'><pre>stop [Found.]</pre></div></div>
</body></html>""".replace("INSIDE", INSIDE)
NAMES = {"online-mind2web-v1": "result.json", "online-mind2web-v2": "result.json", "webarena-json": "json_dump.json"}
MESSAGES = [
    {"role": "system", "content": "You are a robot."},
    {"role": "user", "content": "Now given a task: Find red shoes.  Please interact with https://s.com/ and get the "
                                "answer. \nObservation: 1. [a] Shoes"},
    {"role": "assistant", "content": "Thought: Go.\n\nAction: Click [1]"},
    {"role": "user", "content": [{"type": "text", "text": "Observation: 2. [b] Buy"},
                                 {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{INSIDE}"}}]},
    {"role": "assistant", "content": "Thought: Done.\nAction: ANSWER; Found."},
]  # fmt: skip
STEPS_INFO = [
    {"step": 0, "obs": {"goal": "Find red shoes.", "axtree_txt": "[1] link Shoes", "open_pages_urls": ["http://s/"],
                        "active_page_index": [0], "last_action_error": ""},
     "action": "click('1')", "agent_info": {"think": "Go."}, "reward": 0},
    {"step": 1, "obs": {"goal": "Find red shoes.", "axtree_txt": "[2] heading", "url": "http://s/2",
                        "last_action_error": "Timeout"}, "action": None, "agent_info": {}, "reward": 1.0},
]  # fmt: skip
TAPE = {"metadata": {"id": "t"}, "steps": [
    {"kind": "browsergym_observation", "metadata": {}, "obs": STEPS_INFO[0]["obs"],
     "screenshot": "screenshot_step_0.png"},
    {"kind": "browsergym_thought", "metadata": {}, "text": "Go."},
    {"kind": "browsergym_action", "metadata": {}, "name": "click", "arguments": ["1"]},
    {"kind": "browsergym_observation", "metadata": {}, "obs": STEPS_INFO[1]["obs"]},
]}  # fmt: skip
HAR = {"log": {"version": "1.2", "entries": [
    {"request": {"method": "GET", "url": "http://s/", "headers": [{"name": "Upgrade-Insecure-Requests", "value": "1"}]},
     "response": {"status": 200}},
    {"request": {"method": "GET", "url": "http://s/a.js", "headers": []}, "response": {"status": 200}},
    {"request": {"method": "POST", "url": "http://s/b", "headers": [{"name": "sec-fetch-mode", "value": "navigate"}],
                 "postData": {"text": "q=red"}}, "response": {"status": 404}},
]}}  # fmt: skip


def put(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def put_run(folder: Path, form: Format) -> Path:
    """A run of ours in a format, with its pictures."""
    for name in ("a.png", "shots/a.png", "trajectory/0000.png", "trajectory/0001.png"):
        put(folder / name, PICTURE)
    return put(folder / NAMES.get(form, "run.jsonl" if form == "agentjudge" else "run.json"), FILES[form])


def the_run(path: Path, **options: Any) -> Trajectory:
    (run,) = read_trajectories(path, **options)
    return run


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        list(read_trajectories(path, **options))
    assert "\n" not in caught.value.message
    return caught.value.message


def kinds(run: Trajectory) -> list[str]:
    return [parse_action(step.action).kind if step.action else "" for step in run.steps]


EXPECTED: dict[Format, tuple[list[str], str | None, list[bool]]] = {
    "agentjudge": (["click", "click"], "Found.", [True, False]),
    "agent-reward-bench": (["click", "", ""], "Found.", [True, False, False]),
    "webjudge": (["click", "type", "", ""], "Found.", [False] * 4),
    "online-mind2web-v1": (["click", "type"], "Found.", [True, True]),
    "online-mind2web-v2": (["click", ""], "Found.", [True, True]),
    "browser-use": (["type", "", ""], "Found.", [True, False, False]),
    "mind2web": (["click", "type"], None, [False, False]),
    "webarena-json": (["click", ""], "Found.", [True, False]),
}


@pytest.mark.parametrize("form", list(FILES))
def test_a_file_of_each_format_is_told_and_read(tmp_path: Path, form: Format) -> None:
    path = put_run(tmp_path, form)
    run = the_run(path)
    actions, answer, pictures = EXPECTED[form]
    assert detect(path) == run.metadata["format"] == form
    assert run.goal == "Find red shoes." and run.final_answer == answer
    assert kinds(run) == actions and [step.screenshot is not None for step in run.steps] == pictures
    for step in run.steps:
        assert step.screenshot is None or Path(step.screenshot).read_bytes() == PICTURE
    assert not run.blind().metadata


def test_what_the_formats_say_besides(tmp_path: Path) -> None:
    def run(form: Format) -> Trajectory:
        return the_run(put_run(tmp_path / form, form))

    bench = run("agent-reward-bench")
    assert [step.error for step in bench.steps] == ["Timeout", None, None]
    assert [step.observation for step in bench.steps] == ["[1] link Shoes", "[2] heading Red", "[2]"]
    assert bench.metadata["reward"] == 1.0 and bench.metadata["screenshots_missing"] == ["gone.png"]
    assert (bench.metadata["answer_step"], bench.metadata["answer_action"]) == (1, "send_msg_to_user('Found.')")
    record = run("webjudge")
    assert (
        record.steps[0].thought == "I see:\n1. a link\n3. a button" and record.gold and record.gold.label == "success"
    )
    assert [Path(image).name for image in record.images] == ["a.png"]
    assert record.metadata["reward"] == 0.0 and record.metadata["screenshots_missing"] == ["gone.png"]
    assert [step.error for step in run("online-mind2web-v1").steps] == [None, "FAILED"]
    newer = run("online-mind2web-v2")
    assert newer.steps[0].url == "http://s/" and newer.steps[0].error == "FAILED"
    history = run("browser-use")
    assert history.steps[0].error == "no such element" and history.metadata["claimed_success"] is True
    assert history.steps[0].thought == "Hm.\nFine.\nNothing yet.\nClick."
    assert history.steps[0].observation == "[3]<a>Shoes</a>" and len(json.loads(history.steps[0].action)) == 2
    assert run("mind2web").steps[1].observation == "<input>"
    arena = run("webarena-json")
    assert arena.steps[0].url == "http://s/" and arena.metadata["reward"] == 1 and "Let's go" in arena.steps[0].thought


def test_an_old_history_of_browser_use(tmp_path: Path) -> None:
    path = put(tmp_path / "old.json", OLD_HISTORY)
    assert "pass goal=" in refused(path)
    run = the_run(path, goal="Find red shoes.", pictures=tmp_path / "pictures")
    shot = Path(run.steps[0].screenshot or "")
    assert shot.read_bytes() == PICTURE and shot.parent == tmp_path / "pictures"
    assert kinds(run) == ["click"] and run.steps[0].thought == "Fine.\nNothing yet.\nClick."


def test_a_rendered_run_of_webarena(tmp_path: Path) -> None:
    path = put(tmp_path / "render_7.html", RENDER.encode())
    run = the_run(path)
    assert detect(path) == "webarena-html" and run.id == "render_7"
    assert run.goal == "Find red & blue shoes: cheap." and run.metadata["task_id"] == "7"
    assert [step.url for step in run.steps] == ["http://s/", "http://s/2"]
    assert run.steps[0].observation == "[1] link 'Shoes <3'\n[2] button 'Buy'"
    assert kinds(run) == ["click", ""] and run.final_answer == "Found."
    assert Path(run.steps[0].screenshot or "").read_bytes() == PICTURE
    raw = RENDER.replace("'Shoes &lt;3'", "'<b class=\"url\">5</b> <script> <img src=x><!-- a -->'")
    tree = the_run(put(path, raw.encode())).steps[0].observation  # it is not escaped by those who draw it
    assert tree == "[1] link '<b class=\"url\">5</b> <script> <img src=x><!-- a -->'\n[2] button 'Buy'"
    assert "no page" in refused(put(tmp_path / "x.html", b"<div class='state_obv predict_action'>"))
    assert "intent" in refused(put(tmp_path / "y.html", RENDER.replace("intent", "other").encode()))


def test_a_folder_of_webvoyager(tmp_path: Path) -> None:
    folder = tmp_path / "taskShoes--0"
    put(folder / "screenshot1.png", PICTURE)
    file = put(folder / "interact_messages.json", MESSAGES)
    run = the_run(folder)
    assert detect(folder) == detect(file) == "webvoyager" and the_run(file) == run
    assert (run.id, run.goal, run.final_answer) == ("taskShoes--0", "Find red shoes.", "Found.")
    assert kinds(run) == ["click", ""] and [step.thought for step in run.steps] == ["Go.", "Done."]
    assert run.steps[0].url == "https://s.com/" and run.steps[1].observation == "Observation: 2. [b] Buy"
    assert all(Path(step.screenshot or "").read_bytes() == PICTURE for step in run.steps)
    put(file, MESSAGES[:1])
    assert "Now given a task" in refused(folder)


def test_a_log_of_webarena_verified(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "107"
    put(folder / "agent_response.json", {"task_type": "RETRIEVE", "status": "SUCCESS", "retrieved_data": [5]})
    put(folder / "network.har", HAR)
    assert "tasks=" in refused(folder)
    put(tmp_path / "assets/dataset/webarena-verified.json", [{"task_id": 107, "intent": "Find red shoes."}])
    run = the_run(folder)
    assert detect(folder) == "webarena-verified" and run.goal == "Find red shoes."
    assert [step.url for step in run.steps] == ["http://s/", "http://s/b"]
    assert [step.error for step in run.steps] == [None, "HTTP status 404"] and "q=red" in run.steps[1].observation
    assert json.loads(run.final_answer or "")["retrieved_data"] == [5]
    put(folder / "eval_result.json", {"task_id": 108, "score": 0.0})
    assert "no task '108'" in refused(folder)
    other = put(tmp_path / "tasks.json", [{"task_id": 108, "intent": "Find blue shoes."}])
    assert the_run(folder, tasks=other).goal == "Find blue shoes."
    assert the_run(folder, tasks=other).metadata["reward"] == 0.0


class StepInfo:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class AgentInfo(dict):  # type: ignore[type-arg]
    pass


@pytest.fixture
def browsergym(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes of BrowserGym by name, for writing pickles of them."""
    module = types.ModuleType("browsergym.experiments.loop")
    for kind in (StepInfo, AgentInfo):
        monkeypatch.setattr(kind, "__module__", module.__name__)
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "browsergym", types.ModuleType("browsergym"))
    monkeypatch.setitem(sys.modules, "browsergym.experiments", types.ModuleType("browsergym.experiments"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def put_pickles(folder: Path) -> Path:
    for number, step in enumerate(STEPS_INFO):
        info = StepInfo(**{**step, "agent_info": AgentInfo(step["agent_info"])})
        put(folder / f"step_{number}.pkl.gz", gzip.compress(pickle.dumps(info)))
        put(folder / f"screenshot_step_{number}.png", PICTURE)
    put(folder / "summary_info.json", {"n_steps": 1, "cum_reward": 1.0, "terminated": True, "truncated": False})
    return folder


@pytest.mark.usefixtures("browsergym")
def test_pickles_of_browsergym_are_read_only_when_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put_pickles(tmp_path / "run")
    assert detect(folder) == detect(folder / "step_0.pkl.gz") == "browsergym"
    assert "step_0.pkl.gz" in refused(folder) and "trust_pickle" in refused(folder)
    for name in [name for name in sys.modules if name.startswith("browsergym")]:
        monkeypatch.delitem(sys.modules, name)
    check_gym(the_run(folder, trust_pickle=True))


@pytest.mark.usefixtures("browsergym")
def test_numbers_of_numpy_are_read_from_pickles(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy", reason="arrays in pickles are written with numpy")
    obs = {"goal": "Find.", "open_pages_urls": ("http://a/", "http://b/"), "active_page_index": numpy.array([1])}
    for number, reward in enumerate((numpy.float64(0.25), numpy.float32(0.5), numpy.int64(1), numpy.bool_(False))):
        info = StepInfo(step=numpy.int32(number), obs=obs, reward=reward, picture=numpy.zeros((9, 9)), none={1, 2})
        put(tmp_path / f"step_{number}.pkl.gz", gzip.compress(pickle.dumps(info)))
    run = the_run(tmp_path, trust_pickle=True)
    assert run.metadata["reward"] == 1.75 and [step.url for step in run.steps] == ["http://b/"] * 4


@pytest.mark.usefixtures("browsergym")
def test_a_class_that_is_not_known_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "step_0.pkl", pickle.dumps(StepInfo(obs={"goal": "Find."}, extra=re.compile("x"))))
    assert refused(path, trust_pickle=True).endswith(f"{path}: it asks for re._compile, which is not on the list of "
                                                     "known classes")  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [("steps_info.json", STEPS_INFO), ("tape.json", TAPE)])
def test_json_of_browsergym_is_read_without_trust(tmp_path: Path, name: str, value: object) -> None:
    for number in (0, 1):
        put(tmp_path / f"screenshot_step_{number}.png", PICTURE)
    put(tmp_path / "summary_info.json", {"n_steps": 1, "cum_reward": 1.0})
    put(tmp_path / "step_0.pkl.gz", b"never opened")
    put(tmp_path / name, value)
    check_gym(the_run(tmp_path))


def check_gym(run: Trajectory) -> None:
    assert run.goal == "Find red shoes." and run.metadata["reward"] == 1.0
    assert kinds(run) == ["click", ""] and run.steps[0].thought == "Go."
    assert [step.url for step in run.steps] == ["http://s/", "http://s/2"]
    assert [step.error for step in run.steps] == ["Timeout", None]
    assert all(step.screenshot for step in run.steps) and run.steps[1].observation == "[2] heading"


class Planted:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


def _payloads(marker: Path) -> dict[str, bytes]:
    write = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    built = io.BytesIO()
    built.write(b"cbuiltins\nexec\n(" + f"V{write}\n".encode() + b"tR.")
    dotted = b"\x80\x04\x8c\x0bbrowsergym.x\x8c\x08os.system\x93\x8c\x04true\x85R."
    return {
        "exec": pickle.dumps(Planted(exec, write)),
        "eval": pickle.dumps(Planted(eval, write)),
        "os.system": pickle.dumps({"obs": Planted(os.system, f"touch {marker}")}),
        "getattr": pickle.dumps(Planted(getattr, "", "join")),
        "import": pickle.dumps(Planted(__import__, "os")),
        "protocol 0": built.getvalue(),
        "dotted": dotted,
    }


@pytest.mark.parametrize("name", ["exec", "eval", "os.system", "getattr", "import", "protocol 0", "dotted"])
def test_a_planted_pickle_never_runs(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "executed"
    payload = _payloads(marker)[name]
    path = put(tmp_path / "run" / "step_0.pkl.gz", gzip.compress(payload))
    for options in ({}, {"trust_pickle": True}):
        assert str(path) in refused(path.parent, **options)
        assert str(path) in refused(path, **options)
    assert not marker.exists()
    if name == "exec":  # the payload is a real one
        pickle.loads(payload)
        assert marker.exists()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
@pytest.mark.usefixtures("browsergym")
def test_a_broken_pickle_is_a_clear_error_or_loads(tmp_path: Path, place: int, byte: int) -> None:
    data = bytearray(pickle.dumps(StepInfo(**STEPS_INFO[0])))
    data[place % len(data)] = byte
    path = put(tmp_path / "step_0.pkl", bytes(data))
    try:
        list(read_trajectories(path, trust_pickle=True))
    except DataError as exc:
        assert str(tmp_path) in exc.message


def test_a_folder_of_many_runs_is_read_in_order(tmp_path: Path) -> None:
    for number, form in enumerate(("online-mind2web-v2", "webjudge", "online-mind2web-v1")):
        put_run(tmp_path / f"run{number}", form)
    put(tmp_path / "config.json", {"model": "x"})
    put(tmp_path / "names.json", ["a", "b"])
    runs = list(read_trajectories(tmp_path))
    assert [run.metadata["format"] for run in runs] == ["online-mind2web-v2", "webjudge", "online-mind2web-v1"]
    assert detect(tmp_path) == "online-mind2web-v2"


def test_no_two_runs_of_a_folder_have_the_same_id(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        put(tmp_path / folder / "history.json", FILES["browser-use"])
    put(tmp_path / "c.jsonl", b"\n".join([json.dumps(FILES["webjudge"]).encode()] * 3))
    ids = [run.id for run in read_trajectories(tmp_path)]
    assert ids == ["history", "b/history", "r1", f"{tmp_path.name}/r1", f"{tmp_path.name}/r1#2"]


def test_bad_paths_and_fields_are_named(tmp_path: Path) -> None:
    assert "no such file or folder" in refused(tmp_path / "nothing")
    assert "known format" in refused(tmp_path)
    path = put(tmp_path / "x.json", {"model": "x"})
    assert "fields model" in refused(path)
    with pytest.raises(DataError, match="known format.*agent-reward-bench"):
        detect(path)
    assert "not JSON" in refused(put(path, b"{"))
    assert "x.json" in refused(put(path, FILES["mind2web"] | {"confirmed_task": " "}))
    broken = copy.deepcopy(FILES["agent-reward-bench"])
    broken["steps"][1]["url"] = 5
    assert refused(put(path, broken)).endswith("x.json: steps.1: url: expected text, found a number")
    lines = json.dumps(FILES["agentjudge"] | {"steps": []}) + "\n" + json.dumps({"goal": "g", "steps": [{"act": "x"}]})
    message = refused(put(tmp_path / "x.jsonl", lines.encode()))
    assert "x.jsonl:2" in message and "steps.0.act" in message
    message = refused(put(tmp_path / "x.jsonl", {"goal": "g", "steps": [{"screenshot": "../secret.png"}]}))
    assert "steps.0.screenshot" in message


def test_a_round_trip_through_our_own_lines(tmp_path: Path) -> None:
    run = the_run(put_run(tmp_path, "agent-reward-bench"))
    again = the_run(put(tmp_path / "own.jsonl", run.model_dump_json().encode()))
    assert again == run


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just([None]),
    st.just([{}]),
    st.just({"a": 1}), st.just("x" * 5000), st.just(1e308),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, item in inner for found in places(item, (*path, key))]


BASES: list[tuple[Format, str, Any]] = [(form, NAMES.get(form, "run.json"), value) for form, value in FILES.items()]
BASES += [
    ("browser-use", "old.json", OLD_HISTORY | {"task": "Find red shoes."}),
    ("webvoyager", "interact_messages.json", MESSAGES),
    ("browsergym", "steps_info.json", STEPS_INFO),
    ("browsergym", "tape.json", TAPE),
    ("webarena-verified", "network.har", HAR),
]
SPOTS = [(n, place) for n, (_, _, value) in enumerate(BASES) for place in places(value)]


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    for form, name, value in BASES:
        put(root / form / name / name, value)
        put(root / form / name / "a.png", PICTURE)
    put(root / "browsergym/steps_info.json/summary_info.json", {"cum_reward": 1})
    put(root / "browsergym/tape.json/summary_info.json", {"cum_reward": 1})
    put(root / "webarena-verified/network.har/agent_response.json", {"status": "SUCCESS"})
    return root


@settings(max_examples=1800, deadline=None)
@given(spot=st.sampled_from(SPOTS), junk=JUNK, how=st.sampled_from(["replace", "drop", "double"]))
def test_a_mutated_file_loads_or_names_file_and_field(fuzzed: Path, spot: Any, junk: Any, how: str) -> None:
    form, name, value = BASES[spot[0]]
    value, (*parents, last) = copy.deepcopy(value), spot[1]
    holder = value
    for key in parents:
        holder = holder[key]
    if how == "replace":
        holder[last] = junk
    elif how == "drop":
        del holder[last]
    elif isinstance(holder, list):
        holder.append(holder[last])
    path = put(fuzzed / form / name / name, value)
    check_fuzzed(path)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(0, len(BASES) - 1), place=st.integers(0, 10_000), raw=st.binary(max_size=3))
def test_a_torn_file_loads_or_is_named(fuzzed: Path, n: int, place: int, raw: bytes) -> None:
    form, name, value = BASES[n]
    data = json.dumps(value).encode()
    at = place % len(data)
    check_fuzzed(put(fuzzed / form / name / name, data[:at] + raw + data[at + (place % 3) :]))


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(RENDER)), cut=st.integers(0, 40), raw=st.binary(max_size=5))
def test_a_torn_page_loads_or_is_named(tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, raw: bytes) -> None:
    data = RENDER.encode()
    check_fuzzed(put(tmp_path_factory.getbasetemp() / "torn.html", data[:at] + raw + data[at + cut :]))


def check_fuzzed(path: Path) -> None:
    try:
        for run in read_trajectories(path, goal="Find shoes." if "verified" in str(path) else None):
            assert run.goal.strip() and all(Path(s.screenshot).is_file() for s in run.steps if s.screenshot)
    except DataError as exc:
        assert str(path.parent) in exc.message, exc.message
        assert re.search(r": \S", exc.message.removeprefix(str(path.parent))), exc.message


# ------------------------------------------------------------------------------------------------ real files


@pytest.fixture(scope="session")
def web() -> Path:
    """The folder of real runs of web agents."""
    root = os.environ.get("AGENTJUDGE_DATA")
    if not root or not Path(root, "web").is_dir():
        pytest.skip("real runs are needed: set AGENTJUDGE_DATA to the folder that holds web/")
    return Path(root, "web")


def test_the_dev_runs_of_agent_reward_bench(web: Path) -> None:
    path = web / "agentrewardbench_webjudge" / "cases.jsonl.gz"
    source = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    runs = list(read_trajectories(path))
    assert detect(path) == "webjudge" and len(runs) == len(source) == 667
    assert [run.id for run in runs] == [row["id"] for row in source]
    named = unread = 0
    for run, row in zip(runs, source, strict=True):
        assert run.goal == row["goal"].strip() and run.metadata["reward"] == row["cum_reward"]
        crashed = "uncaught" in (row["err_msg"] or "")  # such a run has no page after its last action
        assert len(run.steps) == row["n_steps"] + (not crashed)
        written = len(re.findall(r"(?:^|\n)\d+\. (?!None\.)[a-z_]+\(", row["action_history"]))
        taken = sum(bool(step.action) for step in run.steps) + ("answer_action" in run.metadata)
        assert taken <= written and taken == row["n_steps"]
        unread += sum(parse_action(step.action).kind == "other" for step in run.steps)
        files = row["image_files"] or []
        assert len(run.images) + len(run.metadata.get("screenshots_missing", [])) == len(files)
        assert all(Path(image).name == Path(name).name for image, name in zip(run.images, files, strict=False))
        named += len(run.images)
        agreed = set(row["human_success"])
        wanted = (
            {"Successful": "success", "Unsuccessful": "failure"}.get(next(iter(agreed))) if len(agreed) == 1 else None
        )
        assert (run.gold.label if run.gold else None) == wanted
    assert named == len(list((web / "agentrewardbench_webjudge" / "img").glob("*.png"))) and unread <= 1


def test_the_dev_runs_of_webvoyager(web: Path) -> None:
    path = web / "webvoyager_examples" / "cases.jsonl"
    source = [json.loads(line) for line in path.read_text().splitlines()]
    runs = list(read_trajectories(path))
    assert detect(path) == "webvoyager" and len(runs) == 12
    for run, row in zip(runs, source, strict=True):
        assert run.goal == row["task"].strip()
        assert [step.screenshot for step in run.steps] == [str(path.parent / name) for name in row["screenshots"]]
        assert len(run.steps) == (row["n_messages"] - 1) / 2 and all(
            Path(s.screenshot or "").is_file() for s in run.steps
        )
        assert run.final_answer and run.final_answer in row["final_assistant_message"]


def test_the_logs_of_webarena_verified(web: Path) -> None:
    folder = web / "webarena_verified" / "examples" / "agent_logs"
    runs = list(read_trajectories(folder))
    tasks = json.loads((web / "webarena_verified/assets/dataset/webarena-verified.json").read_text())
    goals = {str(task["task_id"]): task["intent"] for task in tasks}
    assert detect(folder) == "webarena-verified" and [run.id for run in runs] == ["107", "108"]
    for run in runs:
        place = folder / "demo" / run.id
        assert run.goal == goals[run.id].strip()
        assert json.loads(run.final_answer or "") == json.loads((place / "agent_response.json").read_text())
        assert run.metadata["reward"] == json.loads((place / "eval_result.json").read_text())["score"]
        entries = json.loads((place / "network.har").read_text())["log"]["entries"]
        visits = [e["request"]["url"] for e in entries if any(
            h["name"].lower() == "upgrade-insecure-requests" for h in e["request"]["headers"])]  # fmt: skip
        assert [step.url for step in run.steps] == visits and visits


def test_real_runs_of_online_mind2web(web: Path, tmp_path: Path) -> None:
    path = web / "records" / "online_mind2web_abp_results.jsonl.gz"
    source = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    single = web / "records" / "online_mind2web_example_v1_result.json"
    rows = [*source, json.loads(single.read_text())]
    runs = [*read_trajectories(path), *read_trajectories(single)]
    assert detect(path) == detect(single) == "online-mind2web-v1" and len(runs) == 302
    for run, row in zip(runs, rows, strict=True):
        assert (run.metadata["task_id"], run.goal) == (row["task_id"], row["task"].strip())
        assert [step.action for step in run.steps] == row["action_history"]
        assert [step.thought for step in run.steps] == row["thoughts"]
        assert run.final_answer == row["final_result_response"]
        assert all(parse_action(step.action).kind != "other" for step in run.steps)
    assert len({run.id for run in runs[:-1]}) == len(source) > len({row["task_id"] for row in source})  # one came twice
    newer = [as_v2(row) for row in rows]  # the same runs in the newer layout
    for number, row in enumerate(newer):
        put(tmp_path / f"{number:03}" / "result.json", row)
        for n in range(len(row["action_history"]) if number < 20 else 0):
            put(tmp_path / f"{number:03}" / "trajectory" / f"{n:04}.png", PICTURE)
    again = list(read_trajectories(tmp_path))
    assert detect(tmp_path) == "online-mind2web-v2" and len(again) == len(runs)
    for number, (old, new) in enumerate(zip(runs, again, strict=True)):
        assert [step.action for step in new.steps] == [*(step.action for step in old.steps), ""]
        assert (new.goal, new.final_answer) == (old.goal, old.final_answer)
        assert sum(bool(step.screenshot) for step in new.steps) == (len(new.steps) if number < 20 else 0)


def as_v2(row: dict[str, Any]) -> dict[str, Any]:
    said = [*row["action_history"], f"TASK_COMPLETE -> ANSWER: {row['final_result_response']}"]
    steps = [{"step": n, "screenshot": f"{n:04}.png", "url": "http://s/", "action": a} for n, a in enumerate(said)]
    kept = {"task": row["task"], "task_id": row["task_id"], "agent_final_answer": row["final_result_response"]}
    return {"schema_version": "online-mind2web-v2", "action_history": steps, **kept}


def test_a_real_record_of_webjudge(web: Path) -> None:
    path = web / "records" / "webjudge_full_record_example.json"
    run, row = the_run(path), json.loads(path.read_text())
    summary = row["trajectory_info"]["summary_info"]
    assert detect(path) == "webjudge" and run.goal == row["goal"].strip()
    assert len(run.steps) == summary["n_steps"] + 1 == len(row["image_judge_record"])
    assert run.metadata["reward"] == summary["cum_reward"] and "CAPTCHA" in (run.final_answer or "")
