"""Moments by group of customers: sums, covariances and the bootstrap they stand for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.moments import covariance, customer_groups, group_moments


def some_rows(seed: int, customers: int = 40, rows: int = 5) -> tuple[np.ndarray, pd.Series, np.ndarray]:
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(customers), rows)
    own = np.repeat(rng.normal(size=(customers, 3)), rows, axis=0)
    values = own + rng.normal(size=(len(who), 3))
    return values, pd.Series([f"c{k}" for k in who]), rng.uniform(0.5, 2.0, len(who))


def test_covariance_equals_numpy_with_weights() -> None:
    values, customers, weight = some_rows(1)
    ours = covariance(group_moments(values, customers, weight, groups=7).total())
    np.testing.assert_allclose(ours, np.cov(values.T, aweights=weight, ddof=0), rtol=1e-12)


@given(st.integers(0, 1000), st.integers(1, 60))
def test_moments_do_not_change_with_the_order_of_rows(seed: int, groups: int) -> None:
    values, customers, weight = some_rows(2)
    order = np.random.default_rng(seed).permutation(len(values))
    first = group_moments(values, customers, weight, groups=groups)
    shuffled = group_moments(values[order], customers.iloc[order].reset_index(drop=True), weight[order], groups=groups)
    np.testing.assert_allclose(shuffled.sums, first.sums, rtol=1e-12, atol=1e-12)


def test_rows_of_one_customer_share_a_group() -> None:
    customers = pd.Series([f"kunde-{k % 900}" for k in range(3000)])
    group = customer_groups(customers, 64)
    assert pd.Series(group).groupby(customers).nunique().max() == 1
    assert group.max() == 63


def test_numbers_and_texts_count_the_same_customers_and_keep_their_rows_together() -> None:
    rng = np.random.default_rng(9)
    who = rng.permutation(np.repeat(np.arange(700) * 7919 - 5000, 3))
    values = rng.normal(size=(len(who), 2))
    numbers = group_moments(values, pd.Series(who), groups=32)
    texts = group_moments(values, pd.Series(who).astype(str), groups=32)
    assert numbers.n_customers == texts.n_customers == 700
    assert len(numbers.sums) == len(texts.sums) == 32
    assert pd.Series(customer_groups(pd.Series(who), 32)).groupby(who).nunique().max() == 1
    np.testing.assert_allclose(numbers.total(), texts.total(), rtol=1e-9)
    sizes = np.bincount(customer_groups(pd.Series(np.arange(6400)), 32))
    # 200 customers a group by chance: a standard deviation of 14
    assert sizes.min() > 130
    assert sizes.max() < 270


@pytest.mark.parametrize("groups", [5, 200, 300])
def test_each_group_holds_the_sums_over_its_own_rows(groups: int) -> None:
    values, customers, weight = some_rows(10, customers=250, rows=3)
    found = group_moments(values, customers, weight, groups=groups)
    group = customer_groups(customers, groups)
    for number in (0, 3, len(found.sums) - 1):
        z = np.column_stack([np.ones(len(values)), values])[group == number]
        np.testing.assert_allclose(found.sums[number], (z * weight[group == number, np.newaxis]).T @ z, atol=1e-12)


def test_no_rows_have_no_groups() -> None:
    assert group_moments(np.empty((0, 2)), pd.Series([], dtype=np.int64)).sums.shape == (0, 3, 3)


def test_few_customers_get_a_group_each() -> None:
    assert customer_groups(pd.Series([30, 10, 20, 10]), 3).tolist() == [2, 0, 1, 0]


def test_a_weight_of_two_counts_like_two_rows() -> None:
    values, customers, _ = some_rows(3)
    doubled = group_moments(values, customers, np.full(len(values), 2.0)).total()
    twice = group_moments(np.vstack([values, values]), pd.concat([customers, customers], ignore_index=True)).total()
    np.testing.assert_allclose(doubled, twice, rtol=1e-12)


def test_a_column_that_is_constant_but_for_rounding_has_no_variance() -> None:
    values, customers, _ = some_rows(4)
    values[:, 1] = 29.3
    C = covariance(group_moments(values, customers).total())
    assert not C[1].any()
    assert C[0, 2] != 0


def test_bootstrap_draws_reproduce_the_standard_error_of_a_mean() -> None:
    values, customers, _ = some_rows(5, customers=400)
    moments = group_moments(values, customers)
    drawn = moments.resampled(4000, np.random.default_rng(6))
    se = (drawn[:, 0, 1] / drawn[:, 0, 0]).std()
    by_customer = pd.Series(values[:, 0]).groupby(customers.to_numpy()).mean()
    # 4000 draws: relative Monte Carlo error of a standard deviation is 1.1 %
    assert se == pytest.approx(by_customer.std(ddof=0) / np.sqrt(400), rel=0.05)


def test_hashed_groups_have_the_standard_error_of_the_bootstrap_of_customers() -> None:
    values, customers, _ = some_rows(7, customers=3000, rows=3)
    rng = np.random.default_rng(8)

    def correlation_se(groups: int) -> float:
        C = covariance(group_moments(values, customers, groups=groups).resampled(1500, rng))
        return float((C[:, 0, 1] / np.sqrt(C[:, 0, 0] * C[:, 1, 1])).std())

    # 512 random groups: a standard error is itself known to 1 / sqrt(2 * 512) = 3 %; three of those
    assert correlation_se(512) == pytest.approx(correlation_se(3000), rel=0.10)
