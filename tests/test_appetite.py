"""The mean of the worst draws: against Rockafellar and Uryasev's own formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from models.appetite import Appetite
from tests.plans import worst_mean

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30)


@given(values, st.floats(0.05, 1))
def test_the_mean_of_the_worst_is_the_maximum_that_defines_it(draws: list[float], tail: float) -> None:
    # The formula takes any share; a share of less than one draw is read as one.
    array = np.array(draws)
    share = max(tail, 1 / len(array))
    assert float(Appetite(tail=tail).worst(array)) == pytest.approx(worst_mean(array, share), abs=1e-8)


@given(values, st.floats(0.05, 1))
def test_the_weights_give_the_mean_of_the_worst(draws: list[float], tail: float) -> None:
    appetite, array = Appetite(tail=tail), np.array(draws)
    weights = appetite.worst_weights(array)
    assert weights.sum() == pytest.approx(1)
    assert float(weights @ array) == pytest.approx(float(appetite.worst(array)), abs=1e-8)


@given(values, st.floats(0.05, 1), st.randoms(use_true_random=False))
def test_the_order_of_draws_plays_no_part(draws: list[float], tail: float, luck: object) -> None:
    shuffled = list(draws)
    luck.shuffle(shuffled)  # type: ignore[attr-defined]
    appetite = Appetite(tail=tail)
    assert appetite.worst(np.array(shuffled)) == pytest.approx(appetite.worst(np.array(draws)), abs=1e-9)


def test_the_worst_tenth_of_a_normal_is_its_closed_form() -> None:
    draws = 5 + 2 * norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    closed = 5 - 2 * norm.pdf(norm.ppf(0.1)) / 0.1
    assert float(Appetite(tail=0.1).worst(draws)) == pytest.approx(closed, abs=1e-3)


def test_worth_goes_from_the_mean_to_the_worst_draws() -> None:
    draws = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 10.0], [6.0, 10.0]])
    assert Appetite(aversion=0.0, tail=0.25).worth(draws).tolist() == [3.0, 10.0]
    assert Appetite(aversion=0.5, tail=0.25).worth(draws).tolist() == [1.5, 10.0]
    assert Appetite(aversion=1.0, tail=0.25).worth(draws).tolist() == [0.0, 10.0]


@pytest.mark.parametrize(("aversion", "tail", "told"), [(1.1, 0.1, "aversion is 1.1"), (-0.1, 0.1, "aversion is -0.1"),
    (0.5, 0.0, "tail is 0.0"), (0.5, 1.5, "tail is 1.5"), (float("nan"), 0.1, "aversion is nan")])  # fmt: skip
def test_numbers_out_of_range_are_refused(aversion: float, tail: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Appetite(aversion, tail)
