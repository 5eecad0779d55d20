"""How far something unseen could move an effect, measured by what the covariates that are seen do.

A cause that is in no table moves an estimate only as far as it moves two things: who leaves or spends (beyond what the
models see), and the quality that customers meet. Both are shares of variance between 0 and 1. What each observed
covariate explains of both is the yardstick: *as strong as segment*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models.effects import Estimate

__all__ = ["Band", "Bound", "Sensitivity", "Way", "bias_bound", "robustness_value"]

Array = NDArray[np.float64]

HALVINGS = 80


@dataclass(frozen=True, slots=True)
class Way:
    """One way by which a hidden cause can bend an estimate: by who leaves, or by what stayers spend.

    Attributes
    ----------
    scale : float
        S = sqrt(E[alpha^2] E[residual^2]), in units of the estimate.
    outcome : float64 array, shape (benchmarks,)
        What each covariate explains of the outcome when nothing else is known of customers, over what is left then
        (partial f2).
    quality : float64 array, shape (benchmarks,)
        Share of the variance of the moved exposures that it explains (partial R2), of the mix of them of which it
        explains most.
    """

    scale: float
    outcome: Array
    quality: Array

    def bound(self, benchmark: int, times: float) -> float:
        """Bend by a cause that is so many times as strong; infinite when it would explain all of the quality.

        Cinelli and Hazlett 2020, section 4.4: beside an outcome that depends on both, a hidden cause goes along with
        the covariate once the exposure is given, which makes it stronger than the covariate looks.
        """
        known = self.quality[benchmark]
        if times * known >= 1 - known:
            return np.inf
        quality = times * known / (1 - known)
        together = np.sqrt(times * known**2 / ((1 - times * known) * (1 - known)))
        outcome = self.outcome[benchmark] * (np.sqrt(times) + together) ** 2 / (1 - together**2)
        return bias_bound(self.scale, min(float(outcome), 1.0), float(quality))


@dataclass(frozen=True, slots=True)
class Band:
    """An interval widened by what a hidden cause of a stated strength could add or take away."""

    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How far hidden causes of any strength could move one estimate.

    Attributes
    ----------
    names : tuple of str
        Covariates to compare with.
    ways : tuple of Way
        The bends of all ways add up at worst.
    """

    names: tuple[str, ...]
    ways: tuple[Way, ...]

    @property
    def strongest(self) -> str:
        """The covariate as strong as which a hidden cause would bend the estimate most; empty without covariates."""
        return max(self.names, key=self.of, default="")

    def of(self, name: str, times: float = 1.0) -> float:
        """Largest bend by a cause so many times as strong as a covariate.

        Parameters
        ----------
        name : str
            One of `names`; empty without covariates.
        times : float
            Both f2, of outcome and of quality, are multiplied by it.

        Returns
        -------
        float
            In units of the estimate; infinite where such a cause would explain all of the quality, NaN where there is
            no covariate to compare with.
        """
        if not name:
            return float("nan")
        number = self.names.index(name)
        return sum(way.bound(number, times) for way in self.ways)

    def band(self, estimate: Estimate, name: str, times: float = 1.0) -> Band:
        """Widen the 90 % interval of an estimate by the bend; NaN without covariates."""
        bend = self.of(name, times)
        return Band(estimate.lo - bend, estimate.hi + bend)

    def robustness(self, distance: float) -> float:
        """Share of variance, equal for outcome and quality, at which the bend is as large as a distance.

        Parameters
        ----------
        distance : float
            From the estimate, or from the near end of its interval, to zero; at most 0 gives 0.

        Returns
        -------
        float
            In [0, 1]; 0 where nothing moved.
        """
        scale = sum(way.scale for way in self.ways)
        return robustness_value(distance / scale) if scale > 0 and distance > 0 else 0.0

    def times(self, distance: float, name: str) -> float:
        """How many times as strong as a covariate a cause must be to bend the estimate by a distance.

        Returns
        -------
        float
            0 for a distance of at most 0; infinite where the covariate moves nothing; NaN without covariates.
        """
        if not name or distance <= 0:
            return 0.0 if name else float("nan")
        number = self.names.index(name)
        active = [way for way in self.ways if way.scale * way.outcome[number] * way.quality[number] > 0]
        if not active:
            return np.inf
        # The bend rises with the strength and is infinite where a way has no quality left, so there is one solution.
        most = max(way.quality[number] for way in active)
        low, high = 0.0, float((1 - most) / most)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if sum(way.bound(number, middle) for way in active) < distance else (low, middle)
        return (low + high) / 2

    def scaled(self, factor: float) -> Bound:
        """Bound of a multiple of the estimate."""
        return Bound(self.names, tuple(Way(abs(factor) * w.scale, w.outcome, w.quality) for w in self.ways))


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Bounds for the effects on churn, on revenue, and on its part from stayers."""

    churn: Bound
    revenue: Bound
    spend: Bound

    def scaled(self, factor: float) -> Sensitivity:
        """Bounds of a multiple of the effect."""
        return Sensitivity(self.churn.scaled(factor), self.revenue.scaled(factor), self.spend.scaled(factor))


def bias_bound(scale: float, outcome: float, quality: float) -> float:
    """Largest bias by a hidden cause.

    Parameters
    ----------
    scale : float
        S = sqrt(E[alpha^2] E[residual^2]).
    outcome, quality : float
        R2_Y: share of the residual variance of the outcome that the cause explains; R2_D: share of the variance of the
        long representer that is not in the short one; below 1.

    Returns
    -------
    float
        S sqrt(R2_Y R2_D / (1 - R2_D)); attained by one omitted variable in a linear model.
    """
    return float(scale * np.sqrt(outcome * quality / (1 - quality)))


def robustness_value(f: float) -> float:
    """Equal strength with outcome and exposure at which a hidden cause explains an estimate away.

    Parameters
    ----------
    f : float
        Distance to zero over S, the scale of the bias. In a linear model of one exposure: t / sqrt(degrees of
        freedom); for the near end of an interval, (|t| - critical value) / sqrt(degrees of freedom). Not negative.

    Returns
    -------
    float
        In [0, 1]. Solves RV / sqrt(1 - RV) = f.

    References
    ----------
    Cinelli and Hazlett (2020), Making sense of sensitivity, doi:10.1111/rssb.12348, section 4.2.

    Examples
    --------
    >>> round(robustness_value(4.18 / 783**0.5), 3)  # their Darfur example: 13.9 %
    0.139
    """
    return float(0.5 * (np.sqrt(f**4 + 4 * f**2) - f**2))
