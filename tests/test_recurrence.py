import numpy as np
import pandas as pd
import pytest

from features.likeness import Likeness
from features.recurrence import candidate_lags, recurrences
from tests.copies import copied, interleaved, people


def found(frame: pd.DataFrame, customer: np.ndarray | None = None) -> dict[int, float]:
    likeness = Likeness.of(frame.drop(columns=["truth", "is_churned"], errors="ignore"))
    customer = np.arange(len(frame)) if customer is None else customer
    return {one.lag: one.share for one in recurrences(likeness, candidate_lags(likeness), customer)}


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.5])
def test_a_block_that_is_repeated_shows_at_its_length(noise):
    rng = np.random.default_rng(1)
    shares = found(copied(people(rng, 400), 4, noise, rng))
    assert set(shares) == {400, 800, 1200}
    assert min(shares.values()) > 0.9


def test_copies_one_after_the_other_show_at_small_lags_by_their_number():
    rng = np.random.default_rng(2)
    shares = found(interleaved(copied(people(rng, 500), 4, 0.05, rng)))
    for lag in (1, 2, 3):
        assert shares[lag] == pytest.approx((4 - lag) / 4, abs=0.02)


def test_many_copies_one_after_the_other_are_not_taken_for_each_others_strangers():
    rng = np.random.default_rng(9)
    shares = found(interleaved(copied(people(rng, 150), 20, 0.2, rng)))
    assert shares[1] == pytest.approx(19 / 20, abs=0.03)


def test_a_part_that_is_appended_again_shows_although_most_rows_have_no_copy():
    rng = np.random.default_rng(3)
    frame = people(rng, 3_000)
    assert found(pd.concat([frame, frame.iloc[200:350]], ignore_index=True)).keys() == {2_800}


def test_the_pairs_are_the_copies_and_few_others():
    rng = np.random.default_rng(4)
    frame = interleaved(copied(people(rng, 500), 3, 0.05, rng))
    likeness = Likeness.of(frame.drop(columns=["truth", "is_churned"]))
    (one,) = (r for r in recurrences(likeness, (1,), np.arange(len(frame))))
    truth = frame["truth"].to_numpy()
    assert (truth[one.first] == truth[one.second]).mean() > 0.995


def test_a_spike_of_some_columns_is_not_a_copy():
    rng = np.random.default_rng(5)
    frame = people(rng, 2_000)
    cycles = {f"cycle{k}": (np.arange(2_000) % k).astype(str) for k in (6, 12, 24, 48)}
    assert found(frame.assign(**cycles)) == {}


@pytest.mark.parametrize("by", [["is_churned"], ["a"], ["plan0", "plan1", "b"]])
def test_a_sorted_table_has_no_copies(by):
    frame = people(np.random.default_rng(6), 3_000).sort_values(by, kind="stable", ignore_index=True)
    assert found(frame) == {}


def test_rows_of_one_customer_are_not_copies():
    rng = np.random.default_rng(7)
    frame = copied(people(rng, 500), 3, 0.05, rng)
    assert found(frame, frame["truth"].to_numpy()) == {}


def test_small_and_narrow_tables_are_left_alone():
    frame = people(np.random.default_rng(8), 400)
    assert candidate_lags(Likeness.of(pd.concat([frame[["a", "b"]]] * 2))) == ()
    assert candidate_lags(Likeness.of(frame.iloc[:90])) == ()
