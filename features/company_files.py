"""The synthetic company as the files that a real user would bring, with a real user's column names and dirt.

`truth.json` is for judges only: no pipeline code may read it.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.company import Company, Truth, truth_for
from features.company_initiatives import HORIZON_DAYS, INITIATIVES, initiatives_yaml
from features.company_people import AGES, REGIONS, SEGMENTS
from features.company_policy import CHANNELS
from features.company_state import PLACES
from features.errors import StoreError
from features.luck import uniform
from features.snapshot import DAY, iso

__all__ = ["FILES", "write_company"]

FILES = (
    "customers.parquet",
    "touchpoints.parquet",
    "churn.parquet",
    "invoices.parquet",
    "initiatives.yaml",
    "study.yaml",
    "truth.json",
)
"""Truth comes last: a folder without it was interrupted while being replaced."""

_MARK = "# Northline, a synthetic company"
_STUDY = f"""{_MARK}: the tables are made up, and truth.json knows what each initiative really does.
study: northline
currency: EUR
sources: {{clients: customers.parquet, contacts: touchpoints.parquet, ended: churn.parquet, invoices: invoices.parquet}}
customers:
  from: clients
  columns: {{customer_id: client_no, joined_at: contract_start}}
  covariates: [segment, region, age_band, monthly_fee]
touchpoints:
  from: contacts
  columns: {{customer_id: client_no, journey: process, journey_id: case_no, touchpoint: contact_type, channel: channel,
    occurred_at: event_time, known_at: booked_time, read_time: read_sec, promise_gap: days_late, page_load: page_sec,
    outage: hours_cut, bill_error: wrong, wait: wait_min, talk: talk_min, resolved: solved, reply_days: days_to_reply,
    rating: score}}
churn: {{from: ended, columns: {{customer_id: client_no, churned_at: contract_end}}}}
revenue: {{from: invoices, columns: {{customer_id: client_no, occurred_at: invoice_date, amount: amount_eur}}}}
journeys:  # in the order of a customer's life
  - {{name: advert, stage: acquire}}
  - {{name: onboarding, stage: join, leads_to: [support]}}
  - {{name: usage, stage: use}}
  - {{name: billing, stage: pay, leads_to: [support]}}
  - {{name: support, stage: help, leads_to: [complaint]}}
  - {{name: complaint, stage: help}}
  - {{name: renewal, stage: renew}}
measures:  # earlier ones may cause later ones
  - {{name: read_time, unit: s, kind: duration, direction: higher, journeys: [advert]}}
  - {{name: promise_gap, unit: days, kind: gap, direction: lower, journeys: [onboarding]}}
  - {{name: page_load, unit: s, kind: duration, direction: lower, journeys: [usage]}}
  - {{name: outage, unit: h, kind: duration, direction: lower, control: none, journeys: [usage]}}
  - {{name: bill_error, unit: share, kind: share, direction: lower, journeys: [billing]}}
  - {{name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}}
  - {{name: talk, unit: min, kind: duration, direction: lower, journeys: [support]}}
  - {{name: resolved, unit: share, kind: share, direction: higher, task: true, journeys: [support]}}
  - {{name: reply_days, unit: days, kind: duration, direction: lower, journeys: [complaint]}}
  - {{name: rating, unit: points, kind: rating, direction: higher, response: voluntary,
    missing: not_answered, range: [0, 10]}}
snapshot: {{every: month, window_days: 180, gap_days: 0, horizon_days: {HORIZON_DAYS}}}
money: {{margin: 0.6, discount_rate: 0.08, months: 24}}
store: store
"""
_COLUMNS = {
    "read_time": "read_sec",
    "promise_gap": "days_late",
    "page_load": "page_sec",
    "outage": "hours_cut",
    "bill_error": "wrong",
    "wait": "wait_min",
    "talk": "talk_min",
    "resolved": "solved",
    "reply_days": "days_to_reply",
    "rating": "score",
}
_JOURNEYS = tuple(dict.fromkeys(journey for journey, _ in PLACES))
_JOURNEY_OF = np.array([_JOURNEYS.index(journey) for journey, _ in PLACES])
_DUPLICATES, _UNKNOWN, _NEGATIVE, _LATE = 3e-4, 2e-4, 5e-4, 8e-4
"""Shares of touchpoints written twice and written for an unknown customer, of support contacts written again with a
negative wait, and of touchpoints booked late."""


def write_company(company: Company, out: Path) -> None:
    """Write a company's tables, study, initiatives and truth into a folder.

    Parameters
    ----------
    company : Company
        From `simulate_company`.
    out : Path
        A new or empty folder, or the folder of a synthetic company, whose seven files are then replaced; whatever
        else is in it stays. Files that would not change are not touched.

    Raises
    ------
    StoreError
        The folder holds something else, or cannot be written.

    Notes
    -----
    Everything is written beside the folder first and moved in when complete. The same company gives the same bytes
    under the same version of pyarrow.
    """
    _refuse_other_folders(out)
    staging = out.parent / f".{out.name}.tmp-{os.getpid()}"
    try:
        staging.mkdir(parents=True)
        _write_all(company, staging)
        _move_in(staging, out)
    except OSError as fault:
        raise StoreError(
            f"The folder '{out}' cannot be written ({fault.strerror or fault}). A folder with room and write "
            "permission was expected. Choose another one."
        ) from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_other_folders(out: Path) -> None:
    """Raise unless the folder is new, empty, or a synthetic company's."""
    if out.is_file():
        raise StoreError(f"'{out}' is a file. A folder for the company was expected. Choose another name.")
    if not out.is_dir() or not any(out.iterdir()):
        return
    study = out / "study.yaml"
    if not study.is_file() or not study.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        raise StoreError(
            f"The folder '{out}' holds files that are not a synthetic company's. A new or empty folder was expected. "
            "Choose another one."
        )


