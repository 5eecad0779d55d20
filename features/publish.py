"""Folders that appear all at once: written beside, forced to disk, swapped in by one rename.

A reader, and a machine that stops at any moment, sees the old folder or the new one and never half of one. On Linux two
folders trade places in one system call; elsewhere the old one steps aside first, and :func:`recover` puts it back
should the process die in between.
"""

import ctypes
import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from features.errors import StoreError

__all__ = ["publish", "recover", "staged", "store_error", "sweep"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def publish(tmp_dir: Path, final_dir: Path) -> None:
    """Put a finished folder in the place of another.

    Parameters
    ----------
    tmp_dir : Path
        The finished folder, on the same file system and best beside ``final_dir`` (see :func:`staged`). It is gone
        afterwards. Where two folders cannot trade places, the old one steps aside to where this one was.
    final_dir : Path
        Where it shall be; what is there now is replaced as a whole.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    try:
        _force_to_disk(tmp_dir)
        if not final_dir.exists():
            tmp_dir.rename(final_dir)
        elif not _exchange(tmp_dir, final_dir):
            _step_aside(tmp_dir, final_dir)
        _fsync(final_dir.parent)
    except OSError as error:
        raise store_error(final_dir, error) from error
    shutil.rmtree(tmp_dir, ignore_errors=True)


@contextmanager
def staged(final_dir: Path, *, workshop: Path | None = None) -> Iterator[Path]:
    """Give an empty folder to write in, and publish it when the block ends well.

    What dead processes left behind is swept first. When the block raises, the folder is removed and the old one stays.

    Parameters
    ----------
    final_dir : Path
        Where the folder shall be; its parent is made if needed.
    workshop : Path, optional
        Folder on the same file system to write in, where others read all that lies beside ``final_dir``.

    Yields
    ------
    Path
        ``<final_dir>.tmp-<process id>``, beside it or in the workshop.

    Raises
    ------
    StoreError
        If the folder cannot be made, written or published.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with staged(Path(folder) / "panel") as tmp:
    ...         _ = (tmp / "a.txt").write_text("new")
    ...     (Path(folder) / "panel" / "a.txt").read_text()
    'new'
    """
    recover(final_dir, workshop=workshop)
    beside = (workshop or final_dir.parent) / final_dir.name
    tmp_dir = beside.with_name(f"{beside.name}.tmp-{os.getpid()}")
    try:
        final_dir.parent.mkdir(parents=True, exist_ok=True)
        beside.parent.mkdir(parents=True, exist_ok=True)
        sweep(final_dir)
        sweep(beside)
        shutil.rmtree(tmp_dir, ignore_errors=True)
        tmp_dir.mkdir()
    except OSError as error:
        raise store_error(final_dir, error) from error
    try:
        yield tmp_dir
        publish(tmp_dir, final_dir)
    except (ConnectionError, TimeoutError):  # of a source of rows
        raise
    except OSError as error:
        raise store_error(final_dir, error) from error
    finally:
        shutil.rmtree(tmp_dir, ignore_errors=True)


def recover(final_dir: Path, *, workshop: Path | None = None) -> None:
    """Put back an old folder that had stepped aside when its process died; remove it where its successor is there.

    Parameters
    ----------
    final_dir : Path
        The folder; call this before reading it.
    workshop : Path, optional
        As given to :func:`staged`.
    """
    aside = _aside((workshop or final_dir.parent) / final_dir.name)
    if final_dir.exists():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.exists():
        with suppress(OSError):
            aside.rename(final_dir)


def sweep(final_dir: Path) -> None:
    """Remove unfinished folders or files beside this one whose process no longer lives."""
    for path in final_dir.parent.glob(f"{_escaped(final_dir.name)}.tmp-*"):
        found = re.fullmatch(r".*\.tmp-(\d+)", path.name)
        if not found or _is_alive(int(found[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def store_error(path: Path, error: OSError) -> StoreError:
    """Say that a place cannot be written, and why."""
    why = error.strerror or type(error).__name__
    message = f"'{path}' cannot be written: {why}. A folder with free space that you may write to was expected."
    return StoreError(f"{message} Correct permissions or free space, or choose another 'store' in the study.")


def _aside(final_dir: Path) -> Path:
    return final_dir.with_name(f"{final_dir.name}.tmp-old")


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _step_aside(tmp_dir: Path, final_dir: Path) -> None:
    """Two renames, for systems that cannot exchange two folders."""
    aside = _aside(tmp_dir.with_name(final_dir.name))
    shutil.rmtree(aside, ignore_errors=True)
    final_dir.rename(aside)
    tmp_dir.rename(final_dir)
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders trade places in one step; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _force_to_disk(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            _fsync(Path(root) / name)
        _fsync(Path(root))


def _fsync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
