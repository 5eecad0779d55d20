"""McFadden's R2 shared out within journeys: all orders one by one, journeys as players, the stated error."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from models.coalition_fits import SeparationError
from models.mcfadden import McFadden, mcfadden
from models.mcfadden_journeys import mcfadden_owen
from tests.test_mcfadden import likelihood, some_rows


def run(X: np.ndarray, y: np.ndarray, journeys: list[list[int]], seed: int = 0, **more: object) -> McFadden:
    blocks = [[k] for k in range(sum(map(len, journeys)))]
    return mcfadden_owen(X, y, blocks, journeys, rng=np.random.default_rng(seed), **more)  # type: ignore[arg-type]


def one_order_after_the_other(X: np.ndarray, y: np.ndarray, journeys: list[list[int]], weight: np.ndarray):
    """Mean increase over every order with journeys together, refitted by statsmodels."""
    rate, known = likelihood(X, y, [], weight), {}

    def r2(players: tuple[int, ...]) -> float:
        key = tuple(sorted(players))
        if key not in known:
            known[key] = 1 - likelihood(X, y, list(key), weight) / rate
        return known[key]

    gains, orders = np.zeros(sum(map(len, journeys))), 0
    for turn in permutations(range(len(journeys))):
        within = [list(permutations(journeys[place])) for place in turn]
        for numbers in np.ndindex(*map(len, within)):
            order = [player for inner, at in zip(within, numbers, strict=True) for player in inner[at]]
            orders += 1
            for place, player in enumerate(order):
                gains[player] += r2(tuple(order[: place + 1])) - r2(tuple(order[:place]))
    return gains / orders


def test_few_coalitions_are_all_refitted_and_give_the_mean_over_all_orders() -> None:
    X, y = some_rows(21, n=500, p=5)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(y))
    journeys = [[3, 0], [4], [1, 2]]
    found = run(X, y, journeys, weight=weight)
    np.testing.assert_allclose(found.values, one_order_after_the_other(X, y, journeys, weight), atol=1e-9)
    assert found.refits == 6 + 4 * (2 + 0 + 2)
    assert not found.standard_error.any()


def test_a_journey_gets_what_it_gets_as_one_player() -> None:
    X, y = some_rows(22, n=600, p=6)
    journeys = [[0, 5], [1, 2, 3], [4]]
    found = run(X, y, journeys)
    whole = mcfadden(X, y, journeys, rng=np.random.default_rng(0))
    np.testing.assert_allclose([found.values[own].sum() for own in journeys], whole.values, atol=1e-9)
    assert found.r2 == pytest.approx(whole.r2, abs=1e-12)


def test_journeys_of_one_driver_each_are_no_journeys() -> None:
    X, y = some_rows(23, n=400, p=5)
    alone = mcfadden(X, y, [[k] for k in range(5)], rng=np.random.default_rng(0))
    np.testing.assert_allclose(run(X, y, [[2], [0], [1], [4], [3]]).values, alone.values, atol=1e-9)


def test_controls_are_in_every_model() -> None:
    X, y = some_rows(24, n=400, p=4)
    wide = np.column_stack([X, X[:, 0]])
    found = run(wide, y, [[0, 1], [2, 3]], controls=[4])
    assert found.values[0] == pytest.approx(0.0, abs=1e-8)
    assert found.r2_controls == pytest.approx(
        1 - likelihood(X, y, [0], np.ones(400)) / likelihood(X, y, [], np.ones(400))
    )
    assert found.values.sum() == pytest.approx(found.r2 - found.r2_controls, abs=1e-10)


@pytest.mark.parametrize("is_exact", [True, False])
def test_the_stated_error_of_sampled_orders_is_the_error_made(monkeypatch: pytest.MonkeyPatch, is_exact: bool) -> None:
    monkeypatch.setattr("models.mcfadden_journeys.is_exact", lambda _: is_exact)
    X, y = some_rows(25, n=250, p=11, is_rare=True)
    journeys = [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    exact = run(X, y, journeys, refits=1_000)
    z = []
    for seed in range(20):
        found = run(X, y, journeys, seed=seed, refits=160)
        assert found.values.sum() == pytest.approx(exact.values.sum(), abs=1e-10)
        z.append((found.values - exact.values) / found.standard_error)
    # 8 pairs of orders: z is near Student's t with 7 degrees of freedom, whose variance is 7 / 5
    assert np.mean(np.square(z)) == pytest.approx(7 / 5, abs=0.7)
    assert np.abs(found.shares - exact.shares).max() < 0.02


def test_the_generator_decides_and_the_order_of_rows_does_not() -> None:
    X, y = some_rows(26, n=300, p=11)
    journeys, order = [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], np.random.default_rng(1).permutation(300)
    first = run(X, y, journeys, refits=160)
    assert first.values.tolist() == run(X, y, journeys, refits=160).values.tolist()
    assert first.values.tolist() != run(X, y, journeys, refits=160, seed=1).values.tolist()
    np.testing.assert_allclose(run(X[order], y[order], journeys, refits=160).values, first.values, atol=1e-9)


def test_what_cannot_be_shared_out_is_refused() -> None:
    X, y = some_rows(27, n=200, p=4)
    with pytest.raises(ValueError, match="belongs to exactly one journey"):
        run(X, y, [[0, 1], [1, 2]])
    with pytest.raises(ValueError, match="refits is 20 for 8 players"):
        run(*some_rows(27, n=200), [[0, 1, 2, 3, 4, 5, 6, 7]], refits=20)
    X[:, 2] = y
    with pytest.raises(SeparationError, match="column 2 of X") as refused:
        run(X, y, [[0, 1], [2, 3]])
    assert refused.value.column == 2
