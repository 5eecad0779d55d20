"""What an initiative costs: each part one number, or low, likely and high."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict
from scipy.special import betaincinv

__all__ = ["COST_PARTS", "Cost", "CostAmount", "pert", "pert_mean"]

Array = NDArray[np.float64]

COST_PARTS: Final = ("once", "monthly", "per_customer", "per_contact", "saved_monthly")


def _checked(given: object) -> object:
    parts = list(given) if isinstance(given, list | tuple) else [given]
    numbers = [float(one) for one in parts if isinstance(one, int | float) and not isinstance(one, bool)]
    is_known = len(numbers) == len(parts) and all(isfinite(one) and one >= 0 for one in numbers)
    if not is_known or len(numbers) not in {1, 3} or numbers != sorted(numbers):
        raise ValueError(
            f"{given} is not a cost. Expected a number, 0 or more, or low, likely and high such as [1000, 2000, 4000]. "
            "State savings under saved_monthly."
        )
    return tuple(numbers) if len(numbers) == 3 else numbers[0]


CostAmount = Annotated[float | tuple[float, float, float], BeforeValidator(_checked)]


class Cost(BaseModel):
    """What an initiative costs, in the study's currency: once, per month, per reached customer, per moved contact.

    What it saves each month (fewer minutes on the phone) is stated on its own: a negative cost is a mistake. A part
    that is not known is given as low, likely and high.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    once: CostAmount = 0.0
    monthly: CostAmount = 0.0
    per_customer: CostAmount = 0.0
    per_contact: CostAmount = 0.0
    saved_monthly: CostAmount = 0.0

    def limits(self, part: str) -> tuple[float, float, float]:
        """Low, likely and high of one part; three times the same where it is known."""
        given = getattr(self, part)
        return given if isinstance(given, tuple) else (given, given, given)

    @property
    def expected(self) -> Array:
        """Means by part, shape (5,), in the order of `COST_PARTS`."""
        return np.array([pert_mean(self.limits(part)) for part in COST_PARTS])

    @property
    def uncertain(self) -> tuple[str, ...]:
        """Parts that are given as low, likely and high and are not the same."""
        return tuple(part for part in COST_PARTS if self.limits(part)[0] < self.limits(part)[2])

    def drawn(self, luck: Array) -> Array:
        """Turn uniform numbers of shape (draws, 5) into amounts of the same shape."""
        return np.column_stack([pert(self.limits(part), luck[:, i]) for i, part in enumerate(COST_PARTS)])


def pert_mean(limits: tuple[float, float, float]) -> float:
    """Mean of the PERT distribution: a sixth of low, four likely and high."""
    low, likely, high = limits
    return low if low == high else (low + 4 * likely + high) / 6


def pert(limits: tuple[float, float, float], luck: Array) -> Array:
    """Turn uniform numbers into draws from a PERT distribution.

    Parameters
    ----------
    limits : tuple of float
        Low, likely, high; ascending.
    luck : float64 array
        Uniform in (0, 1): the quantile of each draw. The same luck under other limits gives the same quantile, so that
        a difference between two scenarios is about the scenarios.

    Returns
    -------
    float64 array, of the shape of `luck`

    References
    ----------
    Malcolm, Roseboom, Clark, Fazar (1959), doi:10.1287/opre.7.5.646.

    Examples
    --------
    >>> pert((2.0, 2.0, 2.0), np.array([0.1, 0.9])).tolist()
    [2.0, 2.0]
    >>> float(pert((0.0, 1.0, 2.0), np.array([0.5])).round(6)[0])
    1.0
    """
    low, likely, high = limits
    if high == low:
        return np.full(luck.shape, low)
    rise, fall = 4 * (likely - low) / (high - low), 4 * (high - likely) / (high - low)
    return np.asarray(low + (high - low) * betaincinv(1 + rise, 1 + fall, luck))
