"""Laws of keyed luck."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.luck import normal, uniform

CUSTOMERS = np.arange(200_000, dtype=np.int64)


@given(seed=st.integers(-(2**70), 2**70), week=st.integers(-5, 10**6), drop=st.integers(1, 49))
def test_luck_depends_on_its_keys_and_not_on_who_else_is_drawn(seed: int, week: int, drop: int) -> None:
    everybody = uniform(seed, "wait", week, np.arange(50))
    assert (uniform(seed, "wait", week, np.arange(drop, 50)) == everybody[drop:]).all()
    assert (uniform(seed, "wait", week, np.arange(50)[::-1]) == everybody[::-1]).all()


@given(seed=st.integers(0, 2**63), week=st.integers(-1000, 1000), customer=st.integers(0, 10**9))
def test_scalar_keys_and_array_keys_give_the_same_number(seed: int, week: int, customer: int) -> None:
    alone = uniform(seed, "talk", week, customer)
    assert alone.shape == ()
    assert alone == uniform(seed, "talk", np.array([week]), np.array([customer]))[0]


def test_known_numbers_stay_for_ever() -> None:
    """Worlds are compared across versions: a change here changes every published truth."""
    assert uniform(7, "wait", 12, np.arange(2)).tolist() == [0.9028064762850416, 0.6721684966777599]


def test_seed_purpose_week_and_order_of_keys_each_give_other_luck() -> None:
    base = uniform(7, "wait", 3, CUSTOMERS)
    others = (uniform(8, "wait", 3, CUSTOMERS), uniform(7, "talk", 3, CUSTOMERS), uniform(7, "wait", 4, CUSTOMERS))
    for other in others:
        assert abs(np.corrcoef(base, other)[0, 1]) < 4 / np.sqrt(len(CUSTOMERS))
    assert uniform(7, "wait", 3, 4) != uniform(7, "wait", 4, 3)


def test_neighbours_in_customer_and_week_are_uncorrelated() -> None:
    luck = np.array([uniform(7, "wait", week, CUSTOMERS[:20_000]) for week in range(10)])
    tolerance = 4 / np.sqrt(luck.size)  # four standard errors of a correlation of zero
    assert abs(np.corrcoef(luck[:, 1:].ravel(), luck[:, :-1].ravel())[0, 1]) < tolerance
    assert abs(np.corrcoef(luck[1:].ravel(), luck[:-1].ravel())[0, 1]) < tolerance


def test_uniform_numbers_fill_the_open_interval_evenly() -> None:
    luck = uniform(1, "even", CUSTOMERS)
    counts, _ = np.histogram(luck, bins=100, range=(0, 1))
    expected = len(luck) / 100
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert 0 < luck.min() < luck.max() < 1
    assert statistic < 99 + 4 * np.sqrt(2 * 99)  # chi-square with 99 degrees of freedom, four standard deviations


def test_normal_numbers_have_mean_zero_and_variance_one() -> None:
    luck = normal(1, "noise", 5, CUSTOMERS)
    assert abs(luck.mean()) < 4 / np.sqrt(len(luck))
    assert abs(luck.var() - 1) < 4 * np.sqrt(2 / len(luck))


def test_keys_are_broadcast() -> None:
    grid = uniform(7, "load", np.arange(5)[:, None], np.arange(3)[None, :])
    assert grid.shape == (5, 3)
    assert grid[2, 1] == uniform(7, "load", 2, 1)
