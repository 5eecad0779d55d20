"""Differences of plans: what is common cancels, what is the same differs by nothing, what is apart adds its spread."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from features.study import Money
from models.cash import Cohort
from models.costs import Cost
from models.differences import differences
from models.forecasts import sample
from models.outlooks import OUTCOMES, Outlook, outlook
from models.retention import constant_retention
from tests.worths import a_forecast, an_effect

DRAWS = 20_000


def plan(npv, churn=None):
    """A plan with these draws of value; cost and revenue follow it."""
    drawn = np.asarray(npv, float)
    left = -drawn / 1_000 if churn is None else np.asarray(churn, float)
    return Outlook(("a",), 12, 100, {"npv": drawn, "churn": left, "revenue": 2 * drawn, "cost": -drawn})


def normal(mean, sd, seed):
    return mean + sd * np.random.default_rng(seed).standard_normal(DRAWS)


def held(plans, worlds=None, seed=1):
    return differences(plans, worlds or ["w"] * len(plans), np.random.default_rng(seed))


def npv_of(found, at=1):
    return next(one for one in found.found if one.outcome == "npv" and one.plan == at)


def test_the_same_plan_differs_by_exactly_nothing():
    one = plan(normal(10, 100, 0))
    found = held([one, one])
    for each in found.found:
        assert (each.value, each.lo, each.hi, each.p_better, each.verdict) == (0, 0, 0, 0.5, "the same")
    assert found.p_best == (0.5, 0.5)


def test_common_noise_cancels_and_the_rest_has_its_closed_form():
    common = normal(0, 1_000, 0)
    found = npv_of(held([plan(common), plan(common + 5)]))
    assert (found.lo, found.value, found.hi) == pytest.approx((5, 5, 5))
    own = normal(3, 2, 1)
    found = npv_of(held([plan(common), plan(common + own)]))
    z = stats.norm.ppf(0.95)
    # Monte Carlo error of a 5 % quantile of 20,000 normals: sd x sqrt(0.05 x 0.95 / n) / density = 0.015 sd.
    assert (found.lo, found.hi) == pytest.approx((3 - 2 * z, 3 + 2 * z), abs=5 * 0.015 * 2)
    assert found.value == pytest.approx(3, abs=5 * 2 / DRAWS**0.5)
    assert found.p_better == pytest.approx(stats.norm.cdf(3 / 2), abs=0.01)
    assert found.is_paired


def test_plans_of_two_worlds_have_the_spread_of_both_even_where_chance_numbers_agree():
    common = normal(0, 30, 0)
    found = npv_of(held([plan(common), plan(common + 10)], ["one", "other"]))
    z = stats.norm.ppf(0.95) * 30 * 2**0.5
    assert not found.is_paired
    assert (found.lo, found.hi) == pytest.approx((10 - z, 10 + z), abs=5 * 0.015 * 43)
    assert found.verdict == "undecided"


def test_two_plans_of_a_second_world_stay_paired_with_each_other():
    base, other = normal(0, 10, 0), normal(0, 10, 5)
    found = held([plan(base), plan(other), plan(other + 1)], ["one", "two", "two"])
    # The third is better than the second in every draw, so the second is never the best.
    assert found.p_best[1] == 0
    assert sum(found.p_best) == pytest.approx(1)


def test_better_depends_on_the_outcome():
    found = {one.outcome: one for one in held([plan([1.0, 2.0]), plan([3.0, 4.0], [0.5, 0.5])]).found}
    assert {name: one.verdict for name, one in found.items()} == {
        "npv": "better", "churn": "worse", "revenue": "better", "cost": "better",
    }  # fmt: skip
    assert found["cost"].value == -2
    assert found["churn"].p_better == 0


def test_of_different_numbers_of_draws_as_many_as_the_fewest_are_used():
    found = held([plan(np.zeros(50)), plan(np.arange(30.0))], ["one", "two"])
    assert {one.n for one in found.found} == {30}
    assert npv_of(found).value == pytest.approx(14.5)


def test_tables_name_every_plan_and_outcome():
    found = held([plan([1.0]), plan([2.0]), plan([0.0])])
    assert found.to_frame()[["outcome", "plan"]].values.tolist() == [[o, p] for o in OUTCOMES for p in (1, 2)]
    assert len(found.levels) == 3 * len(OUTCOMES)
    assert found.levels.query("plan == 1 and outcome == 'npv'")["value"].item() == 2


def test_a_later_start_is_told_apart_from_much_larger_uncertainty():
    """Known truth: the same initiative a month later is worth less in every draw, however unsure its effect is."""
    cohort, money, stay = Cohort(1_000, 91), Money(months=24), constant_retention(24)

    def one(**given):
        effect = an_effect(churn=-0.01, se=0.004)
        samples = sample([a_forecast("a", effect, cost=Cost(once=500), **given)], (), np.random.default_rng(4), 1_000)
        return outlook(samples, cohort, money, stay)

    now, later = one(), one(start_month=1)
    paired, apart = (npv_of(held([now, later], worlds)) for worlds in (["w", "w"], ["w", "x"]))
    assert (paired.verdict, apart.verdict) == ("worse", "undecided")
    assert paired.hi - paired.lo < 0.1 * (apart.hi - apart.lo)
