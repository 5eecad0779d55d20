"""What a bucket knew day by day: what changes a digest, and what does not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.digests import BucketDigests, DayDigests, digest_days, read_digests, write_digests
from features.errors import StoreError
from features.snapshot import DAY

ROWS = st.lists(st.tuples(st.integers(-3, 20), st.integers(0, 2**64 - 1)), max_size=12)


def digests_of(rows: list[tuple[int, int]], table: str = "touchpoints", bucket: int = 0) -> DayDigests:
    halves = np.array([half for half, _ in rows], np.int64) * (DAY // 2)
    return digest_days(table, bucket, halves, np.array([value for _, value in rows], np.uint64))


@given(ROWS, st.randoms(use_true_random=False), st.integers(-2, 12))
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[int, int]], luck: object, day: int) -> None:
    shuffled = luck.sample(rows, len(rows))  # type: ignore[attr-defined]
    assert digests_of(rows).until(day * DAY) == digests_of(shuffled).until(day * DAY)


@given(ROWS, st.integers(-2, 12))
def test_rows_known_after_a_midnight_do_not_matter_at_it(rows: list[tuple[int, int]], day: int) -> None:
    known = [(half, value) for half, value in rows if half * (DAY // 2) <= day * DAY]
    assert digests_of(rows).until(day * DAY) == sum(value for _, value in known) % 2**64


def test_a_row_more_is_seen_from_its_day_on() -> None:
    few, more = digests_of([(2, 5)]), digests_of([(2, 5), (5, 9)])
    assert few.until(2 * DAY) == more.until(2 * DAY)
    assert few.until(3 * DAY) != more.until(3 * DAY)


def fingerprints(parts: list[DayDigests]) -> tuple[str, str, str]:
    found = BucketDigests(parts)
    return found.at(0, 2 * DAY, 5 * DAY), found.at(0, 5 * DAY, 8 * DAY), found.at(1, 5 * DAY, 8 * DAY)


@pytest.mark.parametrize(
    ("table", "half", "changed"),
    [
        ("touchpoints", 3, (True, True, False)),
        ("touchpoints", 5, (False, True, False)),
        ("customers", 9, (False, True, False)),
        ("customers", 11, (False, False, False)),
        ("revenue", 5, (True, True, False)),
        ("revenue", 11, (False, True, False)),
        ("churn", 17, (False, False, False)),
    ],
)
def test_touchpoints_matter_until_the_cutoff_and_payments_until_the_end_of_the_horizon(
    table: str, half: int, changed: tuple[bool, ...]
) -> None:
    base = [
        digests_of([(0, 1)], name, bucket)
        for name in ("customers", "churn", "revenue", "touchpoints")
        for bucket in (0, 1)
    ]
    more = [one for one in base if (one.table, one.bucket) != (table, 0)] + [digests_of([(0, 1), (half, 77)], table)]
    pairs = zip(fingerprints(base), fingerprints(more), strict=True)
    assert tuple(before != after for before, after in pairs) == changed


def test_what_is_written_is_read(tmp_path: Path) -> None:
    parts = [digests_of([(0, 1), (4, 2**64 - 1)], table, bucket) for table in ("revenue", "churn") for bucket in (1, 0)]
    write_digests([*parts, digests_of([], "empty")], tmp_path)
    assert [read_digests(tmp_path).at(b, 9 * DAY, 9 * DAY) for b in (0, 1)] == [
        BucketDigests(parts).at(b, 9 * DAY, 9 * DAY) for b in (0, 1)
    ]


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "digests.parquet").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"missing or damaged. Remove"):
        read_digests(tmp_path)
