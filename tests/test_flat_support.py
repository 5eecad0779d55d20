"""What shows whether a moved state was ever observed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.double_ml import fit_outcome
from models.flat_support import Support, effective_share, support_of
from tests.flat_worlds import confounded

GOOD = Support(inside=1.0, effective=0.9, extrapolated=0.0, rows=900, customers=900, moved=500, events=300)


def looked_at(by: float) -> Support:
    rows, _ = confounded(np.random.default_rng(2), n=1_500)
    moved = fit_outcome(rows, learners=("linear",)).moved(rows.measured + by)
    return support_of(moved, moved.effect(np.ones(1_500, bool)), np.ones(1_500, bool))


def test_the_more_is_asked_the_less_there_is():
    near, far = looked_at(0.2), looked_at(3.0)
    assert near.inside > 0.95 > far.inside
    assert near.effective > 0.9
    assert far.effective < 0.3
    assert near.extrapolated < 0.05
    assert far.extrapolated > 0.3


def test_a_shift_by_half_a_standard_deviation_leaves_the_effective_share_of_a_normal():
    # The representer of a shift d of a normal with variance 1 given the controls is linear: 1 + alpha = 1 + d v.
    assert looked_at(0.5).effective == pytest.approx(1 / (1 + 0.25), abs=0.04)


def test_nothing_moved_is_fully_supported():
    found = looked_at(0.0)
    assert (found.inside, found.effective, found.extrapolated, found.moved) == (1.0, 1.0, 0.0, 0)
    assert found.refusal() == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"customers": 199}, "Only 199 customers have the outcome; at least 200 are needed."),
        ({"events": 29}, "Only 29 rows have the rarer outcome; at least 30 are needed."),
        ({"moved": 49}, "Only 49 customers would be moved at all; at least 50 are needed."),
        ({"inside": 0.49}, "Only 49 % of the moved values lie within what was observed; at least 50 %"),
        ({"extrapolated": 0.51}, "51 % of the moved rows lie where hardly any such row was observed; at most 50 %"),
        ({"effective": 0.09}, "The answer would rest on 9 % of the rows; at least 10 % are needed. Ask for less."),
    ],
)
def test_each_threshold_refuses_with_its_reason(given, said):
    assert replace(GOOD, **given).refusal().startswith(said)
    assert GOOD.refusal() == ""


def test_weights_that_all_fall_on_one_row_leave_that_row():
    alpha, weight = np.array([3.0, -1.0, -1.0, -1.0]), np.ones(4)
    assert effective_share(alpha, weight, weight > 0) == pytest.approx(0.25)
