"""Bounds on what hidden causes could do, against closed forms and published values."""

from __future__ import annotations

import numpy as np
import pytest

from models.effects import Estimate
from models.sensitivity import Bound, Way, bias_bound, robustness_value


def test_the_robustness_value_of_darfur_is_the_published_one():
    # Cinelli and Hazlett 2020, table 1: estimate 0.097, standard error 0.023, 783 degrees of freedom.
    t = 4.184
    assert robustness_value(t / 783**0.5) == pytest.approx(0.139, abs=0.0005)
    assert robustness_value(t / 783**0.5 - 1.96300 / 782**0.5) == pytest.approx(0.076, abs=0.0005)


def test_no_effect_needs_no_confounder_to_be_undone():
    assert robustness_value(0.0) == 0.0


@pytest.mark.parametrize(("gain", "tie"), [(0.5, 0.3), (2.0, 0.1), (0.2, 3.0)])
def test_one_omitted_variable_in_a_linear_model_attains_the_bound(gain, tie):
    # y = d + gain u + e, d = tie u + v, all standard normal: the slope without u is off by gain tie / (1 + tie^2).
    left = gain**2 / (1 + tie**2)
    scale = np.sqrt((left + 1) / (1 + tie**2))
    found = bias_bound(scale, left / (left + 1), tie**2 / (1 + tie**2))
    assert found == pytest.approx(gain * tie / (1 + tie**2))


TWO = Bound(
    ("weak", "strong"),
    (Way(2.0, np.array([0.01, 0.1]), np.array([0.02, 0.3])), Way(1.0, np.array([0.2, 0.3]), np.array([0.01, 0.1]))),
)


@pytest.mark.parametrize("name", TWO.names)
@pytest.mark.parametrize("distance", [0.01, 0.4, 50.0])
def test_a_cause_so_many_times_as_strong_bends_by_just_the_distance(name, distance):
    assert TWO.of(name, TWO.times(distance, name)) == pytest.approx(distance, rel=1e-9)


def test_the_bends_of_both_ways_add_up_and_the_strongest_bends_most():
    one, other = (Bound(TWO.names, (way,)) for way in TWO.ways)
    assert TWO.of("strong") == pytest.approx(one.of("strong") + other.of("strong"))
    assert TWO.strongest == "strong"


def test_the_robustness_value_is_the_equal_strength_that_bends_by_the_distance():
    value = TWO.robustness(1.5)
    assert sum(bias_bound(way.scale, value, value) for way in TWO.ways) == pytest.approx(1.5)
    assert TWO.robustness(-0.1) == 0.0


def test_the_band_is_the_interval_widened_by_the_bend():
    estimate, bend = Estimate(1.0, 0.2), TWO.of("weak")
    band = TWO.band(estimate, "weak")
    assert (band.lo, band.hi) == pytest.approx((estimate.lo - bend, estimate.hi + bend))


def test_a_cause_that_explains_all_of_the_quality_has_no_bound():
    assert TWO.of("strong", 4.0) == np.inf


def test_without_covariates_there_is_nothing_to_compare_with():
    none = Bound((), (Way(1.0, np.zeros(0), np.zeros(0)),))
    assert none.strongest == ""
    assert np.isnan(none.of(""))
    assert np.isnan(none.times(1.0, ""))
    assert none.robustness(1.0) == robustness_value(1.0)
