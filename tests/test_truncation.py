"""Sources as they stood at a cutoff: which rows were there, which times had come, what the clock said."""

import sqlite3
from collections.abc import Collection
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.errors import StudyError
from features.snapshot import parse_date
from features.sources import connected, open_sources
from features.study import Study, parse_study
from features.truncation import Late, Truncation

STUDY = """
study: desk
sources: {tickets: tickets.csv}
customers: {sql: select customer_id from tickets}
touchpoints: {from: tickets, columns: {occurred_at: opened, known_at: booked}}
churn: {inactive_days: 30}
revenue: {sql: select customer_id from tickets}
journeys: [{name: support, stage: help}]
"""
NOW, CUTOFF, END = parse_date("2025-06-01"), parse_date("2024-03-01"), parse_date("2025-05-01")
TICKETS = """\
customer_id,opened,closed,booked
a,2024-02-01,2024-02-03,2024-02-01
b,2024-02-20,2024-03-05,2024-02-20
c,2024-02-20,2024-02-25,2024-03-02
d,2024-03-02,,2024-03-02
"""


def study_with(*changes: tuple[str, str]) -> Study:
    text = STUDY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_study(text, "study.yaml")


def queried(sql: str) -> Study:
    return study_with(("from: tickets,", f"sql: '{sql}',"))


def seen(study: Study, folder: Path, planned: Collection[str] = ()) -> pd.DataFrame:
    """Give the rows of touchpoints as they stood, dates as text."""
    lens = Truncation(study, NOW, planned).at(CUTOFF, END)
    with connected(folder / "store") as con:
        relation = open_sources(con, study, folder, lens).relation(study.touchpoints, "touchpoints")
        frame: pd.DataFrame = con.sql(f"SELECT * FROM {relation}").to_arrow_table().to_pandas()
    return frame.astype(object).where(frame.notna(), "").astype(str)


def unchecked(study: Study, folder: Path, planned: Collection[str] = ()) -> str:
    truncation = Truncation(study, NOW, planned)
    with connected(folder / "store") as con:
        reader = open_sources(con, study, folder, truncation.at(CUTOFF, END))
        reader.relation(study.touchpoints, "touchpoints")
    truncation.refuse_unknown_plans()
    return "\n".join(truncation.unchecked())


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "tickets.csv").write_text(TICKETS)
    return tmp_path


def test_rows_known_later_are_left_out_and_times_that_had_not_come_are_missing(desk: Path) -> None:
    rows = seen(study_with(), desk)
    assert rows["customer_id"].tolist() == ["a", "b"]
    assert rows["closed"].tolist() == ["2024-02-03", ""]


def test_rows_without_known_at_are_there_from_their_first_time(desk: Path) -> None:
    rows = seen(study_with((", known_at: booked", "")), desk)
    assert rows["customer_id"].tolist() == ["a", "b", "c"]
    assert rows["booked"].tolist() == ["2024-02-01", "2024-02-20", ""]


def test_a_column_called_known_at_counts_without_being_mapped(desk: Path) -> None:
    (desk / "tickets.csv").write_text(TICKETS.replace("booked", "KNOWN_AT"))
    assert seen(study_with((", known_at: booked", "")), desk)["customer_id"].tolist() == ["a", "b"]


@pytest.mark.parametrize("known", ["booked", "greatest(opened, booked)", "coalesce(booked, opened)"])
def test_what_a_query_calls_known_at_counts(desk: Path, known: str) -> None:
    sql = f"select customer_id, opened, {known} as booked from (select *, booked as b from tickets)"
    assert seen(queried(sql), desk)["customer_id"].tolist() == ["a", "b"]


def test_later_times_stay_where_known_at_is_computed_from_them_in_another_way(desk: Path) -> None:
    sql = "select customer_id, opened, closed, least(booked, closed) as booked from tickets"
    study = queried(sql)
    assert seen(study, desk)["closed"].tolist() == ["2024-02-03", "2024-03-05", "2024-02-25"]
    assert "known_at is computed from 'closed' and others" in unchecked(study, desk)


