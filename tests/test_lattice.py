"""Exact shares of R2: against refits of every subset and every order, and the axioms they stand on."""

from __future__ import annotations

import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lattice import coalition_r2, lmg, owen, partial_out, shapley


def some_covariance(seed: int, q: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(3 * q, q)) @ (np.eye(q) + 0.5 * rng.normal(size=(q, q)))
    return np.cov(mixed.T)


def refitted_r2(C: np.ndarray, columns: list[int]) -> float:
    if not columns:
        return 0.0
    inner = C[np.ix_(columns, columns)]
    return float(C[-1, columns] @ np.linalg.solve(inner, C[columns, -1]) / C[-1, -1])


def mean_increase(C: np.ndarray, blocks: list[list[int]], orders: list[tuple[int, ...]]) -> np.ndarray:
    shares = np.zeros(len(blocks))
    for order in orders:
        columns: list[int] = []
        for player in order:
            before = refitted_r2(C, columns)
            columns = columns + blocks[player]
            shares[player] += refitted_r2(C, columns) - before
    return shares / len(orders)


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5, 6])
def test_shares_equal_the_mean_increase_over_refits_in_every_order(p: int) -> None:
    C = some_covariance(p, p + 1)
    blocks = [[k] for k in range(p)]
    np.testing.assert_allclose(lmg(C, blocks), mean_increase(C, blocks, list(permutations(range(p)))), atol=1e-10)


def test_players_with_several_columns_equal_refits_of_whole_blocks() -> None:
    C = some_covariance(11, 8)
    blocks = [[4, 0], [1], [6, 2, 3], [5]]
    expected = mean_increase(C, blocks, list(permutations(range(4))))
    np.testing.assert_allclose(lmg(C, blocks), expected, atol=1e-10)


def test_every_coalition_equals_its_refit() -> None:
    C = some_covariance(12, 6)
    v = coalition_r2(C[np.newaxis], [[0, 1], [2], [3], [4]])[:, 0]
    blocks = [[0, 1], [2], [3], [4]]
    for coalition in range(16):
        columns = [c for k in range(4) if coalition >> k & 1 for c in blocks[k]]
        assert v[coalition] == pytest.approx(refitted_r2(C, columns), abs=1e-12)


def test_many_players_take_the_blockwise_path_and_still_equal_refits() -> None:
    C = some_covariance(13, 13)
    v = coalition_r2(np.stack([C, 2.0 * C, some_covariance(14, 13)]), [[k] for k in range(12)])
    for coalition in (0, 1, 2049, 3000, 4095):
        columns = [k for k in range(12) if coalition >> k & 1]
        assert v[coalition, 1] == pytest.approx(refitted_r2(C, columns), abs=1e-12)
    assert v.shape == (4096, 3)


@pytest.mark.parametrize("journeys", [[[0, 1], [2, 3]], [[0], [1, 2, 3]], [[0, 3], [1], [2]], [[0, 1, 2, 3]]])
def test_owen_values_equal_the_orders_that_keep_journeys_together(journeys: list[list[int]]) -> None:
    C = some_covariance(15, 6)
    blocks = [[0], [1, 2], [3], [4]]
    kept = [
        order
        for order in permutations(range(4))
        if all(max(map(order.index, j)) - min(map(order.index, j)) == len(j) - 1 for j in journeys)
    ]
    np.testing.assert_allclose(owen(C, blocks, journeys), mean_increase(C, blocks, kept), atol=1e-10)


def test_owen_values_of_a_journey_sum_to_its_own_share_as_one_player() -> None:
    C = some_covariance(16, 8)
    blocks = [[k] for k in range(7)]
    journeys = [[0, 4, 6], [1, 2], [3, 5]]
    within = owen(C, blocks, journeys)
    whole = lmg(C, [[0, 4, 6], [1, 2], [3, 5]])
    np.testing.assert_allclose([within[members].sum() for members in journeys], whole, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 7))
