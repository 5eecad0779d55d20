"""Double machine learning held to closed forms and to a truth that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from models.double_ml import FlatRows, deal, difference, fit_outcome
from models.flat_design import design
from tests.flat_worlds import confounded


def everyone(rows: FlatRows) -> np.ndarray:
    return np.ones(len(rows.outcome), bool)


def estimated(rows: FlatRows, moved: np.ndarray, **given):
    return fit_outcome(rows, **given).moved(moved).effect(everyone(rows))


def linear_rows(n: int = 300, folds: int = 1) -> FlatRows:
    """A measure with two values and a control with few: both enter linearly, nothing is penalised."""
    rng = np.random.default_rng(4)
    control = rng.integers(0, 3, n).astype(float)
    A = (rng.random(n) < 0.2 + 0.2 * control).astype(float)[:, None]
    weight = rng.uniform(0.5, 3.0, n)
    laid = design(pd.DataFrame({"control": control}), A, weight)
    y = 1.5 * A[:, 0] + control + rng.normal(size=n)
    return FlatRows(laid, A, y, weight, np.arange(n), deal(n, rng, folds=folds))


def test_without_folds_and_penalty_it_is_weighted_least_squares():
    rows = linear_rows()
    control = rows.design.controls[:, 1]
    X = sm.add_constant(np.column_stack([rows.measured, control]))
    slope = sm.WLS(rows.outcome, X, weights=rows.weight).fit().params[1]
    found = estimated(rows, np.ones_like(rows.measured), learners=("linear",))
    moved_share = np.average(1 - rows.measured[:, 0], weights=rows.weight)
    assert found.estimate.value == pytest.approx(slope * moved_share, rel=1e-9)
    assert found.plug_in == pytest.approx(found.estimate.value, rel=1e-9)


def test_the_standard_error_is_the_sandwich_of_least_squares_where_everybody_moves_alike():
    rng = np.random.default_rng(5)
    n = 400
    A = rng.normal(size=(n, 1))
    laid = replace(design(pd.DataFrame(index=range(n)), A, np.ones(n)))
    laid = replace(laid, pieces=(replace(laid.pieces[0], knots=()),))
    cluster = np.arange(n) // 2
    rows = FlatRows(laid, A, A[:, 0] + rng.normal(size=n), np.ones(n), cluster, deal(200, rng, folds=1))
    found = estimated(rows, A + 1.0, learners=("linear",))
    fit = sm.OLS(rows.outcome, sm.add_constant(A)).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
    )
    assert found.estimate.value == pytest.approx(fit.params[1], rel=1e-9)
    assert found.estimate.se == pytest.approx(fit.bse[1] * np.sqrt(200 / 199), rel=1e-9)


def test_the_representer_has_the_mean_of_the_moved_density():
    rows, moved = confounded(np.random.default_rng(1), n=4_000)
    found = estimated(rows, moved, learners=("linear",))
    # For a normal A given L with variance 1, the density of A - 0.5 over that of A is exp(-0.5 v - 0.125).
    v = rows.measured[:, 0] - 0.8 * rows.design.controls[:, 1] * np.std(rows.design.controls[:, 1])
    assert np.corrcoef(1 + found.representer, np.exp(-0.5 * (v - v.mean()) - 0.125))[0, 1] > 0.9
    assert np.average(found.representer) == pytest.approx(0.0, abs=0.02)


def test_a_known_slope_is_found_with_honest_intervals_and_correlation_misses_it():
    held, t, raw = [], [], []
    for seed in range(200):
        rows, moved = confounded(np.random.default_rng(seed), n=400)
        found = estimated(rows, moved, learners=("linear",)).estimate
        held.append(found.lo <= -1.0 <= found.hi)
        t.append((found.value + 1.0) / found.se)
        raw.append(-0.5 * np.polyfit(rows.measured[:, 0], rows.outcome, 1)[0])
    # 200 runs: a true 90 % gives 0.84 to 0.96.
    assert 0.84 <= np.mean(held) <= 0.96
    assert abs(np.mean(t)) < 0.25
    assert np.mean(raw) < -1.25


def test_no_effect_gives_a_standard_normal_t():
    t = []
    for seed in range(200):
        rows, moved = confounded(np.random.default_rng(1_000 + seed), n=400, slope=0.0)
        t.append(estimated(rows, moved, learners=("linear",)).estimate.t)
    # Three standard errors of mean and standard deviation of 200 standard normals.
    assert abs(np.mean(t)) < 0.21
    assert 0.85 < np.std(t) < 1.15


def test_a_policy_that_changes_nothing_has_exactly_no_effect():
    rows, _ = confounded(np.random.default_rng(3))
    for learner in ("linear", "trees"):
        found = estimated(rows, rows.measured.copy(), learners=(learner,))
        assert (found.estimate.value, found.estimate.se, np.abs(found.influence).max()) == (0.0, 0.0, 0.0)


def test_the_correction_repairs_a_regression_that_knows_nothing():
    rows, moved = confounded(np.random.default_rng(2), n=1_000)
    fitted = fit_outcome(rows, learners=("linear",))
    mean = rows.outcome.mean()
    blank = replace(
        fitted, _predict=tuple([lambda design, values: np.full(len(values), mean)] * 5), _expected=np.full(1_000, mean)
    )
    found = blank.moved(moved).effect(everyone(rows))
    assert found.plug_in == 0.0
    assert abs(found.estimate.value + 1.0) < 3 * found.estimate.se
    assert found.estimate.se < 0.2


def test_trees_win_where_the_confounding_is_a_product_of_two_columns():
    rng = np.random.default_rng(7)
    n = 1_500
    a, b = rng.normal(size=(2, n))
    A = (np.sign(a * b) + rng.normal(size=n))[:, None]
    laid = design(pd.DataFrame({"a": a, "b": b}), A, np.ones(n))
    rows = FlatRows(laid, A, A[:, 0] + 3 * np.sign(a * b) + rng.normal(size=n), np.ones(n), np.arange(n), deal(n, rng))
    fitted = fit_outcome(rows, learners=("linear", "trees"))
    assert fitted.learner == "trees"
    straight = estimated(rows, A - 0.5, learners=("linear",)).estimate
    found = fitted.moved(A - 0.5).effect(everyone(rows)).estimate
    assert abs(found.value + 0.5) < 0.6 * abs(straight.value + 0.5)


def test_rows_of_one_customer_share_their_luck():
    rows, moved = confounded(np.random.default_rng(8), n=500)
    alone = estimated(rows, moved, learners=("linear",)).estimate.se
    twice = np.arange(500).repeat(2)
    laid = rows.design.of(twice)
    doubled = FlatRows(
        laid, rows.measured[twice], rows.outcome[twice], np.ones(1_000), rows.cluster[twice], rows.fold
    )  # fmt: skip
    assert estimated(doubled, moved[twice], learners=("linear",)).estimate.se == pytest.approx(alone, rel=1e-6)


def test_a_difference_knows_what_two_effects_share():
    rows, moved = confounded(np.random.default_rng(9))
    fitted = fit_outcome(rows, learners=("linear",))
    one, other = fitted.moved(moved).effect(everyone(rows)), fitted.moved(moved - 0.1).effect(everyone(rows))
    assert difference(one, one).se == 0.0
    assert difference(one, other).se < 0.5 * np.hypot(one.estimate.se, other.estimate.se)


def test_no_kind_of_model_for_the_outcome_is_a_mistake():
    rows, _ = confounded(np.random.default_rng(3))
    with pytest.raises(ValueError, match="holds no kind of model for this outcome"):
        fit_outcome(rows, learners=("logistic",))
