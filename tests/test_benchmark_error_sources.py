"""What is handed over of the truth is the truth: chances of leaving, and histories as they were lived."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.error_sources import Keys, _hazards, _Worlds
from features.company import simulate_company
from features.company_initiatives import HORIZON_DAYS, INITIATIVES
from features.company_people import WEEK


@pytest.fixture(scope="module")
def company():
    return simulate_company(300, 3, weeks=60)


@pytest.fixture(scope="module")
def customers(company):
    """Customers under keys in another order than their numbers."""
    numbers = [f"N{number:08d}" for number in reversed(range(company.world.customers))]
    return Keys.of(pa.table({"customer_key": np.arange(100, 100 + len(numbers)), "customer_id": numbers}))


def test_chances_are_those_of_who_is_there_until_the_week_of_leaving(company):
    hazard, record, world = _hazards(company), company.record, company.world
    assert np.isfinite(hazard).sum() == record.weeks_at_risk
    left = (record.left_at - world.start) // WEEK
    assert np.isfinite(hazard[left, record.leaver]).all()
    assert all(np.isnan(hazard[week + 1 :, who]).all() for week, who in zip(left, record.leaver, strict=True))


def test_without_an_initiative_the_world_lives_through_what_happened(company, customers):
    go_live, record = company.go_lives[-1], company.record
    lived = _Worlds(company, None, customers)._lived(len(company.go_lives) - 1, ())
    assert (
        customers.key_of(customers.index_of(lived["customer_key"].to_numpy())).tolist()
        == lived["customer_key"].to_pylist()
    )
    until = company.world.week_start(go_live.week) + HORIZON_DAYS // 7 * WEEK
    stayed = np.setdiff1d(company.people.index[go_live.rows], record.leaver)
    kept = np.isin(record.customer, stayed) & (record.at < until)
    told = np.isin(customers.index_of(lived["customer_key"].to_numpy()), stayed)
    assert told.sum() == kept.sum() > 0
    for measure in ("wait", "bill_error", "reply_days"):
        mine, theirs = lived[measure].to_numpy()[told], record.measures[measure][kept]
        assert np.nansum(mine) == pytest.approx(np.nansum(theirs), rel=1e-12)


def test_under_an_initiative_what_it_moves_is_other_after_go_live_only(company, customers):
    bills = next(one for one in INITIATIVES if one.name == "right-first-time-bills")
    worlds, last = _Worlds(company, None, customers), len(company.go_lives) - 1
    start = company.world.week_start(company.go_lives[last].week)
    errors = [worlds._lived(last, given) for given in ((), (bills,))]
    before, after = (
        [np.nansum(one["bill_error"].to_numpy()[(one["occurred_at"].to_numpy() >= start) == later]) for one in errors]
        for later in (False, True)
    )
    assert before[0] == before[1]
    assert after[1] < after[0]
