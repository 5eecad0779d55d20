import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import StoreError
from flows import score_store
from flows.score_rows import SCORE_SCHEMA
from flows.score_store import Key, kept_revisions, publish_scores, published, rows_digest, write_rows
from flows.storage import Store

KEY = Key("2025-06-01", "1", "2", "feature hash", "data", "2025-08-31")


def scores(n: int, risk: float = 0.25, cutoff: str = "2025-06-01") -> pa.Table:
    columns = {
        "customer_id": [f"c{at:06}" for at in range(n)],
        "cutoff": [pd.Timestamp(cutoff, tz="UTC")] * n,
        "churn_risk": np.full(n, risk),
        "expected_revenue": [None] * n,
        "revenue_at_risk": np.arange(n) / 8,
        "outcome_matures_at": [pd.Timestamp("2025-08-31", tz="UTC")] * n,
    }
    return pa.Table.from_arrays(
        [pa.array(columns.get(field.name, ["x"] * n), field.type, from_pandas=True) for field in SCORE_SCHEMA],
        schema=SCORE_SCHEMA,
    )


def pieces(table: pa.Table, length: int) -> Iterator[pa.Table]:
    return (table.slice(start, length) for start in range(0, table.num_rows, length))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def content(store: Store) -> dict[str, bytes]:
    return {str(path.relative_to(store.root)): path.read_bytes() for path in sorted(store.root.rglob("*.*"))}


@pytest.mark.parametrize("length", [1, 7, 64, 1000])
def test_the_same_rows_give_the_same_bytes_however_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(score_store, "ROW_GROUP", 64)
    whole = write_rows(tmp_path / "a", [scores(300)])
    assert write_rows(tmp_path / "b", pieces(scores(300), length)) == whole
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert whole.sha256 == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    assert pq.read_table(tmp_path / "b").equals(scores(300))
    groups = pq.ParquetFile(tmp_path / "a").metadata
    assert [groups.row_group(at).num_rows for at in range(groups.num_row_groups)] == [64, 64, 64, 64, 44]


def test_sums_are_those_of_what_was_written_and_missing_where_all_is_missing(tmp_path: Path) -> None:
    written = write_rows(tmp_path / "a", pieces(scores(10), 3))
    assert written.rows == 10
    assert written.totals == {"churn_risk": 2.5, "expected_revenue": None, "revenue_at_risk": 45 / 8}


