"""What a machine does to a run: full disks, lost mounts, locked databases, too little memory, told in one sentence.

Such faults come out of many libraries, each with errors of its own, and may have passed by the next try. So steps let
them through, are tried again, and only where nothing is tried any more are they turned into what a person can read.
"""

import errno
import re
import sqlite3
from collections.abc import Iterator
from typing import Final

from features.errors import JourneyliftError, ModelError, StoreError

__all__ = ["machine_fault", "may_have_passed"]

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOST: Final = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN}
_REFUSED: Final = {errno.EROFS, errno.EACCES, errno.EPERM}
_PASSING: Final = _LOST | {errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY}


def machine_fault(error: BaseException) -> JourneyliftError | None:
    """Say what is wrong with the machine, if that is what an error comes from.

    Parameters
    ----------
    error : BaseException
        As it was raised; what caused it is looked through too.

    Returns
    -------
    JourneyliftError or None
        With an exit code and a message; None where the error is about something else.

    Examples
    --------
    >>> machine_fault(OSError(errno.ENOSPC, "No space left on device", "/mnt/store")).exit_code
    6
    >>> machine_fault(ValueError("no")) is None
    True
    """
    for one in _causes(error):
        if (found := _of_disk(one) or _of_database(one) or _of_memory(one)) is not None:
            return found
    return None


def may_have_passed(error: BaseException) -> bool:
    """Tell whether an error comes from what often passes in seconds: a mount that is away, a file that is busy."""
    return any(isinstance(one, OSError) and one.errno in _PASSING for one in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error, what caused it, and so on; each once."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        # SQLAlchemy keeps what the driver said.
        driver = getattr(one, "orig", None)
        behind = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        one = driver if isinstance(driver, BaseException) else behind


def _of_disk(error: BaseException) -> StoreError | None:
    if not isinstance(error, OSError) or error.errno is None:
        return None
    where = f"'{error.filename}'" if error.filename else "A file"
    why = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return StoreError(
            f"{where} cannot be written: {why}. Free space was expected. Make room and run the same command again; "
            "what was complete is kept."
        )
    if error.errno in _LOST:
        return StoreError(
            f"{where} can no longer be reached: {why}. A disk or network mount that stays was expected. Bring it back "
            "and run the same command again; what was complete is kept."
        )
    if error.errno in _REFUSED:
        return StoreError(f"{where} cannot be used: {why}. Correct its permissions and run the same command again.")
    return None


def _of_database(error: BaseException) -> JourneyliftError | None:
    if not isinstance(error, sqlite3.Error):
        return None
    said = str(error).lower()
    if re.search(r"database (table )?is locked", said):
        return ModelError(
            "The database of runs and models (mlflow.db in the store) is locked by another program. One that is free "
            "within seconds was expected. Close what holds it, such as a backup or a database browser, and run the "
            "same command again."
        )
    if "disk is full" in said:
        return StoreError(
            "The database of runs and models (mlflow.db in the store) cannot grow: the disk is full. Make room and run "
            "the same command again."
        )
    if "disk i/o error" in said or "unable to open" in said or "readonly" in said:
        return StoreError(
            f"The database of runs and models (mlflow.db in the store) cannot be written: {said}. Bring back the disk "
            "or mount, or correct permissions, and run the same command again."
        )
    if "malformed" in said or "not a database" in said:
        return ModelError(
            f"The database of runs and models (mlflow.db in the store) is damaged: {said}. Put a backup of it in its "
            "place, or move the folder 'mlflow' out of the store and train again."
        )
    return None


def _of_memory(error: BaseException) -> StoreError | None:
    # A thread needs memory of its own: Python says so in words only.
    is_threadless = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    if not (isinstance(error, MemoryError) or is_threadless):
        return None
    return StoreError(
        "There was not enough memory to go on. Nothing half-done is left. Give the process more memory, fit on fewer "
        "rows (JOURNEYLIFT_TRAINING_ROWS), or lower engine.workers and engine.memory_limit in the study."
    )
