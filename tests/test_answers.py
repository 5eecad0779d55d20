"""Unanswered ratings: EM against closed forms, plain loops and known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from features.measures import Feature
from models.answers import (
    AnswerModel,
    expected_moments,
    fit_answers,
    rarely_answered,
    refitted_moments,
    unanswered_cells,
)
from models.moments import covariance, group_moments
from tests.gappy import gappy

FloatArray = NDArray[np.float64]
TIGHT = 1e-13


def blanks(values: FloatArray) -> NDArray[np.bool_]:
    return np.ones(values.shape[1], dtype=bool)


def slopes(moments: FloatArray) -> FloatArray:
    """Least squares of the last column on the others."""
    C = covariance(moments)
    return np.asarray(np.linalg.solve(C[:-1, :-1], C[:-1, -1]))


def test_without_gaps_it_is_the_sample_and_the_moments_are_the_usual_ones() -> None:
    values = np.random.default_rng(2).normal(2, 3, (50, 3))
    customers = pd.Series(np.arange(50) // 2)
    weight = np.random.default_rng(3).uniform(0, 2, 50)
    found = fit_answers(values, blanks(values), weight)
    np.testing.assert_allclose(found.mean, np.average(values, axis=0, weights=weight))
    np.testing.assert_allclose(found.covariance, np.cov(values.T, aweights=weight, ddof=0), rtol=1e-9)
    ours = expected_moments(values, blanks(values), found, customers, weight)
    usual = group_moments(values - found.mean, customers, weight)
    np.testing.assert_allclose(ours.sums, usual.sums, atol=1e-9)
    assert (ours.n_customers, ours.n_rows) == (25, 50)


def test_expected_moments_are_conditional_means_and_covariances_row_by_row() -> None:
    values, customers = gappy(60, 3), pd.Series(np.arange(60) % 7)
    model = fit_answers(values, blanks(values))
    expected = np.zeros((7, 4, 4))
    for row, customer in zip(values, customers, strict=True):
        o = ~np.isnan(row)
        B = model.covariance[:, o] @ np.linalg.inv(model.covariance[np.ix_(o, o)])
        z = B @ (row[o] - model.mean[o])
        left = model.covariance - B @ model.covariance[o]
        expected[customer] += np.outer([1, *z], [1, *z])
        expected[customer, 1:, 1:] += left
    found = expected_moments(values, blanks(values), model, customers)
    np.testing.assert_allclose(found.sums, expected, atol=1e-6)


def test_the_total_of_expected_moments_is_the_fit() -> None:
    values = gappy()
    model = fit_answers(values, blanks(values), tolerance=TIGHT)
    total = expected_moments(values, blanks(values), model, pd.Series(np.arange(len(values)))).total()
    np.testing.assert_allclose(total[0, 1:] / len(values), 0, atol=1e-5)
    np.testing.assert_allclose(covariance(total), model.covariance, atol=1e-5)


def test_the_table_has_a_row_a_column() -> None:
    values = gappy()
    found = fit_answers(values, blanks(values), max_iterations=2)
    assert not found.normal.is_converged
    table = found.to_frame()
    assert not table["is_converged"].any()
    assert set(table["iterations"]) == {2}
    assert set(table["n_patterns"]) == {8}
    np.testing.assert_allclose(table["unanswered"], np.isnan(values).mean(axis=0))
    np.testing.assert_allclose(table["deviation"], np.sqrt(np.diagonal(found.covariance)))


def survey(seed: int, rows: int = 4_000) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Four ratings with one halo and an outcome; the true slopes; the ratings that would have been given."""
    rng = np.random.default_rng(seed)
    full = 0.8 * rng.normal(size=(rows, 1)) + rng.normal(size=(rows, 4)) + 6.0
    truth = np.array([0.5, 0.3, 0.2, 0.0])
    outcome = full @ truth + rng.normal(size=rows)
    return np.column_stack([full, outcome]), truth, full


