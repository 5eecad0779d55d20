"""Joint draws: exact covariances, and the same numbers whatever else is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from models import draws
from models.draws import luck_of, noises


def influence(seed: int, customers: int = 300, columns: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(customers, columns)) / customers


def test_draws_have_the_covariance_of_the_influences_also_across_estimates():
    one, other = influence(1), influence(2)
    other = other + one
    drawn = np.concatenate(noises([one, other], 3, draws=20_000), axis=1)
    both = np.concatenate([one, other], axis=1)
    true = both.T @ both
    # 20,000 draws: the standard error of a variance is 1 %, of a covariance at most that of the variances.
    scale = np.sqrt(np.outer(np.diag(true), np.diag(true)))
    assert np.abs(np.cov(drawn.T) - true).max() < 0.04 * scale.max()


def test_what_one_draws_does_not_depend_on_the_others():
    one, other = influence(1), influence(2)
    alone, (_, second) = noises([one], 5, draws=600)[0], noises([other, one], 5, draws=600)
    assert (alone == second).all()


def test_the_draws_of_a_sum_are_the_sum_of_the_draws():
    one, other = influence(1), influence(2)
    first, second, both = noises([one, other, one + other], 5, draws=500)
    assert both == pytest.approx(first + second, abs=1e-6)


def test_many_customers_share_numbers_without_a_bias_of_the_variance(monkeypatch):
    monkeypatch.setattr(draws, "MOST_CUSTOMERS", 2_000)
    many = influence(4, customers=9_000)
    first, second = noises([many, many], 1, draws=4_000)
    assert (first == second).all()
    assert first.std(axis=0) == pytest.approx(np.sqrt((many**2).sum(axis=0)), rel=0.06)


def test_no_influence_gives_no_noise():
    assert (noises([np.zeros((5, 2))], 1, draws=10)[0] == 0).all()
    assert noises([], 1) == ()


def test_luck_is_a_matter_of_name_and_seed_alone():
    one, same, other, later = luck_of("a", 1, 50), luck_of("a", 1, 50), luck_of("b", 1, 50), luck_of("a", 2, 50)
    assert (one.delivery == same.delivery).all()
    assert (one.cost == same.cost).all()
    assert not (one.delivery == other.delivery).any()
    assert not (one.form == later.form).any()
