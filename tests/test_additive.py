from itertools import permutations

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from features.measures import Feature
from models.additive import contributions, interaction_groups, is_small, shapley, tree_groups
from models.preparation import STORED_TYPES

GROUPS = [[0, 1], [2, 3, 4], [5]]


def data(n: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 6)).round(1)
    matrix[rng.random((n, 6)) < 0.15] = np.nan
    filled = np.nan_to_num(matrix, nan=0.7)
    score = filled[:, 0] * filled[:, 2] + filled[:, 1] - np.abs(filled[:, 3]) + filled[:, 3] * filled[:, 4]
    return matrix, (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int)


def fitted(**more: object) -> HistGradientBoostingClassifier:
    plain = {"max_iter": 30, "max_leaf_nodes": 6, "min_samples_leaf": 20, "early_stopping": False, "random_state": 0}
    return HistGradientBoostingClassifier(**(plain | more)).fit(*data())


def test_features_of_a_journey_share_trees_and_facts_about_the_customer_share_theirs():
    journeys = ("support", None, "billing", "support", None)
    features = [Feature(f"f{i}", "", "", "none", "journey", name, None, "context") for i, name in enumerate(journeys)]
    assert interaction_groups(features) == [[0, 3], [1, 4], [2]]


def test_the_parts_of_journeys_add_up_to_the_prediction():
    model, (matrix, _) = fitted(interaction_cst=GROUPS), data(seed=1)
    parts = contributions(model, matrix)
    assert parts.amounts.shape == (len(matrix), 3)
    np.testing.assert_allclose(parts.baseline + parts.amounts.sum(axis=1), model.decision_function(matrix), atol=1e-9)


def test_the_part_of_a_journey_moves_with_its_own_features_only():
    model, (matrix, _) = fitted(interaction_cst=GROUPS), data()
    moved = matrix.copy()
    moved[:, 2:5] = moved[::-1, 2:5]
    change = np.abs(contributions(model, moved).amounts - contributions(model, matrix).amounts).max(axis=0)
    assert change[1] > 0.1
    assert (change[[0, 2]] == 0).all()


def test_groups_are_read_from_the_stored_model_alone():
    model = skops.io.loads(skops.io.dumps(fitted(interaction_cst=GROUPS)), trusted=list(STORED_TYPES))
    assert [group.tolist() for group in tree_groups(model)] == GROUPS
    matrix, _ = data()
    np.testing.assert_array_equal(
        contributions(model, matrix).amounts, contributions(fitted(interaction_cst=GROUPS), matrix).amounts
    )


def test_trees_that_mix_journeys_are_refused():
    matrix, _ = data()
    with pytest.raises(ValueError, match="trees may mix all columns"):
        contributions(fitted(), matrix)
    pretends = fitted().set_params(interaction_cst=GROUPS)
    with pytest.raises(ValueError, match=r"uses columns of [23] groups"):
        contributions(pretends, matrix)


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_shares_of_features_add_up_to_the_prediction(groups):
    model, (matrix, _) = fitted(interaction_cst=groups), data(seed=2)
    parts = shapley(model, matrix)
    np.testing.assert_allclose(parts.baseline + parts.amounts.sum(axis=1), model.decision_function(matrix), atol=1e-9)


def test_shares_of_a_journeys_features_add_up_to_its_part_but_for_a_constant():
    model, (matrix, _) = fitted(interaction_cst=GROUPS), data(seed=2)
    by_feature, by_group = shapley(model, matrix), contributions(model, matrix)
    for number, group in enumerate(GROUPS):
        difference = by_feature.amounts[:, group].sum(axis=1) - by_group.amounts[:, number]
        assert np.ptp(difference) < 1e-9


def test_the_baseline_is_the_mean_prediction_of_the_training_rows():
    model, (matrix, _) = fitted(), data()
    assert shapley(model, matrix).baseline == pytest.approx(model.decision_function(matrix).mean(), abs=1e-9)


def test_a_share_is_the_mean_over_orders_of_what_a_feature_adds_when_it_becomes_known():
    matrix, outcome = data()
    model = HistGradientBoostingRegressor(
        max_iter=1, learning_rate=1.0, max_leaf_nodes=6, early_stopping=False, random_state=0
    ).fit(matrix, outcome)
    nodes = model._predictors[0][0].nodes
    used = sorted(set(nodes["feature_idx"][nodes["is_leaf"] == 0].tolist()))
    assert len(used) > 2

    def predict(row: np.ndarray, known: tuple[int, ...], at: int = 0) -> float:
        node = nodes[at]
        if node["is_leaf"]:
            return float(node["value"])
        column, left, right = int(node["feature_idx"]), int(node["left"]), int(node["right"])
        if column in known:
            value = row[column]
            goes_left = node["missing_go_to_left"] if np.isnan(value) else value <= node["num_threshold"]
            return predict(row, known, left if goes_left else right)
        counts = nodes["count"]
        both = [counts[child] * predict(row, known, child) for child in (left, right)]
        return sum(both) / (counts[left] + counts[right])

    found = shapley(model, matrix[:20])
    orders = list(permutations(used))
    for row, amounts in zip(matrix[:20], found.amounts, strict=True):
        for column in used:
            gains = [
                predict(row, order[: order.index(column) + 1]) - predict(row, order[: order.index(column)])
                for order in orders
            ]
            assert amounts[column] == pytest.approx(np.mean(gains), abs=1e-9)


def test_trees_with_many_splits_are_refused():
    model, (matrix, _) = fitted(max_leaf_nodes=15), data()
    assert not is_small(model)
    with pytest.raises(ValueError, match="more than 7 splits"):
        shapley(model, matrix)


def test_a_split_on_a_category_is_refused():
    matrix, outcome = data()
    matrix[:, 2] = np.random.default_rng(0).integers(0, 4, len(matrix))
    outcome = (matrix[:, 2] % 2 == 1).astype(int)
    model = HistGradientBoostingClassifier(
        categorical_features=[2], max_iter=2, max_leaf_nodes=4, early_stopping=False
    ).fit(matrix, outcome)
    with pytest.raises(ValueError, match="splits on a category"):
        shapley(model, matrix)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_parts_do_not_depend_on_which_rows_come_together(seed):
    model, (matrix, _) = fitted(interaction_cst=GROUPS), data()
    order = np.random.default_rng(seed).permutation(len(matrix))
    np.testing.assert_array_equal(shapley(model, matrix[order]).amounts, shapley(model, matrix).amounts[order])
