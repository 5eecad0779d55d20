"""What a further value is expected to be, where a few earlier ones differ by more than their errors.

How much true values differ among themselves, tau, can hardly be learned from one to five of them: an estimate of zero
is common though tau is not. So tau is not estimated but averaged over, with a prior that says what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["NextValue", "next_value"]

FloatArray = NDArray[np.float64]

_GRID: Final = 400
_REACH: Final = 5.0
"""Prior scales that the grid of tau reaches; beyond lies less than a millionth of the prior."""


@dataclass(frozen=True, slots=True)
class NextValue:
    """The predictive distribution of a further value: a mixture of normal ones over tau.

    Attributes
    ----------
    weight : ndarray of float, shape (grid,)
        Posterior of tau, adding up to 1.
    tau : ndarray of float, shape (grid,)
        Standard deviation between true values.
    centre, variance : ndarray of float, shape (grid,)
        Posterior mean and variance of the mean of true values, given tau.
    """

    weight: FloatArray
    tau: FloatArray
    centre: FloatArray
    variance: FloatArray

    @property
    def mean(self) -> float:
        """Posterior mean of the mean of true values."""
        return float(self.weight @ self.centre)

    @property
    def error(self) -> float:
        """Posterior standard deviation of that mean."""
        return float(np.sqrt(self.weight @ (self.variance + (self.centre - self.mean) ** 2)))

    def below(self, value: float, error: float) -> float:
        """Chance that a further estimate with that standard error is at most that value."""
        spread = np.sqrt(error**2 + self.variance + self.tau**2)
        return float(self.weight @ ndtr((value - self.centre) / spread))

    def above(self, value: float, error: float) -> float:
        """Chance that a further estimate with that standard error is at least that value."""
        spread = np.sqrt(error**2 + self.variance + self.tau**2)
        return float(self.weight @ ndtr((self.centre - value) / spread))


def next_value(values: Sequence[float], errors: Sequence[float], usual: float) -> NextValue:
    """Predict a further value from estimates of earlier ones.

    Parameters
    ----------
    values, errors : sequence of float
        Estimates with their standard errors, at least one; errors above zero.
    usual : float
        Scale of the half-normal prior of tau, above zero: two thirds of the time tau is below it.

    Returns
    -------
    NextValue
        Independent of the order of values.

    Notes
    -----
    ``values ~ N(theta, errors^2)``, ``theta ~ N(mu, tau^2)``, mu flat, tau half-normal; mu integrated out in closed
    form, tau on a grid. With one value nothing is learned of tau, and the prior stands for it.

    References
    ----------
    Higgins, Thompson, Spiegelhalter 2009, doi:10.1111/j.1467-985X.2008.00552.x (predictive distribution of a further
    study); Rover et al. 2021, doi:10.1002/jrsm.1475 (half-normal priors where studies are few).

    Examples
    --------
    >>> found = next_value([1.0, 1.0], [0.1, 0.1], 1e-9)  # without tau: the mean of two, and its error
    >>> round(found.mean, 6), round(found.error, 6)
    (1.0, 0.070711)
    >>> round(found.below(1.0, 0.1), 6)
    0.5
    """
    x, e = np.asarray(values, np.float64), np.asarray(errors, np.float64)
    tau = (np.arange(_GRID) + 0.5) / _GRID * _REACH * usual
    weight = 1 / (e[None, :] ** 2 + tau[:, None] ** 2)
    total = weight.sum(axis=1)
    centre = weight @ x / total
    log_likelihood = 0.5 * (
        np.log(weight).sum(axis=1) - np.log(total) - (weight * (x - centre[:, None]) ** 2).sum(axis=1)
    )
    log_posterior = log_likelihood - 0.5 * (tau / usual) ** 2
    posterior = np.exp(log_posterior - log_posterior.max())
    return NextValue(posterior / posterior.sum(), tau, centre, 1 / total)
