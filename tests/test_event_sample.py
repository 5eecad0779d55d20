"""Customers drawn with their events kept: whole, within the limit, weighed back, in no order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.event_sample import EventSample, event_sample


def panel(n: int = 6_000, events: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    y = np.zeros(n)
    y[rng.choice(n, events, replace=False)] = 1.0
    return pd.DataFrame({"id": [f"n{i // 3:05d}" for i in range(n)], "y": y, "w": rng.uniform(0.5, 2.0, n)})


def drawn(frame: pd.DataFrame, most: int, seed: int = 0, weight: str | None = "w") -> EventSample:
    return event_sample(frame, "y", weight=weight, customer="id", most=most, rng=np.random.default_rng(seed))


def test_rare_events_are_all_kept_with_all_rows_of_their_customers() -> None:
    frame = panel()
    found = drawn(frame, 900)
    assert len(found.rows) == 900
    assert found.rows["y"].sum() == 60
    assert found.n_events == frame.loc[frame["y"] == 1, "id"].nunique()
    assert (found.rows["id"].value_counts() == 3).all()
    assert found.n_customers == found.n_others == 300


@pytest.mark.parametrize("weight", [None, "w"])
def test_weights_restore_the_rate_and_the_weight_of_all_rows(weight: str | None) -> None:
    frame = panel()
    own = np.ones(len(frame)) if weight is None else frame["w"].to_numpy()
    found = drawn(frame, 900, weight=weight)
    assert found.weight.sum() == pytest.approx(own.sum())
    assert found.weight @ found.rows["y"] == pytest.approx(own @ frame["y"])


def test_a_mean_over_samples_is_that_of_all_rows() -> None:
    frame = panel().assign(x=lambda rows: rows["id"].isin(rows.loc[rows["y"] == 1, "id"]) + np.arange(6_000) % 7)
    means = [np.average(one.rows["x"], weights=one.weight) for one in (drawn(frame, 300, seed) for seed in range(80))]
    error = np.std(means, ddof=1) / np.sqrt(80)
    assert abs(np.mean(means) - np.average(frame["x"], weights=frame["w"])) < 4 * error
    assert error < 0.05


def test_events_take_at_most_half_unless_the_others_have_too_few_rows() -> None:
    many = panel(events=3_000)
    found = drawn(many, 900)
    assert 440 <= len(found.rows[found.rows["id"].isin(many.loc[many["y"] == 1, "id"])]) <= 450
    assert len(drawn(many.assign(y=1.0), 900).rows) == 900


def test_a_customer_with_very_many_rows_keeps_nobody_else_out() -> None:
    frame = panel()
    frame.loc[:4_999, "id"] = "a great one"
    for seed in range(4):
        found = drawn(frame, 900, seed)
        assert "a great one" not in set(found.rows["id"])
        assert len(found.rows) >= 898


def test_the_order_of_rows_changes_nobody_and_no_weight() -> None:
    frame = panel()
    one, other = drawn(frame, 900), drawn(frame.sample(frac=1, random_state=1), 900)
    assert set(one.rows.index) == set(other.rows.index)
    weights = pd.Series(other.weight, index=other.rows.index)[one.rows.index]
    np.testing.assert_allclose(one.weight, weights, rtol=1e-12)


def test_all_rows_are_kept_as_they_are_where_there_are_no_more() -> None:
    frame = panel()
    found = drawn(frame, 6_000)
    assert found.rows is frame
    np.testing.assert_array_equal(found.weight, frame["w"])


def test_no_rows_and_customers_that_do_not_fit_leave_nobody() -> None:
    assert drawn(panel().iloc[:0], 10).n_customers == 0
    assert drawn(panel(), 2).n_customers == 0