def test_answers_missing_at_random_are_recovered_where_their_mean_is_not() -> None:
    """Who was content answers less: given the outcome and the last rating, at random."""
    values, truth, _ = survey(3)
    rng = np.random.default_rng(4)
    silent = rng.random((len(values), 3)) < 1 / (1 + np.exp(-(values[:, [4]] - 6.0) / 1.5 - (values[:, [3]] - 6.0)))
    values[:, :3][silent] = np.nan
    customers = pd.Series(np.arange(len(values)))
    model = fit_answers(values, blanks(values))
    found = slopes(expected_moments(values, blanks(values), model, customers).total())
    filled = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    naive = slopes(group_moments(filled - filled.mean(axis=0), customers).total())
    assert np.abs(found - truth).max() < 0.08
    assert np.abs(naive - truth).max() > 0.15
    np.testing.assert_allclose(model.mean[:3], 6.0, atol=0.15)


def test_users_slopes_are_found_where_some_never_used_it_and_others_did_not_answer() -> None:
    values, truth, full = survey(6)
    rng = np.random.default_rng(7)
    used = rng.random((len(values), 2)) < 0.5
    values[:, 4] -= (~used * (full[:, :2] * truth[:2] - 1.0)).sum(axis=1)
    silent = rng.random((len(values), 2)) < np.where(values[:, [4]] > np.median(values[:, 4]), 0.6, 0.1)
    values[:, :2][silent | ~used] = np.nan
    not_answered = np.zeros(values.shape, dtype=bool)
    not_answered[:, :2] = used
    customers = pd.Series(np.arange(len(values)))
    model = fit_answers(values, not_answered)
    assert model.flagged == (0, 1)
    assert model.blocks == ((0, 1), (2, 3), (4,), (5,), (6,))
    np.testing.assert_allclose(model.unanswered[:2], (silent & used).sum(axis=0) / used.sum(axis=0))
    found = slopes(expected_moments(values, not_answered, model, customers).total())
    np.testing.assert_allclose(found[[0, 2, 4, 5]], truth, atol=0.08)
    # Not to have used it costs what an average rating brings, less the 1.0 that the others get instead.
    np.testing.assert_allclose(found[[1, 3]], 1.0 - model.mean[:2] * truth[:2], atol=0.2)


def test_flags_join_only_where_something_does_not_apply() -> None:
    values = gappy()
    everything_applies = fit_answers(values, blanks(values))
    nothing_is_blank = fit_answers(values, ~blanks(values))
    assert everything_applies.flagged == ()
    assert nothing_is_blank.flagged == (0, 1, 2)
    found = expected_moments(values, ~blanks(values), nothing_is_blank, pd.Series(np.arange(len(values)))).total()
    flags = np.isnan(values[:, :3])
    np.testing.assert_allclose(found[0, [2, 4, 6]], flags.sum(axis=0))
    np.testing.assert_allclose(found[2, 1], 0, atol=1e-9)


def test_only_who_was_met_can_have_failed_to_answer() -> None:
    def rating(name: str, missing: str, touchpoint: str | None = None) -> Feature:
        level = "touchpoint" if touchpoint else "journey"
        return Feature(
            name, name, "points", "higher", level, "support", "score", "rating", "number", touchpoint, missing
        )  # type: ignore[arg-type]

    gaps = [np.nan, np.nan, 3.0]
    frame = pd.DataFrame(
        {
            "support__touchpoints_count__total": [0.0, 2.0, 1.0],
            "support__call__touchpoints_count__total": [0.0, 0.0, 1.0],
            **dict.fromkeys(("a", "b", "c", "d"), gaps),
        }
    )
    features = (
        rating("a", "not answered"),
        rating("b", "not applicable"),
        rating("c", "not answered", "call"),
        rating("d", "not answered", "chat"),
    )
    assert unanswered_cells(frame, features).T.tolist() == [
        [False, True, False],
        [False, False, False],
        [False, False, False],
        [True, True, False],
    ]


def test_answers_of_a_few_do_not_speak_for_all() -> None:
    features = tuple(
        Feature(name, name, "points", "higher", "journey", "support", "score", "rating", "number", None, "not answered")
        for name in ("few", "enough", "everybody")
    )
    values = np.full((100, 3), np.nan)
    values[:19, 0] = values[:20, 1] = values[:, 2] = 4.0
    frame = pd.DataFrame(values, columns=["few", "enough", "everybody"])
    cells = unanswered_cells(frame, features)
    assert rarely_answered(frame, features, cells).tolist() == [True, False, False]


