"""What an initiative earns over one wave of a flat table. There are no months: nothing is rolled forward."""

from __future__ import annotations

from dataclasses import dataclass

from features.study import Money
from models.effects import Estimate
from models.initiatives import Initiative

__all__ = ["WaveMoney", "wave_money"]


@dataclass(frozen=True, slots=True)
class WaveMoney:
    """Money over one wave, in the study's currency, at the expected delivery.

    Attributes
    ----------
    gain : Estimate
        Margin of the change in revenue, over all customers of the wave.
    cost : float
        Once, per reached customer and per moved row.
    net : Estimate
        Gain less cost; NaN where monthly costs are stated, for a wave has no months.
    customers : int
        Whom the money is counted for.
    """

    gain: Estimate
    cost: float
    net: Estimate
    customers: int


def wave_money(
    initiative: Initiative, revenue: Estimate, *, customers: int, reached: float, moved: float, money: Money
) -> WaveMoney:
    """Count what an initiative earns and costs over one wave.

    Parameters
    ----------
    initiative : Initiative
        Its cost.
    revenue : Estimate
        Change in revenue per customer, reach and expected delivery included.
    customers : int
        Customers of the latest wave.
    reached, moved : float
        How many of them are reached, and how many rows of theirs move.
    money : Money
        Gives the margin.

    Returns
    -------
    WaveMoney
        Its interval is that of the effect on revenue; delivery and cost are taken at their means.

    Examples
    --------
    >>> from models.costs import Cost
    >>> from models.initiatives import Change
    >>> change = Change(journey="a", measure="b", shift=1.0)
    >>> one = Initiative(name="x", changes=(change,), cost=Cost(once=50, per_customer=2))
    >>> found = wave_money(one, Estimate(3.0, 1.0), customers=100, reached=40.0, moved=10.0, money=Money(margin=0.5))
    >>> found.gain.value, found.cost, found.net.value, found.net.se
    (150.0, 130.0, 20.0, 50.0)
    """
    once, monthly, per_customer, per_contact, saved = initiative.cost.expected
    scale = money.margin * customers
    gain = Estimate(scale * revenue.value, scale * revenue.se)
    spent = float(once + per_customer * reached + per_contact * moved)
    has_months = monthly > 0 or saved > 0
    net = Estimate(float("nan"), float("nan")) if has_months else Estimate(gain.value - spent, gain.se)
    return WaveMoney(gain, spent, net, customers)
