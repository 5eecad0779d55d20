"""Bands of revenue reach as far as past spend seems to have moved, and only where that is more than chance."""

import math

import numpy as np
import pytest

from models.doubts import as_far_as_the_past, doubts
from models.effects import Effect, Estimate
from models.placebo import Placebo
from models.verdicts import Evidence, judge

GAIN = Estimate(0.6, 0.06)
HALF = GAIN.hi - GAIN.value


def placebo(value, se=0.03):
    return Placebo(Estimate(value, se), 1_000)


def test_the_band_reaches_what_is_left_when_the_past_is_taken_off():
    far = placebo(0.5).effect.hi
    assert as_far_as_the_past(GAIN, (0.5, 0.7), placebo(0.5)) == pytest.approx((GAIN.lo - far, 0.7))
    # The other way round: what seems to have lowered past spend may hide a gain.
    far = placebo(-0.5).effect.lo
    assert as_far_as_the_past(GAIN, (0.3, 0.7), placebo(-0.5)) == pytest.approx((0.3, GAIN.hi - far))


def test_a_band_that_is_wider_stays_and_one_that_is_not_known_is_made():
    assert as_far_as_the_past(GAIN, (-9.0, 9.0), placebo(0.5)) == (-9.0, 9.0)
    lo, hi = as_far_as_the_past(GAIN, (math.nan, math.nan), placebo(0.5))
    assert (lo, hi) == pytest.approx((GAIN.lo - placebo(0.5).effect.hi, GAIN.hi))


@pytest.mark.parametrize("past", [placebo(0.5), placebo(0.01)])
def test_only_a_failing_placebo_widens(past):
    influence = np.random.default_rng(1).normal(size=(1_000, 3)) * np.array([0.01, 0.06, 0.06]) / math.sqrt(1_000)
    effect = Effect(Estimate(-0.05, 0.01), GAIN, GAIN, 0.1, 20.0, influence, 1_000)
    (ruling,) = judge([Evidence(effect, 1.0, past)], np.random.default_rng(1))
    shown = doubts(effect, ruling, past)
    if past.effect.value > 0.1:
        assert ruling.placebo == "fails"
        assert shown["revenue_band_lo"] == pytest.approx(GAIN.lo - past.effect.hi)
        assert shown["revenue_band_hi"] == pytest.approx(GAIN.hi)
    else:
        assert ruling.placebo == "passes"
        assert math.isnan(shown["revenue_band_lo"])
    assert math.isnan(shown["churn_band_lo"])
