"""The money at hand when initiatives are started, and the cash of each.

What `models.early_wins` orders. Not the budget of a choice (`models.proposals`), which looks at the sum alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Purse", "Rollout"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rollout:
    """One funded initiative by its cash.

    Parameters
    ----------
    name : str
        The initiative.
    cash : float64 array, shape (months,)
        Expected money in less money out in each month from its own start on, currency; nothing afterwards.
    needs : tuple of str
        Initiatives that start at least a month before it.
    """

    name: str
    cash: Array
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Purse:
    """The money at hand, and the months in which initiatives may start.

    Parameters
    ----------
    balance : float
        At the decision, currency.
    months : int
        Starts lie in months 0 to months - 1; cash is followed until all initiatives have run out.
    discount_rate : float
        Per year, above -1. The higher, the more an early win counts.
    floor : float
        The balance is never below it, currency.
    starts_a_month : int
        Initiatives that can start in one month.

    Raises
    ------
    ValueError
        Numbers out of range, or a balance below the floor.
    """

    balance: float
    months: int
    discount_rate: float
    floor: float = 0.0
    starts_a_month: int = 1

    def __post_init__(self) -> None:
        if self.months < 1 or self.starts_a_month < 1:
            raise ValueError(f"{self.months} months, {self.starts_a_month} starts a month. Expected 1 or more of each.")
        if not -1 < self.discount_rate < np.inf:
            raise ValueError(f"discount_rate is {self.discount_rate}. Expected a rate a year, such as 0.1.")
        if not -np.inf < self.floor <= self.balance < np.inf:
            raise ValueError(f"balance {self.balance}, floor {self.floor}. Expected numbers, the floor not above.")
