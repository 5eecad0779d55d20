"""Which initiative to try first: what it is worth to know more before deciding.

For comparing pilots before any is run, under the mean. Not for deciding how long to run one that is running, and not
for what waiting costs.

References
----------
Raiffa, Schlaifer (1961), *Applied statistical decision theory*, chapters 4 and 5 (value of perfect and of sample
information, unit normal loss).
Frazier, Powell, Dayanik (2009), The knowledge-gradient policy for correlated normal beliefs, INFORMS Journal on
Computing 21, doi:10.1287/ijoc.1080.0314 (mean of the highest of many lines).
Eisner, Severance (1976), Mathematical techniques for efficient record segmentation in large shared databases, Journal
of the ACM 23, doi:10.1145/321978.321982 (all lines that are highest somewhere, by asking which is at a few points).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from features.errors import StudyError, closest
from models.estimates import Z
from models.feasibility import check_limits
from models.portfolio import Search
from models.proposals import Limits

__all__ = ["Pilot", "PilotWorth", "Pilots", "worth_of_pilots"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FAR = 12.0
"""Standard deviations beyond which nothing is looked for: a probability of 1e-32."""

CLOSE = 1e-9
"""Lines closer than this, over their size, are one."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """A randomised trial of one initiative, half of its customers with and half without.

    Parameters
    ----------
    name : str
        The initiative.
    customers : int
        In both halves together; at least 2.
    spread : float
        Standard deviation of the net value of one customer over the time that is counted, currency; not below 0.
    reached : float
        Customers whom the whole initiative reaches, not below 0: the mean per customer is scaled up to them.
    cost : float
        Of the pilot, currency, not below 0.

    Raises
    ------
    ValueError
        Numbers out of range.
    """

    name: str
    customers: int
    spread: float
    reached: float
    cost: float = 0.0

    def __post_init__(self) -> None:
        if self.customers < 2:
            raise ValueError(f"a pilot of '{self.name}' has {self.customers} customers. Expected 2 or more.")
        for what in ("spread", "reached", "cost"):
            amount = getattr(self, what)
            if not 0 <= amount < np.inf:
                raise ValueError(f"{what} of the pilot of '{self.name}' is {amount}. Expected a number, 0 or more.")

    @property
    def error(self) -> float:
        """Standard error of the initiative's value as the pilot would estimate it, currency."""
        return 2 * self.reached * self.spread / sqrt(self.customers)


@dataclass(frozen=True, slots=True)
class PilotWorth:
    """What one pilot is worth.

    Attributes
    ----------
    name : str
        The initiative.
    perfect : float
        Worth of knowing its value exactly, currency: no pilot of it is worth more.
    sample : float
        Worth of what the pilot would tell, currency.
    cost, net : float
        Of the pilot, and worth less cost; currency.
    p_change : float
        Probability that the set chosen after it is another one.
    """

    name: str
    perfect: float
    sample: float
    cost: float
    net: float
    p_change: float


