"""Tables of SQLite and Postgres, read through Ibis in batches.

What a driver says may hold the address and the password, so it is never shown: messages name the environment variable.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.errors import DataError
from features.study import Source, Table

__all__ = ["read_database"]

_BATCH_ROWS = 100_000

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
    """
    shown = Path(address).name if source.kind == "sqlite" else f"the database named by {address}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Ibis 12 asks pandas 3 for an option that is going away
        con = _connect(source, address, shown, label)
        try:
            rows = _query(con, source, table.sql) if table.sql is not None else _table(con, str(table.table))
            yield rows.to_pyarrow_batches(chunk_size=_BATCH_ROWS)
        except Exception as error:  # noqa: BLE001 - drivers raise many classes, all with secrets in their text
            message = f"{label}: {shown} could not be read: {_cause(error)}."
            raise DataError(f"{message} Correct the table or the query.") from None
        finally:
            con.disconnect()


def _connect(source: Source, address: str, shown: str, label: str) -> Any:
    import ibis  # noqa: PLC0415 - costs a second, and most studies read files

    if source.kind == "sqlite":
        connect, where = ibis.sqlite.connect, address
    else:
        connect, where = ibis.connect, os.environ.get(address, "")
        if not where.startswith(("postgres://", "postgresql://")):
            wrong = "holds no Postgres URL" if where else "is not set"
            message = f"{label}: the environment variable {address} {wrong}."
            raise DataError(f"{message} Set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE.")
    try:
        return connect(where)
    except Exception as error:  # noqa: BLE001 - as above
        raise DataError(f"{label}: {shown} could not be opened: {_cause(error)}. Correct its address.") from None


def _query(con: Any, source: Source, sql: str) -> Any:
    """Give the result of a query; for Postgres with its types, lest Ibis makes a view in the user's database."""
    import ibis  # noqa: PLC0415 - as above

    sql = sql.strip().rstrip(";")
    if source.kind == "sqlite":
        return con.sql(sql)
    with con.raw_sql(f"SELECT * FROM ({sql}) AS q LIMIT 0") as cursor:
        types = {
            column.name: con.compiler.type_mapper.from_string(column.type_display) for column in cursor.description
        }
    return con.sql(sql, schema=ibis.schema(types))


def _table(con: Any, name: str) -> Any:
    schema, _, table = name.rpartition(".")
    return con.table(table, database=schema or None)


def _cause(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".lower()
    found = next((plain for part, plain in _CAUSES if part in text), None)
    return found or f"it failed with {type(error).__name__}"
