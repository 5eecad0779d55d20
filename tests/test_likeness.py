import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.likeness import MOST, Likeness

VALUES = st.lists(st.one_of(st.none(), st.integers(0, 6)), min_size=2, max_size=30)


def pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.meshgrid(np.arange(n), np.arange(n))
    return first.ravel(), second.ravel()


def test_the_surprise_of_a_pair_counts_the_rows_that_are_as_near():
    found = Likeness.of(pd.DataFrame({"x": [0.0, 1.0, 2.0, 10.0, 11.0]}))
    # As near to 1 as 2 is: 1, 2 and, at the edge, half of 0; two and a half of five. All are as near to 0 as 11 is.
    surprise = found.surprise(np.array([1, 0]), np.array([2, 4]))
    np.testing.assert_allclose(surprise, [-np.log(2.5 / 5), 0.0], atol=1e-12)


def test_equal_text_is_as_surprising_as_it_is_rare():
    found = Likeness.of(pd.DataFrame({"plan": ["a"] * 6 + ["b"] * 2}))
    np.testing.assert_allclose(
        found.surprise(np.array([0, 6, 0]), np.array([1, 7, 6])), [-np.log(6 / 8), -np.log(2 / 8), 0.0]
    )


def test_missing_values_agree_with_each_other_and_with_nothing_else():
    found = Likeness.of(pd.DataFrame({"x": [np.nan, np.nan, 1.0, 1.0]}))
    assert found.agreement(np.array([0, 0, 2]), np.array([1, 2, 3])).tolist() == [1.0, 0.0, 1.0]


def test_no_single_column_is_worth_more_than_the_cap():
    found = Likeness.of(pd.DataFrame({"x": np.arange(10_000.0)}))
    assert found.surprise(np.array([5]), np.array([5])).tolist() == [MOST]


def test_columns_with_one_value_say_nothing():
    found = Likeness.of(pd.DataFrame({"a": [1, 1, 1], "b": ["x", "x", "x"], "c": [None, None, None]}))
    assert found.columns == 0
    assert found.surprise(np.array([0]), np.array([1])).tolist() == [0.0]
    assert found.agreement(np.array([0]), np.array([1])).tolist() == [0.0]


@given(VALUES, VALUES)
def test_likeness_is_symmetric_and_a_row_is_most_like_itself(numbers, words):
    n = min(len(numbers), len(words))
    texts = [None if word is None else "abcdefg"[word] for word in words[:n]]
    found = Likeness.of(
        pd.DataFrame({"x": pd.Series(numbers[:n], dtype="float64"), "t": pd.Series(texts, dtype=object)})
    )
    first, second = pairs(n)
    for measure in (found.surprise, found.agreement):
        there, back = measure(first, second), measure(second, first)
        np.testing.assert_allclose(there, back)
        own = measure(np.arange(n), np.arange(n))
        assert (there <= np.minimum(own[first], own[second]) + 1e-9).all()
    np.testing.assert_allclose(found.surprise(np.arange(n), np.arange(n)), found.own())


@given(VALUES)
def test_likeness_knows_order_alone(values):
    x = pd.Series(values, dtype="float64")
    plain, bent = (Likeness.of(pd.DataFrame({"x": column})) for column in (x, np.exp(x) * 7 - 3))
    np.testing.assert_array_equal(plain.below, bent.below)
    np.testing.assert_array_equal(plain.upto, bent.upto)


@pytest.mark.parametrize("column", [np.arange(500.0), np.arange(500.0) % 5, np.array(list("abcde") * 100, object)])
def test_waves_of_equal_rows_agree_and_those_of_strangers_do_not(column):
    rng = np.random.default_rng(1)
    waves = Likeness.of(pd.DataFrame({"x": rng.permutation(column)})).harmonics(0)
    assert np.abs(waves.mean(axis=1)).max() < 1e-9
    np.testing.assert_allclose((np.abs(waves) ** 2).mean(axis=1), 1.0)
    strangers = (waves * waves[:, rng.permutation(500)].conj()).real.mean()
    assert abs(strangers) < 4 / np.sqrt(500)
