"""A database for runs that is there all at once.

SQLite waits for the disk after every step of a change, and MLflow makes its tables in hundreds of steps: eight of ten
seconds on an ordinary disk. Here the file is made beside, without waiting, and put in its place whole.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url

__all__ = ["ensure_database", "erase_versions"]

_FOLDER_NAME: Final = "journeylift-runs-"


def ensure_database(address: str, create: Callable[[str], None]) -> None:
    """Make the SQLite file of an address if it is not there.

    Parameters
    ----------
    address : str
        Address of a database as SQLAlchemy writes it. Any but that of an SQLite file is left alone.
    create : callable
        Makes the tables in the empty database of the address that it is given, and closes it.

    Notes
    -----
    Nothing is done where the file cannot be put in its place (no right to write, a disk that knows no hard links):
    whoever opens the database then makes it, or says why not. Of two processes at once the first one's file stays.

    Examples
    --------
    >>> def create(address: str) -> None:
    ...     with sqlite3.connect(address.removeprefix("sqlite:///")) as database:
    ...         _ = database.execute("create table runs (name text)")
    ...     database.close()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ensure_database(f"sqlite:///{folder}/runs.db", create)
    ...     os.listdir(folder)
    ['runs.db']
    """
    if not address.startswith("sqlite:///"):
        return
    path = Path(make_url(address).database or ":memory:")
    if path.name == ":memory:" or path.exists() or not path.parent.is_dir():
        return
    with tempfile.TemporaryDirectory(prefix=_FOLDER_NAME) as folder:
        made = Path(folder) / "new.db"
        with _without_waiting():
            create(f"sqlite:///{made}")
        with suppress(OSError):
            _put(made, path)


def erase_versions(address: str, name: str, run_id: str) -> bool:
    """Remove the versions of a model that a run has registered from a SQLite file: their numbers are given again.

    Parameters
    ----------
    address : str
        Address of a database as SQLAlchemy writes it. Any but that of an SQLite file is left alone.
    name : str
        The registered model.
    run_id : str
        The run.

    Returns
    -------
    bool
        Whether the address is that of a SQLite file.

    Notes
    -----
    A version's number stands in every score: a training that was killed and repeated has to end with the same one.
    MLflow only marks a version as deleted, forgets its run, and goes on counting after it. Here all go in one
    transaction: a process that dies leaves them whole, or not at all.
    """
    if not address.startswith("sqlite:///"):
        return False
    own = "SELECT version FROM model_versions WHERE name = ? AND run_id = ?"
    with closing(sqlite3.connect(make_url(address).database or ":memory:", timeout=30)) as database, database:
        tags = f"DELETE FROM model_version_tags WHERE name = ? AND version IN ({own})"
        database.execute(tags, (name, name, run_id))
        database.execute("DELETE FROM model_versions WHERE name = ? AND run_id = ?", (name, run_id))
    return True


def _put(made: Path, path: Path) -> None:
    """Copy a file to the disk of its place and let it appear there at once, unless there is one already."""
    beside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with made.open("rb") as source, beside.open("wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        with suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _without_waiting() -> Iterator[None]:
    """Open SQLite files so that nothing waits for the disk: what breaks off is thrown away."""
    event.listen(Engine, "connect", _do_not_wait)
    try:
        yield
    finally:
        event.remove(Engine, "connect", _do_not_wait)


def _do_not_wait(connection: Any, _record: object) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.execute("PRAGMA journal_mode=MEMORY")
    cursor.close()
