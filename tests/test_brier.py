import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from models.brier import brier, brier_parts, recalibrate
from models.estimates import Sample, estimate
from models.ranking import Ranking
from tests.forecasts import bent, churners

CHURNED = st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0, 1), st.integers(0, 9), st.sampled_from([0.5, 1.0, 3.0]))


def parts(sample: Sample) -> list[float]:
    ranking = Ranking.of(sample)
    return [term.value for term in brier_parts(ranking, recalibrate(ranking))]


@given(st.lists(CHURNED, min_size=1, max_size=50))
def test_the_parts_add_up_to_the_score_and_are_never_negative(table):
    sample = Sample.of(*zip(*table, strict=True))
    miscalibration, discrimination, uncertainty = parts(sample)
    assert min(miscalibration, discrimination, uncertainty) >= 0
    score = brier(Ranking.of(sample)).value
    assert miscalibration - discrimination + uncertainty == pytest.approx(score, abs=1e-12)


def test_two_risks_by_hand():
    # Of ten customers at 0.5 two leave, of ten at 0.7 six: recalibrated to 0.2 and 0.6, the churn rate is 0.4.
    y = np.r_[np.ones(2), np.zeros(8), np.ones(6), np.zeros(4)]
    p = np.repeat([0.5, 0.7], 10)
    found = parts(Sample.of(y, p, np.arange(20), np.ones(20)))
    assert found == pytest.approx([(0.3**2 + 0.1**2) / 2, 0.2**2, 0.4 * 0.6])


def test_risks_the_wrong_way_round_discriminate_nothing():
    y = np.r_[np.ones(5), np.zeros(5)]
    miscalibration, discrimination, uncertainty = parts(Sample.of(y, np.linspace(0, 1, 10), np.arange(10), np.ones(10)))
    assert discrimination == 0
    assert uncertainty == 0.25
    assert miscalibration == pytest.approx(np.mean((np.linspace(0, 1, 10) - y) ** 2) - 0.25)


def test_recalibration_equals_isotonic_regression_over_rows_with_ties_and_weights():
    s = churners(2000, 400, digits=1)
    theirs = IsotonicRegression().fit(s.predicted, s.observed, s.weight).predict(s.predicted)
    ranking = Ranking.of(s)
    assert recalibrate(ranking)[ranking.level] == pytest.approx(theirs)


def test_bending_the_risks_moves_miscalibration_alone():
    s = churners(5000, 1000)
    straight, crooked = parts(s), parts(bent(s))
    assert crooked[1:] == pytest.approx(straight[1:])
    assert crooked[0] > 5 * straight[0]


def test_the_interval_of_miscalibration_reaches_zero_where_risks_are_right_and_not_where_they_are_bent():
    for seed in range(5):
        found = []
        for s in (churners(3000, 600, seed=seed), bent(churners(3000, 600, seed=seed))):
            ranking = Ranking.of(s)
            found.append(estimate(s, brier_parts(ranking, recalibrate(ranking))[0]))
        assert found[0].lo < 1e-4 < found[0].value
        assert found[1].lo > 0.005


@pytest.mark.parametrize("metric", ["miscalibration", "discrimination", "uncertainty"])
def test_intervals_cover_the_parts_of_a_known_truth_nine_times_in_ten(metric):
    """Three risks, so that isotonic regression has nothing to follow but the truth."""
    told, true = np.array([0.1, 0.3, 0.5]), np.array([0.05, 0.2, 0.5])
    rate = true.mean()
    truth = {
        "miscalibration": np.mean((told - true) ** 2),
        "discrimination": np.mean((true - rate) ** 2),
        "uncertainty": rate * (1 - rate),
    }[metric]
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        group = rng.integers(0, 3, 400)  # customers, who have three rows with one outcome each
        y = (rng.random(400) < true[group]).astype(float)
        s = Sample.of(np.tile(y, 3), np.tile(told[group], 3), np.tile(np.arange(400), 3), np.ones(1200))
        ranking = Ranking.of(s)
        terms = {term.metric: term for term in brier_parts(ranking, recalibrate(ranking))}
        found = estimate(s, terms[f"brier_{metric}"])
        covered += found.lo <= truth <= found.hi
    assert covered / 300 == pytest.approx(0.9, abs=0.06)  # 3.5 Monte Carlo standard errors
