import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.errors import DataError, StoreError
from features.sources import connected, literal, open_sources, quote, stamps
from features.study import Engine, Study, Table, parse_study

FLAT = "study: a\njourneys: [{name: x, stage: y}]\nflat: {from: t, table: q, churned: c}\nsources: {t: %s}\n"


def _study(source: str) -> Study:
    text = FLAT % (source if source.startswith("{") else f"'{source}'")
    return parse_study(text if source.startswith("{") else text.replace("table: q, ", ""), "study.yaml")


def _table(**values: str) -> Table:
    return Table.model_validate(values)


def _rows(study: Study, base: Path, table: Table) -> pd.DataFrame:
    with connected(base / "store") as con:
        relation = open_sources(con, study, base).relation(table, "touchpoints")
        frame: pd.DataFrame = con.sql(f"SELECT * FROM {relation}").to_arrow_table().to_pandas()
    return frame


FRAME = pd.DataFrame({"id": ["a", "b"], "n": [1, 2]})


def test_parquet_csv_and_globs_give_the_same_rows(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    FRAME.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    FRAME.to_csv(tmp_path / "t.csv.gz", index=False)
    (tmp_path / "parts" / "x").mkdir(parents=True)
    FRAME.iloc[1:].to_parquet(tmp_path / "parts" / "x" / "2.parquet")
    FRAME.iloc[:1].to_parquet(tmp_path / "parts" / "x" / "1.parquet")
    for where in ("t.parquet", "t.csv", "t.tsv", "t.csv.gz", "parts/*/*.parquet", "parts/**/[12].parquet"):
        pd.testing.assert_frame_equal(_rows(_study(where), tmp_path, _table(**{"from": "t"})), FRAME, check_dtype=False)


def test_environment_variables_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    monkeypatch.setenv("PLACE", "t")
    monkeypatch.delenv("NOWHERE", raising=False)
    for where in ("${PLACE}.parquet", "${NOWHERE:-t}.parquet"):
        assert len(_rows(_study(where), tmp_path, _table(**{"from": "t"}))) == 2
    with pytest.raises(DataError, match=r"sources\.t: the environment variable NOWHERE is not set"):
        stamps(_study("${NOWHERE}.parquet"), tmp_path)


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,plz,n,share\n1,01099,1,0.5\n2,80331,0,0.25\n")
    rows = _rows(_study("t.csv"), tmp_path, _table(**{"from": "t"}))
    assert rows["plz"].tolist() == ["01099", "80331"]
    assert rows[["id", "n", "share"]].to_numpy().tolist() == [[1, 1, 0.5], [2, 0, 0.25]]


def test_a_query_shapes_rows_over_all_sources(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    rows = _rows(_study("t.parquet"), tmp_path, _table(sql="select id || 'x' as id from t where n > 1; "))
    assert rows["id"].tolist() == ["bx"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select * from nowhere", r"touchpoints\.sql: .*nowhere does not exist"),
        ("select 1; select 2", r"touchpoints\.sql: one query was expected"),
        ("create table x as select 1", r"touchpoints\.sql: one query was expected"),
        ("selec 1", r"touchpoints\.sql: Parser Error"),
        ("select 1,\n 2 as as x", r"Parser Error: .*LINE 2: +2 as as x\. Correct"),
    ],
)
def test_a_query_that_fails_is_a_fault_of_the_data(tmp_path: Path, sql: str, message: str) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=message):
        _rows(_study("t.parquet"), tmp_path, _table(sql=sql))