def test_rows_are_asked_for_only_when_those_before_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held is a row group and a table, however many there are."""
    monkeypatch.setattr(score_store, "ROW_GROUP", 10)
    sizes = []

    def counted() -> Iterator[pa.Table]:
        for table in pieces(scores(100), 10):
            sizes.append((tmp_path / "a").stat().st_size)
            yield table

    write_rows(tmp_path / "a", counted())
    assert len(sizes) == 10
    assert all(earlier < later for earlier, later in pairwise(sizes[1:]))


@given(
    st.lists(st.tuples(st.text(max_size=3), st.floats(allow_nan=True), st.sampled_from("ab")), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
)
def test_a_digest_depends_on_the_rows_and_not_on_their_order(
    rows: list[tuple[str, float, str]], random: "np.random.RandomState"
) -> None:
    names = ["customer_id", "x", "kind"]
    frame = pd.DataFrame(rows, columns=names)
    digest = rows_digest([frame.astype({"kind": "category"})], names)
    mixed = frame.iloc[random.sample(range(len(frame)), len(frame))]  # type: ignore[attr-defined]
    cut = len(mixed) // 2
    assert rows_digest([mixed[:cut], mixed[cut:].astype({"kind": "category"})], names) == digest
    assert rows_digest([frame.assign(kind="c")], names) != digest
    assert rows_digest([frame, frame[:1]], names) != digest


def test_the_first_scores_are_revision_1_and_readers_of_parquet_see_only_them(store: Store) -> None:
    now, how = publish_scores(store, KEY, [scores(5)])
    assert (now.revision, now.why, how) == (1, ("first",), "new")
    assert now == published(store, "2025-06-01")
    assert now.is_whole()
    assert len(pd.read_parquet(store.scores)) == 5
    assert pd.read_parquet(store.scores)["cutoff_date"].astype(str).unique().tolist() == ["2025-06-01"]
    counted = duckdb.sql(f"SELECT count(*) FROM read_parquet('{store.scores}/**/*.parquet')").fetchall()
    assert counted == [(5,)]


def test_the_same_again_leaves_equal_bytes(store: Store) -> None:
    publish_scores(store, KEY, [scores(5)])
    before = content(store)
    now, how = publish_scores(store, KEY, pieces(scores(5), 2))
    assert (now.revision, how) == (1, "equal")
    assert content(store) == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"data": "late rows"}, ("data",)),
        ({"churn_model_version": "2"}, ("model",)),
        ({"revenue_model_version": None}, ("model",)),
        ({"feature_contract_hash": "other", "data": "late rows"}, ("data", "features")),
        ({"churn_model_sha256": "of another file"}, ("model",)),
        ({"revenue_model_sha256": "of another file"}, ("model",)),
        ({"outcome_matures_at": "2025-09-30"}, ("horizon",)),
        ({}, ("code",)),
    ],
)
def test_another_key_is_another_revision_that_says_why_and_the_old_one_is_kept(
    store: Store, change: dict[str, str | None], why: tuple[str, ...]
) -> None:
    first, _ = publish_scores(store, KEY, [scores(5)])
    old = first.part.read_bytes()
    now, how = publish_scores(store, replace(KEY, **change), [scores(4, risk=0.5)])
    assert (now.revision, now.why, how) == (2, why, "restated")
    assert len(pd.read_parquet(store.scores)) == 4
    (kept,) = kept_revisions(store, "2025-06-01")
    assert (kept.revision, kept.key, kept.written) == (1, first.key, first.written)
    assert kept.part.read_bytes() == old
    assert kept.is_whole()


def test_revisions_go_on_counting_and_going_back_is_a_revision_too(store: Store) -> None:
    for version in ("1", "2", "1"):
        publish_scores(store, replace(KEY, churn_model_version=version), [scores(3)])
    now = published(store, "2025-06-01")
    assert now is not None
    assert (now.revision, now.key) == (3, KEY)
    assert [one.revision for one in kept_revisions(store, "2025-06-01")] == [1, 2]


def test_a_revision_that_fails_on_the_way_leaves_everything_as_it_was(store: Store) -> None:
    publish_scores(store, KEY, [scores(5)])
    before = content(store)

    def failing() -> Iterator[pa.Table]:
        yield scores(2)
        raise StoreError("The panel is gone.")

    with pytest.raises(StoreError, match="The panel is gone"):
        publish_scores(store, replace(KEY, data="late rows"), failing())
    assert content(store) == before


def test_who_reads_all_scores_while_some_are_written_meets_the_old_ones_whole(store: Store) -> None:
    publish_scores(store, KEY, [scores(5)])
    seen = []

    def watched() -> Iterator[pa.Table]:
        for table in pieces(scores(4, risk=0.5), 2):
            yield table
            seen.append(pd.read_parquet(store.scores)["churn_risk"].tolist())

    publish_scores(store, replace(KEY, data="late rows"), watched())
    assert seen == [[0.25] * 5] * 2
    assert pd.read_parquet(store.scores)["churn_risk"].tolist() == [0.5] * 4
    assert [path.name for path in store.scores.iterdir()] == ["cutoff_date=2025-06-01"]


def test_what_a_killed_run_left_unfinished_is_swept_by_the_next(store: Store) -> None:
    left = store.root / "scores_unfinished" / "cutoff_date=2025-06-01.tmp-999999999"
    left.mkdir(parents=True)
    publish_scores(store, KEY, [scores(5)])
    assert list((store.root / "scores_unfinished").iterdir()) == []


def test_a_run_killed_after_keeping_and_before_replacing_is_made_good_by_the_next(store: Store) -> None:
    publish_scores(store, KEY, [scores(5)])
    undisturbed = Store(store.root.with_name("undisturbed"))
    for one in (KEY, replace(KEY, data="late rows")):
        publish_scores(undisturbed, one, [scores(5 if one == KEY else 4)])
    kept = store.superseded_scores("2025-06-01") / "revision=1"
    kept.mkdir(parents=True)
    for path in store.score_partition("2025-06-01").iterdir():
        os.link(path, kept / path.name)
    assert kept_revisions(store, "2025-06-01") == ()
    publish_scores(store, replace(KEY, data="late rows"), [scores(4)])
    assert content(store) == content(undisturbed)


def test_damaged_scores_come_out_as_they_were(store: Store) -> None:
    now, _ = publish_scores(store, KEY, [scores(5)])
    whole = content(store)
    now.part.write_bytes(b"half")
    assert not now.is_whole()
    assert publish_scores(store, KEY, [scores(5)]) == (now, "equal")
    assert content(store) == whole


def test_scores_without_a_readable_record_are_kept_and_their_number_is_not_given_again(store: Store) -> None:
    publish_scores(store, KEY, [scores(5)])
    second, _ = publish_scores(store, replace(KEY, data="late rows"), [scores(4)])
    old = second.part.read_bytes()
    (second.folder / "_scores.json").write_text("{", "utf-8")
    assert published(store, "2025-06-01") is None
    now, how = publish_scores(store, replace(KEY, data="later rows"), [scores(3)])
    assert (now.revision, now.why, how) == (3, ("repair",), "restated")
    kept = store.superseded_scores("2025-06-01") / "revision=2"
    assert (kept / "part-0.parquet").read_bytes() == old
    (now.folder / "_scores.json").unlink()
    now.part.unlink()
    assert publish_scores(store, KEY, [scores(3)])[0].revision == 4


def test_a_record_that_cannot_be_read_for_the_moment_is_not_taken_for_damaged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_scores(store, KEY, [scores(5)])
    before = content(store)

    def failing(_path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", failing)
        for ask in (lambda: published(store, "2025-06-01"), lambda: publish_scores(store, KEY, [scores(4)])):
            with pytest.raises(StoreError, match=r"_scores.json' cannot be read: Input/output error"):
                ask()
    assert content(store) == before


def test_a_record_of_before_digests_were_noted_is_read(store: Store) -> None:
    now, _ = publish_scores(store, KEY, [scores(5)])
    record = json.loads((now.folder / "_scores.json").read_text("utf-8"))
    record["key"] = {name: value for name, value in record["key"].items() if not name.endswith("sha256")}
    (now.folder / "_scores.json").write_text(json.dumps(record), "utf-8")
    assert published(store, "2025-06-01") == now


def test_damaged_scores_are_not_kept_as_a_revision(store: Store) -> None:
    now, _ = publish_scores(store, KEY, [scores(5)])
    now.part.unlink()
    later, _ = publish_scores(store, replace(KEY, data="late rows"), [scores(5)])
    assert later.revision == 2
    assert kept_revisions(store, "2025-06-01") == ()


def test_an_override_is_recorded_also_where_the_same_bytes_come_out(store: Store) -> None:
    publish_scores(store, KEY, [scores(5)])
    now, how = publish_scores(store, KEY, [scores(5)], stale={"revenue": "2025-05-01"})
    assert (now.revision, how) == (1, "equal")
    again = published(store, KEY.cutoff)
    assert again is not None
    assert again.stale == {"revenue": "2025-05-01"}


def test_the_record_says_all_of_the_key_and_nothing_of_the_time(store: Store) -> None:
    now, _ = publish_scores(store, KEY, [scores(5)], stale={"touchpoints": "2025-05-28"})
    record = json.loads((now.folder / "_scores.json").read_text("utf-8"))
    assert record["key"]["churn_model_version"] == "1"
    assert record["stale_anyway"] == {"touchpoints": "2025-05-28"}
    assert set(record) == {"format", "key", "revision", "why", "stale_anyway", "rows", "sha256", "totals"}


def test_a_store_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        publish_scores(Store(tmp_path / "file"), KEY, [scores(1)])
