from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.errors import DataError, StoreError, StudyError
from features.layout import lay_out
from features.snapshot import DAY, iso, parse_date
from features.study import Study, parse_study
from flows.freshness import Age, ages, clock_warnings, present, refuse_stale, stale, told

NOW = parse_date("2025-06-30")


def _age(table: str, newest: str, limit: str | None = None, now: int = NOW) -> Age:
    return Age(table, parse_date(newest), now, limit)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a small company, laid out."""
    folder = tmp_path_factory.mktemp("fresh")
    write_company(simulate_company(150, 11, weeks=50), folder)
    lay_out(_study(folder), folder, folder / "store")
    return folder


def _study(folder: Path, scoring: str = "") -> Study:
    text = (folder / "study.yaml").read_text("utf-8") + (f"\nscoring: {scoring}\n" if scoring else "")
    return parse_study(text, "study.yaml")


def test_ages_are_those_of_the_newest_rows_of_the_users_tables(company: Path) -> None:
    contacts = pq.read_table(company / "touchpoints.parquet")
    paid = pq.read_table(company / "invoices.parquet")
    newest = {"touchpoints": contacts["booked_time"], "revenue": paid["invoice_date"]}
    found = ages(_study(company), company / "store", NOW)
    wanted = {name: max(times.cast(pa.timestamp("us", "UTC")).to_pylist()) for name, times in newest.items()}
    assert {one.table: one.newest for one in found} == {name: present(at.isoformat()) for name, at in wanted.items()}
    assert not any(one.limit for one in found)


def test_tables_with_an_age_in_the_study_are_looked_at_and_the_others_are_told(company: Path) -> None:
    study = _study(company, "{freshness: {churn: 2 days, customers: 900 weeks}}")
    newest = max(one.newest for one in ages(study, company / "store", NOW))
    found = ages(study, company / "store", newest + 30 * DAY)
    assert [(one.table, one.limit) for one in found] == [
        ("touchpoints", None), ("revenue", None), ("churn", "2 days"), ("customers", "900 weeks"),
    ]  # fmt: skip
    assert list(stale(found)) == ["churn"]


def test_a_damaged_layout_is_one_clear_error(company: Path) -> None:
    path = next((company / "store" / "layout").glob("bucket-*/revenue.parquet"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match=r"revenue.parquet' is missing or damaged. Remove .*layout' and run again"):
        ages(_study(company), company / "store", NOW)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("newest", "limit", "is_stale"),
    [("2025-06-23", "7 days", False), ("2025-06-22", "7 days", True), ("2020-01-01", None, False)],
)
def test_data_are_stale_when_older_than_the_limit_and_not_on_its_last_day(
    newest: str, limit: str | None, is_stale: bool
) -> None:
    assert _age("revenue", newest, limit).is_stale is is_stale


def test_every_table_that_is_too_old_is_named_with_its_age_and_what_to_do() -> None:
    found = [
        _age("touchpoints", "2025-06-20", "7 days"),
        _age("revenue", "2025-06-29", "7 days"),
        _age("churn", "2025-05-01", "4 weeks"),
    ]
    with pytest.raises(DataError, match="--stale-anyway") as caught:
        refuse_stale(found)
    assert caught.value.faults == (
        "The newest row of touchpoints is of 2025-06-20, 10 days old. At most 7 days were expected (scoring.freshness "
        "in the study).",
        "The newest row of churn is of 2025-05-01, 60 days old. At most 4 weeks were expected (scoring.freshness in "
        "the study).",
    )
    assert stale(found) == {"touchpoints": "2025-06-20", "churn": "2025-05-01"}
    refuse_stale(found[1:2])


def test_ages_are_told_in_days_and_below_one_in_hours() -> None:
    late = Age("revenue", NOW - DAY // 8, NOW, None)
    assert told([_age("touchpoints", "2025-06-29"), late]) == (
        "newest rows: touchpoints 2025-06-29 (1 day old), revenue 2025-06-29 (3 hours old)"
    )


def test_a_clock_that_was_set_back_is_told_and_refuses_nothing() -> None:
    found = [_age("touchpoints", "2025-07-02", "7 days"), _age("revenue", "2025-06-01", "40 days")]
    warnings = list(clock_warnings(found, NOW, parse_date("2025-07-03")))
    assert len(warnings) == 2
    assert "the clock says 2025-06-30 00:00, before the newest row of touchpoints, 2025-07-02 00:00" in warnings[0]
    assert "before the last scoring, 2025-07-03" in warnings[1]
    assert found[0].text == "2 days ahead of the clock"
    refuse_stale(found)
    assert list(clock_warnings(found[1:], NOW, NOW)) == []


def test_the_present_is_the_clock_or_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_750_000_000_123_456_789)
    assert present(None) == 1_750_000_000_123_456
    assert iso(present("2025-06-01T23:30:00-01:00")) == "2025-06-02"
    with pytest.raises(StudyError, match="'yesterday' is not a time"):
        present("yesterday")
