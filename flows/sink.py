"""Scores in a table of a database: the rows of a cutoff are brought in, and those of others taken out, all at once.

What was delivered is written down in a table beside, in the same transaction: it cannot say what is not so. What a
driver of Postgres says may hold the address and the password, so it is never shown: messages name the variable.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from features.databases import cause
from features.errors import StoreError
from features.scoring_rules import Sink
from features.snapshot import iso
from features.sources import first_line, quote
from features.study import Engine
from flows.score_rows import SCORE_SCHEMA
from flows.score_store import Published

__all__ = ["deliver", "require_sink", "undelivered"]

_KEY: Final = ("cutoff", "customer_id")
_INCOMING: Final = '"journeylift incoming"'
_BATCH: Final = 50_000
_AT: Final = "TIMESTAMP WITH TIME ZONE"
_KINDS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "string": ("VARCHAR", frozenset({"text", "varchar", "character varying"})),
    "timestamp[us, tz=UTC]": (_AT, frozenset({_AT.lower()})),
    "double": ("DOUBLE PRECISION", frozenset({"double", "double precision"})),
    "int64": ("BIGINT", frozenset({"bigint", "integer"})),
}
"""How a column is declared, and what it may be declared as in a table that is there."""

_COLUMNS: Final = {field.name: str(field.type) for field in SCORE_SCHEMA} | {"revision": "int64"}


def require_sink(sink: Sink, base: Path) -> None:
    """Make sure that a sink can be spoken to, before anything is computed for it.

    Parameters
    ----------
    sink : Sink
        Of the study.
    base : Path
        Folder of the study file.

    Raises
    ------
    StoreError
        The environment variable holds no address, or the file lies outside the folder.
    """
    if sink.postgres is not None:
        where = os.environ.get(sink.postgres, "")
        if not where.startswith(("postgres://", "postgresql://")):
            wrong = "holds no Postgres URL" if where else "is not set"
            raise StoreError(
                f"scoring.sink: the environment variable {sink.postgres} {wrong}. It holds where scores are delivered "
                "to. Set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
            )
    elif not (base / str(sink.duckdb)).resolve().is_relative_to(base.resolve()):
        raise StoreError(
            f"scoring.sink: '{sink.duckdb}' leads out of the folder of the study, by a link. A file inside it was "
            "expected. Name another."
        )


def deliver(sink: Sink, base: Path, scores: Published, study: str, engine: Engine | None = None) -> bool:
    """Bring the scores of a cutoff into a table, unless they are there.

    Parameters
    ----------
    sink : Sink
        Of the study.
    base : Path
        Folder of the study file.
    scores : Published
        The current revision of a cutoff.
    study : str
        Name of the study. A cutoff that another one delivered is refused: its rows would be taken out.
    engine : Engine, optional
        What DuckDB may spend.

    Returns
    -------
    bool
        False where the table held them already.

    Raises
    ------
    StoreError
        The database cannot be reached or the table does not fit. The table is as it was; the scores are published, and
        the next run delivers them.

    Notes
    -----
    One transaction: rows are inserted, or updated where customer and cutoff are there, customers of the cutoff who are
    not in the scores are removed, and ``<table>_deliveries`` says what was delivered. Whoever reads the table sees the
    scores before or after.
    """
    with _told(sink, base, [scores]), _opened(sink, base, engine or Engine()) as database:
        return _bring(database, sink.table, scores, study)


def undelivered(sink: Sink, base: Path, published: Sequence[Published]) -> list[Published]:
    """Find the scores that a table does not have, by what it says was delivered: one query.

    Parameters
    ----------
    sink : Sink
        Of the study.
    base : Path
        Folder of the study file.
    published : sequence of Published
        Current revisions of cutoffs, at least one.

    Returns
    -------
    list of Published
        Those of them; rows that somebody took out are not looked for here.

    Raises
    ------
    StoreError
        The database cannot be reached.
    """
    with _told(sink, base, published), _opened(sink, base, Engine()) as database:
        schema, name = _placed(database, sink.table)
        noted = f"{name}_deliveries"
        if not _columns(database, schema, noted):
            return list(published)
        found = database.run(
            f"SELECT extract(epoch FROM cutoff), sha256, revision, n FROM {database.name(schema, noted)}"
        )
    held = {(iso(int(seconds) * 1_000_000), *state) for seconds, *state in found}
    return [one for one in published if (one.key.cutoff, *_state(one)) not in held]


@contextmanager
def _told(sink: Sink, base: Path, published: Sequence[Published]) -> Iterator[None]:
    """Turn what a database says into a sentence that holds no address and no password."""
    try:
        require_sink(sink, base)
        yield
    except (duckdb.ConstraintException, duckdb.ConversionException) as error:
        # What DuckDB says of these holds values: ids of customers.
        broken = isinstance(error, duckdb.ConstraintException)
        why = "a constraint of the table refuses a row" if broken else "a value does not fit the type of its column"
    except duckdb.Error as error:
        why = first_line(error).rstrip(".!")
    except (psycopg.Error, OSError) as error:
        why = cause(error)
    except StoreError as error:
        why = error.message.rstrip(".")
    else:
        return
    cutoffs, folder = ", ".join(one.key.cutoff for one in published[-3:]), published[-1].folder
    shown = f"the database named by {sink.postgres}" if sink.postgres else f"'{sink.duckdb}'"
    raise StoreError(
        f"The scores of {cutoffs} are published in '{folder}', but table {sink.table} in {shown} does "
        f"not have them: {why}. Mend that and run the same command again: it delivers them without scoring anew."
    )


class _Database(Protocol):
    """What DuckDB and Postgres have in common here: the same SQL, apart from signs for values."""

    value: str
    home: str

    def name(self, *parts: str) -> str:
        """Quote a name."""

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement and give the rows of a query."""

    def fill(self, part: Path) -> None:
        """Bring a file of scores into the temporary table."""


