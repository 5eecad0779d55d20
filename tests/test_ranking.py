import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.estimates import Sample, estimate
from models.ranking import TOP, Ranking, auc, gains, top_share
from tests.forecasts import churners


def ranking(y, p, who=None, weight=None) -> Ranking:
    n = len(y)
    return Ranking.of(
        Sample.of(y, p, np.arange(n) if who is None else who, np.ones(n) if weight is None else weight),
    )


def test_lift_and_captured_share_count_by_hand():
    y = np.tile([1, 1, 0, 0, 1, 0, 0, 0, 0, 0], 10).astype(float)
    p = np.tile(np.linspace(1, 0.1, 10), 10)
    values = {term.metric: term.value for share in TOP for term in top_share(ranking(y, p), share)}
    # 30 churners in 100 rows; the highest risk is shared by 10 churners, the next by 10 more.
    assert values == pytest.approx(
        {
            "lift_1": 1 / 0.3,
            "captured_1": 1 / 30,
            "lift_5": 1 / 0.3,
            "captured_5": 5 / 30,
            "lift_10": 1 / 0.3,
            "captured_10": 10 / 30,
            "lift_20": 1 / 0.3,
            "captured_20": 20 / 30,
        }
    )


def test_customers_tied_at_the_edge_are_taken_in_part():
    tied = ranking(np.array([1.0, 0.0] * 10), np.full(20, 0.5))
    assert auc(tied).value == pytest.approx(0.5)
    for share in TOP:
        lift, captured = top_share(tied, share)
        assert (lift.value, captured.value) == pytest.approx((1.0, share))


def test_weights_count_as_customers():
    # 1 of 10 units of weight churns: half of the top tenth's weight of 1.
    lift, captured = top_share(ranking([1.0, 0.0, 0.0], [0.9, 0.8, 0.1], weight=[0.5, 0.5, 9.0]), 0.1)
    assert (lift.value, captured.value) == pytest.approx((10.0, 1.0))


def test_nobody_captured_has_wilsons_interval_with_one_customer_counted_once():
    y = np.r_[np.zeros(100), np.ones(100), np.zeros(800)]
    p = np.r_[np.full(100, 0.9), np.full(900, 0.1)]
    z2 = 1.6448536**2
    for who, customers in ((np.arange(1000), 100), (np.arange(1000) // 2, 50)):
        one = ranking(y, p, who)
        lift, captured = (estimate(one.sample, term) for term in top_share(one, 0.1))
        assert (lift.value, lift.lo, captured.value, captured.lo) == (0, 0, 0, 0)
        assert lift.hi == pytest.approx(z2 / (customers + z2) / 0.1, rel=1e-6)
        assert captured.hi == pytest.approx(z2 / (customers + z2), rel=1e-6)


def test_all_captured_is_not_certain():
    y = np.r_[np.ones(40), np.zeros(960)]
    one = ranking(y, np.linspace(1, 0, 1000))
    lift, captured = (estimate(one.sample, term) for term in top_share(one, 0.1))
    assert (captured.value, captured.hi, lift.value, lift.hi) == (1, 1, 10, 10)
    assert captured.lo == pytest.approx(40 / (40 + 1.6448536**2), rel=1e-6)
    assert lift.lo == pytest.approx(10 * captured.lo)


@given(st.integers(0, 1000))
def test_a_rising_change_of_the_risks_changes_nothing(seed):
    s = churners(200, 60, seed=seed, digits=2)
    again = Sample.of(s.observed, s.predicted**3 + 1, s.customer, s.weight)
    for share in TOP:
        for first, second in zip(top_share(Ranking.of(s), share), top_share(Ranking.of(again), share), strict=True):
            assert second.value == pytest.approx(first.value)


def test_more_customers_never_capture_fewer_churners():
    values = [top_share(Ranking.of(churners(3000, 600)), share)[1].value for share in np.linspace(0.01, 1, 40)]
    assert (np.diff(values) >= 0).all()
    assert values[-1] == pytest.approx(1.0)


def test_gains_are_the_captured_shares_from_nobody_to_everybody():
    sample = churners(600, 300, seed=3)
    found = gains(sample, candidate="boosting", points=10)
    assert found["candidate"].unique().tolist() == ["boosting"]
    assert found["share"].tolist() == pytest.approx(np.linspace(0, 1, 11).tolist())
    assert (found["captured"].iloc[0], found["captured"].iloc[-1]) == (0, 1)
    assert found["captured"].is_monotonic_increasing
    one = estimate(sample, top_share(Ranking.of(sample), 0.1)[1])
    assert found.loc[1, ["captured", "lo", "hi"]].tolist() == pytest.approx([one.value, one.lo, one.hi])
    assert ((found["lo"] <= found["captured"]) & (found["captured"] <= found["hi"])).all()


def test_with_hardly_a_churner_the_interval_of_a_ranking_says_nothing() -> None:
    rng = np.random.default_rng(0)
    for churned, expected in ((1, True), (9, True), (10, False), (191, True)):
        y = np.zeros(200)
        y[:churned] = 1
        found = estimate(ranking(y, rng.random(200)).sample, auc(ranking(y, rng.random(200))))
        assert ((found.lo, found.hi) == (0.0, 1.0)) == expected
