import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from features.errors import EmptyResultError
from features.snapshot import DAY
from models.estimates import wilson
from models.survival import MONTH_DAYS, fitted_survival, mean_survival, observed_survival, person_months

MONTH = MONTH_DAYS * DAY


def _world(n: int, seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Monthly hazards that each customer keeps, a third of them censored at random; the month of leaving or -1."""
    rng = np.random.default_rng(seed)
    hazard = 1 / (1 + np.exp(3 - spread * rng.normal(size=n)))
    month = rng.geometric(hazard)
    seen = np.where(rng.random(n) < 0.3, rng.integers(1, 12, n), 12)
    return hazard, np.where(month <= seen, month, -1), seen


def _rows(month: np.ndarray, seen: np.ndarray):
    left = np.where(month > 0, month * MONTH - DAY, -1)
    return person_months(np.zeros(len(month), np.int64), left, seen * MONTH)


def _all(n: int) -> pd.Series:
    return pd.Series(["all"] * n)


def test_without_clusters_it_is_kaplan_and_meier_with_greenwood() -> None:
    _, month, seen = _world(400, seed=1)
    found = observed_survival(_rows(month, seen), _all(400), np.arange(400), np.ones(400)).set_index("month")
    # Whoever left is counted in the month of leaving; who did not is censored after the last month seen.
    time = np.where(month > 0, month, seen + 0.5)
    other = SurvfuncRight(time, (month > 0).astype(int))
    for at, survival, error in zip(other.surv_times, other.surv_prob, other.surv_prob_se, strict=True):
        one = found.loc[int(at)]
        assert one["survival"] == pytest.approx(survival)
        spread = np.exp(1.6448536 * (error / survival) / abs(np.log(survival)))
        assert one["lo"] == pytest.approx(survival**spread, rel=2e-3)
        assert one["hi"] == pytest.approx(survival ** (1 / spread), rel=2e-3)


def test_the_first_month_is_a_share_with_its_interval_by_customer() -> None:
    month = np.array([1, 1, -1, -1, -1, -1, -1, -1] * 50)
    seen = np.full(len(month), 1)
    alone = observed_survival(_rows(month, seen), _all(400), np.arange(400), np.ones(400)).iloc[0]
    doubled = observed_survival(_rows(month, seen), _all(400), np.arange(400) // 2, np.ones(400)).iloc[0]
    assert (alone["at_risk"], alone["churned"], alone["survival"]) == (400, 100, 0.75)
    assert doubled["survival"] == 0.75
    assert doubled["hi"] - doubled["lo"] > 1.3 * (alone["hi"] - alone["lo"])


def test_the_interval_holds_the_truth_nine_times_in_ten() -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    truth = float(weights @ (1 - 1 / (1 + np.exp(3 - nodes))) ** 6 / weights.sum())
    held = 0
    for seed in range(300):
        _, month, seen = _world(300, seed)
        who = np.repeat(np.arange(300), 2)  # each customer twice: the second row is the first one again
        found = observed_survival(_rows(month[who], seen[who]), _all(600), who, np.ones(600))
        one = found.loc[found["month"] == 6].iloc[0]
        held += one["lo"] <= truth <= one["hi"]
    assert 255 <= held <= 285


def test_a_month_cut_short_counts_for_nobody() -> None:
    left = np.array([MONTH + 5 * DAY, -1])
    found = person_months(np.zeros(2, np.int64), left, np.full(2, MONTH + 20 * DAY))
    assert found.month.tolist() == [1, 1]
    assert found.churned.sum() == 0


def test_leaving_on_the_last_moment_of_a_month_belongs_to_it() -> None:
    left = np.array([MONTH, MONTH + 1])
    found = person_months(np.zeros(2, np.int64), left, np.full(2, 10 * MONTH))
    assert found.month[found.churned == 1].tolist() == [1, 2]


@given(st.lists(st.tuples(st.integers(-1, 400), st.integers(0, 400)), max_size=20), st.integers(1, 12))
def test_person_months_are_those_counted_one_by_one(people: list[tuple[int, int]], months: int) -> None:
    start = np.zeros(len(people), np.int64)
    left, until = (np.array([one[at] for one in people], np.int64) * DAY for at in (0, 1))
    found = person_months(start, left, until, months=months)
    expected = []
    for row, (gone, end) in enumerate(people):
        for month in range(1, months + 1):
            if end < month * MONTH_DAYS or 0 < gone <= (month - 1) * MONTH_DAYS:
                break
            expected.append((row, month, float((month - 1) * MONTH_DAYS < gone <= month * MONTH_DAYS)))
    assert list(zip(found.row.tolist(), found.month.tolist(), found.churned.tolist(), strict=True)) == expected


def test_the_fitted_hazard_agrees_with_what_is_observed_by_segment() -> None:
    hazard, month, seen = _world(6_000, seed=3)
    segment = pd.Series(np.where(hazard > np.median(hazard), "high", "low"))
    rows = _rows(month, seen)
    risk = 1 - (1 - hazard) ** 3
    fitted = mean_survival(fitted_survival(rows, risk, np.ones(6_000)), segment, np.ones(6_000))
    observed = observed_survival(rows, segment, np.arange(6_000), np.ones(6_000))
    both = fitted.merge(observed, on=["segment", "month"], suffixes=("_fitted", ""))
    assert len(both) == 24
    assert (both["survival_fitted"] - both["survival"]).abs().max() < 0.03


def test_weights_count_as_so_many_rows() -> None:
    _, month, seen = _world(300, seed=4)
    twice = np.concatenate([np.arange(300), np.arange(100)])
    weight = np.where(np.arange(300) < 100, 2.0, 1.0)
    one = observed_survival(_rows(month, seen), _all(300), np.arange(300), weight)
    other = observed_survival(_rows(month[twice], seen[twice]), _all(400), twice, np.ones(400))
    np.testing.assert_allclose(
        one[["survival", "lo", "hi"]].to_numpy(float), other[["survival", "lo", "hi"]].to_numpy(float)
    )
    risk = np.linspace(0.05, 0.5, 300)
    first = fitted_survival(_rows(month, seen), risk, weight)
    second = fitted_survival(_rows(month[twice], seen[twice]), risk[twice], np.ones(400))
    np.testing.assert_allclose(first, second[:300], rtol=1e-6)
    mean = mean_survival(first, _all(300), weight)["survival"].to_numpy(float)
    np.testing.assert_allclose(mean, mean_survival(second, _all(400), np.ones(400))["survival"].to_numpy(float))


def test_where_nobody_or_everybody_leaves_the_interval_is_that_of_a_share() -> None:
    stays = observed_survival(_rows(np.full(5, -1), np.full(5, 2)), _all(5), np.arange(5), np.ones(5))
    least = wilson(0.0, np.arange(5), np.ones(5))[1]
    np.testing.assert_allclose(stays[["survival", "lo", "hi"]].astype(float), [[1, 1 - least, 1], [1, 1 - least, 1]])
    leaves = observed_survival(_rows(np.full(5, 1), np.full(5, 2)), _all(5), np.arange(5), np.ones(5))
    np.testing.assert_allclose(leaves[["survival", "lo", "hi"]].astype(float), [[0, 0, least]])


def test_too_few_departures_are_refused() -> None:
    with pytest.raises(EmptyResultError, match="0 departures fall into the months followed"):
        fitted_survival(_rows(np.full(5, -1), np.full(5, 2)), np.full(5, 0.1), np.ones(5))
