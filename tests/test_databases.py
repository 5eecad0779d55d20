"""Real databases: SQLite files, and a Postgres that is started for these tests and thrown away."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from features.company import simulate_company
from features.company_files import write_company
from features.databases import read_database
from features.errors import DataError, StoreError, StudyError
from features.layout import lay_out
from features.panel import build_panel
from features.sources import connected, open_sources
from features.study import Engine, Source, Study, Table, parse_study
from flows import cli
from tests.postgres import SECRET, postgres_server

FLAT = "study: a\njourneys: [{name: x, stage: y}]\nflat: {from: t, table: q, churned: c}\nsources: {t: %s}\n"
TABLES = {"clients": "customers", "contacts": "touchpoints", "ended": "churn", "invoices": "invoices"}

Load = Callable[[str, pa.Table], None]


def _table(**values: str) -> Table:
    return Table.model_validate({"from": "t"} | values)


def _rows(source: str, base: Path, table: Table, memory_limit: str = "1GB", room: str = "1GB") -> pd.DataFrame:
    study = parse_study(FLAT % source, "study.yaml")
    with connected(base / "store", Engine(memory_limit=memory_limit)) as con:
        con.execute(f"SET max_temp_directory_size = '{room}'")
        relation = open_sources(con, study, base).relation(table, "touchpoints")
        frame: pd.DataFrame = con.sql(f"SELECT * FROM {relation}").to_arrow_table().to_pandas()
    return frame


def _sqlite(path: Path, *statements: str) -> None:
    con = sqlite3.connect(path)
    for statement in statements:
        con.execute(statement)
    con.commit()
    con.close()


def _postgres(url: str, *statements: str) -> None:
    import psycopg  # noqa: PLC0415 - only where Postgres is

    with psycopg.connect(url, autocommit=True) as con:
        for statement in statements:
            con.execute(statement)


def test_a_sqlite_file_is_read_by_table_and_by_query_and_not_changed(tmp_path: Path) -> None:
    _sqlite(
        tmp_path / "c.sqlite",
        "create table q (id text, at timestamp, n real)",
        "insert into q values ('a', '2024-03-01 10:00:00', 1.5), ('é', null, null)",
    )
    before = (tmp_path / "c.sqlite").read_bytes()
    rows = _rows("{sqlite: c.sqlite}", tmp_path, _table(table="q"))
    assert rows["id"].tolist() == ["a", "é"]
    assert rows["at"].tolist()[0] == "2024-03-01 10:00:00"
    query = _table(sql="select 2 * n as m from main.q; -- twice")
    with pytest.raises(DataError, match="the query is not valid SQL"):
        _rows("{sqlite: c.sqlite}", tmp_path, query)
    query = _table(sql="select 2 * n as m from main.q -- twice")
    assert _rows("{sqlite: c.sqlite}", tmp_path, query)["m"].tolist()[0] == 3.0
    assert (tmp_path / "c.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("declared", "values", "wanted"),
    [
        ("", "(1), (2.5), (null)", [1.0, 2.5, None]),
        ("integer", "(9007199254740993), (null)", [9007199254740993, None]),
        ("boolean", "(1), (0)", [1, 0]),
        ("decimal(9, 2)", "(1.25), (3)", [1.25, 3.0]),
        ("timestamp", "('2024-03-01 10:00'), ('soon'), (null)", ["2024-03-01 10:00", "soon", None]),
        ("timestamp", "(1709287200)", [1709287200]),
        ("real", "('n/a'), (0.1), (2.5)", ["n/a", "0.10000000000000001", "2.5"]),
        ("text", "(null)", [None]),
    ],
)
def test_what_stands_in_a_sqlite_column_decides_its_type_and_nothing_is_cut_off(
    tmp_path: Path, declared: str, values: str, wanted: list[object]
) -> None:
    _sqlite(tmp_path / "c.sqlite", f"create table q (v {declared})", f"insert into q values {values}")
    source = Source.model_validate({"sqlite": "c.sqlite"})
    for table in (_table(table="q"), _table(sql="select v from q")):
        with read_database(source, str(tmp_path / "c.sqlite"), table, "touchpoints") as rows:
            found = rows.read_all()["v"].to_pylist()
        assert found == wanted
        assert [type(value) for value in found] == [type(value) for value in wanted]


def test_sqlite_rows_come_in_batches(tmp_path: Path) -> None:
    _sqlite(tmp_path / "c.sqlite", "create table q (n integer)")
    counted = "with recursive c(n) as (select 1 union all select n + 1 from c limit 120000) select n from c"
    source = Source.model_validate({"sqlite": "c.sqlite"})
    with read_database(source, str(tmp_path / "c.sqlite"), _table(sql=counted), "touchpoints") as rows:
        assert [batch.num_rows for batch in rows] == [50_000, 50_000, 20_000]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"table": "nowhere"}, r"touchpoints: c\.sqlite could not be read: there is no such table\. Correct"),
        ({"sql": "select m from q"}, "there is no such column"),
        ({"sql": "selec 1"}, "the query is not valid SQL"),
        ({"sql": "drop table q"}, "the query is not valid SQL"),
    ],
)
def test_a_sqlite_table_that_cannot_be_read_is_a_fault_of_the_data(
    tmp_path: Path, table: dict[str, str], message: str
) -> None:
    _sqlite(tmp_path / "c.sqlite", "create table q (n integer)")
    with pytest.raises(DataError, match=message):
        _rows("{sqlite: c.sqlite}", tmp_path, _table(**table))


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database, whatever its name says" * 40)
    with pytest.raises(DataError, match=r"c\.sqlite could not be read: it is not an SQLite file"):
        _rows("{sqlite: c.sqlite}", tmp_path, _table(table="q"))


def test_a_disk_that_is_too_small_for_a_database_is_not_the_databases_fault(tmp_path: Path) -> None:
    _sqlite(tmp_path / "c.sqlite", "create table q (n integer)")
    long = (
        "with recursive c(n) as (select 1 union all select n + 1 from c limit 400000) select n, hex(n * n) || n from c"
    )
    with pytest.raises(StoreError, match="DuckDB ran out of room"):
        _rows("{sqlite: c.sqlite}", tmp_path, _table(sql=long), memory_limit="10MB", room="1MB")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a throw-away server."""
    yield from postgres_server()


