"""Tests of drivers: closed forms, size under a true null, power, and what is not to be tested."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, f, ttest_1samp
from statsmodels.stats.multitest import multipletests

from models.driver_tests import chance_r2, drawn_test, holm, score_test
from models.lattice import coalition_r2
from models.moments import GroupMoments, covariance, group_moments

BLOCKS = ((0, 1), (2, 3), (4,), (5, 6))
OTHERS = tuple([c for c in range(7) if c not in block] for block in BLOCKS)


def world(rng: np.random.Generator, customers: int = 200, rows: int = 3, *, is_rare: bool = False) -> GroupMoments:
    """Four drivers of one mood, skewed and with flags; only the first goes along with the outcome."""
    n = customers * rows
    mood = np.repeat(rng.normal(size=customers), rows)
    columns = []
    for block in BLOCKS:
        value = np.exp(0.5 * rng.normal(size=n) + 0.4 * mood)
        if len(block) == 2:
            is_missing = rng.random(n) < 0.3
            columns += [np.where(is_missing, value[~is_missing].mean(), value), is_missing]
        else:
            columns.append(value)
    outcome = 0.4 * columns[0] + np.repeat(rng.normal(size=customers), rows) + rng.normal(size=n)
    if is_rare:
        outcome = outcome > np.quantile(outcome, 0.85)
    values = np.column_stack([*columns, outcome]).astype(float)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return group_moments(values, pd.Series(np.repeat(np.arange(customers), rows)))


def test_one_column_is_tested_by_the_t_test_of_its_scores() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(120, 2)), rng.normal(size=120)
    moments = group_moments(np.column_stack([X, y]), pd.Series(np.arange(120) // 4))
    scores = ((X[:, 0] - X[:, 0].mean()) * (y - y.mean())).reshape(30, 4).sum(axis=1)
    assert score_test(moments, [0], []) == pytest.approx(ttest_1samp(scores, 0).pvalue, abs=1e-10)


@pytest.mark.parametrize("is_rare", [False, True])
def test_a_driver_that_adds_nothing_is_found_in_one_of_twenty_samples(is_rare: bool) -> None:
    """200 customers, 250 samples, three drivers: between 3 and 7 % of tests at 5 %."""
    rng, samples = np.random.default_rng(2), 250
    rejected = np.zeros(4)
    for _ in range(samples):
        moments = world(rng, is_rare=is_rare)
        rejected += [score_test(moments, block, known) < 0.05 for block, known in zip(BLOCKS, OTHERS, strict=True)]
    assert 0.03 <= rejected[1:].mean() / samples <= 0.07
    assert rejected[0] > 0.6 * samples


@pytest.mark.parametrize("rows", [1, 3])
def test_a_driver_that_adds_nothing_to_many_others_is_found_no_more_often(rows: int) -> None:
    """200 customers and 60 columns, 10 samples: 590 tests at 5 %, a standard error of 0.9 points."""
    rng, samples = np.random.default_rng(12), 10
    rejected = []
    for _ in range(samples):
        X = np.repeat(rng.normal(size=(200, 60)), rows, axis=0) + (rows > 1) * rng.normal(size=(200 * rows, 60))
        y = 1.5 * X[:, 0] + np.repeat(rng.normal(size=200), rows)
        moments = group_moments(np.column_stack([X, y]), pd.Series(np.repeat(np.arange(200), rows)))
        rejected += [score_test(moments, [k], [j for j in range(60) if j != k]) < 0.05 for k in range(1, 60)]
    assert 0.02 <= np.mean(rejected) <= 0.075


def test_one_column_among_many_is_tested_with_the_degrees_of_freedom_of_least_squares() -> None:
    """By hand: T = (sum s)^2 / sum s^2 of scores s; F = T d / (groups - T) with d = 40 - 1 - 10; a copy costs none."""
    rng = np.random.default_rng(13)
    X, y = rng.normal(size=(40, 11)), rng.normal(size=40)
    moments = group_moments(np.column_stack([X, X[:, 1], y]), pd.Series(np.arange(40)))
    known = np.column_stack([np.ones(40), X[:, 1:]])
    left = [one - known @ np.linalg.lstsq(known, one)[0] for one in (X[:, 0], y)]
    scores = left[0] * left[1]
    T = scores.sum() ** 2 / (scores**2).sum()
    assert score_test(moments, [0], range(1, 12)) == pytest.approx(f.sf(T * 29 / (40 - T), 1, 29), abs=1e-10)


def test_rows_of_a_customer_are_not_counted_as_evidence_of_their_own() -> None:
    """A driver and an outcome that are the same for all rows of a customer: by row, half of the tests reject."""
    rng, found = np.random.default_rng(3), np.zeros(2)
    for _ in range(300):
        values = np.repeat(rng.normal(size=(60, 2)), 8, axis=0)
        for place, who in enumerate((np.arange(480) // 8, np.arange(480))):
            found[place] += score_test(group_moments(values, pd.Series(who)), [0], []) < 0.05
    assert binom.ppf(0.001, 300, 0.05) <= found[0] <= binom.ppf(0.999, 300, 0.05)
    assert found[1] > 100


def test_what_the_others_say_already_cannot_be_tested() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(300, 1)), rng.normal(size=(300, 1))
    moments = group_moments(np.hstack([x, x, np.zeros((300, 1)), x + y]), pd.Series(np.arange(300)))
    assert score_test(moments, [0], [1]) == 1.0
    assert score_test(moments, [2], [1]) == 1.0
    assert score_test(moments, [0, 1], []) < 1e-6
    C = covariance(moments.total())
    assert drawn_test(C, covariance(moments.resampled(50, rng)), [0], [1]) == 1.0


def test_a_copy_within_a_driver_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(300, 3))
    twice = group_moments(values[:, [0, 0, 1, 2]], pd.Series(np.arange(300)))
    once = group_moments(values, pd.Series(np.arange(300)))
    assert score_test(twice, [0, 1], [2]) == pytest.approx(score_test(once, [0], [1]), abs=1e-9)


def test_as_many_columns_as_groups_cannot_be_tested() -> None:
    values = np.random.default_rng(6).normal(size=(40, 6))
    assert score_test(group_moments(values, pd.Series(np.arange(40) % 5)), [0, 1, 2, 3, 4], []) == 1.0


def test_chance_is_the_mean_r2_of_drivers_that_add_nothing() -> None:
    """Customers with rows alike: three times what the number of rows would say."""
    rng, told, found = np.random.default_rng(7), [], []
    for _ in range(300):
        own = np.repeat(rng.normal(size=(150, 5)), 4, axis=0)
        values = own + 0.3 * rng.normal(size=own.shape)
        moments = group_moments(values, pd.Series(np.repeat(np.arange(150), 4)))
        told.append(chance_r2(moments, [0, 1, 2, 3], []))
        found.append(1 - 1 / np.linalg.inv(np.corrcoef(values.T))[-1, -1])
    assert np.mean(told) == pytest.approx(np.mean(found), rel=0.05)
    assert np.mean(told) > 3 * 4 / 600


def test_chance_of_independent_rows_is_columns_over_rows_of_what_is_left() -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(size=(20_000, 6))
    values[:, 5] += values[:, 4]
    moments = group_moments(values, pd.Series(np.arange(20_000)), groups=20_000)
    assert chance_r2(moments, [0, 1, 2, 3], [4]) == pytest.approx(4 / 20_000 * 0.5, rel=0.05)
    assert chance_r2(group_moments(np.zeros((9, 2)), pd.Series(np.arange(9))), [0], []) == 0


def test_draws_give_the_p_value_of_the_scores_where_groups_have_all_uncertainty() -> None:
    rng = np.random.default_rng(9)
    values = rng.normal(size=(800, 4))
    values[:, 3] += 0.09 * values[:, 0]
    moments = group_moments(values, pd.Series(np.arange(800)))
    C, drawn = covariance(moments.total()), covariance(moments.resampled(2000, rng))
    for tested, known in (([0], [1, 2]), ([1, 2], [0])):
        ours, scores = drawn_test(C, drawn, tested, known), score_test(moments, tested, known)
        # 2,000 draws know a standard error to 1.6 %, which moves a statistic of 6 by 0.2
        assert ours == pytest.approx(scores, abs=0.02)


def test_draws_are_read_by_hotelling() -> None:
    drawn = np.array([[[1.0, b], [b, 1.0]] for b in (0.1, 0.2, 0.3)])
    C = np.array([[1.0, 0.2], [0.2, 1.0]])
    assert drawn_test(C, drawn, [0], []) == pytest.approx(f.sf((0.2 / 0.1) ** 2, 1, 2))


def test_holm_is_the_one_of_statsmodels() -> None:
    rng = np.random.default_rng(11)
    for size in range(1, 13):
        p_values = np.round(rng.random(size) ** 3, 2)
        np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], atol=1e-12)


def test_alone_r2_and_chance_speak_of_the_same_variance() -> None:
    moments = world(np.random.default_rng(10))
    C = covariance(moments.total())
    assert 0 < chance_r2(moments, BLOCKS[1], []) < coalition_r2(C[np.newaxis], [BLOCKS[0]])[1, 0]
