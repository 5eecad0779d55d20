"""What each fold makes of known, missing and no values."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.folds import (
    Fold,
    Runs,
    contrast,
    count,
    decayed,
    distinct,
    high,
    last,
    low,
    mean,
    ratio,
    recent,
    run_starts,
    since,
    slice_label,
    span,
    total,
)
from features.snapshot import DAY

NAN = math.nan
VALUES = st.lists(st.one_of(st.integers(-8, 8).map(float), st.just(NAN)), min_size=1, max_size=12)


def runs_of(values: list[float], starts: list[int], clock: list[float] | None = None) -> Runs:
    """Runs of rows a day apart, looked at on day 20."""
    at = np.array(clock if clock is not None else range(len(values)), float) * DAY
    rows = SimpleNamespace(x=np.array(values), y=np.array(values) * 2 + 1)
    cutoff = np.full(len(values), 20 * DAY)
    return Runs(rows, np.array(starts), at.astype(np.int64), cutoff, is_in_order=clock is None)


@pytest.mark.parametrize(
    ("fold", "wanted"),
    [
        (count(), [3, 1, 2]),
        (total("x"), [5, 0, 7]),
        (mean("x"), [2.5, NAN, 3.5]),
        (low("x"), [1, NAN, 3]),
        (high("x"), [4, NAN, 4]),
        (last("x"), [4, NAN, 4]),
        (ratio("x", lambda t: t.x * 0 + 1), [2.5, NAN, 3.5]),
        (decayed("x", 1.0), [2.0**-20 + 4 * 2.0**-18, 0, 3 * 2.0**-16 + 4 * 2.0**-15]),
        (recent("x", 1.0), [(1 + 4 * 4) / 5, NAN, (3 + 2 * 4) / 3]),
        (contrast("y", "x"), [6 - 2.5, NAN, 8 - 3.5]),
        (distinct("x"), [2, 0, 2]),
        (span(), [2, 0, 1]),
        (since(), [18, 17, 15]),
    ],
    ids=lambda value: value.op if isinstance(value, Fold) else "",
)
def test_a_fold_leaves_out_what_is_missing(fold: Fold, wanted: list[float]) -> None:
    found = runs_of([1, NAN, 4, NAN, 3, 4], [0, 3, 4]).fold(fold)
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


@pytest.mark.parametrize("fold", [total("x"), decayed("x", 3.0), count(), low("x"), high("x")], ids=lambda f: f.op)
@given(values=VALUES, more=VALUES)
def test_a_fold_of_all_is_the_fold_of_its_parts(fold: Fold, values: list[float], more: list[float]) -> None:
    whole = runs_of(values + more, [0]).fold(fold)
    parts = runs_of(values + more, [0, len(values)]).fold(fold)
    merged = {"low": np.fmin.reduce, "high": np.fmax.reduce}.get(fold.op, np.sum)(parts)
    # Sums of up to 24 values of size 8 may cancel; rounding stays below 24 x 192 x 2**-53 = 5e-13, whatever is left.
    np.testing.assert_allclose(whole, merged, rtol=0, atol=5e-13)


@given(VALUES, st.randoms(use_true_random=False))
def test_the_latest_known_value_is_last_in_any_order(values: list[float], luck: object) -> None:
    shuffled = luck.sample(list(enumerate(values)), len(values))  # type: ignore[attr-defined]
    found = runs_of([value for _, value in shuffled], [0], [at for at, _ in shuffled]).fold(last("x"))
    np.testing.assert_array_equal(found, runs_of(values, [0]).fold(last("x")))


def test_of_equal_moments_the_one_further_down_is_last() -> None:
    assert runs_of([5, 6, NAN, 1], [0], [3, 3, 3, 2]).fold(last("x")).tolist() == [6]


def test_a_ratio_to_nothing_is_missing() -> None:
    assert np.isnan(runs_of([1, 2], [0]).fold(ratio("x", lambda t: t.x * 0)))


def test_a_constant_folds_like_a_column() -> None:
    assert runs_of([1, NAN, 3], [0]).fold(total(lambda _: 2)).tolist() == [6]


def test_empty_counts_and_sums_are_zero_and_the_rest_is_missing() -> None:
    assert [fold.empty for fold in (count(), total("x"), decayed("x", 1), distinct("x"))] == [0, 0, 0, 0]
    others = (mean("x"), low("x"), high("x"), last("x"), span(), since(), contrast("x", "y"), ratio("x", "y"))
    assert all(math.isnan(fold.empty) for fold in others)


def test_a_contrast_is_missing_unless_both_sides_are_known() -> None:
    late = contrast(lambda t: np.where(t.x > 5, t.x, NAN), lambda t: np.where(t.x > 5, NAN, t.x))
    np.testing.assert_array_equal(runs_of([9, 1, 2, 7, 9], [0, 2, 3]).fold(late), [8, NAN, NAN])


def test_equal_values_count_once_in_each_run() -> None:
    assert runs_of([3, 3, 5, NAN, 3, -0.0, 0.0], [0, 4]).fold(distinct("x")).tolist() == [2, 2]


def test_different_values_of_all_are_at_most_those_of_the_parts() -> None:
    assert runs_of([1, 2, 2, 3], [0]).fold(distinct("x")).tolist() == [3]
    assert runs_of([1, 2, 2, 3], [0, 2]).fold(distinct("x")).tolist() == [2, 2]


def test_runs_begin_where_the_value_changes() -> None:
    assert run_starts(np.array([])).tolist() == []
    assert run_starts(np.array([1, 1, 2, 1])).tolist() == [0, 2, 3]


def test_a_level_of_several_columns_is_joined_by_two_underscores() -> None:
    assert (slice_label("support"), slice_label(("support", "call"))) == ("support", "support__call")


def test_where_nothing_is_known_sums_are_zero_and_the_rest_is_missing() -> None:
    nothing = [NAN, NAN, NAN]
    for in_order in (None, [2.0, 0.0, 1.0]):
        found = [
            runs_of(nothing, [0, 2], in_order).fold(fold)
            for fold in (total("x"), distinct("x"), last("x"), recent("x", 1), contrast("x", "x"))
        ]
        np.testing.assert_array_equal(found, [[0, 0], [0, 0], [NAN, NAN], [NAN, NAN], [NAN, NAN]])
