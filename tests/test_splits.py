import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import EmptyResultError
from features.snapshot import DAY
from models.splits import (
    CustomerFold,
    Fold,
    cluster_column,
    grouped,
    grouping_note,
    picture,
    plan_folds,
    rolling_origin,
)

GRIDS = st.lists(st.integers(0, 900), min_size=1, max_size=30)


def panel(cutoffs: list[int], customers: int = 7) -> pd.DataFrame:
    days = np.repeat(cutoffs, customers)
    who = np.tile([f"c{i}" for i in range(customers)], len(cutoffs))
    return pd.DataFrame({"customer_id": who, "cutoff": pd.to_datetime(days * DAY, unit="us", utc=True)})


@given(GRIDS, st.integers(0, 30), st.integers(1, 120), st.integers(1, 5))
def test_no_training_outcome_window_reaches_into_a_test_window(days, gap, horizon, folds):
    try:
        found = rolling_origin([day * DAY for day in days], gap_days=gap, horizon_days=horizon, folds=folds)
    except EmptyResultError:
        assert max(days) - min(days) < gap + horizon
        return
    assert 1 <= len(found) <= folds
    for fold in found:
        assert all(at + (gap + horizon) * DAY <= fold.test for at in fold.train)
        assert fold.train


@given(GRIDS, st.integers(1, 120))
def test_folds_do_not_depend_on_the_order_or_repetition_of_cutoffs(days, horizon):
    def plan(some: list[int]) -> object:
        try:
            return rolling_origin([day * DAY for day in some], gap_days=0, horizon_days=horizon)
        except EmptyResultError as fault:
            return str(fault)

    assert plan(days) == plan([*reversed(days), *days])


