"""The walk over coalitions: what it leaves unexplained against refits, its memory, and columns that add nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from models.elimination import Shape, correlation, reciprocal, unexplained


def some_correlation(seed: int, q: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.corrcoef((rng.normal(size=(3 * q, q)) @ (np.eye(q) + 0.5 * rng.normal(size=(q, q)))).T)


def refitted(R: np.ndarray, columns: list[int]) -> float:
    return 1.0 - float(R[-1, columns] @ np.linalg.solve(R[np.ix_(columns, columns)], R[columns, -1]))


def everything(R: np.ndarray, sizes: list[int]) -> np.ndarray:
    """(2 ** players, stack), first player in the lowest bit."""
    shape = Shape.of(len(sizes))
    left = np.full((1 << shape.late, 1 << shape.deep, 1 << shape.first, len(R)), np.nan)
    for block in unexplained(np.moveaxis(R, 0, -1), sizes):
        left[:, block.deep, :, block.states] = block.left
    return left.reshape(-1, len(R))


@pytest.mark.parametrize("players", [1, 4, 6, 14, 16])
def test_what_is_left_equals_refits_however_the_players_are_dealt_with(players: int) -> None:
    R = np.stack([some_correlation(players, players + 1), some_correlation(99, players + 1)])
    left = everything(R, [1] * players)
    rng = np.random.default_rng(0)
    for coalition in [0, (1 << players) - 1, *rng.integers(0, 1 << players, size=40).tolist()]:
        columns = [k for k in range(players) if coalition >> k & 1]
        assert left[coalition, 0] == pytest.approx(refitted(R[0], columns), abs=1e-11)
        assert left[coalition, 1] == pytest.approx(refitted(R[1], columns), abs=1e-11)


def test_players_with_several_columns_or_none_are_walked_to_any_depth() -> None:
    sizes = [2, 1, 1, 1, 0, 1, 1, 1, 1, 3, 0, 1, 1, 0, 1, 2, 1, 1]
    R = some_correlation(3, sum(sizes) + 1)
    starts = np.cumsum([0, *sizes])
    left = everything(R[np.newaxis], sizes)[:, 0]
    for coalition in np.random.default_rng(1).integers(0, 1 << len(sizes), size=60).tolist():
        joined = [k for k in range(len(sizes)) if coalition >> k & 1]
        columns = [c for k in joined for c in range(starts[k], starts[k + 1])]
        assert left[coalition] == pytest.approx(refitted(R, columns), abs=1e-11)


def test_a_column_with_nothing_left_has_no_slope() -> None:
    assert reciprocal(np.array([0.5, 1e-11, 0.0, -1e-17])).tolist() == [2.0, 0.0, 0.0, 0.0]


def test_a_variable_that_does_not_vary_correlates_with_nothing() -> None:
    assert correlation(np.diag([4.0, 0.0])).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_memory_does_not_grow_with_the_coalitions() -> None:
    R = np.moveaxis(some_correlation(5, 22)[np.newaxis], 0, -1)
    tracemalloc.start()
    coalitions = sum(block.left.size for block in unexplained(R, [1] * 21))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert coalitions == 1 << 21
    # all of them would be 17 MB
    assert peak < 9e6
