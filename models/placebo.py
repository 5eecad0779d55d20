"""A check whose answer is known: quality cannot change what was spent before it was met.

The same policy, the same rows and the same columns, but the outcome lies before everything that the moved memories
hold. Whoever finds an effect there has found what goes along with quality without following from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.snapshot import DAY
from models.design_rows import Rows
from models.effects import Estimate
from models.person_period import Periods
from models.ridge import inverse_of, ridge_of
from models.row_blocks import RowBlocks, Stored

__all__ = ["GAP_DAYS", "Placebo", "placebo_effect", "spend_before"]

Array = NDArray[np.float64]

GAP_DAYS = 28
"""Between what was spent and the first contact remembered: a case that was open then is closed."""
_TOLERANCE_DAYS = 56
"""Rows are thinned, so the row that knows the spend of long ago may be some weeks older than needed."""
LEAST_CUSTOMERS_PER_COLUMN = 2
LEAST_FELT = 200
"""Customers with a past who remember a moved touchpoint; an installation is long forgotten when the past is known."""
_SPENT, _KNOWN = "time__spent_before", "time__spent_known"


@dataclass(frozen=True, slots=True)
class Placebo:
    """Effect of a policy on the past.

    Attributes
    ----------
    effect : Estimate
        Currency per customer over a horizon: comparable with the effect on revenue; truly zero.
    customers : int
        Customers whose past is known.
    """

    effect: Estimate
    customers: int

    def scaled(self, factor: float) -> Placebo:
        """Placebo of a policy that reaches a part of the customers."""
        return Placebo(Estimate(self.effect.value * factor, self.effect.se * factor), self.customers)


def spend_before(fit: Rows, lag_days: float) -> Array:
    """Look up what customers spent a day in a half-year that was over long before.

    Parameters
    ----------
    fit : Rows
        Rows that know the half-year that ended a horizon before their start.
    lag_days : float
        The half-year is that of a row of the same customer at least so much earlier, and at most eight weeks more.

    Returns
    -------
    float64 array, shape (rows,)
        Currency a day; NaN where no such row is there or its past is not known.
    """
    periods: Periods = fit.periods
    late = pd.DataFrame({"customer": periods.customer_key, "at": periods.start - round(lag_days * DAY)})
    is_known = fit.design[_KNOWN].to_numpy() > 0
    early = pd.DataFrame(
        {"customer": periods.customer_key, "at": periods.start, "spent": fit.design[_SPENT].to_numpy()}
    )
    joined = pd.merge_asof(
        late.assign(row=np.arange(len(late))).sort_values(["at", "customer"]),
        early[is_known].sort_values(["at", "customer"]),
        on="at",
        by="customer",
        tolerance=_TOLERANCE_DAYS * DAY,
    )
    found = np.full(len(late), np.nan)
    found[joined["row"].to_numpy()] = joined["spent"].to_numpy(np.float64)
    return found


def placebo_effect(
    fit: Rows,
    target: Rows,
    names: Sequence[str],
    penalised: NDArray[np.bool_],
    moved: Sequence[str],
    shift: Stored,
    lag_days: float,
    period_days: float,
) -> Placebo | None:
    """Estimate what a policy does to what was spent before.

    Parameters
    ----------
    fit, target : Rows
        Rows of the past, and those after each go-live.
    names : sequence of str
        Columns of the models that are settled when a period starts, past spend included: it is left out here.
    penalised : bool array, shape (names,)
        Columns that take the ridge.
    moved : sequence of str
        Memories that the policy moves.
    shift : float32 or float64 array, shape (target rows, moved)
        By how much.
    lag_days : float
        As for `spend_before`; so long that the half-year is over before the oldest touchpoint that is remembered.
    period_days : float
        Length of a period.

    Returns
    -------
    Placebo or None
        None where too few customers have a past that is known, or too few of them remember a moved touchpoint.

    Notes
    -----
    Estimand: sum over the periods of the horizon of mean shift x slope of past daily spend on the memories, covariates,
    tenure, season, number of journeys and upstream memories held fixed; least squares with the ridge of the effects and
    one step against it. Standard errors by customer. Zero unless something moves both spend and later quality: a hidden
    cause, a reference that misses part of what was to be expected, or earlier quality that lasts. Nil here is no proof:
    what moves leaving but not spend is not seen.
    """
    outcome = spend_before(fit, lag_days)
    rows = np.flatnonzero(~np.isnan(outcome))
    kept = [i for i, name in enumerate(names) if not name.startswith(("time__spent", "time__log_spent"))]
    used = [names[i] for i in kept]
    customer, position = np.unique(fit.periods.customer_key[rows], return_inverse=True)
    if len(customer) <= LEAST_CUSTOMERS_PER_COLUMN * len(used):
        return None
    X, weight = fit.columns(used)[rows], fit.periods.weight[rows]
    at = [used.index(name) for name in moved]
    felt = np.bincount(position, (X[:, at] != 0).any(axis=1)) > 0
    if felt.sum() < LEAST_FELT:
        return None
    weight = weight / weight.sum()
    columns = RowBlocks.of(X)
    information = columns.moments(weight)
    inverse = inverse_of(information + np.diag(ridge_of(information, penalised[kept])), np.ones(len(used), bool))
    slopes = inverse @ columns.summed(weight * outcome[rows])
    direction = np.zeros(len(used))
    direction[at] = _total_shift(target, shift) * period_days
    terms = weight * columns.times(inverse @ direction) * (outcome[rows] - columns.times(slopes))
    by_customer = np.bincount(position, terms)
    # Residuals of a fit are smaller than errors, by one part in customers per column.
    inflated = len(customer) / (len(customer) - len(used))
    se = float(np.sqrt(inflated * (by_customer**2).sum()))
    return Placebo(Estimate(float(direction @ slopes + terms.sum()), se), len(customer))


def _total_shift(target: Rows, shift: Stored) -> Array:
    """Mean shift of each memory, summed over periods, mean over go-lives."""
    periods = int(target.periods.index.max()) + 1
    cell = target.go_live * periods + target.periods.index
    total = np.bincount(cell, target.periods.weight)
    share = target.periods.weight / total[cell]
    return RowBlocks.of(shift).summed(share) / len(np.unique(target.go_live))