def test_shares_are_not_negative_and_sum_to_r2(seed: int, p: int) -> None:
    C = some_covariance(seed, p + 1)
    shares = lmg(C, [[k] for k in range(p)])
    assert shares.min() >= -1e-12
    assert shares.sum() == pytest.approx(refitted_r2(C, list(range(p))), abs=1e-10)


def test_exact_twins_get_equal_shares_and_add_nothing_together() -> None:
    C = some_covariance(17, 5)
    twin = [0, 1, 2, 3, 2, 2, 4]
    copied = C[np.ix_(twin, twin)]
    shares = lmg(copied, [[k] for k in range(6)])
    assert shares[2] == pytest.approx(shares[4], abs=1e-12)
    assert shares[2] == pytest.approx(shares[5], abs=1e-12)
    assert shares.sum() == pytest.approx(refitted_r2(C, [0, 1, 2, 3]), abs=1e-10)


def test_a_constant_column_gets_zero() -> None:
    C = np.insert(np.insert(some_covariance(18, 4), 1, 0.0, axis=0), 1, 0.0, axis=1)
    assert lmg(C, [[0], [1], [2], [3]])[1] == pytest.approx(0.0, abs=1e-12)


def test_an_outcome_that_does_not_vary_has_no_shares() -> None:
    C = some_covariance(19, 4)
    C[-1] = C[:, -1] = 0.0
    assert not lmg(C, [[0], [1], [2]]).any()


def test_a_stack_gives_what_each_matrix_gives() -> None:
    stack = np.stack([some_covariance(seed, 6) for seed in range(5)])
    blocks, journeys = [[0], [1, 2], [3], [4]], [[0, 1], [2, 3]]
    together = owen(stack, blocks, journeys)
    apart = np.array([owen(C, blocks, journeys) for C in stack])
    np.testing.assert_allclose(together, apart, atol=1e-14)


def test_memory_does_not_grow_with_the_stack_of_a_wide_journey() -> None:
    """16 players in one journey: all coalitions of 80 matrices are 42 MB, three times while they are summed up."""
    stack = np.stack([some_covariance(16, 17)] * 80)
    tracemalloc.start()
    owen(stack, [[k] for k in range(16)], [list(range(16))])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6


def test_controls_taken_out_leave_the_increase_over_the_controls() -> None:
    C = some_covariance(20, 7)
    partial = partial_out(C, [0, 3])
    increase = refitted_r2(C, [0, 1, 2, 3, 4, 5]) - refitted_r2(C, [0, 3])
    left = partial[-1, -1] / C[-1, -1]
    assert lmg(partial, [[0], [1], [2], [3]]).sum() * left == pytest.approx(increase, abs=1e-10)


def test_a_copy_of_a_control_explains_nothing_on_top_of_it() -> None:
    C = some_covariance(21, 5)
    copied = C[np.ix_([0, 0, 1, 2, 3, 4], [0, 0, 1, 2, 3, 4])]
    assert lmg(partial_out(copied, [0]), [[0], [1], [2], [3]])[0] == pytest.approx(0.0, abs=1e-12)


def test_controls_may_be_copies_of_each_other() -> None:
    C = some_covariance(22, 5)
    copied = C[np.ix_([0, 0, 1, 2, 3, 4], [0, 0, 1, 2, 3, 4])]
    np.testing.assert_allclose(partial_out(copied, [0, 1]), partial_out(C, [0]), atol=1e-12)


def test_a_player_that_adds_the_same_to_everyone_gets_that() -> None:
    v = np.array([[bin(s).count("1") + 3.0 * (s >> 1 & 1)] for s in range(8)])
    np.testing.assert_allclose(shapley(v), [[1.0, 4.0, 1.0]])


def test_journeys_that_do_not_hold_every_player_once_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Every player belongs to exactly one journey"):
        owen(some_covariance(23, 4), [[0], [1], [2]], [[0], [0, 1]])
