"""Whole customers a few at a time: none is lost, none is cut, none is met twice."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from models import people
from models.people import People, first_customers, pieces


def bucket(keys, touches):
    """Customers with so many touchpoints each, an amount each, and no departures."""
    touching = np.repeat(keys, touches)
    return People(
        touchpoints=pa.table({"customer_key": touching, "number": np.arange(len(touching))}),
        customers=pa.table({"customer_key": np.array(keys, np.int64)}),
        revenue=pa.table({"customer_key": np.array(keys, np.int64)}),
        churn=pa.table({"customer_key": np.zeros(0, np.int64)}),
    )


def keys_of(parts):
    return [part.customers["customer_key"].to_pylist() for part in parts]


@pytest.mark.parametrize("most", [1, 3, 5, 100])
def test_pieces_hold_every_row_once_in_order_and_cut_nobody(most):
    whole = bucket([2, 3, 5, 8, 9], [3, 0, 4, 1, 2])
    found = list(pieces(whole, most))
    for name in ("touchpoints", "customers", "revenue", "churn"):
        assert pa.concat_tables([getattr(piece, name) for piece in found]) == getattr(whole, name)
    for piece in found:
        assert set(piece.touchpoints["customer_key"].to_pylist()) <= set(piece.customers["customer_key"].to_pylist())
        assert piece.touchpoints.num_rows < most + 4  # the last customer has at most four


def test_a_bucket_without_customers_is_one_empty_piece():
    (only,) = pieces(bucket([], []))
    assert only.customers.num_rows == only.touchpoints.num_rows == 0


def test_the_first_customers_end_where_enough_are_there_and_nothing_behind_them_is_read():
    def buckets():
        yield bucket([1, 2, 3], 1)
        yield bucket([4, 5, 6], 1)
        raise AssertionError("read on")

    assert keys_of(first_customers(buckets, 5)) == [[1, 2, 3], [4, 5]]
    assert keys_of(first_customers(buckets, 6)) == [[1, 2, 3], [4, 5, 6]]
    assert keys_of(first_customers(lambda: iter([bucket([1, 2, 3], 1)]), 5)) == [[1, 2, 3]]


def test_which_customers_come_first_does_not_depend_on_how_they_are_spread_over_buckets():
    def together(*parts):
        return np.concatenate(keys_of(first_customers(lambda: iter(parts), 4))).tolist()

    assert together(bucket([1, 2, 3, 4, 5, 6], 2)) == together(bucket([1, 2], 2), bucket([3], 2), bucket([4, 5, 6], 2))


def test_a_large_bucket_is_cut(monkeypatch):
    monkeypatch.setattr(people, "MOST_AT_ONCE", 2)
    assert keys_of(first_customers(lambda: iter([bucket([1, 2, 3, 4, 5], 1)]), 4)) == [[1, 2], [3, 4]]


def test_some_customers_are_taken_with_all_that_is_theirs():
    some = People.of(bucket([2, 3, 5], [2, 1, 1]), np.array([3, 5]))
    assert some.customers["customer_key"].to_pylist() == [3, 5]
    assert some.touchpoints["number"].to_pylist() == [2, 3]
    assert some.revenue["customer_key"].to_pylist() == [3, 5]
