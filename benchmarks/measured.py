"""One form, run and measured in a process of its own: ``python -m benchmarks.measured MODULE FUNCTION TASK``.

Prints one line of JSON. Imports are not measured; processes that a form starts are. Standard library only.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.task import Task

__all__ = ["Measurement", "Work", "peak_bytes", "read", "written"]

_PACKAGES = ("numpy", "pyarrow", "pandas", "duckdb", "polars", "featuretools")


@dataclass(frozen=True, slots=True)
class Work:
    """What a form says of itself.

    Attributes
    ----------
    rows : int
        Rows written.
    columns : int
        Features in each row; 0 if it makes none.
    others_peak_bytes : int
        Sum of the largest memory of each process that it started.
    """

    rows: int
    columns: int = 170
    others_peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a run has cost.

    Attributes
    ----------
    seconds, cpu_seconds : float
        On the clock; of all cores, its processes included.
    peak_bytes : int
        Largest resident memory: the sum over processes, each at its own peak.
    rows, columns : int
        Of the result.
    load : tuple of float
        Load average of the last minute, before and after.
    versions : dict of str to str
        Packages in the environment.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    rows: int
    columns: int
    load: tuple[float, float]
    versions: dict[str, str]


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far.

    Linux hands ``ru_maxrss`` down from parent to child; its own high-water mark does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def written(task: Task) -> str:
    """Write a task as text for `read`."""
    return json.dumps(asdict(task), default=str)


def read(text: str) -> Task:
    """Read what `written` has written."""
    fields = json.loads(text)
    return Task(Path(fields["folder"]), Path(fields["out"]), tuple(fields["cutoffs"]), fields["memory"])


def _measure(module: str, function: str, task: Task) -> Measurement:
    form = getattr(importlib.import_module(module), function)
    before, busy, started = os.getloadavg()[0], _cpu_seconds(), time.perf_counter()
    work: Work = form(task)
    seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds() - busy
    peak = peak_bytes() + work.others_peak_bytes
    load = (before, os.getloadavg()[0])
    return Measurement(seconds, cpu_seconds, peak, work.rows, work.columns, load, _versions())


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(sys.argv[1], sys.argv[2], read(sys.argv[3])))), flush=True)
