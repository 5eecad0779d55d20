"""The columns of times of a source: which they are, what they say of its rows, and its rows as they stood earlier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import duckdb

from features.snapshot import DAY
from features.sources import literal, quote

__all__ = ["Expected", "Role", "Time", "Times", "read_times"]

Role: TypeAlias = Literal["time", "known_at", "computed", "planned"]

_LOOKED_AT = 1_000
_PARTS = 1_000_000
_UNDATED_SHARE = 0.5
_NEVER_AFTER = 50 * 366 * DAY
_DATE = r"^\s*\d{4}-\d{2}-\d{2}"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the study says about columns of a source, in small letters.

    Attributes
    ----------
    mapped : frozenset of str
        Mapped to one of our times.
    known_at : frozenset of str
        Say when a row became known.
    computed : frozenset of str
        Enter ``known_at`` in some other way.
    planned : frozenset of str
        Hold times that were known beforehand.
    customer : frozenset of str
        Hold the customer's id.
    """

    mapped: frozenset[str] = frozenset()
    known_at: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()
    planned: frozenset[str] = frozenset()
    customer: frozenset[str] = frozenset()

    def role(self, name: str) -> Role:
        """Give the role of a column."""
        folded = name.casefold()
        if folded in self.planned:
            return "planned"
        if folded in self.known_at:
            return "known_at"
        return "computed" if folded in self.computed else "time"


@dataclass(frozen=True, slots=True)
class Time:
    """A column of times.

    Attributes
    ----------
    name : str
        The column.
    role : {"time", "known_at", "computed", "planned"}
        ``known_at`` decides whether a row is there; later times stay in ``computed`` and ``planned``; all but
        ``planned`` date a row.
    moment : str
        SQL of its microseconds.
    never : str
        SQL of what stands in it for *not yet*.
    missing : int
        Rows in which it holds no time.
    """

    name: str
    role: Role
    moment: str
    never: str
    missing: int

    @property
    def stays(self) -> bool:
        """Whether times after the cutoff stay in it."""
        return self.role in {"computed", "planned"}


@dataclass(frozen=True, slots=True)
class Times:
    """The columns of times of a source.

    Attributes
    ----------
    columns : tuple of Time
        All of them.
    undated, rows : int
        Rows without any time, and all rows.
    now_us : int
        Microseconds; later times are plans, or stand for *never*.
    customer : str or None
        The column with the customer's id.
    """

    columns: tuple[Time, ...]
    undated: int
    rows: int
    now_us: int
    customer: str | None = None

    @property
    def is_dated(self) -> bool:
        """Whether times say since when a row is there: not if most rows have none."""
        return self.undated <= self.rows * _UNDATED_SHARE

    def shown(self, query: str, cutoff: int, share: float = 1.0) -> str:
        """Write the query of the rows that were there at a cutoff, with the times that had come.

        Parameters
        ----------
        query : str
            Gives all rows.
        cutoff : int
            Microseconds.
        share : float
            Share of the customers whose rows are shown, chosen by their ids; always the same ones.
        """
        replaced = [
            f"CASE WHEN {self.had_not_come(one, cutoff)} THEN {one.never} ELSE {quote(one.name)} END AS "
            f"{quote(one.name)}"
            for one in self.columns
            if not one.stays
        ]
        columns = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
        where = self.was_there(cutoff)
        if share < 1 and self.customer is not None:
            where += f" AND {_is_chosen(self.customer, share)}"
        return f"SELECT {columns} FROM (SELECT * FROM ({query}) WHERE {where})"

    def had_not_come(self, one: Time, cutoff: int) -> str:
        """Write the condition of times between the cutoff and now."""
        return f"({one.moment} > {cutoff} AND {one.moment} <= {self.now_us})"

    def was_there(self, cutoff: int) -> str:
        """Write the condition of rows that were there; rows without any time always were."""
        known = [one.moment for one in self.columns if one.role == "known_at"]
        dates = [one.moment for one in self.columns if one.role != "planned"] if self.is_dated else []
        tests = [f"coalesce(greatest({', '.join(known)}) <= {cutoff}, true)"] if known else []
        tests += [f"coalesce(least({', '.join(dates)}) <= {cutoff}, true)"] if dates else []
        return " AND ".join(tests) or "true"


