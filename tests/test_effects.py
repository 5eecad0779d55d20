"""The effect estimator against closed forms, references and a company of coin flips whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.errors import EmptyResultError
from models.effects import Estimate, TargetRows, estimate_effect
from models.period_models import PeriodRows, fit_models

PERIODS = 13


def estimated(rows, target, rng):
    return estimate_effect(fit_models(rows, rng), target)


def world(rng, customers=6_000, effect=0.6, shift=-0.5):
    """Hazard depends on a confounder z and an exposure a that z drives; spend likewise."""
    z = rng.normal(size=customers)
    rows = []
    alive = np.ones(customers, bool)
    for t in range(PERIODS * 2):
        a = 0.7 * z + rng.normal(size=customers)
        h = 1 / (1 + np.exp(-(-4.2 + effect * a + 0.8 * z)))
        spend = 10 - 2.0 * a + 3.0 * z + rng.normal(size=customers)
        left = rng.random(customers) < h
        rows.append((np.flatnonzero(alive), a[alive], z[alive], left[alive], spend[alive], t))
        alive &= ~left
    key = np.concatenate([r[0] for r in rows])
    a, z_row = (np.concatenate([r[i] for r in rows]) for i in (1, 2))
    t = np.concatenate([np.full(len(r[0]), r[5]) for r in rows])
    X = np.column_stack([np.ones(len(a)), z_row, a])
    data = PeriodRows(
        X,
        np.array([False, False, True]),
        np.ones(3, bool),
        np.concatenate([r[3] for r in rows]).astype(float),
        np.concatenate([r[4] for r in rows]),
        np.ones(len(a)),
        key.astype(np.int64),
        np.ones(len(a)),
        np.ones(len(a)),
    )
    live = t >= PERIODS
    n = int(live.sum())
    target = TargetRows(
        X[live],
        np.full((n, 1), shift),
        np.array([2]),
        np.zeros(n, np.int64),
        (t[live] - PERIODS).astype(np.int64),
        key[live].astype(np.int64),
        np.ones(n),
        np.ones(n),
        np.ones(n),
    )
    return data, target, z[np.unique(key[t == PERIODS])]


def truth(z, effect=0.6, shift=-0.5):
    """Survival and spend with and without the shift, exactly: given z the exposures of periods are independent."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    out = []
    for move in (0.0, shift):
        a = 0.7 * z[:, None] + nodes + move
        stays = 1 - (weights / (1 + np.exp(-(-4.2 + effect * a + 0.8 * z[:, None])))).sum(axis=1)
        alive = stays[:, None] ** np.arange(PERIODS)
        spend = 10 - 2.0 * (0.7 * z + move) + 3.0 * z
        out.append([1 - (stays**PERIODS).mean(), (alive * spend[:, None]).sum(axis=1).mean()])
    return np.subtract(out[1], out[0])


def test_effects_lie_within_their_standard_errors_of_the_truth():
    rng = np.random.default_rng(1)
    rows, target, z = world(rng, customers=20_000)
    effect = estimated(rows, target, np.random.default_rng(2))
    churn, revenue = truth(z)
    assert abs(effect.churn.value - churn) < 3 * effect.churn.se
    assert abs(effect.revenue.value - revenue) < 3 * effect.revenue.se
    assert effect.churn.se < 0.25 * abs(churn)  # an interval that is too wide would hide a wrong estimate
    assert effect.revenue.se < 0.25 * abs(revenue)


def test_intervals_cover_and_estimates_centre_on_the_truth():
    rng = np.random.default_rng(3)
    inside, bias, z_scores = [], [], []
    for seed in range(60):
        rows, target, z = world(rng, customers=2_000)
        effect = estimated(rows, target, np.random.default_rng(seed))
        churn, revenue = truth(z)
        inside.append([effect.churn.lo <= churn <= effect.churn.hi, effect.revenue.lo <= revenue <= effect.revenue.hi])
        bias.append([effect.churn.value / churn - 1, effect.revenue.value / revenue - 1])
        z_scores.append(
            [(effect.churn.value - churn) / effect.churn.se, (effect.revenue.value - revenue) / effect.revenue.se]
        )
    # 60 worlds at 90 %: standard error of the coverage is 0.039
    assert (np.mean(inside, axis=0) > 0.90 - 3 * 0.039).all()
    assert (np.abs(np.mean(bias, axis=0)) < 0.05).all()
    assert (np.std(z_scores, axis=0) > 0.6).all()


def test_a_policy_that_moves_nothing_has_exactly_no_effect():
    rows, target, _ = world(np.random.default_rng(4), shift=0.0)
    effect = estimated(rows, target, np.random.default_rng(5))
    assert effect.churn == Estimate(0.0, 0.0)
    assert effect.revenue == Estimate(0.0, 0.0)


def test_units_of_an_exposure_do_not_matter():
    rows, target, _ = world(np.random.default_rng(6), customers=2_000)
    unit = np.array([1.0, 1.0, 60.0])
    minutes = replace(rows, X=rows.X * unit)
    moved = replace(target, X=target.X * unit, shift=target.shift * 60.0)
    one = estimated(rows, target, np.random.default_rng(7))
    other = estimated(minutes, moved, np.random.default_rng(7))
    assert other.churn.value == pytest.approx(one.churn.value, rel=1e-6)
    assert other.revenue.se == pytest.approx(one.revenue.se, rel=1e-6)


