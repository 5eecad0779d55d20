"""Touchpoints as they stood: windows, turns, what is hidden, and that nothing stays changed."""

import numpy as np
import pyarrow as pa
import pytest

from features.folds import CUSTOMER, Plan
from features.history import NEVER, History, Ordering, rounds
from features.snapshot import DAY

PLAN = Plan(facts={"step": lambda t: t.wait - t.before.wait}, window_days=10)


def history(known: tuple[int, ...] = (1, 5, 8, 9)) -> History:
    """Customer 2 with three contacts of one journey, customer 7 with one; days."""
    return History(
        PLAN,
        pa.table(
            {
                "customer_key": [2, 2, 2, 7],
                "journey": ["a", "a", "a", "b"],
                "journey_key": [0, 0, 0, 1],
                "channel": ["x", None, "y", "x"],
                "occurred_at": [1 * DAY, 5 * DAY, 8 * DAY, 9 * DAY],
                "known_at": [day * DAY for day in known],
                "wait": [1.0, 3.0, 7.0, 2.0],
            }
        ),
    )


def spine(*pairs: tuple[int, int]) -> pa.Table:
    keys, days = zip(*pairs, strict=True)
    return pa.table({"customer_key": keys, "cutoff": [day * DAY for day in days]})


def test_every_round_takes_one_cutoff_of_each_customer() -> None:
    found = [moment.rows.tolist() for moment in rounds(history(), spine((2, 8), (7, 18), (2, 6), (7, 9), (3, 9)))]
    assert found == [[0, 1, 3], [0, 1, 2, 3]]


def test_features_go_to_the_row_of_the_spine_that_asked() -> None:
    first, second = rounds(history(), spine((2, 8), (7, 9), (2, 6)))
    assert (first.spine.tolist(), second.spine.tolist()[0]) == ([2, 1], 0)
    assert first.cutoff.tolist() == [6 * DAY, 9 * DAY]


def test_no_rows_no_rounds() -> None:
    assert list(rounds(history(), spine((3, 8)))) == []
    assert list(rounds(history(), spine((2, 30), (7, 5)))) == []


def test_facts_skip_what_is_hidden_and_are_restored() -> None:
    late = history(known=(1, 20, 8, 9))
    np.testing.assert_array_equal(late.numbers("step"), [np.nan, 2, 4, np.nan])
    for moment in rounds(late, spine((2, 8))):
        assert moment.rows.tolist() == [0, 2]
        assert late.numbers("step")[2] == 6
    np.testing.assert_array_equal(late.numbers("step"), [np.nan, 2, 4, np.nan])


def test_an_ordering_sorts_any_part_of_the_rows() -> None:
    ordering = Ordering.of(np.array([3, 1, 0, 2]), np.array([5, 4, 6, 4]))
    assert ordering.sort(np.array([0, 2, 3])).tolist() == [3, 0, 2]
    assert ordering.group.tolist() == [1, 0, 2, 0]


def test_slices_of_several_columns_are_joined() -> None:
    joined = history().labels(("journey", "channel"))
    assert [joined.names[code] if code >= 0 else None for code in joined.codes] == ["a__x", None, "a__y", "b__x"]


def test_one_slice_holds_all_rows_of_a_customer() -> None:
    assert history().labels(CUSTOMER).names == (CUSTOMER,)
    assert history().sliced(CUSTOMER).group.tolist() == [0, 0, 0, 1]


def test_numbers_are_not_slices_and_text_is_no_number() -> None:
    with pytest.raises(TypeError, match="slice 'wait' holds numbers"):
        history().labels("wait")
    with pytest.raises(TypeError, match="'journey' holds text"):
        history().numbers("journey")


def with_sessions(**columns: object) -> History:
    """Three contacts of one customer on days 1, 5 and 8 without an id, which pauses over 5 days would cut."""
    plan = Plan(facts={"starts": lambda t: t.is_first}, window_days=10, session_gap_days={"a": 5})
    days = [1 * DAY, 5 * DAY, 8 * DAY]
    table = {"customer_key": [2, 2, 2], "journey": ["a", "a", "a"], "journey_key": [0, 0, 0]}
    table |= {"occurred_at": days, "known_at": days, "is_session": [True, True, True]}
    return History(plan, pa.table(table | columns))


def test_a_replaced_row_is_used_until_it_is_replaced() -> None:
    replaced = with_sessions(replaced_at=[NEVER, 9 * DAY, NEVER])
    found = [moment.rows.tolist() for moment in rounds(replaced, spine((2, 8), (2, 9)))]
    assert found == [[0, 1, 2], [0, 2]]


def test_what_is_hidden_parts_the_session_that_it_joined_and_everything_is_restored() -> None:
    late = with_sessions(known_at=[1 * DAY, 20 * DAY, 8 * DAY])
    assert late.numbers("starts").tolist() == [True, False, False]
    for moment in rounds(late, spine((2, 8))):
        assert late.numbers("starts")[moment.rows].tolist() == [True, True]
        assert late.journey_starts(moment.rows).tolist() == [0, 1]
    assert late.numbers("starts").tolist() == [True, False, False]
    assert late.numbers("journey_key").tolist() == [0, 0, 0]


def test_pauses_cut_only_rows_without_an_id() -> None:
    late = with_sessions(known_at=[1 * DAY, 20 * DAY, 8 * DAY], is_session=[False, False, False])
    for moment in rounds(late, spine((2, 8))):
        assert late.numbers("starts")[moment.rows].tolist() == [True, False]
        assert late.journey_starts(moment.rows).tolist() == [0]


def test_of_rows_that_are_not_known_only_their_customer_is_computed_anew() -> None:
    beside = history(known=(1, 20, 8, 9))
    before = beside.numbers("step").copy()
    for moment in rounds(beside, spine((7, 9), (2, 4))):
        np.testing.assert_array_equal(beside.numbers("step"), before)
        assert moment.rows.tolist() == [0, 3]
