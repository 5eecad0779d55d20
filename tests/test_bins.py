import numpy as np
import pandas as pd
import pytest

from models.bins import Bins, expected_psi, psi, smoothed


def test_psi_of_two_discrete_spreads_is_the_sum_of_both_divergences() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.3, 0.2])
    # 0.3 (log 5/2 - log 2/5) = 0.6 log 2.5
    assert psi(p, q) == pytest.approx(0.6 * np.log(2.5), rel=1e-12)
    assert psi(q, p) == pytest.approx(float(psi(p, q)), rel=1e-12)
    assert psi(p, p) == 0


def test_psi_between_samples_of_one_population_is_on_average_what_is_expected() -> None:
    rng = np.random.default_rng(3)
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    new, reference = rng.multinomial(2_000, shares, 4_000), rng.multinomial(3_000, shares, 4_000)
    found = psi(smoothed(new), smoothed(reference))
    # a chi-square of three degrees of freedom: standard deviation sqrt(2 / 3) of its mean
    error = expected_psi(4, 2_000, 3_000) * np.sqrt(2 / 3) / np.sqrt(4_000)
    assert found.mean() == pytest.approx(expected_psi(4, 2_000, 3_000), abs=4 * error)


def test_each_bin_holds_as_many_rows_of_the_reference_and_missing_is_a_bin_of_its_own() -> None:
    values = pd.Series([*range(100), *[np.nan] * 7], dtype=float)
    bins = Bins.of(values)
    assert bins.counts(values).tolist() == [10] * 10 + [7]


def test_tied_values_stay_together_and_a_constant_has_one_bin() -> None:
    assert Bins.of(pd.Series([5.0] * 50)).counts(pd.Series([5.0, 5.0, 9.0, 1.0])).tolist() == [4, 0]
    mostly_zero = pd.Series([0.0] * 95 + [1.0, 2.0, 3.0, 4.0, 5.0])
    assert Bins.of(mostly_zero).counts(mostly_zero).tolist() == [95, 5, 0]


def test_levels_that_the_reference_does_not_know_share_a_bin() -> None:
    bins = Bins.of(pd.Series(["b", "a", None], dtype="category"))
    assert bins.levels == ("a", "b")
    assert bins.counts(pd.Series(["a", "new", "newer", None], dtype=object)).tolist() == [1, 0, 2, 1]


def test_bins_and_counts_do_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(5)
    values = pd.Series(rng.normal(size=200)).where(rng.random(200) > 0.1)
    shuffled = values.sample(frac=1, random_state=1)
    assert Bins.of(shuffled).edges.tolist() == Bins.of(values).edges.tolist()
    assert Bins.of(values).counts(shuffled).tolist() == Bins.of(values).counts(values).tolist()


def test_a_column_without_any_value_counts_as_missing() -> None:
    empty = pd.Series([np.nan, np.nan])
    assert Bins.of(empty).counts(empty).tolist() == [0, 2]
