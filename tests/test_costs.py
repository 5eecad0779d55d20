"""Costs as one number or as low, likely and high."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from models.costs import COST_PARTS, Cost, pert, pert_mean

LUCK = (np.arange(20_000) + 0.5) / 20_000


def test_the_mean_of_the_quantiles_is_the_stated_mean():
    for limits in ((0.0, 1.0, 5.0), (2.0, 2.0, 3.0), (1.0, 4.0, 4.0)):
        drawn = pert(limits, LUCK)
        assert drawn.mean() == pytest.approx(pert_mean(limits), rel=1e-4)
        assert limits[0] <= drawn.min() < drawn.max() <= limits[2]


def test_the_variance_is_that_of_the_beta_distribution_behind_it():
    # Of a PERT distribution: a seventh of the way up times the way down.
    low, likely, high = limits = (1.0, 2.0, 7.0)
    mean = pert_mean((low, likely, high))
    assert pert(limits, LUCK).var() == pytest.approx((mean - low) * (high - mean) / 7, rel=1e-3)


def test_more_luck_never_costs_less():
    assert (np.diff(pert((1.0, 2.0, 9.0), LUCK)) > 0).all()


def test_known_parts_are_the_same_in_every_draw_and_unknown_ones_follow_their_own_luck():
    cost = Cost(once=(10, 20, 60), monthly=3)
    luck = np.full((2, 5), 0.5)
    luck[1, COST_PARTS.index("once")] = 0.9
    drawn = cost.drawn(luck)
    assert drawn[:, COST_PARTS.index("monthly")].tolist() == [3.0, 3.0]
    assert drawn[0, 0] < drawn[1, 0]
    assert cost.uncertain == ("once",)
    assert cost.expected.tolist() == [25.0, 3.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("given", [-1, [1, 2], [3, 2, 1], [1, 2, float("inf")], "dear", [-1, 0, 1], True, [1, "2", 3]])
def test_what_is_no_cost_is_refused_in_one_sentence_with_its_value(given):
    with pytest.raises(ValidationError, match=r"is not a cost\. Expected a number, 0 or more") as raised:
        Cost(once=given)
    assert raised.value.error_count() == 1
    assert str(given) in str(raised.value)
