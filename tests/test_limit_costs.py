"""What limits cost and budgets buy: against choosing again, and against a loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import StudyError
from models.appetite import Appetite
from models.limit_costs import frontier, limit_costs
from models.portfolio import Method, choose, search
from models.proposals import Limits, Proposal, Proposals
from tests.plans import by_hand, some_proposals

METHODS: tuple[Method, ...] = ("every set", "integer programme")
LIMITS = Limits(budget=30, capacity={"it": 8, "analysts": 7}, must=("i01",), never=("i02",))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=6)
@given(st.integers(0, 1_000))
def test_a_limit_costs_what_a_loop_gains_without_it(method: Method, seed: int) -> None:
    p, appetite = some_proposals(seed, 6), Appetite(0.2)
    told = limit_costs(search(p, appetite, method=method), LIMITS)
    relaxed = {
        ("budget", "+1"): replace(LIMITS, budget=31),
        ("budget", "+10 %"): replace(LIMITS, budget=33),
        ("budget", "lifted"): replace(LIMITS, budget=1e9),
        ("capacity of analysts", "+1"): replace(LIMITS, capacity={"it": 8, "analysts": 8}),
        ("capacity of analysts", "+10 %"): replace(LIMITS, capacity={"it": 8, "analysts": 7.7}),
        ("capacity of analysts", "lifted"): replace(LIMITS, capacity={"it": 8}),
        ("capacity of it", "+1"): replace(LIMITS, capacity={"it": 9, "analysts": 7}),
        ("capacity of it", "+10 %"): replace(LIMITS, capacity={"it": 8.8, "analysts": 7}),
        ("capacity of it", "lifted"): replace(LIMITS, capacity={"analysts": 7}),
        ("must i01", "lifted"): replace(LIMITS, must=()),
        ("never i02", "lifted"): replace(LIMITS, never=()),
    }
    now = by_hand(p, LIMITS, appetite)[0][0]
    assert told.worth == pytest.approx(now, abs=1e-4)
    assert [(one.limit, one.change) for one in told.limits] == list(relaxed)
    for one in told.limits:
        then, _ = by_hand(p, relaxed[one.limit, one.change], appetite)[0]
        assert one.gain == pytest.approx(then - now, abs=1e-4)
        assert 0 <= one.gain <= one.gain_bound <= one.gain + 1e-3


def test_limits_that_bind_only_together_cost_nothing_one_by_one() -> None:
    p = Proposals.of(
        [Proposal("a", np.ones(2), 1, {"it": 1}), Proposal("b", 9 * np.ones(2), 9, {"it": 9})],
    )
    told = limit_costs(search(p), Limits(budget=1, capacity={"it": 1}))
    assert {one.gain for one in told.limits} == {0.0}


def test_what_has_no_limit_costs_nothing_and_is_not_listed() -> None:
    assert limit_costs(search(some_proposals(0, 4)), Limits()).limits == ()


@settings(max_examples=15)
@given(st.integers(0, 1_000))
def test_every_step_of_the_frontier_is_where_a_loop_changes_its_mind(seed: int) -> None:
    p, appetite = some_proposals(seed, 5, rules=2), Appetite(0.3)
    limits = Limits(budget=5, capacity={"it": 9}, never=("i01",))
    steps = frontier(search(p, appetite), limits).steps
    budgets = sorted(
        {round(sum(c for c, used in zip(p.cost, code, strict=True) if used), 9) for code in np.ndindex(*(2,) * 5)}
    )
    expected, best = [], -np.inf
    for budget in budgets:
        loop = by_hand(p, replace(limits, budget=budget), appetite)
        if loop[0][0] > best + 1e-9:
            best = loop[0][0]
            expected.append((budget, loop[0][1]))
    assert [(step.budget, step.members) for step in steps] == expected
    assert [step.worth for step in steps] == sorted(step.worth for step in steps)


@pytest.mark.parametrize("method", METHODS)
def test_at_given_budgets_the_frontier_is_what_would_be_chosen(method: Method) -> None:
    searched = search(some_proposals(3, 7, rules=2), method=method)
    limits = Limits(capacity={"it": 12})
    for step in frontier(searched, limits, budgets=[40.0, 20.0, 30.0]).steps:
        chosen = choose(searched, replace(limits, budget=step.budget))
        assert step.members == chosen.members
        assert step.bound >= step.worth == pytest.approx(chosen.worth)


def test_the_frontier_of_many_goes_from_nothing_to_everything() -> None:
    p = some_proposals(4, 18, draws=20, density=0.1)
    steps = frontier(search(p), Limits()).steps
    assert len(steps) == 11
    assert (steps[0].budget, steps[0].members) == (0.0, ())
    assert steps[-1].budget == pytest.approx(p.cost.sum())
    assert steps[-1].members == choose(search(p), Limits()).members


def test_of_hundreds_more_budget_never_buys_less_and_no_relaxed_limit_costs() -> None:
    p = some_proposals(6, 60, draws=40, density=0.05, rules=8)
    searched, limits = search(p), Limits(budget=80, capacity={"it": 20})
    choose(searched, limits)
    steps = frontier(searched, limits).steps
    assert [step.worth for step in steps] == sorted(step.worth for step in steps)
    assert all(step.worth <= step.bound for step in steps)
    costs = limit_costs(searched, limits)
    assert all(0 <= one.gain <= one.gain_bound for one in costs.limits)
    by = {(one.limit, one.change): one.gain for one in costs.limits}
    assert by["budget", "+1"] <= by["budget", "+10 %"] <= by["budget", "lifted"]


def test_budgets_below_what_must_be_done_have_no_step() -> None:
    p = Proposals.of([Proposal("a", np.ones(2), 5), Proposal("b", np.ones(2), 3)])
    steps = frontier(search(p), Limits(must=("a",))).steps
    assert [(step.budget, step.members) for step in steps] == [(5.0, ("a",)), (8.0, ("a", "b"))]
    assert frontier(search(p), Limits(must=("a",)), budgets=[4.0]).steps == ()


def test_frames_hold_what_was_told() -> None:
    searched = search(some_proposals(5, 5))
    costs, steps = limit_costs(searched, Limits(budget=20)), frontier(searched, Limits())
    assert costs.to_frame()["gain"].tolist() == [one.gain for one in costs.limits]
    assert steps.to_frame()["members"].tolist() == [step.members for step in steps.steps]


@pytest.mark.parametrize("ask", [limit_costs, frontier])
def test_limits_that_contradict_each_other_are_told(ask: object) -> None:
    searched = search(some_proposals(0, 3))
    with pytest.raises(StudyError, match=r"'i00' is in never and 'i00' is in must"):
        ask(searched, Limits(must=("i00",), never=("i00",)))  # type: ignore[operator]
