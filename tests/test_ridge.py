"""Selective ridge regressions against statsmodels, and their corners."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from models.ridge import fit_linear, fit_logistic


def test_logistic_without_ridge_equals_statsmodels():
    rng = np.random.default_rng(11)
    X = np.column_stack([np.ones(3_000), rng.normal(size=(3_000, 3))])
    y = (rng.random(3_000) < 1 / (1 + np.exp(-(X @ [-3.0, 1.0, 0.0, -0.5])))).astype(float)
    weight = rng.uniform(0.5, 2.0, 3_000)
    ours = fit_logistic(X, y, weight, np.zeros(4, bool))
    theirs = sm.GLM(y, X, family=sm.families.Binomial(), freq_weights=weight).fit(tol=1e-12).params
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_linear_without_ridge_equals_statsmodels():
    rng = np.random.default_rng(12)
    X = np.column_stack([np.ones(500), rng.normal(size=(500, 2))])
    y, weight = X @ [1.0, 2.0, 3.0] + rng.normal(size=500), rng.uniform(0.5, 2.0, 500)
    theirs = sm.WLS(y, X, weights=weight).fit().params
    assert fit_linear(X, y, weight, np.zeros(3, bool)) == pytest.approx(theirs, abs=1e-9)


def test_exact_twins_among_the_columns_do_not_break_the_fit():
    rng = np.random.default_rng(13)
    x = rng.normal(size=1_000)
    X = np.column_stack([np.ones(1_000), x, x])
    y = (rng.random(1_000) < 0.2).astype(float)
    assert np.isfinite(fit_logistic(X, y, np.ones(1_000), np.array([False, True, True]))).all()


def test_columns_that_are_not_used_get_nothing_and_change_nothing():
    rng = np.random.default_rng(14)
    X = np.column_stack([np.ones(2_000), rng.normal(size=(2_000, 2))])
    y = (rng.random(2_000) < 0.02).astype(float)
    free = np.zeros(3, bool)
    part = fit_logistic(X, y, np.ones(2_000), free, np.array([True, True, False]))
    assert part[2] == 0.0
    assert part[:2] == pytest.approx(fit_logistic(X[:, :2], y, np.ones(2_000), free[:2]), abs=1e-9)


def test_a_rare_outcome_with_a_strong_cause_does_not_diverge():
    rng = np.random.default_rng(17)
    X = np.column_stack([np.ones(5_000), rng.standard_t(2, size=5_000)])
    y = (rng.random(5_000) < 1 / (1 + np.exp(-(X @ [-7.0, 1.5])))).astype(float)
    ours = fit_logistic(X, y, np.ones(5_000), np.zeros(2, bool))
    assert ours == pytest.approx(sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-12).params, abs=1e-4)
