"""Tables of SQLite and Postgres, read in batches: SQLite by Python itself, Postgres through Ibis.

What a driver says may hold the address and the password, so it is never shown: messages name the environment variable.
"""

import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from features.errors import DataError
from features.study import Source, Table

__all__ = ["cause", "read_database"]

_BATCH_ROWS = 50_000

_CAUSES = (
    ("authentication failed", "user or password was refused"),
    ("no password supplied", "a password is needed"),
    ("connection refused", "nothing answers at that address"),
    ("could not translate host", "the host is not known"),
    ("failed to resolve", "the host is not known"),
    ("name or service not known", "the host is not known"),
    ("timeout", "no answer in time"),
    ("does not exist", "it does not exist"),
    ("permission denied", "permission was denied"),
    ("no such table", "there is no such table"),
    ("tablenotfound", "there is no such table"),
    ("no such column", "there is no such column"),
    ("syntax error", "the query is not valid SQL"),
    ("not a database", "it is not an SQLite file"),
    ("is locked", "it is locked by another program that writes to it; wait for that, or end it"),
    ("malformed", "the file is damaged"),
    ("could not decode", "it holds text that is not UTF-8"),
    ("timestamp too large", "it holds times after the year 9999, such as infinity"),
)


@contextmanager
def read_database(source: Source, address: str, table: Table, label: str) -> Iterator[pa.RecordBatchReader]:
    """Read one table, or the result of one query, from a database.

    Parameters
    ----------
    source : Source
        Of kind ``sqlite`` or ``postgres``.
    address : str
        Path of the SQLite file, or name of the environment variable that holds the Postgres URL.
    table : Table
        Names the table or holds the query.
    label : str
        Place in the study, for messages.

    Yields
    ------
    pyarrow.RecordBatchReader
        The rows, in batches; the connection is closed at the end of the block.

    Raises
    ------
    DataError
        If the database cannot be reached or refuses the query. The message holds no part of the URL.

    Notes
    -----
    SQLite gives every value a type of its own, whatever its column was declared as. A column comes as whole numbers or
    as numbers if all its values are, and as text if any is text: times are text, and what cannot be read as a time or a
    number is one bad row. To find the types, the table is gone through (or the query is asked) once before.
    """
    opened = _sqlite(Path(address), table) if source.kind == "sqlite" else _postgres(address, table, label)
    try:
        with opened as rows:
            yield rows
    except (DataError, duckdb.OutOfMemoryException, duckdb.IOException):
        raise
    except Exception as error:  # noqa: BLE001 - drivers raise many classes, all with secrets in their text
        message = f"{label}: {_shown(source, address)} could not be read: {cause(error)}."
        raise DataError(f"{message} Correct the table or the query.") from None


@contextmanager
def _sqlite(path: Path, table: Table) -> Iterator[pa.RecordBatchReader]:
    # DuckDB asks for the next batch from a thread of its own.
    con = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
    )
    with closing(con):
        con.execute("BEGIN")
        rows = f"({_lines(table.sql)})" if table.sql is not None else ".".join(map(_quoted, _parts(str(table.table))))
        schema = _types(con, rows)
        cursor = con.execute(f"SELECT {', '.join(map(_value, schema))} FROM {rows}")
        yield pa.RecordBatchReader.from_batches(schema, _batches(cursor, schema))


def _types(con: sqlite3.Connection, rows: str) -> pa.Schema:
    """Find the type that all values of a column have."""
    names = [column[0] for column in con.execute(f"SELECT * FROM {rows} LIMIT 0").description]
    kinds = ", ".join(f"min(typeof({_quoted(name)})), max(typeof({_quoted(name)}))" for name in names)
    found = con.execute(f"SELECT {kinds} FROM {rows}").fetchone()
    return pa.schema([(name, _type(set(found[2 * n : 2 * n + 2]))) for n, name in enumerate(names)])


def _type(first_and_last: set[str]) -> pa.DataType:
    """Choose by the first and the last by name of: blob, integer, null, real, text."""
    if "text" in first_and_last:
        return pa.string()
    if "blob" in first_and_last:
        return pa.binary()
    if "real" in first_and_last:
        return pa.float64()
    return pa.int64() if "integer" in first_and_last else pa.string()