def read_times(con: duckdb.DuckDBPyConnection, query: str, expected: Expected, now_us: int) -> Times:
    """Find the columns of times of a source.

    Parameters
    ----------
    con : DuckDBPyConnection
        Where the query can be asked.
    query : str
        Gives all rows of the source.
    expected : Expected
        What the study says about its columns.
    now_us : int
        Microseconds.

    Returns
    -------
    Times
        Dates and timestamps, and text that is mapped to a time or all of which reads like one.
    """
    kinds = {str(row[0]): str(row[1]) for row in con.execute(f"DESCRIBE {query}").fetchall()}
    wanted = [name for name in kinds if _is_time(kinds[name])]
    texts = [name for name, kind in kinds.items() if _is_text(kind)]
    wanted += [name for name in texts if name.casefold() in expected.mapped]
    wanted += _like_times(con, query, [name for name in texts if name.casefold() not in expected.mapped])
    customer = next((name for name in kinds if name.casefold() in expected.customer), None)
    if not wanted:
        return Times((), 0, 0, now_us, customer)
    moments = {name: _moment(name, kinds[name]) for name in wanted}
    undated, rows, *seen = _seen(con, query, moments, now_us)
    columns = tuple(
        Time(name, expected.role(name), moments[name], _never(last, kinds[name]), missing)
        for name, missing, last in zip(wanted, seen[::2], seen[1::2], strict=True)
    )
    return Times(columns, undated, rows, now_us, customer)


def _like_times(con: duckdb.DuckDBPyConnection, query: str, texts: list[str]) -> list[str]:
    """Keep the text columns in which all reads like a date; first by a look at the beginning, which is cheap."""
    for rows in (f"(SELECT * FROM ({query}) LIMIT {_LOOKED_AT})", f"({query})"):
        if texts:
            found = con.execute(f"SELECT {', '.join(map(_all_read_like_dates, texts))} FROM {rows}").fetchone() or ()
            texts = [name for name, is_date in zip(texts, found, strict=True) if is_date]
    return texts


def _seen(con: duckdb.DuckDBPyConnection, query: str, moments: Mapping[str, str], now_us: int) -> tuple[Any, ...]:
    """Count rows without any time and all rows; of each column rows without its time, and its value for *never*."""
    parts = [f"count(*) FILTER (coalesce({', '.join(moments.values())}) IS NULL)", "count(*)"]
    for name, moment in moments.items():
        last = f"CAST(arg_max({quote(name)}, {moment}) AS VARCHAR)"
        is_infinite = f"bool_or(CAST({quote(name)} AS VARCHAR) = 'infinity')"
        is_far = f"max({moment}) > {now_us + _NEVER_AFTER}"
        parts.append(f"count(*) FILTER ({moment} IS NULL)")
        parts.append(f"CASE WHEN {is_infinite} THEN 'infinity' WHEN {is_far} THEN {last} END")
    found: tuple[Any, ...] | None = con.execute(f"SELECT {', '.join(parts)} FROM ({query})").fetchone()
    assert found is not None  # noqa: S101 (an aggregate has a row)
    return found


def _never(last: str | None, kind: str) -> str:
    return "NULL" if last is None else f"CAST({literal(last)} AS {kind})"


def _is_text(kind: str) -> bool:
    return kind == "VARCHAR" or kind.startswith("ENUM")


def _is_time(kind: str) -> bool:
    return re.match(r"DATE$|TIMESTAMP", kind) is not None


def _moment(name: str, kind: str) -> str:
    """Write a time as microseconds; what cannot be read is missing."""
    return f"epoch_us(TRY_CAST({quote(name)} AS TIMESTAMPTZ))" if _is_text(kind) else f"epoch_us({quote(name)})"


def _is_chosen(name: str, share: float) -> str:
    """Choose customers by their ids; 12.0 is the customer 12, as in `features.tables`."""
    text = rf"regexp_replace(CAST({quote(name)} AS VARCHAR), '\.0+$', '')"
    return f"hash({text}) % {_PARTS} < {round(share * _PARTS)}"


def _all_read_like_dates(name: str) -> str:
    text = f"CAST({quote(name)} AS VARCHAR)"
    is_date = f"regexp_matches({text}, '{_DATE}') AND TRY_CAST({text} AS TIMESTAMPTZ) IS NOT NULL"
    return f"coalesce(bool_and({is_date}) FILTER (trim({text}) <> ''), false)"
