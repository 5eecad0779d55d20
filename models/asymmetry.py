"""Penalty and reward: what a bad rating goes along with, what a very good one does, and whether the two are alike.

For asking whether a driver has to be repaired or polished. It is association, as in `models.importance`: neither side
says what would happen if ratings were moved, and the classes are no answers to Kano's questionnaire, which asks other
questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.driver_game import is_exact, unions
from models.drivers import MIN_CUSTOMERS, outcome_name
from models.estimates import LEVEL, Estimate
from models.lattice import owen, partial_out
from models.moments import covariance, group_moments
from models.rated import Place, Rated, RatedDesign, rated_design

__all__ = ["Asymmetry", "Kind", "PenaltyReward", "penalty_reward"]

FloatArray = NDArray[np.float64]
Kind = Literal["basic", "linear", "delighter", "unclear"]

FEWEST = 30
"""Customers needed in the low third, in the middle and in the top third of a scale to tell its kind."""

LINEAR = 1 / 3
"""Asymmetry up to which both sides count as alike: neither is more than twice the other."""

NONLINEAR = 0.02
"""Share of the explained variance that levels have to add before a driver is called nonlinear."""


@dataclass(frozen=True, slots=True)
class PenaltyReward:
    """Both sides of one rated driver. Every estimate has a 90 % interval by customer; its n is customers who rated.

    Attributes
    ----------
    rated : Rated
        The driver.
    reach : float
        Share of the weight that has a rating.
    penalty, reward : Estimate
        Outcome of those in the low (top) third of the scale less that of the middle, in units of the outcome, all other
        drivers and the controls held fixed.
    asymmetry : Estimate
        ``(g - l) / (|g| + |l|)`` with the gain for each point of rating above the middle (g) and the loss for each
        point below (l): -1 if only bad ratings matter, 0 if a point is a point, 1 if only very good ones do.
    effect : Estimate
        Outcome for one point of rating better, among those who rated: the slope of the linear model.
    population_effect : Estimate
        ``effect`` times ``reach``: the same for all customers, those without a rating included.
    nonlinearity : Estimate
        Share of the explained variance when the driver enters by its levels, less its share on a straight line, less
        what levels gain by chance; NaN where shares are not computed.
    kind : {"basic", "linear", "delighter", "unclear"}
        See :func:`penalty_reward`.
    is_nonlinear : bool
        ``nonlinearity`` is above `NONLINEAR` and its interval above 0.
    warning : str
        Why the kind is unclear, or empty.
    """

    rated: Rated
    reach: float
    penalty: Estimate
    reward: Estimate
    asymmetry: Estimate
    effect: Estimate
    population_effect: Estimate
    nonlinearity: Estimate
    kind: Kind
    is_nonlinear: bool
    warning: str


@dataclass(frozen=True, slots=True)
class Asymmetry:
    """Penalty and reward of all rated drivers, in their order.

    Attributes
    ----------
    outcome : str
        'churn' or the column's name.
    drivers : tuple of PenaltyReward
        Empty if `refusal` says why.
    n_customers, n_rows : int
        Used, with a rating or without.
    refusal : str
        Why nothing is told, or empty.
    """

    outcome: str
    drivers: tuple[PenaltyReward, ...]
    n_customers: int
    n_rows: int
    refusal: str

    def to_frame(self) -> pd.DataFrame:
        """One row a driver; each estimate has its value and, as ``_lo`` and ``_hi``, its interval."""
        return pd.DataFrame([_row(self.outcome, one) for one in self.drivers])


def penalty_reward(
    frame: pd.DataFrame,
    rated: Sequence[Rated],
    outcome: str,
    *,
    better: Literal["higher", "lower"],
    rng: np.random.Generator,
    controls: Sequence[str] = (),
    weight: str | None = None,
    replicates: int = 200,
    customer: str = "customer_id",
) -> Asymmetry:
    """Estimate what low and top ratings go along with.

    Parameters
    ----------
    frame : DataFrame
        Panel rows; rows without the outcome or without weight are left out.
    rated : sequence of Rated
        Rated drivers, from :func:`models.rated.rated_drivers`; all are in every model.
    outcome : str
        A numeric column: 0/1 (churn) or an amount.
    better : {"higher", "lower"}
        Which outcome is the better one: lower for churn.
    rng : numpy.random.Generator
        Draws the customers of the bootstrap.
    controls : sequence of str
        Columns that are in every model; text is expanded into levels.
    weight : str, optional
        Column of weights.
    replicates : int
        Bootstrap draws.
    customer : str
        The column that names the customer.

    Returns
    -------
    Asymmetry
        Refused below 200 customers and where the outcome does not vary.

    Raises
    ------
    ValueError
        No driver, a column twice, or a column that is not there.

    Notes
    -----
    Two least squares fits of the outcome (for churn the linear probability model) from the same moments. *Sides*:
    controls and, for each driver, "in the low third", "in the top third" and "no rating". *Slope*: controls, rating and
    "no rating". A rating that is not there is one more level, whatever the reason: right where it did not apply; where
    it was not answered, slopes from `models.answers` are better.

    Thirds are those of the scale; of the distribution where the scale has no ends (ties join the outer third). Because
    thirds are not equally far from the middle, sides are compared for each point between the mean ratings of the
    classes: a driver on a straight line has no asymmetry whatever its distribution.

    Kind: *unclear* if a side has the wrong sign (a better outcome after low, a worse one after top ratings, with its
    whole interval): the index is then -1 or 1 with hardly an interval and is not read at all. A side that may be 0
    is no wrong side: nothing gained above the middle is what a basic driver is. *Basic* or *delighter* if the interval
    of the asymmetry lies below or above 0. *Linear* if both sides exclude 0 and the asymmetry lies, with its interval,
    within a third of 0. Else *unclear*. Of ten linear drivers one is called otherwise by chance.

    Intervals: percentiles over draws of groups of customers; for nonlinearity reflected (the basic bootstrap), because
    levels gain by chance in each draw what they have gained by chance in the sample.

    References
    ----------
    Brandt (1988), How service marketers can identify value-enhancing service elements, Journal of Services Marketing 2
    (penalty-reward contrast). Mikulić, Prebežac (2011), doi:10.1108/09604521111100243 (critical review of kinds).
    Davison, Hinkley (1997), Bootstrap Methods and their Application, section 5.2 (basic). Lindeman, Merenda, Gold
    (1980), p. 119 (shares).
    """
    _check(frame, rated, [outcome, *controls, customer, *([] if weight is None else [weight])])
    usable = frame[outcome].notna() & (True if weight is None else frame[weight] > 0)
    rows = frame[usable]
    sample = _Sample(outcome, int(rows[customer].nunique()), len(rows))
    if sample.n_customers < MIN_CUSTOMERS:
        return sample.result(refusal=f"{sample.n_customers} customers; at least {MIN_CUSTOMERS} are needed")
    if rows[outcome].nunique() < 2:
        return sample.result(refusal="the outcome does not vary")
    layout = rated_design(rows, rated, controls, outcome, weight, customer)
    moments = group_moments(layout.matrix, rows[customer], layout.weight)
    stacks = (moments.total()[np.newaxis], moments.resampled(replicates, rng))
    sign = 1.0 if better == "higher" else -1.0
    sides = [_sides(stack, layout, sign) for stack in stacks]
    bent = [_bent(stack, layout) for stack in stacks]
    told = [_told(k, layout, (sides[0], sides[1]), (bent[0], bent[1])) for k in range(len(rated))]
    return sample.result(tuple(told))


class _Sample(NamedTuple):
    """What the result says about the rows it comes from."""

    outcome: str
    n_customers: int
    n_rows: int

    def result(self, drivers: tuple[PenaltyReward, ...] = (), refusal: str = "") -> Asymmetry:
        return Asymmetry(
            outcome_name(self.outcome), drivers, self.n_customers, self.n_rows, refusal and f"not told: {refusal}"
        )


class _Sides(NamedTuple):
    """What is estimated for each driver, shape (stack, drivers); losses and gains are good when above 0."""

    penalty: FloatArray
    reward: FloatArray
    loss: FloatArray
    gain: FloatArray
    asymmetry: FloatArray
    effect: FloatArray
    reach: FloatArray


def _check(frame: pd.DataFrame, rated: Sequence[Rated], others: Iterable[str]) -> None:
    """Refuse drivers and columns that cannot be computed with."""
    if not rated:
        raise ValueError("rated is empty. At least one rated driver was expected. Pass rated_drivers(...).")
    columns = [one.column for one in rated]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} stands for two drivers. Each driver needs its own column. Drop one.")
    missing = [column for column in [*others, *columns] if column not in frame.columns]
    if missing:
        raise ValueError(f"{missing[0]!r} is not a column of the frame. Name one of its {frame.shape[1]} columns.")


def _slopes(moments: FloatArray, n_controls: int, columns: Sequence[int]) -> FloatArray:
    """Least squares of the outcome on intercept, controls and columns: the slopes of the latter, (stack, columns)."""
    known = np.array([0, *range(1, n_controls + 1), *(column + 1 for column in columns)])
    square, cross = moments[:, known][:, :, known], moments[:, known, -1]
    size = np.sqrt(np.diagonal(square, axis1=-2, axis2=-1))
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv(square / (size[:, :, np.newaxis] * size[:, np.newaxis, :]), rcond=1e-10, hermitian=True)
    found: FloatArray = np.einsum("sij,sj->si", inverse, cross / size) / size
    return found[:, n_controls + 1 :]


def _sides(moments: FloatArray, layout: RatedDesign, sign: float) -> _Sides:
    """Fit sides and slopes."""
    places = layout.places
    flags = [column for place in places for column in place.flag]
    k = len(places)
    thirds = [column for place in places for column in (place.low, place.top)]
    sides = _slopes(moments, layout.n_controls, [*thirds, *flags])[:, : 2 * k].reshape(-1, k, 2)
    effect = _slopes(moments, layout.n_controls, [*(place.value for place in places), *flags])[:, :k]
    penalty, reward = sides[..., 0], sides[..., 1]
    apart = np.stack([_distances(moments, place) for place in places], axis=1)
    loss, gain = -sign * penalty / apart[..., 0], sign * reward / apart[..., 1]
    size = np.abs(gain) + np.abs(loss)
    asymmetry = np.divide(gain - loss, size, out=np.full_like(size, np.nan), where=size > 0)
    total = moments[:, 0, 0]
    away = np.stack([moments[:, 0, [1 + c for c in place.flag]].sum(axis=1) for place in places], axis=1)
    return _Sides(penalty, reward, loss, gain, asymmetry, effect, 1 - away / total[:, np.newaxis])


def _distances(moments: FloatArray, place: Place) -> FloatArray:
    """Points from the mean rating of the low third to that of the middle, and on to that of the top: (stack, 2)."""
    value, low, top = place.value + 1, place.low + 1, place.top + 1
    away = moments[:, 0, [1 + column for column in place.flag]].sum(axis=1)
    weight = np.stack([moments[:, 0, low], moments[:, 0, top]])
    points = np.stack([moments[:, value, low], moments[:, value, top]])
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (moments[:, 0, value] - points.sum(axis=0)) / (moments[:, 0, 0] - away - weight.sum(axis=0))
        mean = points / weight
        apart = np.stack([middle - mean[0], mean[1] - middle], axis=1)
    found: FloatArray = np.where(apart > 0, apart, np.nan)
    return found


def _bent(moments: FloatArray, layout: RatedDesign) -> FloatArray:
    """Share by levels less share on a line, (stack, drivers); NaN where it would take too long."""
    journeys = unions([place.rated.journey for place in layout.places])
    if not is_exact(journeys):
        return np.full((len(moments), len(layout.places)), np.nan)
    C = partial_out(covariance(moments), range(layout.n_controls))

    def shares(blocks: list[tuple[int, ...]]) -> FloatArray:
        own = owen(C, [[column - layout.n_controls for column in block] for block in blocks], journeys)
        total = own.sum(axis=1, keepdims=True)
        relative: FloatArray = np.divide(own, total, out=np.full_like(own, np.nan), where=total > 0)
        return relative

    lines = shares([(place.value, *place.flag) for place in layout.places])
    found: FloatArray = shares([(*place.levels, *place.flag) for place in layout.places]) - lines
    return found


def _told(
    k: int, layout: RatedDesign, sides: tuple[_Sides, _Sides], bent: tuple[FloatArray, FloatArray]
) -> PenaltyReward:
    """Put together what is told of one driver."""
    place, (point, drawn) = layout.places[k], sides
    n = place.customers[0]

    def estimated(name: str, one: FloatArray, many: FloatArray) -> Estimate:
        return Estimate(name, float(one[0, k]), *_percentiles(many[:, k]), n)

    asymmetry = estimated("asymmetry", point.asymmetry, drawn.asymmetry)
    kind, warning = _kind(place, drawn, k, asymmetry)
    nonlinearity = _reflected(bent[0][:, k], bent[1][:, k], n)
    return PenaltyReward(
        rated=place.rated,
        reach=float(point.reach[0, k]),
        penalty=estimated("penalty", point.penalty, drawn.penalty),
        reward=estimated("reward", point.reward, drawn.reward),
        asymmetry=asymmetry,
        effect=estimated("effect", point.effect, drawn.effect),
        population_effect=estimated("population_effect", point.effect * point.reach, drawn.effect * drawn.reach),
        nonlinearity=nonlinearity,
        kind=kind,
        is_nonlinear=nonlinearity.value > NONLINEAR and nonlinearity.lo > 0,
        warning=warning,
    )


def _kind(place: Place, drawn: _Sides, k: int, asymmetry: Estimate) -> tuple[Kind, str]:
    """Name the kind, and say why it is unclear."""
    classes = dict(zip(("the low third", "the middle", "the top third"), place.customers[1:], strict=True))
    few = [f"{count} customers in {where}" for where, count in classes.items() if count < FEWEST]
    if few:
        return "unclear", f"{few[0]}; at least {FEWEST} are needed"
    loss, gain = (_percentiles(side[:, k]) for side in (drawn.loss, drawn.gain))
    if loss[1] < 0 or gain[1] < 0:
        side = "low ratings go along with a better" if loss[1] < 0 else "top ratings go along with a worse"
        return "unclear", f"{side} outcome than the middle: wrong sign"
    if asymmetry.hi < 0 or asymmetry.lo > 0:
        return ("basic" if asymmetry.hi < 0 else "delighter"), ""
    if min(loss[0], gain[0]) > 0 and asymmetry.lo >= -LINEAR and asymmetry.hi <= LINEAR:
        return "linear", ""
    return "unclear", "the two sides cannot be told apart"


def _percentiles(draws: FloatArray) -> tuple[float, float]:
    """Interval that holds the middle of the draws; draws that are not defined are left out."""
    usable = draws[~np.isnan(draws)]
    if not len(usable):
        return float("nan"), float("nan")
    low, high = np.quantile(usable, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float(low), float(high)


def _reflected(one: FloatArray, draws: FloatArray, n: int) -> Estimate:
    """Take from a point what draws have gained on it, with the basic bootstrap interval."""
    low, high = _percentiles(draws)
    value = float(one[0])
    usable = draws[~np.isnan(draws)]
    mean = float(usable.mean()) if len(usable) else float("nan")
    return Estimate("nonlinearity", 2 * value - mean, 2 * value - high, 2 * value - low, n)


def _row(outcome: str, one: PenaltyReward) -> dict[str, object]:
    """Write one driver as a row."""
    row: dict[str, object] = {
        "outcome": outcome,
        "journey": one.rated.journey,
        "driver": one.rated.name,
        "feature": one.rated.column,
        "n": one.effect.n,
        "reach": one.reach,
        "kind": one.kind,
        "is_nonlinear": one.is_nonlinear,
    }
    for found in (one.penalty, one.reward, one.asymmetry, one.effect, one.population_effect, one.nonlinearity):
        row |= {found.metric: found.value, f"{found.metric}_lo": found.lo, f"{found.metric}_hi": found.hi}
    return row | {"warning": one.warning}