def test_postgres_is_read_by_table_and_by_query_and_keeps_its_secret(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _postgres(
        postgres,
        "create schema s",
        "create table s.q (id text, at timestamptz, n numeric(9, 2))",
        "insert into s.q values ('a', '2024-03-01 10:00+02', 1.5), ('é', null, null)",
    )
    monkeypatch.setenv("SHOP_URL", postgres)
    rows = _rows("{postgres: SHOP_URL}", tmp_path, _table(table="s.q"))
    assert rows["id"].tolist() == ["a", "é"]
    assert rows["at"][0] == pd.Timestamp("2024-03-01 08:00", tz="UTC")
    query = _table(sql="select count(*) as n from s.q -- all")
    assert _rows("{postgres: SHOP_URL}", tmp_path, query)["n"].tolist() == [2]
    with pytest.raises(DataError, match="named by SHOP_URL could not be read: there is no such table") as caught:
        _rows("{postgres: SHOP_URL}", tmp_path, _table(table="s.nowhere"))
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("SHOP_URL", postgres.replace(SECRET, "wr0ng-p4ss"))
    with pytest.raises(DataError, match="could not be opened: user or password was refused") as caught:
        _rows("{postgres: SHOP_URL}", tmp_path, query)
    assert "wr0ng" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("'6f1c1f66-5d6e-4d0c-9d0b-0d2f2b0f9f11'::uuid", "6f1c1f66-5d6e-4d0c-9d0b-0d2f2b0f9f11"),
        ("1 / 3::numeric", 1 / 3),
        ("12::numeric", 12.0),
        ("12::numeric(20, 0)", 12),
        ("date '2024-03-01'", pd.Timestamp("2024-03-01").date()),
        ("'10.0.0.7'::inet", "10.0.0.7/32"),
    ],
)
def test_what_postgres_counts_and_names_things_by_can_be_read(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, wanted: object
) -> None:
    monkeypatch.setenv("SHOP_URL", postgres)
    _postgres(postgres, "drop table if exists v", f"create table v as select {value} as v")
    for table in (_table(table="v"), _table(sql="select v from v")):
        assert _rows("{postgres: SHOP_URL}", tmp_path, table)["v"].tolist() == [wanted]


