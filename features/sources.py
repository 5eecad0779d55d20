"""Where rows come from: files, DuckDB and SQLite files and Postgres, all made readable in one DuckDB connection."""

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import duckdb

from features.databases import read_database
from features.errors import DataError, StoreError, closest
from features.publish import store_error, sweep
from features.study import Engine, Source, Study, Table

__all__ = [
    "ROW", "Lens", "Reader", "Stamp", "connected", "first_line", "literal", "open_sources", "path_literal", "quote",
    "stamps", "sweep_spilled",
]  # fmt: skip

ROW = "@row"
"""Name of the column that numbers the user's rows, from 1."""

_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
_VALUE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|(?<=\bvalue )\S+|\(-?\d[^)]*\)")
_SPILL = "journeylift-spill"
_OURS = rf"No space left|Disk quota exceeded|{_SPILL}"
"""What DuckDB says of a file that it cannot write, which is ours and never the user's."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """State of a source file: enough to notice that it changed."""

    source: str
    name: str
    size: int
    mtime_ns: int


class Lens(Protocol):
    """What sources are looked at through, to see them as they stood earlier: see `features.truncation`."""

    @property
    def data_end(self) -> int:
        """Up to when what is shown is complete, in microseconds."""

    def set_clock(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let the clock of a connection stand still."""

    def shown(self, con: duckdb.DuckDBPyConnection, place: str, query: str) -> str:
        """Turn the query of the rows of a place into the query of what is shown of them."""

    def attach(self, con: duckdb.DuckDBPyConnection, source: str, path: Path) -> None:
        """Attach a DuckDB file under the name of its source, with what is shown of its tables."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection in which the sources of a study can be read; made by :func:`open_sources`."""

    con: duckdb.DuckDBPyConnection
    sources: Mapping[str, Source]
    base: Path
    lens: Lens | None = None
    _made: set[str] = field(default_factory=set)

    def relation(self, table: Table, label: str) -> str:
        """Make the user's rows readable under one name, always the same rows in the same order.

        Parameters
        ----------
        table : Table
            What the study says about the table.
        label : str
            Its place in the study, such as ``outcomes.review``; for names and messages.

        Returns
        -------
        str
            A quoted relation for a ``from`` clause.

        Raises
        ------
        DataError
            If the database, the table or the query cannot be read.
        """
        name = quote(f"@{label}")
        if label not in self._made:
            self._make(table, label, name)
            self._made.add(label)
        return name

    def numbered(self, table: Table, label: str) -> str:
        """Make the user's rows readable with their numbers, from 1 in the order of the files, in the column `ROW`.

        Parameters and errors are those of `relation`.

        Returns
        -------
        str
            A query in brackets for a ``from`` clause.

        Notes
        -----
        Counting rows as they come by takes one thread, whatever the machine has. So the number comes from the place in
        the Parquet file, or in the kept result of a query, wherever the rows have such a place.
        """
        relation = self.relation(table, label)
        names = {str(row[0]).casefold() for row in self.run(f"DESCRIBE {relation}", label)}
        source = self.sources[table.source] if table.source is not None else None
        place, rows = "row_number() OVER ()", relation
        if self.lens is None and table.sql is None and source is not None and source.kind == "files":
            paths = _files(str(table.source), source, self.base)
            if _are_parquet(paths) and not names & {"file_index", "file_row_number"}:
                place, rows = self._place_in_files(paths, label), _parquet(paths)
        elif self.lens is None and table.sql is not None and "rowid" not in names:
            place = "rowid + 1"
        return f"(SELECT {place} AS {quote(ROW)}, * FROM {rows})"

    def _place_in_files(self, paths: Sequence[Path], label: str) -> str:
        sizes = self.run(f"SELECT file_name, num_rows FROM parquet_file_metadata({_listed(paths)})", label)
        size = {str(name): int(rows) for name, rows in sizes}  # by the name itself, whatever it was asked for by
        before = list(accumulate((size[str(path)] for path in paths), initial=0))[:-1]
        return f"{before}[CAST(file_index AS BIGINT) + 1] + file_row_number + 1"

    def run(self, query: str, label: str) -> list[tuple[Any, ...]]:
        """Ask a query over the user's rows, and give its rows; what fails is a fault of the data.

        Raises
        ------
        DataError
            With the place in the study, should a row not be readable.
        """
        with _reading(label):
            return self.con.execute(query).fetchall()

    def _make(self, table: Table, label: str, name: str) -> None:
        source = self.sources[table.source] if table.source is not None else None
        if source is not None and source.kind in {"sqlite", "postgres"}:
            address = source.where if source.kind == "postgres" else str(self._path(source))
            whole = name if self.lens is None else quote(f"@whole {label}")
            with read_database(source, address, table, label) as rows:
                self.con.register("@rows", rows)
                self.con.execute(f'CREATE TEMP TABLE {whole} AS SELECT * FROM "@rows"')
                self.con.unregister("@rows")
            if self.lens is not None:
                place = f"{table.source}.{table.table}" if table.table is not None else f"{label}.sql"
                shown = self.lens.shown(self.con, place, f"SELECT * FROM {whole}")
                self.con.execute(f"CREATE TEMP VIEW {name} AS {shown}")
        elif table.sql is not None:
            self._make_from_sql(table.sql, label, name, table.source if source and source.kind == "duckdb" else None)
        else:
            path = [str(table.source), *(table.table or "").split(".")] if table.table else [str(table.source)]
            with _reading(label):
                self.con.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM {'.'.join(map(quote, path))}")

    def _make_from_sql(self, sql: str, label: str, name: str, database: str | None) -> None:
        """Keep the result: a query may give its rows in another order when it is asked again."""
        with _reading(f"{label}.sql"):
            statements = self.con.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise DataError(f"{label}.sql: one query was expected. Write a single select and nothing after it.")
            if database is not None:
                self.con.execute(f"USE {quote(database)}")
            try:
                self.con.execute(f"CREATE TEMP TABLE {name} AS {statements[0].query.strip().rstrip(';')}")
            finally:
                self.con.execute("USE memory")

    def _path(self, source: Source) -> Path:
        return self.base / _expand(source.where, "sources")


