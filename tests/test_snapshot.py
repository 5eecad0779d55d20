"""Laws of cutoffs, windows, horizons and go-live dates."""

import itertools
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import EmptyResultError, StudyError
from features.snapshot import (
    DAY,
    Snapshot,
    cutoffs,
    day_end,
    first_with_history,
    go_live_dates,
    iso,
    matured,
    month_of,
    n_periods,
    parse_date,
    period_starts,
)


@dataclass(frozen=True)
class SmallGrid:
    every: Literal["month", "week"] | int = "month"
    window_days: int = 60
    gap_days: int = 0
    horizon_days: int = 30
    first: date | None = None
    last: date | None = None


JAN, DEC = parse_date("2024-01-10"), parse_date("2024-12-15") + 1
GRIDS = st.builds(
    SmallGrid,
    every=st.one_of(st.just("month"), st.just("week"), st.integers(1, 90)),
    window_days=st.integers(1, 200),
    gap_days=st.integers(0, 20),
    horizon_days=st.integers(1, 200),
)
MOMENTS = st.integers(0, 25_000 * DAY)


@given(MOMENTS)
def test_a_date_written_and_read_is_the_midnight_before(moment: int) -> None:
    assert parse_date(iso(moment)) == moment // DAY * DAY


@pytest.mark.parametrize("text", ["2024-02-30", "yesterday", "01.02.2024", ""])
def test_what_is_no_date_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(StudyError, match=f"'{text}' is not a date.*YYYY-MM-DD"):
        parse_date(text)


def test_monthly_cutoffs_are_firsts_of_months_with_a_full_window_behind_them() -> None:
    assert [iso(t) for t in cutoffs(SmallGrid(), JAN, parse_date("2024-06-20"))] == [
        "2024-04-01",
        "2024-05-01",
        "2024-06-01",
    ]


def test_weekly_cutoffs_are_mondays() -> None:
    found = cutoffs(SmallGrid(every="week"), JAN, DEC)
    assert {date.fromisoformat(iso(t)).weekday() for t in found} == {0}
    assert {b - a for a, b in itertools.pairwise(found)} == {7 * DAY}


def test_cutoffs_every_few_days_start_at_the_first_that_the_user_names() -> None:
    grid = SmallGrid(every=10, first=date(2024, 2, 3), last=date(2024, 2, 25))
    assert [iso(t) for t in cutoffs(grid, JAN, DEC)] == ["2024-02-03", "2024-02-13", "2024-02-23"]


@given(GRIDS, MOMENTS, st.integers(0, 900), st.integers(0, 90))
def test_more_data_add_cutoffs_and_move_none(grid: SmallGrid, start: int, length: int, more: int) -> None:
    end = start + length * DAY
    before, after = cutoffs(grid, start, end), cutoffs(grid, start, end + more * DAY)
    assert after[: len(before)] == before


@given(GRIDS, MOMENTS, st.integers(0, 900))
def test_every_cutoff_has_a_full_window_and_lies_within_the_data(grid: SmallGrid, start: int, length: int) -> None:
    found = cutoffs(grid, start, start + length * DAY)
    assert all(start + grid.window_days * DAY <= t <= day_end(start + length * DAY) for t in found)
    assert not found or found[0] == first_with_history(grid, start)


def test_the_midnight_after_the_last_event_is_a_cutoff() -> None:
    assert iso(cutoffs(SmallGrid(), JAN, parse_date("2024-05-31") + DAY // 2)[-1]) == "2024-06-01"


def test_a_first_cutoff_before_all_history_is_refused_with_the_first_usable_date() -> None:
    with pytest.raises(EmptyResultError, match=r"2024-01-01.*begin on 2024-01-10.*2024-04-01"):
        cutoffs(SmallGrid(first=date(2024, 1, 1)), JAN, DEC)


def test_too_short_data_have_no_cutoff() -> None:
    assert cutoffs(SmallGrid(), JAN, JAN + 20 * DAY) == ()


def test_a_cutoff_matures_when_gap_and_horizon_have_passed() -> None:
    grid, t = SmallGrid(gap_days=2, horizon_days=5), parse_date("2024-05-01")
    assert matured([t], grid, t + 7 * DAY) == (t,)
    assert matured([t], grid, t + 7 * DAY - 1) == ()


@given(GRIDS, st.lists(MOMENTS, max_size=30), MOMENTS, st.integers(1, 5))
def test_go_live_dates_are_matured_ascending_and_a_horizon_apart(
    grid: SmallGrid, moments: list[int], data_end: int, n: int
) -> None:
    found = go_live_dates(grid, moments, data_end, n)
    assert set(found) <= set(matured(moments, grid, data_end))
    assert len(found) <= n
    assert all(b - a >= grid.horizon_days * DAY for a, b in itertools.pairwise(found))


def test_go_live_dates_are_the_newest_that_do_not_overlap() -> None:
    grid = SmallGrid(horizon_days=91)
    found = go_live_dates(grid, cutoffs(grid, JAN, DEC), DEC)
    assert [iso(t) for t in found] == ["2024-06-01", "2024-09-01"]


@given(GRIDS, MOMENTS)
def test_periods_split_the_horizon_into_equal_parts_from_go_live(grid: SmallGrid, go_live: int) -> None:
    starts = period_starts(go_live, grid)
    ends = [*starts[1:], go_live + grid.horizon_days * DAY]
    lengths = [b - a for a, b in zip(starts, ends, strict=True)]
    assert starts[0] == go_live
    assert len(starts) == n_periods(grid.horizon_days)
    assert max(lengths) - min(lengths) <= 1


def test_a_snapshot_turns_a_cutoff_into_its_two_windows() -> None:
    snapshot, t = Snapshot.of(SmallGrid(gap_days=3)), parse_date("2024-05-01")
    assert (iso(snapshot.window_start(t)), iso(snapshot.outcome_start(t)), iso(snapshot.matures_at(t))) == (
        "2024-03-02",
        "2024-05-04",
        "2024-06-03",
    )


def test_months_are_calendar_months_in_utc() -> None:
    assert (month_of(parse_date("2024-03-01")), month_of(parse_date("2024-03-01") - 1)) == (3, 2)