@dataclass(frozen=True, slots=True)
class Pilots:
    """Pilots in the order in which they should be run, and what knowing everything would be worth.

    Attributes
    ----------
    pilots : tuple of PilotWorth
        Highest net worth first; equals by name. A pilot with a net worth below 0 is not worth running.
    everything, lo, hi : float
        Worth of knowing the value of every set exactly, with its 90 % Monte Carlo interval; currency.
    draws : int
        How many it rests on.
    """

    pilots: tuple[PilotWorth, ...]
    everything: float
    lo: float
    hi: float
    draws: int

    def to_frame(self) -> pd.DataFrame:
        """One row per pilot: initiative, perfect, sample, cost, net (currency), p_change."""
        return pd.DataFrame(
            [(one.name, one.perfect, one.sample, one.cost, one.net, one.p_change) for one in self.pilots],
            columns=["initiative", "perfect", "sample", "cost", "net", "p_change"],
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """A set by what it is worth when a standard normal z is learned: level + slope * z."""

    level: float
    slope: float


def worth_of_pilots(searched: Search, limits: Limits, pilots: Sequence[Pilot], among: Flags | None = None) -> Pilots:
    """Compute what each pilot is worth, from how it could change the choice.

    Parameters
    ----------
    searched : Search
        From `models.portfolio.search`. Its appetite plays no part: worth is of the mean.
    limits : Limits
        As for `models.portfolio.choose`; the pilot's cost is not taken from the budget.
    pilots : sequence of Pilot
        One or more for an initiative; two of one name are two sizes to compare.
    among : bool array, shape (n, m), optional
        Sets that may be chosen after a pilot. Left out: all within the limits. Among fewer sets a pilot is worth less,
        so that what is told is worth at least so much, and no search is needed for any pilot.

    Returns
    -------
    Pilots

    Raises
    ------
    StudyError
        Unknown initiatives; limits as in `models.portfolio.choose`.
    ValueError
        Fewer than two draws: they have no spread.

    Notes
    -----
    Estimand: ``E[max_S E(V(S) | x)] - max_S E V(S)``, x the result of the pilot. Values of all sets and the result are
    read as jointly normal with the means and covariances of the draws, so that the mean of V(S) given x is a line in
    one standard normal z: level ``E V(S)``, slope ``cov(V(S), v) / sqrt(var v + error^2)``, with v the initiative's
    value alone. A pilot tells of other initiatives, too, as far as their values go along. With breakpoints c between
    the lines that are highest somewhere the worth is ``sum (change of slope) x f(-|c|)``, ``f(u) = u Phi(u) + phi(u)``,
    exact for normal values. For one initiative this is the unit normal loss of Raiffa and Schlaifer.

    `everything` is ``mean_k max_S V_k(S) - max_S mean_k V_k(S)``, without normality.

    Fails where values are far from normal (many draws at nothing, few at very much): compare `perfect` of a single
    initiative with `everything`. What the world does while the pilot runs is not counted.

    Cost: a few searches for each pilot, and one for each draw for `everything`.

    Examples
    --------
    >>> from models.portfolio import search
    >>> from models.proposals import Proposal, Proposals
    >>> draws = norm.ppf((np.arange(1000) + 0.5) / 1000)  # mean 0, standard deviation 1: worth phi(0) = 0.399
    >>> offered = search(Proposals.of([Proposal("a", draws, 1)]))
    >>> round(worth_of_pilots(offered, Limits(), [Pilot("a", 100, spread=0.0, reached=1)]).pilots[0].sample, 2)
    0.4
    """
    names = searched.proposals.names
    unknown = [
        f"pilot: no initiative is called '{one.name}'.{closest(one.name, names)} Expected one of: {', '.join(names)}. "
        "Correct the name."
        for one in pilots
        if one.name not in names
    ]
    if unknown:
        raise StudyError.collect(unknown)
    check_limits(searched.proposals, limits)
    if len(searched.proposals.value) < 2:
        raise ValueError("one draw was given. Expected two or more, so that they have a spread. Simulate more draws.")
    known = None if among is None else np.array([searched.draws(flags) for flags in np.unique(among, axis=0)]).T
    valued = [_pilot_worth(searched, limits, one, known) for one in pilots]
    value, error = _everything(searched, limits)
    return Pilots(
        pilots=tuple(sorted(valued, key=lambda one: (-one.net, one.name, one.cost))),
        everything=value,
        lo=max(0.0, value - Z * error),
        hi=value + Z * error,
        draws=len(searched.proposals.value),
    )


def _everything(searched: Search, limits: Limits) -> tuple[float, float]:
    """Worth of knowing everything, and its Monte Carlo standard error."""
    chosen = searched.best_by_draw(limits)
    n = len(chosen)
    now = searched.draws(searched.best_weighted(np.full(n, 1 / n), limits).flags)
    sets, of_draw = np.unique(chosen, axis=0, return_inverse=True)
    better = np.zeros(n)
    for k, flags in enumerate(sets):
        rows = of_draw.ravel() == k
        better[rows] = searched.draws(flags)[rows]
    gain = np.maximum(better - now, 0.0)  # below nothing only by rounding, or where sets are not proved best
    return float(gain.mean()), float(gain.std(ddof=1) / sqrt(n))


def _pilot_worth(searched: Search, limits: Limits, pilot: Pilot, known: Array | None) -> PilotWorth:
    alone = searched.proposals.value[:, searched.proposals.names.index(pilot.name)]

    def drawn(weights: Array) -> Array:
        if known is None:
            return searched.draws(searched.best_weighted(weights, limits).flags)
        return np.asarray(known[:, int((weights @ known).argmax())])

    perfect, _ = _information(drawn, alone, 0.0)
    sample, p_change = _information(drawn, alone, pilot.error)
    return PilotWorth(pilot.name, perfect, sample, pilot.cost, sample - pilot.cost, p_change)


def _information(drawn: Callable[[Array], Array], alone: Array, error: float) -> tuple[float, float]:
    """Worth of seeing a value with an error, and the probability that the choice changes.

    `drawn` gives the draws of the set that is best when draws are weighed so.
    """
    n = len(alone)
    total = sqrt(float(alone.var(ddof=1)) + error**2)
    if total == 0:
        return 0.0, 0.0
    level, slope = np.full(n, 1 / n), (alone - alone.mean()) / ((n - 1) * total)

    def highest(z: float) -> _Line:
        draws = drawn(level + z * slope)
        return _Line(float(level @ draws), float(slope @ draws))

    lines = _envelope(highest)
    crossings = np.array([_crossing(one, other) for one, other in pairwise(lines)])
    turns = np.diff([line.slope for line in lines])
    loss = norm.pdf(crossings) - np.abs(crossings) * norm.cdf(-np.abs(crossings))
    # The set chosen now is the highest line at 0.
    below, above = crossings[crossings <= 0], crossings[crossings > 0]
    stays = norm.cdf(above.min(initial=np.inf)) - norm.cdf(below.max(initial=-np.inf))
    return float(turns @ loss), float(1 - stays)


def _envelope(highest: Callable[[float], _Line]) -> list[_Line]:
    """All lines that are highest somewhere between -FAR and FAR, by rising slope."""

    def between(left: _Line, right: _Line) -> list[_Line]:
        if right.slope - left.slope <= CLOSE * max(abs(left.slope), abs(right.slope)):
            return []
        z = _crossing(left, right)
        found, here = highest(z), left.level + left.slope * z
        if found.level + found.slope * z <= here + CLOSE * max(abs(left.level), abs(right.level), abs(here)):
            return []
        return [*between(left, found), found, *between(found, right)]

    left, right = highest(-FAR), highest(FAR)
    apart = right.slope - left.slope > CLOSE * max(abs(left.slope), abs(right.slope))
    return [left, *between(left, right), right] if apart else [left]


def _crossing(left: _Line, right: _Line) -> float:
    return (left.level - right.level) / (right.slope - left.slope)
