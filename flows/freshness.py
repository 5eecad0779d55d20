"""How old the data are: the newest row of each table against the present, and what the study allows."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import DataError, StoreError, StudyError
from features.layout import Layout, open_layout
from features.scoring_rules import GROWING, age_limit
from features.snapshot import DAY, iso
from features.study import Study

__all__ = ["Age", "ages", "clock_warnings", "present", "refuse_stale", "stale", "told"]

_TIMES: Final = {"customers": "joined_at", "touchpoints": "known_at", "churn": "churned_at"}
"""The column that says when a row of a table came; ``occurred_at`` in the others."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Age:
    """How old a table is.

    Attributes
    ----------
    table : str
        Its name.
    newest : int
        Time of its newest good row, microseconds.
    now : int
        The present, microseconds.
    limit : str or None
        How old it may be, as the study says it.
    """

    table: str
    newest: int
    now: int
    limit: str | None

    @property
    def is_stale(self) -> bool:
        """Whether it is older than the study allows."""
        return self.limit is not None and self.now - self.newest > age_limit(self.limit)

    @property
    def text(self) -> str:
        """Its age for people, in whole days; in hours below one."""
        age = abs(self.now - self.newest)
        n, unit = (age // DAY, "day") if age >= DAY else (age // (DAY // 24), "hour")
        return f"{n:,} {unit}{'' if n == 1 else 's'} {'old' if self.now >= self.newest else 'ahead of the clock'}"


def present(now: str | None) -> int:
    """Give the present in microseconds.

    Parameters
    ----------
    now : str or None
        ISO 8601 for a run that shall take place at another time (UTC where no zone is given); None for the clock.

    Returns
    -------
    int
        Since 1970.

    Raises
    ------
    StudyError
        It is no time.

    Examples
    --------
    >>> present("1970-01-02") == DAY == present("1970-01-02T01:00:00+01:00")
    True
    """
    if now is None:
        return time.time_ns() // 1000
    try:
        at = datetime.fromisoformat(now)
    except ValueError as error:
        message = f"'{now}' is not a time. A date or time such as 2025-06-01 or 2025-06-01T04:00:00Z was expected."
        raise StudyError(message) from error
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def ages(study: Study, store: Path, now: int) -> tuple[Age, ...]:
    """Find the newest row of every table that grows or has an age in the study.

    Parameters
    ----------
    study : Study
        The study.
    store : Path
        Where its tables were laid out.
    now : int
        The present, microseconds.

    Returns
    -------
    tuple of Age
        Empty for a flat table, whose rows have no times; a table without good rows is left out.
    """
    if study.is_flat:
        return ()
    limits, layout = study.scoring.freshness, open_layout(store)
    tables = dict.fromkeys([*GROWING, *limits])
    newest = {table: _newest(layout, table) for table in tables}
    return tuple(Age(table, at, now, limits.get(table)) for table, at in newest.items() if at is not None)


def stale(found: Sequence[Age]) -> dict[str, str]:
    """Name the tables that are too old, with the day of their newest row."""
    return {one.table: iso(one.newest) for one in found if one.is_stale}


def refuse_stale(found: Sequence[Age]) -> None:
    """Refuse data that are older than the study allows.

    Parameters
    ----------
    found : sequence of Age
        Of each table.

    Raises
    ------
    DataError
        Names every table that is too old.
    """
    faults = [
        f"The newest row of {one.table} is of {iso(one.newest)}, {one.text}. At most {one.limit} were expected "
        "(scoring.freshness in the study)."
        for one in found
        if one.is_stale
    ]
    if faults:
        advice = "Bring newer data and run again, or score what there is: journeylift score --stale-anyway"
        raise DataError.collect(faults, advice)


def told(found: Sequence[Age]) -> str:
    """Say how old the tables are, in one line."""
    return "newest rows: " + ", ".join(f"{one.table} {iso(one.newest)} ({one.text})" for one in found)


def clock_warnings(found: Sequence[Age], now: int, last_scored: int | None) -> Iterator[str]:
    """Say where the clock cannot be right: before the newest row, or before the last scoring.

    Parameters
    ----------
    found : sequence of Age
        Of each table.
    now : int
        The present, microseconds.
    last_scored : int or None
        When scores were made before, microseconds.

    Yields
    ------
    str
        A sentence each. Scores do not depend on the clock, so these are warnings.
    """
    later = [f"the newest row of {one.table}, {_minute(one.newest)}" for one in found if one.newest > now]
    if last_scored is not None and last_scored > now:
        later.append(f"the last scoring, {_minute(last_scored)}")
    for what in later:
        yield f"warning: the clock says {_minute(now)}, before {what}. Scores do not hang on it, ages do: set it."


def _minute(moment: int) -> str:
    return (_EPOCH + timedelta(microseconds=moment)).strftime("%Y-%m-%d %H:%M")


def _newest(layout: Layout, table: str) -> int | None:
    """Look for the latest time in all buckets."""
    column = _TIMES.get(table, "occurred_at")
    latest = [pc.max(_column(layout, number, table, column)).as_py() for number in range(layout.manifest.buckets)]
    return max((one for one in latest if one is not None), default=None)


def _column(layout: Layout, number: int, table: str, name: str) -> pa.ChunkedArray:
    path = layout.root / f"bucket-{number:03d}" / f"{table}.parquet"
    try:
        return pq.read_table(path, columns=[name], partitioning=None)[name]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"'{path}' is missing or damaged. Remove '{layout.root}' and run again.") from error
