"""What a Brier score is made of: miscalibration, discrimination and uncertainty, without bins.

The forecast is recalibrated by isotonic regression of the outcome on the predicted risk: the best risks that keep the
order. What that gains is miscalibration; what the recalibrated forecast gains over the churn rate is discrimination.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from models.estimates import Term
from models.ranking import Ranking

__all__ = ["brier", "brier_parts", "recalibrate"]

FloatArray = NDArray[np.float64]


def recalibrate(ranking: Ranking) -> FloatArray:
    """Replace each distinct risk by the churn rate found there, kept from falling as risks rise, shape (levels,).

    Notes
    -----
    Weighted least squares under monotonicity (pool adjacent violators). Levels with one value form a segment of the
    convex hull of the ROC curve.

    Examples
    --------
    >>> from models.estimates import Sample
    >>> sample = Sample.of([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9], [1, 2, 3, 4], [1, 1, 1, 1])
    >>> recalibrate(Ranking.of(sample)).tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    weight = ranking.weight
    found = isotonic_regression(ranking.churned / weight, sample_weight=weight, y_min=0.0, y_max=1.0)
    return np.asarray(found, dtype=np.float64)


def brier(ranking: Ranking) -> Term:
    """Mean squared distance of risk and outcome."""
    loss = (ranking.sample.predicted - ranking.sample.observed) ** 2
    value = ranking.sample.mean(loss)
    return Term("brier", value, loss - value)


def brier_parts(ranking: Ranking, recalibrated: FloatArray) -> tuple[Term, Term, Term]:
    """Take the Brier score apart: ``brier = miscalibration - discrimination + uncertainty``.

    Parameters
    ----------
    ranking : Ranking
        Rows by predicted risk.
    recalibrated : ndarray of float, shape (levels,)
        From :func:`recalibrate`.

    Returns
    -------
    tuple of Term
        ``brier_miscalibration``, ``brier_discrimination`` (both at least 0) and ``brier_uncertainty`` (churn rate times
        its complement).

    Notes
    -----
    With S the mean squared distance, p the risks, r the recalibrated ones and m the churn rate: miscalibration
    ``S(p) - S(r)``, discrimination ``S(m) - S(r)``, uncertainty ``S(m)``. r and m minimise S, so that to first order it
    does not matter that they are estimated (envelope theorem): the influence function is that of the mean of the
    difference of squared distances.

    Isotonic regression follows noise: with few churners, or with risks that are already right, miscalibration and
    discrimination are above their truth by chance. The lower ends of their intervals are therefore moved down by twice
    what fitting the segments' means gains from noise (the sum over segments of weight times clustered variance; twice,
    because what it gains on these rows it loses on others, Mallows 1973), not below 0. The values are those of the
    paper.

    References
    ----------
    Dimitriadis, Gneiting, Jordan 2021, doi:10.1073/pnas.2016191118, equations 3 and 4 (CORP). Mallows 1973,
    doi:10.1080/00401706.1973.10489103.
    """
    sample = ranking.sample
    plain = (sample.predicted - sample.observed) ** 2
    best = ranking.rows((1 - recalibrated) ** 2, recalibrated**2)
    mean = (sample.mean(sample.observed) - sample.observed) ** 2

    noise = 2 * _noise(ranking, recalibrated)

    def part(name: str, loss: FloatArray, flattery: float) -> Term:
        value = sample.mean(loss)
        return Term(f"brier_{name}", max(value, 0.0), loss - value, "from zero", flattery)

    return (
        part("miscalibration", plain - best, noise),
        part("discrimination", mean - best, noise),
        part("uncertainty", mean, 0.0),
    )


def _noise(ranking: Ranking, recalibrated: FloatArray) -> float:
    """Squared error of the recalibrated risks: the variance of each segment's rate, by customer."""
    sample = ranking.sample
    rates, segment = np.unique(recalibrated, return_inverse=True)
    row = segment[ranking.level]
    weight = np.bincount(row, sample.weight, len(rates))
    cells, cell = np.unique(sample.customer * len(rates) + row, return_inverse=True)
    sums = np.bincount(cell, sample.weight * (sample.observed - rates[row]), len(cells))
    return float((sums**2 / weight[cells % len(rates)]).sum() / weight.sum())
