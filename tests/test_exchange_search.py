"""Exchanges find what looking at every set finds, or nearly, and the bound holds; of hundreds, in seconds."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.appetite import Appetite
from models.every_set import EverySet
from models.exchange_search import GAP, ExchangeSearch
from models.portfolio import MOST_PROVED, alternatives, choose, search
from models.proposals import Limits
from tests.plans import by_hand, some_proposals


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.floats(1, 100),
    st.floats(0, 20),
)
def test_no_set_is_worth_more_than_its_bound_and_it_keeps_the_limits(
    seed: int, m: int, aversion: float, budget: float, it: float
) -> None:
    p = some_proposals(seed, m, rules=4 if m > 1 else 0)
    limits, appetite = Limits(budget, {"it": it}), Appetite(aversion, tail=0.15)
    exact, searched = EverySet.of(p, appetite).best(limits), ExchangeSearch(p, appetite)
    assert exact is not None
    for found in (searched.best(limits), searched.settle(searched.best(limits), limits)):
        assert p.members(found.flags) in {members for _, members in by_hand(p, limits, appetite)}
        assert found.worth <= exact.worth + 1e-6
        assert found.bound >= exact.worth - 1e-5 * max(1.0, abs(exact.worth))


@pytest.mark.parametrize("aversion", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_of_twelve_initiatives_it_is_within_a_percent_of_every_set(seed: int, aversion: float) -> None:
    p = some_proposals(seed, 12, draws=400, density=1.0, rules=6)
    limits = Limits(budget=50, capacity={"it": 12, "analysts": 14})
    exact = EverySet.of(p, Appetite(aversion)).best(limits)
    found = choose(search(p, Appetite(aversion), method="exchanges"), limits)
    assert exact is not None
    assert exact.worth > 0
    assert found.worth >= 0.99 * exact.worth


def test_in_each_draw_it_misses_little_of_the_best_and_is_never_below_the_chosen_set() -> None:
    p = some_proposals(5, 12, draws=80, density=0.5, rules=4)
    limits = Limits(budget=60, capacity={"it": 14})
    exact, searched = EverySet.of(p, Appetite()), ExchangeSearch(p, Appetite())
    chosen = searched.draws(searched.best(limits).flags)
    best = np.array([exact.draws(one)[k] for k, one in enumerate(exact.best_by_draw(limits))])
    found = np.array([p.draws(one)[k] for k, one in enumerate(searched.best_by_draw(limits))])
    assert (found >= chosen - 1e-9).all()
    assert (found <= best + 1e-9).all()
    assert found.sum() >= 0.98 * best.sum(), "1.6 % here; on average 0.8 % of 200, at most 2 % in a draw"


def test_the_order_in_which_initiatives_and_questions_come_plays_no_part() -> None:
    p, limits = some_proposals(7, 45, density=0.2, rules=8), Limits(budget=120)
    one, other = (search(p) for _ in range(2))
    assert isinstance(one, ExchangeSearch), f"beyond {MOST_PROVED}"
    other.best_weighted(np.eye(60)[3], limits)
    assert choose(one, limits).members == choose(other, limits).members
    assert choose(one, limits).members == choose(one, limits).members


def test_others_that_come_close_keep_the_limits_and_come_best_first() -> None:
    p, limits = some_proposals(8, 45, density=0.2, rules=8), Limits(budget=120, capacity={"it": 30})
    searched = search(p)
    best, others = choose(searched, limits), alternatives(searched, limits)
    assert len({one.members for one in others} | {best.members}) == len(others) + 1 > 1
    assert [one.behind for one in others] == sorted(one.behind for one in others)
    assert all(one.behind >= 0 and one.cost <= limits.budget for one in others)


@pytest.mark.parametrize("aversion", [0.0, 0.3])
def test_among_two_hundred_it_is_near_the_bound_in_seconds(aversion: float) -> None:
    p = some_proposals(1, 200, draws=400, density=0.02, rules=20)
    limits = Limits(budget=0.2 * float(p.cost.sum()), capacity={"it": 60})
    began = time.process_time()
    found = choose(search(p, Appetite(aversion)), limits)
    assert time.process_time() - began < 20
    assert 0 <= found.gap <= (2 * GAP if aversion == 0 else 0.02)
    assert found.cost <= limits.budget
