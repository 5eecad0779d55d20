"""Whether what arrived just before a batch is like what arrived before: month by month, or in spans of weeks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from features.health_units import FEWEST, UNITS
from features.layout import Layout
from features.manifest import LayoutManifest, Periods
from features.recent_weeks import Spans, count_spans, weeks_of
from features.snapshot import DAY, iso
from features.study import Study
from models.alarms import Check, Reason, verdict_of
from models.arrivals import Arrival, Arrivals, arrivals
from models.batch_rules import arrival_reasons, natural

__all__ = ["Arriving", "Sources", "arrived", "arrived_in_weeks", "left_out", "look_at_sources"]

_NEAR: Final = math.log(1.4)
_NAMED: Final = 8
"""Series that a note names."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """What arrived in a month or span, and in those of the reference.

    Attributes
    ----------
    when : str
        As it stands after "in": ``2025-05``, or ``the 7 days to 2025-06-02``.
    lag : int
        How many of them it lies after the last of the past.
    series : tuple of Arrival
        What was counted.
    """

    when: str
    lag: int
    series: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """What is said of what arrived.

    Attributes
    ----------
    reasons : tuple of Reason
        What strayed.
    check : Check
        In one line.
    table : DataFrame
        All that was judged, in natural numbers, with the month or span.
    notes : tuple of str
        What was not judged.
    """

    reasons: tuple[Reason, ...]
    check: Check
    table: pd.DataFrame
    notes: tuple[str, ...]


def look_at_sources(study: Study, layout: Layout, last_reference: int, at: int, alpha: float) -> Sources:
    """Look at what arrived before a batch.

    Parameters
    ----------
    study : Study
        Its cutoffs say in which spans: months for monthly ones; else whole weeks up to the cutoff, and the last full
        month for what is too rare to be judged by weeks.
    layout : Layout
        The tables.
    last_reference, at : int
        Last cutoff of the reference, and the cutoff of the batch.
    alpha : float
        Chance of telling anything of undisturbed sources.

    Returns
    -------
    Sources
    """
    outside = {
        f"{one.name} in {journey}" for one in study.measures if one.control == "none" for journey in study.journey_names
    }
    weeks = weeks_of(study)
    share = alpha / 2 if weeks else alpha
    found: list[tuple[str, Arrivals]] = []
    if weeks:
        by_weeks = arrived_in_weeks(count_spans(layout, study, at, weeks), last_reference, at)
        found.append((by_weeks.when, _judged(by_weeks, outside, share)))
    is_judged = {(row.what, row.aspect) for _, one in found for row in _rows(one.table)}
    by_month = arrived(layout.manifest, last_reference, at)
    rest = replace(by_month, series=tuple(one for one in by_month.series if (one.what, one.aspect) not in is_judged))
    if rest.series or not weeks:
        found.append((rest.when, _judged(rest, outside, share)))
    return _told(study, found, alpha)


def _judged(arriving: Arriving, outside: set[str], alpha: float) -> Arrivals:
    return arrivals([one for one in arriving.series if one.what not in outside], lag=arriving.lag, alpha=alpha)


def _told(study: Study, found: Sequence[tuple[str, Arrivals]], alpha: float) -> Sources:
    reasons: list[Reason] = []
    values, tables = [], []
    for when, one in found:
        said, told = arrival_reasons(one, when, _units(study, one))
        reasons += said
        values.append(f"{len(told)} of {len(one.table)} series of {when} strayed")
        tables.append(natural(one.table).assign(period=when))
    expected = f"none, in {1 - alpha:.0%} of undisturbed batches"
    if not any(one.months for _, one in found):
        expected = "too short a past to say"
    check = Check("sources", "; ".join(values), expected, verdict_of(reasons))
    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    # What is too rare by weeks is judged, or named, by the month.
    return Sources(tuple(reasons), check, table, left_out(found[-1][1], found[-1][0]))


def arrived(manifest: LayoutManifest, last_reference: int, at: int) -> Arriving:
    """Count what arrived in the last full month before a cutoff, and in the months of the reference.

    Parameters
    ----------
    manifest : LayoutManifest
        Counts by month.
    last_reference, at : int
        Last cutoff of the reference, and the cutoff of the batch.

    Returns
    -------
    Arriving
        A month with fewer than 30 values tells nothing of a size or a share, and of a volume only where 30 were usual.
    """
    first = pd.Period(iso(manifest.data_start), "M") + 1  # the first month is seldom whole
    new = pd.Period(iso(at), "M") - 1
    end = min(pd.Period(iso(last_reference), "M") - 1, new - 1)
    months = [str(one) for one in pd.period_range(first, end, freq="M")] if end >= first else []
    counted = {(one.month, one.journey): one.touchpoints for one in manifest.volumes}
    lag = (new - end).n if months else 1
    return Arriving(str(new), lag, _series(counted, manifest.stock.periods, months, str(new)))


def arrived_in_weeks(spans: Spans, last_reference: int, at: int) -> Arriving:
    """Take the last span before a cutoff, and those that had ended at the last cutoff of the reference.

    Parameters
    ----------
    spans : Spans
        From :func:`features.recent_weeks.count_spans`.
    last_reference, at : int
        Last cutoff of the reference, and the cutoff of the batch.

    Returns
    -------
    Arriving
        Without any series where there are no spans.
    """
    if not spans.names:
        return Arriving(f"the {spans.days} days to {iso(at)}", 1, ())
    lag = max(1, -(-(at - last_reference) // (spans.days * DAY)))
    past, new = spans.names[: max(0, len(spans.names) - lag)], spans.names[-1]
    return Arriving(new, lag, _series(spans.volumes, spans.periods, past, new))


def _series(
    volumes: Mapping[tuple[str, str], int], periods: Sequence[Periods], past: Sequence[str], new: str
) -> tuple[Arrival, ...]:
    series = [one for found in periods for one in _of_measure(found, past, new)]
    for journey in sorted({name for _, name in volumes}):
        before = [volumes.get((when, journey), 0) for when in past]
        if before and np.median(before) >= FEWEST:
            now = volumes.get((new, journey), 0)
            series.append(
                Arrival(journey, "volume", tuple(math.log(max(n, 1)) for n in before), math.log(max(now, 1)), now)
            )
    return tuple(series)


def _of_measure(found: Periods, past: Sequence[str], new: str) -> Iterator[Arrival]:
    place = {period: at for at, period in enumerate(found.periods)}
    for aspect, value in (("size", _size), ("missing", _missing), ("nonzero", _nonzero)):
        told = [value(found, place[when]) if when in place else math.nan for when in (*past, new)]
        n = found.n[place[new]] if new in place else 0
        yield Arrival(f"{found.measure} in {found.journey}", aspect, tuple(told[:-1]), told[-1], n)


def _size(found: Periods, at: int) -> float:
    quartiles = found.quartiles[at]
    return math.log(quartiles[1]) if quartiles is not None and found.nonzero[at] >= FEWEST else math.nan


def _missing(found: Periods, at: int) -> float:
    rows = found.rows[at]
    return math.asin(math.sqrt(1 - found.n[at] / rows)) if rows >= FEWEST else math.nan


def _nonzero(found: Periods, at: int) -> float:
    n = found.n[at]
    return math.asin(math.sqrt(found.nonzero[at] / n)) if n >= FEWEST else math.nan


def left_out(found: Arrivals, when: str) -> tuple[str, ...]:
    """Say which series of a month were not judged, in a sentence; nothing where all were, or none could be."""
    names, more = ", ".join(found.left_out[:_NAMED]), len(found.left_out) - _NAMED
    if not names or not found.months:
        return ()
    rest = f" and {more} more" if more > 0 else ""
    return (f"Not judged in {when}, as it or too many months before it have too few values: {names}{rest}.",)


def _units(study: Study, found: Arrivals) -> Mapping[str, str]:
    """Name the changes of unit that would multiply sizes as they were multiplied."""
    kinds = {one.name: one.kind for one in study.measures}
    named: dict[str, str] = {}
    for row in _rows(found.table.loc[found.table["aspect"].eq("size")]):
        measure = str(row.what).split(" in ", 1)[0]
        apart = float(row.value) - float(row.centre)
        rates = UNITS.get(kinds.get(measure, ""), {})
        rate = min(rates, key=lambda one: abs(abs(apart) - math.log(one)), default=1)
        if rate > 1 and abs(abs(apart) - math.log(rate)) <= _NEAR:
            names = rates[rate].split(", ")
            named[str(row.what)] = " to ".join(names if apart > 0 else reversed(names))
    return named


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    rows: Iterator[Any] = table.itertuples()
    return rows
