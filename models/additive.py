"""Boosted trees taken apart exactly: by journey where trees keep to one journey, and by feature where trees are small.

Trees that are forbidden to mix journeys (``interaction_cst`` of scikit-learn) make a sum: one part a journey, each a
function of that journey's features alone. What a part adds to a prediction is then a fact about the model and no
attribution. Within a part, and for trees that mix, a feature's share is its Shapley value; small trees have so few
outcomes of their splits that all values stand in one table a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from math import factorial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from models.tree_lookup import Lookup, TreeTable

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = [
    "Parts", "Shapley", "contributions", "first_trees", "interaction_groups", "is_small", "shapley", "tree_groups",
]  # fmt: skip

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Boosted: TypeAlias = "HistGradientBoostingClassifier | HistGradientBoostingRegressor"
"""Scikit-learn does not annotate what is inside a fitted model; nothing public says which columns a tree uses."""

MOST_SPLITS = 7
"""A tree with this many splits has 128 outcomes of them and at most 128 sets of features."""

_BLOCK = 4096
"""Rows looked at together: their columns and codes stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Parts:
    """An exact sum: ``baseline + amounts.sum(axis=1)`` is the prediction before the link.

    Attributes
    ----------
    amounts : ndarray of float, shape (rows, parts)
        What each part adds, on the logit for risks.
    baseline : float
        The prediction without any part.
    """

    amounts: FloatArray
    baseline: float


def interaction_groups(features: Sequence[Feature]) -> list[list[int]]:
    """Say which features may share a tree: those of one journey, and all facts about the customer.

    Parameters
    ----------
    features : sequence of Feature
        In the order of the columns of the model.

    Returns
    -------
    list of list of int
        Positions, one list a journey in order of first appearance, as ``interaction_cst`` wants them; lists, not sets,
        so that the stored model has the same bytes every time.
    """
    groups: dict[str | None, list[int]] = {}
    for position, feature in enumerate(features):
        groups.setdefault(feature.journey, []).append(position)
    return list(groups.values())


def tree_groups(model: Boosted) -> tuple[IntArray, ...] | None:
    """Read from a fitted model alone which columns share trees.

    Parameters
    ----------
    model : HistGradientBoostingClassifier or HistGradientBoostingRegressor
        Fitted, or loaded.

    Returns
    -------
    tuple of ndarray of int64, or None
        Column positions of each group; None where trees may mix everything.
    """
    if not isinstance(model.interaction_cst, list | tuple):
        return None
    return tuple(np.array(sorted(group), dtype=np.int64) for group in model.interaction_cst)


def contributions(model: Boosted, matrix: FloatArray) -> Parts:
    """Split predictions by group of features, exactly.

    Parameters
    ----------
    model : HistGradientBoostingClassifier or HistGradientBoostingRegressor
        Fitted with ``interaction_cst``; one class against another, or an amount.
    matrix : ndarray of float, shape (rows, columns)
        What the model predicts from.

    Returns
    -------
    Parts
        One column a group of :func:`tree_groups`; a group without a tree adds 0.

    Raises
    ------
    ValueError
        The model's trees may mix all columns, or one of them uses columns of two groups.

    Notes
    -----
    The trees of a group are a boosted model of their own: a copy of the fitted one that holds only these trees and
    starts at zero. The sum over groups differs from the prediction only by rounding, since trees are added in another
    order.

    References
    ----------
    Lou, Caruana, Gehrke (2012), Intelligible models for classification and regression, doi:10.1145/2339530.2339556;
    here parts are journeys instead of single features.
    """
    groups = tree_groups(model)
    if groups is None:
        msg = "the trees may mix all columns: fit with interaction_cst, or use shapley"
        raise ValueError(msg)
    owner = np.full(model.n_features_in_, -1)
    for number, group in enumerate(groups):
        owner[group] = number
    held: list[list[Any]] = [[] for _ in groups]
    for trees in model._predictors:
        used = np.unique(owner[_columns(trees[0])])
        if len(used) > 1 or (used < 0).any():
            msg = f"a tree uses columns of {len(used)} groups; each must keep to one: fit again with interaction_cst"
            raise ValueError(msg)
        held[int(used[0]) if len(used) else 0].append(trees)
    parts = [_only(model, some) for some in held]
    amounts = np.zeros((len(matrix), len(groups)))
    for start in range(0, len(matrix), _BLOCK):
        for number, part in enumerate(parts):
            amounts[start : start + _BLOCK, number] = _raw(part, matrix[start : start + _BLOCK])
    return Parts(amounts, float(model._baseline_prediction[0, 0]))


def first_trees(model: Boosted, number: int) -> Boosted:
    """Give the beginning of a fitted model: what fitting this many trees would have given (without early stopping)."""
    part = copy(model)
    part.max_iter = number
    part._predictors = model._predictors[:number]
    return part


def is_small(model: Boosted) -> bool:
    """Say whether every tree is small enough for :func:`shapley`."""
    return all(len(tree.nodes) <= 2 * MOST_SPLITS + 1 for trees in model._predictors for tree in trees)


