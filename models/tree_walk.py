"""Trees of any size walked for many rows: the prediction of a boosted model to the last bit, compiled.

Scikit-learn sends all rows through one tree after the other, so that every tree reads the whole matrix from memory.
Here a few rows go through all trees while they are in the processor's cache. Sums are made in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.tree_lookup import compiled

if TYPE_CHECKING:
    from models.additive import Boosted

__all__ = ["Forest"]

FloatArray = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

_ROWS = 64
"""Rows that go through all trees together: with two hundred columns they stay in the cache (measured: 32 to 256)."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """The nodes of all trees of a boosted model behind one another.

    Attributes
    ----------
    roots : ndarray of int64, shape (trees,)
        Position of the first node of each tree.
    column : ndarray of int64, shape (nodes,)
        What a node splits on; -1 in a leaf.
    threshold : ndarray of float, shape (nodes,)
        A row goes left where its value is at most this; in a leaf what the tree predicts.
    is_left_when_missing : ndarray of bool, shape (nodes,)
    left, right : ndarray of int64, shape (nodes,)
        Positions of the next nodes.
    start : float
        The prediction without any tree.
    """

    roots: IntArray
    column: IntArray
    threshold: FloatArray
    is_left_when_missing: NDArray[np.bool_]
    left: IntArray
    right: IntArray
    start: float

    @classmethod
    def of(cls, model: Boosted) -> Forest:
        """Lay the trees of a fitted model behind one another.

        Parameters
        ----------
        model : HistGradientBoostingClassifier or HistGradientBoostingRegressor
            Fitted without categorical columns; one class against another, or an amount.

        Raises
        ------
        ValueError
            A tree splits on a category, or its nodes point to where no node or column is.
        """
        trees = [tree.nodes for trees in model._predictors for tree in trees]
        roots = np.concatenate([[0], np.cumsum([len(nodes) for nodes in trees])]).astype(np.int64)
        nodes = np.concatenate(trees)
        is_leaf = nodes["is_leaf"].astype(bool)
        if (nodes["is_categorical"].astype(bool) & ~is_leaf).any():
            msg = "a tree splits on a category: number categories instead"
            raise ValueError(msg)
        offset = np.repeat(roots[:-1], np.diff(roots))
        place, size = np.arange(len(nodes)) - offset, np.repeat(np.diff(roots), np.diff(roots))
        _require_trees(model, nodes[~is_leaf], place[~is_leaf], size[~is_leaf])
        return cls(
            roots[:-1],
            np.where(is_leaf, -1, nodes["feature_idx"]).astype(np.int64),
            np.where(is_leaf, nodes["value"], nodes["num_threshold"]).astype(np.float64),
            nodes["missing_go_to_left"].astype(bool),
            nodes["left"].astype(np.int64) + offset,
            nodes["right"].astype(np.int64) + offset,
            float(model._baseline_prediction[0, 0]),
        )

    def predict(self, matrix: FloatArray) -> FloatArray:
        """Sum the trees for each row, before any link.

        Parameters
        ----------
        matrix : ndarray of float64, shape (rows, columns)
            Values; NaN where missing.

        Returns
        -------
        ndarray of float64, shape (rows,)
            What ``model.predict`` of an amount, or ``model.decision_function`` of a class, gives, to the last bit. On
            one thread, letting go of Python's lock.
        """
        total = np.full(len(matrix), self.start)
        _walk(
            np.ascontiguousarray(matrix), total, self.roots, self.column, self.threshold, self.is_left_when_missing,
            self.left, self.right,
        )  # fmt: skip
        return total


def _require_trees(model: Boosted, splits: Any, place: IntArray, size: IntArray) -> None:
    """Refuse nodes that lead outside their tree or back: compiled code looks at no bounds."""
    children = np.stack([splits["left"], splits["right"]]).astype(np.int64)
    is_within = (children > place).all() and (children < size).all()
    if not is_within or (splits["feature_idx"].astype(np.int64) >= model.n_features_in_).any():
        msg = "a tree points to nodes or columns that it does not have: the stored model is damaged"
        raise ValueError(msg)


@compiled
def _walk(
    matrix: FloatArray,
    total: FloatArray,
    roots: IntArray,
    column: IntArray,
    threshold: FloatArray,
    missing_left: NDArray[np.bool_],
    left: IntArray,
    right: IntArray,
) -> None:
    """Add all trees to the total of each row, some rows at a time."""
    for first in range(0, len(matrix), _ROWS):
        last = min(first + _ROWS, len(matrix))
        for root in roots:
            for row in range(first, last):
                node = root
                while column[node] >= 0:
                    value = matrix[row, column[node]]
                    goes_left = missing_left[node] if np.isnan(value) else value <= threshold[node]
                    node = left[node] if goes_left else right[node]
                total[row] += threshold[node]
