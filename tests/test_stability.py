"""How sure the choice is: shares that can be computed by other means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from features.errors import StudyError
from models.portfolio import Method, search
from models.proposals import Limits, Proposal, Proposals
from models.stability import stability
from tests.plans import some_proposals

METHODS: tuple[Method, ...] = ("every set", "integer programme")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_one_initiative_is_best_in_the_draws_in_which_it_earns_something() -> None:
    draws = np.random.default_rng(3).normal(5, 10, 2_000)
    told = stability(search(Proposals.of([Proposal("a", draws, 1)])), Limits(), rng())
    assert told.by_draw[0] == (draws > 0).mean()
    assert told.lo[0] < norm.cdf(0.5) < told.hi[0]


def test_of_two_that_exclude_each_other_each_is_best_where_it_earns_more() -> None:
    draws = np.random.default_rng(4).normal([20, 22], [5, 10], (500, 2))
    p = Proposals.of([Proposal("a", draws[:, 0], 1, excludes=("b",)), Proposal("b", draws[:, 1], 1)])
    told = stability(search(p), Limits(), rng())
    higher = (draws[:, 1] > draws[:, 0]) & (draws[:, 1] > 0)
    assert told.by_draw.tolist() == [((draws[:, 0] > draws[:, 1]) & (draws[:, 0] > 0)).mean(), higher.mean()]


def test_samples_settle_when_draws_are_many_though_the_truth_stays_unknown() -> None:
    few, many = (
        stability(search(Proposals.of([Proposal("a", np.random.default_rng(5).normal(1, 10, n), 1)])), Limits(), rng())
        for n in (30, 20_000)
    )
    assert many.by_sample[0] == 1.0
    assert 0.5 < many.by_draw[0] < 0.6
    # The mean of 30 draws is above zero with probability Phi(mean / error), by the bootstrap's own normal limit.
    draws = np.random.default_rng(5).normal(1, 10, 30)
    share = norm.cdf(draws.mean() / (draws.std() / np.sqrt(30)))
    assert few.by_sample[0] == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 200) + 0.02)


def test_both_ways_of_searching_agree() -> None:
    p = some_proposals(6, 6, draws=12, rules=3)
    one, other = (stability(search(p, method=method), Limits(budget=30), rng(), samples=10) for method in METHODS)
    np.testing.assert_array_equal(one.by_draw, other.by_draw)
    np.testing.assert_array_equal(one.by_sample, other.by_sample)


def test_the_same_generator_gives_the_same_shares_and_a_frame_holds_them() -> None:
    p = some_proposals(7, 5)
    one, other = (stability(search(p), Limits(budget=25), rng()) for _ in range(2))
    np.testing.assert_array_equal(one.by_sample, other.by_sample)
    assert (one.draws, one.samples) == (60, 200)
    assert one.to_frame()["initiative"].tolist() == list(p.names)
    assert one.to_frame()["by_draw"].tolist() == one.by_draw.tolist()


def test_a_must_is_always_in_and_a_never_is_not() -> None:
    told = stability(search(some_proposals(8, 5)), Limits(must=("i00",), never=("i01",)), rng(), samples=5)
    assert (told.by_draw[0], told.by_sample[0], told.by_draw[1], told.by_sample[1]) == (1.0, 1.0, 0.0, 0.0)


def test_limits_that_leave_nothing_are_told() -> None:
    with pytest.raises(StudyError, match="the budget is 0, below every"):
        stability(search(some_proposals(0, 3)), Limits(budget=0), rng())
