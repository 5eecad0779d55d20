import os
import threading
import time
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


@pytest.mark.parametrize(
    "table",
    [
        {"from": "t"},
        {"sql": "select * from t where id % 3 = 0 order by n, id desc"},
        {"sql": "select id as rowid, n from t"},
        {"sql": "select id as file_row_number, 0 as file_index from t"},
    ],
)
@pytest.mark.parametrize("where", ["parts/*.parquet", "parts/*.csv"])
def test_rows_are_numbered_from_one_in_the_order_of_the_files(
    tmp_path: Path, where: str, table: dict[str, str]
) -> None:
    (tmp_path / "parts").mkdir()
    for part, rows in (("1", 5_000), ("2", 1), ("3", 300_000)):
        frame = pd.DataFrame({"id": range(rows), "n": part})
        frame.to_parquet(tmp_path / "parts" / f"{part}.parquet", row_group_size=1_000)
        frame.head(500).to_csv(tmp_path / "parts" / f"{part}.csv", index=False)
    study = _study(where)
    expected = _rows(study, tmp_path, _table(**table))
    with connected(tmp_path / "store") as con:
        numbered = open_sources(con, study, tmp_path).numbered(_table(**table), "touchpoints")
        found = con.sql(f'SELECT * FROM {numbered} ORDER BY "@row"').to_arrow_table().to_pandas()
    assert found["@row"].tolist() == list(range(1, len(expected) + 1))
    pd.testing.assert_frame_equal(found.drop(columns="@row"), expected)


def test_columns_named_like_places_in_a_file_do_not_number_the_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"file_row_number": [7, 7], "file_index": [9, 9]})
    frame.to_parquet(tmp_path / "t.parquet")
    with connected(tmp_path / "store") as con:
        numbered = open_sources(con, _study("t.parquet"), tmp_path).numbered(_table(**{"from": "t"}), "touchpoints")
        assert con.sql(f"SELECT * FROM {numbered}").fetchall() == [(1, 7, 9), (2, 7, 9)]


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


@pytest.mark.parametrize("is_read", [True, False])
def test_an_interrupted_query_is_an_interrupt_and_no_fault(tmp_path: Path, is_read: bool) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    endless = "select sum(random()) from range(10_000_000_000)"
    with pytest.raises(KeyboardInterrupt, match="nterrupted"), connected(tmp_path / "store") as con:  # noqa: PT012
        reader = open_sources(con, _study("t.parquet"), tmp_path)
        timer = threading.Timer(0.5, con.interrupt)
        timer.start()
        if is_read:
            reader.run(endless, "touchpoints")
        con.execute(endless)


@pytest.mark.parametrize(
    "sql",
    [
        "select cast('Ada Marker' as int) as n",
        "select n::int from (values ('Ada Marker')) t(n)",
        "select strptime('Ada Marker', '%Y') as n",
        "select 'Ada Marker'::date as n",
        "select '{Ada Marker'::json as n",
        "select 4711::tinyint as n",
        "select 9223372036854774711::bigint + 4711 as n",
    ],
)
def test_what_cannot_be_read_is_told_without_the_value(tmp_path: Path, sql: str) -> None:
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"touchpoints.*Error") as caught:
        _rows(_study("t.csv"), tmp_path, _table(sql=sql))
    assert "Ada" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_what_stands_in_the_environment_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "postgresql://app:pl4nted@h/d")
    with pytest.raises(DataError, match=r"no file matches '\$\{SHOP_URL\}/t\.csv'") as caught:
        _rows(_study("${SHOP_URL}/t.csv"), tmp_path, _table(**{"from": "t"}))
    assert "pl4nted" not in str(caught.value)
