from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import buckets
from features.buckets import Laid, lay_touchpoints, read_table, write_table
from features.errors import DataError
from features.snapshot import DAY
from features.tables import HASH, JOURNEY, NAMED
from features.tally import Tally

LEVELS = {"journey": ("billing", "support"), "touchpoint": ("call",), "channel": ("mail",)}
GAPS = {"billing": 3.0, "support": 1.0}
Contact = tuple[int, int, int, int]  # customer, day, journey, hash of the journey's id


def _rows(contacts: list[Contact]) -> pa.Table:
    """Distinct moments: the order among touchpoints of one moment is the subject of test_layout.py."""
    ordered = sorted(contacts, key=lambda one: one[:2])
    customer, day, journey, number = np.array(ordered, np.int64).reshape(-1, 4).T
    n = len(ordered)
    moment = day * DAY + np.arange(n)
    columns = {"customer_key": customer, "journey": journey, "touchpoint": np.zeros(n, np.int64)}
    columns |= {"channel": np.zeros(n, np.int64), JOURNEY: number, "occurred_at": moment, "known_at": moment}
    columns |= {"wait": np.full(n, 1.5), NAMED: np.ones(n, bool), HASH: np.arange(n).astype(np.uint64)}
    return pa.table(columns | {"@row": np.arange(1, n + 1)})


def _laid(contacts: list[Contact]) -> Laid:
    return lay_touchpoints(_rows(contacts), Tally(LEVELS, ("wait",)), GAPS)


def _numbers_one_by_one(contacts: list[Contact]) -> list[int]:
    """A journey is new with another id, or without an id after a pause longer than its gap."""
    open_journeys: dict[tuple[int, ...], tuple[int, int]] = {}
    numbers = []
    for place, (customer, day, journey, number) in enumerate(sorted(contacts, key=lambda one: one[:2])):
        key, moment = (customer, journey, number), day * DAY + place
        known, last = open_journeys.get(key, (-1, 0))
        if known < 0 or (number < 0 and moment - last > GAPS[LEVELS["journey"][journey]] * DAY):
            known = max([*numbers, -1]) + 1
        open_journeys[key] = known, moment
        numbers.append(known)
    return numbers


CONTACTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 1), st.sampled_from([-1, -1, 0, 5, 2**63 - 1])),
    max_size=40,
)


@given(CONTACTS)
def test_journeys_are_numbered_by_their_first_touchpoint(contacts: list[Contact]) -> None:
    assert _laid(contacts).table["journey_key"].to_pylist() == _numbers_one_by_one(contacts)


def test_numbers_go_on_in_the_next_bucket() -> None:
    tally = Tally(LEVELS, ("wait",))
    first = lay_touchpoints(_rows([(0, 0, 0, 1), (0, 1, 1, 1)]), tally, GAPS)
    second = lay_touchpoints(_rows([(1, 0, 0, 1)]), tally, GAPS)
    assert first.table["journey_key"].to_pylist() == [0, 1]
    assert second.table["journey_key"].to_pylist() == [2]


def test_two_journeys_with_one_hash_are_an_error_and_never_one_journey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "_ODD", (np.uint64(0),) * 3)
    with pytest.raises(DataError, match="two journeys have the same hash"):
        _laid([(0, 0, 0, 1), (0, 1, 0, 2)])


def test_a_table_comes_back_with_its_labels(tmp_path: Path) -> None:
    table = _laid([(0, 0, 0, 1), (0, 1, 1, -1), (2, 1, 1, -1)]).table
    write_table(table, tmp_path / "t.parquet")
    again = read_table(tmp_path / "t.parquet", LEVELS)
    assert again.column_names == table.column_names
    assert again["journey"].to_pylist() == ["billing", "support", "support"]
    assert again.drop_columns(list(LEVELS)).equals(table.drop_columns(list(LEVELS)))


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    contacts = [(0, 0, 0, 1), (0, 1, 1, -1), (2, 1, 1, -1)]
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        write_table(_laid(contacts).table, path)
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairwise(paths))
