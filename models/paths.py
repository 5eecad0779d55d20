"""Survival and spend along a horizon, with and without a policy, and how they move with each row's prediction.

Means of hazard and spend by go-live and period make a path; customers who survived as observed stand for more or fewer
where the policy would let more or fewer of them survive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models.effects import TargetRows

__all__ = [
    "MOST_SURVIVAL_RATIO", "Paths", "Predicted", "RowSlopes", "Runs", "paths", "plug_in", "row_slopes",
    "sampling_terms",
]  # fmt: skip

Array = NDArray[np.float64]

MOST_SURVIVAL_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class Predicted:
    """Hazard and spend of each target row, as observed and as moved; every array has shape (m,)."""

    base_hazard: Array
    base_spend: Array
    moved_hazard: Array
    moved_spend: Array


@dataclass(frozen=True, slots=True)
class Paths:
    """Means by go-live and period, and the rows behind them.

    Attributes
    ----------
    hazard, spend : float64 arrays, shape (go-lives, periods)
        Means over those still there.
    survival : float64 array, shape (go-lives, periods + 1)
        From 1 on.
    share : float64 array, shape (m,)
        Weight of each row within its go-live and period.
    is_free : bool array, shape (m,)
        False where the survival ratio of the row is held at a bound.
    """

    hazard: Array
    spend: Array
    survival: Array
    share: Array
    is_free: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RowSlopes:
    """Derivatives of (churn, revenue, spend) by the linear predictors of each row, summed over go-lives.

    Attributes
    ----------
    base_hazard, moved_hazard : float64 arrays, shape (3, m)
        By the logit of the hazard, as observed and as moved.
    base_spend, moved_spend : float64 arrays, shape (3, m)
        By the predicted spend.
    """

    base_hazard: Array
    moved_hazard: Array
    base_spend: Array
    moved_spend: Array


@dataclass(frozen=True, slots=True)
class Runs:
    """The rows of each customer and go-live in the order of periods: a run. The same for every path of a target.

    Attributes
    ----------
    order : int array, shape (m,)
        Rows, run after run.
    first, stop : int arrays, shape (m,)
        Where the run of each row begins and ends, in that order.
    """

    order: NDArray[np.intp]
    first: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def of(cls, target: TargetRows) -> Runs:
        """Sort the rows."""
        order = np.lexsort((target.period, target.customer, target.go_live))
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(target.customer[order]) != 0) | (np.diff(target.go_live[order]) != 0)
        starts = np.flatnonzero(new)
        run = np.cumsum(new) - 1
        return cls(order, starts[run], np.append(starts[1:], len(order))[run])

    def sums_after(self, values: Array) -> Array:
        """Sum over later rows of the same customer and go-live."""
        running = np.concatenate([[0.0], np.cumsum(values[self.order])])
        out = np.empty(len(values))
        out[self.order] = running[self.stop] - running[1:]
        return out

    def sums_before(self, values: Array) -> Array:
        """Sum over earlier rows of the same customer and go-live."""
        running = np.concatenate([[0.0], np.cumsum(values[self.order])])
        out = np.empty(len(values))
        out[self.order] = running[:-1] - running[self.first]
        return out


def paths(target: TargetRows, runs: Runs, hazard: Array, spend: Array, reference: Array) -> Paths:
    """Average rows to a path.

    Parameters
    ----------
    target : TargetRows
        Customers from each go-live on.
    runs : Runs
        Of these rows.
    hazard, spend : float64 arrays, shape (m,)
        Predicted.
    reference : float64 array, shape (m,)
        Hazard under which the rows survived as observed; rows are reweighted by the ratio of survival.
    """
    G, H = int(target.go_live.max()) + 1, int(target.period.max()) + 1
    cell = target.go_live * H + target.period
    ratio, is_free = _survival_ratio(runs, hazard, reference)
    weight = target.weight * ratio
    total = np.bincount(cell, weight, G * H)
    share = weight / np.where(total > 0, total, 1.0)[cell]
    mean_hazard = np.bincount(cell, share * hazard, G * H).reshape(G, H)
    mean_spend = np.bincount(cell, share * spend, G * H).reshape(G, H)
    survival = np.concatenate([np.ones((G, 1)), np.cumprod(1 - mean_hazard, axis=1)], axis=1)
    return Paths(np.asarray(mean_hazard, float), np.asarray(mean_spend, float), survival, share, is_free)


def plug_in(base: Paths, moved: Paths) -> Array:
    """Change in churn, in revenue, and the part of revenue that comes from stayers; means over go-lives.

    Returns
    -------
    float64 array, shape (3,)
    """
    stayers = base.survival[:, :-1] * (moved.spend - base.spend)
    return np.array(
        [
            (base.survival[:, -1] - moved.survival[:, -1]).mean(),
            (_earned(moved).sum(axis=1) - _earned(base).sum(axis=1)).mean(),
            stayers.sum(axis=1).mean(),
        ]
    )


def row_slopes(target: TargetRows, runs: Runs, predicted: Predicted, base: Paths, moved: Paths) -> RowSlopes:
    """Differentiate `plug_in`, times the number of go-lives, by what each row is predicted from.

    Parameters
    ----------
    target, runs : TargetRows, Runs
        Rows behind the paths.
    predicted : Predicted
        Their predictions.
    base, moved : Paths
        From `paths`, `base` with its own hazard as reference, `moved` with the hazard of `base`.

    Notes
    -----
    A row's hazard moves the mean of its period, hence survival from there on; and it moves how much the later rows of
    the same customer stand for, since d log(1 - h) = -h d logit(h). A ratio that is held at its bound does not move.
    """
    cell = target.go_live * base.hazard.shape[1] + target.period
    from_hazard = predicted.moved_hazard - moved.hazard.ravel()[cell]
    from_spend = predicted.moved_spend - moved.spend.ravel()[cell]
    out = RowSlopes(*(np.empty((3, len(cell))) for _ in range(4)))
    for k, ((base_h, moved_h), (base_m, moved_m)) in enumerate(_mean_slopes(base, moved)):
        on_hazard, on_spend = moved_h.ravel()[cell], moved_m.ravel()[cell]
        reweighed = moved.share * moved.is_free * (on_hazard * from_hazard + on_spend * from_spend)
        after = runs.sums_after(reweighed)
        h, d = predicted.base_hazard, predicted.moved_hazard
        out.base_hazard[k] = base_h.ravel()[cell] * base.share * h * (1 - h) + h * after
        out.moved_hazard[k] = on_hazard * moved.share * d * (1 - d) - d * after
        out.base_spend[k] = base_m.ravel()[cell] * base.share
        out.moved_spend[k] = on_spend * moved.share
    return out


def sampling_terms(target: TargetRows, predicted: Predicted, base: Paths, moved: Paths) -> Array:
    """Say what each row's place in the sample adds to `plug_in`, times the number of go-lives.

    Parameters
    ----------
    target, predicted, base, moved
        As for `row_slopes`.

    Returns
    -------
    float64 array, shape (3, m)
        How far a row lies from the means of its period, times the derivative by these means, times its share: summed by
        customer, the influence of having drawn this customer and not another.

    References
    ----------
    Binder (1983), On the variances of asymptotically normal estimators from complex surveys, International Statistical
    Review 51, 279-292: linearisation of what follows from means of a sample.
    """
    cell = target.go_live * base.hazard.shape[1] + target.period
    out = np.zeros((3, len(cell)))
    of_path = (
        (base, predicted.base_hazard, predicted.base_spend),
        (moved, predicted.moved_hazard, predicted.moved_spend),
    )
    for which, (path, hazard, spend) in enumerate(of_path):
        off_hazard, off_spend = hazard - path.hazard.ravel()[cell], spend - path.spend.ravel()[cell]
        for k, (by_hazard, by_spend) in enumerate(_mean_slopes(base, moved)):
            on_hazard, on_spend = by_hazard[which].ravel()[cell], by_spend[which].ravel()[cell]
            out[k] += path.share * (on_hazard * off_hazard + on_spend * off_spend)
    return out


def _mean_slopes(base: Paths, moved: Paths) -> list[tuple[tuple[Array, Array], tuple[Array, Array]]]:
    """Differentiate (churn, revenue, spend) by mean hazard and mean spend of each period, as observed and as moved."""
    stay = base.survival[:, :-1]
    nothing = np.zeros_like(base.hazard)
    by_hazard = (
        (-_survival_slope(base), _survival_slope(moved)),
        (_later(_earned(base), base), -_later(_earned(moved), moved)),
        (-_later(stay * (moved.spend - base.spend), base), nothing),
    )
    by_spend = ((nothing, nothing), (-stay, moved.survival[:, :-1]), (-stay, stay))
    return list(zip(by_hazard, by_spend, strict=True))


def _survival_ratio(runs: Runs, hazard: Array, reference: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Multiply (1 - hazard) / (1 - reference) over earlier periods, per customer and go-live; is it within its bounds.

    Truncated as inverse-probability weights are (Cole and Hernan 2008, doi:10.1093/aje/kwn164): one survivor of an
    extreme predicted hazard must not stand for a hundred customers.
    """
    step = np.log1p(-np.minimum(hazard, 0.99)) - np.log1p(-np.minimum(reference, 0.99))
    before = runs.sums_before(step)
    bound = np.log(MOST_SURVIVAL_RATIO)
    return np.exp(np.clip(before, -bound, bound)), np.abs(before) < bound


def _survival_slope(path: Paths) -> Array:
    """Minus the derivative of S_H by the mean hazard of each period."""
    return path.survival[:, -1:] / (1 - path.hazard)


def _earned(path: Paths) -> Array:
    """Revenue of each period per customer at go-live."""
    return path.survival[:, :-1] * path.spend


def _later(earned: Array, path: Paths) -> Array:
    """Minus the derivative of what is earned by the mean hazard of each period: what leavers would have earned."""
    later = earned.sum(axis=1, keepdims=True) - np.cumsum(earned, axis=1)
    return np.asarray(later / (1 - path.hazard))
