"""What may be spent within a limit of memory: how much DuckDB gets, how many processes and threads work."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from features.study import Engine

__all__ = ["bytes_of", "memory", "scoring_threads", "within"]

_AMOUNT: Final = r"(\d+(?:\.\d+)?) ?(?:([KMGT])(i?))?B"
_UNITS: Final = {"K": 1, "M": 2, "G": 3, "T": 4}

_OWN: Final = 600 * 2**20
"""Python with everything imported, and the pieces of rows that are being worked on (measured)."""

_A_BUCKET: Final = 1_300 * 2**20
"""A process that builds the panel rows of a bucket of two million touchpoints (measured)."""

_A_CELL: Final = 64
"""A number of a piece that is being scored: two copies that wait, and what both models make of one (measured)."""

_LEAST: Final = 128 * 2**20
"""With less than this DuckDB does nothing useful."""


def memory(value: str) -> str:
    """Check an amount of memory."""
    if not re.fullmatch(_AMOUNT, value):
        raise ValueError(f"{value!r} is not an amount of memory. Expected a number and a unit, such as 4GB or 512MB.")
    return value


def bytes_of(text: str) -> int:
    """Read an amount of memory.

    Parameters
    ----------
    text : str
        As a study has it, such as ``2 GiB`` or ``512MB``.

    Returns
    -------
    int
        Bytes.

    Examples
    --------
    >>> bytes_of("2 GiB"), bytes_of("1.5KB")
    (2147483648, 1500)
    """
    found = re.fullmatch(_AMOUNT, memory(text))
    number, unit, binary = found.groups() if found else ("0", None, None)
    return int(float(number) * (1024 if binary else 1000) ** _UNITS.get(unit or "", 0))


def within(engine: Engine, limit: str | None) -> Engine:
    """Keep what the machine may spend within a limit.

    Parameters
    ----------
    engine : Engine
        What the study says otherwise; nothing here becomes larger.
    limit : str or None
        Of the memory of all processes together; None leaves everything as it is.

    Returns
    -------
    Engine
        DuckDB gets half of what Python leaves, for Arrow and NumPy hold what it hands over; and as many processes build
        the panel as fit, but always one.

    Examples
    --------
    >>> from features.study import Engine
    >>> found = within(Engine(memory_limit="4GB", workers=8), "4 GiB")
    >>> found.memory_limit, found.workers
    ('1748MiB', 2)
    """
    if limit is None:
        return engine
    room = max(0, bytes_of(limit) - _OWN)
    duckdb = max(_LEAST, min(bytes_of(engine.memory_limit), room // 2))
    workers = max(1, min(engine.workers, room // _A_BUCKET))
    return engine.model_copy(update={"memory_limit": f"{duckdb // 2**20}MiB", "workers": int(workers)})


def scoring_threads(engine: Engine, limit: str | None, cells: int) -> int:
    """Say how many pieces are scored at a time.

    Parameters
    ----------
    engine : Engine
        What the study says otherwise.
    limit : str or None
        Of the memory of all processes together.
    cells : int
        Rows of a piece times the features that its models need.

    Returns
    -------
    int
        One a processor that this process may use, no more than ``engine.threads``, and as many as fit beside DuckDB,
        but always one.

    Examples
    --------
    >>> from features.study import Engine
    >>> scoring_threads(Engine(threads=1), None, 8_192 * 150)
    1
    """
    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(may_use, engine.threads or may_use)
    if limit is None:
        return threads
    room = bytes_of(limit) - _OWN - bytes_of(within(engine, limit).memory_limit)
    return max(1, min(threads, room // (_A_CELL * max(1, cells))))
