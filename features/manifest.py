"""What a layout says of itself: rows, measures, journeys and levels that were found, and from what it was made."""

import math

from pydantic import BaseModel, ConfigDict

__all__ = [
    "FORMAT",
    "Clock",
    "Code",
    "Instant",
    "Join",
    "JourneyFound",
    "LateBooking",
    "LayoutManifest",
    "MeasureFound",
    "Order",
    "Periods",
    "Quarantined",
    "RowCount",
    "Stock",
    "Volume",
]

FORMAT = 5
"""Version of the files; another one is laid out anew."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Quarantined(_Record):
    """Rows of one table that are in quarantine for one reason; ``examples`` are the numbers of the first, from 1."""

    table: str
    reason: str
    rows: int
    examples: tuple[int, ...] = ()


class RowCount(_Record):
    """Rows of one table: as read, and as laid out."""

    table: str
    read: int
    kept: int


class MeasureFound(_Record):
    """What a measure looks like; ``low``, ``high``, ``mean`` and ``median`` are NaN when it is always missing.

    ``median`` is up to 1/128 nearer to zero than the median of the values (:mod:`features.sketch`). ``by_journey``
    counts the values that are not missing in each journey. ``missing_share`` is taken among the touchpoints of the
    journeys for which the measure is declared, or in which it occurs where none are declared.
    """

    name: str
    n: int
    missing_share: float
    low: float
    high: float
    mean: float
    by_journey: dict[str, int]
    median: float = math.nan


class JourneyFound(_Record):
    """A journey that occurs: its touchpoints, and its instances."""

    name: str
    touchpoints: int
    instances: int


class Volume(_Record):
    """Touchpoints of one journey in one month (``YYYY-MM``, UTC)."""

    month: str
    journey: str
    touchpoints: int


class Periods(_Record):
    """A measure in one journey, period by period: months (``YYYY-MM``, UTC) of events, waves of a flat table.

    ``rows`` could hold the measure, ``n`` do. ``quartiles`` (25, 50 and 75 %) are taken over the sizes of the values
    other than 0, of which there are ``nonzero``: a change of unit multiplies all three alike, however many zeros there
    are. Medians and quartiles are up to 1/128 too near to zero, and None without values.
    """

    measure: str
    journey: str
    periods: tuple[str, ...]
    rows: tuple[int, ...]
    n: tuple[int, ...]
    median: tuple[float | None, ...]
    nonzero: tuple[int, ...]
    quartiles: tuple[tuple[float, float, float] | None, ...]


class Code(_Record):
    """A value of a measure that looks like a code for something that is not known (:mod:`features.health_codes`).

    ``is_outside`` says that its rows are in quarantine. ``low`` and ``high`` bound the other values.
    """

    measure: str
    value: float
    rows: int
    is_outside: bool
    low: float
    high: float


class Join(_Record):
    """What is left of a table when its rows look for their customer: ``customers`` are found in its good rows."""

    table: str
    read: int
    unknown: int
    customers: int


class Order(_Record):
    """Good rows of a table at odd times in a customer's life: ``after_churn`` and ``after_end`` by more than a day.

    ``churners`` are the customers of the rows after churn. Without a table of churn there are none.
    """

    table: str
    before_joining: int
    after_churn: int
    churners: int
    after_end: int


class LateBooking(_Record):
    """Touchpoints of a journey that became known after they happened: how many of its rows, and days they were late."""

    journey: str
    rows: int
    late: int
    median_days: float
    p95_days: float


class Clock(_Record):
    """Times of day in a journey: rows at each full hour (UTC, to the second), and at any other time."""

    journey: str
    hours: tuple[int, ...]
    others: int


class Instant(_Record):
    """A moment that holds far more rows of a kind of touchpoint than its moments ``usually`` do."""

    at: int
    journey: str
    touchpoint: str
    rows: int
    usually: float


class Stock(_Record):
    """What was counted for data health, in one pass over the rows.

    ``without_touchpoints``, ``without_revenue`` and ``without_either`` count customers; ``same_moment`` touchpoints of
    a kind that the same customer already had at the same moment, with other values; ``lifted`` touchpoints that were
    known before they happened, and count from when they happen. ``has_known_at`` says that there is such a column.
    """

    periods: tuple[Periods, ...] = ()
    codes: tuple[Code, ...] = ()
    joins: tuple[Join, ...] = ()
    order: tuple[Order, ...] = ()
    late: tuple[LateBooking, ...] = ()
    clocks: tuple[Clock, ...] = ()
    instants: tuple[Instant, ...] = ()
    without_touchpoints: int = 0
    without_revenue: int = 0
    without_either: int = 0
    same_moment: int = 0
    lifted: int = 0
    has_known_at: bool = False


class LayoutManifest(_Record):
    """What a layout holds, and from what it was made.

    ``fingerprint`` is a hash of the study and of the laid out rows; ``inputs`` of the study and of names, sizes and
    times of the source files, by which a layout is used again. Times are microseconds. ``zoneless`` names the time
    columns that were read as UTC for want of a zone, ``undeclared`` some journeys that are not in the map,
    ``has_sessions`` says whether journeys were found by pauses, ``corrected`` counts touchpoints that a later version
    replaced, ``with_touchpoints`` counts customers that have any, ``before_joining`` touchpoints before their customer
    joined.
    """

    format: int
    fingerprint: str
    inputs: str
    data_start: int
    data_end: int
    buckets: int
    n_customers: int
    rows: tuple[RowCount, ...]
    quarantined: tuple[Quarantined, ...]
    measures: tuple[MeasureFound, ...]
    journeys: tuple[JourneyFound, ...]
    levels: dict[str, tuple[str, ...]]
    has_sessions: bool = False
    corrected: int = 0
    pairs: tuple[tuple[str, str], ...]
    covariates: dict[str, str]
    zoneless: tuple[str, ...]
    undeclared: tuple[str, ...]
    volumes: tuple[Volume, ...]
    with_touchpoints: int
    before_joining: int
    stock: Stock = Stock()

    @property
    def n_touchpoints(self) -> int:
        """Touchpoints that were laid out."""
        return next(count.kept for count in self.rows if count.table == "touchpoints")
