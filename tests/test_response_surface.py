"""Sliders: exact where nothing has to be estimated anew, on the parabola where size changes, and quick."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from features.errors import StudyError
from features.study import Money
from models.cash import Cohort
from models.combinations import counted_pairs, counts_every_pair
from models.costs import Cost
from models.forecasts import sample
from models.response_surface import ResponseSurface
from models.retention import constant_retention
from tests.worths import a_forecast, an_effect, an_overlap

COHORT, MONEY = Cohort(1_000, 91), Money(margin=0.5, discount_rate=0.05, months=12)


def surface(effect=None, half=None, draws=500, **given):
    effect = effect or an_effect(churn=-0.01, spend=1.0, se=0.002)
    half = half or an_effect(churn=-0.006, spend=0.5, se=0.001)
    given = {"reach": 0.8, "delivery": (0.5, 0.8, 1.0), "cost": Cost(once=(10, 20, 40))} | given
    samples = sample([a_forecast("one", effect, half=half, **given)], (), np.random.default_rng(2), draws)
    return ResponseSurface(samples, COHORT, MONEY, constant_retention(12))


def exact(**given):
    """The same initiative simulated as changed; its effects given."""
    return surface(**given).answer("one")


def test_nothing_changed_is_the_stored_simulation():
    found = surface()
    assert (found.answer("one").npv == found.answer("one", {"reach": 0.8}).npv).all()


@pytest.mark.parametrize(
    "changed",
    [{"start_month": 3}, {"ramp_months": 6}, {"lasts_months": 5}, {"cost": Cost(monthly=7, once=(1, 2, 9))}],
    ids=str,
)
def test_time_and_cost_are_exact(changed):
    assert surface().answer("one", changed).npv == pytest.approx(exact(**changed).npv, rel=1e-9)


def test_another_reach_scales_effect_and_error():
    smaller = an_effect(churn=-0.005, spend=0.5, se=0.001), an_effect(churn=-0.003, spend=0.25, se=0.0005)
    wanted = exact(effect=smaller[0], half=smaller[1], reach=0.4)
    found = surface().answer("one", {"reach": 0.4})
    assert found.npv == pytest.approx(wanted.npv, rel=1e-5)  # errors are stored in single precision
    assert found.churn.se == pytest.approx(0.001)


def test_sizes_that_were_estimated_are_met_and_no_size_does_nothing():
    found = surface()
    assert found.answer("one", size=0.5).churn.value == pytest.approx(-0.006)
    nothing = found.answer("one", {"cost": Cost()}, size=0.0)
    assert (nothing.npv == 0).all()
    assert found.answer("one", size=0.25).churn.value == pytest.approx(-0.006 * 0.75 - 0.01 * 0.25 * -0.5)


def test_delivering_less_is_a_smaller_size():
    less = surface().answer("one", {"delivery": (0.25, 0.4, 0.5)})
    assert less.churn.value == pytest.approx(-0.006)
    assert less.npv.std() > 0


def test_without_an_estimate_of_half_the_effect_is_a_line():
    samples = surface().samples
    (one,) = samples.initiatives
    straight = replace(one, forecast=replace(one.forecast, half=None))
    found = ResponseSurface(replace(samples, initiatives=(straight,)), COHORT, MONEY, constant_retention(12))
    assert found.answer("one", size=0.5).churn.value == pytest.approx(-0.005)


@pytest.mark.parametrize(
    ("name", "changed", "size", "match"),
    [
        ("on", {}, 1.0, r"no initiative called 'on' was simulated\. Did you mean 'one'"),
        ("one", {"where": {"segment": ["basic"]}}, 1.0, "'where' cannot be changed without a new estimate"),
        ("one", {"reach": 1.5}, 1.0, r"reach 1\.5: out of range for 'one'"),
        (
            "one",
            {"delivery": (0.9, 0.5, 1.0)},
            1.0,
            r"delivery \[0\.9, 0\.5, 1\.0\] is not low",
        ),
        ("one", {}, 1.2, r"size is 1\.2\. Expected a share of the change"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_value(name, changed, size, match):
    with pytest.raises(StudyError, match=match):
        surface().answer(name, changed, size)


def test_an_answer_takes_less_than_a_tenth_of_a_second_of_processor_time():
    found = surface(draws=4_000)
    found.answer("one", {"reach": 0.3})
    started = time.process_time()
    for start in range(5):
        found.answer("one", {"reach": 0.5, "start_month": start, "delivery": (0.3, 0.5, 0.9)}, 0.7)
    assert (time.process_time() - started) / 5 < 0.1


def test_other_versions_of_initiatives_are_answered_with_the_same_luck_or_not_at_all():
    found = surface()
    (stored,) = found.samples.initiatives
    one = stored.forecast.initiative
    same = found.revised([one.model_copy(update={"title": "Other", "start_month": 4})])
    assert same is not None
    assert (same.samples.initiatives[0].noise == stored.noise).all()
    assert same.answer("one").npv == pytest.approx(found.answer("one", {"start_month": 4}).npv, rel=1e-12)
    smaller = found.revised([one.model_copy(update={"reach": 0.4})])
    assert smaller is not None
    assert smaller.answer("one").npv == pytest.approx(found.answer("one", {"reach": 0.4}).npv, rel=1e-12)
    moves_more = one.model_copy(update={"changes": (one.changes[0].model_copy(update={"scale": 0.1}),)})
    assert found.revised([moves_more]) is None
    assert found.revised([one.model_copy(update={"name": "unknown"})]) is None
    assert found.revised([one.model_copy(update={"where": {"segment": ("a",)}})]) is None


def test_what_two_do_together_follows_the_reach_and_delivery_of_each():
    forecasts = [a_forecast("a", delivery=(0.8, 0.8, 0.8)), a_forecast("b", reach=0.8)]
    overlaps = [an_overlap(("a", "b"), churn=-0.004, se=0.001)]
    samples = sample(forecasts, overlaps, np.random.default_rng(2), 300)
    found = ResponseSurface(samples, COHORT, MONEY, constant_retention(12))
    one, other = (each.forecast.initiative for each in samples.initiatives)
    changed = [one.model_copy(update={"delivery": (0.4, 0.4, 0.4)}), other.model_copy(update={"reach": 0.2})]
    moved = found.revised(changed)
    assert moved is not None
    assert moved.samples.overlaps[0].overlap.churn.value == pytest.approx(-0.004 / 8)
    assert moved.samples.overlaps[0].noise == pytest.approx(samples.overlaps[0].noise / 8)
    alone = found.revised(changed[:1])
    assert alone is not None
    assert alone.samples.overlaps == ()


def test_what_two_do_twice_follows_what_is_done_and_not_estimates_of_it():
    # The effect on churn is next to nothing and turns its sign at half of the change; that on spend is large.
    effect, half = an_effect(churn=1e-7, spend=5.0, se=0.001), an_effect(churn=-1e-5, spend=3.0, se=0.001)
    forecasts = [a_forecast("a", effect, half=half), a_forecast("b")]
    samples = sample(forecasts, [an_overlap(("a", "b"), churn=-0.004, se=0.001)], np.random.default_rng(2), 300)
    found = ResponseSurface(samples, COHORT, MONEY, constant_retention(12))
    for changed, size, share in [({}, 0.5, 0.5), ({"reach": 0.6}, 0.5, 0.3), ({"delivery": (0.2, 0.2, 0.2)}, 1.0, 0.2)]:
        less = found.overlap(found.sampled("a", changed, size), found.sampled("b"))
        assert less is not None
        assert less.overlap.churn.value == pytest.approx(-0.004 * share)
        assert less.overlap.churn.se == pytest.approx(samples.overlaps[0].overlap.churn.se * share)
        assert less.noise == pytest.approx(samples.overlaps[0].noise * share)
    nothing = found.overlap(found.sampled("a", {}, 0.0), found.sampled("b"))
    assert nothing is not None
    assert nothing.overlap.churn.value == 0


def test_some_of_many_are_counted_by_the_rule_of_all():
    samples = sample([a_forecast(f"i{number:02}") for number in range(16)], (), np.random.default_rng(2), 20)
    found = ResponseSurface(samples, COHORT, MONEY, constant_retention(12))
    few = found.revised([one.forecast.initiative for one in samples.initiatives[:2]])
    assert few is not None
    fewer = few.revised([few.samples.initiatives[0].forecast.initiative])
    assert fewer is not None
    assert [counts_every_pair(one.samples) for one in (found, few, fewer, surface(draws=20))] == [False] * 3 + [True]
    assert counted_pairs(few.samples) == ()
    assert len(counted_pairs(few.samples, is_every=True)) == 1
