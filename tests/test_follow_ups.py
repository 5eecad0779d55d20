from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.follow_ups import follow_up_counts, pairs_of
from features.journey_runs import JourneyRuns
from features.snapshot import DAY, parse_date
from features.study import parse_study
from tests.journey_tables import STUDY, laid_out

END = parse_date("2024-04-09")
PARSED = parse_study(STUDY, "study.yaml")


def test_pairs_are_those_of_the_map_and_each_journey_by_itself() -> None:
    assert pairs_of(PARSED) == (("billing", "billing"), ("billing", "support"), ("support", "support"))


def test_what_follows_soon_is_counted_by_hand(tmp_path: Path) -> None:
    layout, study = laid_out(tmp_path)
    levels = layout.manifest.levels
    (bucket,) = layout.all_buckets()
    runs = JourneyRuns.of(study, bucket.touchpoints, tuple(levels["journey"]), tuple(levels["touchpoint"]))
    rows = follow_up_counts(runs, study, layout.manifest.data_end).set_index(["journey", "then", "is_trouble"])
    # bills: two wrong ones with a week after them, of a (called on day 3) and of b; two right ones, nothing follows
    assert rows.loc[("billing", "support", True), ["n", "followed"]].tolist() == [2, 1]
    assert rows.loc[("billing", "support", False), ["n", "followed"]].tolist() == [2, 0]
    # contacts: a's call is followed by a chat; b's by a call ten days later, too late, and by nothing
    assert rows.loc[("support", "support", True), ["n", "followed"]].tolist() == [3, 1]
    assert rows.loc[("support", "support", False), ["n", "followed"]].tolist() == [3, 1]


def _random(rows: list[tuple[int, int, int, int]]) -> JourneyRuns:
    """Customer, day, journey and trouble of touchpoints, each a journey of its own."""
    table = pd.DataFrame(rows, columns=["customer", "at", "journey", "trouble"])
    table = table.sort_values(["customer", "at"], ignore_index=True)
    table = table.assign(at=table["at"] * DAY, touchpoint=0, trouble=table["trouble"].map({0: 0.0, 1: 1.0, 2: np.nan}))
    every = np.arange(len(table))
    return JourneyRuns(table, every, every, ("billing", "support"), ("any",))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=25
    )
)
def test_it_counts_what_plain_loops_count(rows: list[tuple[int, int, int, int]]) -> None:
    runs, end = _random(rows), 20 * DAY
    found = follow_up_counts(runs, PARSED, end).set_index(["journey", "then", "is_trouble"])
    for journey, then in pairs_of(PARSED):
        source, target = (runs.journeys.index(name) for name in (journey, then))
        for trouble in (0, 1):
            asked = [(who, day) for who, day, j, bad in rows if j == source and bad == trouble and day + 7 <= 20]
            follows = [
                any(other == who and day < later <= day + 7 and j == target for other, later, j, _ in rows)
                for who, day in asked
            ]
            key = (journey, then, bool(trouble))
            assert (key in found.index) == bool(asked)
            if asked:
                assert found.loc[key, ["n", "followed"]].tolist() == [len(asked), sum(follows)]


def test_touchpoints_too_near_to_the_end_of_the_data_are_left_out() -> None:
    runs = _random([(0, 10, 0, 1), (0, 14, 0, 1)])
    found = follow_up_counts(runs, PARSED, 17 * DAY)
    assert found.loc[found["then"] == "support", "n"].tolist() == [1]


@pytest.mark.parametrize("end", [0, 5 * DAY])
def test_without_rows_that_can_tell_there_is_no_row(end: int) -> None:
    assert follow_up_counts(_random([(0, 1, 0, 2)]), PARSED, end).empty
