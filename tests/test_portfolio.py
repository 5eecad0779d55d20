"""The chosen set, what it is worth, and the sets that come close."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import StudyError
from models.appetite import Appetite
from models.every_set import EverySet
from models.integer_programme import IntegerProgramme
from models.portfolio import Method, alternatives, choose, search
from models.proposals import Limits, Proposal, Proposals
from tests.plans import by_hand, some_proposals, worst_mean

METHODS: tuple[Method, ...] = ("every set", "integer programme")


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=8)
@given(st.integers(0, 1_000), st.floats(20, 60))
def test_the_chosen_set_and_those_close_to_it_are_the_first_of_a_loop(method: Method, seed: int, budget: float) -> None:
    p, limits, appetite = some_proposals(seed, 6, rules=3), Limits(budget), Appetite(0.3, 0.2)
    searched = search(p, appetite, method=method)
    loop = by_hand(p, limits, appetite)
    chosen = choose(searched, limits)
    assert chosen.members == loop[0][1]
    assert chosen.worth == pytest.approx(loop[0][0], abs=1e-6)
    assert chosen.gap < 1e-6
    near = [members for worth, members in loop[1:] if worth >= loop[0][0] - 0.2 * abs(loop[0][0])][:4]
    assert [one.members for one in alternatives(searched, limits, share=0.2, most=4)] == near


@pytest.mark.parametrize("method", METHODS)
def test_what_is_told_of_a_portfolio_is_counted_from_its_draws(method: Method) -> None:
    p = some_proposals(1, 6)
    chosen = choose(search(p, Appetite(0.2, 0.1), method=method), Limits(budget=30))
    value = p.draws(p.flags(chosen.members))
    np.testing.assert_allclose(chosen.draws, value)
    assert chosen.mean == pytest.approx(value.mean())
    assert chosen.interval == pytest.approx((np.percentile(value, 5), np.percentile(value, 95)))
    assert chosen.p_positive == pytest.approx((value > 0).mean())
    assert chosen.worst == pytest.approx(worst_mean(value, 0.1))
    assert chosen.worth == pytest.approx(0.8 * chosen.mean + 0.2 * chosen.worst)
    assert chosen.cost == sum(p.cost[p.names.index(name)] for name in chosen.members)
    assert chosen.used == {r: p.use[k][p.flags(chosen.members)].sum() for k, r in enumerate(p.resources)}


def test_aversion_prefers_the_safe_initiative() -> None:
    rng = np.random.default_rng(0)
    bold, safe = rng.normal(12, 40, 500), rng.normal(10, 2, 500)
    p = Proposals.of([Proposal("bold", bold, 1), Proposal("safe", safe, 1)])
    assert choose(search(p), Limits(budget=1)).members == ("bold",)
    assert choose(search(p, Appetite(0.2)), Limits(budget=1)).members == ("safe",)


def test_aversion_prefers_initiatives_that_do_not_fail_together() -> None:
    rng = np.random.default_rng(1)
    weather = rng.normal(0, 10, 2_000)
    p = Proposals.of(
        [
            Proposal("a", 20 + weather, 1),
            Proposal("b", 20.5 + weather, 1),
            Proposal("c", 20 - weather, 1),
        ]
    )
    assert choose(search(p), Limits(budget=2)).members != ("a", "c")
    assert set(choose(search(p, Appetite(0.5)), Limits(budget=2)).members) == {"b", "c"}


def test_what_each_initiative_adds_counts_the_overlap() -> None:
    ones = np.ones(4)
    p = Proposals.of(
        [Proposal("a", 9 * ones, 5), Proposal("b", 8 * ones, 5), Proposal("c", 7 * ones, 5)], {("a", "b"): -3 * ones}
    )
    table = choose(search(p), Limits(budget=10)).to_frame().set_index("initiative")
    assert table["is_funded"].to_dict() == {"a": True, "b": False, "c": True}
    assert table["adds"].to_dict() == {"a": 9.0, "b": 5.0, "c": 7.0}
    assert table["value_alone"].to_dict() == {"a": 9.0, "b": 8.0, "c": 7.0}


@pytest.mark.parametrize("priced", ["by pairs", "by a valuation", "by an integer programme"])
def test_what_cannot_be_taken_out_or_put_in_alone_adds_no_amount(priced: str) -> None:
    ones = np.ones(4)
    worth = {"a": 9.0, "b": 8.0, "c": 7.0, "d": 6.0, "e": 1.0}
    p = Proposals.of(
        [
            Proposal("a", 9 * ones, 5, needs=("b",)),
            Proposal("b", 8 * ones, 5),
            Proposal("c", 7 * ones, 5, excludes=("b",)),
            Proposal("d", 6 * ones, 5, needs=("e",)),
            Proposal("e", ones, 5),
        ]
    )
    searched = {
        "by pairs": search(p),
        "by a valuation": search(p, valuation=lambda names: sum(worth[name] for name in names) * ones),
        "by an integer programme": search(p, method="integer programme"),
    }[priced]
    table = choose(searched, Limits(budget=10)).to_frame().set_index("initiative")
    assert table["is_funded"].to_dict() == {"a": True, "b": True, "c": False, "d": False, "e": False}
    # Without b there is no a; c excludes b; d lacks e.
    np.testing.assert_allclose(table["adds"], [9.0, np.nan, np.nan, np.nan, 1.0])


def test_a_frame_can_be_changed_without_changing_the_portfolio() -> None:
    chosen = choose(search(some_proposals(2, 3)), Limits())
    frame = chosen.to_frame()
    frame["cost"] = -1.0
    assert (chosen.to_frame()["cost"] >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_funded_where_nothing_earns_its_cost(method: Method) -> None:
    p = Proposals.of([Proposal("a", -np.ones(4), 5), Proposal("b", -2 * np.ones(4), 5)])
    chosen = choose(search(p, method=method), Limits(budget=10))
    assert chosen.members == ()
    assert (chosen.worth, chosen.cost, chosen.gap, chosen.p_positive) == (0.0, 0.0, 0.0, 0.0)
    assert choose(search(p, method=method), Limits(budget=10, must=("b",))).members == ("b",)


@pytest.mark.parametrize("method", METHODS)
def test_an_alternative_tells_its_difference_and_how_often_it_is_better(method: Method) -> None:
    p = Proposals.of(
        [
            Proposal("a", np.array([10.0, 10.0, 10.0, 10.0]), 5),
            Proposal("b", np.array([12.0, 12.0, 10.0, 5.0]), 4),
            Proposal("c", np.array([1.0, 1.0, 1.0, 1.0]), 9),
        ]
    )
    (one,) = alternatives(search(p, method=method), Limits(budget=5), share=0.05)
    assert (one.members, one.added, one.dropped) == (("b",), ("b",), ("a",))
    assert one.behind == pytest.approx(0.25)
    assert one.worth == pytest.approx(9.75)
    assert one.cost == 4.0
    assert one.p_better == pytest.approx((2 + 0.5) / 4)


def test_without_alternatives_within_reach_there_are_none() -> None:
    p = Proposals.of([Proposal("a", 10 * np.ones(4), 5), Proposal("b", 9 * np.ones(4), 5)])
    assert alternatives(search(p), Limits(budget=5), share=0.02) == ()


def test_the_size_decides_how_it_is_searched() -> None:
    assert isinstance(search(some_proposals(0, 15, draws=2)), EverySet)
    assert isinstance(search(some_proposals(0, 16, draws=2)), IntegerProgramme)


def test_a_valuation_is_refused_where_not_every_set_is_looked_at() -> None:
    with pytest.raises(ValueError, match=r"a valuation was given for 16 initiatives\. Expected at most 15"):
        search(some_proposals(0, 16, draws=2), valuation=lambda _: np.ones(2))


@pytest.mark.parametrize("ask", [choose, alternatives])
def test_a_budget_below_every_cost_is_told(ask: object) -> None:
    p = Proposals.of([Proposal("a", np.ones(4), 5), Proposal("b", np.ones(4), 7)])
    with pytest.raises(StudyError, match=r"the budget is 3, below every initiative .* the least is 5, for 'a'"):
        ask(search(p), Limits(budget=3))  # type: ignore[operator]


def test_money_in_another_unit_changes_no_choice() -> None:
    p = some_proposals(9, 8, rules=3)
    dear = Proposals.of(
        [
            Proposal(
                name,
                1e6 * p.value[:, i],
                1e6 * p.cost[i],
                needs=tuple(p.names[b] for a, b in p.needs if a == i),
                excludes=tuple(p.names[b] for a, b in p.excludes if a == i),
            )
            for i, name in enumerate(p.names)
        ],
        {(p.names[a], p.names[b]): 1e6 * p.interaction[:, c] for c, (a, b) in enumerate(p.pairs)},
    )
    for method in METHODS:
        one = choose(search(p, Appetite(0.4), method=method), Limits(budget=40))
        other = choose(search(dear, Appetite(0.4), method=method), Limits(budget=40e6))
        assert one.members == other.members
        assert other.worth == pytest.approx(1e6 * one.worth)
