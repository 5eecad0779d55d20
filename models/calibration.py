"""Do predicted risks mean what they say, and how to bend them back when they do not.

A model ranks well and is still useless for money when its 20 % means 10 %. The repair has two numbers, an intercept and
a slope on the logit scale, learned on rows the model had not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

__all__ = ["Sigmoid", "fit_sigmoid", "to_logit"]

FloatArray = NDArray[np.float64]

_FLOOR = 1e-6
"""Risks nearer to 0 or 1 than one in a million are read as that: their logit would be noise."""

_FLAT = 1e-9
"""A slope smaller than this on the scale of logits is rounding, not information."""


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """Risk after repair: ``expit(intercept + slope * logit(risk))``.

    Attributes
    ----------
    intercept, slope : float
        0 and 1 leave risks as they are; a slope below 1 says the predictions were too extreme.

    Examples
    --------
    >>> Sigmoid(0.0, 1.0).apply(np.array([0.2])).round(6).tolist()
    [0.2]
    """

    intercept: float
    slope: float

    def apply(self, risk: FloatArray) -> FloatArray:
        """Repair risks, shape (n,)."""
        repaired: FloatArray = expit(self.intercept + self.slope * to_logit(risk))
        return repaired


def to_logit(risk: FloatArray) -> FloatArray:
    """Return the logit of risks, those of exactly 0 and 1 held at one in a million."""
    score: FloatArray = logit(np.clip(risk, _FLOOR, 1 - _FLOOR))
    return score


def fit_sigmoid(
    score: FloatArray, observed: FloatArray, weight: FloatArray, *, intercept_sd: float = 1.0, slope_sd: float = 0.5
) -> Sigmoid:
    """Learn intercept and slope from predictions for rows that the model had not seen.

    Parameters
    ----------
    score : ndarray of float, shape (n,)
        Logits of the predicted risks.
    observed : ndarray of float, shape (n,)
        1 churned, 0 stayed.
    weight : ndarray of float, shape (n,)
        Row weights.
    intercept_sd, slope_sd : float
        Standard deviations of a normal prior around (0, 1): with few churners the repair stays near "no repair"; with
        some hundred it is the maximum likelihood. ``inf`` switches the prior off.

    Returns
    -------
    Sigmoid
        Its slope is never negative: a model that ranks the wrong way round is flattened to the base rate, not turned.
        Without rows, ``Sigmoid(0, 1)``.

    Notes
    -----
    Platt scaling on the logit. Damped Newton steps on two numbers, about 6 passes over the rows. Where the data are
    separable and the prior is off, the slope has no maximum and NaN is returned.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines. Cox (1958), Two further applications of a model for
    binary regression, Biometrika 45.
    """
    penalty = np.array([intercept_sd**-2.0, slope_sd**-2.0])
    if len(score) == 0:
        return Sigmoid(0.0, 1.0)
    found = newton(score, observed, weight, penalty)
    if found[1] <= _FLAT:
        flat = newton(np.zeros_like(score), observed, weight, np.array([penalty[0], 1.0]))
        return Sigmoid(float(flat[0]), 0.0)
    return Sigmoid(float(found[0]), float(found[1]))


def newton(score: FloatArray, observed: FloatArray, weight: FloatArray, penalty: FloatArray) -> FloatArray:
    """Maximise the penalised likelihood of ``expit(b0 + b1 * score)``; NaN where there is no maximum."""
    design = np.column_stack([np.ones_like(score), score])
    centre = np.array([0.0, 1.0])

    def loss(beta: FloatArray) -> float:
        eta = design @ beta
        return float(weight @ (np.logaddexp(0.0, eta) - observed * eta) + 0.5 * penalty @ (beta - centre) ** 2)

    beta = centre.copy()
    for _ in range(60):
        risk = expit(design @ beta)
        gradient = design.T @ (weight * (observed - risk)) - penalty * (beta - centre)
        curvature = (design * (weight * risk * (1 - risk))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        best, scale = loss(beta), 1.0
        while loss(beta + scale * step) > best and scale > 1e-6:
            scale /= 2
        beta = beta + scale * step
        if np.abs(scale * step).max() < 1e-9:
            return np.asarray(beta, dtype=np.float64)
    return np.full(2, np.nan)
