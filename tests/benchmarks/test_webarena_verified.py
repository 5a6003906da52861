"""WebArena-Verified: answers checked as its evaluator checks them, and runs with its score as gold."""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_judges import ByLastThought

from agentjudge.benchmarks import verified_quantities as quantities
from agentjudge.benchmarks.harness import Options
from agentjudge.benchmarks.verified_response import Task, check, parsed, read_tasks
from agentjudge.benchmarks.verified_values import Value, matches, normalised, plain, same, similarity
from agentjudge.benchmarks.webarena_verified import logs
from agentjudge.errors import DataError
from agentjudge.registry import lookup

TASKS = "assets/dataset/webarena-verified.json"
E2E = "tests/assets/e2e_test_retrieved_data.json"


def task(data=None, items=None, *, kind="retrieve", status="SUCCESS", others=(), **more):
    expected = {"task_type": kind, "status": status, "retrieved_data": data}
    schema = {"type": "array", "items": items or {"type": "string"}}
    mine = {"evaluator": "AgentResponseEvaluator", "expected": expected, "results_schema": schema, **more}
    every = [mine, *({"evaluator": name, "expected": {}} for name in others)]
    return {"task_id": 7, "intent": "Find it.", "sites": ["shopping"], "eval": every}


def answer(data=None, *, kind="RETRIEVE", status="SUCCESS", **more):
    return {"task_type": kind, "status": status, "retrieved_data": data, "error_details": None, **more}


def right(data, expected, items=None, **more):
    return check(answer(data), Task(**task(expected, items, **more))).right


@pytest.mark.parametrize(
    ("kind", "expected", "good", "bad"),
    [
        ({"type": "string"}, "Café Crème™", ["cafe creme", ' "CAFÉ  CRÈME." ', "Café\u00a0Crème"], ["cafe", "", 5]),
        ({"type": "string"}, "T. Gannon-Lee", ["T. Gannon Lee", "t.\u2013gannon\u2014lee"], ["T Gannon Lee"]),
        ({"type": "string"}, "123-4567", ["123-4567"], ["123 4567"]),
        ({"type": "string"}, "^#?0*17$", ["17", "#017"], ["117", "17 0"]),
        ({"type": "string"}, "Ben", ["ben"], ["^.*$", "^Ben$"]),  # an answer is no pattern
        ({"type": "number"}, 23, [23.0, "23", "23.0", "twenty-three", "2 3"], ["24", "x", "", "nan", None]),
        ({"type": "number"}, 0, [0, "zero", "0.0", False], [None, "none"]),
        ({"type": "boolean"}, True, ["Yes", 1, "on"], ["no", "maybe", 0]),
        ({"type": "number", "format": "currency"}, 1350.42, ["$1,350.42", "€1.350,42", "1350.5", 1350.33],
         ["1350.53", "1,350", "free"]),
        ({"type": "number", "format": "currency"}, -5, ["-$5", "-5.05"], ["5", "$-5"]),
        ({"format": "date"}, "March 2, 2022", ["2022-03-02", "3/2/22", "2nd of Mar. 2022", "Wed, 2 Mar 2022 10:30"],
         ["2022-02-03", "March 2022", "yesterday"]),
        ({"format": "date"}, "01/16/2023", ["16/01/2023", "16-Jan-2023"], ["01/17/2023"]),
        ({"format": "month"}, "January", ["Jan", 1, "01", "jan."], ["February", 13, "Janu", "month of January"]),
        ({"format": "duration"}, "5h 47min", ["5:47:00", "5 hours, 50 minutes", "5:47 hours"], ["6h30m", "347"]),
        ({"format": "duration"}, "7min", ["10m", "4 min", "7:00"], ["11m", "7"]),
        ({"format": "distance"}, "748m", ["0.7480km", "758 m", "0.464786mi", "748 meters"], ["766.2m", "748"]),
        ({"format": "distance"}, "914km", ["914k", "923140 m", "914 Kilometers"], ["935023.0m"]),
        ({"format": "coordinates"}, {"latitude": "40.44", "longitude": "-79.93"},
         [{"lat": 40.44, "lng": -79.93}, "40.44, -79.93", {"latitude": 40.440005, "longitude": 280.07}],
         [[-79.93, 40.44], {"lat": 40.4402, "lon": -79.93}, "40.44"]),
        ({"format": "location-name"}, "Carnegie Mellon University",
         ["University Carnegie Mellon", "Carnegie Mellon Univ"], ["Carnegie", ""]),
        ({"format": "url"}, "git@__SSH_HOST__:Me/Repo.git", ["ssh://git@host:2222/me/repo.git", "git@h:me/repo.git/"],
         ["https://host/me/repo.git", "git@h:me/repo", "git@h:you/repo.git"]),
        ({"format": "url"}, "http://shop.com:80/a?x=1&y=2", ["http://SHOP.com/a/?y=2&x=1"], ["http://shop.com/a"]),
    ],
)  # fmt: skip
def test_kinds_of_values(kind, expected, good, bad):
    for said in good:
        assert right([said], [expected], kind), said
    for said in bad:
        assert not right([said], [expected], kind), said
    assert right([good[0]], [["something else" if kind == {"type": "string"} else expected, expected]], kind)


