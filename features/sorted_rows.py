"""Rows of a table that does not fit into memory, in order: DuckDB sorts them, and spills what is too much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from features.memory import bytes_of
from features.sources import connected, quote
from features.study import Engine

__all__ = ["in_order_of"]

_ROWS = 65_536
_MOST = 256 * 2**20
"""Bytes that sorting may hold before it spills: with more, memory grows with the rows and nothing is faster."""


def in_order_of(
    key: str,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    store: Path,
    engine: Engine,
    *,
    same: Sequence[str] = (),
) -> Iterator[pa.Table]:
    """Put rows in the order of a text column.

    Parameters
    ----------
    key : str
        Column of text that no two rows share; compared by code points, as Python does.
    tables : iterable of pyarrow.Table
        Of any lengths.
    schema : pyarrow.Schema
        Of all of them.
    store : Path
        What does not fit into memory goes into a folder in it that is removed again.
    engine : Engine
        Memory, of which sorting takes 256 MiB at most, and threads.
    same : sequence of str
        Columns that hold one value throughout: kept once and not once a row.

    Yields
    ------
    pyarrow.Table
        All rows, ``65,536`` at a time.

    Raises
    ------
    StoreError
        Memory and disk are exhausted.
    ValueError
        A column of ``same`` holds two values.
    """
    sorted_part = pa.schema([field for field in schema if field.name not in set(same)])
    values: dict[str, pa.Scalar] = {}
    held = f"{min(bytes_of(engine.memory_limit), _MOST) // 2**20}MiB"
    with connected(store, engine.model_copy(update={"memory_limit": held})) as con:
        con.register("rows", sorted_part.empty_table())
        con.execute("CREATE TEMP TABLE waiting AS FROM rows")
        for table in tables:
            for name in same if table.num_rows else ():
                _keep(values, name, table[name])
            con.register("rows", table.select(sorted_part.names))
            con.execute("INSERT INTO waiting FROM rows")
        con.unregister("rows")
        for batch in con.sql(f"FROM waiting ORDER BY {quote(key)}").to_arrow_reader(_ROWS):
            found = pa.Table.from_batches([batch]).cast(sorted_part)
            columns = [
                pa.repeat(values[field.name], len(found)) if field.name in values else found[field.name]
                for field in schema
            ]
            yield pa.Table.from_arrays(columns, schema=schema)


def _keep(values: dict[str, pa.Scalar], name: str, column: pa.ChunkedArray) -> None:
    """Note the value of a column, which must be the one that was noted before."""
    distinct = column.unique()
    first = values.setdefault(name, distinct[0])
    if len(distinct) > 1 or distinct[0] != first:
        msg = f"column {name!r} holds {distinct[len(distinct) - 1]} beside {first}: it is not the same throughout"
        raise ValueError(msg)
