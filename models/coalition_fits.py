"""Logistic regressions on many subsets of the same columns, fitted side by side.

A decomposition of a logistic fit asks for hundreds of refits that differ in their columns only. Taken together, their
curvatures are one product of matrices over the rows, and rows that are alike are looked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import eigh

from models.elimination import reciprocal

__all__ = [
    "FullFit",
    "LogisticRows",
    "SeparationError",
    "compressed",
    "full_fit",
    "smallest_losses",
    "working_covariances",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_TOGETHER = 128
"""Fits taken side by side."""

_CACHED = 2**15
"""Rows times fits looked at together."""

_STEPS = 60

_CLOSE = 1e-9
"""Share of the loss without columns that may be missing to the smallest loss, before the last step is taken."""

_SEPARATED = 1e-7
"""Mean curvature of the risks, in some direction of the columns, below which the fit is running away."""

_REGULAR = 1e-8
"""Smallest eigenvalue of the columns' correlations from which on no column depends on others."""


class SeparationError(ValueError):
    """Columns tell the outcome for certain, so that the fit has no solution; `column` is the foremost of them."""

    def __init__(self, column: int) -> None:
        super().__init__(
            f"the outcome is told for certain by some columns, foremost column {column} of X: the fit has no solution. "
            "Both outcomes were expected whatever the columns say. Leave that column out or merge levels."
        )
        self.column = column


@dataclass(frozen=True, slots=True)
class LogisticRows:
    """Rows of a logistic regression, those alike added up.

    Parameters
    ----------
    design
        (rows, 1 + columns): ones, then the columns with weighted mean 0 and deviation 1.
    total, events
        (rows,): weight, and weight of those with the outcome.
    names
        What columns are called in errors.
    """

    design: FloatArray
    total: FloatArray
    events: FloatArray
    names: tuple[int, ...]

    @property
    def loss_without_columns(self) -> float:
        """Negative log likelihood of the rate alone."""
        total, events = float(self.total.sum()), float(self.events.sum())
        rate = events / total
        return -events * float(np.log(rate)) - (total - events) * float(np.log1p(-rate))


@dataclass(frozen=True, slots=True)
class FullFit:
    """The regression on all columns.

    Parameters
    ----------
    coefficients
        (1 + columns,), of the standardised columns.
    curvature
        (1 + columns, 1 + columns), of the negative log likelihood there.
    loss
        Negative log likelihood.
    """

    coefficients: FloatArray
    curvature: FloatArray
    loss: float


def compressed(
    X: FloatArray, y: FloatArray, weight: FloatArray | None = None, names: Sequence[int] | None = None
) -> LogisticRows:
    """Check and standardise the columns and add up rows that are alike.

    Parameters
    ----------
    X
        (n, columns), finite.
    y
        (n,), 0 or 1.
    weight
        (n,), non-negative; None counts every row once.
    names
        What the columns are called in errors; None: by their position.

    Raises
    ------
    ValueError
        Values that are missing, an outcome that is not 0 or 1 or is the same for all, a column that does not vary.
    """
    w = np.ones(len(X)) if weight is None else weight
    called = tuple(range(X.shape[1])) if names is None else tuple(names)
    _check_outcome(y, w)
    if not np.isfinite(X).all():
        column = called[np.flatnonzero(~np.isfinite(X).all(axis=0))[0]]
        raise ValueError(f"column {column} of X has missing values. Finite numbers were expected. Fill or flag them.")
    share = w / w.sum()
    centred = X - share @ X
    scale = np.sqrt(share @ centred**2)
    constant = np.flatnonzero(~(scale > 1e-12 * np.abs(X).max(axis=0, initial=0.0)))
    if len(constant):
        raise ValueError(f"column {called[constant[0]]} of X does not vary, so it explains nothing. Leave it out.")
    centred /= scale
    first, code = _alike(X)
    design = np.column_stack([np.ones(len(first)), centred[first]])
    total, events = (np.asarray(np.bincount(code, amount), dtype=np.float64) for amount in (w, w * y))
    return LogisticRows(design, total, events, called)


def _check_outcome(y: FloatArray, w: FloatArray) -> None:
    """Refuse an outcome that a logistic regression cannot have."""
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("y holds other values than 0 and 1. An outcome that happened or not was expected. Code it so.")
    rate = float(w @ y) / float(w.sum()) if w.sum() > 0 else 0.0
    if not 0 < rate < 1:
        raise ValueError(f"the outcome is {rate:.0f} in every row that counts. Both 0 and 1 were expected. Add rows.")


