"""Sorted rows cut into buckets of whole customers, made unique, numbered by journey, written as Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.tables import ROW
from features.tally import Tally

__all__ = ["LABELS", "cut", "lay_touchpoints", "read_table", "write_table"]

Ints: TypeAlias = NDArray[np.int64]

LABELS = ("journey", "touchpoint", "channel")
"""Columns that are kept as dictionaries, with the same levels in every bucket."""


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


def lay_touchpoints(rows: pa.Table, tally: Tally, session_gap: int) -> pa.Table:
    """Turn the sorted touchpoints of a bucket into their final form.

    Parameters
    ----------
    rows : pyarrow.Table
        In total order, with label codes, ``journey_id`` text, measures with missing values, and the row number.
    tally : Tally
        Counts on; gives the first journey number of the bucket.
    session_gap : int
        Microseconds without a touchpoint after which a journey without id has ended.

    Returns
    -------
    pyarrow.Table
        customer_key, journey, journey_key, touchpoint, channel, occurred_at, known_at, measures.
    """
    rows = rows.combine_chunks()
    values = {name: rows[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in tally.measures}
    ids = rows["journey_id"].combine_chunks().dictionary_encode()
    id_codes = np.asarray(ids.indices.fill_null(-1), np.int64)
    ints = {
        name: rows[name].to_numpy().astype(np.int64) for name in ("customer_key", "occurred_at", "known_at", *LABELS)
    }
    same = [ints[name] for name in ("customer_key", "occurred_at", *LABELS)] + [id_codes]
    keep = ~_repeats(same, list(values.values()))
    if not keep.all():
        tally.duplicates.append(rows[ROW].to_numpy()[~keep].astype(np.int64))
        ints = {name: column[keep] for name, column in ints.items()}
        values = {name: column[keep] for name, column in values.items()}
        id_codes = id_codes[keep]
    keys, new_journeys = _journey_keys(
        ints["customer_key"], ints["journey"], id_codes, ints["occurred_at"], session_gap
    )
    columns: dict[str, pa.Array] = {"customer_key": pa.array(ints["customer_key"])}
    labels = {name: _dictionary(ints[name], tally.levels[name]) for name in LABELS}
    columns |= {"journey": labels["journey"], "journey_key": pa.array(keys + tally.next_journey)}
    columns |= {"touchpoint": labels["touchpoint"], "channel": labels["channel"]}
    columns |= {name: pa.array(ints[name]) for name in ("occurred_at", "known_at")}
    columns |= {name: pa.array(column, from_pandas=True) for name, column in values.items()}
    tally.add(ints, new_journeys, values)
    return pa.table(columns)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table; equal tables give equal bytes."""
    pq.write_table(table, path, compression="lz4", row_group_size=500_000)


def read_table(path: Path, levels: Mapping[str, Sequence[str]]) -> pa.Table:
    """Read a table, its dictionaries in the order of the levels."""
    table = pq.read_table(path, partitioning=None).unify_dictionaries().combine_chunks()
    for name in set(LABELS) & set(table.column_names):
        column = table[name].combine_chunks()
        place = {level: code for code, level in enumerate(levels[name])}
        codes = np.array([place[level] for level in column.dictionary.to_pylist()], np.int64)
        labelled = _dictionary(codes[column.indices.to_numpy()], levels[name])
        table = table.set_column(table.column_names.index(name), name, labelled)
    return table


def _dictionary(codes: Ints, levels: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(levels, pa.string()))


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


def _journey_keys(customer: Ints, journey: Ints, ids: Ints, moment: Ints, session_gap: int) -> tuple[Ints, Ints]:
    """Give each row the number of its journey, by first row, and each journey its code.

    Rows are sorted by customer and moment; the numbers depend on nothing else, so that buckets do not matter.
    """
    order = np.lexsort((ids, journey, customer))
    customer, journey, ids, moment = customer[order], journey[order], ids[order], moment[order]
    is_new = np.ones(len(order), bool)
    if len(order) > 1:
        changes = (customer[1:] != customer[:-1]) | (journey[1:] != journey[:-1]) | (ids[1:] != ids[:-1])
        pauses = (ids[1:] < 0) & (moment[1:] - moment[:-1] > session_gap)
        is_new[1:] = changes | pauses
    first_rows = order[is_new]
    rank = np.empty(len(first_rows), np.int64)
    rank[np.argsort(first_rows)] = np.arange(len(first_rows))
    keys = np.empty(len(order), np.int64)
    keys[order] = rank[np.cumsum(is_new) - 1]
    return keys, journey[is_new]