def test_test_cutoffs_lie_gap_and_horizon_apart_when_there_are_enough():
    folds = rolling_origin([30 * i * DAY for i in range(24)], gap_days=0, horizon_days=90)
    assert [fold.test // (30 * DAY) for fold in folds] == [15, 18, 21]
    folds = rolling_origin([30 * i * DAY for i in range(24)], gap_days=30, horizon_days=90)
    assert [fold.test // (30 * DAY) for fold in folds] == [12, 16, 20]


def test_new_months_leave_most_test_cutoffs_as_they_were():
    every = [30 * i * DAY for i in range(30)]
    for last in range(20, 29):
        before, after = (
            {fold.test for fold in rolling_origin(every[:end], gap_days=0, horizon_days=91)} for end in (last, last + 1)
        )
        assert len(before & after) >= 2


def test_the_latest_cutoffs_test_when_history_is_short():
    folds = rolling_origin([30 * i * DAY for i in range(6)], gap_days=0, horizon_days=90)
    assert [fold.test // (30 * DAY) for fold in folds] == [3, 4, 5]


def test_too_few_cutoffs_are_refused_with_what_to_do():
    with pytest.raises(EmptyResultError, match=r"2 matured cutoffs \(1970-01-01 to 1970-01-31\).*shorter"):
        rolling_origin([0, 30 * DAY], gap_days=0, horizon_days=91)


def test_no_cutoff_at_all_is_refused():
    with pytest.raises(EmptyResultError, match="No matured cutoff"):
        rolling_origin([], gap_days=0, horizon_days=91)


def test_a_time_fold_finds_its_rows():
    frame = panel([0, 30, 60])
    split = Fold((0,), 60 * DAY).split(frame)
    assert split.train.tolist() == list(range(7))
    assert split.test.tolist() == list(range(14, 21))


@given(st.integers(5, 60), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_a_customer_is_never_on_both_sides_of_a_grouped_split(customers, folds, seed):
    frame = panel([0, 30], customers)
    plan = grouped(frame, folds, np.random.default_rng(seed))
    tested = np.concatenate([fold.split(frame).test for fold in plan])
    assert sorted(tested) == list(range(len(frame)))
    for fold in plan:
        split = fold.split(frame)
        ids = frame["customer_id"]
        assert not set(ids.iloc[split.train]) & set(ids.iloc[split.test])


def test_a_grouped_split_does_not_depend_on_row_order():
    frame = panel([0], 40)
    shuffled = frame.sample(frac=1, random_state=3)
    assert grouped(frame, 3, np.random.default_rng(1)) == grouped(shuffled, 3, np.random.default_rng(1))


def test_fewer_customers_than_folds_are_refused():
    with pytest.raises(EmptyResultError, match="The table has 2 customers"):
        grouped(panel([0], 2), 3, np.random.default_rng(0))


def test_one_cutoff_is_split_by_customer_and_several_by_time():
    rng = np.random.default_rng(0)
    assert isinstance(plan_folds(panel([0]), gap_days=0, horizon_days=30, rng=rng)[0], CustomerFold)
    assert isinstance(plan_folds(panel([0, 30, 60]), gap_days=0, horizon_days=30, rng=rng)[0], Fold)


def test_the_picture_shows_training_embargo_and_test():
    cutoffs = [30 * i * DAY for i in range(5)]
    folds = rolling_origin(cutoffs, gap_days=0, horizon_days=60, folds=1)
    assert picture(folds, cutoffs).splitlines()[0] == "fold 1  ###.T  tested on 1970-05-01"


def test_the_picture_of_a_grouped_split_counts_customers():
    assert "customers test" in picture(grouped(panel([0]), 3, np.random.default_rng(0)))


def copies(groups: list[str]) -> pd.DataFrame:
    """One row a customer, at one cutoff."""
    return panel([0], len(groups)).assign(replica_group=groups)


@given(st.lists(st.integers(0, 8), min_size=12, max_size=60), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_a_group_of_near_copies_is_never_on_both_sides(numbers, folds, seed):
    frame = copies([f"g{number}" for number in numbers])
    if frame["replica_group"].nunique() < folds:
        return
    plan = grouped(frame, folds, np.random.default_rng(seed))
    assert sorted(np.concatenate([fold.split(frame).test for fold in plan])) == list(range(len(frame)))
    for fold in plan:
        split = fold.split(frame)
        groups = frame["replica_group"]
        assert not set(groups.iloc[split.train]) & set(groups.iloc[split.test])


def test_folds_of_groups_of_different_sizes_are_about_equal():
    frame = copies(["a"] * 30 + ["b"] * 20 + [f"g{i}" for i in range(40)])
    sizes = [len(fold.test_customers) for fold in grouped(frame, 3, np.random.default_rng(0))]
    assert sizes == [30, 30, 30]


def test_groups_of_one_are_split_as_customers_are():
    plain = panel([0], 50)
    own = plain.assign(replica_group=plain["customer_id"])
    assert grouped(plain, 3, np.random.default_rng(4)) == grouped(own, 3, np.random.default_rng(4))
    assert grouping_note(plain) == grouping_note(own) == ""
    assert (cluster_column(plain), cluster_column(own)) == ("customer_id", "replica_group")


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(EmptyResultError, match="The table has 2 groups of near copies"):
        grouped(copies(["a"] * 5 + ["b"] * 5), 3, np.random.default_rng(0))


def test_a_group_that_tests_does_not_train_at_earlier_cutoffs():
    frame = panel([0, 90], 4).assign(replica_group=["a", "a", "c2", "d", "a", "e", "c2", "d"])
    frame["customer_id"] = ["c0", "c1", "c2", "c3", "c4", "c5", "c2", "c3"]
    split = Fold((0,), 90 * DAY).split(frame)
    # c4 is a copy of c0 and c1; c2 and c3 have copies of nobody, only earlier rows of their own.
    assert split.train.tolist() == [2, 3]
    assert split.test.tolist() == [4, 5, 6, 7]


def test_the_note_counts_rows_and_groups():
    note = grouping_note(copies(["a", "a", "a", "b", "b", "c"]))
    assert note.startswith("5 rows are near copies of rows of other customers: their 2 groups are kept whole")
