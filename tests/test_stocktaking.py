"""What is counted for data health, on small tables whose answers are counted by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.layout import Layout, lay_out
from features.manifest import Stock
from features.snapshot import parse_date
from features.study import parse_study

STUDY = """\
study: shop
sources: {customers: customers.parquet, touches: touches.parquet, churn: churn.parquet, invoices: invoices.parquet}
customers: {from: customers}
touchpoints: {from: touches}
churn: {from: churn}
revenue: {from: invoices}
journeys: [{name: billing, stage: use}, {name: support, stage: use}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: rating, unit: points, kind: rating, direction: higher, range: [0, 10]}
"""
Tables = dict[str, pd.DataFrame]
Edit = Callable[[Tables], None]


def _at(*days: str) -> pd.Series:
    return pd.Series(pd.to_datetime(list(days), utc=True, format="ISO8601"))


def _tables() -> Tables:
    """Four customers: a is well, b left in May, c has only revenue, d has nothing."""
    touches = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "b"],
            "journey": ["support", "billing", "support", "support"],
            "touchpoint": ["call", "bill", "call", "call"],
            "occurred_at": _at("2024-02-01 09:15", "2024-02-01", "2024-03-01 10:20", "2024-04-01 11:30"),
            "known_at": _at("2024-02-01 09:15", "2024-02-05", "2024-03-01 10:20", "2024-03-30"),
            "wait": [5.0, np.nan, 7.0, 9.0],
            "rating": [9.0, np.nan, 3.0, np.nan],
        }
    )
    return {
        "customers": pd.DataFrame({"customer_id": list("abcd"), "joined_at": _at(*["2024-01-01"] * 4)}),
        "touches": touches,
        "churn": pd.DataFrame({"customer_id": ["b"], "churned_at": _at("2024-05-01")}),
        "invoices": pd.DataFrame(
            {"customer_id": ["a", "c"], "occurred_at": _at("2024-03-01", "2024-03-02"), "amount": [10.0, 20.0]}
        ),
    }


def _laid(folder: Path, edit: Edit = lambda _: None, study: str = STUDY, buckets: int | None = None) -> Layout:
    tables = _tables()
    edit(tables)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    parsed = parse_study(study, "study.yaml")
    return lay_out(parsed, folder, folder / "store", now_us=parse_date("2025-06-01"), buckets=buckets)


def _stock(folder: Path, edit: Edit = lambda _: None, study: str = STUDY) -> Stock:
    return _laid(folder, edit, study).manifest.stock


def _more(table: str, **values: object) -> Edit:
    """Append copies of the first row with other values."""

    def edit(tables: Tables) -> None:
        n = max(
            (len(value) for value in values.values() if isinstance(value, list | np.ndarray | pd.Series)), default=1
        )
        rows = tables[table].iloc[[0] * n].reset_index(drop=True).assign(**values)
        tables[table] = pd.concat([tables[table], rows], ignore_index=True)

    return edit


def test_each_join_tells_rows_unknown_customers_and_customers_reached(tmp_path: Path) -> None:
    stock = _stock(tmp_path, _more("touches", customer_id=["zz", "zy", "zz"]))
    assert [(join.table, join.read, join.unknown, join.customers) for join in stock.joins] == [
        ("touchpoints", 7, 3, 2),
        ("revenue", 2, 0, 2),
        ("churn", 1, 0, 1),
    ]


def test_customers_without_touchpoints_revenue_or_either_are_counted(tmp_path: Path) -> None:
    stock = _stock(tmp_path)
    assert (stock.without_touchpoints, stock.without_revenue, stock.without_either) == (2, 2, 1)


def test_events_before_joining_and_after_churn_are_counted_with_a_day_allowed(tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        late = _at("2023-12-31", "2024-05-01 18:00", "2024-05-02 00:01", "2024-06-01")
        _more("touches", customer_id="b", occurred_at=late, known_at=late)(tables)
        _more("invoices", customer_id="b", occurred_at=_at("2023-11-01", "2024-07-01"))(tables)

    touchpoints, revenue = _stock(tmp_path, edit).order
    assert (touchpoints.before_joining, touchpoints.after_churn, touchpoints.churners) == (1, 2, 1)
    assert (revenue.before_joining, revenue.after_churn, revenue.churners) == (1, 1, 1)


def test_who_returned_is_not_gone(tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        tables["churn"]["returned_at"] = _at("2024-05-20")
        late = _at("2024-05-10", "2024-06-01")
        _more("touches", customer_id="b", occurred_at=late, known_at=late)(tables)

    assert _stock(tmp_path, edit).order[0].after_churn == 1


def test_events_after_the_end_are_counted(tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        tables["customers"]["ended_at"] = _at("2024-02-10", "2024-04-01", "2024-12-01", "2024-12-01")

    assert [order.after_end for order in _stock(tmp_path, edit).order] == [0, 1]


def test_churn_by_a_rule_has_no_events_after_it(tmp_path: Path) -> None:
    study = STUDY.replace("churn: {from: churn}", "churn: {inactive_days: 20}").replace("churn: churn.parquet, ", "")

    def edit(tables: Tables) -> None:
        _more("invoices", customer_id="c", occurred_at=_at("2024-03-20", "2024-04-05", "2024-04-20"))(tables)

    assert [order.after_churn for order in _stock(tmp_path, edit, study).order] == [0, 0]


def test_what_was_known_early_is_lifted_and_what_was_known_late_is_measured(tmp_path: Path) -> None:
    stock = _stock(tmp_path)
    assert stock.has_known_at
    assert stock.lifted == 1
    assert [(late.journey, late.late, late.median_days) for late in stock.late] == [("billing", 1, 4.0)]


def test_without_known_at_nothing_is_early_or_late(tmp_path: Path) -> None:
    stock = _stock(tmp_path, lambda tables: tables.update(touches=tables["touches"].drop(columns="known_at")))
    assert (stock.has_known_at, stock.lifted, stock.late) == (False, 0, ())


def test_a_bulk_load_is_found_and_a_busy_day_of_dates_is_not(tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        rng = np.random.default_rng(0)
        n = 3_000
        at = pd.Series(pd.Timestamp("2024-02-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 10**6, n), "s"))
        at.iloc[:150] = pd.Timestamp("2024-02-20 03:00", tz="UTC")
        days = at.dt.floor("D")
        _more("touches", occurred_at=at, known_at=at, wait=rng.exponential(5, n))(tables)
        _more("touches", journey="billing", touchpoint="bill", occurred_at=days, known_at=days, wait=np.arange(n))(
            tables
        )

    (moment,) = _stock(tmp_path, edit).instants
    assert (moment.journey, moment.touchpoint, moment.rows) == ("support", "call", 150)
    assert moment.at == parse_date("2024-02-20") + 3 * 3_600_000_000
    assert moment.usually == pytest.approx(1.05, abs=0.05)


def test_codes_are_found_among_used_rows_and_in_quarantine(tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        at = pd.Series(pd.date_range("2024-02-01", periods=400, freq="h", tz="UTC"))
        rng = np.random.default_rng(0)
        waits = np.where(np.arange(400) < 20, 999, rng.exponential(5, 400))
        scores = np.where(np.arange(400) % 10 == 0, 99, rng.integers(0, 11, 400))
        _more("touches", occurred_at=at, known_at=at, wait=waits, rating=scores)(tables)

    codes = _stock(tmp_path, edit).codes
    assert [(code.measure, code.value, code.rows, code.is_outside) for code in codes] == [
        ("wait", 999, 18, False),  # two of the twenty have a rating of 99 and are in quarantine
        ("rating", 99, 40, True),
    ]


def test_examples_are_the_first_rows_of_each_reason_by_number(tmp_path: Path) -> None:
    layout = _laid(tmp_path, _more("touches", customer_id=["zz"] * 7))
    (found,) = layout.manifest.quarantined
    assert (found.rows, found.examples) == (7, (5, 6, 7, 8, 9))


def _shuffled(seed: int) -> Edit:
    def edit(tables: Tables) -> None:
        rng = np.random.default_rng(3)
        n = 4_000
        at = pd.Series(pd.Timestamp("2024-02-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 90, n), "D"))
        who = rng.choice([*"abcd", "zz"], n)
        values = {"wait": rng.choice([0.0, 1.5, 999, np.nan], n), "rating": rng.choice([np.nan, 3, 99], n)}
        known = at + pd.Series(pd.to_timedelta(rng.integers(-2, 3, n), "D"))
        _more("touches", customer_id=who, occurred_at=at, known_at=known, **values)(tables)
        order = np.random.default_rng(seed)
        for name, table in tables.items():
            tables[name] = table.iloc[order.permutation(len(table))]

    return edit


def test_the_same_rows_in_any_order_and_number_of_buckets_give_the_same_stock(tmp_path: Path) -> None:
    layouts = [_laid(tmp_path / f"{seed}", _shuffled(seed), buckets=seed) for seed in (1, 2, 4)]
    first, *others = (layout.manifest.stock.model_dump_json() for layout in layouts)
    assert others == [first, first]
    assert layouts[0].manifest.stock.same_moment > 0


def test_a_layout_is_used_again_with_its_stock(tmp_path: Path) -> None:
    layout = _laid(tmp_path)
    written = (layout.root / "manifest.json").stat().st_mtime_ns
    again = lay_out(parse_study(STUDY, "study.yaml"), tmp_path, tmp_path / "store")
    assert again.manifest.stock == layout.manifest.stock
    assert (layout.root / "manifest.json").stat().st_mtime_ns == written
