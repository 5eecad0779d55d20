"""The panel end to end: the user's files, the layout, rows by cutoff, and what is built again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract import read_contract
from features.errors import EmptyResultError, StoreError
from features.layout import Layout, lay_out
from features.panel import PanelInfo, build_panel, read_panel
from features.snapshot import iso, parse_date
from features.study import Study, parse_study

STUDY = """
study: tiny
sources: {c: customers.parquet, t: touches.parquet, x: churn.parquet, r: revenue.parquet, v: reviews.parquet}
customers: {from: c, covariates: [region, age]}
touchpoints: {from: t}
churn: {from: x}
revenue: {from: r}
outcomes: [{name: review, kind: mean, from: v}]
journeys: [{name: billing, stage: pay}, {name: support, stage: help}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: rating, unit: points, kind: rating, direction: higher, response: voluntary}
snapshot: {window_days: 60, horizon_days: 30}
engine: {workers: 1}
"""
END = datetime(2024, 12, 15, tzinfo=UTC)
NOW = parse_date("2025-06-01")


def tables(end: datetime = END) -> dict[str, pd.DataFrame]:
    """Forty customers of a year; rows after `end` are left out."""
    rng, n = np.random.default_rng(5), 40
    start = datetime(2024, 1, 1, tzinfo=UTC)

    def moments(size: int) -> pd.Series:
        return pd.Series([start + timedelta(hours=int(h)) for h in rng.integers(0, 349 * 24, size)])

    ids = np.array([f"c{i:02d}" for i in range(n)])
    customers = pd.DataFrame(
        {"customer_id": ids, "joined_at": start - timedelta(days=90), "region": "north", "age": 30}
    )
    customers.loc[::3, "region"], customers.loc[5:9, "joined_at"] = "süd", start + timedelta(days=150)
    touches = pd.DataFrame({"customer_id": rng.choice(ids, 900), "occurred_at": moments(900)})
    is_support = rng.random(900) < 0.5
    touches["journey"] = np.where(is_support, "support", "billing")
    touches["touchpoint"] = np.where(is_support & (rng.random(900) < 0.5), "call", "mail")
    touches["channel"] = rng.choice(["phone", "web"], 900)
    touches["known_at"] = touches["occurred_at"] + pd.to_timedelta(np.where(rng.random(900) < 0.1, 3, 0), unit="D")
    touches["wait"] = np.where(is_support, rng.integers(0, 9, 900), np.nan)
    touches["rating"] = np.where(rng.random(900) < 0.3, rng.integers(0, 11, 900), np.nan)
    churn = pd.DataFrame({"customer_id": ids[20:32], "churned_at": moments(12)})
    revenue = pd.DataFrame({"customer_id": rng.choice(ids, 400), "occurred_at": moments(400), "amount": 5.0})
    reviews = pd.DataFrame({"customer_id": rng.choice(ids, 50), "occurred_at": moments(50), "value": 3.0})
    return {
        "customers": customers.loc[customers["joined_at"] <= end],
        "touches": touches.loc[touches["known_at"] <= end],
        "churn": churn.loc[churn["churned_at"] <= end],
        "revenue": revenue.loc[revenue["occurred_at"] <= end],
        "reviews": reviews.loc[reviews["occurred_at"] <= end],
    }


def study_with(old: str = "", new: str = "") -> Study:
    return parse_study(STUDY.replace(old, new), "study.yaml")


def laid_out(folder: Path, found: dict[str, pd.DataFrame], study: Study, **more: int) -> Layout:
    folder.mkdir(exist_ok=True)
    for name, frame in found.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return lay_out(study, folder, folder / "store", now_us=NOW, **more)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return laid_out(tmp_path_factory.mktemp("tiny"), tables(), study_with())


def built(layout: Layout, store: Path, *cutoffs: str, study: Study | None = None) -> PanelInfo:
    wanted = [parse_date(text) for text in cutoffs] or None
    return build_panel(study or study_with(), layout, store, cutoffs=wanted)


def files_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted((store / "panel").rglob("*.*"))}


def row_of(frame: pd.DataFrame, customer: str, cutoff: str) -> pd.Series:
    is_it = (frame["customer_id"] == customer) & (frame["cutoff"] == pd.Timestamp(cutoff, tz="UTC"))
    return frame.loc[is_it].iloc[0]


def test_cutoffs_are_those_of_the_grid_and_only_passed_ones_are_mature(layout: Layout, tmp_path: Path) -> None:
    contract = built(layout, tmp_path).contract
    assert [iso(t) for t in contract.cutoffs] == [f"2024-{month:02d}-01" for month in range(4, 13)]
    assert [iso(t) for t in contract.matured] == [f"2024-{month:02d}-01" for month in range(4, 12)]


def test_rows_are_who_has_joined_and_not_left(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path)
    found, people = read_panel(tmp_path), tables()
    for cutoff, rows in found.groupby("cutoff"):
        joined = people["customers"].loc[people["customers"]["joined_at"] <= cutoff, "customer_id"]
        away = people["churn"].loc[people["churn"]["churned_at"] <= cutoff, "customer_id"]
        assert sorted(rows["customer_id"]) == sorted(set(joined) - set(away))
        assert rows["customer_key"].is_monotonic_increasing


def test_features_and_outcomes_agree_with_the_users_rows(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path)
    found, given = read_panel(tmp_path), tables()
    for customer, text in [("c01", "2024-06-01"), ("c21", "2024-04-01"), ("c33", "2024-09-01")]:
        row, cutoff = row_of(found, customer, text), pd.Timestamp(text, tz="UTC")
        mine = {name: frame.loc[frame["customer_id"] == customer] for name, frame in given.items()}
        touches, paid = mine["touches"], mine["revenue"]
        before, after = cutoff - timedelta(60), cutoff + timedelta(30)
        seen = touches.loc[touches["occurred_at"].between(before, cutoff) & (touches["known_at"] <= cutoff)]
        calls = seen.loc[seen["journey"] == "support"]
        assert row["customer__contacts_count__total"] == len(seen)
        assert row["support__touchpoints_count__total"] == len(calls)
        np.testing.assert_allclose(row["support__wait_min__mean"], calls["wait"].mean())
        np.testing.assert_allclose(row["support__rating_answered_share__mean"], calls["rating"].notna().mean())
        assert row["revenue_past"] == paid.loc[paid["occurred_at"].between(before, cutoff), "amount"].sum()
        assert row["revenue"] == paid.loc[paid["occurred_at"].between(cutoff, after), "amount"].sum()
        assert row["is_churned"] == mine["churn"]["churned_at"].between(cutoff, after).any()
        assert row["tenure_days"] == (cutoff - mine["customers"]["joined_at"].iloc[0]) / timedelta(1)


def test_columns_come_in_the_order_and_the_types_of_the_contract(layout: Layout, tmp_path: Path) -> None:
    contract = built(layout, tmp_path).contract
    found = read_panel(tmp_path)
    names = [feature.name for feature in contract.features]
    assert list(found) == ["customer_id", "customer_key", "cutoff", *names, *contract.outcomes, "is_mature", "weight"]
    assert contract.outcomes == ("is_churned", "revenue", "review")
    assert {f.name: f.kind for f in contract.features if f.role == "covariate"} == {
        "tenure_days": "number",
        "region": "category",
        "age": "number",
    }
    assert found["region"].cat.categories.tolist() == ["north", "süd"]
    assert str(found["cutoff"].dtype) == "datetime64[us, UTC]"
    assert all(found[name].dtype == float for name in names if name != "region")


def test_outcomes_of_a_cutoff_that_has_not_matured_are_missing(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path)
    found = read_panel(tmp_path, [parse_date("2024-12-01")])
    assert not found["is_mature"].any()
    assert found[["is_churned", "revenue", "review"]].isna().all(axis=None)
    assert found["customer__contacts_count__total"].sum() > 0


def test_features_of_a_cutoff_do_not_change_with_anything_that_becomes_known_later(
    layout: Layout, tmp_path: Path
) -> None:
    cutoff = "2024-10-01"
    built(layout, tmp_path / "all", cutoff)
    early = laid_out(tmp_path / "early", tables(datetime(2024, 10, 1, tzinfo=UTC)), study_with())
    built(early, tmp_path / "some", cutoff)
    names = [feature.name for feature in read_contract(tmp_path / "all").features]
    whole, part = (read_panel(tmp_path / name)[["customer_id", *names]] for name in ("all", "some"))
    pd.testing.assert_frame_equal(whole, part, check_exact=True)


def test_the_same_layout_gives_the_same_bytes(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path / "one")
    built(layout, tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_buckets_built_side_by_side_give_the_same_rows(layout: Layout, tmp_path: Path) -> None:
    two = laid_out(tmp_path / "two", tables(), study_with(), buckets=2)
    seen: list[tuple[int, int]] = []
    side_by_side = study_with("workers: 1", "workers: 2")
    build_panel(side_by_side, two, tmp_path / "p2", tick=lambda _, done, total: seen.append((done, total)))
    built(layout, tmp_path / "p1")
    assert two.manifest.buckets == 2
    assert seen == [(9, 18), (18, 18)]
    pd.testing.assert_frame_equal(read_panel(tmp_path / "p1"), read_panel(tmp_path / "p2"), check_exact=True)


def test_a_second_build_touches_nothing(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path)
    before = {path: path.stat().st_ino for path in (tmp_path / "panel").rglob("*")}
    info = built(layout, tmp_path)
    assert (info.built, len(info.reused)) == ((), 9)
    assert {path: path.stat().st_ino for path in (tmp_path / "panel").rglob("*")} == before


def test_only_a_lost_partition_is_built_again(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path)
    before = files_of(tmp_path)
    (tmp_path / "panel" / "cutoff_date=2024-07-01" / "part-0.parquet").unlink()
    assert [iso(t) for t in built(layout, tmp_path).built] == ["2024-07-01"]
    assert files_of(tmp_path) == before


def test_a_cutoff_beside_the_grid_joins_what_is_there(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path, "2024-07-01")
    info = built(layout, tmp_path, "2024-07-10")
    assert [iso(t) for t in info.contract.cutoffs] == ["2024-07-01", "2024-07-10"]
    assert [iso(t) for t in info.reused] == ["2024-07-01"]


def grown(frames: dict[str, pd.DataFrame], **rows: object) -> dict[str, pd.DataFrame]:
    """Add a touchpoint to the tables."""
    touches = frames["touches"]
    row = touches.loc[touches["wait"].notna()].iloc[[0]].assign(**rows)
    return frames | {"touches": pd.concat([frames["touches"], row], ignore_index=True)}


def parts_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted((store / "panel").rglob("part-*"))}


@pytest.mark.parametrize("buckets", [1, 4])
def test_new_months_are_added_and_only_what_has_matured_since_is_built_again(tmp_path: Path, buckets: int) -> None:
    old = laid_out(tmp_path, tables(datetime(2024, 10, 31, tzinfo=UTC)), study_with(), buckets=buckets)
    matured = built(old, tmp_path).contract.matured
    info = built(laid_out(tmp_path, tables(), study_with(), buckets=buckets), tmp_path)
    full = built(laid_out(tmp_path / "full", tables(), study_with(), buckets=buckets), tmp_path / "full")
    assert set(matured) <= set(info.reused)
    assert info.built
    assert parts_of(tmp_path) == parts_of(tmp_path / "full")
    assert info.contract == full.contract


def test_a_late_row_builds_the_parts_of_its_customer_from_when_it_is_known(tmp_path: Path) -> None:
    study, when = study_with(), datetime(2024, 5, 3, tzinfo=UTC)
    built(laid_out(tmp_path, tables(), study, buckets=4), tmp_path)
    late = grown(tables(), occurred_at=when, known_at=datetime(2024, 6, 15, tzinfo=UTC), wait=8.0)
    info = built(laid_out(tmp_path, late, study, buckets=4), tmp_path)
    assert [iso(t) for t in info.built] == [iso(t) for t in info.contract.cutoffs if iso(t) >= "2024-07-01"]
    assert info.parts_built == len(info.built)
    built(laid_out(tmp_path / "full", late, study, buckets=4), tmp_path / "full")
    assert parts_of(tmp_path) == parts_of(tmp_path / "full")


def test_a_payment_of_today_changes_no_cutoff_before(tmp_path: Path) -> None:
    study = study_with()
    first = built(laid_out(tmp_path, tables(), study), tmp_path).contract
    more = tables()
    last = more["revenue"].iloc[[0]].assign(occurred_at=END)
    more["revenue"] = pd.concat([more["revenue"], last], ignore_index=True)
    info = built(laid_out(tmp_path, more, study), tmp_path)
    assert not info.built
    assert info.contract.partitions == first.partitions
    assert read_contract(tmp_path).layout_fingerprint != first.layout_fingerprint


def test_a_new_customer_leaves_the_rows_of_others_alone(tmp_path: Path) -> None:
    study = study_with()
    built(laid_out(tmp_path, tables(), study, buckets=4), tmp_path)
    before = parts_of(tmp_path)
    more = tables()
    new = more["customers"].iloc[[0]].assign(customer_id="aaa", joined_at=datetime(2024, 8, 20, tzinfo=UTC))
    more["customers"] = pd.concat([new, more["customers"]], ignore_index=True)
    info = built(laid_out(tmp_path, more, study, buckets=4), tmp_path)
    assert info.parts_built == len([t for t in info.contract.cutoffs if iso(t) > "2024-08-20"])
    assert sum(before[name] != after for name, after in parts_of(tmp_path).items()) == info.parts_built


@pytest.mark.parametrize(
    ("old", "new"), [("window_days: 60", "window_days: 61"), ("{from: t}", "{from: t, repeat_days: 3}")]
)
def test_another_meaning_of_features_builds_everything(tmp_path: Path, old: str, new: str) -> None:
    built(laid_out(tmp_path, tables(), study_with()), tmp_path)
    study = study_with(old, new)
    assert not built(laid_out(tmp_path, tables(), study), tmp_path, study=study).reused


def test_pinned_features_stay_when_the_data_bring_new_ones(layout: Layout, tmp_path: Path) -> None:
    few = tables()
    few["touches"] = few["touches"].loc[few["touches"]["touchpoint"] != "call"]
    first = built(laid_out(tmp_path, few, study_with()), tmp_path).contract
    pinned = build_panel(study_with(), layout, tmp_path, cutoffs=[parse_date("2024-12-01")], is_pinned=True).contract
    free = built(layout, tmp_path / "free").contract
    assert pinned.feature_contract_hash == first.feature_contract_hash != free.feature_contract_hash
    assert read_panel(tmp_path)["support__touchpoints_count__total"].sum() > 0


def test_a_build_that_fails_leaves_the_old_panel(layout: Layout, tmp_path: Path) -> None:
    built(layout, tmp_path, "2024-07-01")
    before = files_of(tmp_path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_panel(study_with(), layout, tmp_path, tick=stop)
    assert files_of(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["panel"]


def test_progress_ends_with_everything_done(layout: Layout, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    build_panel(study_with(), layout, tmp_path, tick=lambda *tick: seen.append(tick))
    assert seen[0] == ("cutoff 2024-04-01", 1, 9)
    assert seen[-1] == ("cutoff 2024-12-01", 9, 9)


@pytest.mark.parametrize("text", ["2023-12-01", "2024-12-17"])
def test_a_cutoff_without_history_is_refused_with_the_first_usable_date(
    layout: Layout, tmp_path: Path, text: str
) -> None:
    with pytest.raises(EmptyResultError, match=f"{text} has no history.*first cutoff.*2024-04-01"):
        built(layout, tmp_path, text)


def test_a_study_without_a_mature_cutoff_is_refused_with_what_is_needed(layout: Layout, tmp_path: Path) -> None:
    study = study_with("horizon_days: 30", "horizon_days: 300")
    with pytest.raises(EmptyResultError, match=r"No cutoff can be learned from.*300 days.*Shorten"):
        build_panel(study, layout, tmp_path)


def test_a_store_that_is_a_file_is_refused(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        built(layout, tmp_path / "store")


def test_reading_says_what_is_missing(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no panel"):
        read_panel(tmp_path)
    built(layout, tmp_path, "2024-07-01")
    with pytest.raises(StoreError, match=r"no rows for 2024-08-01. It holds 2024-07-01"):
        read_panel(tmp_path, [parse_date("2024-08-01")])
    (tmp_path / "panel" / "cutoff_date=2024-07-01" / "part-0.parquet").write_bytes(b"x")
    with pytest.raises(StoreError, match="damaged"):
        read_panel(tmp_path)


def test_the_environment_of_a_contact_joins_by_time_and_is_context(tmp_path: Path) -> None:
    """The how-to's query: the latest weather of the customer's region that was known when they came."""
    found = tables()
    days = pd.date_range("2024-01-01", periods=349, freq="D", tz="UTC")
    wind = np.random.default_rng(1).gamma(2, 5, (2, len(days)))
    found["weather"] = pd.concat(
        [pd.DataFrame({"region": name, "at": days, "wind": wind[i]}) for i, name in enumerate(("north", "süd"))]
    )
    (tmp_path / "t").mkdir()
    found["weather"].to_csv(tmp_path / "t" / "weather.csv", index=False)
    query = (
        "select t.*, w.wind from t join c using (customer_id) "
        "asof left join w on w.region = c.region and w.at <= t.occurred_at"
    )
    study = parse_study(
        STUDY.replace("touchpoints: {from: t}", f"touchpoints: {{sql: '{query}'}}")
        .replace("v: reviews.parquet", "v: reviews.parquet, w: weather.csv")
        .replace("snapshot:", "  - {name: wind, unit: m/s, kind: amount, direction: lower, control: none}\nsnapshot:"),
        "study.yaml",
    )
    info = build_panel(study, laid_out(tmp_path / "t", found, study), tmp_path)
    feature = next(one for one in info.contract.features if one.name == "support__wind_m_s__mean")
    assert feature.role == "context"
    rows, cutoff = read_panel(tmp_path, (max(info.contract.cutoffs),)), iso(max(info.contract.cutoffs))
    felt = found["touches"].merge(found["customers"], on="customer_id").sort_values("occurred_at")
    felt["at"] = felt["occurred_at"].dt.floor("D")
    felt = felt.merge(found["weather"], on=["region", "at"]).loc[lambda frame: frame["journey"] == "support"]
    until = pd.Timestamp(cutoff, tz="UTC")
    felt = felt.loc[(felt["known_at"] <= until) & (felt["occurred_at"] > until - timedelta(days=60))]
    expected = felt.groupby("customer_id")["wind"].mean().reindex(rows["customer_id"]).to_numpy()
    np.testing.assert_allclose(rows["support__wind_m_s__mean"], expected, rtol=1e-5)


def test_who_leaves_during_the_gap_is_not_mature(layout: Layout, tmp_path: Path) -> None:
    study = study_with("horizon_days: 30", "horizon_days: 30, gap_days: 20")
    build_panel(study, layout, tmp_path)
    found, churn = read_panel(tmp_path), tables()["churn"]
    for row in churn.itertuples():
        cutoff = row.churned_at - timedelta(10)
        mine = found.loc[found["customer_id"] == row.customer_id]
        during = mine.loc[mine["cutoff"].between(row.churned_at - timedelta(20), row.churned_at, inclusive="left")]
        assert not during["is_mature"].any(), cutoff
    assert found["is_mature"].any()
