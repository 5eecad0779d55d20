"""Sorted rows cut into buckets of whole customers, made unique, numbered by journey, written as Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import DataError
from features.journeys import NEVER, split_sessions
from features.snapshot import DAY
from features.sources import ROW
from features.tables import HASH, JOURNEY, NAMED
from features.tally import Tally

__all__ = ["LABELS", "OPTIONAL_LABELS", "Laid", "cut", "lay_touchpoints", "read_table", "write_table"]

Ints: TypeAlias = NDArray[np.int64]

LABELS = ("journey", "touchpoint", "channel")
"""Columns that every touchpoint has, kept as codes with the same levels in every bucket."""

OPTIONAL_LABELS = ("department", "cause")
"""Text columns that a study may have; a missing text has no code."""

KEYS = ("customer_key", "occurred_at", "known_at")
OPTIONAL = ("replaced_at",)

_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


@dataclass(frozen=True, slots=True)
class Laid:
    """The touchpoints of a bucket in their final form, and a hash (uint64) of what each says."""

    table: pa.Table
    hashes: NDArray[np.uint64]


def cut(rows: pa.RecordBatchReader, customers_each: int, buckets: int) -> Iterator[pa.Table]:
    """Cut rows sorted by ``customer_key`` into buckets of ``customers_each`` customers, empty ones included."""
    bucket, parts = 0, []
    for batch in rows:
        start = 0
        keys = batch.column("customer_key").to_numpy(zero_copy_only=False)
        while start < len(keys):
            stop = int(np.searchsorted(keys, (bucket + 1) * customers_each))
            parts.append(batch.slice(start, stop - start))
            start = stop
            if start < len(keys):
                yield pa.Table.from_batches(parts, rows.schema)
                bucket, parts = bucket + 1, []
    while bucket < buckets:
        yield pa.Table.from_batches(parts, rows.schema)
        bucket, parts = bucket + 1, []


def lay_touchpoints(rows: pa.Table, tally: Tally, gaps: Mapping[str, float]) -> Laid:
    """Turn the touchpoints of a bucket into their final form.

    Parameters
    ----------
    rows : pyarrow.Table
        Sorted by customer and time, with label codes, a hash of ``journey_id`` (-1 without one), measures with missing
        values, a hash of each row, and the row number.
    tally : Tally
        Counts on; gives the first journey number of the bucket.
    gaps : mapping of str to float
        By journey: days without a touchpoint after which a journey without id has ended.

    Returns
    -------
    Laid
        customer_key, journey, journey_key, touchpoint, channel, occurred_at, known_at, the optional columns that are
        there (department, cause, is_session, replaced_at), measures; labels as codes.
    """
    rows = _settled(rows.combine_chunks(), tally)
    names = [name for name in (*KEYS, *tally.levels, *OPTIONAL) if name in rows.column_names]
    ints = {name: rows[name].to_numpy().astype(np.int64, copy=False) for name in names}
    values = {name: rows[name].to_numpy(zero_copy_only=False).astype(np.float64, copy=False) for name in tally.measures}
    ids = rows[JOURNEY].to_numpy()
    hashes = rows[HASH].to_numpy().astype(np.uint64, copy=False)
    exact = [ints[name] for name in ("customer_key", "occurred_at", *tally.levels)] + [ids]
    is_named = rows[NAMED].to_numpy(zero_copy_only=False)
    keep = is_named | ~_repeats(exact, list(values.values()))
    if not keep.all():
        tally.duplicates.append(rows[ROW].to_numpy()[~keep].astype(np.int64))
        ints = {name: column[keep] for name, column in ints.items()}
        values = {name: column[keep] for name, column in values.items()}
        ids, hashes = ids[keep], hashes[keep]
    gap = np.array([round(gaps[name] * DAY) for name in tally.levels["journey"]], np.int64)
    keys, new_journeys = _journey_keys(ints, ids, gap[ints["journey"]])
    columns = {"customer_key": ints.pop("customer_key"), "journey_key": keys + tally.next_journey} | ints
    columns["is_session"] = ids < 0
    codes = {name: columns[name].astype(np.int16) for name in tally.levels}
    table = pa.table(
        {name: pa.array(column) for name, column in (columns | codes).items()}
        | {name: pa.array(column, from_pandas=True) for name, column in values.items()}
    )
    if "replaced_at" in columns:
        final = columns["replaced_at"] == NEVER
        columns = {name: column[final] for name, column in columns.items()}
        values = {name: column[final] for name, column in values.items()}
    tally.add(columns, new_journeys, values)
    return Laid(table, hashes)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table; equal tables give equal bytes."""
    # Whole numbers are keys and moments, whose dictionaries would be as large as they are.
    repeated = [field.name for field in table.schema if not pa.types.is_int64(field.type)]
    options = {"compression": "lz4", "row_group_size": 500_000, "write_statistics": False}
    pq.write_table(table, path, use_dictionary=repeated, **options)


