"""What drives the interval of a net present value: one input at a time from its 5 % to its 95 % quantile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.study import Money
from models.cash import Cohort, Stake, discounts, roll_forward
from models.costs import COST_PARTS, pert
from models.forecasts import Sampled
from models.retention import Retention

__all__ = ["Bar", "tornado"]

Array = NDArray[np.float64]

_ENDS: Final = np.array([0.05, 0.95])


@dataclass(frozen=True, slots=True)
class Bar:
    """What one input does to the net present value, the others at their means.

    Attributes
    ----------
    name : str
        The initiative.
    input : str
        ``churn effect``, ``spend effect``, ``delivery``, or ``cost: `` and its part.
    unit : str
        Of low and high: share, currency.
    low, high : float
        5 % and 95 % quantile of the input.
    npv_at_low, npv_at_high, npv_at_mean : float
        Net present value with the input there, and with every input at its mean; currency.
    """

    name: str
    input: str
    unit: str
    low: float
    high: float
    npv_at_low: float
    npv_at_high: float
    npv_at_mean: float

    @property
    def swing(self) -> float:
        """Size of the difference, currency."""
        return abs(self.npv_at_high - self.npv_at_low)


def tornado(sampled: Sampled, cohort: Cohort, money: Money, retention: Retention) -> tuple[Bar, ...]:
    """Move each uncertain input of one initiative by itself.

    Parameters
    ----------
    sampled : Sampled
        The initiative.
    cohort, money, retention
        As for `models.cash.roll_forward`.

    Returns
    -------
    tuple of Bar
        Largest swing first, equals by input. An input that is known has no bar.

    Notes
    -----
    Howard (1988), Decision analysis: practice and promise, Management Science 34, doi:10.1287/mnsc.34.6.679. Where
    money is nearly linear in its inputs, the squares of the swings add up to about the square of the interval's width:
    a swing half as long as the longest explains a quarter as much.
    """
    mean = sampled.mean_stake
    inputs = [(name, unit, ends, stake) for name, unit, ends, stake in _moved(sampled, mean) if ends[0] < ends[1]]
    both = [_valued(stake, sampled, cohort, money, retention) for *_, stake in inputs]
    (centre,) = _valued(mean, sampled, cohort, money, retention)
    bars = [
        Bar(sampled.name, name, unit, float(ends[0]), float(ends[1]), float(npv[0]), float(npv[1]), float(centre))
        for (name, unit, ends, _), npv in zip(inputs, both, strict=True)
    ]
    return tuple(sorted(bars, key=lambda bar: (-bar.swing, bar.input)))


def _moved(sampled: Sampled, mean: Stake) -> Iterator[tuple[str, str, Array, Stake]]:
    """Each input with its two ends and a stake of two draws."""
    initiative, effect = sampled.forecast.initiative, sampled.forecast.effect
    twice = replace(
        mean, effect=mean.effect.repeat(2, 0), delivered=mean.delivered.repeat(2), cost=mean.cost.repeat(2, 0)
    )
    for column, (name, unit, estimate) in enumerate(
        (("churn effect", "share", effect.churn), ("spend effect", "currency", effect.spend))
    ):
        ends = np.array([estimate.lo, estimate.hi])
        moved = twice.effect.copy()
        moved[:, column] = ends
        yield name, unit, ends, replace(twice, effect=moved)
    ends = pert(initiative.delivery, _ENDS)
    yield "delivery", "share", ends, replace(twice, delivered=ends / initiative.expected_delivery)
    for column, part in enumerate(COST_PARTS):
        ends = pert(initiative.cost.limits(part), _ENDS)
        moved = twice.cost.copy()
        moved[:, column] = ends
        yield f"cost: {part}", "currency", ends, replace(twice, cost=moved)


def _valued(stake: Stake, sampled: Sampled, cohort: Cohort, money: Money, retention: Retention) -> Array:
    cash = roll_forward([stake], sampled.forecast.baseline, cohort, money, retention)
    return np.asarray(cash.balance @ discounts(money))
