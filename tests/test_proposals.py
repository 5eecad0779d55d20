"""What could be funded: sorted, checked, and refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import StudyError
from models.cash import activity
from models.initiatives import Change, Initiative
from models.proposals import Proposal, Proposals, present_value, spending

ONES = np.ones(3)


def offer(name: str, *, cost: float = 1.0, needs: tuple[str, ...] = (), excludes: tuple[str, ...] = ()) -> Proposal:
    return Proposal(name, ONES, cost, needs=needs, excludes=excludes)


def test_the_order_given_plays_no_part() -> None:
    items = [
        Proposal("b", 2 * ONES, 2, {"it": 1}, needs=("a",)),
        Proposal("a", ONES, 1, excludes=("c",)),
        Proposal("c", 3 * ONES, 3, {"analysts": 2}),
    ]
    clash = {("c", "b"): -ONES, ("a", "b"): -2 * ONES}
    one, other = Proposals.of(items, clash), Proposals.of(items[::-1], dict(reversed(clash.items())))
    for field in ("value", "pairs", "interaction", "cost", "use", "needs", "excludes"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert one.names == ("a", "b", "c")
    assert one.pairs.tolist() == [[0, 1], [1, 2]]
    assert one.interaction[0].tolist() == [-2, -1]
    assert one.resources == ("analysts", "it")
    assert one.use.tolist() == [[0, 0, 2], [0, 1, 0]]
    assert one.needs.tolist() == [[1, 0]]
    assert one.excludes.tolist() == [[0, 2]]


def test_a_set_is_worth_its_members_and_the_pairs_within_it() -> None:
    items = [Proposal("a", np.array([1.0, 2.0]), 1), Proposal("b", np.array([3.0, 5.0]), 1), offer_of_two("c")]
    p = Proposals.of(items, {("a", "b"): np.array([-1.0, 0.5]), ("b", "c"): np.array([-100.0, -100.0])})
    assert p.draws(p.flags(["b", "a"])).tolist() == [3.0, 7.5]
    assert p.draws(p.flags([])).tolist() == [0.0, 0.0]


def offer_of_two(name: str) -> Proposal:
    return Proposal(name, np.zeros(2), 1)


def test_everything_needed_comes_along_however_far() -> None:
    p = Proposals.of([offer("a"), offer("b", needs=("a",)), offer("c", needs=("b",)), offer("d")])
    assert p.members(p.closure(p.flags(["c"]))) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], r"no initiative to choose from\. At least one"),
        ([offer("a"), offer("a")], r"'a' is given twice"),
        ([offer("billing"), offer("b", needs=("biling",))], r"in 'b': no .* 'biling'\. Did you mean 'billing'\?"),
        ([offer("billing"), offer("b", excludes=("biling",))], r"'biling'\. Did you mean 'billing'\?"),
        ([offer("a", excludes=("a",))], r"'a' excludes itself"),
        ([offer("a", needs=("a",))], r"'a' needs 'a': a circle"),
        (
            [offer("a", needs=("b",)), offer("b", needs=("c",)), offer("c", needs=("b",))],
            r"'b' needs 'c' needs 'b': a circle\. None of them could come first",
        ),
        (
            [offer("a", needs=("b",)), offer("b", needs=("c",)), offer("c", excludes=("a",))],
            r"'a' can never be done: .*'a' and 'c', which exclude each other",
        ),
    ],
)
def test_faults_of_the_file_are_told_with_the_way_out(items: list[Proposal], told: str) -> None:
    with pytest.raises(StudyError, match=told):
        Proposals.of(items)


def test_every_unknown_name_is_told_at_once() -> None:
    with pytest.raises(StudyError, match=r"(?s)'x'.*'y'"):
        Proposals.of([offer("a", needs=("x",)), offer("b", excludes=("y",))])


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([Proposal("a", np.array([1.0, np.nan]), 1)], r"draws of 'a': 1 of 2 are not finite"),
        ([Proposal("a", np.array([1.0, np.inf]), 1)], r"draws of 'a': 1 of 2 are not finite"),
        ([Proposal("a", ONES, -5)], r"the cost of 'a' is -5"),
        ([Proposal("a", ONES, float("inf"))], r"the cost of 'a' is inf"),
        ([Proposal("a", ONES, 1, {"it": -1})], r"it of 'a' is -1"),
        ([Proposal("a", ONES, 1, {"it": float("nan")})], r"it of 'a' is nan"),
        ([Proposal("a", ONES, 1), Proposal("b", np.ones(2), 1)], r"shapes \[\(2,\), \(3,\)\]"),
        ([Proposal("a", np.ones(0), 1)], r"shapes \[\(0,\)\]"),
    ],
)
def test_numbers_that_are_none_are_refused(items: list[Proposal], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Proposals.of(items)


@pytest.mark.parametrize(
    ("clash", "told"),
    [
        ({("a", "b"): ONES, ("b", "a"): ONES}, r"given twice"),
        ({("a", "a"): ONES}, r"with itself"),
        ({("a", "b"): np.ones(2)}, r"shape \(2,\)\. Expected \(3,\)"),
        ({("a", "b"): np.array([1.0, np.nan, 1.0])}, r"'a' and 'b': 1 of 3 are not finite"),
    ],
)
def test_interactions_that_are_none_are_refused(clash: dict[tuple[str, str], np.ndarray], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Proposals.of([offer("a"), offer("b")], clash)


def test_an_interaction_of_an_unknown_initiative_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'bb'\. .*Known: a, b"):
        Proposals.of([offer("a"), offer("b")], {("a", "bb"): ONES})


@pytest.mark.parametrize(("start", "lasts"), [(0, None), (2, None), (1, 3), (5, 1)])
def test_months_of_spending_are_those_in_which_the_simulation_has_the_initiative_run(
    start: int, lasts: int | None
) -> None:
    change = Change(journey="support", measure="wait", scale=0.5)
    initiative = Initiative(name="a", changes=(change,), start_month=start, ramp_months=2, lasts_months=lasts)
    spent = spending(7.0, 3.0, 8, start_month=start, lasts_months=lasts)
    assert spent[0] == 7.0
    np.testing.assert_array_equal(spent[1:] > 0, activity(initiative, 8) > 0)


def test_a_sum_a_year_later_is_discounted_by_the_rate_a_year() -> None:
    later = np.zeros(13)
    later[12] = 121.0
    assert present_value(later, 0.21) == pytest.approx(100.0)
    assert present_value(np.array([5.0, 6.0]), 0.0) == pytest.approx(11.0)


def test_a_negative_cost_is_refused_where_it_is_spread_over_months() -> None:
    with pytest.raises(ValueError, match="the monthly cost is -1"):
        spending(1.0, -1.0, 12)
