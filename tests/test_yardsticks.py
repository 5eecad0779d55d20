"""Covariates as yardsticks: a hidden twin of a covariate bends an effect by exactly what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.effects import TargetRows, estimate_effect
from models.period_models import PeriodRows, fit_models
from models.yardsticks import Benchmark, Regression, sensitivity_of


def regression(covariance, coefficients, residual=1.0):
    p = len(coefficients)
    return Regression(np.asarray(covariance), np.zeros(p), np.asarray(coefficients), np.ones(p, bool), residual)


NO_SPEND = regression(np.eye(5), np.zeros(5))
PULL = np.array([[0.0, 0.0, 1.0]] * 3)


def compared(short, ties):
    benchmark = Benchmark("w", np.array([1]), np.asarray(ties))
    return sensitivity_of(short, NO_SPEND, PULL, np.zeros((3, 5)), [benchmark], np.array([2]), charge=1.0).churn


@pytest.mark.parametrize("taken_out", [False, True])
@pytest.mark.parametrize(("gain", "tie"), [(3.0, 0.5), (0.4, 0.7), (0.1, 0.2)])
def test_a_hidden_twin_of_a_covariate_bends_by_exactly_what_is_said(gain, tie, taken_out):
    # y = d + gain (w + z) + e, d = tie (w + z) + v; z is not seen. Given d and w, z has slope tie / (1 + tie^2) on d.
    by_d, spread = tie / (1 + tie**2), 1 / (1 + tie**2)
    residual, slope_w = gain**2 * spread + 1, gain * (1 - tie * by_d)
    covariance = np.array([[1, 0, 0], [0, 1, tie], [0, tie, 1 + 2 * tie**2]])
    short = regression(covariance, [0, slope_w, 1 + gain * by_d], residual)
    ties = [[0.0, 0.0, 0.0]]
    if taken_out:  # the exposure as a deviation from what was to be expected of w
        turn = np.array([[1, 0, 0], [0, 1, -tie], [0, 0, 1]])
        slopes = [0, slope_w + tie * (1 + gain * by_d), 1 + gain * by_d]
        short, ties = regression(turn.T @ covariance @ turn, slopes, residual), [[0.0, 0.0, tie]]
    assert compared(short, ties).of("w") == pytest.approx(gain * by_d)


def world(rng, customers=20_000, hidden=3.0):
    """One period; exposure and outcomes depend on w, which is seen, and on z, which is as strong and is not."""
    w, z = rng.normal(size=(2, customers))
    a = 0.5 * w + 0.5 * (hidden > 0) * z + rng.normal(size=customers)
    spend = 20 - 2 * a + 3 * w + hidden * z + rng.normal(size=customers)
    churned = (rng.random(customers) < 0.1).astype(float)
    X, one, key = np.column_stack([np.ones(customers), w, a]), np.ones(customers), np.arange(customers)
    benchmark = Benchmark("w", np.array([1]), np.zeros((1, 3)))
    free = np.array([False, False, True])
    rows = PeriodRows(X, free, np.ones(3, bool), churned, spend, one, key, one, one, (benchmark,))
    zeros = np.zeros(customers, np.int64)
    target = TargetRows(X, np.full((customers, 1), -1.0), np.array([2]), zeros, zeros, key, one, one, one)
    return estimate_effect(fit_models(rows, rng), target), 2.0


def test_where_something_as_strong_as_a_covariate_is_hidden_the_bend_is_the_bias_and_the_interval_misses_the_truth():
    effect, truth = world(np.random.default_rng(1))
    bound, bias = effect.sensitivity.revenue, abs(effect.revenue.value - truth)
    assert not effect.revenue.lo <= truth <= effect.revenue.hi
    assert bound.of("w") == pytest.approx(bias, rel=0.1)  # two per cent of ridge, and sampling error
    wider = bound.band(effect.revenue, "w", times=1.2)
    assert wider.lo <= truth <= wider.hi


def test_the_bound_of_customers_of_one_row_is_their_standard_error():
    effect, _ = world(np.random.default_rng(2), hidden=0.0)
    (way,) = effect.sensitivity.spend.ways
    assert way.scale / np.sqrt(effect.customers) == pytest.approx(effect.spend.se, rel=0.05)


def test_part_of_the_reach_has_that_part_of_the_bend():
    effect, _ = world(np.random.default_rng(3), customers=2_000)
    whole, half = effect.sensitivity, effect.sensitivity.scaled(0.5)
    assert half.revenue.of("w") == pytest.approx(whole.revenue.of("w") / 2)
    assert half.churn.robustness(0.01) == pytest.approx(whole.churn.robustness(0.02))


def test_units_of_a_covariate_do_not_matter():
    base = np.array([[1, 0, 0], [0, 1, 0.7], [0, 0.7, 1.49]])
    unit = np.diag([1.0, 1000.0, 1.0])
    one = regression(base, [0, 0.5, 1])
    other = replace(one, information=unit @ base @ unit, coefficients=one.coefficients / np.diag(unit))
    bends = [compared(r, np.zeros((1, 3))).of("w") for r in (one, other)]
    assert bends[0] == pytest.approx(bends[1])
