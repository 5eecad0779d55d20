"""The point-in-time law on a user's own extract: features at a cutoff from all rows, and from those known then.

Both sides go all the way: sources, the user's own queries, checks, layout, folds. What differs knew the future.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.layout import Layout
from features.measures import Catalogue, catalogue
from features.panel_rows import BucketRows, observe, recorded_in
from features.study import Study

__all__ = ["AT_RISK", "Compared", "Deviation", "compare", "pinned_catalogue"]

AT_RISK = "at risk"
"""Stands among the names of features for the question who is at risk."""

ROUNDING = 1e-12
"""Differences up to this share of the largest value are rounding: sums in a query depend on the order of the rows."""

_SINGLE = 2.0**-22
"""Two units in the last place of single precision: what rounding may become when features are stored so."""

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Deviation:
    """A feature, or who is at risk, that is not the same from all rows and from the rows known at the cutoff.

    Attributes
    ----------
    name : str
        The feature; `AT_RISK` for customers who are at risk on one side only.
    rows, of : int
        Customers for whom it differs, of how many.
    largest : float
        Largest absolute difference; missing for text, and where never both sides have a value.
    """

    name: str
    rows: int
    of: int
    largest: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Two builds at one cutoff.

    Attributes
    ----------
    cutoff : int
        Microseconds.
    rows : int
        Customers at risk on either side.
    deviations : tuple of Deviation
        Who is at risk first, then features in the order of the catalogue; empty if all is equal.
    rounded : tuple of str
        Features that are equal up to rounding, and not bit for bit.
    """

    cutoff: int
    rows: int
    deviations: tuple[Deviation, ...]
    rounded: tuple[str, ...]


def pinned_catalogue(study: Study, layout: Layout) -> Catalogue:
    """Give the features of a study as its whole extract has them, for both sides of a comparison."""
    return catalogue(study, recorded_in(layout.manifest), observe(layout, study.measure_names))


def compare(study: Study, found: Catalogue, whole: Layout, then: Layout | None, cutoff: int) -> Compared:
    """Compare the features at a cutoff of a whole extract with those of the extract as it was known then.

    Parameters
    ----------
    study : Study
        An event study.
    found : Catalogue
        From `pinned_catalogue`: the same for both.
    whole, then : Layout
        The two extracts; None for an extract that could not be laid out, of which nothing is at risk.
    cutoff : int
        Microseconds.

    Returns
    -------
    Compared

    Notes
    -----
    Customers are matched by their id; their keys follow from it. Outcomes lie after the cutoff by nature and are not
    compared. Layout and engine are exact; a sum of decimals in the user's query is not, for it depends on the order in
    which DuckDB adds. Memory: a bucket of each side.
    """
    tally = _Tally([feature.name for feature in found.features])
    schema = whole.bucket(0).touchpoints.schema
    theirs = _rows(study, found, then, cutoff, schema) if then is not None else iter(())
    for piece, other in _aligned(_rows(study, found, whole, cutoff, schema), theirs):
        tally.add(piece, other)
    return Compared(cutoff, tally.matched + tally.alone, tally.deviations(), tally.rounded())