class _DuckDB:
    value, home = "?", "main"

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def name(self, *parts: str) -> str:
        return ".".join(map(quote, parts))

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._con.execute(sql, values).fetchall()

    def fill(self, part: Path) -> None:
        self._con.execute(
            f"INSERT INTO {_INCOMING} BY NAME SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(part)]
        )


class _Postgres:
    value, home = "%s", "public"

    def __init__(self, con: "psycopg.Connection[tuple[Any, ...]]") -> None:
        self._con = con

    def name(self, *parts: str) -> str:
        return ".".join(map(quote, parts)).replace("%", "%%")

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._con.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def fill(self, part: Path) -> None:
        options = csv.WriteOptions(include_header=False)
        with self._con.cursor() as cursor, cursor.copy(f"COPY {_INCOMING} FROM STDIN (FORMAT csv)") as copy:
            for batch in pq.ParquetFile(part).iter_batches(_BATCH):
                text = io.BytesIO()
                csv.write_csv(pa.table(batch), text, options)
                copy.write(text.getvalue())


@contextmanager
def _opened(sink: Sink, base: Path, engine: Engine) -> Iterator[_Database]:
    """Open a database and a transaction, which is taken back when anything fails."""
    if sink.postgres is not None:
        url = os.environ[sink.postgres]
        patience: dict[str, Any] = {} if "connect_timeout" in url else {"connect_timeout": 30}
        with psycopg.connect(url, **patience) as connection:
            yield _Postgres(connection)
        return
    path = base / str(sink.duckdb)
    path.parent.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {"memory_limit": engine.memory_limit}
    with closing(duckdb.connect(path, config=config | ({"threads": engine.threads} if engine.threads else {}))) as con:
        con.execute("BEGIN")
        yield _DuckDB(con)
        con.execute("COMMIT")


def _bring(database: _Database, table: str, scores: Published, study: str) -> bool:
    schema, name = _placed(database, table)
    target, deliveries = database.name(schema, name), database.name(schema, f"{name}_deliveries")
    _make(database, schema, name)
    if "study" not in _columns(database, schema, f"{name}_deliveries"):
        database.run(f"ALTER TABLE {deliveries} ADD COLUMN study VARCHAR")
    _require_fit(database, schema, name)
    at = f"CAST({database.value} AS {_AT})"
    cutoff = f"{scores.key.cutoff} 00:00:00+00"
    state = (*_state(scores), study)
    held = database.run(f"SELECT sha256, revision, n, study FROM {deliveries} WHERE cutoff = {at}", cutoff)
    other = held[0][-1] if held else None
    if other not in {None, study}:
        raise StoreError(
            f"study {other} delivered the scores of this cutoff, and those of study {study} would take their place. "
            "One study a table was expected: name another scoring.sink.table"
        )
    ((rows,),) = database.run(f"SELECT count(*) FROM {target} WHERE cutoff = {at}", cutoff)
    if held == [state] and rows == scores.written.rows:
        return False
    _upsert(database, target, cutoff, scores)
    values = f"{at}, {', '.join([database.value] * 4)}"
    database.run(
        f"INSERT INTO {deliveries} (cutoff, sha256, revision, n, study) VALUES ({values}) ON CONFLICT (cutoff) DO "
        "UPDATE SET sha256 = excluded.sha256, revision = excluded.revision, n = excluded.n, study = excluded.study",
        cutoff,
        *state,
    )
    return True


