"""The order of starts: against every combination of months, and never overdrawn."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import StudyError
from models.early_wins import MOST_PROVED, Schedule, _Programme, order_starts
from models.purse import Purse, Rollout


def some_rollouts(seed: int, m: int) -> list[Rollout]:
    rng = np.random.default_rng(seed)
    rollouts = []
    for k in range(m):
        spent = rng.uniform(5, 20)
        cash = np.concatenate([[-spent], rng.uniform(-3, 1, 1), rng.uniform(0, 0.8, 4) * spent])
        needs = (f"r{rng.integers(0, k)}",) if k and rng.random() < 0.4 else ()
        rollouts.append(Rollout(f"r{k}", cash, needs))
    return rollouts


def by_hand(rollouts: list[Rollout], purse: Purse) -> tuple[float, dict[str, int]] | None:
    """Try every combination of months; best value, of equals the earliest."""
    best: tuple[float, float, dict[str, int]] | None = None
    length = purse.months + max(len(one.cash) for one in rollouts)
    for months in product(range(purse.months), repeat=len(rollouts)):
        at = {one.name: s for one, s in zip(rollouts, months, strict=True)}
        if max(months.count(s) for s in months) > purse.starts_a_month:
            continue
        if any(at[name] >= at[one.name] for one in rollouts for name in one.needs):
            continue
        flow = np.zeros(length)
        for one in rollouts:
            flow[at[one.name] : at[one.name] + len(one.cash)] += one.cash
        if (purse.balance + np.cumsum(flow)).min() < purse.floor - 1e-9:
            continue
        value = float(flow @ (1 + purse.discount_rate) ** (-np.arange(length) / 12))
        if best is None or (value, -sum(months)) > (best[0] + 1e-7, best[1]):
            best = (value, -float(sum(months)), at)
    return None if best is None else (best[0], best[2])


def months_of(schedule: Schedule) -> dict[str, int]:
    return {one.name: one.month for one in schedule.starts}


@settings(max_examples=25)
@given(
    st.integers(0, 10_000), st.integers(1, 4), st.floats(5, 40), st.sampled_from([0.02, 0.1, 0.5]), st.integers(1, 2)
)
def test_the_order_is_the_best_of_every_combination_of_months(
    seed: int, m: int, balance: float, rate: float, starts: int
) -> None:
    rollouts, purse = some_rollouts(seed, m), Purse(balance, 6, rate, floor=2.0, starts_a_month=starts)
    loop = by_hand(rollouts, purse)
    if loop is None:
        with pytest.raises(StudyError, match="no order of starts"):
            order_starts(rollouts, purse)
        return
    schedule = order_starts(rollouts, purse)
    assert schedule.value == pytest.approx(loop[0], abs=1e-4)
    assert schedule.gap < 1e-5
    assert schedule.lowest >= 2.0 - 1e-4


def test_early_wins_pay_for_what_is_dear() -> None:
    quick = Rollout("quick", np.array([-10.0, 8.0, 8.0, 8.0]))
    dear = Rollout("dear", np.array([-20.0, 0.0, 30.0, 30.0]))
    schedule = order_starts([dear, quick], Purse(12, months=8, discount_rate=0.1))
    assert months_of(schedule) == {"quick": 0, "dear": 3}
    assert schedule.balance.tolist() == [2, 10, 18, 6, 6, 36, 66, 66, 66, 66, 66]
    assert months_of(order_starts([dear, quick], Purse(30, 8, 0.1, starts_a_month=2))) == {"quick": 0, "dear": 0}


def test_what_is_needed_starts_before_though_it_earns_less() -> None:
    base = Rollout("base", np.array([-5.0, 1.0]))
    rich = Rollout("rich", np.array([-5.0, 50.0]), needs=("base",))
    assert months_of(order_starts([rich, base], Purse(20, 4, 0.1, starts_a_month=2))) == {"base": 0, "rich": 1}


def test_equals_start_early_and_in_the_order_of_names() -> None:
    twins = [Rollout(name, np.array([-5.0, 2.0, 3.0])) for name in "cab"]
    for rate in (0.0, 0.1):
        schedule = order_starts(twins, Purse(20, 6, rate))
        if rate == 0:
            assert months_of(schedule) == {"a": 0, "b": 1, "c": 2}
        assert schedule.value == order_starts(twins[::-1], Purse(20, 6, rate)).value


def test_a_higher_rate_prefers_money_now() -> None:
    slow = Rollout("slow", np.array([-10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 40.0]))
    fast = Rollout("fast", np.array([-10.0, 22.0]))
    assert months_of(order_starts([slow, fast], Purse(10, 8, 0.1)))["fast"] == 0


def test_the_order_given_plays_no_part() -> None:
    rollouts, purse = some_rollouts(3, 4), Purse(25, 8, 0.1)
    one, other = order_starts(rollouts, purse), order_starts(rollouts[::-1], purse)
    assert one.starts == other.starts
    np.testing.assert_array_equal(one.balance, other.balance)


@pytest.mark.parametrize("seed", range(5))
def test_a_search_cut_short_keeps_every_rule_and_its_bound_holds(seed: int) -> None:
    rollouts, purse = some_rollouts(seed, 4), Purse(30, 7, 0.2)
    loop = by_hand(rollouts, purse)
    assert loop is not None
    schedule = order_starts(rollouts, purse, nodes=0)
    at = months_of(schedule)
    assert schedule.lowest >= -1e-4
    assert all(at[name] < at[one.name] for one in rollouts for name in one.needs)
    assert schedule.value <= loop[0] + 1e-4 <= schedule.bound + 2e-4


@pytest.mark.parametrize("seed", range(3))
def test_of_many_the_order_keeps_every_rule_and_lies_near_its_bound(seed: int) -> None:
    rollouts, purse = some_rollouts(seed, MOST_PROVED + 8), Purse(60, 24, 0.1, starts_a_month=2)
    schedule = order_starts(rollouts, purse)
    at = months_of(schedule)
    assert len(at) == len(rollouts)
    assert max(list(at.values()).count(month) for month in at.values()) <= 2
    assert all(at[name] < at[one.name] for one in rollouts for name in one.needs)
    assert schedule.lowest >= -1e-6
    assert schedule.value <= schedule.bound
    assert schedule.gap < 0.02


def test_the_bound_without_branches_is_never_below_the_best_order() -> None:
    for seed in range(6):
        rollouts, purse = some_rollouts(seed, 5), Purse(30, 7, 0.2)
        programme = _Programme.of(sorted(rollouts, key=lambda one: one.name), purse)
        assert programme.relaxed_bound() >= order_starts(rollouts, purse).value - 1e-4


def test_the_least_balance_that_would_do_is_told_and_does() -> None:
    rollouts = [Rollout("a", np.array([-10.0, 4.0, 4.0, 4.0])), Rollout("b", np.array([-13.0, 20.0]))]
    with pytest.raises(StudyError, match=r"with 8 at hand, no order .* at 1 or above within 6 months\. .*least 12 at"):
        order_starts(rollouts, Purse(8, 6, 0.1, floor=1.0))
    assert months_of(order_starts(rollouts, Purse(12, 6, 0.1, floor=1.0)))["a"] == 0
    with pytest.raises(StudyError, match="no order"):
        order_starts(rollouts, Purse(11.99, 6, 0.1, floor=1.0))


SMALL = [
    Rollout("a", np.array([-40.0, 20.0, 20.0, 20.0])),
    Rollout("b", np.array([-30.0, 15.0, 15.0, 15.0])),
    Rollout("c", np.array([-20.0, 30.0])),
]


@pytest.mark.parametrize("huge", [[1.0, 0.0, 0.0, 0.0, 0.0, 6e7], [-5e7, 6e7]], ids=["late income", "dear start"])
@pytest.mark.parametrize("spare", [0.0, 10.0, 19.0, 20.0, 30.0, 40.0])
def test_one_huge_cash_flow_lets_no_other_overdraw_the_purse(huge: list[float], spare: float) -> None:
    rollouts = [*SMALL, Rollout("huge", np.array(huge))]
    balance = spare + (5e7 if huge[0] < 0 else 0.0)
    loop = by_hand(rollouts, Purse(balance, 6, 0.1))
    if loop is None:
        with pytest.raises(StudyError, match="no order of starts") as told:
            order_starts(rollouts, Purse(balance, 6, 0.1))
        least = float(str(told.value).split("at least ")[1].split(" at hand")[0])
        assert by_hand(rollouts, Purse(least, 6, 0.1)) is not None
        assert by_hand(rollouts, Purse(least - 0.01, 6, 0.1)) is None
        assert order_starts(rollouts, Purse(least, 6, 0.1)).lowest >= -1e-4
        return
    schedule = order_starts(rollouts, Purse(balance, 6, 0.1))
    assert schedule.lowest >= -1e-4
    assert schedule.value <= loop[0] + 1e-4 <= schedule.bound + 60
    assert schedule.value >= loop[0] - 60


@pytest.mark.parametrize("spare", [0.0, 5.0, 10.0, 15.0, 20.0, 40.0, 55.0])
def test_what_a_huge_income_pays_for_a_huge_start_is_ordered_to_the_cent(spare: float) -> None:
    rollouts = [
        *SMALL[:2],
        Rollout("dear", np.array([-5e7, 0.0, 0.0, 6e7])),
        Rollout("rich", np.array([0.0, 5e7 - 10])),
    ]
    loop = by_hand(rollouts, Purse(spare, 6, 0.1))
    assert loop is not None
    schedule = order_starts(rollouts, Purse(spare, 6, 0.1))
    assert schedule.lowest >= -1e-4
    assert schedule.value == pytest.approx(loop[0], abs=60)
    assert schedule.gap < 1e-5


def test_of_a_large_amount_that_is_missing_the_whole_is_told() -> None:
    rollouts = [Rollout("a", np.array([-1234564.001, 2e6]))]
    with pytest.raises(StudyError, match=r"with 1000001 at hand, .* Expected at least 1234564\.01 at hand"):
        order_starts(rollouts, Purse(1000001.0, 6, 0.1))


@pytest.mark.parametrize(
    ("rollouts", "months", "told"),
    [
        ([], 6, "no initiative to start"),
        ([Rollout("a", np.ones(2)), Rollout("a", np.ones(2))], 6, "'a' is given twice"),
        ([Rollout("billing", np.ones(2)), Rollout("b", np.ones(2), ("biling",))], 6, r"Did you mean 'billing'\?"),
        ([Rollout("a", np.ones(2)), Rollout("b", np.ones(2))], 1, "2 initiatives cannot start within 1 months"),
        ([Rollout("a", np.ones(2), ("b",)), Rollout("b", np.ones(2), ("a",))], 6, "and no circle"),
    ],
)
def test_what_cannot_be_ordered_is_told(rollouts: list[Rollout], months: int, told: str) -> None:
    with pytest.raises(StudyError, match=told):
        order_starts(rollouts, Purse(100, months, 0.1))


@pytest.mark.parametrize("cash", [np.array([1.0, np.nan]), np.array([])])
def test_cash_that_is_none_is_refused(cash: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"the cash of 'a' is empty or not finite"):
        order_starts([Rollout("a", cash)], Purse(1, 3, 0.1))


def test_a_frame_holds_the_starts_with_the_balance() -> None:
    found = order_starts([Rollout("a", np.array([-3.0, 5.0]))], Purse(4, 2, 0.1))
    assert found.to_frame({"a": 0}).to_dict("records") == [{"initiative": "a", "month": 0, "balance": 1.0}]


def test_months_of_its_own_come_on_top_and_the_balance_is_that_of_the_start() -> None:
    found = order_starts([Rollout(one, np.array([-3.0, 5.0])) for one in "ab"], Purse(9, 2, 0.1, starts_a_month=2))
    assert [one.month for one in found.starts] == [0, 0]
    frame = found.to_frame({"a": 1, "b": 0})
    assert frame[["initiative", "month"]].to_numpy().tolist() == [["b", 0], ["a", 1]]
    assert frame["balance"].tolist() == [3.0, 13.0]
    late = found.to_frame({"a": 99, "b": 0})
    assert late["balance"].tolist() == [3.0, 13.0], "nothing moves the balance after its last month"
