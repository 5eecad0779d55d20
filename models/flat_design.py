"""Columns from which the outcome of a flat row is predicted: what is moved in pieces, what is held fixed, and products.

The same columns serve the outcome regression and its Riesz representer, so that what the one can say the other can
correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.baseline import rare_together

Array = NDArray[np.float64]

_MANY = 5


@dataclass(frozen=True, slots=True)
class Pieces:
    """A moved measure as columns: linear, with a slope of its own in the lowest, middle and highest third.

    Attributes
    ----------
    centre, size : float
        Weighted mean and standard deviation of what was observed; columns do not depend on the unit.
    knots : tuple of float
        Tercile values strictly inside the observed range; none where the measure has only two values.

    Notes
    -----
    Outside the observed range the outer slopes go on. A missing value ("did not apply", "not answered") is a level of
    its own: 0 in every piece, 1 in the last column.
    """

    centre: float
    size: float
    knots: tuple[float, ...]

    @classmethod
    def learn(cls, value: Array, weight: Array) -> Pieces:
        """Learn centre, size and knots from observed values; shapes (n,)."""
        known = ~np.isnan(value)
        v, w = value[known], weight[known]
        centre = float(np.average(v, weights=w))
        size = float(np.sqrt(np.average((v - centre) ** 2, weights=w)))
        inner = np.unique(quantiles(v, w, (1 / 3, 2 / 3))) if len(np.unique(v)) > 2 else np.zeros(0)
        knots = tuple(float(k) for k in inner if v.min() < k < v.max())
        return cls(centre, size if size > 0 else 1.0, knots)

    def columns(self, value: Array) -> Array:
        """Lay values out; shape (n, 2 + knots)."""
        known = ~np.isnan(value)
        filled = np.where(known, value, self.centre)
        linear = (filled - self.centre) / self.size
        hinges = [np.where(known, np.maximum(filled - knot, 0.0), 0.0) / self.size for knot in self.knots]
        return np.column_stack([linear, *hinges, ~known])


@dataclass(frozen=True, slots=True)
class Design:
    """Turns values of the moved measures into the columns of a regression, everything else as it is.

    Attributes
    ----------
    controls : float64 array, shape (n, p)
        What is held fixed, the intercept first.
    moderators : float64 array, shape (n, q)
        Centred columns with which the effect may differ; each is multiplied by each moved measure.
    pieces : tuple of Pieces
        One per moved measure.
    """

    controls: Array
    moderators: Array
    pieces: tuple[Pieces, ...]

    def basis(self, values: Array) -> Array:
        """Give the columns at some values.

        Parameters
        ----------
        values : float64 array, shape (n, k)
            The moved measures; NaN where missing.

        Returns
        -------
        float64 array, shape (n, P)
            Controls, pieces, products.
        """
        own = [piece.columns(values[:, j]) for j, piece in enumerate(self.pieces)]
        products = [self.moderators * block[:, :1] for block in own]
        return np.column_stack([self.controls, *own, *products])

    def of(self, rows: NDArray[np.intp]) -> Design:
        """Keep some of the rows; columns stay as they were learned."""
        return Design(self.controls[rows], self.moderators[rows], self.pieces)

    @property
    def penalised(self) -> NDArray[np.bool_]:
        """Which columns take a light ridge: products, which are many and say little each; shape (P,)."""
        settled = self.controls.shape[1] + sum(2 + len(piece.knots) for piece in self.pieces)
        return np.asarray(np.arange(settled + len(self.pieces) * self.moderators.shape[1]) >= settled)


def design(
    controls: pd.DataFrame, values: Array, weight: Array, moderators: Sequence[str] = (), extra: Array | None = None
) -> Design:
    """Lay a table out.

    Parameters
    ----------
    controls : DataFrame, n rows
        What is held fixed: numbers or text, missing values allowed.
    values : float64 array, shape (n, k)
        Observed values of the moved measures.
    weight : float64 array, shape (n,)
        Sampling weights.
    moderators : sequence of str
        Columns of `controls` with which the effect may differ.
    extra : float64 array, shape (n, m), optional
        Further moderators, such as whether an initiative reaches a row.

    Returns
    -------
    Design

    Notes
    -----
    Numbers with more than five values get a slope of their own in each third; text one column a level, levels with
    fewer than `LEAST_OF_LEVEL` rows together; missing values a flag. Nothing depends on the order of rows.
    """
    blocks = {str(name): _control(controls[name], weight) for name in controls}
    fixed = np.column_stack([np.ones(len(controls)), *blocks.values()])
    chosen = [blocks[name] for name in moderators] + ([] if extra is None else [extra])
    products = np.column_stack(chosen) if chosen else np.zeros((len(controls), 0))
    products = products - np.average(products, axis=0, weights=weight) if products.shape[1] else products
    pieces = tuple(Pieces.learn(values[:, j], weight) for j in range(values.shape[1]))
    return Design(fixed, products, pieces)


def _control(column: pd.Series, weight: Array) -> Array:
    if not pd.api.types.is_numeric_dtype(column):
        return _levels(column)
    value = column.to_numpy(float)
    known = ~np.isnan(value)
    if not known.any():
        return np.zeros((len(value), 0))
    laid = Pieces.learn(value, weight)
    if len(np.unique(value[known])) <= _MANY:
        laid = Pieces(laid.centre, laid.size, ())
    columns = laid.columns(value)
    return columns if not known.all() else columns[:, :-1]


def _levels(column: pd.Series) -> Array:
    """One column a level but the most frequent; ties go by name."""
    text = rare_together(column)
    counts = text.value_counts()
    names = sorted(counts.index, key=lambda name: (-int(counts[name]), name))
    return np.column_stack([np.zeros((len(text), 0)), *(text.eq(name).to_numpy(float) for name in names[1:])])


def quantiles(value: Array, weight: Array, shares: Sequence[float]) -> Array:
    """Weighted quantiles: the smallest value with at least this share of the weight at or below it.

    Parameters
    ----------
    value, weight : float64 arrays, shape (n,)
        Known values, and weights above 0.
    shares : sequence of float
        In [0, 1].

    Returns
    -------
    float64 array, shape (shares,)

    Examples
    --------
    >>> quantiles(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), (0.25, 0.5, 1.0)).tolist()
    [1.0, 2.0, 3.0]
    """
    order = np.lexsort((weight, value))
    reached = np.cumsum(weight[order]) / weight.sum()
    at = np.searchsorted(reached, np.asarray(shares) - 1e-12)
    return np.asarray(value[order][np.minimum(at, len(value) - 1)])
