"""The integer programme finds what looking at every set finds, and its bound holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.appetite import Appetite
from models.every_set import EverySet
from models.integer_programme import CLOSE, IntegerProgramme
from models.proposals import Limits, Proposal, Proposals
from tests.plans import some_proposals

ONES = np.ones(4)


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.floats(0, 100),
    st.floats(0, 20),
    st.sets(st.integers(0, 7), max_size=1),
    st.sets(st.integers(0, 7), max_size=2),
)
def test_it_finds_what_looking_at_every_set_finds(
    seed: int, m: int, aversion: float, budget: float, it: float, must: set[int], never: set[int]
) -> None:
    p = some_proposals(seed, m, rules=4 if m > 1 else 0)
    limits = Limits(budget, {"it": it}, *(tuple(p.names[i] for i in some if i < m) for some in (must, never)))
    appetite = Appetite(aversion, tail=0.15)
    exact, found = EverySet.of(p, appetite).best(limits), IntegerProgramme(p, appetite).best(limits)
    if exact is None:
        assert found is None
        return
    assert found is not None
    scale = float(np.abs(p.value.mean(axis=0)).max())
    assert found.worth == pytest.approx(exact.worth, abs=10 * CLOSE * scale)
    assert exact.worth <= found.bound + 10 * CLOSE * scale
    assert found.bound - found.worth <= 10 * CLOSE * scale


@pytest.mark.parametrize("aversion", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_of_twelve_initiatives_it_is_within_a_percent_of_every_set(seed: int, aversion: float) -> None:
    p = some_proposals(seed, 12, draws=400, density=1.0, rules=6)
    limits = Limits(budget=50, capacity={"it": 12, "analysts": 14})
    exact = EverySet.of(p, Appetite(aversion)).best(limits)
    found = IntegerProgramme(p, Appetite(aversion)).best(limits)
    assert exact is not None
    assert found is not None
    assert exact.worth > 0
    assert found.worth >= 0.99 * exact.worth
    assert found.worth <= exact.worth + 1e-6


def test_the_bound_holds_when_the_search_is_cut_short() -> None:
    p = some_proposals(5, 14, density=1.0)
    limits = Limits(budget=40, capacity={"it": 10})
    exact = EverySet.of(p, Appetite()).best(limits)
    found = IntegerProgramme(p, Appetite(), nodes=1).best(limits)
    assert exact is not None
    assert found is not None
    assert found.worth <= exact.worth + 1e-6 <= found.bound + 2e-6


@given(st.integers(0, 1_000))
@settings(max_examples=20)
def test_sets_named_are_passed_over(seed: int) -> None:
    p = some_proposals(seed, 6, rules=2)
    limits = Limits(budget=30)
    every, programme, seen = EverySet.of(p, Appetite()), IntegerProgramme(p, Appetite()), []
    for _ in range(4):
        exact, found = every.best(limits, seen), programme.best(limits, seen)
        if exact is None:
            assert found is None
            return
        assert found is not None
        assert found.worth == pytest.approx(exact.worth, abs=1e-4)
        assert not any((found.flags == one).all() for one in seen)
        seen.append(exact.flags)


def test_the_best_by_draw_is_what_every_set_finds() -> None:
    p = some_proposals(6, 7, draws=15, rules=3)
    limits = Limits(budget=45, capacity={"it": 9})
    np.testing.assert_array_equal(
        IntegerProgramme(p, Appetite()).best_by_draw(limits), EverySet.of(p, Appetite()).best_by_draw(limits)
    )


@pytest.mark.parametrize(
    ("offered", "limits", "expected"),
    [
        ([("a", 1, 1), ("b", 1, 1), ("c", 2, 2)], Limits(budget=2), ("c",)),
        ([("a", 1, 1), ("b", 1, 1), ("c", 2, 3)], Limits(budget=3), ("c",)),
        ([("a", 1, 3), ("b", 1, 2), ("c", 1, 3)], Limits(budget=3), ("b",)),
        ([("d", 1, 1), ("c", 1, 1), ("b", 1, 1), ("a", 1, 1)], Limits(budget=2), ("a", "b")),
        ([("a", 1, 1), ("idle", 0, 0), ("loss", -1, 0)], Limits(), ("a",)),
        ([("a", 1, 1), ("idle", 0, 0), ("loss", -1, 0)], Limits(never=("a",)), ()),
    ],
)
@pytest.mark.parametrize("aversion", [0.0, 0.5])
def test_equals_are_settled_as_where_every_set_is_looked_at(
    offered: list[tuple[str, float, float]], limits: Limits, expected: tuple[str, ...], aversion: float
) -> None:
    p = Proposals.of([Proposal(name, value * ONES, cost) for name, value, cost in offered])
    programme = IntegerProgramme(p, Appetite(aversion))
    found = programme.best(limits)
    assert found is not None
    assert p.members(programme.settle(found, limits).flags) == expected


@pytest.mark.parametrize("seed", range(3))
def test_equals_are_settled_in_each_draw_and_for_each_weight(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole values, many of them nothing: most draws have sets that are worth as much.
    value = rng.integers(-1, 3, (12, 6)).astype(np.float64)
    p = Proposals.of([Proposal(f"i{k}", value[:, k], float(rng.integers(1, 3))) for k in range(6)])
    every, programme, limits = EverySet.of(p, Appetite()), IntegerProgramme(p, Appetite()), Limits(budget=5)
    np.testing.assert_array_equal(programme.best_by_draw(limits), every.best_by_draw(limits))
    for weights in np.eye(12)[:4] + np.eye(12)[4:8]:
        one, other = (searched.best_weighted(weights, limits) for searched in (programme, every))
        np.testing.assert_array_equal(one.flags, other.flags)


def test_draws_may_be_large_where_their_mean_is_nothing() -> None:
    p = Proposals.of(
        [
            Proposal("a", np.array([-1e6, 1e6, -1e6, 1e6]), 1),
            Proposal("b", np.array([1e6, -1e6, 1e6, -1e6]), 1),
            Proposal("c", np.array([0.0, 0.0, 0.0, 0.0]), 1),
        ]
    )
    appetite = Appetite(0.5, 0.25)
    for limits, worth in ((Limits(must=("a",)), 0.0), (Limits(must=("a",), never=("b",)), -5e5)):
        programme = IntegerProgramme(p, appetite)
        found = programme.best(limits)
        assert found is not None
        assert found.worth == pytest.approx(worth)
        exact = EverySet.of(p, appetite).best(limits)
        assert exact is not None
        np.testing.assert_array_equal(programme.settle(found, limits).flags, exact.flags)


@pytest.mark.parametrize("limited", ["budget", "capacity"])
@pytest.mark.parametrize("aversion", [0.0, 0.4])
@pytest.mark.parametrize("times", [1e6, 1e12])
def test_one_initiative_far_beyond_a_limit_changes_nothing(limited: str, aversion: float, times: float) -> None:
    rng = np.random.default_rng(0)
    taken, noise = rng.uniform(500, 1500, 12), rng.normal(size=50)
    values = [rng.uniform(500, 1500) + noise for _ in taken] + [100 * times + noise]
    items = [
        Proposal(f"i{k:02d}", value, *((take, {}) if limited == "budget" else (1.0, {"it": take})))
        for k, (value, take) in enumerate(zip(values, [*taken, 1e3 * times], strict=True))
    ]
    limits = Limits(budget=6000) if limited == "budget" else Limits(capacity={"it": 6000})
    expected = EverySet.of(Proposals.of(items[:-1]), Appetite(aversion)).best(limits)
    p = Proposals.of(items)
    found = IntegerProgramme(p, Appetite(aversion)).best(limits)
    assert expected is not None
    assert found is not None
    assert found.flags.tolist() == [*expected.flags.tolist(), False]
    assert found.bound == pytest.approx(expected.worth)
    # The same initiative, when it must be done, leaves the others their part of the limit.
    more = (
        Limits(limits.budget + 1e3 * times, {}, ("i12",))
        if limited == "budget"
        else Limits(capacity={"it": 6000 + 1e3 * times}, must=("i12",))
    )
    if times == 1e6:
        beside = IntegerProgramme(p, Appetite()).best(more)
        alone = EverySet.of(Proposals.of(items[:-1]), Appetite()).best(limits)
        assert beside is not None
        assert alone is not None
        assert beside.flags.tolist() == [*alone.flags.tolist(), True]


def test_sets_beyond_a_limit_by_less_than_the_solver_tells_do_not_keep_it_busy() -> None:
    rng = np.random.default_rng(1)
    cost = 1 + rng.uniform(1e-8, 1e-7, 14)
    p = Proposals.of([Proposal(f"i{k:02d}", (2 + rng.uniform(0, 1e-3)) * ONES, cost[k]) for k in range(14)])
    # Any seven are beyond seven by less than 1e-6 of one: 3,432 sets, none of which keeps the limit.
    found = IntegerProgramme(p, Appetite()).best(Limits(budget=7))
    assert found is not None
    assert found.flags.sum() == 6
    exact = np.sort(p.value[0])[-6:].sum()
    assert exact - 1e-6 <= found.worth <= exact + 1e-9
    assert found.bound >= exact - 1e-6


def test_forty_initiatives_are_chosen_and_proved_best() -> None:
    p = some_proposals(7, 40, draws=300, density=0.1, rules=8)
    limits = Limits(budget=150, capacity={"it": 35})
    for aversion in (0.0, 0.5):
        found = IntegerProgramme(p, Appetite(aversion)).best(limits)
        assert found is not None
        assert found.worth == pytest.approx(float(Appetite(aversion).worth(p.draws(found.flags))))
        assert found.bound - found.worth <= 1e-6 * found.worth
        for i in range(40):
            turned = found.flags ^ (np.arange(40) == i)
            if IntegerProgramme(p, Appetite(aversion))._keeps(turned, limits):
                assert float(Appetite(aversion).worth(p.draws(turned))) <= found.worth + 1e-4


def test_the_same_question_has_the_same_answer() -> None:
    p = some_proposals(8, 20, density=0.5, rules=5)
    limits = Limits(budget=60)
    one, other = (IntegerProgramme(p, Appetite(0.5)).best(limits) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.worth == other.worth
    assert one.bound == other.bound
    np.testing.assert_array_equal(one.flags, other.flags)
