"""Names that would be SQL if they were not quoted: columns, tables, files, folders."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from features.company import simulate_company
from features.company_files import write_company
from features.errors import DataError
from features.layout import lay_out
from features.panel import build_panel
from features.sources import connected, open_sources, path_literal, quote
from features.study import Table, parse_study

HOSTILE = (
    'a"; DROP TABLE victim; --',
    "a'); DROP TABLE victim; --",
    "select",
    "line\nbreak",
    "with space",
    "Größe ☃",
    "a.b",
    "*",
    "{x}$1",
    "%(x)s ?",
)
FLAT = "study: a\njourneys: [{name: x, stage: y}]\nflat: {from: t, table: q, churned: c}\n"


def as_parquet(folder: Path, name: str, frame: pd.DataFrame) -> dict[str, str]:
    frame.to_parquet(folder / f"{name}.parquet")
    return {"files": f"{name}.parquet"}


def as_csv(folder: Path, name: str, frame: pd.DataFrame) -> dict[str, str]:
    frame.to_csv(folder / f"{name}.csv", index=False)
    return {"files": f"{name}.csv"}


def as_duckdb(folder: Path, name: str, frame: pd.DataFrame) -> dict[str, str]:
    with duckdb.connect(str(folder / "d.duckdb")) as con:
        con.execute("CREATE TABLE victim (n INTEGER)")
        con.register("frame", frame)
        con.execute(f"CREATE TABLE {quote(name)} AS SELECT * FROM frame")
    return {"duckdb": "d.duckdb"}


def as_sqlite(folder: Path, name: str, frame: pd.DataFrame) -> dict[str, str]:
    con = sqlite3.connect(folder / "d.sqlite")
    con.execute("CREATE TABLE victim (n INTEGER)")
    con.execute(f"CREATE TABLE {quote(name)} ({', '.join(map(quote, frame.columns))})")
    con.executemany(f"INSERT INTO {quote(name)} VALUES (?, ?)", frame.to_numpy().tolist())
    con.commit()
    con.close()
    return {"sqlite": "d.sqlite"}


def read(folder: Path, source: dict[str, str], table: dict[str, str]) -> pd.DataFrame:
    document = yaml.safe_load(FLAT) | {"sources": {"t": source}}
    if "files" in source:
        document |= {"sources": {"t": source["files"]}, "flat": {"from": "t", "churned": "c"}}
    study = parse_study(yaml.safe_dump(document), "study.yaml")
    with connected(folder / "store") as con:
        reader = open_sources(con, study, folder)
        relation = reader.numbered(Table.model_validate({"from": "t"} | table), "touchpoints")
        frame: pd.DataFrame = con.sql(f"SELECT * FROM {relation} ORDER BY 1").to_arrow_table().to_pandas()
    return frame.drop(columns="@row")


Writer = Callable[[Path, str, pd.DataFrame], dict[str, str]]


@pytest.mark.parametrize("write", [as_parquet, as_csv, as_duckdb, as_sqlite])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_and_a_column_of_any_name_are_read_as_what_they_are(tmp_path: Path, write: Writer, name: str) -> None:
    frame = pd.DataFrame({name: ["x", "y"], "n": [1, 2]})
    # In a database a dot divides schema and table.
    table = name if write in {as_parquet, as_csv} else name.replace(".", "")
    source = write(tmp_path, table, frame)
    found = read(tmp_path, source, {} if "files" in source else {"table": table})
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)
    if write is as_duckdb:
        with duckdb.connect(str(tmp_path / "d.duckdb"), read_only=True) as con:
            assert con.execute("SELECT count(*) FROM victim").fetchall() == [(0,)]
    if write is as_sqlite:
        left = sqlite3.connect(tmp_path / "d.sqlite")
        assert left.execute("SELECT count(*) FROM victim").fetchall() == [(0,)]
        left.close()


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "[!a]", "a[[]1]"])
def test_a_file_whose_name_looks_like_a_pattern_is_one_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in [1] and *"
    folder.mkdir()
    for other in ("a1", "ax", "b", name):
        pd.DataFrame({"v": [other]}).to_parquet(folder / f"{other}.parquet")
    assert read(folder, {"files": f"{name}.parquet"}, {})["v"].tolist() == [name]
    assert sorted(read(folder, {"files": "*.parquet"}, {})["v"]) == sorted(["a1", "ax", "b", name])
    found = duckdb.connect().execute(f"SELECT v FROM read_parquet({path_literal(folder / f'{name}.parquet')})")
    assert found.fetchall() == [(name,)]


@pytest.mark.parametrize(
    "sql",
    [
        "select 1; drop table victim",
        "copy (select 1) to 'planted.csv'",
        "attach 'planted.duckdb'",
        "install httpfs",
        "set threads = 1",
        "create table planted as select 1",
        "pragma database_list",
    ],
)
def test_a_query_of_the_study_reads_and_does_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = as_duckdb(tmp_path, "q", pd.DataFrame({"id": ["x"], "n": [1]}))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"touchpoints\.sql"):
        read(tmp_path, source, {"sql": sql})
    with pytest.raises(DataError, match=r"touchpoints\.sql"):
        read(tmp_path, source, {"sql": f"select * from ({sql})"})
    assert [one for one in sorted(tmp_path.iterdir()) if one.name != "store"] == before


def test_a_query_cannot_see_the_variables_of_the_program(tmp_path: Path) -> None:
    source = as_duckdb(tmp_path, "q", pd.DataFrame({"id": ["x"], "n": [1]}))
    frame = pd.DataFrame({"seen": [1]})
    with pytest.raises(DataError, match="Table with name frame does not exist"):
        read(tmp_path, source, {"sql": "select * from frame"})
    assert len(frame) == 1


def panel_bytes(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted((store / "panel").rglob("*.parquet"))}


def test_a_company_whose_columns_and_files_are_named_by_an_enemy_gives_the_same_panel(tmp_path: Path) -> None:
    plain, hostile = tmp_path / "plain", tmp_path / 'it\'s [1] "*" ☃'
    write_company(simulate_company(60, 11, weeks=60), plain)
    said: dict[str, Any] = yaml.safe_load((plain / "study.yaml").read_text(encoding="utf-8"))
    hostile.mkdir()
    renamed = said | {"sources": {}}
    for number, name in enumerate(("customers", "touchpoints", "churn", "revenue")):
        rows = pq.read_table(plain / said["sources"][said[name]["from"]])
        names = {one: f"{HOSTILE[(number + at) % len(HOSTILE)]} {at}" for at, one in enumerate(rows.column_names)}
        file = f"{HOSTILE[number]}*.parquet"
        pq.write_table(rows.rename_columns(list(names.values())), hostile / file)
        renamed["sources"] |= {said[name]["from"]: file}
        ours = said[name]["columns"] | {one: one for one in said[name].get("covariates", ())}
        renamed[name] = said[name] | {"columns": {key: names[theirs] for key, theirs in ours.items()}}
    (hostile / "study.yaml").write_text(yaml.safe_dump(renamed, allow_unicode=True), encoding="utf-8")
    for folder in (plain, hostile):
        study = parse_study((folder / "study.yaml").read_text(encoding="utf-8"), "study.yaml")
        build_panel(study, lay_out(study, folder, folder / "store"), folder / "store")
    assert len(panel_bytes(plain / "store")) > 3
    assert panel_bytes(hostile / "store") == panel_bytes(plain / "store")
