"""What each driver adds: parts of a share, first and last, against refits of every order."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from models.design_moments import DesignMoments
from models.driver_game import Game, added_by_size, game_of, play, quality_parts
from models.drivers import MISSING_FLAG, Driver
from models.moments import GroupMoments

COLUMNS = 1 + 2 + 1 + 2
CONTROLS = 1
DRIVERS = (
    Driver("a", "first", ("a", f"{MISSING_FLAG}a")),
    Driver("b", "first", ("b",)),
    Driver("c", "second", ("c", f"{MISSING_FLAG}c")),
)
BLOCKS = ((1, 2), (3,), (4, 5))


def covariances(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(400, COLUMNS + 1)) @ rng.normal(size=(COLUMNS + 1, COLUMNS + 1))
    return np.cov(values, rowvar=False)


def game(C: np.ndarray) -> Game:
    nothing = GroupMoments(np.zeros((0, COLUMNS + 2, COLUMNS + 2)), 0, 0)
    return game_of(DRIVERS, DesignMoments(nothing, CONTROLS, BLOCKS), C, np.random.default_rng(0))


def r2(C: np.ndarray, columns: Sequence[int]) -> float:
    """Explained share of the outcome's variance by a regression on columns."""
    chosen = list(columns)
    slopes = np.linalg.solve(C[np.ix_(chosen, chosen)], C[chosen, -1])
    return float(slopes @ C[chosen, -1] / C[-1, -1])


def nested_orders() -> Iterator[list[tuple[int, str]]]:
    """Orders in which journeys stay together, within them drivers, and within those values and flags."""
    parts = {0: ("values", "flags"), 1: ("values",), 2: ("values", "flags")}
    for journeys in itertools.permutations([(0, 1), (2,)]):
        for members in itertools.product(*(itertools.permutations(one) for one in journeys)):
            drivers = [driver for one in members for driver in one]
            for inner in itertools.product(*(itertools.permutations(parts[driver]) for driver in drivers)):
                yield [(driver, part) for driver, some in zip(drivers, inner, strict=True) for part in some]


def test_values_and_flags_share_a_driver_as_the_mean_over_all_nested_orders() -> None:
    C = covariances()
    column = {(0, "values"): 1, (0, "flags"): 2, (1, "values"): 3, (2, "values"): 4, (2, "flags"): 5}
    expected, count = dict.fromkeys(column, 0.0), 0
    for order in nested_orders():
        count += 1
        before = [0]
        for part in order:
            expected[part] += r2(C, [*before, column[part]]) - r2(C, before)
            before.append(column[part])
    found = game(C)
    point = play(C[np.newaxis], CONTROLS, found)
    quality = quality_parts(C, CONTROLS, found, point)
    for driver in range(3):
        whole = sum(expected.get((driver, part), 0.0) for part in ("values", "flags")) / count
        assert point.owen[0, driver] == pytest.approx(whole, abs=1e-12)
        assert quality[driver] == pytest.approx(expected[driver, "values"] / count, abs=1e-12)


def test_a_driver_alone_and_last_are_two_refits() -> None:
    C = covariances(1)
    found = game(C)
    everything = r2(C, range(COLUMNS))
    for driver, block in enumerate(BLOCKS):
        others = [column for column in range(COLUMNS) if column not in block]
        assert found.last[driver] == pytest.approx(everything - r2(C, others), abs=1e-12)
        assert found.alone[driver] == pytest.approx(r2(C, block), abs=1e-12)


def test_a_copy_of_another_driver_adds_nothing_last() -> None:
    C = covariances(2)
    C[:, 3], C[3, :] = C[:, 1], C[1, :]
    C[3, 3] = C[1, 3] = C[3, 1] = C[1, 1]
    assert game(C).last[1] == pytest.approx(0, abs=1e-10)


def test_what_a_driver_adds_by_size_is_the_mean_over_refits_on_top_of_the_controls() -> None:
    C = covariances(3)
    found = added_by_size(C, CONTROLS, game(C))
    for driver, block in enumerate(BLOCKS):
        others = [BLOCKS[k] for k in range(3) if k != driver]
        for size in range(3):
            gains = []
            for some in itertools.combinations(others, size):
                before = [0, *(column for one in some for column in one)]
                gains.append(r2(C, [*before, *block]) - r2(C, before))
            assert found[driver, size] == pytest.approx(np.mean(gains), abs=1e-12)


def test_too_many_drivers_have_no_table_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    C = covariances(3)
    monkeypatch.setattr("models.driver_game.MAX_BITS", 2)
    assert added_by_size(C, CONTROLS, game(C)).shape == (3, 0)


def test_stacks_with_too_many_coalitions_are_sampled_near_the_exact_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = np.stack([covariances(seed) for seed in range(3)])
    players = game(stack[0])
    # two drivers beside one other journey, one beside one
    assert players.coalitions == 2**3 + 2**2
    exact = play(stack, CONTROLS, players)
    monkeypatch.setattr("models.driver_game.MAX_COALITIONS", 2 * players.coalitions)
    some, sampled = play(stack[:2], CONTROLS, players), play(stack, CONTROLS, players)
    np.testing.assert_allclose(some.owen, exact.owen[:2], atol=1e-14)
    assert not some.error.any()
    assert sampled.error.any()
    np.testing.assert_allclose(sampled.r2, exact.r2, atol=1e-12)
    assert (np.abs(sampled.owen - exact.owen) <= 4 * sampled.error + 1e-12).all()
