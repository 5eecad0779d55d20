"""The point-in-time law from the user's tables to features: neither later rows nor accidents of writing count.

The engine alone is held to it in test_engine.py; here whole extracts go through sources, checks and layout.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.layout import Layout, lay_out
from features.leak_check import check_leaks
from features.leak_law import compare, pinned_catalogue
from features.panel_rows import BucketRows
from features.snapshot import DAY, parse_date
from features.study import Study, parse_study

STUDY = """
study: law
sources: {customers: customers.FORMAT, touches: touches.FORMAT, left: left.FORMAT, paid: paid.FORMAT}
customers: {from: customers, covariates: [region]}
touchpoints: {from: touches}
churn: {from: left}
revenue: {from: paid}
journeys: [{name: billing, stage: pay}, {name: support, stage: help}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: resolved, unit: share, kind: share, direction: higher, journeys: [support]}
  - {name: rating, unit: points, kind: rating, direction: higher, response: voluntary}
snapshot: {window_days: 25, horizon_days: 10}
"""
START, NOW = parse_date("2024-01-01"), parse_date("2025-01-01")
Tables = Mapping[str, pd.DataFrame]
Row = dict[str, Any]


@dataclass(frozen=True)
class Extract:
    """A company's tables, days since `START` in place of times."""

    customers: list[Row]
    touches: list[Row]
    left: list[Row]
    paid: list[Row]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Give the tables, with one customer who left and one who stays, so that there is always something to learn."""
        people = [*self.customers, *({"customer_id": name, "joined_at": -9, "ended_at": None} for name in ("y", "z"))]
        contacts = [{"customer_id": "y", "journey": "billing", "occurred_at": -8, "known_at": -8, "wait": 1.0}]
        gone = [{"customer_id": "y", "churned_at": -5, "returned_at": None}]
        paid = [{"customer_id": "z", "occurred_at": at, "amount": 1.0} for at in (-8, 70)]
        return {
            "customers": _frame(people, {"region": "north"}),
            "touches": _frame(
                [*self.touches, *contacts], {"journey_id": "0", "touchpoint": "call", "channel": "phone"}
            ),
            "left": _frame([*self.left, *gone], {}),
            "paid": _frame([*self.paid, *paid], {}),
        }


def _frame(rows: list[Row], defaults: Mapping[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame([dict(defaults) | row for row in rows])
    for name in frame.columns:
        if name.endswith("_at"):
            days = pd.to_numeric(frame[name])
            frame[name] = pd.to_datetime(START + days * DAY, unit="us", utc=True)
    return frame


IDS = ("a", "B", "c1", "c10", "é")
DAYS = st.integers(0, 120).map(lambda n: n / 2)


@st.composite
def _contact(draw: st.DrawFn) -> Row:
    """A contact; half are known late, moments often coincide, some correct others, some have no journey's number."""
    at, journey = draw(DAYS), draw(st.sampled_from(["billing", "support"]))
    return {
        "customer_id": draw(st.sampled_from(IDS)),
        "journey": journey,
        "journey_id": draw(st.sampled_from([None, "1", "2"])),
        "touchpoint_id": draw(st.sampled_from([None, None, None, "p", "q"])),
        "touchpoint": draw(st.sampled_from(["call", "visit"])),
        "channel": draw(st.sampled_from(["mail", "phone"])),
        "department": draw(st.sampled_from([None, "sales", "desk"])),
        "cause": draw(st.sampled_from([None, None, "bill", "line"])),
        "occurred_at": at,
        "known_at": at + draw(st.sampled_from([0, 0, 0.5, 12])),
        "wait": draw(st.sampled_from([None, 0.1, 2.5, 7.3])),
        "resolved": draw(st.sampled_from([None, 0.0, 1.0])),
        "rating": draw(st.sampled_from([None, 3.0])),
    }


