"""How a prediction falls when features become typical: what speaks for a group where a model cannot be taken apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from models.evaluation import one_thread
from models.preparation import columns_of

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["Falls"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_PROBE_ROWS = 500
_PROBE_PLACES = 3
_BLOCK = 500


@dataclass(frozen=True, slots=True, eq=False)
class Falls:
    """A fitted model, its typical row, and which groups are looked at.

    Attributes
    ----------
    prepare : ColumnTransformer
        Of the model.
    score : callable
        What falls: the logit of a classifier, or the predicted amount.
    centre : ndarray of float, shape (columns,)
        Typical value of each column of the matrix.
    at : tuple of ndarray of int64
        Columns of each group.
    looked_at : tuple of int
        Groups that are among the three largest for any of about 500 rows of the reference; others count as 0.
    """

    prepare: ColumnTransformer
    score: Callable[[FloatArray], FloatArray]
    centre: FloatArray
    at: tuple[IntArray, ...]
    looked_at: tuple[int, ...]

    @classmethod
    def of(
        cls, model: Pipeline, reference: pd.DataFrame, groups: Sequence[IntArray], features: Sequence[Feature]
    ) -> Falls:
        """Find out what is typical in a reference, and which groups matter there."""
        prepare = model["prepare"]
        order = columns_of(prepare)
        names = np.array(order)
        at = tuple(np.flatnonzero(np.isin(names, [features[i].name for i in group])) for group in groups)
        categories = {feature.name for feature in features if feature.kind == "category"}
        matrix = np.asarray(prepare.transform(reference), dtype=np.float64)
        centre = _centre(matrix, [name in categories for name in order])
        every = cls(prepare, _score(model["model"]), centre, at, tuple(range(len(at))))
        tried = every._of_matrix(matrix[:: max(1, len(matrix) // _PROBE_ROWS)])
        largest = np.unique(np.argsort(-tried, axis=1, kind="stable")[:, :_PROBE_PLACES])
        looked_at = tuple(int(number) for number in largest if (tried[:, number] > 0).any())
        return cls(prepare, every.score, centre, at, looked_at)

    def amounts(self, table: pd.DataFrame) -> FloatArray:
        """Compute the fall of each prediction for each group, shape (rows, groups)."""
        return self._of_matrix(np.asarray(self.prepare.transform(table), dtype=np.float64))

    def _of_matrix(self, matrix: FloatArray) -> FloatArray:
        amounts = np.zeros((len(matrix), len(self.at)))
        with one_thread():
            base = np.concatenate([np.zeros(0), *(self.score(matrix[block]) for block in _blocks(len(matrix)))])
            for number in self.looked_at:
                amounts[:, number] = self._fall(matrix, base, self.at[number])
        return amounts

    def _fall(self, matrix: FloatArray, base: FloatArray, columns: IntArray) -> FloatArray:
        """Prediction as it is minus prediction with some columns at their typical values."""
        fall = np.zeros(len(matrix))
        here, there = matrix[:, columns], self.centre[columns]
        differs = np.flatnonzero(((here != there) & ~(np.isnan(here) & np.isnan(there))).any(axis=1))
        for block in _blocks(len(differs)):
            rows = differs[block]
            moved = matrix[rows]
            moved[:, columns] = there
            fall[rows] = base[rows] - self.score(moved)
        return fall


def _blocks(rows: int) -> Iterator[slice]:
    """Cut rows into blocks that fit into the processor's cache, since every tree reads every row (2.5 times faster)."""
    return (slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK))


def _score(fitted: Any) -> Callable[[FloatArray], FloatArray]:
    """Give the function whose falls are measured: the logit of a classifier, or the predicted amount."""
    predict = fitted.decision_function if is_classifier(fitted) else fitted.predict
    return lambda matrix: np.asarray(predict(matrix), dtype=np.float64)


def _centre(matrix: FloatArray, is_category: Sequence[bool]) -> FloatArray:
    """Typical value of each column: median, mode of categories, missing where most are missing."""
    centre = np.full(matrix.shape[1], np.nan)
    for i, column in enumerate(matrix.T):
        present = column[~np.isnan(column)]
        if len(present) < len(column) / 2 or len(present) == 0:
            continue
        values, counts = np.unique(present, return_counts=True)
        place = counts.argmax() if is_category[i] else np.searchsorted(np.cumsum(counts), len(present) / 2)
        centre[i] = values[place]
    return centre
