"""Risk appetite: how much the worst draws weigh beside the mean.

References
----------
Rockafellar, Uryasev (2000), Optimization of conditional value-at-risk, Journal of Risk 2, doi:10.21314/JOR.2000.038.
Rockafellar, Uryasev (2002), Conditional value-at-risk for general loss distributions, Journal of Banking & Finance 26,
doi:10.1016/S0378-4266(02)00271-6, proposition 8 (draws where the tail splits an atom).
Krokhmal, Palmquist, Uryasev (2002), Portfolio optimization with conditional value-at-risk objective and constraints,
Journal of Risk 4, doi:10.21314/JOR.2002.057 (weight in the objective, or a floor).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Appetite"]

Array = NDArray[np.float64]

ROUNDING = 1e-9
"""A part of a draw that is rounding: 1,000 draws x 0.1 are 100."""


@dataclass(frozen=True, slots=True)
class Appetite:
    """Worth of a plan: ``(1 - aversion) x mean + aversion x mean of the worst draws``.

    Parameters
    ----------
    aversion : float
        From 0 (the mean alone) to 1 (the worst draws alone).
    tail : float
        Share of the draws that are the worst; above 0, at most 1.

    Notes
    -----
    The mean of the worst draws is minus the conditional value-at-risk of the loss at level ``1 - tail``, so worth is
    ``mean - lambda x CVaR`` with ``lambda = aversion / (1 - aversion)``, over a constant. It is a weight and not
    a floor because a plan then always exists, what a limit costs is an amount of money, and the gap to the bound has
    one unit. A floor finds more plans on the edge; `models.portfolio.Portfolio.worst` shows where one lies.

    Raises
    ------
    ValueError
        Numbers out of range.
    """

    aversion: float = 0.0
    tail: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.aversion <= 1:
            raise ValueError(f"aversion is {self.aversion}. Expected 0 (mean alone) to 1 (worst draws alone).")
        if not 0 < self.tail <= 1:
            raise ValueError(f"tail is {self.tail}. Expected a share above 0, at most 1, such as 0.1.")

    def worst(self, draws: Array) -> Array:
        """Mean of the worst draws.

        Parameters
        ----------
        draws : float64 array, shape (draws, ...)
            Values; worst is lowest.

        Returns
        -------
        float64 array, shape (...)

        Examples
        --------
        >>> float(Appetite(tail=0.5).worst(np.array([4.0, 0.0, 2.0, 9.0])))
        1.0
        >>> float(Appetite(tail=0.375).worst(np.array([4.0, 0.0, 2.0, 9.0])).round(4))  # 0 and half of 2
        0.6667
        """
        size, whole, rest = self._size(len(draws))
        ordered = np.partition(np.moveaxis(draws, 0, -1), whole if rest else whole - 1, axis=-1)
        total = ordered[..., :whole].sum(axis=-1)
        return np.asarray((total + rest * ordered[..., whole] if rest else total) / size)

    def worst_weights(self, draws: Array) -> Array:
        """Weights of the worst draws, shape (draws,), sum 1; ties go to the earlier draw."""
        size, whole, rest = self._size(len(draws))
        weights = np.zeros(len(draws))
        order = np.argsort(draws, kind="stable")
        weights[order[:whole]] = 1 / size
        if rest:
            weights[order[whole]] = rest / size
        return weights

    def worth(self, draws: Array) -> Array:
        """Worth of draws of value; shape (draws, ...) to (...)."""
        mean = np.asarray(draws.mean(axis=0))
        return mean if self.aversion == 0 else (1 - self.aversion) * mean + self.aversion * self.worst(draws)

    def _size(self, draws: int) -> tuple[float, int, float]:
        """Worst draws as a number, its whole part, and what is left of it; at least one draw."""
        size = max(draws * self.tail, 1.0)
        whole = int(size + ROUNDING)
        rest = size - whole
        return size, whole, rest if rest > ROUNDING else 0.0
