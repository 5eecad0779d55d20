"""Breaks in recording: a measure or a journey that falls silent, or is recorded more or less than before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from features.health_jumps import Series, apart, jumps, month_number
from features.manifest import Periods, Volume

__all__ = ["Break", "Hole", "find_breaks", "find_silence", "find_volume_holes"]

_FEWEST = 50
_LEAST = 0.2
_MOST_HOLES = 2
_EXPECTED = 20  # rows: with so many to be expected, chance leaves none once in 500 million times


@dataclass(frozen=True, slots=True)
class Break:
    """A lasting change in how often a measure is missing.

    Parameters
    ----------
    measure, journey : str
        What changes.
    last_before, first_after : str
        The periods between which it changes; one of transition may lie between them.
    before, after : float
        Share missing, medians over up to three periods each.
    rows : int
        Rows without a value from ``first_after`` on.
    """

    measure: str
    journey: str
    last_before: str
    first_after: str
    before: float
    after: float
    rows: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Periods without any value or row, though there are many before and after.

    Parameters
    ----------
    name, journey : str
        The measure (empty: the journey itself), and the journey.
    first, last : str
        The periods.
    rows : int
        Rows without a value; for a journey, the rows of a period beside it.
    """

    name: str
    journey: str
    first: str
    last: str
    rows: int


def find_breaks(found: Periods) -> tuple[Break, ...]:
    """Find lasting changes of a measure's missing share.

    Parameters
    ----------
    found : Periods
        A measure in a journey.

    Returns
    -------
    tuple of Break
        In order of time.

    Notes
    -----
    Lasting jumps (:func:`features.health_jumps.jumps`) of at least 20 points, in periods with at least 50 rows. The
    sampling error of a share p of n rows is taken as the root of (p (1 - p) + 1 / n) / n, so that none or all missing
    is not certain.
    """
    used = [place for place, rows in enumerate(found.rows) if rows >= _FEWEST]
    rows, n = (np.array([part[place] for place in used], float) for part in (found.rows, found.n))
    share = 1 - n / rows
    error = np.sqrt((share * (1 - share) + 1 / rows) / rows)
    months = [month_number(found.periods[place]) for place in used]
    chosen = apart([jump for jump in jumps(Series(share, error, months), _LEAST) if jump.is_lasting])
    ends = [jump.place for jump in chosen][1:] + [len(used)] * bool(chosen)
    return tuple(
        Break(
            measure=found.measure,
            journey=found.journey,
            last_before=found.periods[used[jump.place - jump.pause - 1]],
            first_after=found.periods[used[jump.place]],
            before=jump.before,
            after=jump.after,
            rows=int((rows - n)[jump.place : end].sum()),
        )
        for jump, end in zip(chosen, ends, strict=True)
    )


def find_silence(found: Periods) -> tuple[Hole, ...]:
    """Find periods in which a measure is always missing, between such in which it is not.

    Parameters
    ----------
    found : Periods
        A measure in a journey.

    Returns
    -------
    tuple of Hole
        At most two runs of periods.

    Notes
    -----
    At least 20 values are expected in a run, from the median share p of the other periods. What comes in bursts by its
    nature, such as outages, is no hole: nine in ten of the other periods have at least p / 2, and there are not more
    than two such runs.
    """
    shares = [n / rows for n, rows in zip(found.n, found.rows, strict=True) if n]
    usual, low = np.quantile(shares, [0.5, 0.1]).tolist() if shares else (0.0, 0.0)
    holes = [
        Hole(found.measure, found.journey, found.periods[first], found.periods[last], sum(found.rows[first : last + 1]))
        for first, last in _empty_runs(found.n)
        if usual * sum(found.rows[first : last + 1]) >= _EXPECTED
    ]
    return tuple(holes) if low >= usual / 2 and len(holes) <= _MOST_HOLES else ()


def find_volume_holes(volumes: Sequence[Volume]) -> tuple[Hole, ...]:
    """Find months without any touchpoint of a journey, between months with at least 20 on both sides.

    Parameters
    ----------
    volumes : sequence of Volume
        Touchpoints by month and journey.

    Returns
    -------
    tuple of Hole
        By journey, in order of time.
    """
    return tuple(
        hole for name in dict.fromkeys(one.journey for one in volumes) for hole in _volume_holes(volumes, name)
    )


def _volume_holes(volumes: Sequence[Volume], journey: str) -> Iterator[Hole]:
    counts = {month_number(one.month): one.touchpoints for one in volumes if one.journey == journey}
    months = sorted(month for month in counts if month is not None)
    for before, after in pairwise(months):
        beside = min(counts[before], counts[after])
        if after - before > 1 and beside >= _EXPECTED:
            yield Hole("", journey, _named(before + 1), _named(after - 1), beside)


def _empty_runs(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last place of each run of zeros that has something before and after it."""
    filled = [place for place, count in enumerate(counts) if count]
    for before, after in pairwise(filled):
        if after - before > 1:
            yield before + 1, after - 1


def _named(month: int) -> str:
    year, number = divmod(month - 1, 12)
    return f"{year}-{number + 1:02d}"
