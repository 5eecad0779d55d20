import numpy as np
import pytest

from models.vanished import Vanished, falls_silent, telltales_vanish

CUTOFF = np.repeat(np.arange(3), 1000)


def rows(share: float, n: int = 1000) -> np.ndarray:
    """Value 1 for a share of the rows, 0 for the others."""
    return (np.arange(n) < round(share * n)).astype(np.int64)


def test_the_lowest_share_before_is_what_the_youngest_cutoff_is_held_against():
    value = np.concatenate([rows(0.5), rows(0.3), rows(0.4)])
    assert falls_silent(value, CUTOFF, rows(0.03)) == Vanished("values", 0.3, 0.03)
    assert falls_silent(value, CUTOFF, rows(0.031)) is None


@pytest.mark.parametrize(("n", "is_found"), [(100, True), (99, False)])
def test_a_share_that_could_be_missed_by_chance_proves_nothing(n, is_found):
    value = np.tile(rows(0.3), 3)
    assert (falls_silent(value, CUTOFF, np.zeros(n, dtype=np.int64)) is not None) == is_found


def test_a_value_that_was_never_told_apart_does_not_vanish():
    assert falls_silent(np.zeros(3000, dtype=np.int64), CUTOFF, np.zeros(1000, dtype=np.int64)) is None


def telltale(churn_rate: float, now: float, half: np.ndarray | None = None) -> Vanished | None:
    """A value held by 10 % of rows that churn at a rate, beside others that churn at 5 %."""
    value = np.tile(rows(0.1), 3)
    churned = np.where(value == 1, np.arange(3000) % 100 < 100 * churn_rate, np.arange(3000) % 20 == 0).astype(float)
    half = np.arange(3000) // 2 % 2 if half is None else half
    return telltales_vanish(value, churned, half, CUTOFF, rows(now))


def test_values_of_churners_that_are_gone_are_noticed():
    assert telltale(0.6, 0.01) == Vanished("telltales", pytest.approx(0.1), pytest.approx(0.01))
    assert telltale(0.6, 0.02) is None


def test_values_that_churn_less_than_three_times_as_often_are_no_telltales():
    assert telltale(0.15, 0.0) is None


def test_what_tells_in_one_half_of_the_customers_only_is_an_identifier():
    half = np.tile(rows(0.1), 3)  # who has the value is in one half
    assert telltale(0.6, 0.0, half) is None


def test_telltales_of_few_churners_are_ignored():
    value = np.tile(rows(0.04), 3)
    churned = ((value == 1) | (np.arange(3000) % 2 == 0)).astype(float)
    half = np.arange(3000) // 2 % 2
    assert telltales_vanish(value, churned, half, CUTOFF, np.zeros(1000, dtype=np.int64)) is None
