"""Moments of drivers from a Parquet file: batches from the engine, one GROUP BY in SQL, and all rows in memory.

Run: ``python -m benchmarks.driver_moments``; ``--rows 20000`` for a small size. Every form runs in a process of its own
with one thread; imports are not counted, memory is the largest resident size of the whole process. Shares of all forms
are compared: a difference above 1e-9 ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.panel_moments import relation_moments
from models.design_moments import design_moments
from models.drivers import MISSING_FLAG, Driver, design_matrix
from models.lattice import partial_out
from models.moments import covariance, group_moments

__all__ = ["FORMS", "main"]

FloatArray = NDArray[np.float64]

GAPPY = 3
"""Every third driver is missing for a fifth of the rows."""


def write_rows(path: Path, rows: int, drivers: int) -> None:
    """Write customers with five rows each, in no order."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"customer_id": [f"c{k:07d}" for k in rng.permutation(rows) // 5]})
    mood, outcome = rng.normal(size=rows), rng.normal(size=rows)
    for k in range(drivers):
        value = 50 + 10 * (rng.normal(size=rows) + 0.5 * mood)
        outcome += 0.02 * (value - 50) / (k + 1)
        frame[f"x{k}"] = np.where(rng.random(rows) < 0.2, np.nan, value) if k % GAPPY == 0 else value
    frame.assign(y=outcome).to_parquet(path, index=False)


def drivers_of(path: Path) -> tuple[Driver, ...]:
    names = [name for name in duckdb.read_parquet(str(path)).columns if name.startswith("x")]
    return tuple(
        Driver(name, "one", (name, MISSING_FLAG + name) if k % GAPPY == 0 else (name,)) for k, name in enumerate(names)
    )


def by_batches(path: Path) -> FloatArray:
    """Sum batch by batch, as ``journeylift explain`` does."""
    drivers = drivers_of(path)
    with duckdb.connect(config={"threads": 1}) as con:
        raw = relation_moments(con, f"'{path}'", [driver.columns[0] for driver in drivers], ["y"])
    return covariance(design_moments(raw, drivers, (), "y").moments.total())


def in_memory(path: Path) -> FloatArray:
    """Read all rows into a frame, fill a matrix, sum its products."""
    frame = pd.read_parquet(path)
    design = design_matrix(frame, drivers_of(path), (), "y", None)
    return covariance(group_moments(design.values, frame["customer_id"]).total())


def by_sql(path: Path) -> FloatArray:
    """Let the engine sum every product of two columns by hashed group."""
    drivers = drivers_of(path)
    with duckdb.connect(config={"threads": 1}) as con:
        columns = ["1.0"]
        for driver in drivers:
            name = driver.columns[0]
            columns += [f"coalesce(CASE WHEN isnan({name}) THEN NULL ELSE {name} - 50 END, 0)"]
            columns += [f"(isnan({name}) OR {name} IS NULL)::DOUBLE"] if len(driver.columns) > 1 else []
        columns += ["y"]
        pairs = list(combinations_with_replacement(range(len(columns)), 2))
        named = ", ".join(f"{column} AS z{k}" for k, column in enumerate(columns))
        sums = ", ".join(f"sum(z{i} * z{j})" for i, j in pairs)
        inner = f"SELECT hash(customer_id) % 1024 AS g, {named} FROM '{path}'"
        found = np.array(con.execute(f"SELECT {sums} FROM ({inner}) GROUP BY g").fetchall())
    total = np.zeros((len(columns), len(columns)))
    for (i, j), value in zip(pairs, found.sum(axis=0), strict=True):
        total[i, j] = total[j, i] = value
    T, place = np.eye(len(columns)), 1
    for driver in drivers:
        if len(driver.columns) > 1:
            mean = total[0, place] / (total[0, 0] - total[0, place + 1])
            T[place, 0], T[place, place + 1] = -mean, mean
        place += len(driver.columns)
    return covariance(T @ total @ T.T)


FORMS: dict[str, Callable[[Path], FloatArray]] = {
    "batches, BLAS by group": by_batches,
    "all rows in memory": in_memory,
    "one GROUP BY in SQL": by_sql,
}


def usefulness(C: FloatArray) -> FloatArray:
    """R2 of each column alone, given the first: enough to tell moments apart, whatever their units."""
    left = partial_out(C, [0])
    whole: FloatArray = left[:-1, -1] ** 2 / np.diagonal(left)[:-1] / C[-1, -1]
    return whole


def run_here(form: str, path: Path) -> None:
    """Run a form in this process and say what it took."""
    with threadpool_limits(1):
        started, busy = time.perf_counter(), time.process_time()
        C = FORMS[form](path)
        told = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - busy}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps(told | {"peak_mb": peak, "r2": usefulness(C).tolist()}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and measure; return 1 if answers differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--drivers", type=int, default=30)
    parser.add_argument("--form", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.form:
        run_here(asked.form, asked.file)
        return 0
    print(f"{asked.rows:,} rows, {asked.drivers} drivers, one thread")
    print("| form | seconds | CPU s | CPU x first | peak MB | peak x first |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_rows(path, asked.rows, asked.drivers)
        first: dict[str, float | list[float]] = {}
        for form in FORMS:
            command = [sys.executable, "-m", "benchmarks.driver_moments", "--form", form, "--file", str(path)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            first = first or told
            if np.abs(np.array(told["r2"]) / np.array(first["r2"]) - 1).max() > 1e-9:
                print(f"{form}: answers differ", file=sys.stderr)
                return 1
            times = [f"{told[name] / first[name]:.1f}" for name in ("cpu", "peak_mb")]  # type: ignore[operator]
            cells = [
                form,
                f"{told['seconds']:.1f}",
                f"{told['cpu']:.1f}",
                times[0],
                f"{told['peak_mb']:,.0f}",
                times[1],
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
