"""Every kind of bad input that a user has brought, end to end through the command line on tiny tables."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows import cli

STUDY = """\
study: tiny
sources: {customers: customers.parquet, touches: touches.parquet, churn: churn.parquet, invoices: invoices.parquet}
customers: {from: customers, columns: {customer_id: id}}
touchpoints: {from: touches, columns: {customer_id: id, journey: process, occurred_at: at}, session_gap_days: 14}
churn: {from: churn, columns: {customer_id: id, churned_at: at}}
revenue: {from: invoices, columns: {customer_id: id, occurred_at: at}}
journeys: [{name: billing, stage: use}, {name: support, stage: use}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: talk, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: outage, unit: h, kind: duration, direction: lower, control: none, journeys: [billing]}
snapshot: {every: month, window_days: 60, gap_days: 0, horizon_days: 30}
"""
START = pd.Timestamp("2024-01-01", tz="UTC")
N = 40
Tables = dict[str, pd.DataFrame]
Edit = Callable[[Tables], object]


def _tables() -> Tables:
    """Forty customers over ten months: two contacts and an invoice a month; every second one leaves."""
    rng = np.random.default_rng(1)
    ids = [f"c{i:02d}" for i in range(N)]
    stay = {one: 300 if i % 2 else 90 + 5 * i for i, one in enumerate(ids)}
    days = [(one, day) for one in ids for day in range(5, stay[one], 30)]
    at = pd.Series([START + pd.Timedelta(days=day) for _, day in days])
    who = [one for one, _ in days]
    talks = {"wait": rng.gamma(2, 3, len(days)), "talk": rng.gamma(2, 2, len(days))}
    support = pd.DataFrame({"id": who, "process": "support", "at": at, **talks, "outage": np.nan})
    hours = {"wait": np.nan, "talk": np.nan, "outage": rng.integers(0, 4, len(days)).astype(float)}
    billing = pd.DataFrame({"id": who, "process": "billing", "at": at + pd.Timedelta(days=1), **hours})
    left = [one for one in ids if stay[one] < 300]
    return {
        "customers": pd.DataFrame({"id": ids, "joined_at": START}),
        "touches": pd.concat([support, billing], ignore_index=True),
        "churn": pd.DataFrame({"id": left, "at": [START + pd.Timedelta(days=stay[one]) for one in left]}),
        "invoices": pd.DataFrame({"id": who, "at": at, "amount": rng.gamma(9, 3, len(days))}),
    }


def _write(folder: Path, edit: Edit = lambda _: None, study: str = STUDY) -> Path:
    tables = _tables()
    edit(tables)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "study.yaml").write_text(study, encoding="utf-8")
    return folder / "study.yaml"


def _run(capsys: pytest.CaptureFixture[str], *given: str | Path) -> tuple[int, str, str]:
    """Run a command; whatever happens, nobody sees a traceback and nothing half-written stays."""
    capsys.readouterr()
    code = cli.main([str(one) for one in given])
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    study = next((one for one in given if isinstance(one, Path) and one.name == "study.yaml"), None)
    assert study is None or list(study.parent.rglob("*.tmp*")) == []
    return code, told.out, told.err


def _set(table: str, column: str, value: object, rows: slice = slice(0, 3)) -> Edit:
    """Put a value into the first rows of a table."""

    def edit(tables: Tables) -> None:
        changed = tables[table].copy()
        changed.iloc[rows, list(changed.columns).index(column)] = value
        tables[table] = changed

    return edit


def _twice(tables: Tables) -> None:
    tables["touches"] = pd.concat([tables["touches"], tables["touches"].iloc[:3]], ignore_index=True)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_set("touches", "at", pd.Timestamp("2999-01-01", tz="UTC")), "future timestamp"),
        (_set("touches", "at", pd.NaT), "bad timestamp"),
        (_twice, "duplicate touchpoint"),
        (_set("touches", "id", "nobody"), "unknown customer"),
        (_set("touches", "wait", np.inf), "infinite measure: wait"),
        (_set("touches", "wait", -np.inf), "infinite measure: wait"),
        (_set("touches", "wait", -1.0), "negative duration: wait"),
        (_set("touches", "process", "suport"), "unknown journey"),
    ],
)
def test_bad_rows_are_set_aside_with_their_count_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Edit, reason: str
) -> None:
    study = _write(tmp_path, edit)
    code, out, _ = _run(capsys, "check", "--study", study)
    assert code == 0
    assert re.search(rf"touchpoints\s+{reason}\s+3\b", out)
    bad = pq.read_table(tmp_path / "store" / "quarantine" / "touchpoints.parquet")
    assert bad["quarantine_reason"].to_pylist() == [reason] * 3


@pytest.mark.parametrize(
    ("edit", "code", "message"),
    [
        (
            lambda t: t.update(touches=t["touches"].rename(columns={"wait": "wating"})),
            3,
            "column 'wait' .measure. is missing",
        ),
        (lambda t: t.update(touches=t["touches"].iloc[:0]), 3, "touchpoints: no rows are left: the table is empty"),
        (_set("touches", "id", "nobody", slice(None)), 3, "touchpoints: no rows are left: .* with unknown customer"),
        (_set("customers", "joined_at", pd.NaT, slice(None)), 3, "customers: no rows are left: 40 with bad timestamp"),
        (lambda t: t.update(churn=t["churn"].iloc[:0]), 5, "Nobody churned"),
        (
            lambda t: t.update(churn=pd.DataFrame({"id": t["customers"]["id"], "at": START + pd.Timedelta(days=99)})),
            5,
            "All 40 customers churned",
        ),
    ],
)
def test_tables_that_make_the_study_meaningless_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Edit, code: int, message: str
) -> None:
    study = _write(tmp_path, edit)
    got, _, err = _run(capsys, "check", "--study", study)
    assert got == code
    assert re.search(message, err)
    assert not (tmp_path / "store" / "layout").exists()


def test_an_unknown_key_is_told_with_its_line_and_the_nearest_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _write(tmp_path, study=STUDY + "mony: {margin: 0.5}\n")
    code, _, err = _run(capsys, "check", "--study", study)
    assert code == 2
    assert re.search(r"study\.yaml:13: .*mony.*Did you mean 'money'", err)
    assert not (tmp_path / "store").exists()


def test_times_without_a_zone_are_read_as_utc_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def strip(tables: Tables) -> None:
        tables["touches"]["at"] = tables["touches"]["at"].dt.tz_localize(None)
        tables["invoices"]["at"] = tables["invoices"]["at"].dt.tz_convert("Asia/Tokyo")

    _, zoned, _ = _run(capsys, "check", "--study", _write(tmp_path / "zoned"))
    assert "without a zone" not in zoned
    code, out, _ = _run(capsys, "check", "--study", _write(tmp_path / "mixed", strip))
    assert code == 0
    assert "note: Timestamps without a zone were read as UTC: touchpoints.occurred_at." in out
    assert out.splitlines()[1:4] == zoned.splitlines()[1:4]


def test_touchpoints_before_joining_stay_in_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _write(tmp_path, _set("customers", "joined_at", START + pd.Timedelta(days=10), slice(0, 1)))
    code, out, _ = _run(capsys, "check", "--study", study)
    assert code == 0
    assert "note: 2 touchpoints lie before their customer joined" in out
    assert "Quarantine" not in out


def test_a_time_of_zero_does_not_open_fifty_years_of_empty_cutoffs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _write(tmp_path, _set("touches", "at", pd.Timestamp(0, tz="UTC")))
    code, out, _ = _run(capsys, "check", "--study", study)
    assert code == 0
    assert re.search(r"touchpoints\s+bad timestamp\s+3\b", out)
    assert "1970" not in out


def test_customers_without_touchpoints_stay_in_and_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def silence(tables: Tables) -> None:
        tables["touches"] = tables["touches"].loc[tables["touches"]["id"].ne("c01")]

    code, out, _ = _run(capsys, "check", "--study", _write(tmp_path, silence))
    assert code == 0
    assert "note: 1 of 40 customers have no touchpoints" in out


def test_nan_in_a_measure_is_missing_and_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run(capsys, "check", "--study", _write(tmp_path, _set("touches", "wait", np.nan, slice(None))))
    assert code == 0
    assert "look: The measure 'wait' is always missing." in out
    assert "Quarantine" not in out


def test_names_of_any_script_go_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rename(tables: Tables) -> None:
        for name, table in tables.items():
            tables[name] = table.assign(id="Zoë 顧客 " + table["id"])
        tables["touches"] = tables["touches"].replace({"process": {"support": "Störung"}})

    study = STUDY.replace("name: support", "name: Störung").replace("[support]", "[Störung]")
    code, out, err = _run(capsys, "check", "--study", _write(tmp_path / "größe é", rename, study))
    assert code == 0, err
    assert "Störung" in out


def test_a_store_in_a_read_only_folder_is_exit_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _write(tmp_path)
    if os.geteuid() == 0:
        (tmp_path / "store").symlink_to("/proc/store")  # root may write anywhere but here
    else:
        tmp_path.chmod(0o555)
    code, _, err = _run(capsys, "check", "--study", study)
    tmp_path.chmod(0o755)
    assert code == 6
    assert "cannot be written" in err


def test_a_result_for_an_unwritable_place_is_exit_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _write(tmp_path)
    (tmp_path / "file").touch()
    code, _, err = _run(capsys, "check", "--study", study, "--json", tmp_path / "file" / "out.json")
    assert code == 6
    assert "cannot be written" in err


def test_a_window_longer_than_the_data_is_exit_5_and_says_what_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _write(tmp_path, study=STUDY.replace("window_days: 60", "window_days: 2000"))
    code, out, _ = _run(capsys, "check", "--study", study)
    assert code == 0
    assert "No cutoff has known outcomes" in out
    code, _, err = _run(capsys, "features", "--study", study)
    assert code == 5
    assert re.search("No cutoff can be learned from.*Shorten snapshot.window_days", err)
    assert not (tmp_path / "store" / "panel").exists()


def test_a_first_cutoff_before_all_history_is_exit_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _write(tmp_path, study=STUDY.replace("every: month,", "every: month, first: 2020-01-01,"))
    code, _, err = _run(capsys, "features", "--study", study)
    assert code == 5
    assert re.search("snapshot.first is 2020-01-01, but the data begin on 2024-01-06", err)


def test_a_constant_measure_is_named_and_makes_a_panel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def still(tables: Tables) -> None:
        tables["touches"]["wait"] = tables["touches"]["wait"].where(tables["touches"]["wait"].isna(), 5.0)

    study = _write(tmp_path, still)
    _, out, _ = _run(capsys, "check", "--study", study)
    code, _, err = _run(capsys, "features", "--study", study)
    assert code == 0, err
    assert "look: The measure 'wait' is constant (5): nothing can be learned from it." in out
    assert (tmp_path / "store" / "panel").is_dir()
    code, out, err = _run(capsys, "explain", "--study", study)
    assert code == 0, err
    assert "wait never varies, so nothing can be learned about moving it." in out


def test_nobody_leaving_in_the_tested_months_is_exit_5_and_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _write(tmp_path, lambda t: t.update(churn=t["churn"].iloc[4:6]))
    code, _, err = _run(capsys, "train", "--study", study)
    assert code == 5
    assert "There are no churners among the rows that the candidates are tested on" in err
    assert not (tmp_path / "store" / "results" / "train.json").exists()


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            STUDY,
            "not compared with touchpoints: .* churners and .* at least 10 of each are needed. Bring more customers",
        ),
        (
            STUDY.replace("horizon_days: 30", "horizon_days: 150"),
            r"matured cutoffs .*, none of them 150 days .gap . horizon. after another",
        ),
    ],
)
def test_too_few_churners_or_cutoffs_to_compare_journeys_is_exit_5_and_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], study: str, message: str
) -> None:
    code, _, err = _run(capsys, "premium", "--study", _write(tmp_path, study=study))
    assert code == 5, err
    assert re.search(message, err)
    assert not (tmp_path / "store" / "results" / "premium.json").exists()


PLAN = """\
initiatives:
  - name: one
    changes: [{journey: %s, measure: %s, scale: 0.5}]
    reach: %s
"""


@pytest.mark.parametrize(
    ("journey", "measure", "reach", "message"),
    [
        ("suport", "wait", "1", r"plan\.yaml:3: .*no journey is called 'suport'.*Did you mean 'support'"),
        ("support", "wait", "0", r"plan\.yaml:4: .*reach"),
        ("support", "wait", "1.01", r"plan\.yaml:4: .*reach"),
        ("support", "wait", ".nan", r"plan\.yaml:4: .*reach"),
        ("billing", "wait", "1", r"plan\.yaml:3: .*'wait' is not measured in 'billing'"),
    ],
)
def test_a_wrong_initiative_is_exit_2_with_its_line_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], journey: str, measure: str, reach: str, message: str
) -> None:
    study = _write(tmp_path)
    (tmp_path / "plan.yaml").write_text(PLAN % (journey, measure, reach), encoding="utf-8")
    code, _, err = _run(capsys, "simulate", "--study", study, "--initiatives", tmp_path / "plan.yaml")
    assert code == 2
    assert re.search(message, err)
    assert not (tmp_path / "store" / "layout").exists()
