"""Laws of the synthetic company: pure luck, exact zeros, signs of the truth, and the files it writes."""

import contextlib
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from numpy.typing import NDArray
from scipy.stats import spearmanr

from features.company import COMPANY_GRID, Company, Truth, simulate_company, truth_for
from features.company_files import FILES, write_company
from features.company_initiatives import INITIATIVES
from features.company_people import WEEK, make_people, make_world
from features.company_policy import CHANNELS, CompanyInitiative, Move, Policy
from features.company_state import PLACES
from features.errors import EmptyResultError, StoreError, UnsupportedError
from features.snapshot import DAY, cutoffs, go_live_dates, iso, parse_date
from features.study import parse_study
from models.plans_file import parse_plans

SMALL = 300


def initiative(*moves: Move, **changes: object) -> CompanyInitiative:
    plain = CompanyInitiative("test", "Test", "Nobody", moves, "useless", delivery=(1.0, 1.0, 1.0))
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate_company(6000, 7)


@pytest.fixture(scope="module")
def truths(company: Company) -> dict[str, Truth]:
    return {truth.name: truth for truth in truth_for(company, INITIATIVES)}


@pytest.fixture(scope="module")
def small() -> Company:
    return simulate_company(SMALL, 3)


@pytest.fixture(scope="module")
def folder(small: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("company") / "north line"
    write_company(small, out)
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


# The world


def test_churn_is_between_one_and_three_percent_a_month(company: Company) -> None:
    assert 0.01 < company.monthly_churn < 0.03
    in_a_quarter = [
        ((company.record.left_at > live.date) & (company.record.left_at <= live.date + 91 * DAY)).sum() / len(live.rows)
        for live in company.go_lives
    ]
    assert 0.04 < np.mean(in_a_quarter) < 0.07


def test_a_customer_has_forty_to_sixty_touchpoints(company: Company) -> None:
    assert 40 < len(company.record.at) / len(company.people) < 60


def test_the_stock_of_customers_stays_level(company: Company) -> None:
    def stock(moment: int) -> int:
        return int((company.people.joined_at <= moment).sum() - (company.record.left_at <= moment).sum())

    assert 0.85 < stock(company.record.data_end) / stock(company.world.start) < 1.15


def test_nothing_happens_after_leaving_and_only_adverts_before_joining(company: Company) -> None:
    record, people = company.record, company.people
    left = np.full(len(people), np.iinfo(np.int64).max)
    left[record.leaver] = record.left_at
    assert (record.at < left[record.customer]).all()
    assert (record.paid_at < left[record.payer]).all()
    early = record.at < people.joined_at[record.customer]
    assert {PLACES[kind][0] for kind in np.unique(record.kind[early])} == {"advert"}


def test_nobody_leaves_twice_and_nobody_leaves_before_joining(company: Company) -> None:
    record = company.record
    assert len(np.unique(record.leaver)) == len(record.leaver)
    assert (record.left_at > company.people.joined_at[record.leaver]).all()


def test_a_follow_up_belongs_to_the_case_that_it_follows(company: Company) -> None:
    record = company.record
    support = np.isin(record.kind, [PLACES.index(("support", "call")), PLACES.index(("support", "chat"))])
    cases, first, counts = np.unique(record.case[support], return_index=True, return_counts=True)
    repeated = first[counts > 1]
    assert len(repeated) > 0.05 * len(cases)
    assert (record.measures["resolved"][support][repeated] == 0).all()


def test_a_wrong_bill_and_a_late_visit_make_customers_call(company: Company) -> None:
    assert call_rate_after(company, "bill_error", 0.5) > call_rate_after(company, "bill_error", -0.5) + 0.2
    assert call_rate_after(company, "promise_gap", 6.0) > call_rate_after(company, "promise_gap", -0.5) + 0.1


def call_rate_after(company: Company, measure: str, above: float) -> float:
    """Share of touchpoints, measured above a bound (negative: below it), that a call follows within a fortnight."""
    record = company.record
    values = record.measures[measure]
    chosen = np.flatnonzero(values > above) if above > 0 else np.flatnonzero(values < -above)
    support = np.flatnonzero(~np.isnan(record.measures["wait"]))
    key = np.sort(record.customer[support] * 2**42 + record.at[support] // 1_000_000)
    start = record.customer[chosen] * 2**42 + record.at[chosen] // 1_000_000
    return float((np.searchsorted(key, start + 14 * 86_400) > np.searchsorted(key, start)).mean())


@pytest.mark.parametrize(("hidden", "moved"), [(0.0, False), (1.0, True)])
def test_latent_loyalty_moves_quality_only_under_hidden_confounding(hidden: float, moved: bool) -> None:
    company = simulate_company(2000, 11, hidden_confounding=hidden, weeks=60)
    record, people = company.record, company.people
    waited = np.flatnonzero(~np.isnan(record.measures["wait"]))
    who = record.customer[waited]
    level = np.log(record.measures["wait"][waited])
    for group in range(3):  # what is left after the segment's mean
        level[people.segment[who] == group] -= level[people.segment[who] == group].mean()
    by_customer = np.bincount(who, level, len(people)) / np.maximum(np.bincount(who, minlength=len(people)), 1)
    seen = np.unique(who)
    correlation = np.corrcoef(by_customer[seen], people.loyalty[seen])[0, 1]
    tolerance = 4 / np.sqrt(len(seen))  # four standard errors of a correlation of zero
    assert correlation < -tolerance if moved else abs(correlation) < tolerance


def test_ratings_are_given_by_about_a_quarter_and_go_along_with_churn(company: Company) -> None:
    record = company.record
    rated = ~np.isnan(record.measures["rating"])
    asked = np.isin(
        record.kind, [PLACES.index(place) for place in PLACES if place[1] in {"visit", "call", "chat", "reply"}]
    )
    assert not rated[~asked].any()
    assert 0.15 < rated[asked].mean() < 0.35
    churned = np.isin(record.customer[rated], record.leaver)
    scores = record.measures["rating"][rated]
    assert scores[churned].mean() < scores[~churned].mean() - 0.5


def test_weeks_begin_at_most_six_days_after_go_live(company: Company) -> None:
    for live in company.go_lives:
        assert 0 <= company.world.week_start(live.week) - live.date < WEEK


def test_a_company_of_nobody_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="company of 0 customers"):
        simulate_company(0, 1)


def test_a_company_that_is_too_young_for_a_go_live_date_is_refused() -> None:
    with pytest.raises(EmptyResultError, match="at least 45 weeks"):
        simulate_company(20, 1, weeks=20)


@pytest.mark.parametrize("customers", [1, 2])
def test_the_smallest_companies_live_or_say_why_not(customers: int) -> None:
    with contextlib.suppress(EmptyResultError):
        assert len(simulate_company(customers, 1).go_lives) == 3


# The truth


def test_useless_initiatives_have_effects_of_exactly_zero(truths: dict[str, Truth]) -> None:
    useless = [truth for truth in truths.values() if truth.kind == "useless"]
    assert len(useless) >= 2
    assert all(truth.churn_effect == 0.0 and truth.revenue_effect == 0.0 for truth in useless)
    assert all(truth.reached_share > 0.5 for truth in useless)


def test_good_initiatives_do_good_and_the_harmful_one_harms(truths: dict[str, Truth]) -> None:
    for truth in truths.values():
        if truth.kind == "good":
            assert truth.churn_effect < 0 < truth.revenue_effect, truth.name
        if truth.kind == "harmful":
            assert truth.revenue_effect < 0 < truth.churn_effect, truth.name
    assert {truth.kind for truth in truths.values()} == {"good", "useless", "harmful", "uncontrolled"}


def test_the_best_initiative_is_worth_between_half_and_one_and_a_half_points(truths: dict[str, Truth]) -> None:
    best = min(truths.values(), key=lambda truth: truth.churn_effect)
    assert best.name == "right-first-time-bills"
    assert -0.015 < best.churn_effect < -0.004


@pytest.mark.parametrize(
    "move",
    [
        Move("support", "wait", "scale", 1.0),
        Move("support", "wait", "shift", 0.0),
        Move("support", "talk", "cap", np.inf),
        Move("billing", "bill_error", "convert", 0.0),
        Move("onboarding", "promise_gap", "floor", 0.0),
    ],
)
def test_an_initiative_that_changes_nothing_has_effects_of_exactly_zero(small: Company, move: Move) -> None:
    (truth,) = truth_for(small, [initiative(move)])
    assert (truth.churn_effect, truth.revenue_effect, truth.reached_share) == (0.0, 0.0, 0.0)


def test_truth_does_not_depend_on_what_else_is_asked(small: Company) -> None:
    assert truth_for(small, INITIATIVES[:2]) == tuple(truth_for(small, [one])[0] for one in INITIATIVES[:2])


def test_more_delivery_and_more_reach_do_more(company: Company) -> None:
    wait = Move("support", "wait", "scale", 0.6)
    half, full = truth_for(company, [initiative(wait, delivery=(0.5, 0.5, 0.5)), initiative(wait)])
    narrow, wide = truth_for(company, [initiative(wait, reach=0.3), initiative(wait, reach=0.9)])
    assert full.churn_effect < half.churn_effect < 0
    assert wide.churn_effect < narrow.churn_effect < 0


def test_ranking_by_correlation_is_visibly_wrong(company: Company, truths: dict[str, Truth]) -> None:
    asked = [one for one in INITIATIVES if one.kind != "uncontrolled"]
    naive = [naive_effect(company, one) for one in asked]
    true = [truths[one.name].churn_effect for one in asked]
    top_two = {asked[place].kind for place in np.argsort(naive)[:2]}
    assert spearmanr(naive, true).statistic < 0.5
    assert "useless" in top_two


def naive_effect(company: Company, one: CompanyInitiative) -> float:
    """Slope of churn on each customer's mean of the measure over half a year, times the mean change of it."""
    record, move, n = company.record, one.moves[0], len(company.people)
    left = np.full(n, np.iinfo(np.int64).max)
    left[record.leaver] = record.left_at
    values = record.measures[move.measure]
    here = ~np.isnan(values) & np.isin(
        record.kind, [PLACES.index(place) for place in PLACES if place[1] == move.touchpoint]
    )
    here |= ~np.isnan(values) & (move.touchpoint is None)
    if move.channel:
        here &= record.channel == CHANNELS.index(move.channel)
    columns: list[NDArray[np.float64]] = []
    for live in company.go_lives:
        rows = np.flatnonzero(here & (record.at > live.date - 180 * DAY) & (record.at <= live.date))
        count = np.bincount(record.customer[rows], minlength=n)
        mean = np.bincount(record.customer[rows], values[rows], n) / np.maximum(count, 1)
        change = np.bincount(record.customer[rows], promised(move, values[rows]) - values[rows], n) / np.maximum(
            count, 1
        )
        seen = (count > 0) & (left > live.date)
        columns.append(np.stack([mean[seen], left[seen] <= live.date + 91 * DAY, change[seen]]))
    mean, churned, change = np.concatenate(columns, axis=1)
    at_risk = sum(len(live.rows) for live in company.go_lives)
    return float(np.cov(mean, churned)[0, 1] / mean.var(ddof=1) * change.sum() / at_risk * one.delivered * one.reach)


def promised(move: Move, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if move.operation != "convert":
        return move.promised(values)
    return values + move.amount * (1 - values if move.measure == "resolved" else -values)


# What an initiative does to touchpoints


def moved(one: CompanyInitiative, values: list[float], channel: str = "phone") -> list[float]:
    people = make_people(make_world(1, len(values), 60, 0), 0.0)
    rows, channels = np.arange(len(values)), np.full(len(values), CHANNELS.index(channel))
    policy = Policy(1, people, [one])
    place = (one.moves[0].journey, "call")
    after = policy.move(place, one.moves[0].measure, np.array(values), rows=rows, channel=channels, week=3)
    assert (policy.affected == (after != np.array(values))).all()
    return [float(value) for value in after]


@pytest.mark.parametrize(
    ("operation", "amount", "expected"),
    [
        ("shift", -2.0, [3.0, 8.0]),
        ("scale", 0.6, [3.0, 6.0]),
        ("cap", 6.0, [5.0, 6.0]),
        ("floor", 6.0, [6.0, 10.0]),
    ],
)
def test_moves_do_what_they_say(operation: str, amount: float, expected: list[float]) -> None:
    assert moved(initiative(Move("support", "wait", operation, amount)), [5.0, 10.0]) == expected  # type: ignore[arg-type]


def test_half_the_delivery_moves_half_the_way() -> None:
    assert moved(initiative(Move("support", "wait", "scale", 0.6), delivery=(0.5, 0.5, 0.5)), [5.0, 10.0]) == [4.0, 8.0]


def test_delivery_is_at_the_mean_of_its_pert_distribution() -> None:
    assert initiative(delivery=(0.5, 0.8, 1.0)).delivered == pytest.approx((0.5 + 4 * 0.8 + 1.0) / 6)


def test_conversion_mends_that_share_of_failures_and_breaks_nothing() -> None:
    half = initiative(Move("support", "resolved", "convert", 0.5))
    after = np.array(moved(half, [0.0, 1.0] * 2000))
    assert (after[1::2] == 1).all()
    assert abs(after[::2].mean() - 0.5) < 4 * np.sqrt(0.25 / 2000)
    wrong = np.array(moved(initiative(Move("billing", "bill_error", "convert", 1.0)), [0.0, 1.0]))
    assert (wrong == 0).all()


@pytest.mark.parametrize(
    ("move", "channel"),
    [
        (Move("support", "wait", "scale", 0.5, channel="chat"), "phone"),
        (Move("support", "wait", "scale", 0.5, touchpoint="chat"), "phone"),
    ],
)
def test_other_channels_and_touchpoints_stay_as_they_are(move: Move, channel: str) -> None:
    assert moved(initiative(move), [5.0, 10.0], channel) == [5.0, 10.0]


def test_reach_is_that_share_of_customers_and_a_filter_keeps_others_out() -> None:
    wait = Move("support", "wait", "scale", 0.5)
    reached = np.array(moved(initiative(wait, reach=0.3), [1.0] * 5000)) < 1
    assert abs(reached.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 5000)
    premium = make_people(make_world(1, 5000, 60, 0), 0.0).segment == 2
    filtered = np.array(moved(initiative(wait, where=(("segment", ("premium",)),)), [1.0] * 5000)) < 1
    assert (filtered == premium).all()


# The files


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones(folder: Path, tmp_path: Path) -> None:
    write_company(simulate_company(SMALL, 3), tmp_path / "again")
    write_company(simulate_company(SMALL, 4), tmp_path / "other")
    assert contents(tmp_path / "again") == contents(folder)
    other = contents(tmp_path / "other")
    assert all(other[name] != contents(folder)[name] for name in FILES if not name.endswith(".yaml"))


def test_the_study_is_short_and_valid_and_knows_every_column(folder: Path) -> None:
    text = (folder / "study.yaml").read_text(encoding="utf-8")
    study = parse_study(text, "study.yaml")
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith("#")]) <= 40
    written = set(pq.read_schema(folder / "touchpoints.parquet").names)
    assert set(study.touchpoints.columns.values()) == written  # type: ignore[union-attr]
    assert {name for name, _ in PLACES} == set(study.journey_names)
    assert (study.snapshot.window_days, study.snapshot.gap_days, study.snapshot.horizon_days) == (180, 0, 91)
    assert study.snapshot.every == COMPANY_GRID.every


