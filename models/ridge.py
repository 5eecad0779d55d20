"""Logistic and linear regression with a ridge on some columns only, and what their intervals need.

scikit-learn and statsmodels penalise all columns alike or none; effects need exposures held a little and controls free.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.row_blocks import RowBlocks, Stored

Array = NDArray[np.float64]

NEWTON_STEPS = 25
NEWTON_TOLERANCE = 1e-8
# About two per cent of the information in a column: stabilises near-collinear memories, hardly biases.
RIDGE_SHARE = 0.02


def fit_logistic(
    X: Stored, y: Array, weight: Array, penalised: NDArray[np.bool_], used: NDArray[np.bool_] | None = None
) -> Array:
    """Weighted logistic regression with a ridge on some columns, by damped Newton steps.

    Parameters
    ----------
    X : float32 or float64 array, shape (n, p)
        Columns of similar size, intercept included.
    y, weight : float64 arrays, shape (n,)
        0/1 outcome and row weights.
    penalised : bool array, shape (p,)
        Columns that take the ridge.
    used : bool array, shape (p,), optional
        Columns that take part; the coefficients of the others are 0.

    Returns
    -------
    float64 array, shape (p,)
    """
    beta, rows = np.zeros(X.shape[1]), RowBlocks.of(X)
    rate = float(np.average(y, weights=weight))
    # Information at the mean rate; at the start, where every risk is one half, it would be fifty times too much.
    ridge = ridge_of(rows.moments(weight) * rate * (1 - rate), penalised)
    loss = _logistic_loss(rows, y, weight, ridge, beta)
    for _ in range(NEWTON_STEPS):
        h = expit(rows.times(beta))
        curvature = rows.moments(weight * h * (1 - h))
        slope = rows.summed(weight * (y - h)) - ridge * beta
        move = solve(curvature + np.diag(ridge), slope, used)
        new, new_loss = _descend(rows, y, weight, ridge, beta, move, loss)
        converged = loss - new_loss <= NEWTON_TOLERANCE * abs(loss)
        beta, loss = new, new_loss
        if converged:
            break
    return beta


def _descend(
    rows: RowBlocks, y: Array, weight: Array, ridge: Array, beta: Array, move: Array, loss: float
) -> tuple[Array, float]:
    """Halve the step until the loss falls; undamped Newton diverges on rare events."""
    length = 1.0
    for _ in range(12):
        new = beta + length * move
        new_loss = _logistic_loss(rows, y, weight, ridge, new)
        if new_loss <= loss:
            return new, new_loss
        length /= 2
    return beta, loss


def _logistic_loss(rows: RowBlocks, y: Array, weight: Array, ridge: Array, beta: Array) -> float:
    z = rows.times(beta)
    return float(weight @ (np.logaddexp(0.0, z) - y * z) + 0.5 * (ridge * beta) @ beta)


def fit_linear(X: Stored, y: Array, weight: Array, penalised: NDArray[np.bool_]) -> Array:
    """Weighted least squares with the same selective ridge as `fit_logistic`; shapes as there."""
    rows = RowBlocks.of(X)
    information = rows.moments(weight)
    ridge = ridge_of(information, penalised)
    return solve(information + np.diag(ridge), rows.summed(weight * y))


def ridge_of(information: Array, penalised: NDArray[np.bool_]) -> Array:
    """Penalise by a share of each column's own information."""
    return np.where(penalised, RIDGE_SHARE * np.diag(information), 0.0)


def solve(matrix: Array, vector: Array, used: NDArray[np.bool_] | None = None) -> Array:
    """Solve a symmetric system in some of its columns; twins and empty columns make it singular.

    Columns are brought to the same size first, so that units do not decide what counts as singular.
    """
    size = np.sqrt(np.diag(matrix))
    size = np.where(size > 0, size, 1.0)
    at = np.flatnonzero(np.ones(len(vector), bool) if used is None else used)
    out = np.zeros(len(vector))
    scaled = matrix[np.ix_(at, at)] / np.outer(size[at], size[at])
    out[at] = np.linalg.lstsq(scaled, vector[at] / size[at], rcond=1e-12)[0] / size[at]
    return out


def expit(z: Array) -> Array:
    """Return the logistic function, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(z, -40, 40)))


def inverse_of(second: Array, columns: NDArray[np.bool_]) -> Array:
    """Invert the second moments of some columns; zero in the others."""
    size = np.sqrt(np.diag(second))
    size = np.where(size > 0, size, 1.0)
    out = np.zeros_like(second)
    at = np.ix_(columns, columns)
    out[at] = np.linalg.pinv((second / np.outer(size, size))[at], rcond=1e-10, hermitian=True)
    return np.asarray(out / np.outer(size, size))
