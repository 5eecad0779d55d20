"""What no form can do without: reading the needed columns, grouping them once, sorting them. All by DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from benchmarks.measured import Work
from benchmarks.task import COLUMNS, MEASURES, Task

__all__ = ["group", "scan", "sort"]


def scan(task: Task) -> Work:
    """Read every value of the needed columns once; a hash of them, for sums and extremes come from the statistics."""
    query = f"SELECT count(*), bit_xor(hash({', '.join(COLUMNS)})) FROM read_parquet('{task.touchpoints}')"
    return _count(task, query)


def group(task: Task) -> Work:
    """Group the touchpoints by customer and journey type once, with five numbers for each measure."""
    parts = [f"{fold}({name}) AS {name}_{fold}" for name in MEASURES for fold in ("count", "sum", "min", "max", "avg")]
    rows = f"SELECT customer_id, journey, count(*) AS touches, max(occurred_at) AS latest, {', '.join(parts)}"
    grouped = f"{rows} FROM read_parquet('{task.touchpoints}') GROUP BY customer_id, journey"
    return _count(task, f"SELECT count(*), sum(touches), max(latest), {_sums()} FROM ({grouped})")


def sort(task: Task) -> Work:
    """Sort the touchpoints by customer and time, Parquet to Parquet, in ``<out>/sorted.parquet``."""
    rows = f"SELECT * FROM read_parquet('{task.folder}/touchpoints/*.parquet') ORDER BY customer_id, occurred_at"
    with _connected(task) as con:
        found = con.execute(f"COPY ({rows}) TO '{task.out}/sorted.parquet' (FORMAT parquet)").fetchone()
    return Work(int(found[0]) if found else 0, columns=0)


def _sums() -> str:
    return ", ".join(f"sum({name}_{fold})" for name in MEASURES for fold in ("count", "sum", "min", "max", "avg"))


def _count(task: Task, query: str) -> Work:
    with _connected(task) as con:
        found = con.execute(query).fetchone()
    return Work(int(found[0]) if found else 0, columns=0)


@contextmanager
def _connected(task: Task) -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": task.memory,
        "temp_directory": str(task.out / "spill"),
    }
    with duckdb.connect(config=config) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con