@contextmanager
def connected(store: Path, engine: Engine | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB with bounded memory and a folder to spill into, in UTC and without reaching for the network.

    Parameters
    ----------
    store : Path
        Folder of the study's results; what does not fit into memory goes to a folder in it that is removed again.
    engine : Engine, optional
        Memory, threads, and another place to spill.

    Yields
    ------
    duckdb.DuckDBPyConnection
        In memory, closed at the end.

    Raises
    ------
    StoreError
        If the store cannot be written, or memory and disk are exhausted.
    KeyboardInterrupt
        If a query is interrupted, which DuckDB tells in ways of its own.
    """
    engine = engine or Engine()
    place = _spill_place(store, engine)
    spill = place / f"{_SPILL}.tmp-{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        sweep(place / _SPILL)
        spill.mkdir(mode=0o700, exist_ok=True)  # rows of customers, perhaps in a folder that others write to as well
        if spill.is_symlink() or (hasattr(os, "getuid") and spill.stat().st_uid != os.getuid()):
            raise PermissionError(errno.EPERM, f"'{spill.name}' in it belongs to somebody else")
    except OSError as error:
        raise store_error(place, error) from error
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": engine.memory_limit,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        # A name that is no table of the study would be looked for among the variables of this program.
        "python_enable_replacements": False,
    }
    con = duckdb.connect(config=config | ({"threads": engine.threads} if engine.threads else {}))
    try:
        con.execute("SET TimeZone = 'UTC'")
        yield con
    except (duckdb.InterruptException, RuntimeError) as error:
        if "interrupt" in str(error).lower():
            raise KeyboardInterrupt(first_line(error)) from error
        raise
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        why = re.search(r"No space left on device|Disk quota exceeded|Input/output error|Stale file handle", str(error))
        said = f"{why[0]}." if why else first_line(error)
        message = f"DuckDB ran out of room: {said} Free disk space in '{place}' was expected."
        advice = "Make room, name another folder in engine.spill, or raise engine.memory_limit."
        raise StoreError(f"{message} {advice}") from error
    finally:
        con.close()
        shutil.rmtree(spill, ignore_errors=True)


def sweep_spilled(store: Path, engine: Engine | None = None) -> None:
    """Remove what dead processes have spilled, as :func:`connected` does before it spills.

    Parameters
    ----------
    store, engine
        As given to :func:`connected`.
    """
    sweep(_spill_place(store, engine or Engine()) / _SPILL)


def _spill_place(store: Path, engine: Engine) -> Path:
    return Path(engine.spill).expanduser() if engine.spill is not None else store


def open_sources(con: duckdb.DuckDBPyConnection, study: Study, base: Path, lens: Lens | None = None) -> Reader:
    """Make every file source a view and every DuckDB file an attached, read-only database.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        From :func:`connected`.
    study : Study
        The study with its sources.
    base : Path
        Folder of the study file.
    lens : Lens, optional
        Shows the sources as they stood earlier.

    Returns
    -------
    Reader
        Gives the relation of each table.

    Raises
    ------
    DataError
        With every source that cannot be read.
    """
    faults: list[str] = []
    if lens is not None:
        lens.set_clock(con)
    for name, source in study.sources.items():
        try:
            _open(con, name, source, base, lens)
        except DataError as error:
            faults += error.faults
    if faults:
        raise DataError.collect(faults)
    return Reader(con, study.sources, base, lens)


def _open(con: duckdb.DuckDBPyConnection, name: str, source: Source, base: Path, lens: Lens | None) -> None:
    """Make one source readable under its name."""
    paths = _files(name, source, base) if source.kind != "postgres" else []
    with _reading(f"sources.{name}"):
        if source.kind == "files":
            query = _files_query(con, paths)
            shown = query if lens is None else lens.shown(con, name, query)
            con.execute(f"CREATE TEMP VIEW {quote(name)} AS {shown}")
        elif source.kind == "duckdb" and lens is not None:
            lens.attach(con, name, paths[0])
        elif source.kind == "duckdb":
            con.execute(f"ATTACH {literal(str(paths[0]))} AS {quote(name)} (READ_ONLY)")


def stamps(study: Study, base: Path) -> tuple[Stamp, ...]:
    """Give name, size and time of every source file, sorted; databases on a server have none.

    Raises
    ------
    DataError
        With every source that matches no file.
    """
    found: list[Stamp] = []
    faults: list[str] = []
    for name, source in sorted(study.sources.items()):
        if source.kind == "postgres":
            continue
        try:
            for path in _files(name, source, base):
                state = path.stat()
                found.append(Stamp(name, os.path.relpath(path, base), state.st_size, state.st_mtime_ns))
        except DataError as error:
            faults += error.faults
        except OSError as error:
            faults.append(f"sources.{name}: a file cannot be read: {error.strerror}. Correct its permissions.")
    if faults:
        raise DataError.collect(faults)
    return tuple(found)


def quote(name: str) -> str:
    """Quote a name for SQL.

    Examples
    --------
    >>> print(quote('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL.

    Examples
    --------
    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def path_literal(path: Path | str) -> str:
    """Quote the path of one file for a function of SQL that would take ``*``, ``?`` and ``[`` for wildcards.

    Examples
    --------
    >>> path_literal("it's [1].parquet")
    "'it''s [[]1].parquet'"
    """
    return literal(re.sub(r"([*?[])", r"[\1]", str(path)))


def first_line(error: BaseException) -> str:
    """Give the first line of a message; later ones may show rows of the user."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _expand(text: str, label: str) -> str:
    """Fill in ``${VAR}`` and ``${VAR:-default}``."""

    def value(found: re.Match[str]) -> str:
        given = os.environ.get(found[1]) or found[2]
        if given is None:
            raise DataError(f"{label}: the environment variable {found[1]} is not set. Set it, or write a default.")
        return given

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)


def _files(name: str, source: Source, base: Path) -> list[Path]:
    """Files of a source, sorted by name."""
    given = _expand(source.where, f"sources.{name}")
    whole = base / given
    found = [whole] if whole.is_file() else sorted(path for path in _matching(base, Path(given)) if path.is_file())
    if not found:
        beside = [path.name for path in whole.parent.iterdir()] if whole.parent.is_dir() else []
        hint = closest(whole.name, beside)
        # As it was written: what stands in an environment variable is not for logs.
        told = f"sources.{name}: no file matches '{source.where}' beside the study file."
        raise DataError(f"{told}{hint} Correct the path.")
    return found


def _matching(base: Path, pattern: Path) -> Iterator[Path]:
    """Paths that match a pattern; the folders before its first wildcard, and of the study, are taken as they are."""
    wild = [re.search(r"[*?[]", part) is not None for part in pattern.parts]
    if any(wild):
        first = wild.index(True)
        yield from (base / Path(*pattern.parts[:first])).glob("/".join(pattern.parts[first:]))


def _files_query(con: duckdb.DuckDBPyConnection, paths: list[Path]) -> str:
    if _are_parquet(paths):
        return f"SELECT * FROM {_parquet(paths)}"
    if all(path.name.lower().endswith(_CSV) for path in paths):
        return _csv_query(con, f"{_listed(paths)}, union_by_name = true, header = true, sample_size = -1")
    wrong = next(path.name for path in paths if not path.name.lower().endswith(_PARQUET + _CSV))
    raise DataError(f"'{wrong}' is neither Parquet nor CSV. Expected names ending in {', '.join(_PARQUET + _CSV)}.")


def _are_parquet(paths: Sequence[Path]) -> bool:
    return all(path.name.lower().endswith(_PARQUET) for path in paths)


def _parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet({_listed(paths)}, union_by_name = true)"


def _listed(paths: Sequence[Path]) -> str:
    return "[" + ", ".join(map(path_literal, paths)) + "]"


def _csv_query(con: duckdb.DuckDBPyConnection, arguments: str) -> str:
    """Numbers written with leading zeros are codes, such as postcodes and customer numbers: they stay text."""
    query = f"SELECT * FROM read_csv({arguments})"
    columns = con.execute(f"DESCRIBE {query}").fetchall()
    numbers = [row[0] for row in columns if re.match(r"(U?(TINY|SMALL|BIG|HUGE)?INT|INTEGER|DOUBLE|DECIMAL)", row[1])]
    if not numbers:
        return query
    tests = ", ".join(rf"bool_or(regexp_matches({quote(name)}, '^\s*[+-]?0\d'))" for name in numbers)
    found = con.execute(f"SELECT {tests} FROM read_csv({arguments}, all_varchar = true)").fetchone() or ()
    codes = [f"{literal(name)}: 'VARCHAR'" for name, is_code in zip(numbers, found, strict=True) if is_code]
    return f"SELECT * FROM read_csv({arguments}, types = {{{', '.join(codes)}}})" if codes else query


@contextmanager
def _reading(label: str) -> Iterator[None]:
    """Turn what DuckDB says about the user's data into a fault of the data."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException) and re.search(_OURS, str(error)):
            raise
        raise DataError(f"{label}: {_told(error)} Correct the table, the file or the query.") from None


def _hidden(value: re.Match[str]) -> str:
    """Hide a value of a row, such as a name that is no number, and not the file that was read."""
    is_file = value[0].strip("'\"").lower().endswith((*_CSV, *_PARQUET))
    return value[0] if is_file else "..."


def _told(error: duckdb.Error) -> str:
    """Say what DuckDB said, with the line of the query that it cannot read: that is the user's SQL, never a row."""
    said = first_line(error)
    if isinstance(error, duckdb.DataError | duckdb.InvalidInputException):
        said = _VALUE.sub(_hidden, said)
    is_query = isinstance(error, duckdb.ParserException | duckdb.BinderException | duckdb.CatalogException)
    places = [line.strip() for line in str(error).splitlines() if line.startswith("LINE ")] if is_query else []
    return ". ".join([said.rstrip("."), *places]) + ("" if said.endswith("!") and not places else ".")
