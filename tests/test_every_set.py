"""Every set looked at: against a loop over subsets, with equals in their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.appetite import Appetite
from models.every_set import MOST, EverySet
from models.proposals import Limits, Proposal, Proposals
from tests.plans import by_hand, some_proposals

ONES = np.ones(4)


@given(
    st.integers(0, 10_000),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.floats(0, 80),
    st.floats(0, 16),
    st.sets(st.integers(0, 5), max_size=1),
    st.sets(st.integers(0, 5), max_size=2),
)
def test_the_best_set_is_the_one_a_loop_finds(
    seed: int, m: int, aversion: float, budget: float, it: float, must: set[int], never: set[int]
) -> None:
    p = some_proposals(seed, m, rules=3 if m > 1 else 0)
    limits = Limits(budget, {"it": it}, *(tuple(p.names[i] for i in some if i < m) for some in (must, never)))
    appetite = Appetite(aversion, tail=0.15)
    loop = by_hand(p, limits, appetite)
    found = EverySet.of(p, appetite).best(limits)
    if not loop:
        assert found is None
    else:
        assert found is not None
        assert p.members(found.flags) == loop[0][1]
        assert found.worth == found.bound == pytest.approx(loop[0][0], abs=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 1_000))
def test_the_next_best_sets_come_in_their_order(seed: int) -> None:
    p = some_proposals(seed, 5, rules=2)
    limits = Limits(budget=40)
    loop = by_hand(p, limits, Appetite())
    searched, seen = EverySet.of(p, Appetite()), []
    for _, members in loop:
        found = searched.best(limits, seen)
        assert found is not None
        assert p.members(found.flags) == members
        seen.append(found.flags)
    assert searched.best(limits, seen) is None


@settings(max_examples=15)
@given(st.integers(0, 1_000))
def test_the_best_by_draw_is_the_best_of_that_draw_alone(seed: int) -> None:
    p = some_proposals(seed, 5, draws=7, rules=2)
    limits = Limits(budget=35)
    chosen = EverySet.of(p, Appetite(0.5)).best_by_draw(limits)
    for k in range(7):
        alone = Proposals.of(
            [
                Proposal(
                    name,
                    p.value[k : k + 1, i],
                    p.cost[i],
                    needs=tuple(p.names[b] for a, b in p.needs if a == i),
                    excludes=tuple(p.names[b] for a, b in p.excludes if a == i),
                )
                for i, name in enumerate(p.names)
            ],
            {(p.names[a], p.names[b]): p.interaction[k : k + 1, c] for c, (a, b) in enumerate(p.pairs)},
        )
        assert p.members(chosen[k]) == by_hand(alone, limits, Appetite())[0][1]


def equals(**costs: float) -> Proposals:
    return Proposals.of([Proposal(name, ONES, cost) for name, cost in costs.items()])


def test_of_equals_the_fewest_then_the_cheapest_then_the_first_names() -> None:
    one_does_what_two_do = Proposals.of([Proposal("a", ONES, 1), Proposal("b", ONES, 1), Proposal("c", 2 * ONES, 2)])
    assert first(one_does_what_two_do, Limits(budget=2)) == ("c",)
    one_dearer = Proposals.of([Proposal("a", ONES, 1), Proposal("b", ONES, 1), Proposal("c", 2 * ONES, 3)])
    assert first(one_dearer, Limits(budget=3)) == ("c",)
    assert first(equals(a=3, b=2, c=3), Limits(budget=3)) == ("b",)
    assert first(equals(d=1, c=1, b=1, a=1), Limits(budget=2)) == ("a", "b")


def test_what_adds_nothing_is_not_funded() -> None:
    p = Proposals.of([Proposal("a", ONES, 1), Proposal("idle", 0 * ONES, 0), Proposal("loss", -ONES, 0)])
    assert first(p, Limits()) == ("a",)
    assert first(p, Limits(never=("a",))) == ()


def first(p: Proposals, limits: Limits) -> tuple[str, ...]:
    found = EverySet.of(p, Appetite()).best(limits)
    assert found is not None
    return p.members(found.flags)


def test_sums_that_differ_by_rounding_are_equal() -> None:
    p = Proposals.of([Proposal("a", 0.1 * ONES, 1), Proposal("b", 0.2 * ONES, 1), Proposal("c", 0.3 * ONES, 2)])
    assert 0.1 + 0.2 > 0.3
    assert first(p, Limits(budget=2)) == ("c",)


def test_sums_that_differ_by_rounding_are_equal_in_each_draw() -> None:
    rng = np.random.default_rng(0)
    twin, others = rng.normal(300, 100, 400), rng.normal(1e3, 1, (400, 2)) / (7, 11)
    p = Proposals.of(
        [
            Proposal("a", twin, 1, excludes=("z",)),
            Proposal("c", others[:, 0], 1),
            Proposal("e", others[:, 1], 1),
            Proposal("z", twin, 1),
        ]
    )
    chosen = EverySet.of(p, Appetite()).best_by_draw(Limits())
    assert chosen[:, 0].tolist() == (twin > 0).tolist()
    assert not chosen[:, 3].any()
    dear = Proposals.of([Proposal("a", 1.0 * ONES, 3), Proposal("z", 1.0 * ONES, 2)])
    assert EverySet.of(dear, Appetite()).best_by_draw(Limits(budget=3)).tolist() == [[False, True]] * 4


def test_a_set_far_beyond_the_limits_makes_no_others_equal() -> None:
    p = Proposals.of([Proposal("a", 100 * ONES, 1), Proposal("b", 101 * ONES, 1), Proposal("mega", 1e12 * ONES, 9)])
    assert first(p, Limits(budget=1)) == ("b",)


def test_a_valuation_takes_the_place_of_pairs() -> None:
    p = some_proposals(3, 4)
    asked = []

    def three_clash(members: tuple[str, ...]) -> np.ndarray:
        asked.append(members)
        return np.full(60, 10.0 * len(members) - (25.0 if len(members) > 2 else 0.0))

    found = EverySet.of(p, Appetite(0.4), three_clash).best(Limits())
    assert found is not None
    assert found.worth == pytest.approx(20.0)
    assert found.flags.sum() == 2
    assert len(asked) == len(set(asked)) == 15


def test_a_valuation_that_is_the_sum_of_pairs_changes_nothing() -> None:
    p = some_proposals(4, 6, rules=3)
    plain = EverySet.of(p, Appetite(0.3))
    valued = EverySet.of(p, Appetite(0.3), lambda members: p.draws(p.flags(members)))
    np.testing.assert_allclose(valued.worth, plain.worth, atol=1e-9)
    np.testing.assert_array_equal(valued.best_by_draw(Limits(budget=30)), plain.best_by_draw(Limits(budget=30)))
    weights = np.random.default_rng(0).normal(size=60)
    one, other = (searched.best_weighted(weights, Limits(budget=30)) for searched in (plain, valued))
    assert one.worth == pytest.approx(other.worth)
    np.testing.assert_array_equal(one.flags, other.flags)
    np.testing.assert_allclose(valued.draws(one.flags), plain.draws(one.flags))


@pytest.mark.parametrize("wrong", [np.ones(3), np.full(60, np.nan)])
def test_a_valuation_of_another_kind_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"value of i0\d .*Expected \(60,\)"):
        EverySet.of(some_proposals(0, 2), Appetite(), lambda _: wrong)


def test_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 initiatives were given\. Expected at most 15"):
        EverySet.of(some_proposals(0, MOST + 1, draws=2), Appetite())