def test_two_selects_with_their_own_known_at_leave_out_no_row_of_the_other(desk: Path) -> None:
    sql = (
        "select customer_id, opened, booked from tickets union all "
        "select customer_id, closed as opened, closed + interval 1 day as booked from tickets"
    )
    rows = seen(queried(sql), desk)
    assert rows.loc[rows["opened"].str.startswith("2024-02-20"), "customer_id"].tolist() == ["b", "c"]


def test_plans_stay_as_they_are(desk: Path) -> None:
    for name in ("closed", "tickets.closed"):
        assert seen(study_with(), desk, planned=[name])["closed"].tolist() == ["2024-02-03", "2024-03-05"]
    assert "tickets: 'closed' is taken as planned ahead" in unchecked(study_with(), desk, ["closed"])
    with pytest.raises(StudyError, match=r"'tickets\.close' is no column of times.* Did you mean 'tickets\.closed'"):
        unchecked(study_with(), desk, ["tickets.close"])


def test_times_after_now_are_plans_and_never_is_written_as_the_column_writes_it(desk: Path) -> None:
    (desk / "tickets.csv").write_text(TICKETS.replace("2024-03-05", "2026-01-01"))
    assert seen(study_with(), desk)["closed"].tolist() == ["2024-02-03", "2026-01-01"]
    (desk / "tickets.csv").write_text(TICKETS.replace("02,,", "02,9999-12-31,"))
    assert seen(study_with(), desk)["closed"].tolist() == ["2024-02-03", "9999-12-31"]


def test_texts_that_read_like_times_are_times_and_others_are_left_alone(desk: Path) -> None:
    (desk / "tickets.csv").write_text(
        TICKETS.replace("2024-02-01\n", "2024-02-01 at noon\n").replace("b,2024-02-20,", "b,?,")
    )
    rows = seen(study_with(), desk)
    assert rows["opened"].tolist() == ["2024-02-01", "?"]
    (desk / "tickets.csv").write_text(TICKETS)
    texts = f"select * replace (closed::varchar as closed), 'x' as note from '{desk}/tickets.csv'"
    duckdb.sql(texts).write_parquet(str(desk / "tickets.parquet"))
    rows = seen(study_with(("tickets.csv", "tickets.parquet")), desk)
    assert rows["closed"].tolist() == ["2024-02-03", ""]
    assert set(rows["note"]) == {"x"}


def test_rows_without_times_are_always_there(desk: Path) -> None:
    (desk / "tickets.csv").write_text("customer_id,opened\na,\nb,2024-02-01\nc,2024-04-01\nd,2024-02-02\n")
    assert seen(study_with(), desk)["customer_id"].tolist() == ["a", "b", "d"]


def test_no_row_is_left_out_where_most_rows_have_no_time(desk: Path) -> None:
    (desk / "tickets.csv").write_text("customer_id,left_at\na,\nb,\nc,2024-04-01\nd,2024-02-01\ne,\n")
    assert seen(study_with(), desk)["left_at"].tolist() == ["", "", "", "2024-02-01", ""]
    assert "tickets: 3 of 5 rows have no time, so no row is left out" in unchecked(study_with(), desk)


def test_sources_without_times_and_rows_that_are_overwritten_are_named(desk: Path) -> None:
    (desk / "tickets.csv").write_text("customer_id,region\na,north\n")
    assert "tickets: no column holds times" in unchecked(study_with(), desk)
    (desk / "tickets.csv").write_text(TICKETS.replace("closed", "last_updated"))
    assert "overwritten (they carry 'last_updated')" in unchecked(study_with(), desk)


def test_files_read_past_the_sources_are_named(desk: Path) -> None:
    study = queried(f'select * from "{desk}/tickets.csv"')
    assert "tickets.csv' past the sources" in unchecked(study, desk)


def test_the_clock_stands_at_the_cutoff(desk: Path) -> None:
    clocks = ("now()", "current_timestamp", "today()", "current_date", "get_current_timestamp()", "localtimestamp")
    shown = ", ".join(f"{one}::timestamptz::varchar as c{place}" for place, one in enumerate(clocks))
    sql = f'select {shown}, age(timestamp "2024-02-01")::varchar as a from tickets limit 1'.replace('"', "''")
    rows = seen(queried(sql), desk)
    assert rows.iloc[0].tolist() == ["2024-03-01 00:00:00+00"] * len(clocks) + ["1 month"]


