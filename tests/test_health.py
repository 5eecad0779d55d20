import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.flat import read_flat
from features.health import Health, describe, describe_flat
from features.layout import lay_out
from features.snapshot import parse_date
from features.study import parse_study

STUDY = """\
study: shop
sources: {customers: c.csv, touches: t.csv, churn: l.csv, invoices: i.csv}
customers: {from: customers}
touchpoints: {from: touches}
churn: {from: churn}
revenue: {from: invoices}
journeys: [{name: billing, stage: use}, {name: support, stage: use}, {name: renewal, stage: renew}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: never, unit: min, kind: duration, direction: lower}
snapshot: {window_days: 60, horizon_days: 30}
"""
TABLES = {
    "c": "customer_id,joined_at\na,2024-01-01\nb,2024-03-01\nc,2024-01-01\n",
    "t": "customer_id,journey,touchpoint,occurred_at,wait,never\n"
    "a,billing,bill,2024-01-05,,\na,support,call,2024-01-06,4,\nb,billing,bill,2024-02-05,4,\nzz,billing,bill,2024-02-05,,\n"
    "b,suport,call,2024-02-06,4,\n",
    "l": "customer_id,churned_at\na,2024-06-05\n",
    "i": "customer_id,occurred_at,amount\na,2024-02-01T00:00:00Z,5\n",
}


def _health(folder: Path, study: str = STUDY, **tables: str) -> Health:
    for name, text in (TABLES | tables).items():
        (folder / f"{name}.csv").write_text(text)
    parsed = parse_study(study, "study.yaml")
    return describe(lay_out(parsed, folder, folder / "store", now_us=parse_date("2025-01-01")), parsed)


def test_health_counts_what_was_found(tmp_path: Path) -> None:
    health = _health(tmp_path)
    assert (health.customers, health.touchpoints) == (3, 3)
    assert (health.first_day, health.last_day) == ("2024-01-05", "2024-06-05")
    assert health.to_frame().to_numpy().tolist() == [
        ["customers", 3, 3, 0],
        ["touchpoints", 5, 3, 2],
        ["revenue", 1, 1, 0],
        ["churn", 1, 1, 0],
    ]
    assert health.quarantine_frame().to_numpy().tolist() == [
        ["touchpoints", "unknown customer", 1],
        ["touchpoints", "unknown journey", 1],
    ]
    assert health.journeys_frame()["journey"].tolist() == ["billing", "support"]
    assert health.measures_frame()[["measure", "n"]].to_numpy().tolist() == [["wait", 2], ["never", 0]]
    assert health.volumes_frame()["touchpoints"].sum() == 3


def test_the_first_cutoff_has_a_full_window_of_data_before_it(tmp_path: Path) -> None:
    health = _health(tmp_path)
    assert health.first_cutoff == "2024-04-01"  # the first of a month at least 60 days after 5 January
    assert (health.cutoffs, health.matured) == (3, 2)  # April, May and June; June ends after the data


def test_every_assumption_is_noted(tmp_path: Path) -> None:
    notes = "\n".join(_health(tmp_path).notes)
    assert "Timestamps without a zone were read as UTC: customers.joined_at, touchpoints.occurred_at" in notes
    assert "revenue.occurred_at" not in notes
    assert "The measure 'wait' is constant (4): nothing can be learned from it." in notes
    assert "The measure 'never' is always missing." in notes
    assert "The measure 'wait' also has values in billing, where the study does not expect it." in notes
    assert "The journey 'suport' is not in the journey map; its touchpoints are in quarantine." in notes
    assert "Did you mean 'support'?" in notes
    assert "Declared but without touchpoints: renewal." in notes
    assert "1 of 3 customers have no touchpoints; they stay in, with counts of zero." in notes
    assert "1 touchpoints lie before their customer joined; they stay in, as adverts do." in notes


def test_a_sound_study_has_no_notes(tmp_path: Path) -> None:
    touches = """\
customer_id,journey,occurred_at,wait,never
a,billing,2024-03-01,,1
b,support,2024-03-02,1,2
c,renewal,2024-03-03,,3
a,support,2024-03-04,2,4
"""
    zoned = {name: re.sub(r"(2024-\d\d-\d\d)(?!T)", r"\1T00:00:00Z", text) for name, text in TABLES.items()}
    touches = re.sub(r"(2024-\d\d-\d\d)", r"\1T00:00:00Z", touches)
    zoned["i"] += "".join(f"{who},2024-03-02T00:00:00Z,5\n" for who in "bc")
    health = _health(tmp_path, **(zoned | {"t": touches}))
    assert health.notes == ()
    assert health.findings == ()


def test_too_little_history_is_noted_with_the_days_that_are_needed(tmp_path: Path) -> None:
    health = _health(tmp_path, STUDY.replace("window_days: 60", "window_days: 180"))
    assert health.matured == 0
    assert health.findings[0].severity == "stop"
    assert "No cutoff has known outcomes: the data run from 2024-01-05 to 2024-06-05" in health.notes[0]
    assert "together need 210 days" in health.notes[0]


