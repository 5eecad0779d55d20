"""Changes of unit: a wait that was in minutes until June and is in seconds from July."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.health_jumps import Jump, Series, apart, jumps, month_number
from features.manifest import Periods

__all__ = ["UNITS", "Shift", "find_shifts"]

Floats: TypeAlias = NDArray[np.float64]

_TIMES = {
    7: "weeks, days",
    12: "years, months",
    24: "days, hours",
    60: "minutes, seconds",
    168: "weeks, hours",
    365: "years, days",
    1_000: "seconds, milliseconds",
    1_440: "days, minutes",
    3_600: "hours, seconds",
    60_000: "minutes, milliseconds",
    86_400: "days, seconds",
}
_SCALES = {
    2: "a scale of 5, one of 10",
    10: "a scale of 10, one of 100",
    20: "a scale of 5, one of 100",
}
_AMOUNTS = {100: "euros, cents", 1_000: "thousands, single ones", 1_000_000: "millions, single ones"}

UNITS: dict[str, dict[int, str]] = {
    "duration": _TIMES,
    "gap": _TIMES,
    "rating": _SCALES,
    "amount": _AMOUNTS,
    "count": _AMOUNTS,
    "share": {},
}
"""What multiplies values of a kind of measure when the first unit becomes the second; the inverse divides them."""

FEWEST = 30
"""Values other than 0 that a period needs; one with fewer is passed over."""

_LEAST = math.log(2)
_NEAR = math.log(1.4)
_CERTAIN = math.log(9.5)
_ROUNDING = 0.29  # standard deviation of what is lost when a number is made whole
_SAMPLING = 1.25  # standard error of a median, in standard deviations over the root of n, of a bell curve
_QUARTILES = 1.349  # standard deviations between the quartiles of a bell curve


@dataclass(frozen=True, slots=True)
class Shift:
    """A lasting jump of a measure in a journey.

    Parameters
    ----------
    measure, journey : str
        What jumps.
    last_before, first_after : str
        The periods between which it jumps; one period of transition may lie between them.
    before, after : float
        Medians of the sizes of the values other than 0, over up to three periods each.
    factor : float
        ``after / before``.
    unit : str
        The change of unit that would do this, such as ``'minutes to seconds'``; empty if none would.
    rate : int
        What it multiplies by, of ``UNITS``, whichever way; 1 if none would.
    rows : int
        Values from ``first_after`` on, until it jumps again.
    """

    measure: str
    journey: str
    last_before: str
    first_after: str
    before: float
    after: float
    factor: float
    unit: str
    rate: int
    rows: int


def find_shifts(found: Periods, kind: str) -> tuple[Shift, ...]:
    r"""Find lasting jumps in the size of a measure.

    Parameters
    ----------
    found : Periods
        A measure in a journey, period by period.
    kind : str
        Kind of the measure, for the units that it may have.

    Returns
    -------
    tuple of Shift
        In order of time.

    Notes
    -----
    The series is the logarithm of the median size of the values other than 0, in periods with at least 30 of them. A
    jump in it (:func:`features.health_jumps.jumps`) of at least a factor of 2 is told if

    - all three quartiles move the same way, by at least half of it: a unit moves all alike; a median that hops between
      two whole numbers, or a mixture that shifts, moves only one. In whole numbers the error of rounding counts too;
    - it is lasting; or its factor is at least 10 and within 40 % of one of ``UNITS`` or its inverse, at all quartiles:
      then it need not last, for nothing else multiplies everything by 60.

    False alarms: 3 in 6,000 simulated series of 6 to 60 months with 30 to 5,000 values each (exponential, lognormal,
    counts, ratings, zeros among them), with trends, differences between months of up to 20 %, and seasons of up to a
    factor of 3, slow or overnight; all three without a unit, in series of a year or less. Missed: what changes by less
    than a factor of 2, a single month that is not the last, and periods with fewer than 30 values.
    """
    used = [place for place, n in enumerate(found.nonzero) if n >= FEWEST]
    if len(used) < 2:
        return ()
    logs = np.log(np.array([found.quartiles[place] for place in used], float))
    months = [month_number(found.periods[place]) for place in used]
    series = Series(logs[:, 1], _error(logs, np.array([found.nonzero[place] for place in used], float)), months)
    likely = [jump for jump in jumps(series, _LEAST) if _is_likely(logs, jump, UNITS[kind])]
    chosen = apart(likely)
    ends = [jump.place for jump in chosen][1:] + [len(used)] * bool(chosen)
    return tuple(_told(found, used, logs, jump, end, UNITS[kind]) for jump, end in zip(chosen, ends, strict=True))


def _error(logs: Floats, n: Floats) -> Floats:
    """Give the sampling error of the logarithm of a median, from its quartiles."""
    sampling = _SAMPLING * (logs[:, 2] - logs[:, 0]) / _QUARTILES / np.sqrt(n)
    rounding = _ROUNDING / np.exp(logs[:, 1]) if (np.exp(logs).round(9) % 1 == 0).all() else 0.0
    return np.asarray(np.hypot(sampling, rounding))


def _sizes(logs: Floats, jump: Jump) -> Floats:
    """Jump of each quartile."""
    last = jump.place - jump.pause
    before, after = logs[max(0, last - 3) : last], logs[jump.place : jump.place + 3]
    return np.asarray(np.median(after, axis=0) - np.median(before, axis=0))


def _is_likely(logs: Floats, jump: Jump, units: Mapping[int, str]) -> bool:
    sizes = _sizes(logs, jump)
    is_certain = _rate(sizes, units) > 1 and abs(sizes[1]) > _CERTAIN
    return bool((sizes / sizes[1]).min() >= 0.5) and (is_certain or jump.is_lasting)


def _rate(sizes: Floats, units: Mapping[int, str]) -> int:
    """Give the unit that is nearest to the jump of the median, if all quartiles jump alike; 1 if none is near."""
    size = abs(float(sizes[1]))
    rate = min(units, key=lambda one: abs(size - math.log(one)), default=1)
    is_near = abs(size - math.log(rate)) <= _NEAR and np.ptp(sizes) <= max(2 * _NEAR, size / 4)
    return rate if is_near else 1


def _told(found: Periods, used: list[int], logs: Floats, jump: Jump, end: int, units: Mapping[int, str]) -> Shift:
    rate = _rate(_sizes(logs, jump), units)
    names = units.get(rate, "").split(", ")
    return Shift(
        measure=found.measure,
        journey=found.journey,
        last_before=found.periods[used[jump.place - jump.pause - 1]],
        first_after=found.periods[used[jump.place]],
        before=math.exp(jump.before),
        after=math.exp(jump.after),
        factor=math.exp(jump.after - jump.before),
        unit=" to ".join(names if jump.after > jump.before else reversed(names)),
        rate=rate,
        rows=sum(found.n[place] for place in used[jump.place : end]),
    )
