import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.errors import DataError, EmptyResultError, StoreError, UnsupportedError
from features.layout import Layout, lay_out, open_layout
from features.snapshot import DAY, parse_date
from features.study import Study, parse_study

STUDY = """\
study: shop
sources: {customers: customers.parquet, touches: touches.parquet, churn: churn.parquet, invoices: invoices.parquet}
customers: {from: customers, columns: {customer_id: id}, covariates: [region, fee]}
touchpoints: {from: touches, columns: {customer_id: id, journey: process, occurred_at: at}, session_gap_days: 14}
churn: {from: churn, columns: {customer_id: id, churned_at: at}}
revenue: {from: invoices, columns: {customer_id: id, occurred_at: at}}
journeys: [{name: billing, stage: use}, {name: support, stage: use}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: rating, unit: points, kind: rating, direction: higher, range: [0, 10]}
"""
NOW = parse_date("2025-06-01")
Tables = dict[str, pd.DataFrame]


def _times(*days: str) -> pd.Series:
    return pd.Series(pd.to_datetime(list(days), utc=True))


def _tables() -> Tables:
    """Three customers; a has two support journeys 30 days apart, b left, c has no touchpoints."""
    touches = pd.DataFrame(
        {
            "id": ["a", "a", "a", "b", "a"],
            "process": ["support", "support", "support", "billing", "billing"],
            "touchpoint": ["call", "call", "chat", "bill", "bill"],
            "channel": ["phone", "phone", "web", "post", "post"],
            "at": _times("2024-03-01", "2024-03-05", "2024-04-04", "2024-03-02", "2024-03-01"),
            "wait": [5.0, 7.0, np.nan, np.nan, np.nan],
            "rating": [np.nan, 9.0, 3.0, np.nan, np.nan],
        }
    )
    joined = _times("2024-01-01", "2024-01-02", "2024-01-03")
    return {
        "customers": pd.DataFrame(
            {"id": ["b", "a", "c"], "joined_at": joined, "region": ["n", "s", None], "fee": [1, 2, 3]}
        ),
        "touches": touches,
        "churn": pd.DataFrame({"id": ["b"], "at": _times("2024-05-01")}),
        "invoices": pd.DataFrame({"id": ["a", "b"], "at": _times("2024-03-01", "2024-03-01"), "amount": [10.0, -2.0]}),
    }


