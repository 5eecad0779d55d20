"""Repair or polish: what one unit better does where a measure is worst, against where it is best already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.adjustment import Exposure
from models.double_ml import LEARNERS, Corrected, Fitted, Learner, fit_outcome
from models.effects import Estimate
from models.flat_design import quantiles
from models.flat_effects import outcomes_of
from models.flat_rows import FlatData
from models.flat_support import LEAST_CUSTOMERS, LEAST_EVENTS, LEAST_MOVED

__all__ = ["Thirds", "asymmetries"]

Array = NDArray[np.float64]

BEST = 0.99


@dataclass(frozen=True, slots=True)
class Thirds:
    """Effect of one unit better in the worst and in the best third of a measure.

    Attributes
    ----------
    exposure : Exposure
        The measure.
    outcome : str
        Column of the panel.
    worst, best : Estimate
        Change of the outcome of a row of that third, per unit of improvement.
    difference : Estimate
        Worst less best, with the uncertainty that they do not share.
    worst_customers, best_customers : int
        Customers of whom something is improved.
    worst_to, best_from, best_to : float
        Values worse than `worst_to` become it; values from `best_from` on become `best_to`. Unit of the measure.
    reason : str
        Why no number is given; empty when one is.
    """

    exposure: Exposure
    outcome: str
    worst: Estimate
    best: Estimate
    difference: Estimate
    worst_customers: int
    best_customers: int
    worst_to: float
    best_from: float
    best_to: float
    reason: str = ""


_NOTHING = Estimate(float("nan"), float("nan"))


def asymmetries(
    data: FlatData, exposures: Sequence[Exposure], *, learners: Sequence[Learner] = LEARNERS
) -> tuple[Thirds, ...]:
    """Compare repairing the worst third with polishing the best, for each measure and outcome.

    Parameters
    ----------
    data : FlatData
        Rows.
    exposures : sequence of Exposure
        Measures with values that differ.
    learners : sequence of str
        Kinds of outcome regressions tried.

    Returns
    -------
    tuple of Thirds
        By measure, then outcome.

    Notes
    -----
    Thirds are cut at weighted terciles of the known values; a value equal to the border of a third that would not be
    improved is not counted. Repair: values worse than the border of the worst third become that border. Polish: values
    at the border of the best third or better become the value that 1 % surpass. Both stay within what was observed, and
    each effect is divided by its mean improvement, so that they compare unit by unit. With effect T and improvement C
    of the moved rows, the influence of T / C is (I_T - T / C I_C) / C.
    """
    return tuple(
        _thirds(data, exposure, outcome, learners)
        for exposure in exposures
        for outcome in outcomes_of(data.study, data.frame)
    )


def _thirds(data: FlatData, exposure: Exposure, outcome: str, learners: Sequence[Learner]) -> Thirds:
    measure = next(m for m in data.study.measures if m.name == exposure.measure)
    known = data.known(outcome)
    value, weight = data.value(exposure)[known], data.weight[known]
    there = ~np.isnan(value)
    sign = -1.0 if measure.direction == "lower" else 1.0
    good = sign * value  # more is better
    low, high, top = quantiles(good[there], weight[there], (1 / 3, 2 / 3, BEST)) if there.any() else (0.0, 0.0, 0.0)
    repaired = np.where(there & (good < low), low, good)
    polished = np.where(there & (good >= high) & (good < top), top, good)
    counts = [len(np.unique(data.cluster[known][there & (moved != good)])) for moved in (repaired, polished)]
    blank = Thirds(
        exposure, outcome, _NOTHING, _NOTHING, _NOTHING, counts[0], counts[1], sign * float(low), sign * float(high),
        sign * float(top),
    )  # fmt: skip
    reason = _refusal(data, known, data.frame.loc[known, outcome].to_numpy(float), value[there], counts)
    if reason:
        return replace(blank, reason=reason)
    fitted = fit_outcome(data.rows(data.held_fixed([exposure]), outcome), learners=learners)
    worst, best = (
        _per_unit(fitted, fitted.moved((sign * moved)[:, None]).effect(there), moved - good, there)
        for moved in (repaired, polished)
    )
    apart = worst[1] - best[1]
    return replace(
        blank, worst=_estimate(*worst), best=_estimate(*best), difference=_estimate(worst[0] - best[0], apart)
    )


def _refusal(data: FlatData, known: NDArray[np.bool_], outcome: Array, value: Array, moved: Sequence[int]) -> str:
    if len(np.unique(value)) < 3:
        return "It has two values only: there is no best third to polish."
    customers = len(np.unique(data.cluster[known]))
    if customers < LEAST_CUSTOMERS:
        return f"Only {customers:,} customers have the outcome; at least {LEAST_CUSTOMERS} are needed."
    rarer = min(int(outcome.sum()), int((1 - outcome).sum())) if np.isin(outcome, (0.0, 1.0)).all() else LEAST_EVENTS
    if rarer < LEAST_EVENTS:
        return f"Only {rarer:,} rows have the rarer outcome; at least {LEAST_EVENTS} are needed."
    for count, third in zip(moved, ("worst", "best"), strict=True):
        if count < LEAST_MOVED:
            return f"Only {count:,} customers of the {third} third can be improved; at least {LEAST_MOVED} are needed."
    return ""


def _per_unit(fitted: Fitted, effect: Corrected, change: Array, among: NDArray[np.bool_]) -> tuple[float, Array]:
    """Effect over mean improvement, and its influence by customer."""
    rows = fitted.rows
    share = rows.weight * among / rows.weight[among].sum()
    better = np.where(among, change, 0.0)
    mean = float(share @ better)
    ratio = effect.estimate.value / mean
    of_mean = np.bincount(rows.cluster, share * (better - mean), len(rows.fold))
    return ratio, (effect.influence - ratio * of_mean) / mean


def _estimate(value: float, influence: Array) -> Estimate:
    return Estimate(value, float(np.sqrt((influence**2).sum())))
