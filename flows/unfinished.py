"""Runs that a dead process has left open: each open run is noted in a file whose lock goes with the process.

A lock tells more than a process id: ids are used again, and in a container they mean nothing to another one that shares
the store. The note is there before the run is, so that no run can be left without one.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from features.publish import store_error, sweep

try:
    import fcntl
except ImportError:  # Windows: nothing is noted there, and nothing taken back
    fcntl = None  # type: ignore[assignment]

__all__ = ["OPENED", "Abandoned", "abandoned", "noted"]

OPENED: Final = "journeylift.opened"
"""Tag of a run: the name of its note."""

_SUFFIX: Final = ".open"
_BESIDE: Final = "note"


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A note whose process is dead.

    Attributes
    ----------
    token : str
        What its runs carry as the tag `OPENED`.
    undo : mapping
        What was written down to be put back.
    """

    token: str
    undo: Mapping[str, Any]


@contextmanager
def noted(folder: Path | None, undo: Mapping[str, Any]) -> Iterator[str]:
    """Note that a run is being made, for as long as the block lasts.

    Parameters
    ----------
    folder : Path or None
        Where notes are; None: nothing is noted.
    undo : mapping
        What has to be put back should the process die; plain values.

    Yields
    ------
    str
        The token of the note; empty where there is none.

    Raises
    ------
    StoreError
        The note cannot be written.
    """
    if folder is None or fcntl is None:
        yield ""
        return
    token = uuid.uuid4().hex
    path = folder / f"{token}{_SUFFIX}"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder / _BESIDE)
            beside = folder / f"{_BESIDE}.tmp-{token}.tmp-{os.getpid()}"
            file = stack.enter_context(beside.open("w", encoding="utf-8"))
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            json.dump(dict(undo), file)
            file.flush()
            os.fsync(file.fileno())
            beside.rename(path)  # locked before anybody can find it
        except OSError as error:
            raise store_error(folder, error) from error
        yield token
        path.unlink(missing_ok=True)


def abandoned(folder: Path | None, *, with_undo: bool = True) -> Iterator[Abandoned]:
    """Give the notes of dead processes one by one; each is removed when what it asks for has been done.

    Parameters
    ----------
    folder : Path or None
        Where notes are.
    with_undo : bool
        Give those too that ask for something to be put back.

    Yields
    ------
    Abandoned
        Locked meanwhile: of two processes only one puts things right.
    """
    if folder is None or fcntl is None or not folder.is_dir():
        return
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with suppress(OSError), path.open("r+", encoding="utf-8") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            undo = _read(file.read())
            if not path.exists() or (undo and not with_undo):  # somebody else was faster
                continue
            yield Abandoned(path.stem, undo)
            path.unlink(missing_ok=True)


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