@st.composite
def _extract(draw: st.DrawFn) -> Extract:
    """An extract of at most five customers; some leave, some of them return, some end."""
    customers, left = [], []
    for name in IDS:
        joined, ends = draw(st.integers(-5, 30)), draw(st.sampled_from([None, None, 50]))
        customers.append(
            {"customer_id": name, "joined_at": joined, "ended_at": ends, "region": draw(st.sampled_from("ns"))}
        )
        if draw(st.booleans()):
            gone = max(joined, draw(st.integers(0, 60)))
            back = draw(st.sampled_from([None, gone + 5]))
            left.append({"customer_id": name, "churned_at": gone, "returned_at": back})
    paid = st.tuples(st.sampled_from(IDS), DAYS, st.sampled_from([0.1, 5.0, -2.0]))
    return Extract(
        customers,
        draw(st.lists(_contact(), min_size=5, max_size=25)),
        left,
        [{"customer_id": x, "occurred_at": at, "amount": much} for x, at, much in draw(st.lists(paid, max_size=12))],
    )


CUTOFFS = st.integers(3, 62).map(lambda day: START + day * DAY)
FORMATS = st.sampled_from(["parquet"] * 5 + ["csv"])


def _laid_out(study: Study, tables: Tables, folder: Path, form: str = "parquet") -> Layout:
    _write(tables, folder, form)
    return lay_out(study, folder, folder / "store", now_us=NOW)


def _write(tables: Tables, folder: Path, form: str) -> None:
    folder.mkdir(parents=True)
    for name, frame in tables.items():
        path = folder / f"{name}.{form}"
        frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path, index=False)


def _study(form: str = "parquet") -> Study:
    return parse_study(STUDY.replace("FORMAT", form), "study.yaml")


def _known(tables: Tables, cutoff: int) -> dict[str, pd.DataFrame]:
    """Give the rows known at a cutoff, without what came after it."""
    moment = pd.Timestamp(cutoff, unit="us", tz="UTC")
    firsts = {"customers": "joined_at", "touches": "known_at", "left": "churned_at", "paid": "occurred_at"}
    known = {name: tables[name].loc[tables[name][first] <= moment].copy() for name, first in firsts.items()}
    for frame, name in ((known["customers"], "ended_at"), (known["left"], "returned_at")):
        frame[name] = frame[name].where(frame[name] <= moment)
    return known


def _features(study: Study, layout: Layout, whole: Layout, cutoff: int) -> dict[str, str]:
    """Give the features of each customer at risk, as text that tells every bit."""
    found, rows = pinned_catalogue(study, whole), list[Row]()
    for number in range(layout.manifest.buckets):
        rows += BucketRows(study, found, layout.bucket(number)).at(cutoff, is_mature=False).to_pylist()
    return {row["customer_id"]: repr([row[feature.name] for feature in found.features]) for row in rows}


@settings(max_examples=12, deadline=None)
@given(_extract(), CUTOFFS, FORMATS)
def test_features_do_not_change_when_later_rows_are_added(extract: Extract, cutoff: int, form: str) -> None:
    study, tables = _study(form), extract.tables()
    with TemporaryDirectory() as folder:
        whole = _laid_out(study, tables, Path(folder) / "whole", form)
        known = _laid_out(study, _known(tables, cutoff), Path(folder) / "known", form)
        assert compare(study, pinned_catalogue(study, whole), whole, known, cutoff).deviations == ()


@settings(max_examples=8, deadline=None)
@given(_extract(), CUTOFFS, st.randoms(use_true_random=False))
def test_features_do_not_change_when_rows_are_shuffled_and_written_twice(
    extract: Extract, cutoff: int, luck: Any
) -> None:
    study, tables = _study(), extract.tables()
    twice = [*extract.touches, *luck.sample(extract.touches, 4)]
    other = Extract(
        luck.sample(extract.customers, len(extract.customers)),
        luck.sample(twice, len(twice)),
        luck.sample(extract.left, len(extract.left)),
        luck.sample(extract.paid, len(extract.paid)),
    )
    with TemporaryDirectory() as folder:
        whole = _laid_out(study, tables, Path(folder) / "whole")
        shuffled = _laid_out(study, other.tables(), Path(folder) / "shuffled")
        assert _features(study, shuffled, whole, cutoff) == _features(study, whole, whole, cutoff)


