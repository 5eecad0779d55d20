"""What exposures have in common is found and used; what they do not have in common is left to the data."""

from __future__ import annotations

import numpy as np
import pytest

from models.shrinkage import Piece, penalty_of

PIECES = tuple(Piece(f"exposure {k // 3}", (2 * k, 2 * k + 1)) for k in range(30))
INFORMATION = np.diag(np.full(60, 100.0))
PENALISED = np.ones(60, bool)


def shrunken(coefficients, pieces=PIECES, information=INFORMATION):
    penalty = penalty_of(coefficients, information, PENALISED[: len(coefficients)], pieces)
    return np.linalg.solve(information + penalty, information @ coefficients)


def truth(rng, mix, bend=0.0):
    """Ten exposures of three pieces, remembered in one mix."""
    size = np.repeat(rng.normal(0, 0.5, 10), 3) + bend * rng.normal(size=30)
    return (size[:, None] * mix).ravel()


@pytest.mark.parametrize("angle", [0.2, 0.8, 1.4])
def test_a_common_form_takes_most_of_the_error_away(angle):
    rng = np.random.default_rng(1)
    true = truth(rng, np.array([np.cos(angle), np.sin(angle)]))
    noisy = true + rng.normal(0, 0.1, 60)
    # Ten sizes are left of sixty coefficients: a sixth of the squared error, and 2 % of light ridge.
    before, after = np.sum((noisy - true) ** 2), np.sum((shrunken(noisy) - true) ** 2)
    assert after < 0.3 * before


def test_without_a_common_form_little_is_changed():
    rng = np.random.default_rng(2)
    true = rng.normal(0, 1, 60)
    noisy = true + rng.normal(0, 0.1, 60)
    before, after = np.sum((noisy - true) ** 2), np.sum((shrunken(noisy) - true) ** 2)
    assert after < 3 * before
    assert np.abs(shrunken(noisy) - noisy).max() < 0.3


def test_bends_that_are_there_stay():
    rng = np.random.default_rng(3)
    true = truth(rng, np.array([0.9, 0.4]), bend=1.0)
    noisy = true + rng.normal(0, 0.1, 60)
    assert np.sum((shrunken(noisy) - true) ** 2) < np.sum((noisy - true) ** 2)


def test_units_do_not_matter():
    rng = np.random.default_rng(4)
    noisy = truth(rng, np.array([0.9, 0.4])) + rng.normal(0, 0.1, 60)
    unit = np.repeat(rng.uniform(0.01, 100, 10), 6)
    other = shrunken(noisy / unit, information=INFORMATION * np.outer(unit, unit))
    assert other * unit == pytest.approx(shrunken(noisy), rel=1e-6)


def test_columns_that_belong_to_no_exposure_take_the_light_ridge_alone():
    penalty = penalty_of(np.ones(3), np.diag([100.0, 50.0, 10.0]), np.array([False, True, True]), ())
    assert penalty == pytest.approx(np.diag([0.0, 1.0, 0.2]))


def test_columns_without_information_do_no_harm():
    rng = np.random.default_rng(5)
    information = INFORMATION.copy()
    information[7, 7] = 0.0
    penalty = penalty_of(rng.normal(0, 0.1, 60), information, PENALISED, PIECES)
    assert np.isfinite(penalty).all()