def shapley(model: Boosted, matrix: FloatArray) -> Parts:
    """Split predictions by feature, exactly, for small trees.

    Parameters
    ----------
    model : HistGradientBoostingClassifier or HistGradientBoostingRegressor
        Fitted without categorical columns; one class against another, or an amount.
    matrix : ndarray of float, shape (rows, columns)
        What the model predicts from.

    Returns
    -------
    Parts
        One column a column of the matrix. The baseline is the model's mean over its training rows, each counted once.
        Where trees keep to groups, the columns of a group add up to its part of :func:`contributions`, but for a
        constant.

    Raises
    ------
    ValueError
        A tree with more than 7 splits.

    Notes
    -----
    The game of a tree: with a set of known features, go the row's way at splits on known features, and both ways at the
    others, in proportion to the training rows that went there. A row enters this game only through the outcomes of the
    tree's splits, at most 128 of them, so values are computed once a tree and looked up: one comparison a split and
    row. A missing value is an outcome like others.

    References
    ----------
    Shapley (1953), A value for n-person games. Lundberg et al. (2020), doi:10.1038/s42256-019-0138-9, algorithm 1 for
    the game; the tables are ours.
    """
    found = Shapley.of(model)
    return Parts(found.amounts(matrix), found.baseline)


@dataclass(frozen=True, slots=True, eq=False)
class Shapley:
    """The tables of a model's trees, made once for many calls; see :func:`shapley`.

    Attributes
    ----------
    lookup : Lookup
    width : int
        Columns of the matrix.
    baseline : float
        The model's mean over its training rows.
    """

    lookup: Lookup
    width: int
    baseline: float

    @classmethod
    def of(cls, model: Boosted) -> Shapley:
        """Make the tables; ValueError where a tree has more than 7 splits."""
        if not is_small(model):
            msg = f"a tree has more than {MOST_SPLITS} splits: its tables would be too large"
            raise ValueError(msg)
        tables = [_table(tree) for trees in model._predictors for tree in trees]
        baseline = float(model._baseline_prediction[0, 0]) + sum(table.mean for table in tables)
        return cls(Lookup.of(tables), int(model.n_features_in_), baseline)

    def amounts(self, matrix: FloatArray) -> FloatArray:
        """Give the value of each column in each row."""
        amounts = np.zeros((len(matrix), self.width))
        self.lookup.add(matrix, amounts)
        return amounts


def _columns(tree: Any) -> IntArray:
    """Columns that a tree splits on."""
    nodes = tree.nodes
    return np.unique(nodes["feature_idx"][nodes["is_leaf"] == 0]).astype(np.int64)


def _only(model: Boosted, trees: list[Any]) -> Boosted:
    """Copy a fitted model with some of its trees and nothing else."""
    part = copy(model)
    part._predictors = trees
    part._baseline_prediction = np.zeros_like(model._baseline_prediction)
    return part


def _raw(model: Boosted, matrix: FloatArray) -> FloatArray:
    """Sum of the trees before the link."""
    return np.asarray(model._raw_predict(matrix)[:, 0], dtype=np.float64)


def _table(tree: Any) -> TreeTable:
    """Play the game of a tree for every set of features and every outcome of its splits."""
    nodes = tree.nodes
    splits = np.flatnonzero(nodes["is_leaf"] == 0)
    if nodes["is_categorical"][splits].any():
        msg = "a tree splits on a category: number categories instead"
        raise ValueError(msg)
    columns = _columns(tree)
    players = len(columns)
    bits, sets = np.arange(2 ** len(splits)), np.arange(2**players)
    goes_left = {int(node): (bits >> place & 1).astype(bool) for place, node in enumerate(reversed(splits))}
    is_known = {int(column): (sets >> place & 1).astype(bool)[:, np.newaxis] for place, column in enumerate(columns)}
    worth = np.broadcast_to(_worth(nodes, 0, is_known, goes_left), (len(sets), len(bits)))
    return TreeTable(
        nodes["feature_idx"][splits].astype(np.int64),
        nodes["num_threshold"][splits].astype(np.float64),
        nodes["missing_go_to_left"][splits].astype(bool),
        columns,
        _shares(players) @ worth,
        float(worth[0, 0]),
    )


def _worth(
    nodes: Any, node: int, is_known: dict[int, NDArray[np.bool_]], goes_left: dict[int, NDArray[np.bool_]]
) -> FloatArray:
    """Prediction of a tree from a node down, for sets of known features (rows) and outcomes of splits (columns)."""
    here = nodes[node]
    if here["is_leaf"]:
        return np.full((1, 1), here["value"])
    left, right = int(here["left"]), int(here["right"])
    below = [_worth(nodes, child, is_known, goes_left) for child in (left, right)]
    share = nodes[left]["count"] / (nodes[left]["count"] + nodes[right]["count"])
    mixed = share * below[0] + (1 - share) * below[1]
    found = np.where(is_known[int(here["feature_idx"])], np.where(goes_left[node], below[0], below[1]), mixed)
    return np.asarray(found, dtype=np.float64)


@cache
def _shares(players: int) -> FloatArray:
    """Shapley's formula: what turns the worth of sets (as bits) into values, shape (players, sets)."""
    sets = np.arange(2**players)
    sizes = np.array([int(one).bit_count() for one in sets])
    orders = np.array([factorial(size) * factorial(players - size) for size in range(players + 1)])[sizes]
    has = sets >> np.arange(players)[:, np.newaxis] & 1 == 1
    as_last, before = orders / np.maximum(sizes, 1), orders / np.maximum(players - sizes, 1)
    return np.asarray(np.where(has, as_last, -before) / factorial(players), dtype=np.float64)
