"""Silences: which of them are departures."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import EmptyResultError
from features.health import describe
from features.inactivity import Spells, propose_inactivity, spells_of
from features.layout import Layout, lay_out
from features.outcomes import at_risk
from features.snapshot import DAY, parse_date
from features.study import Study, parse_study
from flows import cli
from tests.buyers import Buyers, alike, revenue, spells, tables

DATA = Path(os.environ.get("JOURNEYLIFT_DATA") or Path(__file__).parents[2] / "shared" / "data")
CDNOW = DATA / "cdnow_sample" / "cdnow_sample.parquet"
STUDY = """\
study: shop
sources: {customers: customers.parquet, touches: touches.parquet, invoices: invoices.parquet}
customers: {from: customers, columns: {customer_id: id}}
touchpoints: {from: touches, columns: {customer_id: id, journey: process, occurred_at: at}}
churn: {inactive_days: 30}
revenue: {from: invoices, columns: {customer_id: id, occurred_at: at}}
journeys: [{name: shop, stage: use}]
snapshot: {window_days: 60, horizon_days: 30}
"""
LENGTHS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=2, max_size=8)


def write(frame: pd.DataFrame, folder: Path, study: str = STUDY) -> Study:
    folder.mkdir(exist_ok=True)
    for name, table in tables(frame).items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "study.yaml").write_text(study, encoding="utf-8")
    return parse_study(study, "study.yaml")


def laid(frame: pd.DataFrame, folder: Path, study: str = STUDY) -> Layout:
    return lay_out(write(frame, folder, study), folder, folder / "store", now_us=parse_date("2030-01-01"))


def paid(**days: list[str]) -> pd.DataFrame:
    rows = [(who, pd.Timestamp(day, tz="UTC")) for who, dates in days.items() for day in dates]
    return pd.DataFrame(rows, columns=["id", "at"]).assign(amount=1.0)


def test_purchases_of_one_day_are_one():
    found = spells(np.array([1, 1, 1, 2]), np.array([0.2, 0.9, 5.5, 3.0]), 10)
    assert (found.customer.tolist(), found.days.tolist()) == ([1, 1, 2], [5, 5, 7])
    assert found.has_returned.tolist() == [True, False, False]


def test_a_refund_ends_no_silence():
    rows = pa.concat_tables([revenue([1, 1], [0, 9]), revenue([1], [4], -1.0), revenue([1], [6], 0.0)])
    assert spells_of(rows, 12 * DAY).days.tolist() == [9, 3]


def test_no_revenue_gives_no_silence_and_no_proposal():
    found = propose_inactivity(lambda: [spells([], [], 10)], configured=5)
    assert (found.curve, found.proposal, found.configured, found.notes(), found.customers) == ((), None, None, (), 0)


def test_the_share_that_returns_is_counted_by_hand_where_nothing_is_cut_short():
    # 40 customers return after 2 days, 60 after 6, and then all are silent for 20 days.
    who = np.repeat(np.arange(100), 2)
    day = np.stack([np.zeros(100), np.where(np.arange(100) < 40, 2, 6)], axis=1).ravel()
    rows = spells(who, day, 26)
    found = {one.days: one for one in propose_inactivity(lambda: [rows]).curve}
    assert found[1].share_returning == pytest.approx(100 / 200)
    assert found[3].share_returning == pytest.approx(60 / 160)
    assert found[7].share_returning == 0
    assert (found[3].silences, found[3].customers, found[3].returned) == (160, 100, 60)
    assert found[3].share_flagged == 1


def test_a_pause_that_the_data_cut_short_is_watched_no_further():
    # 50 customers return on day 8 of 10; 50 began 4 days before the end: half of the watched return, not a quarter.
    who = np.concatenate([np.repeat(np.arange(50), 2), np.arange(50, 150)])
    day = np.concatenate([np.tile([0, 8], 50), np.full(50, 0), np.full(50, 12)])
    rows = spells(who, day, 16)
    found = {one.days: one for one in propose_inactivity(lambda: [rows]).curve}
    # From day 5 on only those who began on day 0 or 8 are watched; the second silences of the first 50 last 8 days.
    assert found[5].share_returning == pytest.approx(50 / 150)
    assert found[1].share_returning == pytest.approx(50 / 150)


@settings(max_examples=25)
@given(st.lists(LENGTHS, min_size=30, max_size=40))
def test_the_curve_is_that_of_kaplan_and_meier(customers):
    rows = [(who, days, back) for who, lengths in enumerate(customers) for days, back in lengths]
    who, days, back = (np.array(column) for column in zip(*rows, strict=True))
    found = propose_inactivity(lambda: [Spells(who, days, back.astype(bool))])
    longest = {who: max(days for days, _ in lengths) for who, lengths in enumerate(customers)}
    watched = [d for d in range(1, 13) if sum(one >= d for one in longest.values()) >= 30]
    assert found.followed_days == max(watched, default=0)
    for one in found.curve:
        stay = 1.0
        for d in range(one.days, found.followed_days + 1):
            stay *= 1 - (back & (days == d)).sum() / (days >= d).sum()
        assert one.share_returning == pytest.approx(1 - stay)
        assert one.lo - 1e-9 <= one.share_returning <= one.hi + 1e-9
        assert one.lo >= 0
        assert one.hi <= 1
    shares = [one.share_returning for one in found.curve]
    assert shares == sorted(shares, reverse=True)


def test_parts_of_whole_customers_give_the_same_as_one_part():
    buyers = Buyers.simulated(np.random.default_rng(1), 400)
    seen = buyers.day <= buyers.days
    parts = [
        spells(buyers.customer[seen & some], buyers.day[seen & some], buyers.days)
        for some in (buyers.customer < 150, buyers.customer >= 150)
    ]
    whole, parted = buyers.found(45), propose_inactivity(lambda: parts, configured=45)
    pd.testing.assert_frame_equal(whole.to_frame(), parted.to_frame())
    assert whole.notes() == parted.notes()


def test_the_proposal_is_the_shortest_silence_that_keeps_the_promise():
    found = Buyers.simulated(np.random.default_rng(2), 800).found(45)
    short = [one for one in found.curve if one.days < found.proposal.days]
    assert found.proposal.share_returning <= 0.1 < short[-1].share_returning
    assert found.proposal.days % 7 == 0
    assert 2 * found.proposal.days <= found.followed_days
    more = propose_inactivity(lambda: [alike([0, 10, 20], 200, 40)], most_returning=0.5)
    assert more.proposal.days == 11


def test_the_year_is_told_only_where_the_data_reach_that_far():
    found = Buyers.simulated(np.random.default_rng(3), 400, days=900).found().to_frame().set_index("days")
    seen = found.index + 365 <= Buyers.simulated(np.random.default_rng(3), 400, days=900).found().followed_days
    assert found["share_within_year"].notna().tolist() == seen.tolist()
    assert (found["share_within_year"] <= found["share_returning"] + 1e-9)[seen].all()


def test_a_study_in_which_all_return_gets_no_proposal_and_is_told_why():
    who, rng = np.repeat(np.arange(60), 60), np.random.default_rng(4)
    day = np.cumsum(rng.choice([2, 3, 12, 30], (60, 60)), axis=1).ravel()
    rows = spells(who[day <= 360], day[day <= 360], 360)
    found = propose_inactivity(lambda: [rows])
    assert found.proposal is None
    assert "still came back" in found.advice()
    assert "tells pauses, not departures" in found.advice()


def test_the_promise_is_kept_by_buyers_who_are_known_to_leave():
    buyers = Buyers.simulated(np.random.default_rng(5), 3_000)
    found = buyers.found(configured=45)
    for one in (found.proposal, found.configured):
        truth = buyers.truly_returning(one)
        # Four standard errors of a share among the silences, and one point for what the end of the data hides.
        error = 4 * np.sqrt(truth * (1 - truth) / one.silences) + 0.01
        assert one.share_returning == pytest.approx(truth, abs=error)
    assert found.configured.share_returning > 0.4
    assert found.proposal.share_returning <= 0.1


@pytest.mark.slow
def test_over_many_worlds_the_share_is_unbiased_within_a_point_and_its_interval_holds_the_truth():
    rows = []
    for seed in range(60):
        buyers = Buyers.simulated(np.random.default_rng([seed, 6]))
        found = buyers.found(configured=45)
        for name, one in (("proposal", found.proposal), ("configured", found.configured)):
            truth = buyers.truly_returning(one)
            rows.append((name, one.share_returning - truth, one.lo <= truth <= one.hi))
    table = pd.DataFrame(rows, columns=["name", "error", "holds"]).groupby("name").mean()
    assert (table["error"].abs() < 0.015).all()
    # 90 % are aimed at; of 60 worlds 4.5 standard errors fewer would be 73 %.
    assert (table["holds"] > 0.73).all()


def test_cdnow_customers_return_after_long_silences():
    if not CDNOW.exists():
        pytest.skip(f"the public data are not at {CDNOW}; set JOURNEYLIFT_DATA to their folder")
    frame = pd.read_parquet(CDNOW)
    at = frame["date"].to_numpy("datetime64[us]").astype(np.int64)
    rows = pa.table(
        {"customer_key": pd.factorize(frame["customer_id"])[0], "occurred_at": at, "amount": frame["spend"].to_numpy()}
    )
    part = spells_of(rows, int(at.max()))
    found = propose_inactivity(lambda: [part], configured=45)
    assert found.configured.share_returning == pytest.approx(0.51, abs=0.005)
    assert found.proposal is None
    fifth = propose_inactivity(lambda: [part], most_returning=0.2).proposal
    assert (fifth.days, round(fifth.share_returning, 2)) == (217, 0.2)


def test_who_comes_back_is_at_risk_again(tmp_path: Path):
    steady = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", "2024-06-09", freq="20D")]
    layout = laid(paid(a=["2024-01-01", "2024-03-15", "2024-03-15"], b=steady), tmp_path)
    bucket = layout.bucket(0)
    churn = bucket.churn.to_pydict()
    # Two orders of one day are one, and neither a pause nor a return of their own.
    people = bucket.customers.to_pydict()
    name = dict(zip(people["customer_key"], people["customer_id"], strict=True))
    assert [name[key] for key in churn["customer_key"]] == ["a", "a"]
    assert churn["churned_at"] == [parse_date("2024-01-31"), parse_date("2024-04-14")]
    assert churn["returned_at"] == [parse_date("2024-03-15"), None]
    present = {
        day: sorted(people["customer_id"][row] for row in at_risk(bucket.customers, bucket.churn, parse_date(day)))
        for day in ("2024-01-20", "2024-02-05", "2024-03-20", "2024-05-01")
    }
    assert present == {
        "2024-01-20": ["a", "b"],
        "2024-02-05": ["b"],
        "2024-03-20": ["a", "b"],
        "2024-05-01": ["b"],
    }


def test_a_pause_that_the_end_of_the_data_cuts_short_is_no_churn(tmp_path: Path):
    layout = laid(paid(a=["2024-01-01"], b=["2024-01-01", "2024-01-25"], c=["2024-02-05"]), tmp_path)
    bucket = layout.bucket(0)
    left = bucket.customers.to_pandas().set_index("customer_key")["customer_id"]
    assert [left[key] for key in bucket.churn["customer_key"].to_pylist()] == ["a"]


def _shop(customers: int = 120) -> pd.DataFrame:
    """Weekly buyers, half of whom leave for good halfway through two years; pauses of 40 days are common."""
    rng, rows = np.random.default_rng(7), []
    for who in range(customers):
        day, last = rng.integers(0, 20), 700 if who % 2 else rng.integers(100, 300)
        while day < last:
            rows.append((f"c{who:03d}", pd.Timestamp("2022-01-01", tz="UTC") + pd.Timedelta(days=int(day))))
            day += rng.choice([7, 7, 7, 40])
    return pd.DataFrame(rows, columns=["id", "at"]).assign(amount=5.0)


def test_check_says_what_the_declared_silence_means_and_which_one_is_a_departure(tmp_path: Path):
    study = write(_shop(), tmp_path)
    notes = describe(laid(_shop(), tmp_path), study).notes
    assert any(note.startswith("churn.inactive_days is 30: of the customers silent for so long") for note in notes)
    assert any("churn.inactive_days could be 42." in note for note in notes)
    assert cli.main(["check", "--study", str(tmp_path / "study.yaml")]) == 0
    found = json.loads((tmp_path / "store" / "results" / "check.json").read_text("utf-8"))["inactivity"]
    assert found["proposal"]["days"] == 42
    assert found["configured"]["days"] == 30
    assert {"days", "silences", "customers", "share_returning", "lo", "hi", "share_flagged"} <= set(found["curve"][0])


def test_a_study_without_churn_is_told_which_silence_could_be_one(tmp_path: Path):
    with pytest.raises(EmptyResultError, match=r"Nobody churned: .* churn\.inactive_days could be 42"):
        laid(_shop(), tmp_path, STUDY.replace("inactive_days: 30", "inactive_days: 800"))


def test_a_study_whose_churn_is_a_table_is_not_told(tmp_path: Path):
    frame = _shop(40)
    gone = frame.groupby("id", as_index=False)["at"].max().iloc[:5].rename(columns={"at": "churned_at"})
    tmp_path.mkdir(exist_ok=True)
    gone.to_parquet(tmp_path / "gone.parquet", index=False)
    text = STUDY.replace("churn: {inactive_days: 30}", "churn: {from: gone, columns: {customer_id: id}}")
    text = text.replace("sources: {", "sources: {gone: gone.parquet, ")
    layout = laid(frame, tmp_path, text)
    health = describe(layout, parse_study(text, "study.yaml"))
    assert health.inactivity is None
    assert not any("inactive_days" in note for note in health.notes)
