"""The portfolio library put together: what is left out, what is chosen, and what is told of it."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import StudyError
from features.study import Money
from models.cash import Cohort
from models.combinations import Combinations, combine
from models.costs import Cost
from models.forecasts import Refusal, sample
from models.funding import Funding
from models.funding_plan import QUESTIONS, customer_spread, plan_funding
from models.retention import constant_retention
from models.simulation import worth_of
from tests.worths import a_forecast, an_effect, an_initiative, an_overlap

COHORT, MONEY = Cohort(10_000, 91), Money(margin=0.6, discount_rate=0.08, months=24)
RETENTION = constant_retention(24)


def planned(forecasts, funding=None, refusals=(), overlaps=(), seed=3):
    samples = sample(forecasts, overlaps, np.random.default_rng(seed), draws=600)
    worths = [worth_of(one, COHORT, MONEY, RETENTION) for one in samples.initiatives]
    pairs = combine(samples, COHORT, MONEY, RETENTION)
    return plan_funding(worths, refusals, pairs, funding or Funding(), COHORT, MONEY, np.random.default_rng(1)), worths


def good(name, once=1_000.0, churn=-0.01, at=0, **given):
    return a_forecast(name, an_effect(churn=churn, se=0.001, at=at), cost=Cost(once=once), **given)


def test_what_earns_its_cost_is_funded_and_what_does_not_is_not():
    plan, worths = planned([good("a"), good("b", once=1e6)])
    assert plan.portfolio.members == ("a",)
    assert plan.portfolio.mean == pytest.approx(worths[0].npv.mean())
    assert plan.portfolio.gap == 0


def test_the_budget_takes_the_mean_of_what_is_spent_and_not_the_savings():
    saving = a_forecast("a", an_effect(), cost=Cost(once=(900, 1_000, 1_100), saved_monthly=500))
    with pytest.raises(StudyError, match="budget"):
        planned([saving], Funding(budget=990))
    assert planned([saving], Funding(budget=1_010))[0].portfolio.members == ("a",)


def test_two_that_do_the_same_are_funded_once():
    forecasts = [good("a", once=2_000), good("b", once=2_500)]
    assert planned(forecasts)[0].portfolio.members == ("a", "b")
    whole = [an_overlap(("a", "b"), churn=-0.01)]
    assert planned(forecasts, overlaps=whole)[0].portfolio.members == ("a",)


def test_what_is_refused_is_left_out_with_all_that_needs_it_and_said():
    refused = Refusal(an_initiative("weather"), "nobody controls it")
    forecasts = [good("a"), good("b", needs=("weather",)), good("c", needs=("b",)), good("d", excludes=("weather",))]
    plan, _ = planned(forecasts, refusals=[refused])
    assert plan.portfolio.members == ("a", "d")
    assert plan.notes == (
        "left out: b, as it needs 'weather', which is left out.",
        "left out: c, as it needs 'b', which is left out.",
        "left out: weather, as it is refused.",
    )


def test_a_must_that_is_refused_and_nothing_to_choose_from_are_errors():
    refused = Refusal(an_initiative("weather"), "nobody controls it")
    with pytest.raises(StudyError, match="'weather' must be done, but it is refused"):
        planned([good("a")], Funding(must=("weather",)), refusals=[refused])
    with pytest.raises(StudyError, match="No initiative is left to choose from"):
        plan_funding([], [refused], Combinations(()), Funding(), COHORT, MONEY, np.random.default_rng(1))


def test_early_wins_pay_for_what_is_dear():
    quick = good("quick", once=2_000, churn=-0.02)
    dear = good("dear", once=9_000, churn=-0.02)
    plan, _ = planned([dear, quick], Funding(cash=2_500))
    assert plan.schedule is not None
    assert [one.name for one in plan.schedule.starts] == ["quick", "dear"]
    assert plan.schedule.starts[1].month > 1
    assert plan.schedule.lowest >= -1e-6
    with pytest.raises(StudyError, match="balance"):
        planned([dear, quick], Funding(cash=100))


def test_without_cash_the_budget_is_at_hand_and_without_a_budget_enough_for_all():
    assert planned([good("a")], Funding(budget=5_000))[0].cash == 5_000
    assert planned([good("a"), good("b", once=500)])[0].cash == pytest.approx(1_500)


def test_a_close_call_is_what_should_be_piloted_and_a_clear_one_is_not():
    gain = planned([good("x", once=0.0)])[1][0].npv.mean()
    # Errors of their own: a trial of one would else tell of the other.
    plan, _ = planned([good("clear"), good("close", once=gain, at=6)])
    assert plan.pilots.pilots[0].name == "close"
    worth = {one.name: one.perfect for one in plan.pilots.pilots}
    assert worth["close"] > 100 * worth["clear"]
    close = plan.stability.by_draw[plan.stability.names.index("close")]
    assert 0.3 < close < 0.7


def test_the_spread_of_customers_is_that_of_simulated_lifetimes():
    worth = planned([good("a")])[1][0]
    rng = np.random.default_rng(1)
    hazard = -np.log(0.94) / COHORT.horizon_months
    months = np.minimum(rng.exponential(1 / hazard, 200_000), 24)
    per_month = 90.0 / (0.06 / -np.log(0.94)) / COHORT.horizon_months
    rate = np.log(1.08) / 12
    value = 0.6 * per_month * (1 - np.exp(-rate * months)) / rate
    assert customer_spread(worth, COHORT, MONEY) == pytest.approx(value.std(), rel=0.02)


def test_the_same_seed_gives_the_same_plan():
    one, two = (planned([good("a"), good("b", once=60_000)])[0] for _ in range(2))
    assert (one.stability.by_sample == two.stability.by_sample).all()
    assert one.pilots == two.pilots


def test_an_initiative_starts_its_own_months_after_it_is_decided() -> None:
    plan, _ = planned([good("a", start_month=5), good("b")])
    assert plan.schedule is not None
    assert {one.name: one.month for one in plan.schedule.starts} == {"b": 0, "a": 1}
    found = plan.starts({"a": 5, "b": 0})
    assert found[["initiative", "month"]].to_numpy().tolist() == [["b", 0], ["a", 6]]
    assert found["balance"].tolist() == [plan.schedule.balance[0], plan.schedule.balance[6]]


def test_where_nothing_starts_there_is_no_order() -> None:
    plan, _ = planned([good("a", once=1e9)])
    assert plan.starts({}).empty


def test_of_many_all_questions_are_answered_and_told_and_all_start_within_two_years() -> None:
    many = [good(f"i{k:02d}", once=500.0 + 10 * k, churn=-0.001 * (k % 9), at=2 * k) for k in range(60)]
    samples = sample(many, (), np.random.default_rng(3), draws=200)
    worths = [worth_of(one, COHORT, MONEY, RETENTION) for one in samples.initiatives]
    told: list[str] = []
    plan = plan_funding(worths, (), Combinations(()), Funding(), COHORT, MONEY, np.random.default_rng(1), told.append)
    assert plan.portfolio.gap < 1e-3
    assert tuple(told) == QUESTIONS
    starts = plan.starts(dict.fromkeys((f"i{k:02d}" for k in range(60)), 0))
    assert sorted(starts["initiative"]) == list(plan.portfolio.members)
    assert starts["month"].max() < 24 < len(starts)
    assert starts["month"].value_counts().max() <= 3
