"""Compiled trees against scikit-learn's own prediction, to the last bit."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from models.tree_walk import _ROWS, Forest

WIDTH = 7


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    rng = np.random.default_rng(4)
    values = np.round(rng.normal(size=(900, WIDTH)), 1)  # many rows stand exactly at a threshold
    values[rng.random(values.shape) < 0.2] = np.nan
    return values


@pytest.mark.parametrize("leaves", [2, 15, 40])
def test_amounts_are_those_of_scikit_learn_to_the_last_bit(matrix: np.ndarray, leaves: int) -> None:
    amount = 3 * np.nan_to_num(matrix[:, 0]) - np.isnan(matrix[:, 1]) + matrix[:, 2] ** 2
    model = HistGradientBoostingRegressor(max_iter=30, max_leaf_nodes=leaves, min_samples_leaf=5, random_state=0)
    model.fit(matrix, np.nan_to_num(amount))
    forest = Forest.of(model)
    for rows in (0, 1, _ROWS, _ROWS + 1, len(matrix)):
        expected = model.predict(matrix[:rows]) if rows else np.zeros(0)
        np.testing.assert_array_equal(forest.predict(matrix[:rows]), expected)


def test_risks_are_those_of_scikit_learn_on_the_logit(matrix: np.ndarray) -> None:
    left = (np.nan_to_num(matrix[:, 0]) + np.isnan(matrix[:, 3]) > 0.3).astype(int)
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=6, random_state=0).fit(matrix, left)
    np.testing.assert_array_equal(Forest.of(model).predict(matrix), model.decision_function(matrix))


def test_a_matrix_by_columns_gives_the_same(matrix: np.ndarray) -> None:
    model = HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(matrix, np.nan_to_num(matrix[:, 0]))
    forest = Forest.of(model)
    np.testing.assert_array_equal(forest.predict(np.asfortranarray(matrix)), forest.predict(matrix))


def test_trees_that_split_on_categories_are_refused() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, size=(400, 1)).astype(float)
    model = HistGradientBoostingRegressor(max_iter=3, categorical_features=[0], min_samples_leaf=5)
    model.fit(codes, np.isin(codes[:, 0], [1, 3]).astype(float))
    with pytest.raises(ValueError, match="splits on a category"):
        Forest.of(model)


@pytest.mark.parametrize(("field", "value"), [("left", 0), ("right", 10_000), ("feature_idx", WIDTH)])
def test_trees_that_lead_nowhere_are_refused(matrix: np.ndarray, field: str, value: int) -> None:
    model = HistGradientBoostingRegressor(max_iter=3, random_state=0).fit(matrix, np.nan_to_num(matrix[:, 0]))
    model._predictors[1][0].nodes[field][0] = value
    with pytest.raises(ValueError, match="points to nodes or columns that it does not have"):
        Forest.of(model)
