import errno
import os
import stat
from pathlib import Path

import pandas as pd
import pytest

from features.errors import StoreError
from flows.pseudonyms import KEY_FILE, read_key
from flows.succession import row_keys


def test_a_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "store" / KEY_FILE
    key = read_key(path)
    assert read_key(path) == key
    assert len(key) == 16
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [KEY_FILE]
    assert read_key(tmp_path / "other" / KEY_FILE) != key


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_without_hard_links_the_key_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "store" / KEY_FILE
    key = read_key(path)
    assert len(key) == 16
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [KEY_FILE]


def test_without_hard_links_the_key_of_the_first_process_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = "f" * 16

    def overtaken(_: object, path: Path) -> None:
        path.write_text(first, encoding="ascii")
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", overtaken)
    assert read_key(tmp_path / KEY_FILE) == first


def test_a_full_disk_leaves_no_key_of_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    syncs: list[int] = []

    def full(descriptor: int) -> None:
        syncs.append(descriptor)
        if len(syncs) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"pseudonyms\.key"):
        read_key(tmp_path / KEY_FILE)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("short", encoding="utf-8")
    with pytest.raises(StoreError, match=r"pseudonyms\.key' cannot be written: it holds no key; remove the file"):
        read_key(tmp_path / KEY_FILE)
    assert (tmp_path / KEY_FILE).read_text(encoding="utf-8") == "short"


def test_customers_are_the_same_under_the_same_key_only() -> None:
    rows = pd.DataFrame({"customer_id": ["a", "b", "a"], "cutoff": pd.to_datetime(["2024-01-01"] * 3, utc=True)})
    one, again, other = row_keys(rows, "k" * 16), row_keys(rows, "k" * 16), row_keys(rows, "l" * 16)
    pd.testing.assert_frame_equal(one, again)
    assert one["customer"][0] == one["customer"][2] != one["customer"][1]
    assert not set(one["customer"]) & set(other["customer"])