def _are_told_the_same(touches: list[Row]) -> bool:
    """Say whether two customers have the same version of the same contact: then only their names can decide."""
    named = [row for row in touches if row["touchpoint_id"] is not None]
    versions = {repr([value for name, value in row.items() if name != "customer_id"]) for row in named}
    return len({repr(list(row.values())) for row in named}) > len(versions)


@pytest.mark.parametrize("rename", [lambda name: f"customer {name}", lambda name: name[::-1] + name.swapcase()])
@settings(max_examples=4, deadline=None)
@given(extract=_extract(), cutoff=CUTOFFS)
def test_features_do_not_change_when_customers_are_renamed(
    rename: Callable[[str], str], extract: Extract, cutoff: int
) -> None:
    assume(not _are_told_the_same(extract.touches))
    study, tables = _study(), extract.tables()
    renamed = {name: frame.assign(customer_id=frame["customer_id"].map(rename)) for name, frame in tables.items()}
    with TemporaryDirectory() as folder:
        whole = _laid_out(study, tables, Path(folder) / "whole")
        other = _laid_out(study, renamed, Path(folder) / "renamed")
        before = _features(study, whole, whole, cutoff)
        assert _features(study, other, other, cutoff) == {rename(name): row for name, row in before.items()}


def test_the_name_of_a_customer_does_not_decide_which_of_two_versions_counts(tmp_path: Path) -> None:
    contact = {"customer_id": "a", "journey": "billing", "journey_id": "1", "touchpoint_id": "p", "known_at": 1}
    versions = [contact | {"occurred_at": 1, "wait": wait, "resolved": None, "rating": 3.0} for wait in (1.0, 2.0)]
    names, found = [f"{number}" for number in range(8)], set[str]()
    for name in names:
        touches = [row | {"customer_id": name} for row in versions]
        extract = Extract([{"customer_id": name, "joined_at": -5, "ended_at": None}], touches, [], [])
        study = _study()
        whole = _laid_out(study, extract.tables(), tmp_path / name)
        found.add(_features(study, whole, whole, START + 5 * DAY)[name])
    assert len(found) == 1


@settings(max_examples=6, deadline=None)
@given(_extract(), CUTOFFS, FORMATS)
def test_the_check_finds_no_leak_in_tables_that_have_none(extract: Extract, cutoff: int, form: str) -> None:
    with TemporaryDirectory() as folder:
        base = Path(folder) / "company"
        _write(extract.tables(), base, form)
        assert check_leaks(_study(form), base, base / "store", cutoffs=[cutoff]).differences == ()


def test_a_late_contact_does_not_join_two_journeys_before_it_is_known(tmp_path: Path) -> None:
    contact = {"customer_id": "a", "journey": "billing", "journey_id": None, "resolved": None, "rating": 3.0}
    days = ((0, 0), (20, 20), (10, 40))
    touches = [contact | {"occurred_at": at, "known_at": known, "wait": 1.0 + at} for at, known in days]
    extract = Extract([{"customer_id": "a", "joined_at": -5, "ended_at": None}], touches, [], [])
    study, tables = _study(), extract.tables()
    whole = _laid_out(study, tables, tmp_path / "whole")
    place = [one.name for one in pinned_catalogue(study, whole).features].index("billing__journeys_count__total")
    for day, journeys in ((24, 2.0), (41, 1.0)):
        cutoff = START + day * DAY
        known = _laid_out(study, _known(tables, cutoff), tmp_path / f"known {day}")
        assert compare(study, pinned_catalogue(study, whole), whole, known, cutoff).deviations == ()
        assert eval(_features(study, whole, whole, cutoff)["a"], {"nan": float("nan")})[place] == journeys  # noqa: S307