def _move_in(staging: Path, out: Path) -> None:
    """Make the staged folder the company's, or replace the files that differ."""
    if not out.is_dir() or not any(out.iterdir()):
        staging.replace(out)
        return
    changed = [
        name
        for name in FILES
        if not (out / name).is_file() or not filecmp.cmp(staging / name, out / name, shallow=False)
    ]
    if changed:
        (out / FILES[-1]).unlink(missing_ok=True)
    for name in dict.fromkeys([*changed, FILES[-1]] if changed else ()):
        (staging / name).replace(out / name)


def _write_all(company: Company, folder: Path) -> None:
    """Write the seven files."""
    _write_table(_customers(company), folder / "customers.parquet")
    _write_table(_touchpoints(company), folder / "touchpoints.parquet")
    record = company.record
    left = {"client_no": _clients(record.leaver), "contract_end": _times(record.left_at)}
    _write_table(pa.table(left), folder / "churn.parquet")
    paid = {"client_no": _clients(record.payer), "invoice_date": _times(record.paid_at), "amount_eur": record.amount}
    _write_table(pa.table(paid), folder / "invoices.parquet")
    (folder / "study.yaml").write_text(_STUDY, encoding="utf-8")
    (folder / "initiatives.yaml").write_text(initiatives_yaml(company.world.customers), encoding="utf-8")
    (folder / "truth.json").write_text(_truth(company, truth_for(company, INITIATIVES)), encoding="utf-8")


def _write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet that depends on nothing but the table."""
    pq.write_table(table, path, compression="zstd", store_schema=False, row_group_size=262_144)


def _customers(company: Company) -> pa.Table:
    """Make the table of customers."""
    people = company.people
    return pa.table(
        {
            "client_no": _clients(people.index),
            "contract_start": _times(people.joined_at),
            "segment": _words(people.segment, SEGMENTS),
            "region": _words(people.region, REGIONS),
            "age_band": _words(people.age, AGES),
            "monthly_fee": people.fee,
        }
    )


def _touchpoints(company: Company) -> pa.Table:
    """Make the table of touchpoints: what happened, and a few rows that should not be there."""
    record, seed = company.record, company.world.seed
    rows = np.arange(len(record.at), dtype=np.int64)
    support = ~np.isnan(record.measures["wait"])
    twice = np.flatnonzero(_some(seed, "booked twice", rows, _DUPLICATES))
    unknown = np.flatnonzero(_some(seed, "unknown customer", rows, _UNKNOWN))
    negative = np.flatnonzero(support & _some(seed, "negative wait", rows, _NEGATIVE))
    chosen = np.concatenate([rows, twice, unknown, negative])
    order = np.argsort(record.at[chosen], kind="stable")
    origin = np.repeat(np.arange(4), [len(rows), len(twice), len(unknown), len(negative)])[order]
    chosen = chosen[order]
    client = np.where(origin == 2, company.world.customers + chosen, record.customer[chosen])
    wait = np.where(origin == 3, -record.measures["wait"][chosen], record.measures["wait"][chosen])
    late = _some(seed, "booked late", chosen, _LATE) * (1 + 4 * uniform(seed, "booked later by", chosen)) * DAY
    at, kind = record.at[chosen], record.kind[chosen]
    columns = {
        "client_no": _clients(client),
        "process": _words(_JOURNEY_OF[kind], _JOURNEYS),
        "case_no": record.case[chosen],
        "contact_type": _words(kind, [touchpoint for _, touchpoint in PLACES]),
        "channel": _words(record.channel[chosen], CHANNELS),
        "event_time": _times(at),
        "booked_time": _times(at + np.floor(late / 1_000_000).astype(np.int64) * 1_000_000),
    }
    for measure, column in _COLUMNS.items():
        values = wait if measure == "wait" else record.measures[measure][chosen]
        columns[column] = pa.array(values, mask=np.isnan(values))
    return pa.table(columns)


def _some(seed: int, purpose: str, rows: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Choose a share of the rows."""
    return uniform(seed, purpose, rows) < share


def _clients(index: NDArray[np.int64]) -> pa.Array:
    """Write customer numbers, all of the same length."""
    distinct, codes = np.unique(index, return_inverse=True)
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), [f"N{number:08d}" for number in distinct])


def _words(codes: NDArray[np.int64], levels: tuple[str, ...] | list[str]) -> pa.Array:
    """Write positions as words; levels twice in a dictionary would make pyarrow's bytes differ from run to run."""
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), list(levels))


def _times(moments: NDArray[np.int64]) -> pa.Array:
    """Write microseconds as UTC timestamps."""
    return pa.array(moments, type=pa.timestamp("us", tz="UTC"))


def _truth(company: Company, truths: tuple[Truth, ...]) -> str:
    """Write what is true."""
    content = {
        "seed": company.world.seed,
        "customers": company.world.customers,
        "go_live": [iso(go_live.date) for go_live in company.go_lives],
        "horizon_days": HORIZON_DAYS,
        "monthly_churn": round(company.monthly_churn, 6),
        "initiatives": [
            {
                "name": truth.name,
                "churn_effect": truth.churn_effect,
                "revenue_effect": truth.revenue_effect,
                "kind": truth.kind,
                "reached_share": round(truth.reached_share, 6),
            }
            for truth in truths
        ],
    }
    return json.dumps(content, indent=2) + "\n"
