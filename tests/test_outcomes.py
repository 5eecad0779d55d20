"""Who is at risk, and what counts as an outcome."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.outcomes import OutcomeKind, Outcomes, at_risk
from features.snapshot import DAY, Snapshot

CUTOFF = 100 * DAY
SNAPSHOT = Snapshot(window_days=60, gap_days=5, horizon_days=30)


def events(days: Mapping[int, float | list[float]], at: str = "occurred_at", **columns: Any) -> pa.Table:
    """A table of customer -> days."""
    pairs = [(key, day) for key, found in days.items() for day in (found if isinstance(found, list) else [found])]
    table = {"customer_key": [key for key, _ in pairs], at: [int(day * DAY) for _, day in pairs]} | columns
    schema = {"customer_key": pa.int64(), at: pa.int64()} | dict.fromkeys(columns, pa.float64())
    return pa.table({name: pa.array(table[name], schema[name]) for name in table})


def outcomes_of(
    churned: Mapping[int, float], further: Mapping[str, tuple[OutcomeKind, pa.Table]] | None = None, **revenue: Any
) -> Outcomes:
    paid = revenue.get("paid", events({}, amount=[]))
    return Outcomes(SNAPSHOT, events(churned, "churned_at"), paid, further or {})


def found(outcomes: Outcomes, key: int, name: str = "is_churned") -> float:
    return float(outcomes.at(np.array([key]), CUTOFF, is_mature=True)[name][0])


@pytest.mark.parametrize(
    ("day", "churned"),
    [(104.9, math.nan), (105, math.nan), (105.001, 1), (135, 1), (135.001, 0), (99, 0)],
)
def test_churn_counts_after_the_gap_up_to_the_end_of_the_horizon(day: float, churned: float) -> None:
    np.testing.assert_equal(found(outcomes_of({3: day}), 3), churned)


def test_who_never_left_has_not_churned() -> None:
    assert found(outcomes_of({3: 110}), 4) == 0


def test_revenue_is_the_sum_within_the_window_and_refunds_count() -> None:
    paid = events({3: [100, 105, 106, 120, 135, 136]}, amount=[1, 2, 4, -8, 16, 32])
    assert found(outcomes_of({}, paid=paid), 3, "revenue") == 4 - 8 + 16
    assert found(outcomes_of({}, paid=paid), 9, "revenue") == 0


@pytest.mark.parametrize(("kind", "some", "none"), [("event", 1, 0), ("amount", 7, 0), ("mean", 3.5, math.nan)])
def test_further_outcomes_by_kind(kind: OutcomeKind, some: float, none: float) -> None:
    outcomes = outcomes_of({}, {"review": (kind, events({3: [50, 110, 120]}, value=[9, 3, 4]))})
    np.testing.assert_equal([found(outcomes, key, "review") for key in (3, 4)], [some, none])


def test_an_event_needs_no_value() -> None:
    assert found(outcomes_of({}, {"advised": ("event", events({3: 110}))}), 3, "advised") == 1


def test_nothing_is_known_before_the_window_has_passed() -> None:
    immature = outcomes_of({3: 110}).at(np.array([3, 4]), CUTOFF, is_mature=False)
    assert set(immature) == {"is_churned", "revenue"}
    assert all(np.isnan(values).all() for values in immature.values())


@given(st.dictionaries(st.integers(0, 5), st.floats(80, 150)), st.floats(0, 40))
def test_outcomes_do_not_change_with_what_happens_after_the_horizon(churned: dict[int, float], later: float) -> None:
    keys = np.arange(6)
    more = events({**churned, **{key + 10: 140 + later for key in churned}}, "churned_at")
    before, after = outcomes_of(churned), Outcomes(SNAPSHOT, more, events({}, amount=[]), {})
    for name, values in before.at(keys, CUTOFF, is_mature=True).items():
        np.testing.assert_array_equal(values, after.at(keys, CUTOFF, is_mature=True)[name])


def customers(joined: list[float | None]) -> pa.Table:
    at = [None if day is None else int(day * DAY) for day in joined]
    return pa.table({"customer_key": list(range(len(joined))), "joined_at": pa.array(at, pa.int64())})


def left(rows: list[tuple[int, float, float | None]]) -> pa.Table:
    day = [(key, int(out * DAY), None if back is None else int(back * DAY)) for key, out, back in rows]
    names = ("customer_key", "churned_at", "returned_at")
    return pa.table({name: pa.array([row[i] for row in day], pa.int64()) for i, name in enumerate(names)})


def test_at_risk_is_who_has_joined_and_is_not_away() -> None:
    people = customers([50, 100, 100.1, None, 50, 50, 50])
    away = left([(0, 100, None), (4, 60, 90), (5, 60, 100), (6, 60, 101)])
    assert at_risk(people, away, CUTOFF).tolist() == [1, 3, 4, 5]


def test_an_end_takes_out_of_the_risk_set_without_being_churn() -> None:
    ends = pa.array([100 * DAY, 101 * DAY, None], pa.int64())
    people = customers([0, 0, 0]).append_column("ended_at", ends)
    assert at_risk(people, left([]), CUTOFF).tolist() == [1, 2]
    assert outcomes_of({}).at(np.arange(3), CUTOFF, is_mature=True)["is_churned"].tolist() == [0, 0, 0]


def test_who_left_twice_is_away_after_the_second_time() -> None:
    assert at_risk(customers([0]), left([(0, 20, 30), (0, 60, None)]), CUTOFF).tolist() == []
    assert at_risk(customers([0]), left([(0, 20, 30), (0, 60, None)]), 40 * DAY).tolist() == [0]
