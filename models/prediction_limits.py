"""How far a new batch may stray before it counts as moved, learned from how far earlier ones strayed.

With ten thousand rows any test of equality rejects: one month is never quite like another. So a batch is not compared
with sampling noise but with the history of the same statistic, by a prediction limit for one further value. The history
is short and its values overlap, so the spread of each series is steadied by the spread of all (empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import t as student

__all__ = ["FEWEST", "Limits", "LookBack", "Overlap", "Spread", "limits", "look_back", "overlap", "shared_spread"]

FloatArray = NDArray[np.float64]

FEWEST = 4
"""Past values of a series without which no limit is given."""

_MOST_PRIOR = 1e4
"""Degrees of freedom of a prior that is taken as certain."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What all series together say about the variance of one: a scaled inverse chi-square.

    Attributes
    ----------
    variance : float
        Typical variance of a series.
    freedom : float
        How many degrees of freedom that is worth; 0: nothing is shared.
    """

    variance: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Between which values one further value of each series is expected.

    Attributes
    ----------
    centre, lo, hi : ndarray of float, shape (series,)
        Mean of the history, and the limits.
    p : ndarray of float, shape (series,)
        Chance of a value at least as far out as the new one, two-sided; one-sided where only growth counts.
    n : int
        Past values of each series.
    worth : float
        How many independent ones they are worth.
    """

    centre: FloatArray
    lo: FloatArray
    hi: FloatArray
    p: FloatArray
    n: int
    worth: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a short series over overlapping windows knows of its own mean and variance, and of the value that follows.

    Attributes
    ----------
    n : int
        Values.
    worth : float
        Independent values that would know the mean as well.
    freedom : float
        Degrees of freedom of the sample variance.
    shrinkage : float
        Expected sample variance over the true one: neighbours are alike.
    further : float
        Variance of a further value around the sample mean, over the true variance of a value.
    """

    n: int
    worth: float
    freedom: float
    shrinkage: float
    further: float


def overlap(n: int, window_steps: float, lag: int = 0, back: int = 0) -> Overlap:
    """Say what n values are worth, each of which looks back over the same number of steps.

    Parameters
    ----------
    n : int
        Values, one a step; at least 2.
    window_steps : float
        Length of the windows in steps; up to 1 they do not overlap.
    lag, back : int
        For values that are distances: from the mean of `back` values that end `lag` steps before; the further value is
        the distance `lag` steps after the last. Lag 0: the values as they are, and a further one that is not alike.

    Returns
    -------
    Overlap

    Notes
    -----
    Values k steps apart have the correlation ``max(0, 1 - k / window_steps)``, that of moving averages of independent
    steps; distances the correlation R that follows from it. With M for centring, the mean has the variance
    ``sum(R) / n^2``, the sample variance the expectation ``tr(M R) / (n - 1)`` and, as a scaled chi-square,
    ``tr(M R)^2 / tr(M R M R)`` degrees of freedom. A further distance is taken from values that are part of earlier
    distances, so it varies more around their mean than one that is not.

    References
    ----------
    Box 1954, doi:10.1214/aoms/1177728786, theorem 3.1 (quadratic forms as scaled chi-squares).

    Examples
    --------
    >>> overlap(5, 1.0)
    Overlap(n=5, worth=5.0, freedom=4.0, shrinkage=1.0, further=1.2)
    """
    alike, with_next = _correlation(n, window_steps, lag, back)
    product = (np.eye(n) - 1 / n) @ alike
    trace = float(np.trace(product))
    mean = float(alike.sum()) / n**2
    further = 1 + mean - 2 * float(with_next.mean())
    freedom, shrinkage = trace**2 / float(np.trace(product @ product)), trace / (n - 1)
    return Overlap(n, *(round(value, 9) for value in (1 / mean, freedom, shrinkage, further)))


def _correlation(n: int, window_steps: float, lag: int, back: int) -> tuple[FloatArray, FloatArray]:
    """Correlate n values with each other, and with the further one."""
    window = max(window_steps, 1.0)
    if not lag:
        apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        return np.maximum(0.0, 1 - apart / window), np.zeros(n)
    first = lag + back - 1  # of the series that distances are taken in
    at = np.array([*range(first, first + n), first + n - 1 + lag])
    step = np.arange(at[-1] + 1)
    taken = (step == at[:, None]).astype(np.float64)
    taken -= ((step <= at[:, None] - lag) & (step > at[:, None] - lag - back)) / back
    distances = taken @ np.maximum(0.0, 1 - np.abs(np.subtract.outer(step, step)) / window) @ taken.T
    alike = distances / distances[0, 0]
    return alike[:n, :n], alike[:n, n]


class LookBack(NamedTuple):
    """With which earlier values each value of a series is compared: as many for all, and as far before each.

    Attributes
    ----------
    lag : int
        Steps from the last of the earlier values to the one that is compared.
    back : int
        How many earlier values there are.
    targets : range
        Places of the values that have so many before them.
    """

    lag: int
    back: int
    targets: range

    def past(self, target: int) -> slice:
        """Give the places of the values that one is compared with."""
        return slice(target - self.lag - self.back + 1, target - self.lag + 1)

    @property
    def latest(self) -> slice:
        """Places of the values that a further one is compared with: the last of the series."""
        return slice(self.targets.stop - self.back, self.targets.stop)


def look_back(length: int, lag: int, least: int, most: int) -> LookBack:
    """Say with how many earlier values each value of a series is compared.

    Parameters
    ----------
    length : int
        Values of the history.
    lag : int
        Steps from the last of the history to the value that follows; cut to half of the history.
    least, most : int
        Between these the number of earlier values lies, where the history is long enough.

    Returns
    -------
    LookBack
        It looks back on a third of what the lag leaves of the history, so that two thirds of it give limits; on one
        value at least.

    Notes
    -----
    With the mean of a fixed number of values, a linear trend adds the same to every distance. With the mean of all
    earlier values, distances would grow along the history, and the next one would be the largest.

    Examples
    --------
    >>> [look_back(length, lag, 3, 6).back for length, lag in ((21, 3), (12, 3), (4, 2))]
    [6, 3, 2]
    >>> found = look_back(21, 3, 3, 6)
    >>> found.targets, found.past(8), found.latest
    (range(8, 21), slice(0, 6, None), slice(15, 21, None))
    """
    lag = max(1, min(lag, length // 2))
    room = max(1, length - lag)
    back = min(max(least, min(most, room // 3)), room)
    return LookBack(lag, back, range(lag + back - 1, length))


def shared_spread(variance: FloatArray, freedom: float) -> Spread:
    """Learn from many series how much variances differ.

    Parameters
    ----------
    variance : ndarray of float, shape (series,)
        Sample variance of each; zeros are left out.
    freedom : float
        Degrees of freedom of each.

    Returns
    -------
    Spread
        With fewer than three series nothing is shared.

    References
    ----------
    Smyth 2004, doi:10.2202/1544-6115.1027, section 6.2: moments of the logarithms of the variances.
    """
    found = variance[variance > 0]
    if len(found) < 3:
        return Spread(float(found.mean()) if len(found) else 0.0, 0.0)
    logs = np.log(found) - digamma(freedom / 2) + np.log(freedom / 2)
    surplus = float(logs.var(ddof=1) - polygamma(1, freedom / 2))
    if surplus <= polygamma(1, _MOST_PRIOR / 2):
        return Spread(float(np.exp(logs.mean())), _MOST_PRIOR)
    half = brentq(lambda x: float(polygamma(1, x)) - surplus, 1e-6, _MOST_PRIOR)
    return Spread(float(np.exp(logs.mean() + digamma(half) - np.log(half))), 2 * half)


def limits(history: FloatArray, new: FloatArray, alpha: float, found: Overlap, *, only_growth: bool = False) -> Limits:
    """Predict one further value of each of many series.

    Parameters
    ----------
    history : ndarray of float, shape (series, n)
        Past values; n is at least `FEWEST`.
    new : ndarray of float, shape (series,)
        The further values.
    alpha : float
        Chance that, nothing having changed, a further value lies outside of its limits: of one series. Divide by the
        number of series for a chance over all (Bonferroni).
    found : Overlap
        What the values of a series are worth, from :func:`overlap`.
    only_growth : bool
        Whether only values above are out of the ordinary, as for distances.

    Returns
    -------
    Limits
        ``centre +- t * s * sqrt(further)``, t of ``own + shared`` degrees of freedom.

    Notes
    -----
    Assumes that values of a series, past and new, come from one normal distribution: take logarithms of distances. A
    trend must be taken out before, by differences over a fixed lag. s is the root of the mean of own and shared
    variance, each weighted with its degrees of freedom (moderated t), the own one freed of what overlap takes from it.

    References
    ----------
    Smyth 2004, doi:10.2202/1544-6115.1027, equation 5 and section 4. Whitmore 1986, doi:10.1080/00031305.1986.10475374
    (prediction limits for one further value).

    Examples
    --------
    >>> past = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
    >>> found = limits(past, np.array([3.0]), 0.05, overlap(5, 1.0))
    >>> found.lo.round(2).tolist(), found.hi.round(2).tolist()  # 3 +- 2.776 * 1.581 * sqrt(1.2)
    ([-1.81], [7.81])
    """
    n = history.shape[1]
    if n < FEWEST or n != found.n:
        msg = f"{n} past values of each series; at least {FEWEST}, and {found.n}, were expected"
        raise ValueError(msg)
    centre, variance = history.mean(axis=1), history.var(axis=1, ddof=1) / found.shrinkage
    shared = shared_spread(variance, found.freedom)
    freedom = found.freedom + shared.freedom
    steadied = (found.freedom * variance + shared.freedom * shared.variance) / freedom
    error = np.sqrt(steadied * found.further)
    half = error * student.isf(alpha if only_growth else alpha / 2, freedom)
    distance = new - centre if only_growth else np.abs(new - centre)
    # Where nothing has ever moved, whatever moves is out of the ordinary.
    ratio = np.divide(distance, error, out=np.where(distance > 0, np.inf, 0.0), where=error > 0)
    p = student.sf(ratio, freedom) * (1 if only_growth else 2)
    lo = np.full(len(centre), -np.inf) if only_growth else centre - half
    return Limits(centre, lo, centre + half, np.minimum(p, 1.0), n, found.worth)
