"""One run at a time: a lock in the store that the operating system lets go when its process ends, however it ends."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from features.errors import StoreError
from features.publish import store_error

if sys.platform != "win32":
    import fcntl

__all__ = ["only_run"]


@contextmanager
def only_run(path: Path, command: str) -> Iterator[None]:
    """Hold a lock for as long as the block runs, or say who holds it.

    Parameters
    ----------
    path : Path
        The lock's file; made when missing, and left where it is: a removed file could be locked twice.
    command : str
        What runs, for the message.

    Raises
    ------
    StoreError
        Another run holds it, or the file cannot be written.

    Notes
    -----
    ``flock`` belongs to the open file, so nothing has to be cleaned up after ``kill -9``, and a process number that is
    given again deceives nobody. The file's text only tells people who it is. Windows has no ``flock``: nothing is
    locked there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise store_error(path, error) from error
    with file:
        if not _taken(file):
            raise StoreError(_refusal(file, path, command))
        _sign(file, command)
        yield


def _taken(file: IO[str]) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise store_error(Path(file.name), error) from error
    return True


def _sign(file: IO[str], command: str) -> None:
    """Write who holds it; a disk without room for that does not matter yet."""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    with suppress(OSError):
        file.truncate(0)
        file.write(json.dumps({"command": command, "pid": os.getpid(), "host": socket.gethostname(), "since": now}))
        file.flush()


def _refusal(file: IO[str], path: Path, command: str) -> str:
    """Say who holds it, as far as that can be read."""
    file.seek(0)
    try:
        held = json.loads(file.read())
        by = f"journeylift {held['command']}, process {held['pid']} on {held['host']}, since {held['since']}"
    except (ValueError, KeyError, TypeError, OSError):
        by = f"another run (it holds '{path}')"
    return (
        f"This store is being written by {by}. One run at a time was expected. Wait until it has ended, or end it, and "
        f"run journeylift {command} again: nothing of this run was written."
    )
