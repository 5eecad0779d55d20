"""Joint draws of what is not known: effects from their influence functions, delivery and cost from numbers of luck.

Common random numbers: what an initiative draws depends on the seed and on its name alone, not on the others in the file
nor on their order, and the luck is kept as quantiles. Two scenarios of one initiative then differ by the scenario.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.costs import COST_PARTS

__all__ = ["DRAWS", "Luck", "luck_of", "noises"]

Array = NDArray[np.float64]

DRAWS = 4_000

MOST_CUSTOMERS = 20_000
"""Customers who get a random number of their own; of more, some share one, with random signs (see `noises`)."""

_BLOCK = 250


@dataclass(frozen=True, slots=True, eq=False)
class Luck:
    """Random numbers of one initiative.

    Attributes
    ----------
    delivery : float64 array, shape (draws,)
        Quantile of the delivered share.
    cost : float64 array, shape (draws, 5)
        Quantile of each part of the cost, in the order of `models.costs.COST_PARTS`.
    form : float64 array, shape (draws,)
        Standard normal: the error of the models' form, which moves churn and spend of an initiative together.
    """

    delivery: Array
    cost: Array
    form: Array


def luck_of(name: str, seed: int, draws: int = DRAWS) -> Luck:
    """Draw the luck of an initiative from the seed and its name.

    Parameters
    ----------
    name : str
        Of the initiative.
    seed : int
        Not below 0.
    draws : int
        How many.

    Returns
    -------
    Luck
    """
    rng = np.random.default_rng([seed, *name.encode()])
    return Luck(rng.random(draws), rng.random((draws, len(COST_PARTS))), rng.standard_normal(draws))


def noises(influences: Sequence[Array], seed: int, draws: int = DRAWS) -> tuple[Array, ...]:
    """Draw the errors of estimates jointly.

    Parameters
    ----------
    influences : sequence of float64 arrays, shape (customers, k)
        Influence of each customer, the same customers in the same order in all.
    seed : int
        Not below 0.
    draws : int
        How many.

    Returns
    -------
    tuple of float64 arrays, shape (draws, k)
        Mean zero, covariance influence' influence, also across arrays; in single precision, so that what is stored in
        half the space is the same number.

    Notes
    -----
    Each customer gets a standard normal number a draw, which multiplies all influences of that customer (the multiplier
    bootstrap: van der Vaart and Wellner 1996, section 3.6). The draws of one estimate do not depend on which others are
    asked for, and a sum of estimates has the sum of their draws. Of more than `MOST_CUSTOMERS` customers, several share
    a number, each with a random sign (count sketch: Charikar, Chen and Farach-Colton 2004,
    doi:10.1016/S0304-3975(03)00400-6): variances are right on average, within about half a per cent.
    """
    if not influences:
        return ()
    joined = np.concatenate(influences, axis=1)
    if len(joined) > MOST_CUSTOMERS:
        joined = _sketched(joined, np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 2])
    blocks = [
        rng.standard_normal((min(_BLOCK, draws - start), len(joined))) @ joined for start in range(0, draws, _BLOCK)
    ]
    drawn = np.concatenate(blocks).astype(np.float32).astype(np.float64)
    ends = np.cumsum([one.shape[1] for one in influences])[:-1]
    return tuple(np.ascontiguousarray(part) for part in np.split(drawn, ends, axis=1))


def _sketched(influence: Array, rng: np.random.Generator) -> Array:
    """Add customers with random signs into groups of equal size."""
    signed = influence * rng.choice([-1.0, 1.0], len(influence))[:, None]
    group = rng.permutation(np.arange(len(influence)) % MOST_CUSTOMERS)
    columns = [np.bincount(group, column, MOST_CUSTOMERS) for column in signed.T]
    return np.column_stack(columns).astype(np.float64)
