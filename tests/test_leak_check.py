"""The check that users run: a clean company passes bit for bit, and every planted leak is caught under its name."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from features import measures
from features.company import simulate_company
from features.company_files import write_company
from features.errors import EmptyResultError, UnsupportedError
from features.leak_check import LeakCheck, check_leaks
from features.leak_law import AT_RISK
from features.snapshot import parse_date
from features.study import Study, parse_study
from flows import cli

CUTOFF = parse_date("2025-02-01")
CLIENTS = "  from: clients\n"
CONTACTS = "  from: contacts\n"
SQL = "  sql: |\n    {}\n"
WAIT = "case when closed_at is not null then epoch(closed_at - event_time) / 60 end as wait_min"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company of 300 whose support contacts also say when their case was closed, days later."""
    folder = tmp_path_factory.mktemp("company") / "north line"
    write_company(simulate_company(300, 3), folder)
    contacts = folder / "touchpoints.parquet"
    closed = "case when process = 'support' then event_time + interval 1 day * (1 + hash(case_no) % 20) end"
    duckdb.sql(f"select *, {closed} as closed_at from '{contacts}'").write_parquet(f"{contacts}.new")
    Path(f"{contacts}.new").replace(contacts)
    return folder


def study_of(company: Path, *changes: tuple[str, str]) -> Study:
    text = (company / "study.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_study(text, "study.yaml")


def checked(company: Path, store: Path, *changes: tuple[str, str], **more: Any) -> LeakCheck:
    return check_leaks(study_of(company, *changes), company, store, **({"cutoffs": [CUTOFF]} | more))


def touchpoints(sql: str) -> tuple[str, str]:
    return CONTACTS, SQL.format(sql)


def customers(sql: str, covariate: str) -> tuple[tuple[str, str], ...]:
    return (CLIENTS, SQL.format(sql)), ("monthly_fee]", f"monthly_fee, {covariate}]")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_clean_company_passes_bit_for_bit_at_three_cutoffs_and_nothing_in_the_store_changes(
    company: Path, tmp_path: Path
) -> None:
    checked(company, tmp_path)
    before, ticks = contents(tmp_path), list[str]()
    found = checked(company, tmp_path, cutoffs=None, tick=lambda message, done, total: ticks.append(message))
    assert (found.is_clean, found.rounded, found.clocks, found.unchecked) == (True, (), (), ())
    assert len(found.cutoffs) == 3
    assert found.rows > 500
    assert found.features > 100
    assert found.to_frame().empty
    assert contents(tmp_path) == before
    assert {"comparing features", "the layout is up to date"} <= set(ticks)


LEAKS = {
    "the clock": (
        customers("select *, date_diff('day', contract_start, today()) as age from clients", "age"),
        ("customers", "age", "customers.sql asks today()"),
    ),
    "a whole life": (
        customers(
            "select *, (select count(*) from contacts t where t.client_no = c.client_no) as n from clients c", "n"
        ),
        ("customers", "n", "changes in"),
    ),
    "the whole table": (
        (touchpoints("select * replace (epoch(max(event_time) over () - event_time) as wait_min) from contacts"),),
        ("touchpoints", "wait", "changes in"),
    ),
    "the next row": (
        (
            touchpoints(
                "select * replace (epoch(lead(event_time) over mine - event_time) as wait_min) from contacts "
                "window mine as (partition by client_no order by event_time)"
            ),
        ),
        ("touchpoints", "wait", "is only known later in"),
    ),
    "a later time": (
        (touchpoints(f"select * replace ({WAIT}) from contacts"),),
        ("touchpoints", "wait", "is only known later in"),
    ),
    "chance": (
        (touchpoints("select * replace (wait_min * random() as wait_min) from contacts"),),
        ("touchpoints", "wait", "touchpoints.sql asks random()"),
    ),
    "later rows decide": (
        (touchpoints("select t.* from contacts t join ended using (client_no)"),),
        ("touchpoints", "", "had not been there with the rows known then"),
    ),
    "only the last row": (
        (
            touchpoints(
                "select * from contacts "
                "qualify row_number() over (partition by client_no order by event_time desc) <= 30"
            ),
        ),
        ("touchpoints", "", "touchpoints that were there at the cutoff are gone"),
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_caught_with_what_it_comes_from(name: str, company: Path, tmp_path: Path) -> None:
    changes, (table, column, words) = LEAKS[name]
    found = checked(company, tmp_path, *changes)
    assert not found.is_clean
    assert {(one.table, one.column) for one in found.differences} == {(table, column)}
    assert all(words in one.cause for one in found.differences)
    assert all(0 < one.rows <= one.of == found.rows for one in found.differences)
    if column and table == "touchpoints":
        assert "support__wait_min__mean" in found.leaking
    if table == "customers":
        assert found.leaking == (column,)


def test_the_advice_for_a_later_time_names_it_and_following_it_helps(company: Path, tmp_path: Path) -> None:
    found = checked(company, tmp_path, *LEAKS["a later time"][0])
    assert "known_at = closed_at" in found.differences[0].advice
    assert "--planned contacts.closed_at" in found.differences[0].advice
    mended = f"select * replace ({WAIT}, greatest(booked_time, closed_at) as booked_time) from contacts"
    assert checked(company, tmp_path, touchpoints(mended)).is_clean


def test_a_time_that_was_planned_is_not_taken_for_a_leak_when_told_so(company: Path, tmp_path: Path) -> None:
    found = checked(company, tmp_path, *LEAKS["a later time"][0], planned=["contacts.closed_at"])
    assert found.is_clean
    assert found.unchecked == ("contacts: 'closed_at' is taken as planned ahead, so that its later times stay.",)


def test_a_clock_that_decides_nothing_is_a_warning_and_no_leak(company: Path, tmp_path: Path) -> None:
    found = checked(company, tmp_path, touchpoints("select * from contacts where event_time <= now()"))
    assert found.is_clean
    assert found.clocks == ("touchpoints.sql asks the clock: now().",)


def test_a_clock_in_a_definition_is_caught(company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = measures.facts_of
    planted = {"switched": lambda t: np.full(len(t.occurred_at), time.time() % 1)}
    monkeypatch.setattr(measures, "facts_of", lambda study, recorded: sound(study, recorded) | planted)
    found = checked(company, tmp_path)
    assert "support__switches_count__mean" in found.leaking
    assert not [name for name in found.leaking if "wait" in name or "revenue" in name]
    assert all("its definition asks the clock" in one.cause for one in found.differences)


def test_a_late_row_is_seen_only_where_known_at_tells_of_it(company: Path, tmp_path: Path) -> None:
    late = "select *, event_time + interval 3 day as entered from contacts"
    told = late.replace("entered", "known_at").replace("interval 3", "interval 30")
    silent = checked(company, tmp_path / "silent", touchpoints(late), ("booked_time", "event_time"))
    assert silent.is_clean
    duckdb.sql(f"{told}".replace("contacts", f"'{company}/touchpoints.parquet'")).write_parquet(
        str(company / "told.parquet")
    )
    source = ("contacts: touchpoints.parquet", "contacts: told.parquet")
    found = checked(company, tmp_path / "told", source, ("known_at: booked_time", "known_at: event_time"))
    assert {(one.table, one.column) for one in found.differences} == {("touchpoints", "")}


def test_revenue_that_is_booked_late_is_caught(company: Path, tmp_path: Path) -> None:
    invoices = company / "invoices.parquet"
    late = "select *, invoice_date + interval 10 day as known_at"
    duckdb.sql(f"{late} from '{invoices}'").write_parquet(str(company / "booked.parquet"))
    found = checked(company, tmp_path, ("invoices: invoices.parquet", "invoices: booked.parquet"))
    assert set(found.leaking) >= {"revenue_past", "customer__payments_count__total"}
    assert {one.table for one in found.differences} == {"revenue"}


def test_departures_and_joinings_that_change_later_are_caught(company: Path, tmp_path: Path) -> None:
    joined = "select * replace (min(contract_start) over () + (max(contract_start) over () - contract_start) as "
    found = checked(company, tmp_path / "a", (CLIENTS, SQL.format(f"{joined}contract_start) from clients")))
    assert {"at risk", "tenure_days"} <= set(found.leaking)
    left = 'sql: "select client_no, contract_end - interval 60 day as contract_end from ended"'
    found = checked(company, tmp_path / "b", ("from: ended", left))
    assert found.leaking == (AT_RISK,)
    assert (found.differences[0].table, found.differences[0].rows > 0) == ("churn", True)


def test_tables_that_cannot_be_used_as_they_stood_are_a_leak_with_the_reason(company: Path, tmp_path: Path) -> None:
    sql = "select *, (select contract_end from ended where contract_end > ''2025-06-01'' limit 1) as x from contacts"
    sql = sql.replace("''", "'") + " where x is not null"
    found = checked(company, tmp_path, touchpoints(sql))
    assert found.leaking[0] == AT_RISK
    assert "touchpoints: no rows are left: the table is empty" in found.differences[0].cause


def test_nobody_having_left_yet_does_not_stop_the_check(company: Path, tmp_path: Path) -> None:
    late = ("from: ended", "sql: \"select * from ended where contract_end > '2025-02-01'\"")
    assert checked(company, tmp_path, late).is_clean


def test_churn_by_inactivity_passes(company: Path, tmp_path: Path) -> None:
    rule = (
        "churn: {from: ended, columns: {customer_id: client_no, churned_at: contract_end}}",
        "churn: {inactive_days: 45}",
    )
    assert checked(company, tmp_path, rule).is_clean
    table, column = LEAKS["a later time"][1][:2]
    found = checked(company, tmp_path, rule, *LEAKS["a later time"][0])
    assert {(one.table, one.column) for one in found.differences} == {(table, column)}


def test_a_difference_in_the_last_digits_is_rounding_and_no_leak(company: Path, tmp_path: Path) -> None:
    sql = "select client_no as customer_id, invoice_date as occurred_at, amount_eur * (1 + {}) as amount from invoices"
    noise = "(select count(*) from invoices) * 1e-18"
    plain = (
        "revenue: {from: invoices, columns: {customer_id: client_no, occurred_at: invoice_date, amount: amount_eur}}"
    )
    found = checked(company, tmp_path, (plain, "revenue:\n" + SQL.format(sql.format(noise))))
    assert (found.is_clean, "revenue_past" in found.rounded) == (True, True)


def test_a_sample_of_customers_is_enough_to_find_a_leak(company: Path, tmp_path: Path) -> None:
    found = checked(company, tmp_path, *LEAKS["a later time"][0], sample=100)
    assert not found.is_clean
    assert 30 < found.rows < 120
    assert found.unchecked[0].startswith("customers outside the sample of ")
    assert checked(company, tmp_path, sample=100).is_clean
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing_behind(company: Path, tmp_path: Path) -> None:
    def interrupt(message: str, done: int, total: int) -> None:
        if message == "comparing features":
            raise KeyboardInterrupt("by hand")

    with pytest.raises(KeyboardInterrupt, match="by hand"):
        checked(company, tmp_path, tick=interrupt)
    assert {path.name for path in tmp_path.iterdir()} == {"layout", "quarantine"}


def test_cutoffs_outside_the_data_and_flat_tables_are_refused(company: Path, tmp_path: Path) -> None:
    with pytest.raises(EmptyResultError, match=r"2031-01-01 lies outside the data\. The data reach from"):
        checked(company, tmp_path, cutoffs=[parse_date("2031-01-01")])
    with pytest.raises(EmptyResultError, match=r"There is no cutoff to check at.*Shorten snapshot\.window_days"):
        checked(company, tmp_path, ("window_days: 180", "window_days: 5000"), cutoffs=None)
    flat = parse_study(
        "study: a\nsources: {t: t.csv}\njourneys: [{name: x, stage: y}]\nflat: {from: t, churned: left}", "study.yaml"
    )
    with pytest.raises(UnsupportedError, match="A flat table has no event times"):
        check_leaks(flat, company, tmp_path)


def test_the_command_says_that_there_is_no_leak(
    company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(company, tmp_path / "a")
    given = [
        "check",
        "--leaks",
        "--study",
        str(tmp_path / "a" / "study.yaml"),
        "--cutoffs",
        "2025-02-01",
        "--json",
        "-",
    ]
    assert cli.main(given) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["is_clean"] is True
    assert "no leak found at 1 cutoff: " in told.err
    assert " features identical, " in told.err


def test_the_command_ends_with_code_4_and_hands_over_what_it_found(
    company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(company, tmp_path / "a")
    text = (company / "study.yaml").read_text(encoding="utf-8")
    (tmp_path / "a" / "study.yaml").write_text(text.replace(*LEAKS["a later time"][0][0]), encoding="utf-8")
    given = ["check", "--leaks", "--study", str(tmp_path / "a" / "study.yaml"), "--json", str(tmp_path / "leaks.json")]
    assert cli.main([*given, "--cutoffs", "2025-02-01", "2025-03-01"]) == 4
    told = capsys.readouterr()
    assert "touchpoints.wait" in told.out
    assert "known_at = closed_at" in told.out
    assert "Equal values were expected" in told.err
    found = json.loads((tmp_path / "leaks.json").read_text(encoding="utf-8"))
    assert found["cutoffs"] == ["2025-02-01", "2025-03-01"]
    assert {row["column"] for row in found["differences"]} == {"wait"}
