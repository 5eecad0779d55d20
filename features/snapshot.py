"""Cutoff, observation window, gap, horizon: the only date arithmetic of the product.

Inside, time is an int64 count of microseconds since 1970-01-01 00:00 UTC. A cutoff *T* may use what was known at or
before T and happened in ``(T - window, T]``; its outcomes happen in ``(T + gap, T + gap + horizon]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Literal, Protocol

from features.errors import EmptyResultError, StudyError

__all__ = [
    "DAY",
    "DAYS_PER_MONTH",
    "Grid",
    "Snapshot",
    "cutoffs",
    "cutoffs_between",
    "day_end",
    "first_with_history",
    "go_live_dates",
    "iso",
    "matured",
    "midnight",
    "month_of",
    "n_periods",
    "parse_date",
    "period_starts",
]

DAY = 86_400_000_000
"""Microseconds of a day."""

DAYS_PER_MONTH = 365.25 / 12
"""Days of an average month."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MONDAY = 4 * DAY  # 1970-01-05


class Grid(Protocol):
    """What this module reads of ``features.study.SnapshotGrid``."""

    @property
    def every(self) -> Literal["month", "week"] | int:
        """Distance of the cutoffs: a calendar month, a week from Monday, or a number of days."""

    @property
    def window_days(self) -> int:
        """Length of the observation window."""

    @property
    def gap_days(self) -> int:
        """Days between the cutoff and the first day whose outcomes count."""

    @property
    def horizon_days(self) -> int:
        """Length of the outcome window."""

    @property
    def first(self) -> date | None:
        """First cutoff wanted; None: the first with a full window of history."""

    @property
    def last(self) -> date | None:
        """Last cutoff wanted; None: the last that the data reach."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lengths that turn a cutoff into an observation window and an outcome window.

    Attributes
    ----------
    window_days, gap_days, horizon_days : int
        Lengths in days of 24 hours.

    Examples
    --------
    >>> iso(Snapshot(window_days=180, gap_days=0, horizon_days=91).matures_at(parse_date("2025-01-01")))
    '2025-04-02'
    """

    window_days: int
    gap_days: int
    horizon_days: int

    @classmethod
    def of(cls, grid: Grid) -> Snapshot:
        """Take the three lengths of a snapshot grid."""
        return cls(grid.window_days, grid.gap_days, grid.horizon_days)

    def window_start(self, cutoff: int) -> int:
        """Return the open left end of the observation window, in microseconds."""
        return cutoff - self.window_days * DAY

    def outcome_start(self, cutoff: int) -> int:
        """Return the open left end of the outcome window, in microseconds."""
        return cutoff + self.gap_days * DAY

    def matures_at(self, cutoff: int) -> int:
        """Return the closed right end of the outcome window, in microseconds."""
        return cutoff + (self.gap_days + self.horizon_days) * DAY


def iso(moment: int) -> str:
    """Write microseconds as the UTC date ``YYYY-MM-DD``."""
    return _datetime(moment).strftime("%Y-%m-%d")


def parse_date(text: str) -> int:
    """Read the UTC date ``YYYY-MM-DD`` as the microseconds of its midnight.

    Raises
    ------
    StudyError
        The text is not such a date.

    Examples
    --------
    >>> parse_date("1970-01-02") == DAY
    True
    """
    try:
        return midnight(date.fromisoformat(text))
    except ValueError as fault:
        raise StudyError(
            f"'{text}' is not a date. A day of the calendar as YYYY-MM-DD was expected. Write it like 2025-03-01."
        ) from fault


def midnight(day: date) -> int:
    """Return 00:00 UTC of a calendar day in microseconds."""
    return _microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))