def _write(tables: Mapping[str, pd.DataFrame], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def _lay(tables: Tables, folder: Path, study: str | Study = STUDY, **arguments: int) -> Layout:
    parsed = parse_study(study, "study.yaml") if isinstance(study, str) else study
    return lay_out(parsed, _write(tables, folder), folder / "store", now_us=NOW, **arguments)


def _reasons(layout: Layout) -> dict[tuple[str, str], int]:
    return {(item.table, item.reason): item.rows for item in layout.manifest.quarantined}


def _add(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Append a copy of the first row with some values changed."""
    row = table.iloc[[0]].copy()
    for name, value in values.items():
        row[name] = [value]
    return pd.concat([table, row], ignore_index=True)


def _hash(root: Path) -> str:
    parts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*.parquet"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _key(customer: str) -> int:
    """Key of a customer: half of the number that the last eight bytes of the MD5 of the id make, the lowest first."""
    return int.from_bytes(hashlib.md5(customer.encode(), usedforsecurity=False).digest()[8:], "little") >> 1


def test_one_table_of_a_bucket_is_that_of_the_bucket_and_its_damage_is_told(tmp_path: Path) -> None:
    layout = _lay(_tables(), tmp_path)
    for name in ("churn", "touchpoints"):
        assert layout.table(0, name) == getattr(layout.bucket(0), name)
    (layout.root / "bucket-000" / "churn.parquet").write_bytes(b"cut off")
    with pytest.raises(StoreError, match="bucket-000' is damaged"):
        layout.table(0, "churn")


def test_customers_are_numbered_by_a_hash_of_their_id_whoever_else_there_is(tmp_path: Path) -> None:
    customers = _lay(_tables(), tmp_path).bucket(0).customers.to_pydict()
    assert customers["customer_id"] == sorted("abc", key=_key)
    assert customers["customer_key"] == sorted(map(_key, "abc"))
    joined = dict(zip(customers["customer_id"], customers["joined_at"], strict=True))
    assert joined == {"a": parse_date("2024-01-02"), "b": parse_date("2024-01-01"), "c": parse_date("2024-01-03")}
    assert dict(zip(customers["customer_id"], customers["region"], strict=True)) == {"a": "s", "b": "n", "c": None}
    assert dict(zip(customers["customer_id"], customers["fee"], strict=True)) == {"a": 2.0, "b": 1.0, "c": 3.0}


def test_an_end_before_joining_goes_to_quarantine_and_other_ends_are_kept(tmp_path: Path) -> None:
    tables = _tables()
    tables["customers"]["ended_at"] = [pd.NaT, STAMP("2024-06-01", tz="UTC"), STAMP("2023-12-31", tz="UTC")]
    layout = _lay(tables, tmp_path)
    assert _reasons(layout) == {("customers", "end before joining"): 1}
    assert layout.bucket(0).customers["ended_at"].to_pylist() == [parse_date("2024-06-01"), None]


CORRECTED = """
customer_id,touchpoint_id,journey,occurred_at,known_at,wait
a,1,support,2024-03-01,2024-03-01,5
a,1,support,2024-03-01,2024-03-09,7
b,1,support,2024-03-02,2024-04-01,8
a,2,support,2024-03-03,,1
a,2,support,2024-03-03,,1
a,3,support,2024-03-04,,2
a,3,support,2024-03-04,,3
b,,support,2024-03-05,,4
b,,support,2024-03-06,,4
"""


def _corrected(folder: Path, text: str = CORRECTED) -> Layout:
    folder.mkdir(parents=True)
    (folder / "touches.csv").write_text(text.strip())
    study = STUDY.replace("touches: touches.parquet", "touches: touches.csv").replace(
        "columns: {customer_id: id, journey: process, occurred_at: at}, ", ""
    )
    study = study.replace("  - {name: rating, unit: points, kind: rating, direction: higher, range: [0, 10]}\n", "")
    return _lay(_tables(), folder, study)


def test_a_correction_replaces_a_touchpoint_from_when_it_is_known(tmp_path: Path) -> None:
    layout = _corrected(tmp_path / "one")
    rows = layout.bucket(0).touchpoints.to_pylist()
    found = {(row["customer_key"], row["wait"]): (row["known_at"], row["replaced_at"]) for row in rows}
    first, second, third = (parse_date(day) for day in ("2024-03-01", "2024-03-09", "2024-04-01"))
    assert found[_key("a"), 5.0] == (first, second)
    assert found[_key("a"), 7.0] == (second, third)
    assert found[_key("b"), 8.0] == (third, np.iinfo(np.int64).max)
    assert layout.manifest.corrected == 2
    final = next(layout.all_buckets()).touchpoints
    assert "replaced_at" not in final.column_names
    assert sorted(final["wait"].to_pylist())[-1] == 8.0
    assert len(final) == len(rows) - 2


def test_versions_known_at_the_same_moment_are_set_aside_but_for_one(tmp_path: Path) -> None:
    assert _reasons(_corrected(tmp_path / "one")) == {
        ("touchpoints", "corrected at the same moment"): 1,
        ("touchpoints", "duplicate touchpoint"): 1,
    }


def test_corrections_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    head, *lines = CORRECTED.strip().splitlines()
    layouts = [_corrected(tmp_path / str(i), "\n".join([head, *lines[i:], *lines[:i]])) for i in range(3)]
    assert len({_hash(layout.root) for layout in layouts}) == 1


def test_a_journey_may_have_a_pause_of_its_own(tmp_path: Path) -> None:
    study = STUDY.replace("{name: support, stage: use}", "{name: support, stage: use, session_gap_days: 40}")
    rows = _lay(_tables(), tmp_path, study).bucket(0).touchpoints.to_pydict()
    assert len(set(rows["journey_key"][1:4])) == 1
    assert all(rows["is_session"])


def test_department_and_cause_are_kept_with_what_is_missing(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"] = tables["touches"].assign(department=["x", None, "y", None, "x"], cause=[None, "z", *[None] * 3])
    layout = _lay(tables, tmp_path)
    assert (layout.manifest.levels["department"], layout.manifest.levels["cause"]) == (("x", "y"), ("z",))
    rows = layout.bucket(0).touchpoints.to_pydict()
    assert rows["department"] == ["x", "x", None, "y", None]
    assert rows["cause"] == [None, None, "z", None, None]


def test_touchpoints_have_the_schema_and_order_of_the_contract(tmp_path: Path) -> None:
    table = _lay(_tables(), tmp_path).bucket(0).touchpoints
    label = "dictionary<values=string, indices=int32, ordered=0>"
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("customer_key", "int64"),
        ("journey_key", "int64"),
        ("occurred_at", "int64"),
        ("known_at", "int64"),
        ("journey", label),
        ("touchpoint", label),
        ("channel", label),
        ("is_session", "bool"),
        ("wait", "double"),
        ("rating", "double"),
    ]
    rows = table.to_pydict()
    a, b = _key("a"), _key("b")
    wanted = [(a, "bill", None), (a, "call", 5.0), (a, "call", 7.0), (a, "chat", None), (b, "bill", None)]
    assert list(zip(rows["customer_key"], rows["touchpoint"], rows["wait"], strict=True)) == wanted
    assert rows["known_at"] == rows["occurred_at"]


def test_a_pause_longer_than_the_gap_starts_a_new_journey(tmp_path: Path) -> None:
    rows = _lay(_tables(), tmp_path).bucket(0).touchpoints.to_pydict()
    bill, first, second, third, other = rows["journey_key"]
    assert first == second
    assert len({bill, first, third, other}) == 4
    assert set(rows["journey_key"]) == set(range(4))


def test_a_pause_of_exactly_the_gap_is_still_the_same_journey(tmp_path: Path) -> None:
    study = STUDY.replace("session_gap_days: 14", "session_gap_days: 30")
    rows = _lay(_tables(), tmp_path, study).bucket(0).touchpoints.to_pydict()
    assert len(set(rows["journey_key"][1:4])) == 1


def test_journey_ids_count_per_customer_and_journey_and_rows_without_one_fall_back_to_pauses(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"]["journey_id"] = ["1", "2", "1", "1", None]
    rows = _lay(tables, tmp_path).bucket(0).touchpoints.to_pydict()
    bill, first, second, third, other = rows["journey_key"]
    assert first == third
    assert len({bill, first, second, other}) == 4


def _shuffled(tables: Tables, seed: int) -> Tables:
    rng = np.random.default_rng(seed)
    return {name: table.iloc[rng.permutation(len(table))] for name, table in tables.items()}


def _many(n: int = 3_000) -> Tables:
    """Many customers, few moments: plenty of ties, -0.0 beside 0.0, exact duplicates."""
    rng = np.random.default_rng(5)
    ids = np.array([f"ç{number}" for number in range(200)])
    days = pd.to_datetime("2024-03-01", utc=True) + pd.to_timedelta(rng.integers(0, 60, n), "D")
    touches = pd.DataFrame(
        {
            "id": rng.choice(ids, n),
            "process": rng.choice(["support", "billing"], n),
            "touchpoint": rng.choice(["call", "chat", "Brief"], n),
            "channel": rng.choice(["phone", "web"], n),
            "at": days,
            "known_at": days + pd.to_timedelta(rng.integers(0, 3, n), "D"),
            "wait": rng.choice([0.0, -0.0, 1.5, np.nan], n),
            "rating": rng.choice([np.nan, 3.0, 11.0], n),
            "journey_id": rng.choice(["x", "y", None], n),
        }
    )
    joined = pd.to_datetime("2024-01-01", utc=True) + pd.to_timedelta(rng.integers(0, 9, 200), "D")
    customers = pd.DataFrame({"id": ids, "joined_at": joined, "region": "n", "fee": rng.normal(size=200)})
    churn = pd.DataFrame({"id": ids[::3], "at": pd.to_datetime("2024-05-01", utc=True)})
    invoices = pd.DataFrame({"id": rng.choice(ids, 500), "at": rng.choice(days, 500), "amount": rng.normal(size=500)})
    return {"customers": customers, "touches": touches, "churn": churn, "invoices": invoices}


def test_the_same_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    layouts = [_lay(_shuffled(_many(), seed), tmp_path / str(seed), buckets=3) for seed in range(4)]
    assert len({_hash(layout.root) for layout in layouts}) == 1
    assert len({layout.manifest.fingerprint for layout in layouts}) == 1
    numbers = {"inputs": True, "quarantined": {"__all__": {"examples"}}}  # numbers of rows follow the rows
    first, *others = (layout.manifest.model_dump(exclude=numbers) for layout in layouts)
    assert all(str(other) == str(first) for other in others)


def test_buckets_hold_whole_customers_and_together_all_rows(tmp_path: Path) -> None:
    one = _lay(_many(), tmp_path / "one").bucket(0)
    several = list(_lay(_many(), tmp_path / "several", buckets=7).all_buckets())
    for name in ("touchpoints", "customers", "revenue", "churn"):
        frames = [getattr(bucket, name).to_pandas() for bucket in several]
        pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), getattr(one, name).to_pandas())
    keys = [set(bucket.touchpoints["customer_key"].to_pylist()) for bucket in several]
    assert sum(map(len, keys)) == len(set().union(*keys))
    each = -(-(1 << 63) // 7)
    assert all(key // each == number for number, found in enumerate(keys) for key in found)


def test_more_buckets_than_customers_are_not_made(tmp_path: Path) -> None:
    layout = _lay(_tables(), tmp_path, buckets=50)
    assert layout.manifest.buckets == 3
    empty = next(bucket for bucket in layout.all_buckets() if bucket.touchpoints.num_rows == 0)
    assert all(empty.touchpoints.schema.equals(bucket.touchpoints.schema) for bucket in layout.all_buckets())


def _edit(table: str, **values: object) -> Callable[[Tables], None]:
    def edit(tables: Tables) -> None:
        tables[table] = _add(tables[table], **values)

    return edit


STAMP = pd.Timestamp


@pytest.mark.parametrize(
    ("edit", "table", "reason"),
    [
        (_edit("touches", id=None), "touchpoints", "missing customer_id"),
        (_edit("touches", id="zz"), "touchpoints", "unknown customer"),
        (_edit("touches", at=pd.NaT), "touchpoints", "bad timestamp"),
        (_edit("touches", at=STAMP("1899-12-31", tz="UTC")), "touchpoints", "bad timestamp"),
        (_edit("touches", at=STAMP("2025-06-02", tz="UTC")), "touchpoints", "future timestamp"),
        (_edit("touches"), "touchpoints", "duplicate touchpoint"),
        (_edit("touches", process=None), "touchpoints", "missing journey"),
        (_edit("touches", process="suport"), "touchpoints", "unknown journey"),
        (_edit("touches", wait=np.inf), "touchpoints", "infinite measure: wait"),
        (_edit("touches", wait=-np.inf), "touchpoints", "infinite measure: wait"),
        (_edit("touches", wait=-0.5), "touchpoints", "negative duration: wait"),
        (_edit("touches", rating=11.0), "touchpoints", "out of range: rating"),
        (_edit("customers", id=None), "customers", "missing customer_id"),
        (_edit("customers", fee=99), "customers", "duplicate customer"),
        (_edit("customers", id="d", joined_at=STAMP("2026-01-01", tz="UTC")), "customers", "future timestamp"),
        (_edit("churn", at=STAMP("2024-01-01", tz="UTC")), "churn", "churn before joining"),
        (_edit("churn", at=STAMP("2024-05-02", tz="UTC")), "churn", "churn without a return before it"),
        (_edit("invoices", amount=np.nan), "revenue", "missing amount"),
        (_edit("invoices", amount=np.inf), "revenue", "infinite amount"),
        (_edit("invoices", id="zz"), "revenue", "unknown customer"),
    ],
)
def test_a_row_that_breaks_a_rule_goes_to_quarantine_and_the_rest_goes_on(
    tmp_path: Path, edit: Callable[[Tables], None], table: str, reason: str
) -> None:
    clean = _lay(_tables(), tmp_path / "clean")
    tables = _tables()
    edit(tables)
    if reason == "churn before joining":
        tables["customers"].loc[0, "joined_at"] = STAMP("2024-01-20", tz="UTC")
        clean = _lay(_tables() | {"customers": tables["customers"]}, tmp_path / "clean2")
        tables["churn"].loc[1, "at"] = STAMP("2024-01-05", tz="UTC")
    layout = _lay(tables, tmp_path / "bad")
    assert _reasons(layout) == {(table, reason): 1}
    assert _hash(layout.root) == _hash(clean.root)
    bad = pq.read_table(tmp_path / "bad" / "store" / "quarantine" / f"{table}.parquet").to_pandas()
    source = {"touchpoints": "touches", "revenue": "invoices"}.get(table, table)
    assert bad["quarantine_reason"].tolist() == [reason]
    assert bad["quarantine_row"].tolist() == [len(tables[source])]
    assert set(tables[source].columns) < set(bad.columns)


def test_every_row_read_is_kept_or_in_quarantine(tmp_path: Path) -> None:
    tables = _many()
    layout = _lay(tables, tmp_path)
    counts = {count.table: count for count in layout.manifest.rows}
    bad = dict.fromkeys(counts, 0)
    for item in layout.manifest.quarantined:
        bad[item.table] += item.rows
    assert counts["touchpoints"].read == len(tables["touches"])
    assert all(count.read == count.kept + bad[table] for table, count in counts.items())
    assert counts["touchpoints"].kept == layout.bucket(0).touchpoints.num_rows
    assert bad["touchpoints"] > 0


def test_a_touchpoint_before_joining_is_kept_and_counted(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"].loc[0, "at"] = STAMP("2023-12-01", tz="UTC")
    layout = _lay(tables, tmp_path)
    assert layout.manifest.before_joining == 1
    assert layout.manifest.quarantined == ()
    assert layout.manifest.data_start == parse_date("2023-12-01")


def test_a_repeated_touchpoint_that_became_known_later_is_a_duplicate_and_the_first_news_stays(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"]["known_at"] = tables["touches"]["at"]
    tables["touches"] = _add(tables["touches"], known_at=STAMP("2024-03-20", tz="UTC"))
    layout = _lay(tables, tmp_path)
    assert _reasons(layout) == {("touchpoints", "duplicate touchpoint"): 1}
    rows = layout.bucket(0).touchpoints.to_pydict()
    assert rows["known_at"] == rows["occurred_at"]


def test_what_is_known_late_keeps_its_time_and_what_is_known_early_counts_from_when_it_happens(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"]["known_at"] = _times("2024-03-03", "2024-03-01", "2024-04-04", "2024-03-02", "2024-03-01")
    rows = _lay(tables, tmp_path).bucket(0).touchpoints.to_pydict()
    late, early = (rows["wait"].index(wait) for wait in (5.0, 7.0))
    assert rows["known_at"][late] == parse_date("2024-03-03")
    assert rows["known_at"][early] == rows["occurred_at"][early]


def test_the_same_instant_is_read_alike_with_and_without_zone_as_text_or_date(tmp_path: Path) -> None:
    def laid(values: list[object], name: str) -> Layout:
        tables = _tables()
        tables["invoices"] = pd.DataFrame({"id": ["a"], "amount": [1.0]}).assign(at=values)
        return _lay(tables, tmp_path / name)

    forms: dict[str, list[object]] = {
        "utc": [STAMP("2024-03-01", tz="UTC")],
        "zone": [STAMP("2024-03-01 01:00", tz="Europe/Berlin")],
        "none": [STAMP("2024-03-01")],
        "nano": [np.datetime64("2024-03-01", "ns")],
        "date": [dt.date(2024, 3, 1)],
        "text": ["2024-03-01"],
        "text_zone": ["2024-03-01T02:30:00+02:30"],
        "text_z": ["2024-03-01T00:00:00Z"],
    }
    layouts = {name: laid(values, name) for name, values in forms.items()}
    moments = {layout.bucket(0).revenue["occurred_at"].to_pylist()[0] for layout in layouts.values()}
    assert moments == {parse_date("2024-03-01")}
    zoneless = {name for name, layout in layouts.items() if "revenue.occurred_at" in layout.manifest.zoneless}
    assert zoneless == {"none", "nano", "date", "text"}


def test_text_that_is_no_time_goes_to_quarantine(tmp_path: Path) -> None:
    tables = _tables()
    tables["invoices"]["at"] = ["2024-03-01", "soon"]
    assert _reasons(_lay(tables, tmp_path)) == {("revenue", "bad timestamp"): 1}


def test_a_missing_measure_is_missing_whether_null_or_nan(tmp_path: Path) -> None:
    tables = _tables()
    as_text = _tables()
    as_text["touches"]["wait"] = ["5", "7.0", "NaN", "n/a", ""]
    numbers, texts = _lay(tables, tmp_path / "n"), _lay(as_text, tmp_path / "t")
    assert _hash(numbers.root) == _hash(texts.root)
    assert numbers.bucket(0).touchpoints["wait"].null_count == 3


def test_text_in_some_rows_of_a_measure_goes_to_quarantine(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"]["wait"] = ["5", "long", None, None, None]
    assert _reasons(_lay(tables, tmp_path)) == {("touchpoints", "not a number: wait"): 1}


def test_customer_numbers_match_whether_whole_or_decimal(tmp_path: Path) -> None:
    tables = _tables()
    number = {"a": 1, "b": 2, "c": 3}
    for name, table in tables.items():
        ids = table["id"].map(number)
        tables[name] = table.assign(id=ids.astype(float) if name == "touches" else ids)
    layout = _lay(tables, tmp_path)
    assert sorted(layout.bucket(0).customers["customer_id"].to_pylist()) == ["1", "2", "3"]
    assert layout.manifest.quarantined == ()


def test_names_in_any_script_come_through(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"] = tables["touches"].rename(columns={"wait": "Wartezeit (größe)"})
    tables["touches"]["touchpoint"] = ["通話", "通話", 'a"b', "été", "été"]
    tables["customers"]["id"] = tables["customers"]["id"].replace("c", "Zoë 'x'")
    study = STUDY.replace("occurred_at: at}, session", 'occurred_at: at, wait: "Wartezeit (größe)"}, session')
    layout = _lay(tables, tmp_path / "größe ü", study)
    assert layout.manifest.levels["touchpoint"] == ('a"b', "été", "通話")
    assert sorted(layout.bucket(0).customers["customer_id"].to_pylist()) == ["Zoë 'x'", "a", "b"]


def test_without_touchpoint_and_channel_columns_contacts_are_of_unknown_kind(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"] = tables["touches"].drop(columns=["touchpoint", "channel"])
    assert _lay(tables, tmp_path).manifest.pairs == (("billing", "unknown"), ("support", "unknown"))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda t: t.update(touches=t["touches"].rename(columns={"wait": "wait_min"})),
            "column 'wait' .measure. is missing",
        ),
        (
            lambda t: t.update(touches=t["touches"].rename(columns={"wait": "wait_"})),
            "Did you mean 'wait_'. Found: id, proc",
        ),
        (lambda t: t.update(touches=t["touches"].iloc[:0]), "touchpoints: no rows are left: the table is empty"),
        (lambda t: t.update(touches=t["touches"].assign(id="zz")), "no rows are left: 5 with unknown customer"),
        (lambda t: t.update(invoices=t["invoices"].iloc[:0]), "revenue: no rows are left"),
        (lambda t: t.update(touches=t["touches"].assign(wait="long")), "'wait' holds text in all 5 rows"),
        (lambda t: t.update(touches=t["touches"].assign(wait=[[1.0]] * 5)), "'wait' holds DOUBLE.*Expected numbers"),
        (lambda t: t.update(touches=t["touches"].assign(at=5)), "'at' holds BIGINT. Expected timestamps"),
    ],
)
def test_a_table_that_makes_the_study_meaningless_stops_it(
    tmp_path: Path, edit: Callable[[Tables], None], message: str
) -> None:
    tables = _tables()
    edit(tables)
    with pytest.raises(DataError, match=message):
        _lay(tables, tmp_path)
    assert not (tmp_path / "store" / "layout").exists()


def test_all_faults_of_all_tables_are_told_at_once(tmp_path: Path) -> None:
    tables = _tables()
    tables["touches"] = tables["touches"].drop(columns=["wait", "at"])
    tables["customers"] = tables["customers"].drop(columns="region")
    with pytest.raises(DataError, match="region") as caught:
        _lay(tables, tmp_path)
    assert [fault.split(" is missing")[0] for fault in caught.value.faults] == [
        "customers: column 'region' (covariate)",
        "touchpoints: column 'at'",
        "touchpoints: column 'wait' (measure)",
    ]


def test_nobody_churned_is_an_empty_result(tmp_path: Path) -> None:
    with pytest.raises(EmptyResultError, match="Nobody churned: no good row is in the churn table"):
        _lay(_tables() | {"churn": _tables()["churn"].iloc[:0]}, tmp_path)


def test_everybody_churned_is_an_empty_result(tmp_path: Path) -> None:
    churn = pd.DataFrame({"id": ["a", "b", "c"], "at": _times("2024-05-01", "2024-05-01", "2024-05-01")})
    with pytest.raises(EmptyResultError, match="All 3 customers churned"):
        _lay(_tables() | {"churn": churn}, tmp_path)


def test_who_returns_may_churn_again(tmp_path: Path) -> None:
    at, back = _times("2024-05-01", "2024-05-09"), _times("2024-05-03", None)
    churn = pd.DataFrame({"id": ["b", "b"], "at": at, "returned_at": back})
    rows = _lay(_tables() | {"churn": churn}, tmp_path).bucket(0).churn.to_pydict()
    assert rows["churned_at"] == [parse_date("2024-05-01"), parse_date("2024-05-09")]
    assert rows["returned_at"] == [parse_date("2024-05-03"), None]


def test_a_pause_in_revenue_is_churn_once_it_is_complete(tmp_path: Path) -> None:
    paid = _times("2024-03-01", "2024-03-10", "2024-03-21", "2024-03-01", "2024-03-21", "2024-03-26")
    invoices = pd.DataFrame({"id": ["a", "a", "a", "b", "b", "c"], "at": paid, "amount": 1.0})
    tables = _tables() | {"invoices": invoices}
    tables["touches"] = tables["touches"].iloc[[0, 3]]
    del tables["churn"]
    study = STUDY.replace(
        "churn: {from: churn, columns: {customer_id: id, churned_at: at}}", "churn: {inactive_days: 10}"
    )
    study = study.replace(" churn: churn.parquet,", "")
    layout = _lay(tables, tmp_path, study)
    assert layout.manifest.data_end == parse_date("2024-03-26")
    rows = layout.bucket(0).churn.to_pydict()
    left = {key: moment // DAY for key, moment in zip(rows["customer_key"], rows["churned_at"], strict=True)}
    assert left == {_key("a"): parse_date("2024-03-20") // DAY, _key("b"): parse_date("2024-03-11") // DAY}
    assert rows["returned_at"] == [parse_date("2024-03-21")] * 2


def test_a_pause_that_ends_before_the_midnight_after_the_data_is_churn_at_that_midnight(tmp_path: Path) -> None:
    paid = pd.to_datetime(["2024-03-01T18:00:00Z", "2024-03-11T12:00:00Z"])
    invoices = pd.DataFrame({"id": ["a", "b"], "at": paid, "amount": 1.0})
    tables = _tables() | {"invoices": invoices}
    tables["touches"] = tables["touches"].iloc[[0, 3]]
    study = STUDY.replace(
        "churn: {from: churn, columns: {customer_id: id, churned_at: at}}", "churn: {inactive_days: 10}"
    )
    churn = _lay(tables, tmp_path, study).bucket(0).churn.to_pydict()
    assert churn["customer_key"] == [_key("a")]
    assert churn["churned_at"] == [parse_date("2024-03-11") + 18 * DAY // 24]


def test_a_refund_is_no_sign_of_life(tmp_path: Path) -> None:
    paid = _times("2024-01-05", "2024-02-05", "2024-06-01", "2024-06-01")
    invoices = pd.DataFrame({"id": ["a", "a", "b", "c"], "at": paid, "amount": [5.0, -5.0, 1.0, 1.0]})
    study = STUDY.replace(
        "churn: {from: churn, columns: {customer_id: id, churned_at: at}}", "churn: {inactive_days: 45}"
    )
    rows = _lay(_tables() | {"invoices": invoices}, tmp_path, study).bucket(0).churn.to_pydict()
    assert rows["customer_key"] == [_key("a")]
    assert rows["churned_at"] == [parse_date("2024-02-19")]


def test_further_outcomes_are_laid_out_like_revenue(tmp_path: Path) -> None:
    study = STUDY.replace("parquet}\ncustomers", "parquet, reviews: reviews.csv}\ncustomers", 1) + (
        "outcomes:\n  - {name: review, kind: mean, from: reviews}\n  - {name: reviewed, kind: event, from: reviews}\n"
    )
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "reviews.csv").write_text(
        "customer_id,occurred_at,value\nb,2024-03-04,4\na,2024-03-03,\nzz,2024-03-03,1\n"
    )
    layout = _lay(_tables(), tmp_path, study)
    outcomes = layout.bucket(0).outcomes
    assert outcomes["review"].to_pydict() == {
        "customer_key": [_key("b")],
        "occurred_at": [parse_date("2024-03-04")],
        "value": [4.0],
    }
    assert outcomes["reviewed"]["value"].to_pylist() == [1.0, 1.0]
    assert _reasons(layout) == {
        ("outcomes.review", "missing value"): 1,
        ("outcomes.review", "unknown customer"): 1,
        ("outcomes.reviewed", "unknown customer"): 1,
    }


def test_the_manifest_tells_what_was_found(tmp_path: Path) -> None:
    found = _lay(_tables(), tmp_path).manifest
    wait, rating = found.measures
    assert (wait.n, wait.low, wait.high, wait.mean) == (2, 5.0, 7.0, 6.0)
    assert wait.missing_share == pytest.approx(1 / 3)  # of the three support touchpoints
    assert rating.by_journey == {"billing": 0, "support": 2}
    assert [(journey.name, journey.touchpoints, journey.instances) for journey in found.journeys] == [
        ("billing", 2, 2),
        ("support", 3, 2),
    ]
    assert found.levels == {
        "journey": ("billing", "support"),
        "touchpoint": ("bill", "call", "chat"),
        "channel": ("phone", "post", "web"),
    }
    assert found.pairs == (("billing", "bill"), ("support", "call"), ("support", "chat"))
    assert found.covariates == {"region": "text", "fee": "number"}
    assert (found.data_start, found.data_end) == (parse_date("2024-03-01"), parse_date("2024-05-01"))
    assert (found.n_customers, found.with_touchpoints, found.n_touchpoints) == (3, 2, 5)
    assert [(cell.month, cell.journey, cell.touchpoints) for cell in found.volumes] == [
        ("2024-03", "billing", 2),
        ("2024-03", "support", 2),
        ("2024-04", "support", 1),
    ]


def test_an_unchanged_layout_is_used_again_and_a_changed_file_makes_a_new_one(tmp_path: Path) -> None:
    layout = _lay(_tables(), tmp_path)
    before = (layout.root / "manifest.json").stat().st_mtime_ns
    study = parse_study(STUDY, "study.yaml")
    again = lay_out(study, tmp_path, tmp_path / "store", now_us=NOW)
    assert (again.root / "manifest.json").stat().st_mtime_ns == before
    tables = _tables()
    tables["touches"].loc[0, "wait"] = 6.0
    changed = _lay(tables, tmp_path)
    assert changed.manifest.fingerprint != layout.manifest.fingerprint


def test_an_opened_layout_equals_the_one_that_was_made(tmp_path: Path) -> None:
    made = _lay(_tables(), tmp_path)
    assert open_layout(tmp_path / "store").manifest == made.manifest


def test_no_layout_and_a_damaged_layout_are_store_errors(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no layout of this version"):
        open_layout(tmp_path)
    layout = _lay(_tables(), tmp_path)
    (layout.root / "bucket-000" / "churn.parquet").write_bytes(b"half")
    with pytest.raises(StoreError, match="is damaged"):
        layout.bucket(0)


def test_a_store_that_cannot_be_written_is_a_store_error_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreError, match="store' cannot be written"):
        _lay(_tables(), tmp_path)
    assert (tmp_path / "store").read_text() == "in the way"


def test_a_failure_leaves_the_old_layout_and_no_scratch(tmp_path: Path) -> None:
    layout = _lay(_tables(), tmp_path)
    before = _hash(layout.root)
    with pytest.raises(DataError, match="no rows are left"):
        _lay(_tables() | {"touches": _tables()["touches"].iloc[:0]}, tmp_path)
    assert _hash(layout.root) == before
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["layout", "quarantine"]


def test_a_flat_study_has_nothing_to_lay_out(tmp_path: Path) -> None:
    flat = "study: a\nsources: {t: t.csv}\njourneys: [{name: x, stage: y}]\nflat: {from: t, churned: c}\n"
    with pytest.raises(UnsupportedError, match="no events to lay out"):
        lay_out(parse_study(flat, "study.yaml"), tmp_path, tmp_path / "store")
