"""What the limits allow: as a loop says, and explained where it is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import StudyError
from models.appetite import Appetite
from models.feasibility import allowed, check_limits, within
from models.proposals import Limits, Proposal, Proposals
from tests.plans import by_hand, keeps, some_proposals

ONES = np.ones(2)
OFFERED = Proposals.of(
    [
        Proposal("billing", ONES, 10, {"it": 4}),
        Proposal("calls", ONES, 20, {"it": 1}, needs=("billing",)),
        Proposal("mail", ONES, 15, {"it": 6}, excludes=("shop",)),
        Proposal("shop", ONES, 40, {"it": 2}, needs=("calls",)),
    ]
)


@given(st.integers(0, 500), st.floats(0, 60), st.floats(0, 15))
def test_sets_are_allowed_as_a_loop_says(seed: int, budget: float, it: float) -> None:
    p = some_proposals(seed, 5, draws=1, rules=3)
    limits = Limits(budget, {"it": it}, must=("i00",) if seed % 2 else (), never=("i03",) if seed % 3 else ())
    sets = np.array([[code >> k & 1 for k in range(5)] for code in range(32)], dtype=bool)
    by_loop = [keeps(p, tuple(np.flatnonzero(flags).tolist()), limits) for flags in sets]
    assert (allowed(p, sets) & within(p, limits, sets)).tolist() == by_loop


@given(
    st.integers(0, 500), st.integers(0, 40), st.integers(0, 8), st.sets(st.integers(0, 4)), st.sets(st.integers(0, 4))
)
def test_limits_are_refused_exactly_when_nothing_can_be_funded(
    seed: int, budget: int, it: int, must: set[int], never: set[int]
) -> None:
    p = some_proposals(seed, 5, draws=1, rules=3)
    limits = Limits(budget, {"it": it}, tuple(p.names[i] for i in must), tuple(p.names[i] for i in never))
    possible = [members for _, members in by_hand(p, limits, Appetite()) if members]
    if possible:
        check_limits(p, limits)
    else:
        with pytest.raises(StudyError, match="Expected"):
            check_limits(p, limits)


def test_what_sums_to_the_limit_but_for_rounding_is_within_it() -> None:
    p = Proposals.of([Proposal(name, ONES, 0.1) for name in "abc"])
    assert within(p, Limits(budget=0.3), np.ones((1, 3), dtype=bool)).tolist() == [True]
    assert within(p, Limits(budget=0.2999), np.ones((1, 3), dtype=bool)).tolist() == [False]


def test_one_initiative_far_beyond_the_limit_lets_no_other_overdraw() -> None:
    p = Proposals.of([Proposal("a", ONES, 6), Proposal("b", ONES, 5), Proposal("mega", ONES, 1e12)])
    sets = np.array([[True, True, False], [True, False, False], [False, False, True]])
    assert within(p, Limits(budget=10), sets).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(must=("biling",)), r"must: no .* 'biling'\. Did you mean 'billing'\?"),
        (Limits(never=("zzz",)), r"never: no .* 'zzz'\. Expected one of: billing, calls, mail, shop"),
        (Limits(capacity={"its": 3}), r"resource called 'its'\. Did you mean 'it'\?"),
        (Limits(budget=9), r"the budget is 9, below every .*: the least is 10, for 'billing'\. Expected at least that"),
        (Limits(capacity={"it": 3}), r"the capacity of it is 3, below every .*: the least is 4, for 'billing'"),
        (Limits(budget=12, never=("billing",)), r"the budget is 12, .* the least is 15, for 'mail'"),
        (Limits(budget=12, capacity={"it": 4.5}, never=("billing", "mail")), r"every initiative is in never, or needs"),
        (Limits(budget=25, must=("calls",)), r"the budget is 25, and 'billing', 'calls' must be done and take 30"),
        (Limits(capacity={"it": 4}, must=("calls",)), r"capacity of it is 4, and 'billing', 'calls' must be .* take 5"),
        (Limits(must=("calls",), never=("calls",)), r"'calls' is in never and 'calls' is in must"),
        (
            Limits(must=("shop",), never=("billing",)),
            r"'billing' is in never and 'shop', which is in must, needs 'billi",
        ),
        (Limits(must=("mail", "shop")), r"'mail' excludes 'shop', yet 'mail' is in must and 'shop' is in must"),
    ],
)
def test_the_limit_to_blame_is_named_with_its_amount(limits: Limits, told: str) -> None:
    with pytest.raises(StudyError, match=told):
        check_limits(OFFERED, limits)


@pytest.mark.parametrize("must", [(), ("a",)])
def test_of_a_large_limit_the_whole_is_told_and_what_is_expected_is_enough(must: tuple[str, ...]) -> None:
    p = Proposals.of([Proposal("a", ONES, 1234564.001), Proposal("b", ONES, 2e6)])
    with pytest.raises(StudyError, match=r"the budget is 1234560, .* 1234564\.01"):
        check_limits(p, Limits(budget=1234560, must=must))
    check_limits(p, Limits(budget=1234564.01, must=must))


def test_two_limits_that_only_together_leave_nothing_are_told_together() -> None:
    p = Proposals.of([Proposal("a", ONES, 10, {"it": 1}), Proposal("b", ONES, 1, {"it": 10})])
    with pytest.raises(StudyError, match=r"no initiative keeps all limits at once \(budget 5, capacity of it 5\)"):
        check_limits(p, Limits(budget=5, capacity={"it": 5}))


@pytest.mark.parametrize(
    "limits",
    [Limits(budget=-1), Limits(budget=float("nan")), Limits(capacity={"it": -2})],
    ids=["below 0", "nan", "it"],
)
def test_a_limit_that_is_no_amount_is_refused(limits: Limits) -> None:
    with pytest.raises(ValueError, match=r"is (-1|nan|-2)\. Expected 0 or more"):
        check_limits(OFFERED, limits)