def test_a_duckdb_file_is_read_by_table_by_query_and_beside_files(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        con.execute("create schema s; create table s.q as select 'a' as id, 1 as n")
        con.execute("create table r as select 2 as n")
    study = _study("{duckdb: w.duckdb}")
    before = (tmp_path / "w.duckdb").read_bytes()
    assert _rows(study, tmp_path, _table(**{"from": "t", "table": "s.q"}))["n"].tolist() == [1]
    assert _rows(study, tmp_path, _table(**{"from": "t", "table": "r"}))["n"].tolist() == [2]
    assert _rows(study, tmp_path, _table(**{"from": "t", "sql": "select n from r"}))["n"].tolist() == [2]
    assert _rows(study, tmp_path, _table(sql="select n from t.s.q union all select n from t.r"))["n"].tolist() == [1, 2]
    assert (tmp_path / "w.duckdb").read_bytes() == before


def _sqlite(path: Path) -> None:
    con = sqlite3.connect(path)
    con.execute("create table q (id text, at timestamp, n real)")
    con.executemany("insert into q values (?, ?, ?)", [("a", "2024-03-01 10:00:00", 1.5), ("é", None, None)])
    con.commit()
    con.close()


def test_a_sqlite_file_is_read_by_table_and_by_query(tmp_path: Path) -> None:
    _sqlite(tmp_path / "c.sqlite")
    study = _study("{sqlite: c.sqlite}")
    rows = _rows(study, tmp_path, _table(**{"from": "t", "table": "q"}))
    assert rows["id"].tolist() == ["a", "é"]
    assert str(rows["at"][0]).startswith("2024-03-01 10:00:00")
    assert _rows(study, tmp_path, _table(**{"from": "t", "sql": "select 2 * n as m from q"}))["m"].tolist()[0] == 3.0
    with pytest.raises(DataError, match=r"touchpoints: c\.sqlite could not be read: .*no such table"):
        _rows(study, tmp_path, _table(**{"from": "t", "table": "nowhere"}))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("t.parque", r"sources\.t: no file matches 't\.parque' beside the study file\. Did you mean 't\.parquet'\?"),
        ("none/*.csv", r"sources\.t: no file matches 'none/\*\.csv'"),
        ("t.xlsx", r"'t\.xlsx' is neither Parquet nor CSV"),
        ("broken.parquet", r"sources\.t: .*broken\.parquet"),
        ("{duckdb: broken.parquet}", r"sources\.t: .*"),
        ("{sqlite: none.sqlite}", r"sources\.t: no file matches 'none\.sqlite'"),
    ],
)
def test_a_source_that_cannot_be_read_is_a_fault_of_the_data(tmp_path: Path, where: str, message: str) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.xlsx").write_bytes(b"x")
    (tmp_path / "broken.parquet").write_bytes(b"not a table, whatever its name says")
    with pytest.raises(DataError, match=message):
        _rows(_study(where), tmp_path, _table(**{"from": "t", "table": "q"} if "{" in where else {"from": "t"}))


def test_stamps_tell_a_changed_file_and_need_no_reading(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    before = stamps(_study("t.parquet"), tmp_path)
    assert [(stamp.source, stamp.name) for stamp in before] == [("t", "t.parquet")]
    assert stamps(_study("t.parquet"), tmp_path) == before
    os.utime(tmp_path / "t.parquet", ns=(0, 1))
    assert stamps(_study("t.parquet"), tmp_path) != before


def test_names_and_texts_are_quoted() -> None:
    with duckdb.connect() as con:
        row = con.execute(f"""SELECT {quote('a"b')} FROM (SELECT {literal("it's")} AS {quote('a"b')})""").fetchone()
    assert row == ("it's",)


def test_times_are_utc_wherever_the_machine_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with connected(tmp_path) as con:
            row = con.execute("SELECT epoch_us(CAST('1970-01-01 00:00' AS TIMESTAMPTZ))").fetchone()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert row == (0,)


def test_the_scratch_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with connected(tmp_path / "store") as con:
        con.execute("SELECT 1")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_scratch_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="store' cannot be written"):  # noqa: SIM117
        with connected(tmp_path / "store"):
            pytest.fail("nothing to connect to")


def test_memory_that_runs_out_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="DuckDB ran out of room"):
        _exhaust(tmp_path)


def _exhaust(folder: Path) -> None:
    with connected(folder, Engine(memory_limit="20MB")) as con:
        con.execute("SET max_temp_directory_size = '1MB'")
        con.execute("CREATE TABLE t AS SELECT random() AS x FROM range(20_000_000)")


POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
INITDB = shutil.which("initdb") or (str(POSTGRES[0]) if POSTGRES else None)
SECRET = "p4ss-w0rd"  # noqa: S105 - of a throw-away database


