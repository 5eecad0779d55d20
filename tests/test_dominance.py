"""Dominance by size: against refits of every coalition, what it sums to, and twins."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from models.dominance import dominance
from models.lattice import coalition_r2, lmg, partial_out, shapley


def some_covariance(seed: int, q: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cov((rng.normal(size=(3 * q, q)) @ (np.eye(q) + 0.5 * rng.normal(size=(q, q)))).T)


def refitted_r2(C: np.ndarray, columns: list[int]) -> float:
    return float(C[-1, columns] @ np.linalg.solve(C[np.ix_(columns, columns)], C[columns, -1]) / C[-1, -1])


def by_refits(C: np.ndarray, blocks: list[list[int]]) -> np.ndarray:
    table = np.zeros((len(blocks), len(blocks)))
    for player, size in np.ndindex(table.shape):
        others = [k for k in range(len(blocks)) if k != player]
        gains = []
        for coalition in combinations(others, size):
            columns = [c for k in coalition for c in blocks[k]]
            gains.append(refitted_r2(C, columns + blocks[player]) - refitted_r2(C, columns))
        table[player, size] = np.mean(gains)
    return table


@pytest.mark.parametrize("p", [1, 2, 5, 7])
def test_every_size_equals_the_mean_increase_over_refits(p: int) -> None:
    C = some_covariance(p, p + 1)
    blocks = [[k] for k in range(p)]
    np.testing.assert_allclose(dominance(C, blocks).by_size, by_refits(C, blocks), atol=1e-11)


def test_players_with_several_columns_equal_refits_of_whole_blocks() -> None:
    C = some_covariance(11, 9)
    blocks = [[4, 0], [1], [6, 2, 3], [5], [7]]
    np.testing.assert_allclose(dominance(C, blocks).by_size, by_refits(C, blocks), atol=1e-11)


def test_sizes_of_many_players_equal_those_counted_from_all_coalitions() -> None:
    # 17 players: some are dealt with side by side, some in depth, some last
    C = some_covariance(12, 18)
    blocks = [[k] for k in range(17)]
    v = coalition_r2(C[np.newaxis], blocks)[:, 0]
    coalitions = np.arange(1 << 17)
    size = np.bitwise_count(coalitions)
    found = dominance(C, blocks)
    for player in (0, 8, 9, 11, 12, 16):
        without = coalitions[coalitions >> player & 1 == 0]
        gain = v[without | 1 << player] - v[without]
        means = np.bincount(size[without], gain) / np.bincount(size[without])
        np.testing.assert_allclose(found.by_size[player], means, atol=1e-11)
    np.testing.assert_allclose(found.general, shapley(v[:, np.newaxis])[0], atol=1e-11)


def test_first_is_the_squared_correlation_and_last_what_a_refit_loses() -> None:
    C = some_covariance(13, 6)
    found = dominance(C, [[k] for k in range(5)])
    np.testing.assert_allclose(found.first, C[-1, :5] ** 2 / (np.diag(C)[:5] * C[-1, -1]), atol=1e-12)
    whole = refitted_r2(C, [0, 1, 2, 3, 4])
    assert found.last[2] == pytest.approx(whole - refitted_r2(C, [0, 1, 3, 4]), abs=1e-11)
    assert found.general.sum() == pytest.approx(whole, abs=1e-11)


def test_an_exact_twin_adds_nothing_last_and_shares_what_both_explain() -> None:
    C = some_covariance(14, 5)
    copied = C[np.ix_([0, 1, 2, 3, 2, 4], [0, 1, 2, 3, 2, 4])]
    found = dominance(copied, [[k] for k in range(5)])
    np.testing.assert_allclose(found.by_size[2], found.by_size[4], atol=1e-12)
    assert found.last[2] == pytest.approx(0.0, abs=1e-12)
    assert found.last[0] == pytest.approx(dominance(C, [[k] for k in range(4)]).last[0], abs=1e-11)


def test_a_stack_gives_what_each_matrix_gives() -> None:
    stack = np.stack([some_covariance(seed, 8) for seed in range(6)]).reshape(2, 3, 8, 8)
    blocks = [[0], [1, 2], [3], [4], [5, 6]]
    together = dominance(stack, blocks).by_size
    apart = [[dominance(C, blocks).by_size for C in row] for row in stack]
    assert together.shape == (2, 3, 5, 5)
    np.testing.assert_allclose(together, apart, atol=1e-13)


def test_controls_taken_out_leave_increases_over_the_controls() -> None:
    C = some_covariance(15, 6)
    left = partial_out(C, [1])
    alone = dominance(left, [[0], [1], [2], [3]]).first[0] * left[-1, -1] / C[-1, -1]
    assert alone == pytest.approx(refitted_r2(C, [0, 1]) - refitted_r2(C, [1]), abs=1e-11)


def test_an_outcome_that_does_not_vary_is_not_explained() -> None:
    C = some_covariance(16, 4)
    C[-1] = C[:, -1] = 0.0
    assert not dominance(C, [[0], [1], [2]]).by_size.any()


def test_general_dominance_is_lmg() -> None:
    C = some_covariance(17, 13)
    blocks = [[k] for k in range(12)]
    np.testing.assert_allclose(dominance(C, blocks).by_size.mean(axis=1), lmg(C, blocks), atol=1e-14)


def test_no_players_are_refused() -> None:
    with pytest.raises(ValueError, match="At least one player was expected"):
        dominance(some_covariance(18, 3), [])
