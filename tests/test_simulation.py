"""Money from effects, against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.study import Money
from models.cash import Cohort, activity
from models.costs import Cost
from models.effects import Effect, Estimate
from models.forecasts import Forecast, Refusal
from models.initiatives import Change, Initiative
from models.retention import Retention
from models.simulation import simulate

HORIZON = 91
MONTHS = HORIZON / (365.25 / 12)
CHANGE = Change(journey="support", measure="wait", scale=0.5)


def effect(churn=-0.01, spend=0.0, se=0.0, base_churn=0.06, base_revenue=90.0, customers=400):
    """An effect whose influence functions give the stated standard errors, independent of each other."""
    influence = np.zeros((customers, 3))
    influence[0, 0] = influence[1, 2] = se
    revenue = Estimate(spend - churn * base_revenue / 2, se)
    return Effect(Estimate(churn, se), revenue, Estimate(spend, se), base_churn, base_revenue, influence, customers)


def initiative(name="one", **given):
    return Initiative(name=name, changes=(CHANGE,), **given)


def worth(forecast_effect, money=None, seed=1, support=1.0, **given):
    forecast = Forecast(initiative(**given), forecast_effect, support, reached_share=0.5, contacts_per_month=0.2)
    cohort, money = Cohort(1_000, HORIZON), money or Money(margin=0.5, discount_rate=0.0, months=12)
    return simulate([forecast], [], cohort, money, np.random.default_rng(seed), order=["one"]).worths[0]


def test_no_effect_and_no_cost_are_worth_exactly_nothing():
    found = worth(effect(churn=0.0))
    assert (found.npv == 0).all()
    assert found.cost.sum() == 0


def test_the_gain_of_fewer_leavers_is_the_closed_form():
    found = worth(effect(churn=-0.01))
    hazard, moved = -np.log(0.94) / MONTHS, -np.log(0.95) / MONTHS
    per_month = 90.0 / (0.06 / -np.log(0.94)) / MONTHS
    left = [np.exp(-h * np.arange(13)) for h in (hazard, moved)]
    months_lived = [(path[1:] + path[:-1]).sum() / 2 for path in left]
    assert found.npv == pytest.approx(0.5 * 1_000 * per_month * (months_lived[1] - months_lived[0]))


def test_full_effect_over_the_horizon_keeps_the_stated_share_of_customers():
    found = worth(effect(churn=-0.01))
    assert found.customers_retained == pytest.approx(10.0)


def test_spend_of_stayers_is_paid_every_month():
    found = worth(effect(churn=0.0, spend=3.0))
    hazard = -np.log(0.94) / MONTHS
    lived = np.exp(-hazard * np.arange(13))
    monthly = 3.0 / (0.06 / -np.log(0.94)) / MONTHS
    assert found.npv == pytest.approx(0.5 * 1_000 * monthly * (lived[1:] + lived[:-1]).sum() / 2)


def test_costs_are_counted_when_they_fall_due():
    cost = Cost(once=100.0, monthly=10.0, per_customer=2.0)
    found = worth(effect(churn=0.0), cost=cost, start_month=2, lasts_months=5)
    assert found.cost == pytest.approx(100 + 5 * 10 + 0.5 * 1_000 * 2.0)
    assert found.npv == pytest.approx(-found.cost)


def test_a_contact_costs_where_there_are_contacts():
    found = worth(effect(churn=0.0, base_churn=1e-9), cost=Cost(per_contact=3.0))
    assert found.cost == pytest.approx(12 * 3.0 * 0.2 * 1_000, rel=1e-6)


def test_savings_are_a_gain():
    found = worth(effect(churn=0.0), cost=Cost(saved_monthly=7.0))
    assert found.npv == pytest.approx(12 * 7.0)


def test_discounting_makes_the_future_cheaper():
    rate = Money(margin=0.5, discount_rate=0.1, months=12)
    found = worth(effect(churn=0.0), money=rate, cost=Cost(monthly=1.0))
    assert found.cost == pytest.approx(sum(1.1 ** (-k / 12) for k in range(1, 13)))


def test_the_spread_of_the_draws_is_the_standard_error():
    wide = worth(effect(churn=-0.01, se=0.002), support=1.0)
    slope = (worth(effect(churn=-0.0101)).npv[0] - worth(effect(churn=-0.0099)).npv[0]) / 0.0002
    spend_slope = worth(effect(churn=0.0, spend=1.0)).npv[0]
    expected = 0.002 * np.hypot(slope, spend_slope)
    assert wide.npv.std() == pytest.approx(expected, rel=0.06)  # 4,000 draws: standard error of an sd is 1.1 %


def test_uncertain_delivery_widens_the_interval_and_keeps_the_mean():
    sure, unsure = worth(effect(), delivery=(0.75, 0.75, 0.75)), worth(effect(), delivery=(0.5, 0.75, 1.0))
    assert sure.npv.std() < 1e-6 < unsure.npv.std()
    assert unsure.npv.mean() == pytest.approx(sure.npv.mean(), rel=0.02)


def test_initiatives_that_rest_on_the_same_data_move_together():
    forecasts = [
        Forecast(initiative(name), effect(se=0.002), 1.0, reached_share=1.0, contacts_per_month=0.0)
        for name in ("one", "two")
    ]
    found = simulate(forecasts, [], Cohort(1_000, HORIZON), Money(), np.random.default_rng(2), order=["one", "two"])
    assert np.corrcoef(found.worths[0].npv, found.worths[1].npv)[0, 1] > 0.999


def test_the_same_seed_gives_the_same_numbers():
    one, two = (worth(effect(se=0.001), delivery=(0.4, 0.6, 1.0), seed=3) for _ in range(2))
    assert (one.npv == two.npv).all()


@pytest.mark.parametrize(
    ("given", "support", "cost", "expected"),
    [
        (effect(churn=-0.01, se=0.0001), 1.0, 0.0, "worth it"),
        (effect(churn=-0.01, se=0.0001), 1.0, 1e6, "not worth it"),
        (effect(churn=0.0, se=0.01), 1.0, 0.0, "undecided"),
        (effect(churn=0.01, se=0.0001), 1.0, 0.0, "harmful"),
        (effect(churn=-0.01, se=0.0001), 0.2, 0.0, "unsupported"),
        (effect(churn=-0.01, se=0.0001, customers=150), 1.0, 0.0, "undecided"),
    ],
)
def test_the_verdict_follows_the_stated_rules(given, support, cost, expected):
    assert worth(given, support=support, cost=Cost(once=cost)).verdict == expected


@pytest.mark.parametrize(("spend", "verdict"), [(-0.5, "worth it"), (-30.0, "not worth it")])
def test_a_mixed_effect_is_worth_what_the_money_says_and_both_sides_are_told(spend, verdict):
    found = worth(effect(churn=-0.01, se=0.0001, spend=spend))
    assert (found.ruling.verdict, found.verdict) == ("mixed", verdict)
    assert found.reason.endswith("of the draws. Beyond chance fewer customers leave, but less is spent.")


def test_a_harmful_initiative_says_what_gets_worse():
    assert worth(effect(churn=0.01, se=0.0001)).reason == "Beyond chance more customers leave and less is spent."


def test_payback_is_the_month_in_which_the_balance_stays_above_zero():
    gain = worth(effect(churn=0.0), cost=Cost(saved_monthly=10.0, once=35.0))
    assert gain.payback_months == 4.0
    assert np.isnan(worth(effect(churn=0.0), cost=Cost(once=35.0)).payback_months)


def test_refused_initiatives_stay_in_their_place_without_numbers():
    forecast = Forecast(initiative("one"), effect(), 1.0, reached_share=1.0, contacts_per_month=0.0)
    refused = Refusal(initiative("two"), "nobody controls the weather")
    found = simulate(
        [forecast], [refused], Cohort(10, HORIZON), Money(), np.random.default_rng(1), order=["two", "one"]
    ).to_frame()
    assert found["name"].tolist() == ["two", "one"]
    assert found.loc[0, "verdict"] == "refused"
    assert found.loc[0, ["npv", "churn_effect"]].isna().all()


def test_nothing_to_simulate_gives_an_empty_table():
    assert simulate([], [], Cohort(10, HORIZON), Money(), np.random.default_rng(1), order=[]).to_frame().empty


def test_activity_ramps_up_and_ends():
    ramped = activity(initiative(start_month=2, ramp_months=4), 8)
    assert ramped.tolist() == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_the_error_of_the_form_moves_churn_and_spend_of_an_initiative_together_and_none_of_another():
    sure = effect(churn=-0.001, spend=1.0)
    loose = replace(sure, churn=replace(sure.churn, form=0.1), spend=replace(sure.spend, form=0.1))
    cohort, money = Cohort(1_000, HORIZON), Money(margin=0.5, discount_rate=0.0, months=12)
    names = ("one", "two", "three")
    forecasts = [
        Forecast(initiative(name), one, 1.0, reached_share=0.5, contacts_per_month=0.2)
        for name, one in zip(names, (sure, loose, loose), strict=True)
    ]
    worths = simulate(forecasts, [], cohort, money, np.random.default_rng(3), order=names).worths
    still, first, second = (one.npv for one in worths)
    assert np.ptp(still) < 1e-6
    # Small effects: what is earned is proportional to them, churn and spend moved by the same factor.
    assert first.std() / first.mean() == pytest.approx(0.1, rel=0.05)
    assert first.mean() == pytest.approx(still.mean(), rel=0.01)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_the_path_starts_with_the_cohort_and_ends_with_the_closed_form():
    path = worth(effect(churn=-0.01)).path
    hazard, moved = -np.log(0.94) / MONTHS, -np.log(0.95) / MONTHS
    assert path.customers[0] == path.customers_without[0] == 1_000
    assert path.customers_without[12] == pytest.approx(1_000 * np.exp(-12 * hazard))
    assert path.customers[12] == pytest.approx(1_000 * np.exp(-12 * moved))
    per_month = 90.0 / (0.06 / -np.log(0.94)) / MONTHS
    mid = (path.customers_without[4] + path.customers_without[5]) / 2
    assert path.revenue_without[5] == pytest.approx(per_month * mid)
    assert path.revenue[0] == 0.0


def test_the_path_discounted_is_the_net_present_value():
    money = Money(margin=0.5, discount_rate=0.1, months=12)
    found = worth(effect(se=0.002), money=money, cost=Cost(once=50.0, monthly=3.0, saved_monthly=1.0))
    assert found.path.balance @ 1.1 ** (-np.arange(13) / 12) == pytest.approx(found.npv.mean())
    gain = 0.5 * (found.path.revenue - found.path.revenue_without)
    spent = np.array([50.0] + [2.0] * 12)
    assert found.path.balance == pytest.approx(gain - spent)


def test_the_band_holds_nine_of_ten_draws_and_the_mean():
    path = worth(effect(se=0.003)).path
    assert (path.customers_lo[1:] < path.customers[1:]).all()
    assert (path.customers[1:] < path.customers_hi[1:]).all()
    se = 1_000 * 0.003 * 0.94 ** (12 / MONTHS - 1) * 12 / MONTHS  # slope of the survivors by the effect
    assert path.customers_hi[12] - path.customers_lo[12] == pytest.approx(2 * 1.645 * se, rel=0.06)


def test_worst_is_the_mean_of_the_worst_tenth():
    found = worth(effect(se=0.002))
    assert found.npv_worst == pytest.approx(np.sort(found.npv)[:400].mean())


def test_a_cost_that_is_not_known_spreads_the_draws_and_is_told_with_its_interval():
    found = worth(effect(churn=0.0), cost=Cost(once=(100, 200, 600)))
    assert found.cost.mean() == pytest.approx(250, rel=0.02)
    assert found.npv == pytest.approx(-found.cost)
    assert found.outlay == pytest.approx(found.cost.mean())


def test_a_falling_hazard_leaves_less_to_save_and_the_constant_one_stands_beside():
    falling = Retention(np.array([1.0] * 3 + [0.5] * 9), 12, 5_000)
    forecast = Forecast(initiative(), effect(churn=-0.01), 1.0, reached_share=0.5, contacts_per_month=0.2)
    cohort, money = Cohort(1_000, HORIZON), Money(margin=0.5, discount_rate=0.0, months=12)
    found = simulate([forecast], [], cohort, money, np.random.default_rng(1), order=["one"], retention=falling).worths[
        0
    ]
    assert found.npv_constant == pytest.approx(worth(effect(churn=-0.01)).npv)
    hazard, moved = -np.log(0.94) / MONTHS, -np.log(0.95) / MONTHS
    assert found.path.customers[12] == pytest.approx(1_000 * np.exp(-moved * (3 + 4.5)))
    assert found.path.customers_without[12] == pytest.approx(1_000 * np.exp(-hazard * (3 + 4.5)))
    assert (found.npv < found.npv_constant).all()


def test_an_initiative_draws_the_same_alone_and_with_others_in_any_order():
    def forecast(name):
        return Forecast(initiative(name, delivery=(0.4, 0.6, 1.0)), effect(se=0.002), 1.0, 0.5, 0.2)

    cohort, money = Cohort(1_000, HORIZON), Money()
    alone = simulate([forecast("b")], [], cohort, money, np.random.default_rng(4), order=["b"]).worths[0]
    several = simulate(
        [forecast("c"), forecast("b"), forecast("a")], [], cohort, money, np.random.default_rng(4), order=["b"]
    ).worths[1]
    assert (alone.npv == several.npv).all()


def test_another_start_is_compared_under_the_same_luck():
    early, late = (worth(effect(se=0.002), delivery=(0.4, 0.6, 1.0), start_month=month) for month in (0, 3))
    assert np.corrcoef(early.npv, late.npv)[0, 1] > 0.999


def test_refused_initiatives_have_no_path_and_no_bars():
    refused = Refusal(initiative("two"), "nobody controls the weather")
    found = simulate([], [refused], Cohort(10, HORIZON), Money(), np.random.default_rng(1), order=["two"])
    assert found.paths().empty
    assert found.tornado().empty
