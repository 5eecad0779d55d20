"""Sampled orders: against the exact answer within the stated error, whose size is right; twins, blocks, journeys."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from models.lattice import lmg, owen, partial_out
from models.orderings import SampledShares, sample_orders


def some_covariance(seed: int, q: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cov((rng.normal(size=(3 * q, q)) @ (np.eye(q) + 0.5 * rng.normal(size=(q, q)))).T)


def sampled(C: np.ndarray, blocks: list[list[int]], seed: int = 0, **options: object) -> SampledShares:
    return sample_orders(C, blocks, rng=np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def mean_squared_z(C: np.ndarray, blocks: list[list[int]], exact: np.ndarray, **options: object) -> float:
    z = []
    for seed in range(60):
        found = sampled(C, blocks, seed, orders=200, **options)
        z.append((found.values - exact) / found.standard_error)
    return float(np.mean(np.square(z)))


# 60 runs of 100 pairs: z^2 of one player has mean 1.02 and a standard error of 0.19; players depend on each other, so
# their mean is hardly better known than one of them. Without the root of two of the pairs it would be 2 or 0.5.
TOLERANCE = 0.45


def test_the_stated_error_is_the_error_made() -> None:
    C = some_covariance(1, 9)
    blocks = [[k] for k in range(8)]
    assert mean_squared_z(C, blocks, lmg(C, blocks)) == pytest.approx(1.0, abs=TOLERANCE)


def test_the_stated_error_is_the_error_made_where_journeys_stay_together() -> None:
    C = some_covariance(2, 10)
    blocks, journeys = [[0, 3], [1], [2], [4], [5, 8], [6], [7]], [[0, 2], [1, 3, 4], [5], [6]]
    exact = owen(C, blocks, journeys)
    assert np.abs(exact - lmg(C, blocks)).max() > 0.005
    assert mean_squared_z(C, blocks, exact, journeys=journeys) == pytest.approx(1.0, abs=TOLERANCE)


def test_the_stated_error_is_the_error_made_with_exact_twins() -> None:
    C = some_covariance(3, 7)
    twins = C[np.ix_([0, 1, 2, 3, 2, 4, 5, 6], [0, 1, 2, 3, 2, 4, 5, 6])]
    blocks = [[k] for k in range(7)]
    exact = lmg(twins, blocks)
    assert exact[2] == pytest.approx(exact[4], abs=1e-12)
    assert mean_squared_z(twins, blocks, exact) == pytest.approx(1.0, abs=TOLERANCE)


def test_every_order_of_three_players_is_drawn_and_equally_often() -> None:
    # the R2 of three players add up differently in every order, so the mean is right only if all six are equally likely
    C = some_covariance(4, 4)
    found = sampled(C, [[0], [1], [2]], orders=6000)
    shares = np.zeros(3)
    for order in permutations(range(3)):
        for place, player in enumerate(order):
            after, before = ([*order[: place + 1]], [*order[:place]])
            for sign, columns in ((1, after), (-1, before)):
                inner = np.linalg.solve(C[np.ix_(columns, columns)], C[columns, -1])
                shares[player] += sign * float(C[-1, columns] @ inner) / C[-1, -1] / 6
    # an order and its reverse of three players: error at most sd / sqrt(3000), four of them
    np.testing.assert_allclose(found.values, shares, atol=4 * found.standard_error.max())


def test_sixty_players_are_within_four_errors_and_sum_to_r2() -> None:
    # apart from three of them the players do not correlate: their exact share is the squared correlation
    rng = np.random.default_rng(5)
    r = rng.normal(size=60) * 0.05
    C = np.eye(61)
    C[-1, :-1] = C[:-1, -1] = r
    C[0, 1] = C[1, 0] = 0.6
    C[1, 2] = C[2, 1] = -0.4
    found = sampled(C, [[k] for k in range(60)], orders=400)
    three = np.ix_([0, 1, 2, 60], [0, 1, 2, 60])
    np.testing.assert_allclose(found.values[3:], r[3:] ** 2, atol=1e-12)
    assert np.abs(found.values[:3] - lmg(C[three], [[0], [1], [2]])).max() < 4 * found.standard_error[:3].max()
    assert found.standard_error[:3].max() < 1e-3
    assert found.values.sum() == pytest.approx(float(C[-1, :-1] @ np.linalg.solve(C[:-1, :-1], r)), abs=1e-12)


def test_elimination_and_cholesky_agree_where_both_have_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    C = some_covariance(6, 12)
    blocks = [[0, 1], *([k] for k in range(2, 11))]
    regular = sampled(C, blocks, orders=50)
    monkeypatch.setattr("models.orderings._is_regular", lambda R: False)
    np.testing.assert_allclose(sampled(C, blocks, orders=50).values, regular.values, atol=1e-12)


def test_controls_taken_out_before_leave_the_shares_over_them() -> None:
    left = partial_out(some_covariance(7, 9), [0, 4])
    blocks = [[k] for k in range(6)]
    found = sampled(left, blocks, orders=4000)
    assert np.abs(found.values - lmg(left, blocks)).max() < 4 * found.standard_error.max()


def test_the_same_generator_gives_the_same_shares() -> None:
    C = some_covariance(8, 9)
    blocks = [[k] for k in range(8)]
    first, again = sampled(C, blocks, 3, orders=60), sampled(C, blocks, 3, orders=60)
    assert first.values.tolist() == again.values.tolist()
    assert first.orders == 60
    assert sampled(C, blocks, 4, orders=60).values.tolist() != first.values.tolist()


def test_constant_columns_and_a_constant_outcome_add_nothing() -> None:
    C = some_covariance(9, 5)
    C[1] = C[:, 1] = 0.0
    assert sampled(C, [[0], [1], [2], [3]], orders=20).values[1] == pytest.approx(0.0, abs=1e-15)
    C[-1] = C[:, -1] = 0.0
    assert not sampled(C, [[0], [1], [2], [3]], orders=20).values.any()


@pytest.mark.parametrize("orders", [2, 7])
def test_orders_that_make_no_pairs_are_refused(orders: int) -> None:
    with pytest.raises(ValueError, match=f"orders is {orders}. An even number from 4 on"):
        sampled(some_covariance(10, 4), [[0], [1], [2]], orders=orders)


def test_no_players_and_broken_journeys_are_refused() -> None:
    C = some_covariance(11, 4)
    with pytest.raises(ValueError, match="At least one player was expected"):
        sampled(C, [])
    with pytest.raises(ValueError, match="Every player belongs to exactly one journey"):
        sampled(C, [[0], [1], [2]], journeys=[[0], [1]])
