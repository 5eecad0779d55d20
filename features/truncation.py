"""The user's sources as they stood at an earlier moment, so that the user's own SQL runs as it would have run then.

Truncation happens at the sources, before any query: rows that had not come yet are left out, times that had not come
yet are missing, and the clock of DuckDB stands at the cutoff.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from features.errors import StudyError, closest
from features.queries import Mentions, mentions
from features.source_times import Expected, Times, read_times
from features.sources import literal, quote
from features.study import Study
from features.tables import contracts

__all__ = ["AsKnown", "Late", "Truncation"]

_CLOCKS = {
    "now": "TIMESTAMPTZ",
    "current_timestamp": "TIMESTAMPTZ",
    "get_current_timestamp": "TIMESTAMPTZ",
    "transaction_timestamp": "TIMESTAMPTZ",
    "today": "DATE",
    "current_date": "DATE",
    "current_time": "TIMETZ",
    "get_current_time": "TIMETZ",
    "current_localtimestamp": "TIMESTAMP",
    "localtimestamp": "TIMESTAMP",
    "current_localtime": "TIME",
    "localtime": "TIME",
}
_LAST_CHANGE = re.compile(r"(last_?)?(updat|modifi|chang)(ed?)?(_?(at|on|date|time|ts))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Late:
    """How many times a column holds that came after the cutoff, in rows that were there at it.

    Attributes
    ----------
    place, column : str
        Where: a source or ``source.schema.table``, and a column of it.
    rows : int
        In how many rows the time was taken away.
    """

    place: str
    column: str
    rows: int


class Truncation:
    """What there is to know about a study's sources before they can be shown as they stood earlier.

    Parameters
    ----------
    study : Study
        An event study.
    now_us : int
        Microseconds. Later times cannot have happened: they are plans, or stand for *never*, and stay.
    planned : collection of str
        Columns whose times were known beforehand, such as the end of a contract: ``column``, ``source.column`` or
        ``source.schema.table.column``. They stay.
    share : float
        Share of the customers whose rows are shown, where a source has a column with their ids.

    Notes
    -----
    A row is left out at cutoff T if its ``known_at`` lies after T (the column that is mapped to it, is called so, or
    that the user's query calls so), or else if it has times and none of them lies at or before T. Where more than half
    of the rows have no time at all, times do not date rows and no row is left out for them. In rows that are there,
    times after T are missing, or what the column holds for *never* (a date more than 50 years ahead). Text counts as
    times in columns that are mapped to a time, and where all of it reads like one.
    """

    def __init__(self, study: Study, now_us: int, planned: Collection[str] = (), *, share: float = 1.0) -> None:
        self._study, self.now_us, self._planned = study, now_us, {name.casefold() for name in planned}
        self.share = share
        self._contracts = contracts(study, now_us)
        self._queries = {one.label: mentions(one.table.sql) for one in self._contracts if one.table.sql is not None}
        self._times: dict[str, Times] = {}
        self._overwritten: dict[str, str] = {}

    def at(self, cutoff: int, data_end: int) -> AsKnown:
        """Look at the sources as they stood at a cutoff, of an extract that ends at `data_end`; microseconds."""
        return AsKnown(self, cutoff, min(cutoff, data_end))

    def query(self, label: str) -> Mentions | None:
        """Tell what the user's query for a table mentions, views included; None for a table without query."""
        return self._queries.get(label)

    def feeds(self, label: str, place: str) -> bool:
        """Tell whether rows of a place enter a table of the study."""
        table = next((one.table for one in self._contracts if one.label == label), None)
        source, name = place.partition(".")[0], _last(place)
        if place == f"{label}.sql":
            return True
        if table is None or table.source not in {source, None}:
            return False
        is_it = table.sql is None and _last(table.table or source) == name
        return is_it or (label in self._queries and name in self._queries[label].tables)

    def origins(self, label: str, name: str) -> frozenset[str]:
        """Tell from which columns of sources one of ours comes, in small letters; empty where that is unknown."""
        table = next((one.table for one in self._contracts if one.label == label), None)
        if table is None:
            return frozenset()
        theirs = table.column(name)
        found = self._queries[label].origins(theirs) if label in self._queries else ()
        return frozenset[str]().union(*(one.columns for one in found))

    def include_views(self, source: str, views: Mapping[str, str]) -> None:
        """Take note of the views of a database, name to query: tables that use one mention what it mentions."""
        parsed = {name: mentions(sql) for name, sql in views.items()}
        for label in (one.label for one in self._contracts):
            waiting = dict(parsed)
            while used := [name for name in waiting if self.feeds(label, f"{source}.{name}")]:
                for name in used:
                    view = waiting.pop(name)
                    self._queries[label] = self._queries[label].including(view) if label in self._queries else view

    def reaches(self, place: str) -> bool:
        """Tell whether any table of the study asks for the rows of a place."""
        return any(self.feeds(contract.label, place) for contract in self._contracts)

    def times(self, con: duckdb.DuckDBPyConnection, place: str, query: str) -> Times:
        """Find the columns of times of a place, once."""
        if place not in self._times:
            self._times[place] = read_times(con, query, self._expected(place), self.now_us)
            for name in (str(row[0]) for row in con.execute(f"DESCRIBE {query}").fetchall()):
                if _LAST_CHANGE.fullmatch(name):
                    self._overwritten[place] = name
        return self._times[place]

    def refuse_unknown_plans(self) -> None:
        """Refuse names of planned columns that no source has; call it once the sources were opened.

        Raises
        ------
        StudyError
            With every such name.
        """
        paths = [f"{place}.{one.name}" for place, times in self._times.items() for one in times.columns]
        known = {name for path in paths for name in _names(path)}
        faults = [
            f"'{name}' is no column of times in a source that the study reads.{closest(name, known)} "
            "A column or source.column was expected."
            for name in sorted(self._planned - known)
        ]
        if faults:
            raise StudyError.collect(faults, "Correct --planned.")

    def unchecked(self) -> tuple[str, ...]:
        """Say what could not be seen as it stood, one sentence each; complete once the sources were opened."""
        found = [sentence for place, times in sorted(self._times.items()) for sentence in _about(place, times)]
        found += [
            f"{place}: its rows are overwritten (they carry '{name}'); what stood in them before cannot be seen."
            for place, name in sorted(self._overwritten.items())
        ]
        for label in self._queries:
            found += self._about_query(label)
        return tuple(dict.fromkeys(found))

    def _expected(self, place: str) -> Expected:
        """Collect what the study says about the columns of a place."""
        mapped, known, computed, customer = set[str](), {"known_at"}, set[str](), set[str]()
        for contract in (one for one in self._contracts if self.feeds(one.label, place)):
            ours = contract.table.column
            mapped |= {ours(column.name).casefold() for column in contract.columns if column.kind == "time"}
            query = self._queries.get(contract.label)
            ids = query.origins(ours("customer_id")) if query is not None else ()
            customer |= {ours("customer_id").casefold()}.union(*(one.columns for one in ids))
            if query is None or not query.names(ours("known_at")):
                known.add(ours("known_at").casefold())
            else:
                found = query.origins(ours("known_at"), ours("occurred_at"))
                is_simple = len(found) == 1 and found[0].is_monotone
                (known if is_simple else computed).update(*(one.columns for one in found))
        paths = {_last(name): _names(f"{place}.{name}") for name in map(_last, self._planned)}
        planned = {name for name, calls in paths.items() if not calls.isdisjoint(self._planned)}
        return Expected(*map(frozenset, (mapped, known, computed - known, planned, customer)))

    def _about_query(self, label: str) -> Iterator[str]:
        """Say what is not seen of a query."""
        name = next(one.table.source for one in self._contracts if one.label == label)
        kind = self._study.sources[name].kind if name is not None else "files"
        if kind in {"sqlite", "postgres"}:
            yield f"{label}.sql runs inside the database '{name}': only its result could be looked at."
        elif not self._queries[label].is_understood:
            yield f"{label}.sql could not be searched for clocks."
        else:
            for past in self._queries[label].past:
                yield f"{label}.sql reads {past} past the sources. Declare it under 'sources' to have it looked at."


@dataclass(frozen=True, slots=True)
class AsKnown:
    """The sources of a study as they stood at a cutoff: a `features.sources.Lens`, made by `Truncation.at`."""

    truncation: Truncation
    cutoff: int
    data_end: int
    _whole: dict[str, str] = field(default_factory=dict)

    def set_clock(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let the clock of a connection stand at the cutoff."""
        moment = f"make_timestamp({self.cutoff})"
        for name, kind in _CLOCKS.items():
            value = f"CAST(CAST({moment} AS TIMESTAMPTZ) AS {kind})"
            con.execute(f"CREATE TEMP MACRO {quote(name)}() AS {value}")
        con.execute(f"CREATE TEMP MACRO age(x) AS system.main.age({moment}, x), (x, y) AS system.main.age(x, y)")

    def shown(self, con: duckdb.DuckDBPyConnection, place: str, query: str) -> str:
        """Write the query of the rows of a place that were there, with the times that had come."""
        self._whole[place] = query
        return self.truncation.times(con, place, query).shown(query, self.cutoff, self.truncation.share)

    def attach(self, con: duckdb.DuckDBPyConnection, source: str, path: Path) -> None:
        """Attach a DuckDB file under a hidden name, and under the source's own an empty database with views of it."""
        hidden = f"@{source}"
        con.execute(f"ATTACH {literal(str(path))} AS {quote(hidden)} (READ_ONLY)")
        con.execute(f"ATTACH ':memory:' AS {quote(source)}")
        views = _listed(con, "schema_name, view_name, sql", "duckdb_views()", hidden)
        tables = _listed(con, "schema_name, table_name", "duckdb_tables()", hidden)
        for schema in {str(row[0]) for row in (*views, *tables)}:
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(source)}.{quote(schema)}")
        self.truncation.include_views(source, {name: _select_of(sql) for _, name, sql in views})
        for schema, name in tables:
            if self.truncation.reaches(f"{source}.{schema}.{name}"):
                query = f"SELECT * FROM {quote(hidden)}.{quote(schema)}.{quote(name)}"
                shown = self.shown(con, f"{source}.{schema}.{name}", query)
                con.execute(f"CREATE VIEW {quote(source)}.{quote(schema)}.{quote(name)} AS {shown}")
        _copy_macros(con, source, hidden)
        _copy_views(con, source, [(schema, sql) for schema, _, sql in views])

    def late(self, con: duckdb.DuckDBPyConnection) -> tuple[Late, ...]:
        """Count the times that were taken away; the connection must hold the sources, opened through this.

        Returns
        -------
        tuple of Late
            By place and column, those with any.
        """
        found: list[Late] = []
        for place, query in sorted(self._whole.items()):
            times = self.truncation.times(con, place, query)
            columns = [one for one in times.columns if not one.stays]
            if columns:
                tests = ", ".join(f"count(*) FILTER ({times.had_not_come(one, self.cutoff)})" for one in columns)
                row = con.execute(f"SELECT {tests} FROM ({query}) WHERE {times.was_there(self.cutoff)}").fetchone()
                found += [Late(place, one.name, n) for one, n in zip(columns, row or (), strict=True) if n]
        return tuple(found)


def _about(place: str, times: Times) -> Iterator[str]:
    """Say what the times of a place leave open."""
    if not times.columns:
        yield f"{place}: no column holds times, so that all its rows count as always known."
    elif not times.is_dated:
        yield f"{place}: {times.undated:,} of {times.rows:,} rows have no time, so no row is left out for its times."
    known = [one for one in times.columns if one.role == "known_at"]
    if len(known) == 1 and known[0].missing:
        rows = f"{known[0].missing:,} of {times.rows:,} rows have no '{known[0].name}'"
        yield f"{place}: {rows} and count from their first time. If it is filled in later, leave them out."
    for one in times.columns:
        if one.role == "computed":
            yield f"{place}: known_at is computed from '{one.name}' and others, so that its later times stay."
        elif one.role == "planned":
            yield f"{place}: '{one.name}' is taken as planned ahead, so that its later times stay."


def _listed(con: duckdb.DuckDBPyConnection, columns: str, of: str, database: str) -> list[tuple[str, ...]]:
    """List what a database holds, always in the same order."""
    query = f"SELECT {columns} FROM {of} WHERE database_name = ? AND NOT internal ORDER BY ALL"
    return con.execute(query, [database]).fetchall()


def _copy_macros(con: duckdb.DuckDBPyConnection, source: str, hidden: str) -> None:
    """Make the functions of a database again; what fails will be missed by the query that needs it."""
    columns = "schema_name, function_name, parameters, macro_definition, function_type"
    for schema, name, parameters, definition, kind in _listed(con, columns, "duckdb_functions()", hidden):
        made = f"{quote(source)}.{quote(schema)}.{quote(name)}({', '.join(map(quote, parameters))})"
        with suppress(duckdb.Error):
            con.execute(f"CREATE OR REPLACE MACRO {made} AS {'TABLE ' if kind == 'table_macro' else ''}{definition}")


def _copy_views(con: duckdb.DuckDBPyConnection, source: str, views: list[tuple[str, str]]) -> None:
    """Make the views of a database again, over what is shown of its tables, each after those that it needs."""
    failed = [view for view in views if not _is_created(con, source, *view)]
    if failed and len(failed) < len(views):
        _copy_views(con, source, failed)


def _is_created(con: duckdb.DuckDBPyConnection, source: str, schema: str, sql: str) -> bool:
    con.execute(f"USE {quote(source)}.{quote(schema)}")
    try:
        (statement,) = con.extract_statements(sql)  # what stands in the file is somebody's text: one view, nothing else
        if statement.type != duckdb.StatementType.CREATE:
            return False
        con.execute(statement)
    except (duckdb.Error, ValueError):
        return False
    finally:
        con.execute("USE memory")
    return True


def _select_of(view: str) -> str:
    """Give the query of a ``CREATE VIEW``."""
    return re.sub(r"^\s*CREATE\s.*?\sAS\s", "", view, count=1, flags=re.IGNORECASE | re.DOTALL)


def _last(path: str) -> str:
    return path.rpartition(".")[2].casefold()


def _names(path: str) -> set[str]:
    """Give the names by which a column can be called: alone, with its table, with its source, with all."""
    parts = path.casefold().split(".")
    return {".".join(parts[place:]) for place in range(len(parts))} | {f"{parts[0]}.{parts[-1]}"}