def test_customers_are_drawn_together() -> None:
    values = gappy(100)
    model = fit_answers(values, blanks(values))
    moments = expected_moments(values, blanks(values), model, pd.Series(np.arange(100) // 5))
    drawn = moments.resampled(200, np.random.default_rng(0))
    assert drawn.shape == (200, 5, 5)
    np.testing.assert_allclose(drawn[:, 0, 0], 100)
    assert np.linalg.eigvalsh(drawn).min() > 0
    np.testing.assert_allclose(drawn.mean(axis=0)[1:, 1:], moments.total()[1:, 1:], rtol=0.15, atol=15)


def silenced(seed: int, rows: int) -> tuple[FloatArray, FloatArray]:
    """A third of three ratings not answered, more so by the content; with the true slopes."""
    values, truth, _ = survey(seed, rows)
    content = (values[:, [4]] - 6.0) / 1.5 + values[:, [3]] - 7.1
    values[:, :3][np.random.default_rng(seed + 1).random((rows, 3)) < 1 / (1 + np.exp(-content))] = np.nan
    return values, truth


def test_draws_fitted_anew_vary_more_than_draws_of_moments() -> None:
    values, _ = silenced(8, 600)
    customers = pd.Series(np.arange(600))
    model = fit_answers(values, blanks(values))
    fixed = expected_moments(values, blanks(values), model, customers).resampled(60, np.random.default_rng(0))
    anew = refitted_moments(values, blanks(values), model, customers, np.random.default_rng(0), replicates=60)
    assert anew.shape == fixed.shape == (60, 6, 6)
    np.testing.assert_allclose(anew[:, 0, 0], fixed[:, 0, 0])
    spread = [np.std([slopes(one) for one in draws], axis=0)[:3] for draws in (anew, fixed)]
    assert (spread[0] > 1.2 * spread[1]).all()


def test_with_all_answers_given_draws_fitted_anew_are_draws_of_moments() -> None:
    values, customers = survey(9, 200)[0], pd.Series(np.arange(200) // 4)
    model = fit_answers(values, blanks(values))
    fixed = expected_moments(values, blanks(values), model, customers).resampled(5, np.random.default_rng(0))
    anew = refitted_moments(values, blanks(values), model, customers, np.random.default_rng(0), replicates=5)
    np.testing.assert_allclose(covariance(anew), covariance(fixed), rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_intervals_from_draws_fitted_anew_cover_the_slopes() -> None:
    """90 % intervals; a third of three ratings not answered; 80 worlds of 500 customers."""
    worlds, covered = 80, np.zeros(4)
    for seed in range(worlds):
        values, truth = silenced(seed, 500)
        model, customers = fit_answers(values, blanks(values)), pd.Series(np.arange(500))
        rng = np.random.default_rng(seed)
        drawn = refitted_moments(values, blanks(values), model, customers, rng, replicates=100)
        low, high = np.quantile([slopes(one) for one in drawn], [0.05, 0.95], axis=0)
        covered += (low <= truth) & (truth <= high)
    assert (covered >= binom.ppf(0.005, worlds, 0.88)).all()


@pytest.mark.parametrize(
    ("values", "not_answered", "weight", "message"),
    [
        ([[1.0, np.nan], [2.0, np.nan]], [True, True], None, "Column 1 has no value in 2 rows"),
        ([[1.0, np.inf], [2.0, 1.0]], [True, True], None, "1 values are infinite"),
        ([[1.0, 2.0], [2.0, 1.0]], [True], None, r"not_answered has shape \(1,\)"),
        ([[1.0, 2.0], [2.0, 1.0]], [True, True], [1.0, -1.0], "weight must hold 2 finite numbers"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    values: list[list[float]], not_answered: list[bool], weight: list[float] | None, message: str
) -> None:
    w = None if weight is None else np.array(weight)
    with pytest.raises(ValueError, match=message):
        fit_answers(np.array(values), np.array(not_answered), w)


def test_a_model_of_other_rows_is_refused() -> None:
    values = gappy()
    model: AnswerModel = fit_answers(values, blanks(values))
    with pytest.raises(ValueError, match="Expected the same rows"):
        expected_moments(values, ~blanks(values), model, pd.Series(np.arange(len(values))))
