"""Money of pairs: closed forms where both act, and nothing where one does nothing."""

from __future__ import annotations

import numpy as np
import pytest

from features.study import Money
from models.cash import Cohort
from models.combinations import Pair, combine, counted_pairs, differences, pair_difference
from models.costs import Cost
from models.forecasts import sample
from models.retention import constant_retention
from tests.worths import a_forecast, an_effect, an_overlap

COHORT, MONEY = Cohort(1_000, 91), Money(margin=0.5, discount_rate=0.0, months=12)
MONTHS = COHORT.horizon_months


def combined(forecasts, overlaps=(), draws=200):
    samples = sample(forecasts, overlaps, np.random.default_rng(1), draws)
    return combine(samples, COHORT, MONEY, constant_retention(12))


def lived(hazard):
    left = np.exp(-hazard * np.arange(13))
    return (left[1:] + left[:-1]).sum() / 2


def test_with_one_that_does_nothing_a_pair_is_worth_the_sum():
    (pair,) = combined([a_forecast("a"), a_forecast("b", an_effect(churn=0.0))]).pairs
    assert pair.difference == pytest.approx(np.zeros(200), abs=1e-6)


def test_costs_add_up_and_make_no_difference():
    nothing = an_effect(churn=0.0)
    (pair,) = combined(
        [a_forecast("a", nothing, cost=Cost(once=9)), a_forecast("b", nothing, cost=Cost(monthly=1))]
    ).pairs
    assert pair.npv_sum == pytest.approx(np.full(200, -21.0))
    assert pair.difference == pytest.approx(np.zeros(200), abs=1e-9)


def test_two_without_an_estimated_overlap_add_up_in_the_hazard():
    (pair,) = combined([a_forecast("a"), a_forecast("b", an_effect(churn=-0.02))]).pairs
    base = -np.log(0.94)
    first, second = (np.log(0.94 / (0.94 + e)) for e in (0.01, 0.02))
    per_month = 90.0 / (0.06 / base) / MONTHS
    months = [lived((base + change) / MONTHS) for change in (0.0, first, second, first + second)]
    expected = 0.5 * 1_000 * per_month * (months[3] - months[1] - months[2] + months[0])
    assert pair.difference == pytest.approx(np.full(200, expected))


def test_an_overlap_leaves_the_effect_of_both_over_the_horizon():
    overlap = an_overlap(("a", "b"), churn=-0.005)
    (pair,) = combined([a_forecast("a"), a_forecast("b")], [overlap]).pairs
    base, both = -np.log(0.94) / MONTHS, -np.log(0.955) / MONTHS
    one = -np.log(0.95) / MONTHS
    per_month = 90.0 / (0.06 / -np.log(0.94)) / MONTHS
    expected = 0.5 * 1_000 * per_month * (lived(both) - 2 * lived(one) + lived(base))
    assert pair.difference == pytest.approx(np.full(200, expected))
    assert expected < 0


def test_a_pair_of_the_same_initiative_twice_is_worth_one_where_the_overlap_is_whole():
    overlap = an_overlap(("a", "b"), churn=-0.01)
    (pair,) = combined([a_forecast("a"), a_forecast("b")], [overlap]).pairs
    assert pair.npv_sum + pair.difference == pytest.approx(pair.npv_sum / 2)


def test_two_that_are_never_active_together_have_no_overlap():
    overlap = an_overlap(("a", "b"), spend=3.0)
    early = a_forecast("a", an_effect(churn=0.0, spend=3.0), lasts_months=4)
    late = a_forecast("b", an_effect(churn=0.0, spend=3.0), start_month=4)
    (pair,) = combined([early, late], [overlap]).pairs
    assert pair.difference == pytest.approx(np.zeros(200), abs=1e-6)


def test_the_table_names_pairs_in_order_of_size_and_says_which_overlaps_were_estimated():
    forecasts = [a_forecast("c"), a_forecast("a"), a_forecast("b", an_effect(churn=-0.001))]
    table = combined(forecasts, [an_overlap(("a", "c"), churn=-0.005, se=0.001)]).to_frame()
    assert table.loc[0, ["first", "second"]].tolist() == ["a", "c"]
    assert table["churn_overlap"].notna().tolist() == [True, False, False]
    assert table.loc[0, "difference_lo"] < table.loc[0, "difference"] < table.loc[0, "difference_hi"]
    assert (table["npv_together"] - table["npv_sum"]).to_numpy() == pytest.approx(table["difference"].to_numpy())


def test_many_pairs_at_once_are_what_each_is_by_itself_also_of_the_first_draws():
    cost = Cost(once=(1.0, 5.0, 20.0), per_customer=(0.0, 0.1, 0.4))
    forecasts = [
        a_forecast(name, an_effect(churn=-0.01 * k, spend=0.3, se=0.004, base_churn=base, at=k), cost=cost)
        for k, (name, base) in enumerate([("a", 0.06), ("b", 0.08), ("c", 0.06)], 1)
    ]
    overlap = an_overlap(("a", "b"), churn=-0.004, se=0.001)
    samples = sample(forecasts, [overlap], np.random.default_rng(1), 200)
    retention, (drawn,) = constant_retention(12), samples.overlaps
    pairs = [(one, other, drawn if one.name + other.name == "ab" else None) for one, other in counted_pairs(samples)]
    assert [one.name + other.name for one, other, _ in pairs] == ["ab", "ac", "bc"]
    found = differences(pairs, COHORT, MONEY, retention)
    first = differences(pairs, COHORT, MONEY, retention, draws=30)
    for one, other, lost in pairs:
        alone = pair_difference(Pair.of(one, other, lost), COHORT, MONEY, retention)
        np.testing.assert_array_equal(found[one.name, other.name], alone)
        np.testing.assert_array_equal(first[one.name, other.name], alone[:30])
