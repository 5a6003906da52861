"""WebPRMBench: the right next step of a web agent against four wrong ones, by hand on rows of our own."""

import json
from collections import Counter

import pytest

from agentjudge.benchmarks.statistics import Unit
from agentjudge.benchmarks.webprm_rows import sections, steps, thought_and_action
from agentjudge.benchmarks.webprmbench import Marks, best_of_five, best_of_n, knockout, load_pairs, pairwise
from agentjudge.case import ActionChoice
from agentjudge.errors import ModelError
from agentjudge.graphs.web_arbiter import PRINCIPLES
from agentjudge.models.profiles import GENERIC
from agentjudge.registry import lookup
from agentjudge.trace import Turn

FILE = "web/WebPRMBench/test-00000-of-00001.jsonl"
PAST = "{THOUGHT: The search box is there., ACTION: fill('7', 'pears, ripe')}\n{THOUGHT: Now go., ACTION: click('8')}"
SOURCES = ("AssistantBench", "Mind2Web_cross_task", "WebArena", "WorkArena")


def prompt(first, second, *, goal="Buy pears.", tree="[1] button 'Buy'", past=PAST, urls=True):
    parts = [
        "You compare steps.",
        f"#### Intent ####\n{goal}",
        f"#### AXTREE ####\n{tree}",
        f"#### Trajectory ####\n{past}",
    ]
    parts += ["#### start url ####\nhttp://shop", "#### current url ####\nhttp://shop/pears"] if urls else []
    shown = (f"[The Begin of Response {n}]\n{each}\n[The End of Response {n}]" for n, each in ((1, first), (2, second)))
    return "\n\n".join([*parts, "#### Assistant Responses ####", *shown, "Say which is better."])


def action(number, name="c"):
    return f"THOUGHT: I {name}.\nACTION: click {number}"


def state(source, wrongs, *, idx=0, right="5", **told):
    """Four rows, the right step second in every other one; the wrong ones end in the numbers of `wrongs`."""
    rows = []
    for number, wrong in enumerate(wrongs):
        pair = action(right), action(wrong, f"w{number}")
        side = number % 2
        shown = prompt(*(pair[::-1] if side else pair), **told)
        rows.append({"source_name": source, "state_idx": idx, "prompt": shown, "expected": side + 1})
    return rows


class ByNumbers:
    """A model that prefers the action with the larger number; at `?` there is an outage."""

    name = "by-numbers"
    profile = GENERIC

    def __init__(self):
        self.seen: list[ActionChoice] = []

    async def act(self, request):
        case = request.case
        assert isinstance(case, ActionChoice)
        self.seen.append(case)
        words = [action.split()[-1] for action in case.candidates]
        if "?" in words:
            raise ModelError("the server is gone")
        best = sorted(range(len(words)), key=lambda i: -int(words[i]))
        tie = len(words) == 2 and words[0] == words[1]
        outcome = {"preference": 0 if tie else 2 * best[0] - 1} if len(words) == 2 else {}
        outcome = outcome or {"ranking": [i + 1 for i in best]}
        mark = {"weight": 0.2, "reason": "Read.", "best": "tie" if tie else best[0] + 1}
        if len(words) == 1:
            outcome = {"score": int(words[0]) / 10}
            mark |= outcome
        said = {"state": "A shop.", "criteria": [{"name": name, **mark} for name in PRINCIPLES], "evidence": []}
        said |= {"reason": "Read.", **outcome, "confidence": None}
        return Turn({"role": "assistant", "content": json.dumps(said)})

    async def aclose(self):
        """Nothing to release."""


def run(bench, *sets, **options):
    """The report, and what the model was asked."""
    model = ByNumbers()
    return bench.run("webprmbench", model=model, sets=sets or None, **options), model.seen


@pytest.fixture
def files(bench):
    rows = [
        *state("AssistantBench", "1234"),  # wins all four
        *state("Mind2Web_cross_task", "1239", idx=1),  # loses one
        *state("mind2web-cross-domain", "1115", idx=1),  # ties one
        *state("Mind2Web_cross_website", "0000", idx=1, goal="Sell."),
        *state("WebArena", "9999"),
        *state("WorkArena", ["1", "2", "3", "?"]),  # an outage
        *state("WorkArena", "1234", idx=1),
    ]
    bench.write(FILE, rows)
    return bench