def _placed(database: _Database, table: str) -> tuple[str, str]:
    """Split a table into schema and name."""
    inside, _, name = table.rpartition(".")
    return inside or database.home, name


def _state(scores: Published) -> tuple[str, int, int]:
    """Give what is noted of scores that were delivered."""
    return scores.written.sha256, scores.revision, scores.written.rows


def _columns(database: _Database, schema: str, name: str) -> dict[str, str]:
    """Give the columns of a table with their types; empty where there is no such table."""
    one = f"table_schema = {database.value} AND table_name = {database.value}"
    return dict(
        database.run(f"SELECT column_name, lower(data_type) FROM information_schema.columns WHERE {one}", schema, name)
    )


def _make(database: _Database, schema: str, table: str) -> None:
    """Make what is missing: the table, the one that says what was delivered, and the one for what is coming in.

    What is there is not asked to be made: Postgres would refuse who may fill a table and not make one.
    """
    declared = {name: _KINDS[kind][0] for name, kind in _COLUMNS.items()}
    columns = ", ".join(f"{name} {kind}" for name, kind in declared.items())
    state = f"cutoff {_AT} PRIMARY KEY, sha256 VARCHAR, revision BIGINT, n BIGINT, study VARCHAR"
    for name, content in ((table, f"{columns}, PRIMARY KEY ({', '.join(_KEY)})"), (f"{table}_deliveries", state)):
        if not _columns(database, schema, name):
            database.run(f"CREATE TABLE IF NOT EXISTS {database.name(schema, name)} ({content})")
    incoming = ", ".join(f"{field.name} {declared[field.name]}" for field in SCORE_SCHEMA)
    database.run(f"CREATE TEMPORARY TABLE {_INCOMING} ({incoming})")


def _require_fit(database: _Database, schema: str, name: str) -> None:
    """Check the columns of a table that was there before us, and its key."""
    one = f"table_schema = {database.value} AND table_name = {database.value}"
    found = _columns(database, schema, name)
    faults = [
        f"column {column} is {found[column]}, {_KINDS[kind][0].lower()} was expected"
        if column in found
        else f"column {column} ({_KINDS[kind][0].lower()}) is missing"
        for column, kind in _COLUMNS.items()
        if found.get(column) not in _KINDS[kind][1]
    ]
    keys: dict[str, set[str]] = {}
    for constraint, column in database.run(
        "SELECT constraint_name, column_name FROM information_schema.key_column_usage JOIN "
        "information_schema.table_constraints USING (constraint_name, table_schema, table_name) "
        f"WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND {one}",
        schema,
        name,
    ):
        keys.setdefault(constraint, set()).add(column)
    if set(_KEY) not in keys.values():
        faults.append(f"it has no primary key ({', '.join(_KEY)})")
    if faults:
        raise StoreError(f"it does not fit ({'; '.join(faults)}): alter it, or name another scoring.sink.table")


def _upsert(database: _Database, target: str, cutoff: str, scores: Published) -> None:
    database.fill(scores.part)
    names = ", ".join(SCORE_SCHEMA.names)
    changed = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)
    database.run(
        f"INSERT INTO {target} ({names}, revision) SELECT {names}, {scores.revision} FROM {_INCOMING} "
        f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {changed}"
    )
    at = f"CAST({database.value} AS {_AT})"
    # By EXCEPT, which is hashed: NOT IN compares every customer with every other one where Postgres lacks memory.
    database.run(
        f"DELETE FROM {target} WHERE cutoff = {at} AND customer_id IN (SELECT customer_id FROM {target} "
        f"WHERE cutoff = {at} EXCEPT SELECT customer_id FROM {_INCOMING})",
        cutoff,
        cutoff,
    )