def database(folder: Path, touchpoints: str) -> Study:
    with duckdb.connect(str(folder / "desk.duckdb")) as con:
        con.execute(f"create schema s; create table s.t as select * from '{folder}/tickets.csv'")
        con.execute("create view s.v as select *, now() as asked from s.t; create view w as select * from s.v")
        con.execute("create macro one_more(x) as x + 1; create table unused as select 1 as a")
    whole = "touchpoints: {from: tickets, columns: {occurred_at: opened, known_at: booked}}"
    return study_with(
        ("{tickets: tickets.csv}", "{tickets: {duckdb: desk.duckdb}}"),
        (whole, f"touchpoints: {{{touchpoints}, columns: {{occurred_at: opened, known_at: booked}}}}"),
    )


@pytest.mark.parametrize(
    "touchpoints",
    [
        "from: tickets, table: s.t",
        "from: tickets, sql: 'select *, one_more(1) as two from w'",
        "sql: select * from tickets.s.t",
    ],
)
def test_a_duckdb_file_is_shown_as_it_stood_with_views_and_functions(desk: Path, touchpoints: str) -> None:
    rows = seen(database(desk, touchpoints), desk)
    assert rows["customer_id"].tolist() == ["a", "b"]
    assert rows["closed"].tolist() == ["2024-02-03", ""]
    if "asked" in rows:
        assert rows["asked"].tolist() == ["2024-03-01 00:00:00+00:00"] * 2


@pytest.mark.parametrize("touchpoints", ["from: tickets, table: s.v", "from: tickets, sql: select * from w"])
def test_the_clock_in_a_view_is_found(desk: Path, touchpoints: str) -> None:
    study = database(desk, touchpoints)
    truncation = Truncation(study, NOW)
    with connected(desk / "store") as con:
        open_sources(con, study, desk, truncation.at(CUTOFF, END))
    found = truncation.query("touchpoints")
    assert found is not None
    assert found.clocks == ("now()",)


def test_a_table_of_sqlite_is_shown_as_it_stood_and_a_query_in_it_is_named(desk: Path) -> None:
    con = sqlite3.connect(desk / "desk.sqlite")
    pd.read_csv(desk / "tickets.csv").to_sql("t", con, index=False)
    con.close()
    source = ("{tickets: tickets.csv}", "{tickets: {sqlite: desk.sqlite}}")
    assert seen(study_with(source, ("from: tickets", "from: tickets, table: t")), desk)["customer_id"].tolist() == [
        "a",
        "b",
    ]
    asked = study_with(source, ("from: tickets", "from: tickets, sql: select * from t"))
    assert seen(asked, desk)["customer_id"].tolist() == ["a", "b"]
    assert "touchpoints.sql runs inside the database 'tickets'" in unchecked(asked, desk)


def test_times_that_were_taken_away_are_counted(desk: Path) -> None:
    lens = Truncation(study_with(), NOW).at(CUTOFF, END)
    with connected(desk / "store") as con:
        open_sources(con, study_with(), desk, lens)
        assert lens.late(con) == (Late("tickets", "closed", 1),)


def test_a_sample_keeps_the_same_whole_customers_in_every_source_and_at_every_cutoff(desk: Path) -> None:
    ids = [f"c{number % 40}" for number in range(400)]
    pd.DataFrame({"customer_id": ids, "opened": "2024-02-01", "booked": "2024-02-01"}).to_csv(desk / "tickets.csv")
    study, found = study_with(), []
    for cutoff in (CUTOFF, NOW):
        lens = Truncation(study, NOW, share=0.5).at(cutoff, END)
        with connected(desk / "store") as con:
            relation = open_sources(con, study, desk, lens).relation(study.touchpoints, "touchpoints")
            found.append(con.sql(f"SELECT customer_id, count(*) FROM {relation} GROUP BY 1 ORDER BY 1").fetchall())
    assert found[0] == found[1]
    assert 5 < len(found[0]) < 35
    assert {n for _, n in found[0]} == {10}