def day_end(moment: int) -> int:
    """Return the first midnight at or after a moment, in microseconds."""
    return -(-moment // DAY) * DAY


def month_of(moment: int) -> int:
    """Return the calendar month, 1 to 12, of a moment in UTC."""
    return _datetime(moment).month


def cutoffs(grid: Grid, first_event: int, last_event: int) -> tuple[int, ...]:
    """List the cutoffs of a grid for which there is history, ascending.

    Parameters
    ----------
    grid : SnapshotGrid
        Monthly cutoffs fall on the first of a month, weekly ones on a Monday, those every N days on ``first`` plus
        multiples of N days (without ``first``: on days since 1970-01-01 divisible by N, so that they stay where they
        are when data are added). All at 00:00 UTC.
    first_event, last_event : int
        The earliest and the latest event in the data, in microseconds. Data are taken to be complete up to the
        midnight that follows the latest event.

    Returns
    -------
    tuple of int
        Microseconds. Without ``first`` only cutoffs with a full observation window behind them; with ``first`` the
        user has chosen, and any cutoff after the first event is kept. Empty when the data are too short.

    Raises
    ------
    EmptyResultError
        ``first`` asks for cutoffs before anything had happened.
    """
    start = first_event + grid.window_days * DAY
    if grid.first is not None:
        start = midnight(grid.first)
        if start <= first_event:
            raise EmptyResultError(
                f"snapshot.first is {grid.first.isoformat()}, but the data begin on {iso(first_event)}. A cutoff needs "
                f"history before it; the first with a full window of {grid.window_days} days is "
                f"{iso(first_with_history(grid, first_event))}. Set snapshot.first to that date or leave it out."
            )
    end = day_end(last_event)
    if grid.last is not None:
        end = min(end, midnight(grid.last))
    return tuple(takewhile(lambda moment: moment <= end, _from(grid, start)))


def cutoffs_between(grid: Grid, first: int, last: int) -> tuple[int, ...]:
    """List the cutoffs of a grid from one moment to another, both included, whatever the study's first and last are.

    Examples
    --------
    >>> from features.study import SnapshotGrid
    >>> [iso(t) for t in cutoffs_between(SnapshotGrid(), parse_date("2024-01-15"), parse_date("2024-03-01"))]
    ['2024-02-01', '2024-03-01']
    """
    return tuple(takewhile(lambda moment: moment <= last, _from(grid, first)))


def first_with_history(grid: Grid, first_event: int) -> int:
    """Return the first cutoff of the grid that has a full observation window of data behind it."""
    return next(_from(grid, first_event + grid.window_days * DAY))


def matured(cutoffs: Iterable[int], grid: Grid, data_end: int) -> tuple[int, ...]:
    """Keep the cutoffs whose outcome window has passed at ``data_end``.

    Before that, a customer who has not left yet may still leave: using such a cutoff as "stayed" would teach a model
    that recent customers are loyal.
    """
    snapshot = Snapshot.of(grid)
    return tuple(cutoff for cutoff in cutoffs if snapshot.matures_at(cutoff) <= data_end)


def go_live_dates(grid: Grid, cutoffs: Iterable[int], data_end: int, n: int = 3) -> tuple[int, ...]:
    """Choose the moments at which a simulated initiative goes live: the last matured cutoffs that do not overlap.

    Parameters
    ----------
    grid : SnapshotGrid
        Its horizon is the least distance between two dates.
    cutoffs : iterable of int
        Candidates in microseconds, in any order.
    data_end : int
        The latest event in the data.
    n : int
        How many to take at most, counted from the newest.

    Returns
    -------
    tuple of int
        Ascending; fewer than ``n`` when the data are short, empty when no cutoff has matured.
    """
    chosen: list[int] = []
    for cutoff in sorted(matured(cutoffs, grid, data_end), reverse=True):
        if len(chosen) < n and (not chosen or chosen[-1] - cutoff >= grid.horizon_days * DAY):
            chosen.append(cutoff)
    return tuple(reversed(chosen))


def n_periods(horizon_days: int) -> int:
    """Return into how many parts of about a week a horizon is split.

    Examples
    --------
    >>> n_periods(91), n_periods(3)
    (13, 1)
    """
    return max(1, round(horizon_days / 7))


def period_starts(go_live: int, grid: Grid) -> tuple[int, ...]:
    """Split the horizon that begins at go-live into equal periods and return when each begins.

    The gap does not enter: an initiative works from the day it goes live.
    """
    n = n_periods(grid.horizon_days)
    return tuple(go_live + i * grid.horizon_days * DAY // n for i in range(n))


def _from(grid: Grid, start: int) -> Iterator[int]:
    """Yield the grid's cutoffs at or after `start`, without end."""
    if grid.every == "month":
        yield from _months(start)
        return
    step, anchor = (7 * DAY, _FIRST_MONDAY) if grid.every == "week" else (grid.every * DAY, 0)
    if grid.every != "week" and grid.first is not None:
        anchor = midnight(grid.first)
    moment = anchor - (anchor - start) // step * step
    while True:
        yield moment
        moment += step


def _months(start: int) -> Iterator[int]:
    """Yield the firsts of months at or after `start`."""
    at = _datetime(start)
    month = at.year * 12 + at.month - 1
    while True:
        moment = midnight(date(month // 12, month % 12 + 1, 1))
        if moment >= start:
            yield moment
        month += 1


def _datetime(moment: int) -> datetime:
    """Turn microseconds into an aware datetime without passing through floating point."""
    return _EPOCH + timedelta(microseconds=int(moment))


def _microseconds(at: datetime) -> int:
    """Turn an aware datetime into microseconds without passing through floating point."""
    return (at - _EPOCH) // timedelta(microseconds=1)