def test_a_first_cutoff_before_the_data_is_noted(tmp_path: Path) -> None:
    study = STUDY.replace("window_days: 60", "first: 2023-01-01, window_days: 60")
    health = _health(tmp_path, study)
    assert any("snapshot.first is 2023-01-01" in note for note in health.notes)
    assert health.first_cutoff == "2024-04-01"


def test_a_flat_table_is_described_by_its_rows_and_weights(tmp_path: Path) -> None:
    pd.DataFrame({"customer_id": list("abcd"), "left": [1, 0, 0, 0], "wait": [3.0, 3.0, None, 3.0]}).to_csv(
        tmp_path / "f.csv", index=False
    )
    text = "study: a\nsources: {f: f.csv}\nflat: {from: f, churned: left, base_rate: 0.1}\n"
    text += "journeys: [{name: x, stage: y}]\n"
    text += "measures: [{name: wait, unit: min, kind: duration, direction: lower, journey: x}]\n"
    study = parse_study(text, "study.yaml")
    health = describe_flat(read_flat(study, tmp_path), study)
    assert (health.customers, health.touchpoints, health.first_cutoff) == (4, 0, "")
    assert health.measures[0].missing_share == pytest.approx(0.25)
    assert health.notes[0] == "The churn rate in the table is 25.0%; rows are weighted so that it is 10.0%."
    assert health.findings[0].what == "The measure 'wait' is constant (3): nothing can be learned from it."


def test_a_flat_table_is_described_wave_by_wave_with_codes_and_row_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 2_000
    frame = pd.DataFrame({"customer_id": range(n), "left": rng.integers(0, 2, n), "wave": np.arange(n) // 400})
    frame["wait"] = rng.exponential(8, n) * np.where(frame["wave"] > 2, 60, 1)
    frame["score"] = np.where(np.arange(n) % 10 == 3, 9, rng.integers(1, 6, n))
    frame["stars"] = np.where(np.arange(n) % 50 == 7, 0, rng.integers(1, 6, n))
    frame.to_parquet(tmp_path / "f.parquet")
    text = "study: a\nsources: {f: f.parquet}\nflat: {from: f, churned: left, wave: wave}\n"
    text += "journeys: [{name: x, stage: y}]\nmeasures:\n"
    text += "  - {name: wait, unit: min, kind: duration, direction: lower, journey: x}\n"
    text += "  - {name: score, unit: points, kind: rating, direction: higher, journey: x}\n"
    text += "  - {name: stars, unit: points, kind: rating, direction: higher, journey: x, range: [1, 5]}\n"
    study = parse_study(text, "study.yaml")
    health = describe_flat(read_flat(study, tmp_path), study)
    assert [(finding.topic, finding.severity) for finding in health.findings] == [
        ("wait", "stop"),
        ("score", "stop"),
        ("stars", "look"),
        ("ratings", "fine"),
    ]
    assert health.quarantined[0].examples == (8, 58, 108, 158, 208)
    periods = health.periods_frame()
    assert periods["period"].unique().tolist() == ["0", "1", "2", "3", "4"]
    assert periods.loc[periods["measure"].eq("wait"), "rows"].sum() == n - 40


def test_findings_come_worst_first_and_are_the_notes(tmp_path: Path) -> None:
    health = _health(tmp_path)
    order = [finding.severity for finding in health.findings]
    assert order == sorted(order, key=["stop", "look", "fine"].index)
    assert health.notes == tuple(finding.sentence for finding in health.findings)
    frame = health.findings_frame()
    assert frame.columns.tolist() == ["severity", "topic", "what", "count", "unit", "remedy"]
    assert len(frame) == len(health.findings)


def test_tables_of_joins_order_and_periods_have_a_row_for_each_thing(tmp_path: Path) -> None:
    health = _health(tmp_path)
    assert health.joins_frame().to_numpy().tolist() == [
        ["touchpoints", 5, 1, 2, 2 / 3],
        ["revenue", 1, 0, 1, 1 / 3],
        ["churn", 1, 0, 1, 1 / 3],
    ]
    assert health.order_frame().to_numpy().tolist() == [["touchpoints", 1, 0, 0], ["revenue", 0, 0, 0]]
    assert health.late_frame().empty
    assert health.periods_frame()[["measure", "journey", "period", "n", "median"]].to_numpy().tolist() == [
        ["wait", "support", "2024-01", 1, 4.0]
    ]


def test_a_stray_old_date_is_noted_with_what_to_do(tmp_path: Path) -> None:
    many = "".join(
        f"a,billing,bill,2024-0{1 + i % 5}-{1 + i % 28:02d}T{i % 24:02d}:{i // 840:02d}:00Z,,\n" for i in range(2_000)
    )
    rows = "customer_id,journey,touchpoint,occurred_at,wait,never\n" + many
    assert not any("long before the others" in note for note in _health(tmp_path, t=rows).notes)
    (note,) = (
        n for n in _health(tmp_path, t=rows + "a,billing,bill,2005-03-01T00:00:00Z,,\n").notes if "long before" in n
    )
    assert re.match(
        r"1 of [\d,]+ touchpoints, from 2005-03 on, lie long before the others, which begin in 2024-01", note
    )
    assert "set snapshot.first" in note
