"""Predecessors, text columns and the order of touchpoints."""

import numpy as np
import pyarrow as pa
import pytest

from features.journeys import Labels, Touches, add_facts, decode, in_order, link, split_sessions

CUSTOMER = np.array([0, 0, 0, 0, 1])
THREAD = np.array([0, 0, 1, 0, 2])
JOURNEY = np.array([7, 8, 9, 7, 7])
LINKS = link(CUSTOMER, THREAD, JOURNEY)


def test_before_stays_in_the_journey_and_thread_in_the_journey_type() -> None:
    assert LINKS.before.tolist() == [-1, -1, -1, 0, -1]
    assert LINKS.thread.tolist() == [-1, 0, -1, 1, -1]
    assert LINKS.by_journey.tolist() == [0, 3, 1, 2, 4]


def test_earlier_is_the_touchpoint_before_in_any_journey_of_the_customer() -> None:
    assert LINKS.earlier.tolist() == [-1, 0, 1, 2, -1]


def test_alike_is_the_touchpoint_before_with_the_same_cause_and_skips_those_without() -> None:
    cause = Labels(np.array([0, -1, 1, -1, 0, 0, 1]), ("bill", "move"))
    linked = link(np.array([0, 0, 0, 0, 0, 1, 1]), np.zeros(7, int), np.zeros(7, int), cause)
    assert linked.alike.tolist() == [-1, -1, -1, -1, 0, -1, -1]


def test_alike_needs_causes() -> None:
    with pytest.raises(AttributeError, match="no column 'cause', which 'alike' needs"):
        _ = LINKS.alike


def test_links_may_follow_each_other() -> None:
    columns = {"x": np.array([1.0, 2.0, 3.0, 5.0, 8.0])}
    add_facts(columns, {"f": lambda t: t.x - t.earlier.before.x}, LINKS)  # type: ignore[arg-type]
    np.testing.assert_array_equal(columns["f"], [np.nan] * 5)
    add_facts(columns, {"g": lambda t: t.x - t.before.earlier.x, "h": lambda t: t.x - t.earlier.earlier.x}, LINKS)  # type: ignore[arg-type]
    np.testing.assert_array_equal(columns["g"], [np.nan] * 5)
    np.testing.assert_array_equal(columns["h"], [np.nan, np.nan, 2, 3, np.nan])


def test_a_session_ends_with_a_pause_longer_than_its_gap_or_another_key() -> None:
    order = np.array([0, 1, 2, 4, 3])
    moment, gap = np.array([0, 4, 9, 30, 12]), np.array([4, 4, 4, 4, 4])
    assert split_sessions(order, (), moment, gap).tolist() == [True, False, True, False, True]
    keys = (np.array([1, 1, 1, 1, 2]),)
    assert split_sessions(order, keys, moment, gap).tolist() == [True, False, True, True, True]
    none = np.zeros(0, np.int64)
    assert split_sessions(none.astype(np.intp), (none,), none, none).tolist() == []


def test_no_touchpoints_have_no_predecessors() -> None:
    none = np.zeros(0, np.int64)
    assert link(none, none, none).before.tolist() == []


def test_a_comparison_without_a_predecessor_is_false_and_a_number_missing() -> None:
    columns = {"x": np.array([1.0, 2.0, 3.0, 5.0, 8.0])}
    facts = {
        "differs": lambda t: t.x != t.before.x,
        "step": lambda t: t.x - t.thread.x,
        "two_back": lambda t: t.x - t.thread.thread.x,
        "starts": lambda t: t.is_first,
        "constant": lambda t: 1,
    }
    add_facts(columns, facts, LINKS)  # type: ignore[arg-type]
    assert columns["differs"].tolist() == [False, False, False, True, False]
    np.testing.assert_array_equal(columns["step"], [np.nan, 1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(columns["two_back"], [np.nan, np.nan, np.nan, 4, np.nan])
    assert columns["starts"].tolist() == [True, True, True, False, True]
    assert columns["constant"].tolist() == [1, 1, 1, 1, 1]


def test_a_fact_that_asks_for_an_unknown_column_is_told_which_there_are() -> None:
    with pytest.raises(AttributeError, match="no column 'wiat'; there are wait"):
        _ = Touches({"wait": np.zeros(5)}, LINKS).before.wiat


def test_text_compares_with_text_and_with_other_columns_whatever_their_codes() -> None:
    one = decode(pa.table({"c": ["mail", None, "phone"]}))["c"]
    other = decode(pa.table({"c": ["app", "app", "phone"]}))["c"]
    assert isinstance(one, Labels)
    assert (one == "mail").tolist() == [True, False, False]
    assert (one != "mail").tolist() == [False, True, True]
    assert (one == other).tolist() == [False, False, True]
    assert (one == "letter").tolist() == [False, False, False]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_codes_do_not_depend_on_the_order_of_rows_or_the_chunks(kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(["b", "a"]).cast(kind), pa.array(["c", "a"]).cast(kind)])
    found = decode(pa.table({"c": column}))["c"]
    assert isinstance(found, Labels)
    assert (found.names, found.codes.tolist()) == (("a", "b", "c"), [1, 0, 2, 0])


def test_missing_numbers_are_nan_and_whole_numbers_stay_exact() -> None:
    columns = decode(pa.table({"x": pa.array([1, None]), "at": pa.array([2**62 + 1, 5])}))
    np.testing.assert_array_equal(columns["x"], [1, np.nan])
    assert columns["at"].tolist() == [2**62 + 1, 5]


def test_equal_sets_of_rows_out_of_order_are_put_into_one_order() -> None:
    rows = [{"customer_key": c, "occurred_at": t, "channel": h, "wait": w} for c, t, h, w in
            [(2, 1, "b", 1.0), (1, 5, "b", None), (1, 5, "a", 2.0), (1, 5, "a", 1.0), (1, 4, "z", 9.0)]]  # fmt: skip
    tables = [pa.Table.from_pylist([rows[i] for i in order]) for order in ([0, 1, 2, 3, 4], [0, 4, 3, 2, 1])]
    assert in_order(tables[0]).equals(in_order(tables[1]))
    assert in_order(tables[0])["wait"].to_pylist() == [9, 1, 2, None, 1]


def test_the_order_among_equals_of_a_sorted_table_is_trusted() -> None:
    table = pa.table({"customer_key": [1, 1], "occurred_at": [3, 3], "wait": [2.0, 1.0]})
    assert in_order(table).equals(table)