def test_pairs_and_best_of_n_by_hand(files):
    report, _ = run(files, "pairs")
    (found,) = report.sets
    means = {name: mean.over_all for name, mean in found.metrics.items()}
    parts = {"Mind2Web": (1 / 3, 10 / 12), "WebArena": (0, 0), "AssistantBench": (1, 1), "WorkArena": (1 / 2, 7 / 8)}
    for name, (states, pairs) in parts.items():
        assert (means[f"BoN, {name}"], means[f"pairwise, {name}"]) == pytest.approx((states, pairs))
    assert means["BoN"] == pytest.approx(sum(states for states, _ in parts.values()) / 4)
    assert means["pairwise"] == pytest.approx(sum(pairs for _, pairs in parts.values()) / 4)
    assert means["BoN, mean of the environments here"] == means["BoN"]
    assert not any("five" in name for name in means)
    assert (found.n, found.units, found.clusters, found.failed) == (
        28,
        7,
        5,
        1,
    )  # two goals of Mind2Web, one of WorkArena
    assert report.headlines[0].metric == "BoN"
    first = found.metrics["BoN, AssistantBench"].floors
    assert first["guessing"] == 0.0625 and found.metrics["pairwise"].floors["guessing"] == 0.5
    assert first["first position"] == 0 and found.metrics["pairwise"].floors["first position"] == 0.5
    assert "6.25%" in found.note and "50%" in found.note


def test_pairs_are_asked_in_the_order_of_the_file_and_see_the_whole_state(files):
    _, seen = run(files, "pairs", limit=1)
    assert Counter(case.thoughts.index("I c.") for case in seen) == {0: 2, 1: 2}
    for case in seen:
        assert (case.goal, case.observation, case.url) == ("Buy pears.", "[1] button 'Buy'", "http://shop/pears")
        assert [(step.thought, step.action) for step in case.history] == [
            ("The search box is there.", "fill('7', 'pears, ripe')"),
            ("Now go.", "click('8')"),
        ]
        assert case.gold is None


def test_five_at_once_is_a_set_of_its_own_with_its_own_chance(files):
    report, seen = run(files, "five-way")
    (found,) = report.sets
    means = {name: mean.over_all for name, mean in found.metrics.items()}
    assert means["best of five, AssistantBench"] == 1 and means["best of five, WebArena"] == 0
    assert means["best of five, WorkArena"] == 0.5 and not any(name.startswith(("BoN", "pair")) for name in means)
    assert found.metrics["best of five"].floors["guessing"] == 0.2 and "20%" in found.note
    assert (found.n, found.units, found.failed) == (7, 7, 1)
    places = {case.thoughts.index("I c.") for case in seen}
    assert len(places) > 1  # the order is drawn by lot
    items = lookup("benchmark", "webprmbench").target().sets["five-way"](files.folder).items
    assert all(item.case.thoughts == ("I c.", "I w0.", "I w1.", "I w2.", "I w3.") for item in items)
    first = items[0].case
    assert first.candidates == tuple(f"click {n}" for n in "51234") and first.gold.ranking == (0, 1, 2, 3, 4)


def test_a_knockout_is_a_set_of_its_own_whose_ties_and_failures_choose_nobody(files):
    report, seen = run(files, "knockout")
    (found,) = report.sets
    means = {name: mean.over_all for name, mean in found.metrics.items()}
    assert means["knockout, AssistantBench"] == 1 and means["knockout, WebArena"] == 0  # 5 beats all, 9 is one of four
    assert means["knockout, WorkArena"] == 0.5  # where a match failed nobody has won
    assert not any(name.startswith(("BoN", "pair", "best")) for name in means)
    assert found.metrics["knockout"].floors["guessing"] == 0.2
    assert "8 calls a state: guessing reaches 20% of states" in found.note
    shown = Counter((case.id.removesuffix("~swap"), len(case.candidates)) for case in seen)
    assert set(shown.values()) == {2} and {n for _, n in shown} == {2}  # every match in both orders
    assert 6 * 8 < found.judgements <= 7 * 8 and found.failed == 1
    assert found.habits.flip.mean == 0 and found.habits.first.mean == 0.5


def test_a_judge_of_first_places_ties_all_matches_and_is_left_to_the_lot(bench):
    bench.write(FILE, [row for n in range(200) for row in state("WebArena", "1234", idx=n, goal=f"Buy {n}.")])
    (found,) = run(bench, "knockout")[0].sets
    measured = found.metrics["knockout, WebArena"]
    assert measured.over_all == 1 and 0.1 < measured.floors["first position"] < 0.3


def test_all_sets_run_and_every_call_is_counted(files):
    found = {each.name: each for each in run(files)[0].sets}
    judgements = {name: each.judgements for name, each in found.items()}
    assert (judgements["pairs"], judgements["five-way"]) == (28, 7) and judgements["knockout"] > 48


def test_under_another_policy_a_state_is_named_by_how_it_was_asked(files):
    means = run(files, "knockout", policy="scores")[0].sets[0].metrics
    assert "knockout" not in means and means["best of five, AssistantBench"].over_all == 1  # each step alone
    means = run(files, "pairs", policy="both-orders")[0].sets[0].metrics
    assert means["BoN, AssistantBench"].over_all == 1