def test_the_order_of_rows_does_not_matter():
    rows, target, _ = world(np.random.default_rng(8), customers=2_000)
    order = np.random.default_rng(9).permutation(len(target.customer))
    by_row = ("X", "shift", "go_live", "period", "customer", "weight", "due", "scale")
    shuffled = replace(target, **{name: getattr(target, name)[order] for name in by_row})
    one = estimated(rows, target, np.random.default_rng(10))
    other = estimated(rows, shuffled, np.random.default_rng(10))
    assert other.churn.value == pytest.approx(one.churn.value, rel=1e-9)


def test_following_a_sample_of_the_customers_at_risk_costs_what_they_differ():
    rows, target, _ = world(np.random.default_rng(21), customers=2_000)
    all_of_them, a_half, a_few = (
        estimated(rows, replace(target, sampled=share), np.random.default_rng(22)) for share in (1.0, 0.5, 0.0)
    )
    assert a_half.churn.value == all_of_them.churn.value
    assert all_of_them.churn.se < a_half.churn.se < a_few.churn.se
    # Residuals of who left know nothing of the states: both errors add up as independent ones do, in proportion.
    more = [one.churn.se**2 - all_of_them.churn.se**2 for one in (a_half, a_few)]
    assert more[0] == pytest.approx(more[1] / 2, rel=0.2)


def test_nobody_leaving_is_refused_with_the_counts():
    rows, target, _ = world(np.random.default_rng(15), customers=200)
    stay = replace(rows, churned=rows.churned * 0)
    with pytest.raises(EmptyResultError, match=r"0 of .* person-periods end in churn"):
        estimated(stay, target, np.random.default_rng(16))


def test_the_interval_is_the_ninety_per_cent_normal_one():
    assert Estimate(1.0, 2.0).lo == pytest.approx(1.0 - 2.0 * 1.6448536)


def test_one_survivor_of_an_extreme_hazard_does_not_carry_the_estimate():
    rows, target, _ = world(np.random.default_rng(18), customers=4_000)
    plain = estimated(rows, target, np.random.default_rng(19))
    X = target.X.copy()
    X[target.customer == target.customer[0], 2] = 12.0  # predicted to leave in every period, and yet stays
    odd, calm = replace(target, X=X, shift=target.shift * 5), replace(target, shift=target.shift * 5)
    disturbed, quiet = (estimated(rows, given, np.random.default_rng(19)) for given in (odd, calm))
    assert disturbed.churn.value == pytest.approx(quiet.churn.value, rel=0.05)
    assert plain.churn.value < 0


def billed(rng, customers=3_000, periods=8):
    """Charges of very different sizes every fourth period; what is felt takes a share of them away."""
    size = np.exp(rng.normal(3.0, 0.8, customers))
    phase = rng.integers(0, 4, customers)
    parts = []
    for t in range(periods):
        a = rng.normal(size=customers)
        due = ((t + phase) % 4 == 0).astype(float)
        spend = due * size * (1 - 0.05 * a + 0.1 * rng.normal(size=customers))
        parts.append((np.arange(customers), a, due, spend, np.full(customers, t)))
    key, a, due, spend, t = (np.concatenate(one) for one in zip(*parts, strict=True))
    X = np.column_stack([np.ones(len(a)), np.log(size[key]), a])
    churned = (rng.random(len(a)) < 0.02).astype(float)
    rows = PeriodRows(
        X, np.array([False, False, True]), np.ones(3, bool), churned, spend, np.ones(len(a)), key, due, size[key]
    )
    live = t >= periods // 2
    target = TargetRows(
        X[live], np.full((live.sum(), 1), -1.0), np.array([2]), np.zeros(live.sum(), np.int64),
        t[live] - periods // 2, key[live], np.ones(live.sum()), due[live], size[key[live]],
    )  # fmt: skip
    return rows, target, size


def test_knowing_when_and_how_much_is_charged_takes_the_noise_of_the_calendar_out_of_spend():
    rows, target, size = billed(np.random.default_rng(21))
    known = estimated(rows, target, np.random.default_rng(22))
    blind_rows, blind_target = (
        replace(one, due=np.ones_like(one.due), scale=np.ones_like(one.scale)) for one in (rows, target)
    )
    blind = estimated(blind_rows, blind_target, np.random.default_rng(22))
    # One charge in four periods; 5 % of it comes back.
    true = 0.05 * size.mean()
    assert abs(known.spend.value - true) < 3 * known.spend.se + 0.02 * true  # 2 %: the ridge
    assert known.spend.se < 0.1 * blind.spend.se
    assert abs(blind.spend.value - true) < 3 * blind.spend.se


def test_periods_in_which_nothing_is_charged_carry_no_effect_on_spend():
    rows, target, _ = billed(np.random.default_rng(23), customers=500)
    never = replace(target, due=np.zeros_like(target.due))
    assert estimated(rows, never, np.random.default_rng(24)).spend.value == pytest.approx(0.0, abs=1e-12)


def test_the_error_of_the_form_widens_the_interval_and_leaves_the_test_of_nothing_alone():
    plain, wide = Estimate(4.0, 0.3), Estimate(4.0, 0.3, 0.1)
    assert wide.spread == pytest.approx(0.5)
    assert wide.hi - wide.value == pytest.approx(1.6448536 * 0.5)
    assert wide.t == plain.t
    assert Estimate(0.0, 0.3, 0.1).hi == Estimate(0.0, 0.3).hi
