import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from flows.run_database import ensure_database, erase_versions


def _tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("select name from sqlite_master")]


def _create(address: str) -> None:
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as database:
        database.execute("create table made (name text)")


def _refuse(address: str) -> None:
    raise AssertionError(f"nothing was to be made, but {address} was")


def test_a_database_is_made_with_its_tables_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    ensure_database(f"sqlite:///{tmp_path / 'a store' / '..' / 'runs.db'}", _refuse)  # there is no such folder
    ensure_database(f"sqlite:///{tmp_path / 'runs.db'}", _create)
    assert _tables(tmp_path / "runs.db") == ["made"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs.db"]


def test_a_database_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(b"of a user")
    ensure_database(f"sqlite:///{path}", _refuse)
    assert path.read_bytes() == b"of a user"


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "postgresql://host/runs", "http://host:5000"])
def test_what_is_no_sqlite_file_is_left_alone(address: str) -> None:
    ensure_database(address, _refuse)


def test_making_that_breaks_off_leaves_no_database(tmp_path: Path) -> None:
    def broken(address: str) -> None:
        _create(address)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        ensure_database(f"sqlite:///{tmp_path / 'runs.db'}", broken)
    assert list(tmp_path.iterdir()) == []


def test_of_two_processes_at_once_the_first_ones_database_stays(tmp_path: Path) -> None:
    def overtaken(address: str) -> None:
        _create(address)
        (tmp_path / "runs.db").write_bytes(b"of the other process")

    ensure_database(f"sqlite:///{tmp_path / 'runs.db'}", overtaken)
    assert (tmp_path / "runs.db").read_bytes() == b"of the other process"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_disk_is_waited_for_as_ever_outside_of_making(tmp_path: Path) -> None:
    seen = []

    def create(address: str) -> None:
        engine = create_engine(address)
        with engine.connect() as connection:
            seen.append(connection.execute(text("PRAGMA synchronous")).scalar())
        engine.dispose()

    ensure_database(f"sqlite:///{tmp_path / 'runs.db'}", create)
    create(f"sqlite:///{tmp_path / 'runs.db'}")
    assert seen == [0, 2]


def test_the_versions_of_a_run_go_with_their_tags_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE model_versions (name TEXT, version INTEGER, run_id TEXT)")
        database.execute("CREATE TABLE model_version_tags (name TEXT, version INTEGER, key TEXT)")
        known = [("churn", 1, "a"), ("churn", 2, "b"), ("churn", 3, "b"), ("revenue", 2, "b"), ("revenue", 3, "a")]
        database.executemany("INSERT INTO model_versions VALUES (?, ?, ?)", known)
        database.executemany("INSERT INTO model_version_tags VALUES (?, ?, 'k')", [one[:2] for one in known])
    assert erase_versions(f"sqlite:///{path}", "churn", "b")
    left = [("churn", 1), ("revenue", 2), ("revenue", 3)]
    with closing(sqlite3.connect(path)) as database:
        for table in ("model_versions", "model_version_tags"):
            assert database.execute(f"SELECT name, version FROM {table} ORDER BY 1, 2").fetchall() == left


def test_versions_on_a_server_are_left_to_it() -> None:
    assert not erase_versions("http://host:5000", "churn", "b")
