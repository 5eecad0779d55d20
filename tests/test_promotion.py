import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.metrics import Sample, row_log_loss
from models.promotion import Comparison, compare, decide


def _world(n: int = 4_000, seed: int = 1) -> tuple[Sample, np.ndarray]:
    """Outcomes drawn from a known risk: the right predictions, two rows a customer."""
    rng = np.random.default_rng(seed)
    risk = expit(-1.5 + rng.normal(0, 1, n))
    observed = (rng.random(n) < risk).astype(float)
    return Sample.of(observed, risk, np.arange(n) // 2, np.ones(n)), risk


def _found(sample: Sample, champion: np.ndarray) -> Comparison:
    found = compare("churn", sample, champion, "stored model")
    assert found is not None
    return found


def test_the_true_risk_replaces_a_noisy_one_and_never_the_other_way_round() -> None:
    sample, risk = _world()
    noisy = expit(logit(risk) + np.random.default_rng(2).normal(0, 1, len(risk)))
    won = decide(_found(sample, noisy), "version 1", can_score=True)
    lost = decide(
        _found(Sample.of(sample.observed, noisy, sample.customer, sample.weight), risk), "v 1", can_score=True
    )
    assert won.promotes
    assert "log loss is lower (-" in won.reason
    assert not lost.promotes
    assert lost.reason.endswith("v 1 stays.")


def test_the_same_predictions_are_equal_and_promoted() -> None:
    sample, risk = _world()
    found = _found(sample, risk)
    assert (found.loss.value, found.loss.lo, found.loss.hi, found.calibration.value) == (0, 0, 0, 0)
    decision = decide(found, "version 1", can_score=True)
    assert decision.promotes
    assert "neither clearly lower nor higher" in decision.reason


def test_among_equals_calibration_decides() -> None:
    """Few rows: a bend of the risks that log loss cannot tell."""
    sample, risk = _world(300, seed=5)
    bent = expit(0.15 + 1.1 * logit(risk))
    found = _found(sample, bent)
    assert found.loss.lo < 0 < found.loss.hi
    turned = _found(Sample.of(sample.observed, bent, sample.customer, sample.weight), risk)
    assert turned.calibration.value == pytest.approx(-found.calibration.value)
    assert {decide(one, "v", can_score=True).promotes for one in (found, turned)} == {True, False}


def test_the_calibration_part_is_what_a_refit_saves() -> None:
    sample, risk = _world()
    bent = expit(0.5 + 0.5 * logit(risk))
    found = _found(sample, bent)
    # The bend is a line on the logit, so a refit gives both the same risks, and all of the difference is calibration.
    assert found.calibration.value == pytest.approx(found.loss.value, abs=1e-9)


def test_the_difference_is_that_of_the_mean_losses_and_its_interval_is_clustered() -> None:
    sample, risk = _world()
    other = np.full(len(risk), sample.observed.mean())
    found = _found(sample, other)
    each = row_log_loss(sample.observed, risk) - row_log_loss(sample.observed, other)
    assert found.loss.value == pytest.approx(each.mean())
    by_customer = each.reshape(-1, 2).sum(axis=1)
    error = by_customer.std(ddof=1) * np.sqrt(len(by_customer)) / len(each)
    assert found.loss.hi - found.loss.value == pytest.approx(1.6448536 * error, rel=1e-3)
    assert (found.rows, found.customers) == (4_000, 2_000)


def test_a_better_model_whose_totals_are_wrong_is_not_promoted() -> None:
    sample, risk = _world()
    doubled = np.minimum(2 * risk, 0.999)
    poor = np.full(len(risk), 0.9)
    decision = decide(
        _found(Sample.of(sample.observed, doubled, sample.customer, sample.weight), poor), "version 1", can_score=True
    )
    assert not decision.promotes
    assert "not within 0.8 to 1.25" in decision.reason


def test_a_champion_that_cannot_score_is_replaced_and_the_comparison_is_told() -> None:
    sample, risk = _world()
    worse = Sample.of(sample.observed, np.full(len(risk), 0.22), sample.customer, sample.weight)
    decision = decide(_found(worse, risk), "version 2", can_score=False)
    assert decision.promotes
    assert decision.reason.startswith("version 2 was fitted on other features and cannot score these. Otherwise: its")
    assert decide(None, "version 2", can_score=False).promotes
    assert not decide(None, "version 2", can_score=True).promotes


def test_too_few_churners_are_not_compared() -> None:
    observed = np.zeros(100)
    observed[:9] = 1
    sample = Sample.of(observed, np.full(100, 0.1), np.arange(100), np.ones(100))
    assert compare("churn", sample, np.full(100, 0.2), "stored model") is None
    assert compare("revenue", Sample.of([1.0], [1.0], [0], [1.0]), np.ones(1), "stored model") is None


def test_amounts_are_compared_by_squared_error_and_money_is_absolute_error() -> None:
    rng = np.random.default_rng(3)
    truth = rng.gamma(2, 10, 2_000)
    paid = truth + rng.normal(0, 5, 2_000)
    sample = Sample.of(paid, truth, np.arange(2_000), np.ones(2_000))
    found = compare("revenue", sample, np.full(2_000, 20.0), "recorded tests")
    assert found is not None
    assert found.loss.value == pytest.approx(np.mean((paid - truth) ** 2 - (paid - 20.0) ** 2))
    assert found.money is not None
    assert found.money.value == pytest.approx(np.mean(np.abs(paid - 20.0) - np.abs(paid - truth)))
    assert found.money.lo > 0
    decision = decide(found, "version 1", can_score=True)
    assert decision.promotes
    assert "each as it was tested when it was trained" in decision.reason


def test_money_of_risks_is_what_acting_on_them_earns() -> None:
    sample, risk = _world()
    found = compare("churn", sample, np.full(len(risk), 0.5), "stored model", earned=lambda one: one.predicted * 100)
    assert found is not None
    assert found.money is not None
    assert found.money.value == pytest.approx(100 * (risk.mean() - 0.5))


@given(st.permutations(range(60)))
def test_the_order_of_rows_has_no_influence(order: list[int]) -> None:
    sample, risk = _world(60, seed=2)
    champion = np.clip(risk + 0.05, 0, 0.99)
    before, index = _found(sample, champion), np.array(order)
    moved = Sample.of(*(column[index] for column in (sample.observed, risk, sample.customer, sample.weight)))
    after = _found(moved, champion[index])
    for one, other in ((before.loss, after.loss), (before.calibration, after.calibration)):
        assert (one.value, one.lo, one.hi) == pytest.approx((other.value, other.lo, other.hi), abs=1e-9)


def test_the_interval_holds_the_true_difference_nine_times_in_ten() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        risk = expit(-1 + rng.normal(0, 1, 2_000))
        y = (rng.random(2_000) < risk).astype(float)
        other = expit(logit(risk) * 0.7)
        truth = float(
            np.mean(risk * (np.log(other) - np.log(risk)) + (1 - risk) * (np.log1p(-other) - np.log1p(-risk)))
        )
        one = _found(Sample.of(y, risk, np.arange(2_000), np.ones(2_000)), other).loss
        held += one.lo <= truth <= one.hi
    assert 168 <= held <= 192
