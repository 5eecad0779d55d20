import numpy as np
import pytest
from scipy.stats import t as student

from models.prediction_limits import limits, look_back, overlap, shared_spread


def test_one_series_alone_has_the_textbook_prediction_limits() -> None:
    past = np.array([[3.0, 5.0, 4.0, 8.0, 6.0, 4.0]])
    found = limits(past, np.array([9.0]), 0.1, overlap(6, 1.0))
    half = student.isf(0.05, 5) * past.std(ddof=1) * np.sqrt(1 + 1 / 6)
    assert found.hi[0] == pytest.approx(past.mean() + half)
    assert found.lo[0] == pytest.approx(past.mean() - half)
    assert found.p[0] == pytest.approx(2 * student.sf(4 / (past.std(ddof=1) * np.sqrt(7 / 6)), 5))


def test_overlapping_windows_are_worth_what_simulation_says() -> None:
    rng = np.random.default_rng(2)
    n, window = 16, 6
    steps = rng.normal(size=(20_000, n + window - 1)) / np.sqrt(window)
    values = np.lib.stride_tricks.sliding_window_view(steps, window, axis=1).sum(axis=2)
    found = overlap(n, window)
    variance = values.var(axis=1, ddof=1)
    assert 1 / values.mean(axis=1).var() == pytest.approx(found.worth, rel=0.05)
    assert variance.mean() == pytest.approx(found.shrinkage, rel=0.03)
    # a scaled chi-square with f degrees of freedom has mean^2 / variance = f / 2
    assert 2 * variance.mean() ** 2 / variance.var() == pytest.approx(found.freedom, rel=0.06)


def test_a_further_distance_strays_from_earlier_ones_as_simulation_says() -> None:
    rng = np.random.default_rng(3)
    n, window, lag, back = 9, 6, 4, 3
    first = lag + back - 1
    steps = rng.normal(size=(20_000, first + n + lag + window - 1)) / np.sqrt(window)
    values = np.lib.stride_tricks.sliding_window_view(steps, window, axis=1).sum(axis=2)
    places = [*range(first, first + n), first + n - 1 + lag]
    apart = [values[:, at] - values[:, at - lag - back + 1 : at - lag + 1].mean(axis=1) for at in places]
    past, new = np.column_stack(apart[:-1]), apart[-1]
    found = overlap(n, window, lag, back)
    assert (new - past.mean(axis=1)).var() / new.var() == pytest.approx(found.further, rel=0.03)
    assert past.var(axis=1, ddof=1).mean() / new.var() == pytest.approx(found.shrinkage, rel=0.03)
    assert found.further > 1 + 1 / found.worth


def test_a_trend_adds_the_same_to_every_distance() -> None:
    trend, on = np.arange(30.0), look_back(24, 3, 3, 6)
    apart = [trend[at] - trend[on.past(at)].mean() for at in (*on.targets, 26)]
    assert on.past(26) == on.latest
    assert np.ptp(apart) == 0


def test_shared_spread_finds_the_prior_that_variances_were_drawn_from() -> None:
    rng = np.random.default_rng(8)
    variance = 0.5 * 10 / rng.chisquare(10, 4_000)
    sample = variance * rng.chisquare(6, 4_000) / 6
    found = shared_spread(sample, 6.0)
    assert found.variance == pytest.approx(0.5, rel=0.05)
    assert found.freedom == pytest.approx(10, rel=0.2)


def test_equal_variances_are_pooled_as_if_they_were_known() -> None:
    sample = np.random.default_rng(1).chisquare(8, 5_000) / 8
    found = shared_spread(sample, 8.0)
    assert found.freedom > 200
    assert found.variance == pytest.approx(1.0, rel=0.03)


def test_as_many_new_values_lie_outside_as_stated() -> None:
    rng = np.random.default_rng(4)
    outside = 0
    for _ in range(200):
        spread = np.sqrt(4 / rng.chisquare(4, (100, 1)))
        values = spread * rng.normal(size=(100, 13))
        outside += int((limits(values[:, :-1], values[:, -1], 0.02, overlap(12, 1.0)).p < 0.02).sum())
    # 20,000 trials at 2 %: standard error 0.1 %
    assert outside / 20_000 == pytest.approx(0.02, abs=0.004)


def test_only_growth_of_a_distance_is_out_of_the_ordinary() -> None:
    past = np.array([[3.0, 5.0, 4.0, 8.0, 6.0, 4.0]])
    found = limits(past, np.array([-50.0]), 0.05, overlap(6, 1.0), only_growth=True)
    assert found.lo[0] == -np.inf
    assert found.p[0] > 0.99


def test_whatever_moves_that_never_moved_is_out_of_the_ordinary() -> None:
    found = limits(np.zeros((3, 6)), np.array([0.0, 1e-9, -2.0]), 0.05, overlap(6, 1.0))
    assert found.p.tolist() == [1.0, 0.0, 0.0]


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(ValueError, match="3 past values of each series; at least 4"):
        limits(np.zeros((1, 3)), np.zeros(1), 0.05, overlap(3, 1.0))
