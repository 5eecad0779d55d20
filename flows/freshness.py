"""How old the data are: the newest row of each table against the present, and what the study allows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.contract import PanelContract
from features.errors import DataError, StoreError, StudyError
from features.layout import Layout, open_layout
from features.scoring_rules import GROWING, age_limit
from features.snapshot import DAY, iso
from features.study import Study
from flows.wording import join_words

__all__ = ["Age", "ages", "present", "refuse_stale", "told"]

_TIMES: Final = {"customers": "joined_at", "touchpoints": "known_at", "churn": "churned_at"}
"""The column that says when a row of a table came; ``occurred_at`` in the others."""


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
        """Its age for people."""
        age = self.now - self.newest
        days = abs(age) // DAY
        size = f"{days:,} day{'' if days == 1 else 's'}" if days else f"{abs(age) // (DAY // 24)} h"
        return f"{size} {'old' if age >= 0 else 'ahead of the clock'}"


def present(now: str | None) -> int:
    """Give the present in microseconds.

    Parameters
    ----------
    now : str or None
        ISO 8601 for a run that shall take place at another time (UTC where no zone is given); None for the clock.

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
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000


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
        None for a flat table, whose rows have no times; a table without good rows is left out.
    """
    if study.is_flat:
        return ()
    limits, layout = study.scoring.freshness, open_layout(store)
    found = {table: _newest(layout, table) for table in (*GROWING, *(name for name in limits if name not in GROWING))}
    return tuple(Age(table, at, now, limits.get(table)) for table, at in found.items() if at is not None)


def refuse_stale(found: tuple[Age, ...], contract: PanelContract) -> None:
    """Refuse to score data that are older than the study allows.

    Parameters
    ----------
    found : tuple of Age
        Of each table.
    contract : PanelContract
        Knows the latest cutoff.

    Raises
    ------
    DataError
        Names every table that is too old.
    """
    stale = [one for one in found if one.is_stale]
    if not stale:
        return
    faults = [
        f"The newest row of {one.table} is of {iso(one.newest)}, {one.text}. At most {one.limit} were expected "
        f"(scoring.freshness)."
        for one in stale
    ]
    raise DataError.collect(
        faults,
        f"Bring newer data, or score {iso(max(contract.cutoffs))} all the same with: journeylift score --stale-anyway",
    )


def told(found: tuple[Age, ...]) -> str:
    """Say how old the tables are, in one line; empty without any."""
    if not found:
        return ""
    return f"newest rows: {join_words([f'{one.table} {iso(one.newest)} ({one.text})' for one in found])}"


def clock_warnings(found: tuple[Age, ...], now: int, last_scored: int | None) -> list[str]:
    """Say where the clock cannot be right: before the newest row, or before the last scoring.

    Parameters
    ----------
    found : tuple of Age
        Of each table.
    now : int
        The present, microseconds.
    last_scored : int or None
        When scores were made before, microseconds.

    Returns
    -------
    list of str
        A sentence each. Scores do not depend on the clock, so these are warnings.
    """
    ahead = [f"the newest row of {one.table} ({iso(one.newest)})" for one in found if one.newest > now]
    if last_scored is not None and last_scored > now:
        ahead.append(f"the last scoring ({iso(last_scored)})")
    return [
        f"warning: the clock says {iso(now)}, which is before {what}. Ages of data cannot be told; check the clock."
        for what in ahead
    ]


def _newest(layout: Layout, table: str) -> int | None:
    moments = [
        pc.max(_column(layout.root / f"bucket-{number:03d}" / f"{table}.parquet", _TIMES.get(table, "occurred_at")))
        for number in range(layout.manifest.buckets)
    ]
    known = [moment.as_py() for moment in moments if moment.is_valid]
    return max(known, default=None)


def _column(path: Path, name: str) -> pa.ChunkedArray:
    try:
        return pq.read_table(path, columns=[name], partitioning=None)[name]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"'{path}' is missing or damaged. Remove '{path.parents[1]}' and run again.") from error


def stale_tables(found: tuple[Age, ...]) -> Mapping[str, str]:
    """Name the tables that are too old, with the day of their newest row, for the record of scores."""
    return {one.table: iso(one.newest) for one in found if one.is_stale}
