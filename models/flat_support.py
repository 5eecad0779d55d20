"""Whether a table can say anything about a moved state: support, effective sample size, extrapolation, refusals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.double_ml import Corrected, Moved
from models.flat_design import quantiles

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_CUSTOMERS = 200
LEAST_MOVED = 50
LEAST_EVENTS = 30
LEAST_SUPPORT = 0.5
LEAST_EFFECTIVE = 0.1
MOST_EXTRAPOLATED = 0.5
OBSERVED = (0.01, 0.99)


@dataclass(frozen=True, slots=True)
class Support:
    """Whether the data can say anything about the moved state.

    Attributes
    ----------
    inside : float
        Share of moved values between the 1 % and 99 % quantiles of the observed.
    effective : float
        Kish's effective share of the rows that could be moved, under the weights that turn observed into moved; 1 when
        every row counts alike.
    extrapolated : float
        Share of moved rows farther out, controls as they are, than 99 % of the observed rows.
    rows, customers, moved : int
        Rows with the outcome, their customers, and customers of whom something moves.
    events : int
        The rarer of the two for an outcome of 0 and 1; rows for any other.
    """

    inside: float
    effective: float
    extrapolated: float
    rows: int
    customers: int
    moved: int
    events: int

    def refusal(self) -> str:
        """Say why no number is given; empty when one is. The thresholds are the constants of this module."""
        few = [
            (self.customers, LEAST_CUSTOMERS, "customers have the outcome"),
            (self.events, LEAST_EVENTS, "rows have the rarer outcome"),
            (self.moved or LEAST_MOVED, LEAST_MOVED, "customers would be moved at all"),
        ]
        for number, least, what in few:
            if number < least:
                return f"Only {number:,} {what}; at least {least} are needed."
        return self._too_far()

    def _too_far(self) -> str:
        if self.inside < LEAST_SUPPORT:
            told = f"Only {_percent(self.inside)} of the moved values lie within what was observed"
            return f"{told}; at least {_percent(LEAST_SUPPORT)} are needed. Ask for less."
        if self.extrapolated > MOST_EXTRAPOLATED:
            told = f"{_percent(self.extrapolated)} of the moved rows lie where hardly any such row was observed"
            return f"{told}; at most {_percent(MOST_EXTRAPOLATED)} may. Ask for less."
        if self.effective < LEAST_EFFECTIVE:
            told = f"The answer would rest on {_percent(self.effective)} of the rows"
            return f"{told}; at least {_percent(LEAST_EFFECTIVE)} are needed. Ask for less."
        return ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def support_of(moved: Moved, whole: Corrected, reached: Flags) -> Support:
    """Look at where moved rows lie.

    Parameters
    ----------
    moved : Moved
        Rows as a policy would have them.
    whole : Corrected
        Its effect over all rows.
    reached : bool array, shape (n,)
        Rows that the policy could move.

    Returns
    -------
    Support
    """
    fitted, rows, after = moved.fitted, moved.fitted.rows, moved.measured
    touched = ~np.isnan(rows.measured) & (after != rows.measured)
    inside = weighed = 0.0
    for j in range(after.shape[1]):
        value, here = rows.measured[:, j], touched[:, j]
        there = ~np.isnan(value)
        low, high = quantiles(value[there], rows.weight[there], OBSERVED) if there.any() else (0.0, 0.0)
        inside += float(rows.weight[here & (after[:, j] >= low) & (after[:, j] <= high)].sum())
        weighed += float(rows.weight[here].sum())
    any_moved = touched.any(axis=1)
    usual = quantiles(fitted.leverage(rows.measured), rows.weight, OBSERVED[1:])[0]
    # Rounding must not put a row beyond itself.
    far = any_moved & (fitted.leverage(after) > usual * (1 + 1e-9))
    could = reached & (~np.isnan(rows.measured)).any(axis=1)
    is_binary = bool(np.isin(rows.outcome, (0.0, 1.0)).all())
    ones = int(rows.outcome.sum()) if is_binary else len(rows.outcome)
    return Support(
        inside=inside / weighed if weighed else 1.0,
        effective=effective_share(whole.representer, rows.weight, could) if any_moved.any() else 1.0,
        extrapolated=float(rows.weight[far].sum() / rows.weight[any_moved].sum()) if any_moved.any() else 0.0,
        rows=len(rows.outcome),
        customers=len(np.unique(rows.cluster)),
        moved=len(np.unique(rows.cluster[any_moved])),
        events=min(ones, len(rows.outcome) - ones) if is_binary else len(rows.outcome),
    )


def effective_share(alpha: Array, weight: Array, among: Flags) -> float:
    """Share of the rows that the moved state effectively rests on.

    Parameters
    ----------
    alpha : float64 array, shape (n,)
        Representer.
    weight : float64 array, shape (n,)
        Survey weights.
    among : bool array, shape (n,)
        Rows that could be moved.

    Returns
    -------
    float
        (sum v)^2 / sum v^2 with v = weight (1 + alpha), over the same with alpha = 0; 1 where nothing moves.

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7 (loss from unequal weights).

    Examples
    --------
    >>> one = np.ones(4)
    >>> effective_share(np.array([1.0, 1.0, -1.0, -1.0]), one, one > 0)
    0.5
    """

    def kish(v: Array) -> float:
        squares = float((v**2).sum())
        return float(v.sum() ** 2 / squares) if squares > 0 else 0.0

    before = kish(weight[among])
    return kish((weight * (1 + alpha))[among]) / before if before > 0 else 0.0