def _alike(X: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return one row of each kind and the kind of each row; every row its own kind where little could be gained."""
    key = np.zeros(len(X), dtype=np.uint64)
    for column in X.T:
        key = key * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(np.ascontiguousarray(column))
    code, unique = pd.factorize(key)
    first = np.empty(len(unique), dtype=np.intp)
    first[code[::-1]] = np.arange(len(X))[::-1]
    if 2 * len(unique) > len(X) or not np.array_equal(X[first[code]], X):
        return np.arange(len(X)), np.arange(len(X))
    return first, np.asarray(code, dtype=np.intp)


def full_fit(rows: LogisticRows) -> FullFit:
    """Fit all columns to the end, or say that there is no end.

    Raises
    ------
    SeparationError
        Some combination of columns tells the outcome for certain, in all rows or in those where it is not 0: the
        likelihood has no maximum.

    Notes
    -----
    Where it separates, each Newton step lowers what is left of the loss by the factor e and the curvature in that
    direction with it; after steps enough it is far below what any data without separation have.

    References
    ----------
    Albert, Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models,
    doi:10.1093/biomet/71.1.1.
    """
    used = _independent(rows, np.ones((1, rows.design.shape[1] - 1), dtype=np.bool_))
    start = _rate_only(rows, 1)
    tight = 1e-10 * float(rows.total.mean())
    fit = _descended(rows, used, start, tight)
    at = np.flatnonzero(used[0])
    second = (rows.design * rows.total[:, np.newaxis]).T @ rows.design
    ratio, direction = eigh(fit.curvature[0][np.ix_(at, at)], second[np.ix_(at, at)])
    if not ratio[0] > _SEPARATED:
        raise SeparationError(rows.names[at[1:][np.abs(direction[1:, 0]).argmax()] - 1])
    return FullFit(fit.beta[0], fit.curvature[0], float(fit.loss[0]))


def working_covariances(rows: LogisticRows, full: FullFit) -> FloatArray:
    """Covariances of the columns and the working outcome: at the rate, half way, at the full fit.

    Parameters
    ----------
    rows
        From `compressed`.
    full
        The fit on all columns.

    Returns
    -------
    NDArray[np.float64]
        (3, columns + 1, columns + 1), the outcome last. One Newton step from there would explain so much of the working
        outcome as R2 of least squares says. The first one is the linear model of the 0/1 outcome.
    """
    rate = float(rows.events.sum() / rows.total.sum())
    found = []
    for way in (0.0, 0.5, 1.0):
        eta = way * (rows.design @ full.coefficients) + (1.0 - way) * np.log(rate / (1.0 - rate))
        risk = 1.0 / (1.0 + np.exp(-eta))
        curvature = np.maximum(rows.total * risk * (1.0 - risk), 1e-300)
        working = eta + (rows.events - rows.total * risk) / curvature
        found.append(np.cov(np.column_stack([rows.design[:, 1:], working]).T, aweights=curvature, ddof=0))
    return np.array(found)


def smallest_losses(rows: LogisticRows, columns: BoolArray, full: FullFit) -> FloatArray:
    """Fit every subset of columns and return its negative log likelihood.

    Parameters
    ----------
    rows
        From `compressed`.
    columns
        (fits, columns): which take part. The intercept always does. Columns that depend on others are left out, which
        changes no likelihood.
    full
        The fit on all columns: from what it knows of the likelihood each fit begins near its end.

    Returns
    -------
    NDArray[np.float64]
        (fits,), to about `_CLOSE` squared of the loss without columns.

    Notes
    -----
    Newton's method with halved steps: from a warm start undamped steps diverge where events are rare.
    Cost: rows x fits x columns^2 multiplications a step, three to six steps.
    """
    losses = np.empty(len(columns))
    for begin in range(0, len(columns), _TOGETHER):
        used = _independent(rows, columns[begin : begin + _TOGETHER])
        system, aim = _masked(full.curvature, used), used * (full.curvature @ full.coefficients)
        start = _solved(system, aim)
        losses[begin : begin + _TOGETHER] = _descended(rows, used, start, _CLOSE * rows.loss_without_columns).loss
    return losses


@dataclass(slots=True)
class _State:
    """Coefficients (fits, 1 + columns) with loss, slope and curvature there."""

    beta: FloatArray
    loss: FloatArray
    slope: FloatArray
    curvature: FloatArray

    def take(self, at: NDArray[np.intp], new: _State, which: BoolArray) -> None:
        """Replace the fits `at` by those of `new` that are wanted."""
        to = at[which]
        self.beta[to], self.loss[to] = new.beta[which], new.loss[which]
        self.slope[to], self.curvature[to] = new.slope[which], new.curvature[which]


def _descended(rows: LogisticRows, used: BoolArray, start: FloatArray, enough: float) -> _State:
    """Newton steps, halved where the loss would rise, until at most `enough` is missing to the smallest loss."""
    state = _evaluated(rows, start)
    base = _evaluated(rows, _rate_only(rows, len(used)))
    state.take(np.arange(len(used)), base, base.loss < state.loss)
    active, length = np.arange(len(used)), np.ones(len(used))
    step, gain = _newton(state, used)
    for _ in range(_STEPS):
        active = active[gain[active] > 2 * enough]
        if len(active) == 0:
            break
        tried = _evaluated(rows, state.beta[active] + length[active, np.newaxis] * step[active])
        # the slack is what rounding does to a sum of many rows
        better = tried.loss <= state.loss[active] + 1e-13 * np.abs(state.loss[active])
        state.take(active, tried, better)
        length[active] = np.where(better, 1.0, length[active] / 2)
        moved = active[better]
        step[moved], gain[moved] = _newton(_part(state, moved), used[moved])
    # what the last step, not taken, would gain is known but for its square
    state.loss -= np.where(gain <= 2 * enough, gain / 2, 0.0)
    return state


def _part(state: _State, at: NDArray[np.intp]) -> _State:
    return _State(state.beta[at], state.loss[at], state.slope[at], state.curvature[at])


def _newton(state: _State, used: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the Newton step (fits, 1 + columns) and twice what it would gain if the loss were a parabola."""
    slope = np.where(used, state.slope, 0.0)
    step = _solved(_masked(state.curvature, used), slope)
    return step, np.asarray(np.einsum("fi,fi->f", step, slope), dtype=np.float64)


def _solved(systems: FloatArray, right: FloatArray) -> FloatArray:
    """Solve (fits, k, k) for (fits, k)."""
    return np.asarray(np.linalg.solve(systems, right[..., np.newaxis])[..., 0], dtype=np.float64)


def _masked(curvature: FloatArray, used: BoolArray) -> FloatArray:
    """Cut out the used columns; the trace of a ridge keeps steps finite where risks are nearly 0 or 1."""
    system = curvature * used[:, :, np.newaxis] * used[:, np.newaxis, :]
    diagonal = np.einsum("fii->fi", system)
    diagonal += np.where(used, 1e-12 * diagonal + 1e-300, 1.0)
    return system


def _rate_only(rows: LogisticRows, fits: int) -> FloatArray:
    """Coefficients of the regression without columns."""
    beta = np.zeros((fits, rows.design.shape[1]))
    events = float(rows.events.sum())
    beta[:, 0] = np.log(events / (float(rows.total.sum()) - events))
    return beta


def _evaluated(rows: LogisticRows, beta: FloatArray) -> _State:
    """Pass over the rows once: negative log likelihood, downward slope and curvature of every fit."""
    width = beta.shape[1]
    upper = np.triu_indices(width)
    loss, slope, packed = np.zeros(len(beta)), np.zeros((width, len(beta))), np.zeros((len(upper[0]), len(beta)))
    chunk = max(64, _CACHED // max(8, len(beta)))
    for start in range(0, len(rows.total), chunk):
        Z, total = rows.design[start : start + chunk], rows.total[start : start + chunk, np.newaxis]
        events = rows.events[start : start + chunk, np.newaxis]
        eta = Z @ beta.T
        small = np.exp(-np.abs(eta))
        larger = 1.0 / (1.0 + small)
        loss += (total * (np.maximum(eta, 0.0) - np.log(larger)) - events * eta).sum(axis=0)
        slope += Z.T @ (events - total * np.where(eta >= 0, larger, 1.0 - larger))
        packed += (Z[:, upper[0]] * Z[:, upper[1]]).T @ (total * small * larger**2)
    curvature = np.empty((len(beta), width, width))
    curvature[:, upper[0], upper[1]] = curvature[:, upper[1], upper[0]] = packed.T
    return _State(beta.copy(), loss, slope.T.copy(), curvature)


def _independent(rows: LogisticRows, columns: BoolArray) -> BoolArray:
    """Add the intercept and drop columns that others before them hold: (fits, 1 + columns)."""
    used = np.column_stack([np.ones(len(columns), dtype=np.bool_), columns])
    R = (rows.design * (rows.total / rows.total.sum())[:, np.newaxis]).T @ rows.design
    if np.linalg.eigvalsh(R)[0] > _REGULAR:
        return used
    state = (R * used[:, :, np.newaxis] * used[:, np.newaxis, :]).transpose(1, 2, 0)
    for column in range(used.shape[1]):
        inverse = reciprocal(state[0, 0])
        used[:, column] &= inverse > 0
        state = state[1:, 1:] - state[0, 1:, np.newaxis] * (state[0, 1:] * inverse)
    return used
