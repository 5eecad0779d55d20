"""What is counted while the touchpoints go by on their way into the layout: volumes, values, times of day, repeats."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.health_codes import Counts
from features.manifest import Clock, LateBooking, Periods
from features.sketch import Sketch
from features.snapshot import DAY

__all__ = ["SLOTS", "Tally", "clocks", "late_bookings", "periods", "periods_of"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

SLOTS = 1_048_573
"""Moments are counted by their remainder under this prime: eight megabytes, however many moments there are."""

_HOUR = DAY // 24


@dataclass(slots=True)
class Tally:
    """What was met while the touchpoints went by; sums run in the order of the layout, so they never vary.

    Parameters
    ----------
    n, low, high, total : dict of str to number
        Per measure: values that are not missing, smallest, largest, sum.
    by_journey : dict of str to array of int
        Per measure: values that are not missing in each journey level.
    counts : dict of str to Counts
        Per measure: whole numbers that may be codes.
    sketches : dict of str to Sketch
        Per measure: its values by month and journey (cell ``months since 1970 * journeys + journey``).
    touchpoints, journeys : array of int
        Touchpoints and journeys in each journey level.
    customers : int
        Customers with touchpoints.
    months : dict of (str, int) to int
        Touchpoints by month (``YYYY-MM``) and journey code.
    hours : array of int, shape (journeys, 25)
        Touchpoints at each full hour of the day in UTC, to the microsecond, and at any other time.
    slots : array of int
        Touchpoints by the remainder of their moment under ``SLOTS``: many at one moment make one of them large.
    delays : Sketch
        Days from happening to becoming known, where there are any, by journey.
    same_moment : int
        Touchpoints of a kind that their customer already had at that moment, with other values.
    duplicates : list of array of int
        Row numbers of the touchpoints that were left out.
    """

    levels: Mapping[str, tuple[str, ...]]
    measures: tuple[str, ...]
    has_sessions: bool = False
    rows: int = 0
    next_journey: int = 0
    customers: int = 0
    n: dict[str, int] = field(default_factory=dict)
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=dict)
    by_journey: dict[str, Ints] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    sketches: dict[str, Sketch] = field(default_factory=dict)
    touchpoints: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    journeys: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    months: dict[tuple[str, int], int] = field(default_factory=dict)
    hours: Ints = field(default_factory=lambda: np.zeros((0, 25), np.int64))
    slots: Ints = field(default_factory=lambda: np.zeros(SLOTS, np.int64))
    delays: Sketch = field(default_factory=Sketch)
    same_moment: int = 0
    duplicates: list[Ints] = field(default_factory=list)

    def __post_init__(self) -> None:
        zeros = np.zeros(len(self.levels["journey"]), np.int64)
        self.touchpoints, self.journeys = zeros.copy(), zeros.copy()
        self.hours = np.zeros((len(zeros), 25), np.int64)
        for name in self.measures:
            self.n[name], self.total[name], self.by_journey[name] = 0, 0.0, zeros.copy()
            self.low[name], self.high[name] = np.inf, -np.inf
            self.sketches[name], self.counts[name] = Sketch(), Counts()

    def add(self, ints: Mapping[str, Ints], new_journeys: Ints, values: Mapping[str, Floats]) -> None:
        """Count one bucket: codes and times of its touchpoints, journey codes of its journeys, and the measures."""
        journey, size = ints["journey"], len(self.touchpoints)
        if not len(journey):
            return
        self.rows += len(journey)
        self.next_journey += len(new_journeys)
        self.customers += int(np.count_nonzero(np.diff(ints["customer_key"], prepend=-1)))
        self.touchpoints += np.bincount(journey, minlength=size)
        self.journeys += np.bincount(new_journeys, minlength=size)
        cells = _months(ints["occurred_at"]) * size + journey
        self._add_months(cells)
        self._add_times(ints)
        self.same_moment += _same_moment(ints)
        for name, column in values.items():
            self._add_measure(name, column, cells)

    def median(self, measure: str) -> float:
        """Give the median of a measure, up to 1/128 nearer to zero; NaN if it is always missing."""
        sketch = self.sketches[measure]
        return float(sketch.regrouped(np.zeros_like(sketch.cells)).quantile(0.5)[0]) if self.n[measure] else math.nan

    def _add_months(self, cells: Ints) -> None:
        first, size = int(cells.min()), len(self.touchpoints)
        counts = np.bincount(cells - first)
        for place in np.flatnonzero(counts).tolist():
            key = _month_name((first + place) // size), (first + place) % size
            self.months[key] = self.months.get(key, 0) + int(counts[place])

    def _add_times(self, ints: Mapping[str, Ints]) -> None:
        moment, journey = ints["occurred_at"], ints["journey"]
        hour = moment // _HOUR
        place = np.where(hour * _HOUR == moment, hour % 24, 24)
        self.hours += np.bincount(journey * 25 + place, minlength=self.hours.size).reshape(self.hours.shape)
        self.slots += np.bincount(moment % SLOTS, minlength=SLOTS)
        delay = ints["known_at"] - moment
        is_late = delay > 0
        self.delays.add(journey[is_late], delay[is_late] / DAY)

    def _add_measure(self, name: str, column: Floats, cells: Ints) -> None:
        is_given = ~np.isnan(column)
        given = column[is_given]
        if not len(given):
            return
        size = len(self.touchpoints)
        self.n[name] += len(given)
        self.total[name] += float(given.sum())
        self.low[name] = min(self.low[name], float(given.min()))
        self.high[name] = max(self.high[name], float(given.max()))
        self.by_journey[name] += np.bincount(cells[is_given] % size, minlength=size)
        self.sketches[name].add(cells[is_given], given)
        self.counts[name].add(given)


def periods(tally: Tally, measure: str, journeys: tuple[str, ...]) -> Iterator[Periods]:
    """Describe a measure month by month in each journey in which it occurs.

    Parameters
    ----------
    tally : Tally
        After the last bucket.
    measure : str
        Name of the measure.
    journeys : tuple of str
        Journeys for which it is declared; empty: all.

    Yields
    ------
    Periods
        With the months in which the journey has touchpoints.
    """
    names, sketch = tally.levels["journey"], tally.sketches[measure]
    months, journey_of = sketch.cells // len(names), sketch.cells % len(names)
    for code, journey in enumerate(names):
        if tally.by_journey[measure][code] and (not journeys or journey in journeys):
            rows = {month: count for (month, other), count in sorted(tally.months.items()) if other == code}
            is_here = journey_of == code
            here = sketch.where(is_here).regrouped(months[is_here])
            yield periods_of(measure, journey, rows, here, [_month_number(month) for month in rows])


def periods_of(measure: str, journey: str, rows: Mapping[str, int], values: Sketch, cells: Sequence[int]) -> Periods:
    """Describe a measure period by period.

    Parameters
    ----------
    measure, journey : str
        What is described.
    rows : mapping of str to int
        Rows in each period, in order.
    values : Sketch
        Values by period.
    cells : sequence of int
        The cell of each period.
    """
    n = dict(zip(values.cells.tolist(), values.sizes().tolist(), strict=True))
    median = dict(zip(values.cells.tolist(), values.quantile(0.5).tolist(), strict=True))
    sizes = values.magnitudes()
    nonzero = dict(zip(sizes.cells.tolist(), sizes.sizes().tolist(), strict=True))
    parts = [sizes.quantile(share).tolist() for share in (0.25, 0.5, 0.75)]
    quartiles = dict(zip(sizes.cells.tolist(), zip(*parts, strict=True), strict=True))
    return Periods(
        measure=measure,
        journey=journey,
        periods=tuple(rows),
        rows=tuple(rows.values()),
        n=tuple(n.get(cell, 0) for cell in cells),
        median=tuple(median.get(cell) for cell in cells),
        nonzero=tuple(nonzero.get(cell, 0) for cell in cells),
        quartiles=tuple(quartiles.get(cell) for cell in cells),
    )


def late_bookings(tally: Tally) -> tuple[LateBooking, ...]:
    """Say how much of each journey became known late, and how late; nothing where nothing did."""
    found, sizes = tally.delays.cells.tolist(), tally.delays.sizes().tolist()
    middle, high = tally.delays.quantile(0.5).tolist(), tally.delays.quantile(0.95).tolist()
    return tuple(
        LateBooking(
            journey=tally.levels["journey"][code],
            rows=int(tally.touchpoints[code]),
            late=late,
            median_days=median,
            p95_days=p95,
        )
        for code, late, median, p95 in zip(found, sizes, middle, high, strict=True)
    )


def clocks(tally: Tally) -> tuple[Clock, ...]:
    """Give the times of day in each journey."""
    rows = zip(tally.levels["journey"], tally.hours.tolist(), strict=True)
    return tuple(Clock(journey=journey, hours=tuple(counts[:24]), others=counts[24]) for journey, counts in rows)


def _months(moment: Ints) -> Ints:
    """Months since 1970, looked up by day: turning each moment into a date takes ten times as long."""
    day = moment // DAY
    first = int(day.min())
    days = np.arange(first, int(day.max()) + 1).astype("datetime64[D]")
    return np.asarray(days.astype("datetime64[M]").astype(np.int64)[day - first])


def _month_name(number: int) -> str:
    return str(np.datetime64(number, "M"))


def _month_number(name: str) -> int:
    return int(np.datetime64(name, "M").astype(np.int64))


def _same_moment(ints: Mapping[str, Ints]) -> int:
    """Count rows that repeat customer, moment, journey and kind of another; rows are sorted by customer and moment."""
    customer, moment = ints["customer_key"], ints["occurred_at"]
    beside = (customer[1:] == customer[:-1]) & (moment[1:] == moment[:-1])
    ends = np.zeros(1, bool)
    near = np.flatnonzero(np.concatenate([beside, ends]) | np.concatenate([ends, beside]))
    group = np.cumsum(~np.concatenate([ends, beside]))[near]
    size = int(max(ints["touchpoint"].max(), ints["journey"].max())) + 1
    kinds = np.unique((group * size + ints["touchpoint"][near]) * size + ints["journey"][near])
    return len(near) - len(kinds)
