import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.standing import share_in_first, tiers


def drawn(values: list[float], spread: float, draws: int = 400) -> np.ndarray:
    return np.array(values) + spread * np.random.default_rng(0).normal(size=(draws, len(values)))


def test_what_differs_clearly_has_tiers_of_its_own_and_what_does_not_shares_one() -> None:
    values = [0.1, 0.5, 0.3, 0.31]
    assert tiers(np.array(values), drawn(values, 0.02)).tolist() == [3, 1, 2, 2]
    assert tiers(np.array(values), drawn(values, 1.0)).tolist() == [1, 1, 1, 1]


def test_differences_are_paired() -> None:
    values = np.array([0.5, 0.4])
    together = values + np.random.default_rng(0).normal(size=(400, 1))
    assert tiers(values, together).tolist() == [1, 2]


def test_what_is_not_ranked_is_in_no_tier_and_never_among_the_first() -> None:
    values = np.array([np.nan, 0.2, 0.1])
    draws = drawn([np.nan, 0.2, 0.1], 0.01)
    assert tiers(values, draws).tolist() == [0, 1, 2]
    assert share_in_first(draws, 3).tolist() == [0, 1, 1]


def test_equal_drivers_rarely_get_different_tiers() -> None:
    # Two comparisons of the largest with others, each at 5 %; that it is the largest adds to it.
    rng, apart = np.random.default_rng(3), 0
    for _ in range(400):
        values = 0.3 + 0.02 * rng.normal(size=3)
        apart += tiers(values, values + 0.02 * rng.normal(size=(200, 3))).max() > 1
    assert apart / 400 < 0.15


@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=8), st.integers(1, 5))
def test_places_are_given_away_once_and_ties_share_them(rows: list[list[int]], places: int) -> None:
    found = share_in_first(np.array(rows, dtype=float), places)
    assert found.sum() == pytest.approx(places)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_order_of_the_columns_has_no_influence() -> None:
    values = np.array([0.4, 0.39, 0.2, 0.1])
    draws = drawn(values.tolist(), 0.03)
    order = [2, 0, 3, 1]
    assert tiers(values[order], draws[:, order]).tolist() == tiers(values, draws)[order].tolist()
    assert share_in_first(draws[:, order]).tolist() == share_in_first(draws)[order].tolist()
