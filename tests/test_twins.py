import numpy as np
import pandas as pd
import pytest

from features.likeness import Likeness
from features.twins import Twins, components, find_twins
from tests.copies import copied, people


def twins(frame: pd.DataFrame, customer: np.ndarray | None = None) -> Twins:
    likeness = Likeness.of(frame.drop(columns=["truth", "is_churned"], errors="ignore"))
    customer = np.arange(len(frame)) if customer is None else customer
    return find_twins(likeness, customer, np.random.default_rng(0))


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.05])
def test_shuffled_copies_are_found(noise):
    rng = np.random.default_rng(1)
    frame = copied(people(rng, 600), 4, noise, rng).sample(frac=1, random_state=2, ignore_index=True)
    found, truth = twins(frame), frame["truth"].to_numpy()
    assert found.share > 0.95
    assert found.natural < 0.1
    assert (truth[found.first] == truth[found.second]).mean() > 0.99


def test_rows_that_are_drawn_twice_are_found():
    frame = people(np.random.default_rng(3), 2_000)
    found = twins(pd.concat([frame, frame.sample(200, random_state=1)], ignore_index=True))
    assert found.share == pytest.approx(400 / 2_200, abs=0.01)


def test_a_few_twins_are_left_alone():
    frame = people(np.random.default_rng(4), 3_000)
    assert len(twins(pd.concat([frame, frame.sample(15, random_state=1)], ignore_index=True)).first) == 0


def test_columns_that_do_not_tell_rows_apart_prove_nothing():
    rng = np.random.default_rng(5)
    ratings = pd.DataFrame(rng.integers(1, 6, (2_000, 5)), columns=[*"abcde"])
    found = twins(pd.concat([ratings, ratings], ignore_index=True))
    assert len(found.first) == 0
    assert found.distinct < 0.5


def test_rows_of_one_customer_are_not_twins():
    rng = np.random.default_rng(6)
    frame = copied(people(rng, 500), 3, 0.02, rng)
    assert len(twins(frame, frame["truth"].to_numpy()).first) == 0


def test_pairs_do_not_depend_on_the_user_s_numbers_but_on_their_order():
    rng = np.random.default_rng(7)
    frame = copied(people(rng, 300), 3, 0.02, rng)
    plain, scaled = twins(frame), twins(frame.assign(b=frame["b"] * 60, d=np.exp(frame["d"] / 1_000)))
    np.testing.assert_array_equal(plain.first, scaled.first)
    np.testing.assert_array_equal(plain.second, scaled.second)


def test_small_tables_and_tables_without_columns_are_left_alone():
    frame = people(np.random.default_rng(8), 40)
    assert len(twins(pd.concat([frame, frame], ignore_index=True)).first) == 0
    assert len(twins(pd.DataFrame(index=range(500))).first) == 0


def test_components_are_numbered_by_their_first_row():
    assert components(np.array([3, 1]), np.array([1, 4]), 6).tolist() == [0, 1, 2, 1, 1, 3]
    assert components(np.zeros(0, int), np.zeros(0, int), 3).tolist() == [0, 1, 2]