def test_times_without_end_are_named_as_the_cause(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", postgres)
    with pytest.raises(DataError, match="it holds times after the year 9999, such as infinity"):
        _rows("{postgres: SHOP_URL}", tmp_path, _table(sql="select 'infinity'::timestamptz as t"))


def test_a_postgres_that_is_not_there_is_named_by_its_variable_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", f"postgresql://app:{SECRET}@127.0.0.1:1/none")
    with pytest.raises(DataError, match="SHOP_URL could not be opened: nothing answers at that address") as caught:
        _rows("{postgres: SHOP_URL}", tmp_path, _table(table="q"))
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("SHOP_URL", f"mysql://app:{SECRET}@h/none")
    with pytest.raises(DataError, match="SHOP_URL holds no Postgres URL") as caught:
        _rows("{postgres: SHOP_URL}", tmp_path, _table(table="q"))
    assert SECRET not in str(caught.value)
    monkeypatch.delenv("SHOP_URL")
    with pytest.raises(DataError, match="SHOP_URL is not set"):
        _rows("{postgres: SHOP_URL}", tmp_path, _table(table="q"))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small company in files, and its panel."""
    folder = tmp_path_factory.mktemp("company") / "in files"
    write_company(simulate_company(200, 11, weeks=60), folder)
    study = parse_study((folder / "study.yaml").read_text(encoding="utf-8"), "study.yaml")
    build_panel(study, lay_out(study, folder, folder / "store"), folder / "store")
    return folder


def _moved(company: Path, folder: Path, source: dict[str, str], load: Load) -> Path:
    """Bring the tables of a company into a database, and write a study that reads them all from there."""
    said: dict[str, Any] = yaml.safe_load((company / "study.yaml").read_text(encoding="utf-8"))
    for table in ("customers", "touchpoints", "churn", "revenue"):
        said[table] |= {"from": "shop", "table": said[table]["from"]}
    folder.mkdir()
    for name, file in TABLES.items():
        load(name, pq.read_table(company / f"{file}.parquet"))
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump(said | {"sources": {"shop": source}}), encoding="utf-8")
    return study


def _parts(folder: Path) -> dict[str, bytes]:
    panel = folder / "store" / "panel"
    return {str(path.relative_to(panel)): path.read_bytes() for path in sorted(panel.rglob("part-*.parquet"))}


def test_a_company_in_postgres_gives_the_very_panel_that_its_files_give(
    company: Path, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg  # noqa: PLC0415 - only where Postgres is

    kinds = {"string": "text", "double": "double precision", "int64": "bigint"}

    def load(name: str, table: pa.Table) -> None:
        types = [kinds.get(str(getattr(kind, "value_type", kind)), "timestamptz") for kind in table.schema.types]
        columns = ", ".join(f'"{column}" {kind}' for column, kind in zip(table.column_names, types, strict=True))
        with psycopg.connect(postgres) as con, con.cursor() as cursor:
            cursor.execute(f"create table {name} ({columns})")
            with cursor.copy(f"copy {name} from stdin") as copy:
                for row in zip(*(column.to_pylist() for column in reversed(table.columns)), strict=True):
                    copy.write_row(row[::-1])

    monkeypatch.setenv("SHOP_URL", postgres)
    study = _moved(company, tmp_path / "in postgres", {"postgres": "SHOP_URL"}, load)
    assert cli.main(["features", "--study", str(study)]) == 0
    assert len(_parts(company)) > 3
    assert _parts(study.parent) == _parts(company)


def test_a_company_in_sqlite_gives_the_very_panel_that_its_files_give_and_a_bad_time_is_one_bad_row(
    company: Path, tmp_path: Path
) -> None:
    def load(name: str, table: pa.Table) -> None:
        times = {field.name for field in table.schema if pa.types.is_timestamp(field.type)}
        columns = [
            [None if one is None else one.isoformat(" ") for one in table[field].to_pylist()]
            if field in times
            else table[field].to_pylist()
            for field in table.column_names
        ]
        declared = ", ".join(f"{field} {'timestamp' if field in times else ''}" for field in table.column_names)
        con = sqlite3.connect(tmp_path / "in sqlite" / "shop.sqlite")
        con.execute(f"create table {name} ({declared})")
        con.executemany(f"insert into {name} values ({', '.join('?' * len(columns))})", zip(*columns, strict=True))
        if name == "contacts":
            con.execute(
                "insert into contacts (client_no, process, event_time) "
                "select client_no, 'usage', 'soon' from clients limit 1"
            )
        con.commit()
        con.close()

    study_file = _moved(company, tmp_path / "in sqlite", {"sqlite": "shop.sqlite"}, load)
    study: Study = parse_study(study_file.read_text(encoding="utf-8"), "study.yaml")
    layout = lay_out(study, study_file.parent, study_file.parent / "store")
    build_panel(study, layout, study_file.parent / "store")
    assert _parts(study_file.parent) == _parts(company)
    assert [one.rows for one in layout.manifest.quarantined if one.reason == "bad timestamp"] == [1]


def test_names_in_postgres_are_names_whatever_they_look_like(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", postgres)
    _postgres(postgres, "drop table if exists victim", "create table victim (n int)", "insert into victim values (1)")
    for name in ('a"; DROP TABLE victim; --', "select", "line\nbreak", "with space", "Größe ☃", "%(x)s", "a'b"):
        quoted = '"' + name.replace('"', '""') + '"'
        _postgres(postgres, f"create table {quoted} ({quoted} text)", f"insert into {quoted} values ('x')")
        assert _rows("{postgres: SHOP_URL}", tmp_path, _table(table=name)).to_dict("list") == {name: ["x"]}
        _postgres(postgres, f"drop table {quoted}")
    assert _rows("{postgres: SHOP_URL}", tmp_path, _table(table="victim"))["n"].tolist() == [1]


@pytest.mark.parametrize(
    "sql",
    [
        "select 1) as q; drop table victim; select (1",
        "select 1; drop table victim",
        "with gone as (delete from victim returning n) select * from gone",
        "select set_config('transaction_read_only', 'off', false), nextval('counted')",
        "select * from dropped()",
    ],
)
def test_a_query_of_the_study_changes_nothing_in_postgres(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setenv("SHOP_URL", postgres)
    _postgres(
        postgres,
        "drop table if exists victim",
        "create table victim (n int)",
        "insert into victim values (1)",
        "create sequence if not exists counted",
        "create or replace function dropped() returns int language sql as 'delete from victim; select 1'",
    )
    with pytest.raises(DataError, match="the database named by SHOP_URL could not be read"):
        _rows("{postgres: SHOP_URL}", tmp_path, _table(sql=sql))
    assert _rows("{postgres: SHOP_URL}", tmp_path, _table(table="victim"))["n"].tolist() == [1]


@pytest.mark.parametrize("where", [f"postgresql://app:{SECRET}@h/none", "${SHOP_URL}", f"host=h password={SECRET}"])
def test_an_address_in_the_study_is_refused_without_showing_it(where: str) -> None:
    with pytest.raises(
        StudyError, match=r"study\.yaml:4: sources\.t: this is not the name of an environment"
    ) as caught:
        parse_study(FLAT % f"{{postgres: '{where}'}}", "study.yaml")
    assert SECRET not in str(caught.value)
