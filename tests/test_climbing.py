"""What single exchanges gain and whether they are possible, against looking at every one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.appetite import Appetite
from models.climbing import Rules, Slope, by_yield, climbed, next_to
from models.every_set import EverySet, coefficients
from models.proposals import Limits, Proposal, Proposals
from tests.plans import keeps, some_proposals


def made(seed: int, m: int, limits: Limits) -> tuple[Proposals, Rules, Slope]:
    p = some_proposals(seed, m, rules=5)
    return p, Rules.of(p, limits), Slope.of(p, coefficients(p).mean(axis=0))


LIMITS = Limits(budget=40, capacity={"it": 9})


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_a_move_is_possible_where_the_set_after_it_is(seed: int, m: int) -> None:
    p, rules, slope = made(seed, m, LIMITS)
    flags = by_yield(slope, rules)
    assert rules.keeps(flags)
    for code in range(0, 1 << m, 7):
        one = (code >> np.arange(m) & 1).astype(bool)
        assert rules.keeps(one) == keeps(p, tuple(np.flatnonzero(one).tolist()), LIMITS)
    comes, goes = rules.comes(flags), rules.goes(flags)
    for i in range(m):
        turned = flags ^ (np.arange(m) == i)
        assert (goes if flags[i] else comes)[i] == rules.keeps(turned)
    inside, outside = np.flatnonzero(goes), np.flatnonzero(~flags)
    possible = rules.exchanges(inside, outside, flags)
    for row, i in enumerate(inside):
        for column, j in enumerate(outside):
            after = flags.copy()
            after[i], after[j] = False, True
            assert possible[row, column] == rules.keeps(after)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_no_single_move_makes_better_what_was_climbed_to(seed: int, m: int) -> None:
    p, rules, slope = made(seed, m, LIMITS)
    top = climbed(rules.must, slope, rules)
    assert rules.keeps(top)
    beside = next_to(top, slope, rules, 1_000)
    assert all(rules.keeps(one) for one in beside)
    best = max((slope.worth(one) for one in beside), default=-np.inf)
    assert best <= slope.worth(top) + 1e-9 * float(np.abs(p.value).sum())
    assert [slope.worth(one) for one in beside] == sorted((slope.worth(one) for one in beside), reverse=True)


def test_what_pays_only_with_what_it_needs_comes_with_it() -> None:
    ones = np.ones(3)
    p = Proposals.of([Proposal("base", -5 * ones, 1), Proposal("top", 9 * ones, 1, needs=("base",))])
    rules, slope = Rules.of(p, Limits()), Slope.of(p, coefficients(p).mean(axis=0))
    assert p.members(climbed(np.zeros(2, dtype=bool), slope, rules)) == ("base", "top")
    dear = Proposals.of([Proposal("base", -9 * ones, 1), Proposal("top", 5 * ones, 1, needs=("base",))])
    slope = Slope.of(dear, coefficients(dear).mean(axis=0))
    assert dear.members(climbed(np.ones(2, dtype=bool), slope, Rules.of(dear, Limits()))) == ()


@pytest.mark.parametrize("seed", range(5))
def test_a_sum_over_a_set_is_the_mean_of_its_draws(seed: int) -> None:
    p, _, slope = made(seed, 7, LIMITS)
    for flags in EverySet.of(p, Appetite()).sets[::9]:
        assert slope.worth(flags) == pytest.approx(float(p.draws(flags).mean()))


def test_must_is_in_and_never_is_out_with_all_that_needs_it() -> None:
    p = some_proposals(3, 9, rules=6)
    needing, needed = p.needs[0]
    rules = Rules.of(p, Limits(never=(p.names[needed],)))
    assert rules.barred[needing]
    assert rules.barred[needed]
    rules = Rules.of(p, Limits(must=(p.names[needing],)))
    assert rules.must[needed]
    assert (rules.closures == [p.closure(row) for row in np.eye(len(p), dtype=bool)]).all()
    slope = Slope.of(p, np.full(len(p) + len(p.pairs), -1.0))
    assert (climbed(rules.must, slope, rules) == rules.must).all(), "all lose, and what must be stays"