def _as_postgres(command: list[str]) -> list[str]:
    """Postgres refuses to run as root."""
    return (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command] if os.getuid() == 0 else command
    )


def _has_postgres_user() -> bool:
    return subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a throw-away server. Its folder is its own: the folders of pytest are closed to the user postgres."""
    if INITDB is None:
        pytest.skip("no Postgres here: initdb is neither on the PATH nor in /usr/lib/postgresql")
    if os.getuid() == 0 and (shutil.which("setpriv") is None or not _has_postgres_user()):
        pytest.skip("Postgres does not run as root, and there is no user postgres to run as")
    with tempfile.TemporaryDirectory(prefix="journeylift-postgres-") as folder:
        (Path(folder) / "password").write_text(SECRET)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
            shutil.chown(Path(folder) / "password", "postgres")
        yield from _serve(Path(folder), str(INITDB))


def _serve(folder: Path, initdb: str) -> Iterator[str]:
    data, password = str(folder / "data"), f"--pwfile={folder / 'password'}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    create = [initdb, "-D", data, "-U", "app", "--auth=scram-sha-256", password, "-E", "UTF8", "--locale=C"]
    subprocess.run(_as_postgres(create), check=True, capture_output=True, cwd=folder)
    control = str(Path(initdb).with_name("pg_ctl"))
    options = f"-p {port} -h 127.0.0.1 -k {folder}"
    start = [control, "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start"]
    subprocess.run(_as_postgres(start), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        yield f"postgresql://app:{SECRET}@127.0.0.1:{port}/postgres"
    finally:
        stop = [control, "-D", data, "-m", "immediate", "stop"]
        subprocess.run(_as_postgres(stop), check=True, capture_output=True, cwd=folder)


def test_postgres_is_read_by_table_and_by_query_and_keeps_its_secret(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg  # noqa: PLC0415 - only where Postgres is

    with psycopg.connect(postgres, autocommit=True) as con:
        con.execute("create schema s")
        con.execute("create table s.q (id text, at timestamptz, n numeric(9, 2))")
        con.execute("insert into s.q values ('a', '2024-03-01 10:00+02', 1.5), ('é', null, null)")
    monkeypatch.setenv("SHOP_URL", postgres)
    study = _study("{postgres: SHOP_URL}")
    rows = _rows(study, tmp_path, _table(**{"from": "t", "table": "s.q"}))
    assert rows["id"].tolist() == ["a", "é"]
    assert rows["at"][0] == pd.Timestamp("2024-03-01 08:00", tz="UTC")
    query = _table(**{"from": "t", "sql": "select count(*) as n from s.q"})
    assert _rows(study, tmp_path, query)["n"].tolist() == [2]
    with pytest.raises(
        DataError, match="the database named by SHOP_URL could not be read: there is no such table"
    ) as caught:
        _rows(study, tmp_path, _table(**{"from": "t", "table": "s.nowhere"}))
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("SHOP_URL", postgres.replace(SECRET, "wr0ng-p4ss"))
    with pytest.raises(DataError, match="could not be opened: user or password was refused") as caught:
        _rows(study, tmp_path, query)
    assert "wr0ng" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_postgres_that_is_not_there_is_named_by_its_variable_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, table = _study("{postgres: SHOP_URL}"), _table(**{"from": "t", "table": "q"})
    monkeypatch.setenv("SHOP_URL", f"postgresql://app:{SECRET}@127.0.0.1:1/none")
    with pytest.raises(DataError, match="SHOP_URL could not be opened: nothing answers at that address") as caught:
        _rows(study, tmp_path, table)
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("SHOP_URL", f"mysql://app:{SECRET}@h/none")
    with pytest.raises(DataError, match="SHOP_URL holds no Postgres URL") as caught:
        _rows(study, tmp_path, table)
    assert SECRET not in str(caught.value)
    monkeypatch.delenv("SHOP_URL")
    with pytest.raises(DataError, match="SHOP_URL is not set"):
        _rows(study, tmp_path, table)
