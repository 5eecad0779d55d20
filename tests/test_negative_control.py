"""What cannot matter must do nothing; where it seems to, that is said and counts."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from features.study import Measure
from models.adjustment import Exposure
from models.effects import Effect, Estimate
from models.negative_control import checked, failure, to_frame

COLOUR, FONT = Exposure("billing", "colour"), Exposure("advert", "font")


def effect(churn_t: float, revenue_t: float = 0.0) -> Effect:
    revenue = Estimate(revenue_t, 1.0)
    return Effect(Estimate(churn_t, 1.0), revenue, revenue, 0.1, 1.0, np.zeros((1, 3)), 300)


@pytest.mark.parametrize(("t", "passes"), [(2.2, True), (2.3, False)])
def test_one_control_is_tested_on_both_outcomes_together(t, passes):
    # Two outcomes at 5 % together: |t| of 2.241.
    assert checked([(COLOUR, "colour x 1.2", effect(0.0, -t))])[0].passes == passes


def test_controls_are_tested_together_by_holm():
    both = checked([(COLOUR, "colour x 1.2", effect(2.3)), (FONT, "font x 1.2", effect(0.1))])
    assert [one.passes for one in both] == [True, True]


def test_failing_controls_are_named():
    found = checked([(COLOUR, "colour x 1.2", effect(9.0)), (FONT, "font x 1.2", effect(0.1))])
    assert failure(found) == "what cannot matter (billing: colour) seems to have an effect too"
    assert to_frame(found)["check"].tolist() == ["fails", "passes"]
    assert failure(found[1:]) == failure(()) == ""


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"kind": "rating"}, "'m' is a rating, a consequence, so it is never moved"),
        ({"kind": "count", "known": "after"}, "'m' is known only after the outcome, so it is never moved"),
    ],
)
def test_what_is_never_moved_is_no_negative_control(given, match):
    with pytest.raises(ValidationError, match=match):
        Measure(name="m", unit="u", direction="lower", negative_control=True, **given)
