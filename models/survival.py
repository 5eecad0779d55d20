"""How long customers stay: churn month by month after a cutoff, observed and as a discrete-time hazard.

The risk of a horizon says whether somebody leaves, not when. Here every panel row is followed month by month from its
cutoff until the customer leaves, or until the data end, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from features.errors import EmptyResultError
from features.snapshot import DAY
from models.calibration import to_logit
from models.estimates import LEVEL

__all__ = ["MONTH_DAYS", "PersonMonths", "fitted_survival", "mean_survival", "observed_survival", "person_months"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MONTH_DAYS = 30
"""Length of a period; a whole number of days, so that months after any cutoff are equally long."""

_COLUMNS = ["segment", "month", "at_risk", "churned", "hazard", "survival", "lo", "hi"]
_FEWEST_CHURNERS = 20


@dataclass(frozen=True, slots=True)
class PersonMonths:
    """One row for each panel row and month in which its customer could have left and would have been seen to.

    Attributes
    ----------
    row : array of int, shape (n,)
        Position of the panel row.
    month : array of int, shape (n,)
        From 1: the month after the cutoff (and its gap).
    churned : array of float, shape (n,)
        1 in the month in which the customer left.
    """

    row: IntArray
    month: IntArray
    churned: FloatArray


def person_months(start: IntArray, left: IntArray, seen_until: IntArray, *, months: int = 12) -> PersonMonths:
    """Follow panel rows month by month.

    Parameters
    ----------
    start : array of int, shape (n,)
        Cutoff plus gap, microseconds.
    left : array of int, shape (n,)
        When the customer left for the first time after that; negative for who did not.
    seen_until : array of int, shape (n,)
        End of the data, or of the relation if it ended without churn.
    months : int
        How far at most.

    Returns
    -------
    PersonMonths
        A month counts if it was seen to its end, or if the customer left in it: a month that the data end cuts short
        says nothing about who stayed in it, and counting only those who left in it would overstate churn; so both are
        left out there.

    Examples
    --------
    >>> day = 86_400_000_000
    >>> found = person_months(np.array([0, 0]), np.array([40 * day, -1]), np.array([90 * day, 70 * day]))
    >>> found.row.tolist(), found.month.tolist(), found.churned.tolist()
    ([0, 0, 1, 1], [1, 2, 1, 2], [0.0, 1.0, 0.0, 0.0])
    """
    length = MONTH_DAYS * DAY
    whole = np.clip((seen_until - start) // length, 0, months)
    gone = left > start
    of_leaving = np.where(gone, (left - start - 1) // length + 1, np.iinfo(np.int64).max)
    last = np.minimum(whole, of_leaving)
    row = np.repeat(np.arange(len(start)), last)
    month = np.arange(len(row)) - np.repeat(np.cumsum(last) - last, last) + 1
    return PersonMonths(row, month, (month == of_leaving[row]).astype(np.float64))


def observed_survival(
    rows: PersonMonths, segment: pd.Series, customer: NDArray[np.generic], weight: FloatArray
) -> pd.DataFrame:
    r"""Estimate by segment which share of customers is still there after each month.

    Parameters
    ----------
    rows : PersonMonths
        From `person_months`.
    segment : Series
        Name of the segment of each panel row.
    customer : array, shape (panel rows,)
        Whose row it is; rows of one customer are not independent.
    weight : array of float, shape (panel rows,)
        Row weights.

    Returns
    -------
    DataFrame
        segment, month, at_risk (rows), churned (rows), hazard, survival, lo, hi: 90 % interval; segments sorted.

    Notes
    -----
    The life-table (Kaplan and Meier 1958, doi:10.2307/2281868) estimate :math:`S_k = \prod_{j \le k} (1 - h_j)`. Its
    influence on the logarithm is :math:`-\sum_{j \le k} (d_{ij} - h_j n_{ij}) / (n_j (1 - h_j))`, which with one row a
    customer gives Greenwood's variance; summed by customer it is the clustered one. The interval is symmetric for
    :math:`\log(-\log S)` (Kalbfleisch and Prentice 2002, section 1.4).
    """
    parts = [
        _curve(name, rows, np.flatnonzero((segment == name).to_numpy()), customer, weight)
        for name in sorted(segment.dropna().unique())
    ]
    return pd.concat([pd.DataFrame(columns=_COLUMNS), *parts], ignore_index=True) if parts else _none()


def fitted_survival(rows: PersonMonths, risk: FloatArray, weight: FloatArray) -> FloatArray:
    """Fit a discrete-time hazard that depends on month and predicted risk.

    Parameters
    ----------
    rows, weight
        As in `observed_survival`.
    risk : array of float, shape (panel rows,)
        The churn model's risk over its horizon.

    Returns
    -------
    array of float, shape (panel rows, months)
        The chance of each panel row's customer to be still there after each month.

    Raises
    ------
    EmptyResultError
        Fewer than 20 departures in the months followed.

    Notes
    -----
    Logistic regression of leaving in a month on a dummy for each month and the logit of the risk (Singer and Willett
    1993, doi:10.3102/10769986018002155), by statsmodels. A customer whose risk is twice another's has about twice the
    hazard in each month: where risks matter less as time passes, curves of segments lie too far apart in later months,
    which the observed curve beside them shows. Its sampling error is about that of the observed curve, whose interval
    is the one to go by.
    """
    import statsmodels.api as sm  # noqa: PLC0415 (half a second that whoever only reads a simulation does without)

    if rows.churned.sum() < _FEWEST_CHURNERS:
        raise EmptyResultError(
            f"{int(rows.churned.sum())} departures fall into the months followed. At least {_FEWEST_CHURNERS} are "
            "needed to say when customers leave. Bring a longer history."
        )
    score, last = to_logit(risk), int(rows.month.max())
    months = np.eye(last)[rows.month - 1]
    seen = months.T @ rows.churned > 0  # in a month without a departure the hazard is zero, and no logit says so
    used = seen[rows.month - 1]
    design = np.column_stack([months[used][:, seen], score[rows.row[used]]])
    model = sm.GLM(rows.churned[used], design, family=sm.families.Binomial(), freq_weights=weight[rows.row[used]])
    fitted = model.fit()
    level = np.full(last, -np.inf)
    level[seen] = fitted.params[:-1]
    hazard = expit(level[None, :] + fitted.params[-1] * score[:, None])
    return np.asarray(np.cumprod(1 - hazard, axis=1), np.float64)


def mean_survival(survival: FloatArray, segment: pd.Series, weight: FloatArray) -> pd.DataFrame:
    """Average the survival of `fitted_survival` by segment: segment, month, survival."""
    return pd.concat([_none()[["segment", "month", "survival"]], *_means(survival, segment, weight)], ignore_index=True)


def _means(survival: FloatArray, segment: pd.Series, weight: FloatArray) -> Iterable[pd.DataFrame]:
    for name in sorted(segment.dropna().unique()):
        here = (segment == name).to_numpy()
        mean = weight[here] @ survival[here] / weight[here].sum()
        yield pd.DataFrame({"segment": name, "month": np.arange(1, len(mean) + 1), "survival": mean})


def _curve(
    name: str, rows: PersonMonths, panel: NDArray[np.intp], customer: NDArray[np.generic], weight: FloatArray
) -> pd.DataFrame:
    here = np.isin(rows.row, panel)
    if not here.any():
        return _none()
    row, month, churned = rows.row[here], rows.month[here], rows.churned[here]
    last = int(month.max())
    codes = pd.factorize(np.asarray(customer)[row])[0]
    w = weight[row]
    at_risk = np.bincount(month, w, last + 1)[1:]
    hazard = np.bincount(month, w * churned, last + 1)[1:] / at_risk
    stays = np.cumprod(1 - hazard)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = w * (churned - hazard[month - 1]) / (at_risk * (1 - hazard))[month - 1]
    by_customer = np.zeros((codes.max() + 1, last))
    np.add.at(by_customer, (codes, month - 1), each)
    influence = -np.cumsum(by_customer, axis=1)
    error = np.sqrt((influence**2).sum(axis=0))
    lo, hi = _interval(np.asarray(stays, np.float64), error, len(by_customer))
    counts = [np.bincount(month, minlength=last + 1)[1:], np.bincount(month, churned, last + 1)[1:].astype(np.int64)]
    columns = [name, np.arange(1, last + 1), *counts, hazard, stays, lo, hi]
    return pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


def _interval(survival: FloatArray, error: FloatArray, customers: int) -> tuple[FloatArray, FloatArray]:
    """Turn the standard error of the logarithm into an interval within 0 and 1; Wilson's where nobody or all left."""
    z = float(ndtri(0.5 + LEVEL / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(z * error / np.abs(np.log(survival)))
        lo, hi = survival**factor, survival ** (1 / factor)
    inside = (survival > 0) & (survival < 1)
    least, nobody_left = z**2 / (customers + z**2), survival >= 1
    lowest, highest = np.where(nobody_left, 1 - least, 0.0), np.where(nobody_left, 1.0, least)
    return np.where(inside, lo, lowest), np.where(inside, hi, highest)


def _none() -> pd.DataFrame:
    return pd.DataFrame(columns=_COLUMNS)
