import numpy as np
import pandas as pd
import pytest

from models.bins import Bins, expected_psi, psi, smoothed
from models.counted import Counted


def cut(values: pd.Series) -> Bins:
    return Bins.of(Counted.of(values))


def counts(bins: Bins, values: pd.Series) -> list[int]:
    found: list[int] = bins.counts(Counted.of(values)).tolist()
    return found


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
    assert counts(cut(values), values) == [10] * 10 + [7]


@pytest.mark.parametrize("n", [10, 37, 1000])
def test_edges_are_the_quantiles_of_the_values(n: int) -> None:
    values = np.random.default_rng(n).integers(-40, 40, n).astype(float)
    edges = np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf")
    assert cut(pd.Series(values)).edges.tolist() == np.unique(edges[edges < values.max()]).tolist()


def test_tied_values_stay_together_and_a_constant_has_one_bin() -> None:
    assert counts(cut(pd.Series([5.0] * 50)), pd.Series([5.0, 5.0, 9.0, 1.0])) == [4, 0]
    mostly_zero = pd.Series([0.0] * 95 + [1.0, 2.0, 3.0, 4.0, 5.0])
    assert counts(cut(mostly_zero), mostly_zero) == [95, 5, 0]


def test_levels_that_the_reference_does_not_know_share_a_bin() -> None:
    bins = cut(pd.Series(["b", "a", None], dtype="category"))
    assert bins.levels == ("a", "b")
    assert counts(bins, pd.Series(["a", "new", "newer", None], dtype=object)) == [1, 0, 2, 1]


def test_bins_and_counts_do_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(5)
    values = pd.Series(rng.normal(size=200)).where(rng.random(200) > 0.1)
    shuffled = values.sample(frac=1, random_state=1)
    assert cut(shuffled).edges.tolist() == cut(values).edges.tolist()
    assert counts(cut(values), shuffled) == counts(cut(values), values)


def test_a_column_without_any_value_counts_as_missing() -> None:
    empty = pd.Series([np.nan, np.nan])
    assert counts(cut(empty), empty) == [0, 2]
    assert counts(cut(pd.Series([1.0, 2.0])), pd.Series([None, None], dtype=object)) == [0, 0, 2]
