"""Which columns of a source hold times, and what they hold for never."""

import duckdb
import pytest

from features.snapshot import parse_date
from features.source_times import Expected, Times, read_times

NOW, CUTOFF = parse_date("2025-06-01"), parse_date("2024-03-01")


def found(rows: str, **expected: set[str]) -> Times:
    names = {name: frozenset(value) for name, value in expected.items()}
    return read_times(duckdb.connect(), f"SELECT * FROM (VALUES {rows})", Expected(**names), NOW)


@pytest.mark.parametrize(
    ("value", "is_time"),
    [
        ("date '2024-01-01'", True),
        ("timestamptz '2024-01-01 10:00:00+01'", True),
        ("'2024-01-01T10:00:00Z'", True),
        ("time '10:00:00'", False),
        ("'2024'", False),
        ("20240101", False),
        ("'2024-01-01 or later'", False),
        ("'2024-13-01'", False),
    ],
)
def test_dates_timestamps_and_text_that_reads_like_them_are_times(value: str, is_time: bool) -> None:
    assert [one.name for one in found(f"({value} , 1)").columns] == (["col0"] if is_time else [])


def test_text_is_a_time_only_if_all_of_it_reads_like_one_unless_it_is_mapped_to_one() -> None:
    mixed = "('2024-01-01'), ('unknown'), ('')"
    assert found(mixed).columns == ()
    assert found(mixed, mapped={"col0"}).columns[0].missing == 2
    assert found("('2024-01-01'), (''), (NULL)").columns[0].missing == 2


@pytest.mark.parametrize("never", ["date '9999-12-31'", "date 'infinity'", "'9999-12-31'"])
def test_what_had_not_come_yet_is_written_as_the_column_writes_it(never: str) -> None:
    early, late = (
        ("'2024-01-01'", "'2024-04-01'") if never.startswith("'") else ("date '2024-01-01'", "date '2024-04-01'")
    )
    times = found(f"({early}, {late}), ({early}, {never})")
    rows = f"SELECT * FROM (VALUES ({early}, {late}), ({early}, {never}))"
    shown = duckdb.sql(f"SELECT col1 = {never} FROM ({times.shown(rows, CUTOFF)})").fetchall()
    assert shown == [(True,), (True,)]


def test_roles_decide_which_times_stay_and_which_leave_rows_out() -> None:
    roles = {"known_at": {"col0"}, "computed": {"col1"}, "planned": {"col2"}}
    row = "(date '2024-02-01', date '2024-04-01', date '2024-05-01', date '2024-04-01')"
    late = row.replace("2024-02-01", "2024-03-02")
    times = found(f"{row}, {late}", **roles)
    assert [(one.role, one.stays) for one in times.columns] == [
        ("known_at", False), ("computed", True), ("planned", True), ("time", False)
    ]  # fmt: skip
    shown = duckdb.sql(times.shown(f"SELECT * FROM (VALUES {row}, {late})", CUTOFF)).fetchall()
    assert [[value is not None for value in one] for one in shown] == [[True, True, True, False]]


def test_rows_without_a_time_are_counted() -> None:
    times = found("(date '2024-01-01', 'a'), (NULL, 'b'), (NULL, 'c')")
    assert (times.rows, times.undated, times.is_dated) == (3, 2, False)
    assert found("(NULL::date)").is_dated is False
