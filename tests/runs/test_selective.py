import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.runs.selective import risk_coverage, withholding

ROWS = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.8, 1.0]), st.booleans()), min_size=1, max_size=30)


def test_by_hand() -> None:
    found = risk_coverage([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert found.risks == pytest.approx((0, 1 / 2, 1 / 3, 1 / 2))
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found.best == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert found.error == 0.5 and found.at(0.75) == pytest.approx(1 / 3) and found.at(0.01) == 0


def test_confidence_that_says_nothing_is_an_order_by_lot() -> None:
    assert risk_coverage([0.7] * 4, [True, False, False, True]).risks == (0.5,) * 4


@given(ROWS)
def test_bounds_and_the_order_of_rows_does_not_count(rows: list[tuple[float, bool]]) -> None:
    found = risk_coverage(*zip(*rows, strict=True))
    assert len(found.risks) == len(rows) and all(0 <= risk <= 1 + 1e-9 for risk in found.risks)
    assert found.best <= found.aurc + 1e-9
    assert found.error == pytest.approx(sum(not right for _, right in rows) / len(rows))
    again = risk_coverage(*zip(*reversed(rows), strict=True))
    assert again.aurc == pytest.approx(found.aurc)
    assert found.svg().count("<polyline") == 1


def test_withholding_by_hand() -> None:
    assert withholding([0.7, 0.7, 0.9, 0.9], [True, False, True, False], price=3) == pytest.approx((-1 + 3) / 4)
    assert withholding([1.0], [False]) == 0


def test_nothing_to_count() -> None:
    with pytest.raises(ValueError, match="no confidences"):
        risk_coverage([], [])
    with pytest.raises(ValueError, match="price above 0"):
        withholding([0.5], [True], price=0)