def test_without_an_environment_there_is_no_mean_of_four(bench):
    bench.write(FILE, [row for source in SOURCES[:3] for row in state(source, "1234")])
    means = {name: mean.over_all for name, mean in run(bench, "pairs")[0].sets[0].metrics.items()}
    assert "BoN" not in means and "pairwise" not in means
    assert means["BoN, mean of the environments here"] == 1


def test_gold_stands_where_the_file_says(files):
    items = load_pairs(files.folder).items
    assert len(items) == 28
    first, second = items[0].case, items[1].case
    assert first.candidates == ("click 5", "click 1") and first.thoughts == ("I c.", "I w0.")
    assert second.candidates == ("click 2", "click 5") and (first.gold.preference, second.gold.preference) == (-1, 1)


def test_the_sections_of_a_prompt():
    tree = "[1] text '#### Intent #### here'"
    said = sections(prompt(action(1), action(2), urls=False, past="", tree=tree))
    assert (said.goal, said.history, said.url, said.tree) == ("Buy pears.", (), "", tree)
    assert said.responses == (("I c.", "click 1"), ("I c.", "click 2"))
    assert steps("") == steps("None") == ()
    assert thought_and_action("{THOUGHT: ok, ACTION: press('a', '}')}") == ("ok", "press('a', '}')")
    assert thought_and_action(" THOUGHT:\nlong,\nlonger\nACTION: noop() ") == ("long,\nlonger", "noop()")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompt": "words"}, "prompt: no section 'Intent'"),
        ({"prompt": prompt(action(1), action(2)).replace("AXTREE", "PAGE")}, "prompt: no section 'AXTREE'"),
        ({"prompt": prompt(action(1), action(2), goal=" ")}, "prompt: section 'Intent' is blank"),
        (
            {"prompt": prompt(action(1), action(2), tree="x\n#### Intent ####\ny")},
            "each must be there once, in the order Intent",
        ),
        ({"prompt": prompt("a", " ")}, "prompt: not THOUGHT and ACTION: 'a'"),
        (
            {"prompt": prompt(action(1), action(2)).replace("End of Response 2", "End")},
            "prompt: there must be one Response 1",
        ),
        (
            {"prompt": prompt(action(1), action(2), past="I looked.")},
            "prompt: the trajectory does not begin with a step",
        ),
        ({"prompt": prompt(action(1), action(2), past="THOUGHT: x")}, "prompt: not THOUGHT and ACTION: 'THOUGHT: x'"),
        ({"expected": 3}, "expected: "),
        ({"state_idx": None}, "state_idx"),
        ({"source_name": "GAIA"}, "source_name 'GAIA' is none of Mind2Web, WebArena"),
    ],
)
def test_a_malformed_row_is_named(bench, change, says):
    rows = state("WebArena", "1234")
    rows[2] |= change
    bench.write(FILE, rows)
    said = bench.refused("webprmbench")
    assert f"{bench.folder}/{FILE}:3: " in said and says in said


def test_a_state_needs_one_right_and_four_different_wrong_steps(bench):
    rows = state("WebArena", "1234", idx=12)
    twice = rows[3] | {"prompt": prompt(action("5"), action("5"))}
    for wrong, says in (
        (rows[:3], "has 3 rows with 1 right steps, 3 wrong ones and 1 goals"),
        ([*rows[:3], rows[2]], "4 rows with 1 right steps, 3 wrong"),
        ([*rows[:3], twice], "4 rows with 1 right steps, 3 wrong"),
        ([*rows[:3], state("WebArena", "1234", idx=12, right="8")[3]], "4 rows with 2 right steps, 4 wrong"),
        ([*rows[:3], state("WebArena", "1234", idx=12, goal="Other.")[3]], "4 wrong ones and 2 goals"),
    ):
        bench.write(FILE, wrong)
        said = bench.refused("webprmbench")
        assert f"{FILE}:1: state 12 of WebArena " in said and says in said


def test_a_missing_file_says_where_to_get_it(bench):
    bench.folder.mkdir()
    said = bench.refused("webprmbench")
    assert "get the files from huggingface.co/datasets/ZYao720/WEBPRMBENCH" in said and "test-*.jsonl" in said


def test_chance_is_what_coin_flips_reach():
    flips = [Unit("WebArena", Marks("pairs", sum(map(int, f"{n:04b}")) / 4), True, str(n)) for n in range(16)]
    assert (best_of_n(flips), pairwise(flips), best_of_five(flips), knockout(flips)) == (1 / 16, 1 / 2, None, None)
    guesses = lookup("benchmark", "webprmbench").target().measures
    modes = ("BoN", "pairwise", "best of five", "knockout")
    assert [guesses[name].guessing for name in modes] == [1 / 16, 1 / 2, 1 / 5, 1 / 5]
    assert next(iter(guesses)) == "BoN" and best_of_n([]) is None
