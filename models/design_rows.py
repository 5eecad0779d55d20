"""Rows of customer and period with everything that may enter a model, put together from those of many buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.person_period import Periods
from models.ridge import fit_linear

__all__ = ["Rows", "charged", "encoded", "joined", "stacked"]

Array = NDArray[np.float64]

LEAST_SCALE = 0.1
"""Of the mean charge: nobody counts with less, so that no weight by scale runs away."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of customer and period with everything that may enter a model, column by name.

    Attributes
    ----------
    periods : Periods
        Customer, period, outcome and weight.
    design : pandas.DataFrame
        Everything that may enter a model.
    go_live : int64 array, shape (n,)
        Position of the go-live that the row follows.
    due : float64 array, shape (n,)
        What is charged in the period on average, over `scale`: 1 where a charge is due.
    scale : float64 array, shape (n,)
        What such a customer is charged when a charge is due: experience moves spend in proportion to it.
    """

    periods: Periods
    design: pd.DataFrame
    go_live: NDArray[np.int64]
    due: Array
    scale: Array

    def columns(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Return some columns side by side, in single precision: they are large."""
        found = np.empty((len(self.design), len(names)), np.float32)
        for number, name in enumerate(names):
            found[:, number] = self.design[name].to_numpy()
        return found


def stacked(parts: Sequence[Periods]) -> Periods:
    """Put periods one below the other."""
    names = ("customer_key", "start", "index", "churned", "spend", "weight")
    return Periods(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def joined(parts: Sequence[Rows]) -> Rows:
    """Put rows of several buckets one below the other."""
    design = pd.concat([part.design for part in parts], ignore_index=True)
    flags = [name for name in map(str, design) if name.endswith(" missing")]
    design[flags] = design[flags].fillna(0.0)  # of a bucket in which nobody lacks the value
    # Levels that only some buckets have turn categories into objects when joined.
    one = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("go_live", "due", "scale")}
    return Rows(stacked([part.periods for part in parts]), design, **one)


def encoded(fit: Rows, target: Rows) -> tuple[Rows, Rows]:
    """Lay levels out as columns, the same in both, the intercept first; what never varies in the fit is left out."""
    baseline = [name for name in map(str, fit.design) if name.startswith("baseline__")]
    both = pd.concat([fit.design[baseline], target.design[baseline]], ignore_index=True)
    # The intercept goes in first: get_dummies refuses a table without columns, which a study without covariates gives.
    levels = pd.get_dummies(both.assign(baseline__intercept=1.0), drop_first=True, dtype=float)
    n = len(fit.design)
    varies = [name for name in levels if np.ptp(levels[name].to_numpy()[:n]) > 0 or name == "baseline__intercept"]

    def with_levels(rows: Rows, mine: pd.DataFrame) -> Rows:
        rest = rows.design.drop(columns=baseline)
        return replace(rows, design=pd.concat([mine[varies].reset_index(drop=True), rest], axis=1))

    return with_levels(fit, levels.iloc[:n]), with_levels(target, levels.iloc[n:])


def charged(fit: Rows, target: Rows) -> tuple[Rows, Rows]:
    """Predict what is charged when due from what no policy moves, and the share of it that comes without being due.

    Bills that are late, second contracts and first bills come when none was due: there, and for customers not charged
    before, `due` is what is charged on average over what would be if one was due.
    """
    spend, weight, is_due, is_first = fit.periods.spend, fit.periods.weight, fit.due == 1, np.isnan(fit.due)
    mean = float(np.average(spend[is_due], weights=weight[is_due])) if is_due.any() else 0.0
    scale, of_target = np.ones(len(spend)), np.ones(len(target.due))
    if mean > 0:
        names = [str(name) for name in fit.design if str(name).startswith(("baseline__", "time__"))]
        X = fit.columns(names)
        slopes = fit_linear(X[is_due], spend[is_due], weight[is_due], np.zeros(len(names), bool))
        scale = np.clip(X @ slopes, LEAST_SCALE * mean, None)
        of_target = np.clip(target.columns(names) @ slopes, LEAST_SCALE * mean, None)

    def share(rows: NDArray[np.bool_]) -> float:
        total = float(weight[rows] @ scale[rows])
        return min(max(float(weight[rows] @ spend[rows]) / total, 0.0), 1.0) if total > 0 else 0.0

    without, first = share(fit.due == 0), share(is_first)

    def known(due: Array) -> Array:
        return np.where(np.isnan(due), first, np.where(due == 0, without, due))

    return replace(fit, due=known(fit.due), scale=scale), replace(target, due=known(target.due), scale=of_target)