def read_table(path: Path, levels: Mapping[str, Sequence[str]]) -> pa.Table:
    """Read a table; the codes of labels become dictionaries."""
    table = pq.read_table(path, partitioning=None).combine_chunks()
    for name in set(levels) & set(table.column_names):
        column = table[name].combine_chunks().cast(pa.int32())
        codes = pc.if_else(pc.less(column, 0), pa.scalar(None, pa.int32()), column)
        labelled = pa.DictionaryArray.from_arrays(codes, pa.array(levels[name], pa.string()))
        table = table.set_column(table.column_names.index(name), name, labelled)
    return table


def _settled(rows: pa.Table, tally: Tally) -> pa.Table:
    """Put the touchpoints of one customer and moment into an order that follows from what they say."""
    customer, moment = rows["customer_key"].to_numpy(), rows["occurred_at"].to_numpy()
    is_tied = np.zeros(len(customer), bool)
    same = (customer[1:] == customer[:-1]) & (moment[1:] == moment[:-1])
    is_tied[1:] |= same
    is_tied[:-1] |= same
    if not is_tied.any():
        return rows
    tied = np.flatnonzero(is_tied)
    part = rows.take(pa.array(tied))
    labels = [name for name in ("touchpoint", "channel", *OPTIONAL_LABELS) if name in tally.levels]
    keys = [part[name].to_numpy() for name in ("customer_key", "occurred_at", *labels)]
    keys += [np.nan_to_num(part[name].to_numpy(zero_copy_only=False), nan=-np.inf) for name in tally.measures]
    keys += [part[name].to_numpy() for name in ("journey", JOURNEY, "known_at", ROW)]
    order = np.arange(len(customer))
    order[tied] = tied[np.lexsort(keys[::-1])]
    return rows.take(pa.array(order))


def _repeats(exact: Sequence[Ints], values: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Mark rows that equal the row before them; missing values equal each other."""
    repeats = np.zeros(len(exact[0]), bool)
    if len(repeats) < 2:
        return repeats
    equal = np.ones(len(repeats) - 1, bool)
    for column in exact:
        equal &= column[1:] == column[:-1]
    at = np.flatnonzero(equal)
    for measure in values:
        at = at[(measure[at] == measure[at + 1]) | (np.isnan(measure[at]) & np.isnan(measure[at + 1]))]
    repeats[at + 1] = True
    return repeats


def _journey_keys(ints: Mapping[str, Ints], ids: Ints, gap: Ints) -> tuple[Ints, Ints]:
    """Give each row the number of its journey, by first row, and each journey its code.

    Rows are sorted by customer and moment; the numbers depend on nothing else, so that buckets do not matter.
    """
    customer, journey = ints["customer_key"], ints["journey"]
    mixed = customer.view(np.uint64) * _ODD[0] + journey.view(np.uint64) * _ODD[1] + ids.view(np.uint64) * _ODD[2]
    pause = np.flatnonzero(ids < 0)
    if len(pause):
        mixed[pause] += _sessions(pause, customer, journey, ints["occurred_at"], gap).view(np.uint64)
    keys, first_rows = _numbered(mixed)
    if any((one != one[first_rows][keys]).any() for one in (customer, journey, ids)):
        raise DataError(
            "touchpoints: two journeys have the same hash, which happens once in a million tables of a million "
            "touchpoints. Add a letter to all journey_ids and run again."
        )
    return keys, journey[first_rows]


def _numbered(mixed: NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Give equal values the same number, in the order of their first rows, and give these rows."""
    # By a hash table: sorting takes three times as long.
    keys = np.asarray(pd.factorize(mixed)[0], np.int64)
    return keys, np.flatnonzero(np.diff(np.maximum.accumulate(keys), prepend=-1))


def _sessions(rows: Ints, customer: Ints, journey: Ints, moment: Ints, gap: Ints) -> Ints:
    """Tell apart, by numbers from 1, the journeys of rows that have no id, by the pauses between them."""
    order = rows[np.lexsort((journey[rows], customer[rows]))]
    numbers = np.empty(len(moment), np.int64)
    numbers[order] = np.cumsum(split_sessions(order, (customer, journey), moment, gap))
    return numbers[rows]
