"""Memories of contacts: folded by hand, and the same whichever of them are asked for together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.snapshot import DAY
from models.exposures import FAST_DAYS, SLOW_DAYS, remembered, remembered_names


def columns(n=200, customers=9, seed=3):
    rng = np.random.default_rng(seed)
    key = np.sort(rng.integers(0, customers, n))
    at = rng.integers(0, 200 * DAY, n)
    order = np.lexsort((at, key))
    value = rng.normal(size=n)
    return pa.table(
        {
            "customer_key": key, "journey": ["support"] * n, "journey_key": np.arange(n),
            "occurred_at": at[order], "known_at": at[order],
            "a": value, "b": np.where(rng.random(n) < 0.5, value, np.nan),
        }
    )  # fmt: skip


SPINE = pa.table({"customer_key": [0, 4, 8, 4], "cutoff": [150 * DAY, 190 * DAY, 90 * DAY, 60 * DAY]})


def test_memories_are_decayed_sums_of_what_lies_in_the_window():
    touches = columns()
    key, at, value = (touches[name].to_numpy() for name in ("customer_key", "occurred_at", "a"))
    found = remembered(["a"], touches, SPINE, 100)
    for row, (customer, cutoff) in enumerate(zip(*(SPINE[n].to_pylist() for n in SPINE.column_names), strict=True)):
        here = (key == customer) & (at <= cutoff) & (at > cutoff - 100 * DAY)
        age = (cutoff - at[here]) / DAY
        by_hand = [(value[here] * 2.0 ** (-age / days)).sum() for days in (FAST_DAYS, SLOW_DAYS)]
        assert found[row] == pytest.approx(by_hand, abs=1e-12)


def test_what_is_remembered_of_a_column_does_not_depend_on_the_others():
    touches = columns()
    together = remembered(["b", "a"], touches, SPINE, 100)
    apart = np.column_stack([remembered([name], touches, SPINE, 100) for name in ("b", "a")])
    assert together.tobytes() == apart.tobytes()


def test_a_column_that_a_table_does_not_have_is_remembered_as_nothing():
    found = remembered(["a", "gone"], columns(), SPINE, 100)
    assert np.abs(found[:, :2]).min() > 0
    assert (found[:, 2:] == 0).all()
    assert (remembered(["a"], columns().slice(0, 0), SPINE, 100) == 0).all()


def test_memories_of_a_column_are_named_side_by_side():
    assert remembered_names(["a", "b"]) == ("a__fast", "a__slow", "b__fast", "b__slow")