def _value(column: pa.Field) -> str:
    """Write a number among texts as text, with all its digits."""
    name = _quoted(column.name)
    if not pa.types.is_string(column.type):
        return name
    return f"CASE typeof({name}) WHEN 'real' THEN printf('%!.17g', {name}) ELSE CAST({name} AS TEXT) END"


def _batches(cursor: sqlite3.Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    kind = pa.struct(list(schema))
    while rows := cursor.fetchmany(_BATCH_ROWS):
        yield pa.RecordBatch.from_struct_array(pa.array(rows, kind))


@contextmanager
def _postgres(variable: str, table: Table, label: str) -> Iterator[pa.RecordBatchReader]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Ibis 12 asks pandas 3 for an option that is going away
        con = _connect(variable, label)
        try:
            rows = _query(con, table.sql) if table.sql is not None else _table(con, str(table.table))
            yield _readable(rows).to_pyarrow_batches(chunk_size=_BATCH_ROWS)
        finally:
            con.disconnect()


def _connect(variable: str, label: str) -> Any:
    import ibis  # noqa: PLC0415 - costs a second, and most studies read files

    where = os.environ.get(variable, "")
    if not where.startswith(("postgres://", "postgresql://")):
        wrong = "holds no Postgres URL" if where else "is not set"
        message = f"{label}: the environment variable {variable} {wrong}."
        raise DataError(f"{message} Set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE.")
    try:
        con = ibis.connect(where)
        # Whatever the study asks for: of all that runs in the session nothing may write.
        con.raw_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").close()
        con.con.commit()
    except Exception as error:  # noqa: BLE001 - as above
        shown = f"the database named by {variable}"
        raise DataError(f"{label}: {shown} could not be opened: {cause(error)}. Correct its address.") from None
    return con


def _query(con: Any, sql: str) -> Any:
    """Give the result of a query with its types, lest Ibis makes a view in the user's database."""
    import ibis  # noqa: PLC0415 - as above

    sql = _lines(sql)
    # Prepared, as a server takes only one statement then.
    with con.raw_sql(f"SELECT * FROM ({sql}) AS q LIMIT 0", prepare=True) as cursor:
        types = {
            column.name: con.compiler.type_mapper.from_string(column.type_display) for column in cursor.description
        }
    return con.sql(sql, schema=ibis.schema(types))


def _table(con: Any, name: str) -> Any:
    *schema, table = _parts(name)
    return con.table(table, database=schema[0] if schema else None)


def _readable(rows: Any) -> Any:
    """Ask for what Arrow has no room for in another form: fractions of any length as floats, identifiers as text."""
    schema = rows.schema()
    numbers = {name: "float64" for name, kind in schema.items() if kind.is_decimal() and kind.scale != 0}
    texts = {name: "string" for name, kind in schema.items() if kind.is_uuid() or kind.is_inet() or kind.is_macaddr()}
    return rows.cast(numbers | texts) if numbers or texts else rows


def _parts(name: str) -> list[str]:
    """Split ``schema.table`` at the last dot."""
    schema, _, table = name.rpartition(".")
    return [schema, table] if schema else [table]


def _lines(sql: str) -> str:
    """Put a query on lines of its own: it may end with a comment."""
    return f"\n{sql.strip().rstrip(';')}\n"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _shown(source: Source, address: str) -> str:
    return Path(source.where).name if source.kind == "sqlite" else f"the database named by {address}"


def cause(error: Exception) -> str:
    """Say why a database failed, in our words.

    Parameters
    ----------
    error : Exception
        What its driver raised; its own text may hold the address and the password.

    Returns
    -------
    str
        Without a capital and without a full stop.

    Examples
    --------
    >>> cause(RuntimeError("connection to server at 10.0.0.7 failed: Connection refused"))
    'nothing answers at that address'
    """
    text = f"{type(error).__name__}: {error}".lower()
    found = next((plain for part, plain in _CAUSES if part in text), None)
    return found or f"it failed with {type(error).__name__}"
