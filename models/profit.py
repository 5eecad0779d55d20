"""What a ranking is worth: the profit of offering the customers with the highest risk something to stay.

Whom to contact depends on how many churners accept, which nobody knows beforehand. So the threshold is the best one for
each rate of acceptance, and profit is averaged over what is believed about that rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln

from models.estimates import Term
from models.ranking import Ranking

__all__ = ["Offer", "expected_profit"]

FloatArray = NDArray[np.float64]

_SMALL = 1e-12
"""Rates below it are contacted by nobody: it keeps a division from overflowing."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer made to customers who might leave, and what it costs.

    Attributes
    ----------
    customer_value : float
        Value of a customer who stays, in currency; above ``incentive_cost``.
    incentive_cost : float
        Cost of the incentive, paid for every churner who accepts and every stayer who is contacted.
    contact_cost : float
        Cost of contacting one customer.
    alpha, beta : float
        The share of contacted churners who accept is Beta(alpha, beta); both above zero.

    Notes
    -----
    The defaults are those of the paper: 200, 10 and 1 euros, and a mean acceptance of 30 % (alpha 6, beta 14).

    References
    ----------
    Verbraken, Verbeke, Baesens 2013, doi:10.1109/TKDE.2012.50, section 5.

    Examples
    --------
    >>> Offer(customer_value=5.0)
    Traceback (most recent call last):
    ...
    ValueError: customer_value is 5.0 and incentive_cost 10.0; a customer must be worth more than what makes them stay
    """

    customer_value: float = 200.0
    incentive_cost: float = 10.0
    contact_cost: float = 1.0
    alpha: float = 6.0
    beta: float = 14.0

    def __post_init__(self) -> None:
        if not (self.incentive_cost >= 0 and self.contact_cost >= 0):
            msg = f"incentive_cost is {self.incentive_cost} and contact_cost {self.contact_cost}; none may be negative"
            raise ValueError(msg)
        if not self.customer_value > self.incentive_cost:
            msg = (
                f"customer_value is {self.customer_value} and incentive_cost {self.incentive_cost}; a customer must be "
                "worth more than what makes them stay"
            )
            raise ValueError(msg)
        if not (self.alpha > 0 and self.beta > 0):
            msg = f"alpha is {self.alpha} and beta {self.beta}; both must be above zero"
            raise ValueError(msg)


def expected_profit(ranking: Ranking, recalibrated: FloatArray, offer: Offer) -> tuple[Term, Term]:
    """Measure what the best use of a ranking earns, and whom it contacts.

    Parameters
    ----------
    ranking : Ranking
        Rows by predicted risk.
    recalibrated : ndarray of float, shape (levels,)
        Churn rates by level that do not fall, from :func:`models.brier.recalibrate`.
    offer : Offer
        What it costs, and who accepts.

    Returns
    -------
    tuple of Term
        ``expected_max_profit``: in currency per customer at risk, against contacting nobody.
        ``max_profit_share``: share of customers contacted, averaged over acceptance.

    Notes
    -----
    With acceptance g, a contacted churner earns ``g (value - incentive) - contact`` and a contacted stayer
    ``-(incentive + contact)``. The best thresholds are corners of the convex hull of the ROC curve, whose segments are
    the levels with one recalibrated rate q: contacting them pays where
    ``g > g(q) = (contact + (incentive + contact) (1 - q) / q) / (value - incentive)``. The profit is the mean over rows
    of what each earns, integrated over ``g > g(q)`` under the Beta density. Rows with the same risk are contacted
    together or not at all.

    The thresholds are the best ones, so that to first order it does not matter that they are estimated: the influence
    of a row on the profit is what it earns less the mean (envelope theorem). The share contacted is no maximum: it
    moves with q as well, by its derivative times ``outcome - q``.

    They are also the best ones on these rows, which flatters the profit where churners are few. Money is that of the
    offer, not that of a planned initiative.

    References
    ----------
    Verbraken, Verbeke, Baesens 2013, doi:10.1109/TKDE.2012.50, equations 10 to 14.
    """
    sample = ranking.sample
    q, segment = np.unique(recalibrated, return_inverse=True)
    margin = offer.customer_value - offer.incentive_cost
    wasted = offer.incentive_cost + offer.contact_cost
    with np.errstate(divide="ignore"):
        odds_against = np.where(q > 0, (1 - q) / q, np.inf)
    needed = (offer.contact_cost + wasted * odds_against) / margin if wasted > 0 else np.where(q > 0, 0.0, 1.0)
    contacted = _above(needed, offer.alpha, offer.beta)
    accepting = offer.alpha / (offer.alpha + offer.beta) * _above(needed, offer.alpha + 1, offer.beta)
    steepness = _density(needed, offer) * wasted / (np.maximum(q, _SMALL) ** 2 * margin)

    def rows(churner: FloatArray, stayer: FloatArray) -> FloatArray:
        return ranking.rows(churner[segment], stayer[segment])

    earned = rows(margin * accepting - offer.contact_cost * contacted, -wasted * contacted)
    profit = sample.mean(earned)
    share = float(ranking.weight @ contacted[segment] / ranking.weight.sum())
    influence = rows(contacted + steepness * (1 - q), contacted - steepness * q) - share
    return (
        Term("expected_max_profit", profit, earned - profit, "from zero"),
        Term("max_profit_share", share, influence, "logit"),
    )


def _above(least: FloatArray, alpha: float, beta: float) -> FloatArray:
    """Chance that acceptance is above a value."""
    return np.asarray(1 - betainc(alpha, beta, np.clip(least, 0.0, 1.0)), dtype=np.float64)


def _density(rate: FloatArray, offer: Offer) -> FloatArray:
    """Density of acceptance; 0 outside of (0, 1), where no threshold moves."""
    inside = (rate > 0) & (rate < 1)
    x = np.where(inside, rate, 0.5)
    log = (offer.alpha - 1) * np.log(x) + (offer.beta - 1) * np.log1p(-x) - betaln(offer.alpha, offer.beta)
    return np.where(inside, np.exp(log), 0.0)
