"""What arrived in the weeks before a cutoff: touchpoints of each journey and values of each measure, span by span.

Months are counted once, when the tables are laid out. Cutoffs that are nearer to each other than a month need shorter
spans, which end with the cutoff; whole weeks, so that each holds the same days of the week.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.journeys import NEVER
from features.layout import Layout
from features.manifest import Periods
from features.sketch import Sketch
from features.snapshot import DAY, iso
from features.study import Study
from features.tally import periods_of

__all__ = ["Spans", "count_spans", "weeks_of"]

_WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Spans:
    """What arrived in spans of equal length before a cutoff.

    Attributes
    ----------
    names : tuple of str
        Of the spans, ascending, such as ``the 7 days to 2025-06-02``; the last one ends with the cutoff.
    days : int
        Length of each.
    volumes : mapping of (str, str) to int
        Touchpoints by span and journey; spans without any are left out.
    periods : tuple of Periods
        Values of each measure in each journey in which it occurs.
    """

    names: tuple[str, ...]
    days: int
    volumes: Mapping[tuple[str, str], int]
    periods: tuple[Periods, ...]


def weeks_of(study: Study) -> int:
    """Say how many weeks a span reaches over: as few as cover the step of the cutoffs; 0 for monthly ones.

    Examples
    --------
    >>> from features.study import SnapshotGrid
    >>> steps = ("month", "week", 1, 7, 10)
    >>> [weeks_of(Study.model_construct(snapshot=SnapshotGrid(every=step))) for step in steps]
    [0, 1, 1, 1, 2]
    """
    every = study.snapshot.every
    if every == "month":
        return 0
    return 1 if every == "week" else -(-int(every) // _WEEK_DAYS)


def count_spans(layout: Layout, study: Study, at: int, weeks: int) -> Spans:
    """Count what arrived in each span of whole weeks before a cutoff.

    Parameters
    ----------
    layout : Layout
        The tables.
    study : Study
        Which measures, and for which journeys they are declared.
    at : int
        The cutoff, microseconds: a span holds what happened after its start and up to its end.
    weeks : int
        Length of a span.

    Returns
    -------
    Spans
        As many as fit between the first touchpoint and the cutoff. One bucket is in memory at a time.
    """
    length = weeks * _WEEK_DAYS * DAY
    count = max(0, (at - layout.manifest.data_start) // length)
    days = weeks * _WEEK_DAYS
    names = tuple(f"the {days} days to {iso(at - back * length)}" for back in reversed(range(count)))
    journeys = layout.manifest.levels["journey"]
    sketches = {name: Sketch() for name in study.measure_names}
    rows = np.zeros(count * len(journeys), np.int64)
    for number in range(layout.manifest.buckets):
        table = _in_the_end(layout.table(number, "touchpoints"))
        back = (at - table["occurred_at"].to_numpy()) // length
        is_here = (back >= 0) & (back < count)
        cells = (count - 1 - back) * len(journeys) + _codes(table["journey"])
        rows += np.bincount(cells[is_here], minlength=len(rows))
        for name in (one for one in sketches if one in table.column_names):
            values = table[name].to_numpy().astype(np.float64)
            is_given = is_here & ~np.isnan(values)
            sketches[name].add(cells[is_given], values[is_given])
    by_span = rows.reshape(count, len(journeys))
    volumes = {
        (names[at_], journeys[code]): int(by_span[at_, code]) for at_, code in zip(*np.nonzero(by_span), strict=True)
    }
    found = (
        one for name, sketch in sketches.items() for one in _periods(study, name, sketch, names, journeys, by_span)
    )
    return Spans(names, days, volumes, tuple(found))


def _periods(
    study: Study,
    measure: str,
    sketch: Sketch,
    names: tuple[str, ...],
    journeys: tuple[str, ...],
    by_span: NDArray[np.int64],
) -> Iterator[Periods]:
    declared = next(one.journeys for one in study.measures if one.name == measure)
    cells = sketch.cells
    for code, journey in enumerate(journeys):
        is_here = cells % len(journeys) == code
        if is_here.any() and (not declared or journey in declared):
            here = sketch.where(is_here).regrouped(cells[is_here] // len(journeys))
            there = np.flatnonzero(by_span[:, code]).tolist()
            yield periods_of(measure, journey, {names[at]: int(by_span[at, code]) for at in there}, here, there)


def _in_the_end(table: pa.Table) -> pa.Table:
    """Leave out what was corrected later."""
    if "replaced_at" not in table.column_names:
        return table
    return table.filter(pc.equal(table["replaced_at"], NEVER))


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = column.combine_chunks().indices.to_numpy().astype(np.int64)
    return codes
