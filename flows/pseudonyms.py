"""The key under which customers are hashed where their rows are recorded outside of the store.

A hash that everybody can compute is a name in another spelling: whoever knows the ids, or can count them up, finds each
one again. With a key that stays in the store, what MLflow holds says nothing about anybody without the store.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from features.publish import store_error

__all__ = ["KEY_FILE", "read_key"]

KEY_FILE: Final = "pseudonyms.key"
"""Name of the file in the store; only its owner may read it."""

_LENGTH: Final = 16


def read_key(path: Path) -> str:
    """Read the key of a store; the first time it is made.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        16 characters, drawn at random.

    Raises
    ------
    StoreError
        The file can be neither read nor made.

    Notes
    -----
    Of two processes that make it at once, the key of the first one stays. On a disk without hard links the file is
    there for a moment before the key is in it: who reads it then, or after a power cut just then, is told so.

    Should the file be lost, customers of earlier records are not found again: new versions are then compared without
    recorded tests.
    """
    try:
        return _read(path) or _made(path)
    except OSError as error:
        raise store_error(path, error) from error


def _read(path: Path) -> str:
    """Read it; empty where there is none."""
    try:
        found = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    if len(found) != _LENGTH or not found.isascii():
        raise OSError(None, "it holds no key; remove the file")
    return found


def _made(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_urlsafe(12)  # 16 characters
    beside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        _write_new(beside, key)
        with suppress(FileExistsError):
            _put(beside, path, key)
    finally:
        beside.unlink(missing_ok=True)
    return _read(path)


def _put(beside: Path, path: Path, key: str) -> None:
    """Give the file its name unless another has it: by a link, as a rename would replace that one."""
    try:
        os.link(beside, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links on this disk, such as exFAT, or not allowed
        _write_new(path, key)


def _write_new(path: Path, key: str) -> None:
    """Write a file that is its owner's alone; FileExistsError where there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
