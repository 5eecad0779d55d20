"""Predictions with a known truth, and a bootstrap of customers to hold intervals against."""

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from models.estimates import Estimate, Sample


def churners(n: int, customers: int, seed: int = 0, digits: int = 6) -> Sample:
    """Rows of customers who share a hidden tendency; the predictions are the true risks given what is seen."""
    rng = np.random.default_rng(seed)
    who = np.arange(n) % customers
    seen = rng.normal(0, 1, customers)[who] + rng.normal(0, 0.5, n)
    risk = expit(-2 + seen)
    y = (rng.random(n) < risk).astype(float)
    return Sample.of(y, np.round(risk, digits), who, rng.choice([0.5, 1.0, 2.0], n))


def bent(sample: Sample) -> Sample:
    """The same rows with risks that are too extreme, and too low."""
    score = np.log(sample.predicted / (1 - sample.predicted))
    return Sample.of(sample.observed, expit(2 * score - 0.5), sample.customer, sample.weight)


def spread(sample: Sample, measured: Callable[[Sample], tuple[Estimate, ...]], draws: int = 200) -> dict[str, float]:
    """Standard deviation of each metric over draws of customers with replacement."""
    rng = np.random.default_rng(9)
    order = np.argsort(sample.customer, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(sample.customer))[:-1])
    found = []
    for _ in range(draws):
        take = np.concatenate([rows[c] for c in rng.integers(0, len(rows), len(rows))])
        columns = (sample.observed, sample.predicted, sample.customer, sample.weight)
        found.append([one.value for one in measured(Sample.of(*(column[take] for column in columns)))])
    names = [one.metric for one in measured(sample)]
    return dict(zip(names, np.std(found, axis=0), strict=True))


def widths(estimates: tuple[Estimate, ...]) -> dict[str, float]:
    """Standard error behind each interval; of the parts of the Brier score behind the upper end, the lower is moved."""
    return {
        one.metric: (one.hi - one.value) / 1.6448536
        if one.metric.startswith("brier_")
        else (one.hi - one.lo) / (2 * 1.6448536)
        for one in estimates
    }
