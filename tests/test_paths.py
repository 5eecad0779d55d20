"""Paths with and without a policy, and their derivatives against finite differences."""

from dataclasses import replace

import numpy as np
import pytest

from models.effects import TargetRows
from models.paths import MOST_SURVIVAL_RATIO, Predicted, Runs, paths, plug_in, row_slopes, sampling_terms
from models.ridge import expit


def rows(rng, customers=300, periods=6, go_lives=2):
    """Customers who leave now and then, in no order."""
    found = []
    for g in range(go_lives):
        stays = rng.geometric(0.1, customers)
        found += [(g, t, c) for c in range(customers) for t in range(min(periods, stays[c]))]
    g, t, c = np.array(found)[rng.permutation(len(found))].T
    X, n = rng.normal(size=(len(g), 3)), len(g)
    weight = rng.uniform(0.5, 2.0, customers)[c]
    return TargetRows(X, np.full((n, 1), -0.7), np.array([2]), g, t, c, weight, np.ones(n), np.ones(n))


def found(target, beta, gamma):
    """Predict, average, subtract."""
    moved = target.X.copy()
    moved[:, 2] += target.shift[:, 0]
    predicted = Predicted(expit(target.X @ beta - 2), 5 + target.X @ gamma, expit(moved @ beta - 2), 5 + moved @ gamma)
    runs = Runs.of(target)
    base = paths(target, runs, predicted.base_hazard, predicted.base_spend, predicted.base_hazard)
    after = paths(target, runs, predicted.moved_hazard, predicted.moved_spend, predicted.base_hazard)
    return plug_in(base, after), predicted, base, after, moved


@pytest.mark.parametrize("strength", [0.1, 0.9])
def test_slopes_are_those_of_finite_differences(strength):
    target = rows(np.random.default_rng(3))
    beta, gamma = strength * np.array([0.5, -0.3, 0.8]), np.array([1.0, 0.5, -2.0])
    _, predicted, base, after, moved = found(target, beta, gamma)
    slopes = row_slopes(target, Runs.of(target), predicted, base, after)
    by_beta = (slopes.base_hazard @ target.X + slopes.moved_hazard @ moved) / 2
    by_gamma = (slopes.base_spend @ target.X + slopes.moved_spend @ moved) / 2
    step = 1e-6
    for k in range(3):
        one = np.eye(3)[k] * step
        up, down = found(target, beta + one, gamma)[0], found(target, beta - one, gamma)[0]
        assert by_beta[:, k] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-7)
        up, down = found(target, beta, gamma + one)[0], found(target, beta, gamma - one)[0]
        assert by_gamma[:, k] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-7)
    assert np.abs(by_beta[2]).max() > 0.01  # the spend part moves with the hazard


def test_some_ratios_are_held_at_their_bound():
    target = rows(np.random.default_rng(4))
    _, _, _, after, _ = found(target, np.array([0.5, -0.3, 0.9]), np.zeros(3))
    assert 0 < np.mean(~after.is_free) < 0.5


def test_a_path_is_the_weighted_mean_of_its_rows():
    target = rows(np.random.default_rng(5), go_lives=1)
    hazard, spend = np.full(len(target.period), 0.1), target.period.astype(float)
    path = paths(target, Runs.of(target), hazard, spend, hazard)
    assert path.survival[0] == pytest.approx(0.9 ** np.arange(7))
    assert path.spend[0] == pytest.approx(np.arange(6.0))
    assert path.is_free.all()


def test_those_who_would_survive_more_often_stand_for_more():
    one = np.ones(4)
    target = TargetRows(
        np.ones((4, 1)), np.zeros((4, 1)), np.array([0]), np.zeros(4, int), np.array([0, 0, 1, 1]),
        np.array([1, 2, 1, 2]), one, one, one,
    )  # fmt: skip
    reference = np.array([0.5, 0.5, 0.5, 0.5])
    hazard = np.array([0.4, 0.5, 0.5, 0.5])
    share = paths(target, Runs.of(target), hazard, one, reference).share
    assert share.tolist() == pytest.approx([0.5, 0.5, 0.6 / 1.1, 0.5 / 1.1])
    extreme = paths(target, Runs.of(target), np.array([0.0, 0.5, 0.5, 0.5]), one, reference).share
    assert extreme[2] == pytest.approx(MOST_SURVIVAL_RATIO / (1 + MOST_SURVIVAL_RATIO))


def test_the_chance_of_who_is_sampled_is_as_large_as_drawing_again_and_again_shows():
    """Half of the customers, drawn 400 times: the spread of the plug-in is known within 4 % (one standard error)."""
    rng = np.random.default_rng(6)
    target = rows(rng, customers=800)
    lasting = rng.normal(size=(800, 3))[target.customer]  # rows of one customer are alike
    target = replace(target, X=0.8 * lasting + 0.6 * target.X)
    beta, gamma = np.array([0.5, -0.3, 0.4]), np.array([1.0, 0.5, -2.0])
    _, predicted, base, after, _ = found(target, beta, gamma)
    terms = sampling_terms(target, predicted, base, after) / 2
    by_customer = np.stack([np.bincount(target.customer, one, 800) for one in terms])
    # Of n customers a share s: the variance is (1 - s) / s times the sum of squares over all of them.
    expected = np.sqrt((by_customer**2).sum(axis=1))
    drawn = []
    for _ in range(400):
        some = np.isin(target.customer, rng.permutation(800)[:400])
        by_row = ("X", "shift", "go_live", "period", "customer", "weight", "due", "scale")
        drawn.append(found(replace(target, **{name: getattr(target, name)[some] for name in by_row}), beta, gamma)[0])
    assert np.std(drawn, axis=0) == pytest.approx(expected, rel=0.12)
    assert by_customer.sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)
