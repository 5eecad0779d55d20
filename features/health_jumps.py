"""Lasting jumps in a series of months: what a change in recording looks like, and a season or chance does not."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Jump", "Series", "apart", "jumps", "month_number"]

Floats: TypeAlias = NDArray[np.float64]

_SIGMAS = 6.0
_ABRUPT = 0.7
_YEAR = 12
_FEWEST_PERIODS = 3
_DEVIATION = 1.483  # standard deviations of a bell curve in its median absolute deviation


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A number in each period.

    Parameters
    ----------
    x : array of float, shape (t,)
        The number.
    error : array of float, shape (t,)
        Its standard error from sampling alone.
    months : sequence of int or None
        Number of the calendar month; None where a period is none, such as a wave. Months may be left out.
    """

    x: Floats
    error: Floats
    months: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Jump:
    """A jump to ``place``, ``pause`` (0 or 1) periods of transition before it.

    ``before`` and ``after`` are the levels, ``step`` the difference between the periods on both sides, ``is_lasting``
    says that the levels stay apart and that it is no season.
    """

    place: int
    pause: int
    before: float
    after: float
    step: float
    is_lasting: bool


def jumps(series: Series, least: float) -> list[Jump]:
    r"""Find all places at which a series jumps.

    Parameters
    ----------
    series : Series
        The periods in order.
    least : float
        Smallest jump of interest.

    Returns
    -------
    list of Jump
        By place; neighbouring places may tell of the same jump, see :func:`apart`.

    Notes
    -----
    The jump at t is the median of up to three periods from t on, less that of up to three before t (or before t - 1,
    which is then a period of transition). It counts if it is

    - *large*: at least ``least``, and at least 6 standard errors, made of the sampling errors on both sides and of how
      much neighbouring periods differ otherwise (median of :math:`|x_{t+1} - x_t|` times 1.483, without this jump);
    - *abrupt*: at least 70 % of it lies between t - 1 (or t - 2) and t.

    It is lasting if the periods of up to a year before and after, at least three each, stay on their side of the middle
    between the levels, and if, where the year before is there, less than half of it happened then too.
    """
    places = [(place, pause) for place in range(1, len(series.x)) for pause in (0, 1) if place - pause >= 1]
    found = (_jump(series, place, pause, least) for place, pause in places)
    return [jump for jump in found if jump is not None]


def apart(found: Sequence[Jump]) -> list[Jump]:
    """Keep the largest of jumps at neighbouring places; one without transition is preferred."""
    kept: list[Jump] = []
    for jump in sorted(found, key=lambda one: (-abs(one.step) * (1 - 0.1 * one.pause), one.place)):
        if all(abs(jump.place - other.place) > 1 for other in kept):
            kept.append(jump)
    return sorted(kept, key=lambda one: one.place)


def month_number(period: str) -> int | None:
    """Give the number of a month (``YYYY-MM``); None for what is not written as one, such as a wave.

    Examples
    --------
    >>> month_number("2024-02") - month_number("2023-12"), month_number("wave 2")
    (2, None)
    """
    if not re.fullmatch(r"\d{4}-\d{2}", period):
        return None
    year, month = period.split("-")
    return 12 * int(year) + int(month)


def _jump(series: Series, place: int, pause: int, least: float) -> Jump | None:
    """Try one place; None if nothing jumps there."""
    last, x = place - pause, series.x
    before, after = float(np.median(x[max(0, last - 3) : last])), float(np.median(x[place : place + 3]))
    size, step = after - before, float(x[place] - x[last - 1])
    if abs(size) < max(least, _SIGMAS * _error(series, last, place)) or step / size < _ABRUPT:
        return None
    side, halfway = math.copysign(1.0, step), (before + after) / 2
    earlier, later = x[max(0, last - _YEAR) : last], x[place : place + _YEAR]
    stays = bool((side * (later - halfway) > 0).all() and (side * (earlier - halfway) < 0).all())
    enough = min(len(earlier), len(later)) >= _FEWEST_PERIODS
    is_lasting = stays and enough and not _is_season(series, place, last, step)
    return Jump(place, pause, before, after, step, is_lasting)


def _error(series: Series, last: int, place: int) -> float:
    """Robust standard error of a jump: from sampling, and from what lies between neighbouring periods otherwise."""
    steps = np.delete(np.abs(np.diff(series.x)), np.arange(last - 1, place))
    usual = _DEVIATION * float(np.median(steps)) if len(steps) else 0.0
    sampling = np.median(series.error[max(0, last - 3) : last]), np.median(series.error[place : place + 3])
    return math.hypot(usual, *map(float, sampling))


def _is_season(series: Series, place: int, last: int, step: float) -> bool:
    """Whether half as large a step happened a year before."""
    at, before = series.months[place], series.months[last - 1]
    where = {month: number for number, month in enumerate(series.months) if month is not None}
    if at is None or before is None or not {at - _YEAR, before - _YEAR} <= set(where):
        return False
    then = float(series.x[where[at - _YEAR]] - series.x[where[before - _YEAR]])
    return then / step >= 0.5