def test_the_initiatives_are_read_as_they_were_meant(folder: Path) -> None:
    study = parse_study((folder / "study.yaml").read_text(encoding="utf-8"), "study.yaml")
    read = parse_plans((folder / "initiatives.yaml").read_text(encoding="utf-8"), "initiatives.yaml", study).initiatives
    assert len(read) >= 9
    for written, meant in zip(read, INITIATIVES, strict=True):
        assert (written.name, written.reach) == (meant.name, meant.reach)
        assert written.expected_delivery == pytest.approx(meant.delivered)
        assert [(change.way, change.amount, change.channel) for change in written.changes] == [
            (move.operation, move.amount, move.channel) for move in meant.moves
        ]


def test_costs_grow_with_the_company(folder: Path, tmp_path: Path) -> None:
    once = [entry["cost"]["once"] for entry in yaml.safe_load((folder / "initiatives.yaml").read_text())["initiatives"]]
    assert once == [round(one.cost.once * SMALL / 20_000) for one in INITIATIVES]


def test_truth_names_the_go_live_dates_that_the_tables_lead_to(folder: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    touchpoints = pq.read_table(folder / "touchpoints.parquet", columns=["event_time"])["event_time"].to_numpy()
    ends = [
        pq.read_table(folder / name, columns=[column])[column].to_numpy().max()
        for name, column in (("churn.parquet", "contract_end"), ("invoices.parquet", "invoice_date"))
    ]
    start, end = touchpoints.min(), max(touchpoints.max(), *ends)
    first, last = (int(moment.astype("datetime64[us]").astype(np.int64)) for moment in (start, end))
    dates = go_live_dates(COMPANY_GRID, cutoffs(COMPANY_GRID, first, last), last)
    assert truth["go_live"] == [iso(moment) for moment in dates]
    assert len(dates) == 3
    assert all(later - earlier >= 91 * DAY for earlier, later in itertools.pairwise(dates))


def test_truth_holds_what_was_promised(folder: Path, small: Company) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    assert set(truth) == {"seed", "customers", "go_live", "horizon_days", "monthly_churn", "initiatives"}
    assert (truth["seed"], truth["customers"], truth["horizon_days"]) == (3, SMALL, 91)
    assert parse_date(truth["go_live"][0]) == small.go_lives[0].date
    keys = {"name", "churn_effect", "revenue_effect", "kind", "reached_share"}
    assert all(set(entry) == keys for entry in truth["initiatives"])


def test_the_dirt_is_there_and_is_little(company: Company, tmp_path: Path) -> None:
    write_company(company, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "touchpoints.parquet").to_pandas()
    unknown = table.client_no > f"N{len(company.people) - 1:08d}"
    negative = table.wait_min < 0
    late = table.booked_time > table.event_time
    twice = table.duplicated() & ~unknown & ~negative
    assert len(table) - len(company.record.at) == unknown.sum() + negative.sum() + twice.sum()
    for dirt in (unknown, negative, late, twice):
        assert 0 < dirt.sum() < 0.002 * len(table)
    assert (table.booked_time - table.event_time).dt.days.max() <= 5
    assert (table.booked_time >= table.event_time).all()


def test_a_second_writing_touches_nothing_and_keeps_what_else_is_there(small: Company, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_company(small, out)
    (out / "store").mkdir()
    before = {name: (out / name).stat().st_mtime_ns for name in FILES}
    write_company(small, out)
    assert {name: (out / name).stat().st_mtime_ns for name in FILES} == before
    assert (out / "store").is_dir()


def test_another_company_replaces_the_files_and_an_interrupted_one_is_mended(
    small: Company, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_company(simulate_company(50, 9), out)
    (out / "truth.json").unlink()
    write_company(small, out)
    assert contents(out) == contents(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(small: Company, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"not a synthetic company's.*new or empty folder"):
        write_company(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(small: Company, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_company(small, tmp_path / "empty")
    assert {path.name for path in (tmp_path / "empty").iterdir()} == set(FILES)


def test_a_file_in_the_way_is_refused(small: Company, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        write_company(small, tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be written"):
        write_company(small, tmp_path / "file" / "below")


def test_only_the_company_itself_knows_of_the_truth() -> None:
    root = Path(__file__).parents[1]
    sources = [*root.glob("features/*.py"), *root.glob("models/*.py")]
    knowing = {path.name for path in sources if "truth.json" in path.read_text(encoding="utf-8")}
    assert knowing == {"company_files.py"}
