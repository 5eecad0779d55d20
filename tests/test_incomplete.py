"""A normal distribution from rows with gaps: closed form, likelihood row by row, and what has no influence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from models.incomplete import Gaps, fit_normal
from tests.gappy import gappy

FloatArray = NDArray[np.float64]
TIGHT = 1e-13


def ones(values: FloatArray) -> FloatArray:
    return np.ones(len(values))


def row_likelihood(values: FloatArray, mean: FloatArray, cov: FloatArray) -> float:
    """Log likelihood of the observed values of an average row, row by row."""
    total = 0.0
    for row in values:
        seen = ~np.isnan(row)
        total += multivariate_normal(mean[seen], cov[np.ix_(seen, seen)]).logpdf(row[seen])
    return total / len(values)


def test_with_one_incomplete_column_it_is_the_factored_likelihood() -> None:
    """Anderson 1957; Little and Rubin 2019, section 7.2: regression on the complete column, put together."""
    rng = np.random.default_rng(1)
    x = rng.normal(3, 2, 400)
    y = 1 + 0.5 * x + rng.normal(0, 1, 400)
    y[x > 4] = np.nan
    seen = ~np.isnan(y)
    slope = np.cov(x[seen], y[seen])[0, 1] / x[seen].var(ddof=1)
    variance = y[seen].var() + slope**2 * (x.var() - x[seen].var())
    found = fit_normal(np.column_stack([x, y]), np.ones(400), tolerance=TIGHT)
    assert found.is_converged
    np.testing.assert_allclose(found.mean, [x.mean(), y[seen].mean() + slope * (x.mean() - x[seen].mean())], rtol=1e-5)
    expected = [[x.var(), slope * x.var()], [slope * x.var(), variance]]
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-5)


@given(seed=st.integers(0, 10_000), columns=st.integers(2, 5))
def test_no_step_lowers_the_likelihood(seed: int, columns: int) -> None:
    values = gappy(40, columns, seed)
    found = fit_normal(values, ones(values), tolerance=TIGHT, max_iterations=50)
    assert (np.diff(found.log_likelihood) >= -1e-10).all()


def test_the_likelihood_is_that_of_the_observed_values_and_cannot_be_raised() -> None:
    values = gappy(120, 3)
    found = fit_normal(values, ones(values), tolerance=TIGHT)
    best = row_likelihood(values, found.mean, found.covariance)
    assert found.log_likelihood[-1] == pytest.approx(best, abs=1e-6)
    for column in range(3):
        aside = found.mean.copy()
        aside[column] += 0.05
        assert row_likelihood(values, aside, found.covariance) < best
        wider = found.covariance.copy()
        wider[column, column] *= 1.1
        assert row_likelihood(values, found.mean, wider) < best


def test_a_weight_of_two_is_a_row_twice() -> None:
    values = gappy(80)
    weight = np.where(np.arange(80) < 30, 2.0, 1.0)
    once = fit_normal(values, weight)
    twice = fit_normal(np.vstack([values, values[:30]]), np.ones(110))
    np.testing.assert_allclose(once.mean, twice.mean, rtol=1e-9)
    np.testing.assert_allclose(once.covariance, twice.covariance, rtol=1e-8)


def test_the_order_of_rows_and_the_units_have_no_influence() -> None:
    values = gappy()
    found = fit_normal(values, ones(values))
    mixed = np.random.default_rng(5).permutation(len(values))
    other = fit_normal(values[mixed] * 100 - 7, ones(values))
    np.testing.assert_allclose(other.mean, found.mean * 100 - 7, rtol=1e-9)
    np.testing.assert_allclose(other.covariance, found.covariance * 1e4, rtol=1e-8)


def test_a_constant_column_and_a_copy_do_no_harm() -> None:
    values = gappy()
    more = np.column_stack([values[:, -1], np.full(len(values), 3.0), values])
    found, plain = fit_normal(more, ones(more)), fit_normal(values, ones(values))
    np.testing.assert_allclose(found.mean[2:], plain.mean, rtol=1e-4)
    np.testing.assert_allclose(found.covariance[2:, 2:], plain.covariance, rtol=1e-3)
    assert found.mean[1] == 3.0


def test_what_stopped_early_says_so() -> None:
    values = gappy()
    found = fit_normal(values, ones(values), max_iterations=2)
    assert (found.is_converged, found.iterations, found.n_patterns) == (False, 2, 8)
    assert fit_normal(values, ones(values)).is_converged


def test_conditioning_is_that_of_the_textbook() -> None:
    """Little and Rubin 2019, equation 11.4: regression of what is missing on what is there."""
    found = fit_normal(gappy(), np.ones(300))
    seen = np.array([[True, False, False, True], [True, True, True, True]])
    sigma = found.covariance * np.outer([1, 100, 1, 0.01], [1, 100, 1, 0.01])
    given = Gaps.of(~seen, sigma).given(seen)
    o, m = [0, 3], [1, 2]
    B = sigma[np.ix_(m, o)] @ np.linalg.inv(sigma[np.ix_(o, o)])
    np.testing.assert_allclose(given.onto[0][:, o], B, rtol=1e-6)
    np.testing.assert_allclose(given.onto[0][:, m], 0)
    np.testing.assert_allclose(given.left[0], sigma[np.ix_(m, m)] - B @ sigma[np.ix_(o, m)], rtol=1e-6)
    np.testing.assert_allclose(given.onto[1], 0)
    np.testing.assert_allclose(given.left[1], 0)