class _Tally:
    """Counts, piece by piece, in how many rows each feature differs."""

    def __init__(self, names: Sequence[str]) -> None:
        self.matched = self.alone = 0
        self._rows = dict.fromkeys(names, 0)
        self._inexact = dict.fromkeys(names, 0)
        self._largest = dict.fromkeys(names, np.nan)

    def add(self, ours: pa.Table, theirs: pa.Table) -> None:
        """Match two pieces with the same range of customers."""
        place = pc.index_in(ours["customer_id"], theirs["customer_id"].combine_chunks()).combine_chunks()
        left, right = ours.filter(place.is_valid()), theirs.take(place.drop_null())
        self.matched += left.num_rows
        self.alone += ours.num_rows + theirs.num_rows - 2 * left.num_rows
        for name in self._rows:
            self._count(name, left[name], right[name])

    def deviations(self) -> tuple[Deviation, ...]:
        """List what differs."""
        found = [Deviation(AT_RISK, self.alone, self.matched + self.alone, np.nan)] if self.alone else []
        for name, rows in self._rows.items():
            if rows:
                found.append(Deviation(name, rows, self.matched, float(self._largest[name])))
        return tuple(found)

    def rounded(self) -> tuple[str, ...]:
        """List what differs by no more than rounding."""
        return tuple(name for name, rows in self._inexact.items() if rows and not self._rows[name])

    def _count(self, name: str, left: pa.ChunkedArray, right: pa.ChunkedArray) -> None:
        if pa.types.is_floating(left.type):
            a, b = (np.asarray(side.to_numpy(), np.float64) for side in (left, right))
            at = np.flatnonzero(_differ(a, b))
            if len(at):
                rounding = np.full(len(at), ROUNDING * float(np.nanmax(np.abs(a), initial=0.0)))
                if pa.types.is_float32(left.type):
                    rounding = np.fmax(rounding, _SINGLE * np.abs(a[at]))
                self._count_numbers(name, np.abs(a[at] - b[at]), rounding)
        else:
            same = pc.equal(left, right).fill_null(fill_value=False).to_numpy()
            differs = ~same & ~(left.is_null().to_numpy() & right.is_null().to_numpy())
            self._rows[name] += int(np.count_nonzero(differs))

    def _count_numbers(self, name: str, gaps: Floats, rounding: Floats) -> None:
        is_rounding = gaps <= rounding
        self._inexact[name] += int(np.count_nonzero(is_rounding))
        self._rows[name] += int(np.count_nonzero(~is_rounding))
        if not is_rounding.all():
            self._largest[name] = np.fmax(self._largest[name], np.fmax.reduce(gaps))


def _differ(a: Floats, b: Floats) -> Bools:
    """Compare bit for bit; all missing values are one."""
    return np.not_equal(a.view(np.int64), b.view(np.int64)) & ~(np.isnan(a) & np.isnan(b))


def _rows(study: Study, found: Catalogue, layout: Layout, cutoff: int, schema: pa.Schema) -> Iterator[pa.Table]:
    """Build the rows at a cutoff, bucket by bucket, which is in the order of the customers' keys."""
    names = ["customer_key", "customer_id", *(feature.name for feature in found.features)]
    for number in range(layout.manifest.buckets):
        bucket = layout.bucket(number)
        bucket = replace(bucket, touchpoints=_completed(bucket.touchpoints, schema))
        yield BucketRows(study, found, bucket).at(cutoff, is_mature=False).select(names)


def _completed(touchpoints: pa.Table, schema: pa.Schema) -> pa.Table:
    """Add the optional columns of another layout, which say nothing where they are absent: no session, no label."""
    for field in schema:
        if field.name not in touchpoints.column_names and not pa.types.is_integer(field.type):
            is_flag = pa.types.is_boolean(field.type)
            column = np.zeros(touchpoints.num_rows, bool) if is_flag else pa.nulls(touchpoints.num_rows, field.type)
            touchpoints = touchpoints.append_column(field.name, pa.array(column))
    return touchpoints


def _aligned(ours: Iterator[pa.Table], theirs: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Cut two sequences of rows, sorted by customer key, into pairs of pieces with the same range of keys."""
    rest = next(theirs, None)
    empty = None
    for piece in ours:
        parts, empty = [piece.slice(0, 0)], piece.slice(0, 0)
        while rest is not None and piece.num_rows:
            n = pc.sum(pc.less_equal(rest["customer_key"], piece["customer_key"][-1])).as_py() or 0
            parts.append(rest.slice(0, n))
            if n < rest.num_rows:
                rest = rest.slice(n)
                break
            rest = next(theirs, None)
        yield piece, pa.concat_tables(parts)
    while rest is not None:
        yield rest.slice(0, 0) if empty is None else empty, rest
        rest = next(theirs, None)
