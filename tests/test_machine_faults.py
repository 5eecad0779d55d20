import errno
import os
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from features.errors import ModelError, StoreError
from flows.machine_faults import machine_fault, may_have_passed


def _raised_from(cause: BaseException) -> Exception:
    """What a library makes of it."""
    outer = RuntimeError("something of a library")
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("cause", "kind", "match"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/store/a"),
            StoreError,
            r"'/store/a' cannot be .* Make room",
        ),
        (OSError(errno.ESTALE, os.strerror(errno.ESTALE)), StoreError, r"no longer be reached: Stale .* Bring it back"),
        (OSError(errno.EIO, os.strerror(errno.EIO), "/b"), StoreError, r"'/b' can no longer be reached: Input/output"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/b"), StoreError, r"'/b' cannot be used: Read-only"),
        (
            sqlite3.OperationalError("database is locked"),
            ModelError,
            r"locked by another .* Close what holds it",
        ),
        (sqlite3.OperationalError("database or disk is full"), StoreError, r"the disk is full\. Make room"),
        (sqlite3.DatabaseError("database disk image is malformed"), ModelError, r"is damaged: .* backup"),
        (sqlite3.OperationalError("disk I/O error"), StoreError, r"cannot be written: disk i/o error"),
        (MemoryError(), StoreError, r"not enough memory.*JOURNEYLIFT_TRAINING_ROWS"),
        (RuntimeError("can't start new thread"), StoreError, r"not enough memory.*JOURNEYLIFT_TRAINING_ROWS"),
    ],
)
def test_what_a_machine_did_is_told_however_deep_it_lies(
    cause: BaseException, kind: type[Exception], match: str
) -> None:
    found = machine_fault(_raised_from(cause))
    assert type(found) is kind
    with pytest.raises(kind, match=match):
        raise found


def test_what_sqlalchemy_wraps_is_found() -> None:
    wrapped = OperationalError("update runs", {}, sqlite3.OperationalError("database is locked"))
    assert isinstance(machine_fault(wrapped), ModelError)


@pytest.mark.parametrize("cause", [ValueError("no"), KeyError("a"), FileNotFoundError(errno.ENOENT, "no", "/a")])
def test_mistakes_in_a_program_stay_what_they_are(cause: Exception) -> None:
    assert machine_fault(_raised_from(cause)) is None


def test_what_was_put_aside_on_purpose_is_not_told() -> None:
    outer = ValueError("about something else")
    outer.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert isinstance(machine_fault(outer), StoreError)
    outer.__suppress_context__ = True  # raise ... from None
    assert machine_fault(outer) is None


@pytest.mark.parametrize(("number", "passes"), [(errno.EIO, True), (errno.ESTALE, True), (errno.ENOSPC, False)])
def test_a_mount_may_come_back_and_a_full_disk_does_not_get_empty(number: int, passes: bool) -> None:
    assert may_have_passed(_raised_from(OSError(number, os.strerror(number)))) is passes
    assert may_have_passed(_raised_from(StoreError("no"))) is False
