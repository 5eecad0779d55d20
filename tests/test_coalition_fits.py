"""Many logistic fits side by side: against statsmodels one by one, with weights, copies, rare events, separation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from models.coalition_fits import compressed, full_fit, smallest_losses


def some_rows(seed: int, n: int = 600, p: int = 5, rate: float = -1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.4 * rng.normal(size=(p, p)))
    y = (rng.random(n) < 1 / (1 + np.exp(-rate - X @ np.linspace(-0.6, 0.6, p)))).astype(float)
    return X, y, rng.uniform(0.5, 2.0, n)


def losses(X: np.ndarray, y: np.ndarray, columns: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    rows = compressed(X, y, weight)
    return smallest_losses(rows, columns, full_fit(rows))


def one_by_one(X: np.ndarray, y: np.ndarray, columns: np.ndarray, weight: np.ndarray | None = None) -> list[float]:
    found = []
    for used in columns:
        design = sm.add_constant(X[:, used]) if used.any() else np.ones((len(y), 1))
        model = sm.GLM(y, design, family=sm.families.Binomial(), freq_weights=weight)
        found.append(-float(model.fit(tol=1e-13, maxiter=200).llf))
    return found


def test_every_subset_has_the_likelihood_that_statsmodels_finds() -> None:
    X, y, weight = some_rows(1)
    columns = np.array([[subset >> k & 1 for k in range(5)] for subset in range(32)], dtype=bool)
    np.testing.assert_allclose(losses(X, y, columns, weight), one_by_one(X, y, columns, weight), rtol=1e-10)


def test_more_fits_than_are_taken_together_are_all_made() -> None:
    X, y, _ = some_rows(2, n=200, p=9)
    columns = np.random.default_rng(3).random((300, 9)) < 0.5
    found = losses(X, y, columns)
    at = [0, 127, 128, 255, 299]
    np.testing.assert_allclose(found[at], one_by_one(X, y, columns[at]), rtol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_rare_events_and_skewed_columns_are_fitted_to_the_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = np.exp(1.2 * rng.normal(size=(3000, 6)))
    y = (rng.random(3000) < 1 / (1 + np.exp(4.5 - 0.35 * X[:, 0] - 0.25 * X[:, 1]))).astype(float)
    assert 0.01 < y.mean() < 0.08
    columns = rng.random((40, 6)) < 0.5
    np.testing.assert_allclose(losses(X, y, columns), one_by_one(X, y, columns), rtol=1e-9)


def test_rows_that_are_alike_are_added_up_and_change_nothing() -> None:
    rng = np.random.default_rng(5)
    X = rng.integers(1, 4, size=(2000, 3)).astype(float)
    y = (rng.random(2000) < 0.15 * X[:, 0]).astype(float)
    weight = rng.uniform(0.5, 2.0, 2000)
    rows = compressed(X, y, weight)
    assert len(rows.total) == 27
    assert rows.total.sum() == pytest.approx(weight.sum())
    columns = np.array([[1, 1, 1], [0, 1, 0]], dtype=bool)
    np.testing.assert_allclose(losses(X, y, columns, weight), one_by_one(X, y, columns, weight), rtol=1e-10)


def test_copies_and_sums_of_columns_leave_the_likelihood() -> None:
    X, y, _ = some_rows(6)
    wide = np.column_stack([X, X[:, 1], X[:, 0] + 2 * X[:, 3]])
    columns = np.array([[1, 1, 0, 1, 0, 1, 1], [0, 1, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0]], dtype=bool)
    same = np.array([[1, 1, 0, 1, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0]], dtype=bool)
    np.testing.assert_allclose(losses(wide, y, columns), losses(X, y, same), rtol=1e-11)


def test_the_order_of_rows_and_the_units_change_nothing() -> None:
    X, y, weight = some_rows(7)
    columns = np.array([[1, 0, 1, 1, 0]], dtype=bool)
    order = np.random.default_rng(8).permutation(len(y))
    moved = losses(X[order] * 1e-5 + 3, y[order], columns, weight[order])
    np.testing.assert_allclose(moved, losses(X, y, columns, weight), rtol=1e-10)


def test_the_full_fit_has_the_coefficients_of_statsmodels() -> None:
    X, y, weight = some_rows(9)
    full = full_fit(compressed(X, y, weight))
    share = weight / weight.sum()
    standard = (X - share @ X) / np.sqrt(share @ (X - share @ X) ** 2)
    model = sm.GLM(y, sm.add_constant(standard), family=sm.families.Binomial(), freq_weights=weight).fit(tol=1e-13)
    np.testing.assert_allclose(full.coefficients, model.params, atol=1e-7)
    np.testing.assert_allclose(np.linalg.inv(full.curvature), model.cov_params(), rtol=1e-6)


def test_columns_that_tell_everything_are_refused() -> None:
    X, y, _ = some_rows(10)
    X[:, 2] = np.where(y > 0, 1 + np.abs(X[:, 2]), -np.abs(X[:, 2]))
    with pytest.raises(ValueError, match="told for certain by some columns, foremost column 2"):
        full_fit(compressed(X, y))


def test_a_flag_without_events_is_refused_and_with_a_single_one_is_not() -> None:
    X, y, _ = some_rows(11)
    X[:, 4] = np.arange(len(y)) < 60
    y[:60] = 0.0
    with pytest.raises(ValueError, match="foremost column 4"):
        full_fit(compressed(X, y))
    y[0] = 1.0
    assert np.isfinite(full_fit(compressed(X, y)).coefficients).all()


def test_one_flagged_row_among_many_is_still_separation() -> None:
    X, y, _ = some_rows(12, n=20_000, p=2)
    X[:, 1] = np.arange(len(y)) == 7
    with pytest.raises(ValueError, match="foremost column 1"):
        full_fit(compressed(X, y))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_is_refused(value: float) -> None:
    X, y, _ = some_rows(13)
    with pytest.raises(ValueError, match=f"the outcome is {value:.0f} in every row that counts"):
        compressed(X, np.full(len(y), value))
    with pytest.raises(ValueError, match=f"the outcome is {value:.0f} in every row that counts"):
        compressed(X, y, (y == value).astype(float))


def test_what_is_no_outcome_or_does_not_vary_or_is_missing_is_refused() -> None:
    X, y, _ = some_rows(14)
    with pytest.raises(ValueError, match="y holds other values than 0 and 1"):
        compressed(X, y * 2)
    X[:, 3] = 29.3
    with pytest.raises(ValueError, match="column 3 of X does not vary"):
        compressed(X, y)
    X[5, 1] = np.nan
    with pytest.raises(ValueError, match="column 1 of X has missing values"):
        compressed(X, y)
