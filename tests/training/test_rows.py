"""What is trained is what was sampled, once, and behind what it was sampled behind."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_traces import CLAIM, Ids, trace_of

from agentjudge.errors import ConfigError, DataError
from agentjudge.trace import Trace
from agentjudge.training.rows import Join, Picture, TrainRow, TurnSpan, assemble, drift_of

IMAGE = 9
TOKENS = st.integers(0, 4)
"""Few, so that a prompt that was made up again often has something in common with what was there."""


@st.composite
def traces(draw: st.DrawFn, *, drifts: bool = True, least: int = 0) -> Trace:
    """Turns that go on from an earlier one, or from none; with drifts, not always from its very tokens."""
    turns: list[Ids] = []
    for number in range(draw(st.integers(0, 6))):
        suffix, output = (
            draw(st.lists(TOKENS, min_size=1, max_size=4)),
            draw(st.lists(TOKENS, min_size=least, max_size=4)),
        )
        parent = draw(st.integers(-1, number - 1)) if draw(st.booleans()) else number - 1
        held = [*turns[parent].prompt, *turns[parent].output] if parent >= 0 else []
        if held and drifts and draw(st.booleans()):
            at = draw(st.integers(0, len(held) - 1))
            held = [*held[:at], *draw(st.lists(TOKENS, max_size=len(held) - at))]
        turns.append(Ids([*held, *suffix], output, parent))
    return trace_of(turns)


POLICIES = st.sampled_from(["realign", "fork"])


@given(traces(), POLICIES)
def test_every_sampled_token_is_trained_once_behind_what_it_was_sampled_behind(trace: Trace, policy: str) -> None:
    trained = Counter()
    for row in assemble(trace, policy):
        for start, end, number in row.spans:
            turn = trace.turns[number]
            for at in range(start, end):
                k = at - len(turn.prompt_ids)
                assert row.input_ids[: at + 1] == [*turn.prompt_ids, *turn.output_ids][: at + 1]
                assert row.logprobs[at] == turn.logprobs[k]
                trained[number, k] += 1
    assert trained == Counter((n, k) for n, turn in enumerate(trace.turns) for k in range(len(turn.output_ids)))


@given(traces(), POLICIES)
def test_rows_keep_their_invariants(trace: Trace, policy: str) -> None:
    rows = assemble(trace, policy, rollout="r")
    for row in rows:
        assert len(row.input_ids) == len(row.loss_mask) == len(row.logprobs)
        assert all(logprob == 0 for logprob, mask in zip(row.logprobs, row.loss_mask, strict=True) if not mask)
        assert row.trained == sum(row.loss_mask) > 0
        assert row.rollout == "r"
    if rows:
        assert sum(row.weight for row in rows) == pytest.approx(1)
    assert sum(row.trained for row in rows) == sum(len(turn.output_ids) for turn in trace.turns)


@given(traces(drifts=False))
def test_without_drift_all_policies_agree(trace: Trace) -> None:
    strict = assemble(trace, "strict")
    assert strict == assemble(trace, "fork") == assemble(trace, "realign")
    assert drift_of(strict)[1:] == (0, 0, 0)


@given(traces(least=1))
def test_strict_refuses_exactly_what_drifts(trace: Trace) -> None:
    forked = assemble(trace, "fork")
    try:
        assert assemble(trace, "strict") == forked and drift_of(forked).tokens == 0
    except DataError as exc:
        assert "does not go on" in exc.message and drift_of(forked).forks > 0


@given(
    st.lists(st.tuples(st.lists(TOKENS, min_size=1, max_size=3), st.lists(TOKENS, min_size=1, max_size=3)), min_size=1)
)
def test_a_conversation_that_goes_on_is_one_row(turns: list[tuple[list[int], list[int]]]) -> None:
    made, held = [], []
    for suffix, output in turns:
        made.append(Ids([*held, *suffix], output))
        held = [*held, *suffix, *output]
    (row,) = assemble(trace_of(made))
    assert row.input_ids == held and [span.turn for span in row.spans] == list(range(len(turns)))
    assert drift_of([row]) == (len(turns) - 1, 0, 0, 0) and row.weight == 1


#                       prompt          output     what the server made of it
BEFORE = Ids([1, 2], [3, 4, 5])
MERGED = Ids([1, 2, 3, 7, 8], [6, 6])
"""The last two sampled tokens came back as one other."""


def test_strict_says_where_it_differs() -> None:
    with pytest.raises(DataError, match=r"turn 1 of 'c' does not go on from turn 0: .* token 3 on \(2 tokens\)"):
        assemble(trace_of([BEFORE, MERGED]))


def test_fork_begins_another_row() -> None:
    first, second = assemble(trace_of([BEFORE, MERGED]), "fork")
    assert (first.input_ids, first.loss_mask) == ([1, 2, 3, 4, 5], [0, 0, 1, 1, 1])
    assert (second.input_ids, second.loss_mask) == ([1, 2, 3, 7, 8, 6, 6], [0, 0, 0, 0, 0, 1, 1])
    assert second.joins == (Join(1, "fork", 2),)
    assert (first.weight, second.weight) == (3 / 5, 2 / 5)
    drift = drift_of([first, second])
    assert (drift.tokens, drift.fork_rate, drift.realign_rate) == (2, 1, 0)


def test_realign_repairs_the_row_and_trains_what_gave_way_beside_it() -> None:
    main, side = assemble(trace_of([BEFORE, MERGED]), "realign")
    assert (main.input_ids, main.loss_mask) == ([1, 2, 3, 7, 8, 6, 6], [0, 0, 1, 0, 0, 1, 1])
    assert main.spans == (TurnSpan(2, 3, 0), TurnSpan(5, 7, 1))
    assert main.logprobs == [0, 0, -0.01, 0, 0, -0.01, -0.02]
    assert (side.input_ids, side.loss_mask) == ([1, 2, 3, 4, 5], [0, 0, 0, 1, 1])
    assert side.logprobs == [0, 0, 0, -0.02, -0.03] and side.joins == ()
    drift = drift_of([main, side])
    assert (drift.turns, drift.tokens, drift.fork_rate, drift.realign_rate) == (1, 2, 0, 1)


def test_turns_of_all_phases_are_trained() -> None:
    phases = ("plan", "act", "conclude", "conclude")
    turns, held = [], []
    for number, phase in enumerate(phases):
        turns.append(Ids([*held, 1], [2 + number], phase=phase))
        held = [*held, 1, 2 + number]
    (row,) = assemble(trace_of(turns))
    assert row.loss_mask == [0, 1] * 4 and [trace.turn for trace in row.spans] == [0, 1, 2, 3]


def test_conversations_beside_each_other_are_rows_of_their_own_and_no_drift() -> None:
    """As of a judge that asks about every part at once, behind a plan, and about one of them again."""
    trace = trace_of(
        [
            Ids([1], [2], -1, phase="plan"),
            Ids([3, 4], [5], -1),
            Ids([3, 6], [7], -1),
            Ids([3, 4, 5, 8], [9, 9], 1),
        ]
    )
    rows = assemble(trace)
    assert [row.input_ids for row in rows] == [[1, 2], [3, 4, 5, 8, 9, 9], [3, 6, 7]]
    assert drift_of(rows) == (1, 0, 0, 0)
    assert [row.weight for row in rows] == [1 / 5, 3 / 5, 1 / 5]


def test_two_turns_that_continue_one_share_nothing_twice() -> None:
    rows = assemble(trace_of([Ids([1], [2]), Ids([1, 2, 3], [4], 0), Ids([1, 2, 5], [6], 0)]))
    assert [row.loss_mask for row in rows] == [[0, 1, 0, 1], [0, 0, 0, 1]]
    assert rows[1].joins == (Join(2, "branch"),)


def test_pictures_stay_with_their_tokens() -> None:
    first = Ids([1, IMAGE, IMAGE, 2], [3], images=["a" * 64])
    second = Ids([1, IMAGE, IMAGE, 2, 3, IMAGE, 4], [5], images=["b" * 64])
    (row,) = assemble(trace_of([first, second]), image_tokens=[IMAGE])
    assert row.pictures == (Picture("a" * 64, 1, 3), Picture("b" * 64, 5, 6))
    assert row.images == ("a" * 64, "b" * 64)
    assert all(row.input_ids[p.start : p.end] == [IMAGE] * (p.end - p.start) for p in row.pictures)


def test_a_forked_row_has_the_pictures_of_its_own_prompt() -> None:
    first = Ids([1, IMAGE, 2], [3], images=["a" * 64])
    second = Ids([1, IMAGE, 2, 8, IMAGE, 4], [5], images=["b" * 64])
    old, new = assemble(trace_of([first, second]), "fork", image_tokens=[IMAGE])
    assert old.images == ("a" * 64,) and new.images == ("a" * 64, "b" * 64)


def test_pictures_that_cannot_be_told_apart_are_refused() -> None:
    trace = trace_of([Ids([1, IMAGE, IMAGE], [3], images=["a" * 64, "b" * 64])])
    with pytest.raises(DataError, match="2 pictures, but 1 runs"):
        assemble(trace, image_tokens=[IMAGE])
    with pytest.raises(DataError, match="image_tokens"):
        assemble(trace)


def test_nothing_sampled_is_no_row() -> None:
    assert assemble(trace_of([])) == [] == assemble(trace_of([Ids([1, 2], [])]))


@pytest.mark.parametrize("field", ["prompt_ids", "output_ids", "logprobs"])
def test_turns_without_ids_are_refused_with_a_remedy(field: str) -> None:
    trace = trace_of([Ids([1], [2]), Ids([1, 2, 3], [4])])
    setattr(trace.turns[1], field, None)
    with pytest.raises(DataError, match=r"turn 1 of 'c' has no .*(vllm|Sampling)"):
        assemble(trace)


def test_a_log_probability_too_few_is_refused() -> None:
    with pytest.raises(DataError, match="each sampled token"):
        assemble(trace_of([Ids([1], [2, 3], logprobs=[-0.1])]))


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="strict, realign, fork"):
        assemble(trace_of([]), "merge")  # type: ignore[arg-type]


def test_a_trace_read_from_disk_gives_the_same_rows() -> None:
    trace = trace_of([BEFORE, MERGED])
    assert assemble(Trace.from_json(trace.to_json()), "fork") == assemble(trace, "fork")


@pytest.mark.parametrize(
    "wrong",
    [
        {"logprobs": [0.0, -0.1]},
        {"spans": (TurnSpan(1, 4, 0),)},
        {"spans": (TurnSpan(1, 2, 0), TurnSpan(1, 3, 1))},
        {"spans": (TurnSpan(2, 2, 0),)},
        {"logprobs": [-0.1, -0.1, -0.1]},
        {"logprobs": [0.0, -0.1, 0.1]},
        {"pictures": (Picture("a", 2, 4),)},
        {"weight": 0.0},
    ],
)
def test_a_row_asserts_its_invariants(wrong: dict) -> None:
    right = {"input_ids": [1, 2, 3], "logprobs": [0.0, -0.1, -0.2], "spans": (TurnSpan(1, 3, 0),)}
    TrainRow(CLAIM.id, **right)
    with pytest.raises(AssertionError):
        TrainRow(CLAIM.id, **{**right, **wrong})