def test_arrays_have_any_order_unless_the_task_says_otherwise():
    assert right(["b", "a"], ["a", "b"]) and not right(["b", "a"], ["a", "b"], ordered=True)
    assert right(["a", "b"], ["a", "b"], ordered=True)
    assert not right(["a"], ["a", "b"]) and not right(["a", "a"], ["a", "b"]) and not right(["a", "b", "c"], ["a", "b"])
    assert right("a", ["a"]) and right([["a", "x"]], ["a"])  # an agent may hedge, as officially
    assert not right([["a"]], ["a"])


def test_objects_are_compared_field_by_field():
    fields = {"name": {"type": "string"}, "price": {"format": "currency"}, "tags": {"type": "array"}}
    items = {"type": "object", "properties": fields}
    want = {"name": ["Ann", "Anna"], "price": 3, "tags": ["x", "y"]}
    said = {"name": "anna", "price": "$3.05", "tags": ["Y", "x"]}
    assert right([said], [want], items) and right([json.dumps(said)], [want], items)
    for change in ({"name": "Bo"}, {"price": 4}, {"tags": ["x"]}, {"tags": "x"}, {"more": 1}, {"name": None}):
        assert not right([{**said, **change}], [want], items), change
    assert not right([{"name": "anna"}], [want], items) and not right(["anna"], [want], items)
    place = {"type": "object", "properties": {"at": {"type": "object", "properties": {"zip": {"type": "string"}}}}}
    assert right([{"at": {"zip": 15213}}], [{"at": {"zip": "15213"}}], place)
    assert not right([{"at": "15213"}], [{"at": {"zip": "15213"}}], place)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (answer(["a"], kind="navigate"), "task_type 'navigate', not 'retrieve'"),
        (answer(["a"], status="NOT_FOUND_ERROR"), "status 'NOT_FOUND_ERROR', not 'SUCCESS'"),
        (answer(["a"], status=None), "status None"),
        ({"status": "SUCCESS", "retrieved_data": ["a"]}, "no task_type"),
        (answer(None), "retrieved_data None"),
        (answer([]), "retrieved_data []"),
        ({"task_type": "retrieve", "status": "SUCCESS"}, "retrieved_data None"),
        ("done", "the answer is no JSON object"),
        ([answer(["a"])], "the answer is no JSON object"),
        ("", "the answer is no JSON object"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(said, problem):
    found = check(said if isinstance(said, str) else json.dumps(said), Task(**task(["a"])))
    assert not found.right and found.problems[0].startswith(problem)


def test_answers_are_read_from_code_blocks_under_old_names_and_in_any_case():
    wanted = Task(**task(["a"]))
    text = f"Here it is:\n```json\n{json.dumps(answer(['A']), indent=2)}\n```\nBye."
    assert check(text, wanted).right and parsed("```\n[1]\n```") == [1] and parsed(None) is None
    assert check({"performed_operation": "Retrieve", "status": " success ", "retrieved_data": ["a"]}, wanted).right


def test_what_a_task_does_not_retrieve_does_not_count():
    mutate = Task(**task(None, kind="mutate"))
    assert check(answer(["anything"], kind="MUTATE"), mutate).right
    nothing = Task(**task(None, status="NOT_FOUND_ERROR"))
    assert check(answer([], status="NOT_FOUND_ERROR"), nothing).right
    assert not check(answer(["a"], status="NOT_FOUND_ERROR"), nothing).right
    empty = task(None, status="NOT_FOUND_ERROR")
    empty["eval"][0]["results_schema"] = {"type": "null"}
    assert not check(answer(["a"], status="NOT_FOUND_ERROR"), Task(**empty)).right


def test_a_task_that_cannot_be_read_is_an_error_and_no_verdict():
    for wrong in (task(["x"], {"type": "number"}), task(["x"], {"format": "colour"}), task([["x"]])):
        with pytest.raises(DataError, match="expected data cannot be read"):
            check(answer(["x"]), Task(**wrong))
    with pytest.raises(DataError, match="task 7 has no AgentResponseEvaluator"):
        check(answer(["x"]), Task(task_id=7, intent="x", eval=()))


@given(st.text(max_size=40))
def test_plain_texts_have_no_case_and_single_spaces(text):
    found = plain(text)
    assert found == plain(f"  {text}\t") == found.casefold() == " ".join(found.split())


@given(st.text("abc de", max_size=12), st.text("abc de", max_size=12))
def test_names_are_as_alike_as_the_official_library_finds_them(one, other):
    fuzz = pytest.importorskip("rapidfuzz.fuzz", reason="the library that thefuzz wraps: extra 'vision'")
    if one.strip() and other.strip():
        assert similarity(one, other) == round(fuzz.token_sort_ratio(one, other))
    assert similarity(one, other) == similarity(other, one)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_durations_are_read_from_clocks_and_units(hours, minutes, secs):
    whole = 3600 * hours + 60 * minutes + secs
    for text in (
        f"{hours}:{minutes:02}:{secs:02}",
        f"{hours}h{minutes}m{secs}s",
        f"{hours} hours, {minutes} min {secs} sec",
    ):
        assert quantities.seconds(text) == whole


@given(st.dates())
def test_dates_are_read_as_written_by_others(day):
    for form in ("%Y-%m-%d", "%m/%d/%Y", "%B %d, %Y", "%d %b %Y", "%A, %B %d, %Y"):
        if day.year > 999:
            assert quantities.day(day.strftime(form).lower()) == day


def test_numbers_in_words_and_amounts():
    assert quantities.number("one hundred and five") == 105 and quantities.number("two thousand three hundred") == 2300
    assert quantities.number("there are two of them") == 2 and quantities.number("zero point five") == 0.5
    assert quantities.amount("total: 3'053.97 usd") == Decimal("3053.97") and quantities.amount("free") == 0
    for text in ("36%", "none", "", None):
        with pytest.raises(ValueError):
            quantities.amount(text)


def test_values_of_different_kinds_are_never_the_same():
    assert not same(Value("string", ("1",), True), Value("number", (1.0,), False))
    assert normalised("", {}, strict=False) is None and matches(None, None, ordered=False)
    assert not matches(None, (), ordered=False)


@pytest.fixture
def runs(bench):
    """Five runs: evaluated as success and as failure, broken, wrong by its answer, and without anything to tell."""
    every = [task(["a"]) | {"task_id": n} for n in (1, 2, 3, 4)]
    bench.write(TASKS, [*every, task(None, kind="mutate", others=["NetworkEventEvaluator"]) | {"task_id": 5}])
    part = {"evaluator_name": "AgentResponseEvaluator"}
    found = {
        "1": ("success 0.9", answer(["A"]), {"status": "success", "score": 1.0}),
        "2": ("success 0.9", answer(["b"]), {"status": "failure", "score": 0.0}),
        "3": ("success", answer(["a"]), {"status": "error", "score": 0.0}),
        "4": ("failure 0.8", answer(["b"], status="NOT_FOUND_ERROR"), None),
        "5": ("success", answer(None, kind="mutate"), None),
    }
    for name, (_, said, result) in found.items():
        folder = bench.folder / "logs" / name
        folder.mkdir(parents=True)
        (folder / "agent_response.json").write_text(json.dumps(said))
        if result is not None:
            parts = [part | {"score": 0.0 if name == "3" else result["score"]}]
            (folder / "eval_result.json").write_text(
                json.dumps({"task_id": int(name), **result, "evaluators_results": parts})
            )
        headers = [{"name": "Sec-Fetch-Mode", "value": "navigate"}]
        request = {"method": "GET", "url": "http://shop/a", "headers": headers}
        log = {"log": {"entries": [{"request": request, "response": {"status": 200}}]}}
        (folder / "network.har").write_text(json.dumps(log))
    return bench


class Agrees(ByLastThought):
    """Calls a run a success where its answer has one."""

    async def act(self, request):
        case = request.case
        thought = "success 0.9" if '"SUCCESS"' in (case.final_answer or "") else "failure 0.8"
        steps = tuple(step.model_copy(update={"thought": thought}) for step in case.steps)
        request.case = case.model_copy(update={"steps": steps})
        return await super().act(request)


def test_runs_with_the_evaluators_score_as_gold(runs):
    model = Agrees()
    report = lookup("benchmark", "webarena_verified").target().run(Options(data=runs.folder, model=model))
    (found,) = report.sets
    means = {name: each.over_all for name, each in found.metrics.items()}
    # gold: success, failure, (broken), failure by its answer, (nobody knows); said: success, success, failure
    assert means["agreement"] == pytest.approx(2 / 3) and means["precision"] == 0.5 and means["recall"] == 1
    assert means["agreement, retrieve"] == means["agreement"] and "agreement, mutate" not in means
    assert found.note == "1 labelled by the check of the answer here; 2 runs without gold left out"
    assert (found.n, found.failed) == (3, 0)
    floors = found.metrics["agreement"].floors
    shares = {"always failure": 2 / 3, "always success": 1 / 3, "self-report": 2 / 3, "fewest steps": 1 / 3}
    assert floors == pytest.approx(shares)
    assert {case.goal for case in model.seen} == {"Find it."} and not any(case.metadata for case in model.seen)
    rows = {each.rows: each for each in report.recorded}
    assert rows["recorded evaluations"].n == 2 and rows["recorded evaluations"].numbers["accuracy"] == 1
    assert rows["recorded checks of the answer"].numbers["accuracy"] == pytest.approx(2 / 3)
    assert report.skipped["hard"].startswith("needs the list of hard tasks: no ")


def test_hard_tasks_are_a_set_of_their_own(runs):
    path = runs.folder / "assets/dataset/subsets/webarena-verified-hard.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"task_ids": [2, 8]}, indent=2))
    benchmark = lookup("benchmark", "webarena_verified").target()
    (found,) = benchmark.run(Options(data=runs.folder, model=Agrees(), sets=["hard"])).sets
    assert (found.name, found.n) == ("hard", 1)
    path.write_text(json.dumps({"task_ids": [8]}))
    with pytest.raises(DataError, match="hard has no run, a folder with agent_response.json, of a hard task"):
        benchmark.run(Options(data=runs.folder, model=Agrees(), sets=["hard"]))


def test_what_is_absent_or_malformed_is_named(bench, runs):
    (runs.folder / "logs/1/eval_result.json").write_text("{}")
    assert "logs/1/eval_result.json: task_id: Field required" in runs.refused("webarena_verified")
    (runs.folder / "logs/1/eval_result.json").write_text(json.dumps({"task_id": 99, "status": "x", "score": 1}))
    assert "no task '99' in " in runs.refused("webarena_verified")
    (runs.folder / TASKS).unlink()
    assert "get the files from github.com/ServiceNow/webarena-verified" in runs.refused("webarena_verified")


@pytest.fixture(scope="module")
def real() -> Path:
    root = Path(os.environ.get("AGENTJUDGE_DATA") or "", "web/webarena_verified")
    if not (root / TASKS).is_file():
        pytest.skip("the official tasks are needed: set AGENTJUDGE_DATA to the folder that holds web/webarena_verified")
    return root


def test_answers_of_the_official_tests_are_judged_as_they_are_there(real):
    """All but eight, which the official tests leave out: its evaluator fails these answers too."""
    tasks, wrong, n = read_tasks(real / TASKS), [], 0
    for id, variants in json.loads((real / E2E).read_text()).items():
        for kind in ("valid", "invalid"):
            for name, data in variants[kind].items():
                said = answer(data, kind="retrieve")
                texts = [json.dumps(said), f"```json\n{json.dumps(said, indent=2)}\n```"]
                n += 1
                if any(check(text, tasks[id]).right != (kind == "valid") for text in texts):
                    wrong.append((int(id), name))
    assert n == 399 and wrong == [
        (89, "fmt_trim_whitespace"), (90, "fmt_extra_spaces"), (91, "fmt_with_quotes"), (92, "fmt_with_period"),
        (93, "fmt_tabs_to_spaces"), (296, "fmt_with_quotes"), (297, "fmt_with_period"), (360, "fmt_en_dash"),
    ]  # fmt: skip


def test_every_real_task_is_passed_by_what_it_expects_and_by_nothing_else(real):
    tasks = read_tasks(real / TASKS)
    assert len(tasks) == 812 and sum(each.answer_is_all for each in tasks.values()) == 324
    for each in tasks.values():
        wanted = each.answer.expected
        data = wanted.get("retrieved_data")
        single = [row[0] if isinstance(row, list) else row for row in data] if isinstance(data, list) else data
        assert check({**wanted, "retrieved_data": single}, each).right, each.task_id
        assert not check({**wanted, "status": "UNKNOWN_ERROR"}, each).right
        if data:
            for other in (None, [], "not an array", {"invalid": "structure"}, [*single, "extra"]):
                assert not check({**wanted, "retrieved_data": other}, each).right, each.task_id


def test_both_real_logs_are_judged_as_recorded(real):
    found = {str(log.task.task_id): log for log in logs(real)}
    assert {name: (log.answer, log.gold) for name, log in found.items()} == {"107": (False, False), "108": (True, True)}
    for log in found.values():
        assert log.evaluation.evaluators_results[0].score == float(log.answer)
