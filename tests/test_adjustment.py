"""Controls come from upstream, never from what follows."""

from __future__ import annotations

from features.study import parse_study
from models.adjustment import Exposure, adjustment_set, descendants
from tests.studies import study_text

TEXT = study_text(
    """
journeys:
  - {name: onboarding, stage: join, leads_to: [support]}
  - {name: usage, stage: use}
  - {name: billing, stage: use, leads_to: [support]}
  - {name: support, stage: use, leads_to: [complaint]}
  - {name: complaint, stage: use, leads_to: [support]}
measures:
  - {name: delay, unit: days, kind: gap, direction: lower, journeys: [onboarding]}
  - {name: outage, unit: h, kind: duration, direction: lower, control: none, journeys: [usage]}
  - {name: error, unit: share, kind: share, direction: lower, journeys: [billing]}
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: resolved, unit: share, kind: share, direction: higher, journeys: [support]}
  - {name: reply, unit: days, kind: duration, direction: lower, journeys: [complaint]}
  - {name: rating, unit: points, kind: rating, direction: higher}
""",
    covariates="segment",
)
STUDY = parse_study(TEXT, "study.yaml")
FLAT = """
study: a
sources: {t: t.csv}
flat: {from: t, columns: {customer_id: id}, churned: left, covariates: [segment]}
journeys: [{name: billing, stage: use, leads_to: [support]}, {name: support, stage: use, leads_to: [complaint]},
  {name: complaint, stage: use}]
measures:
  - {name: error, unit: share, kind: share, direction: lower, journey: billing}
  - {name: wait, unit: min, kind: duration, direction: lower, journey: support}
  - {name: reply, unit: days, kind: duration, direction: lower, journey: complaint}
"""
EVERYTHING = [
    Exposure("onboarding", "delay"), Exposure("usage", "outage"), Exposure("billing", "error"),
    Exposure("support", "wait"), Exposure("support", "resolved"), Exposure("complaint", "reply"),
    Exposure("support", "rating"), Exposure("billing", "rating"),
]  # fmt: skip


def adjusted(journey: str, measure: str):
    return adjustment_set(STUDY, [Exposure(journey, measure)], EVERYTHING)


CAUSED_BY_ERRORS = {"support: wait", "support: resolved", "complaint: reply"}


def test_what_a_measure_causes_moves_along():
    held = adjusted("billing", "error")
    assert {str(e) for e in held.carried} == CAUSED_BY_ERRORS
    assert not {*held.carried} & {*held.upstream, *held.context, *held.left_out}


def test_in_a_flat_table_what_a_measure_causes_is_left_out():
    caused = [Exposure("support", "wait"), Exposure("complaint", "reply")]
    error = Exposure("billing", "error")
    held = adjustment_set(parse_study(FLAT, "study.yaml"), [error], [error, *caused])
    assert set(held.left_out) == set(caused)
    assert (held.carried, held.carried_volumes, held.volumes) == ((), (), ())


def test_earlier_journeys_are_held_fixed():
    assert adjusted("billing", "error").upstream == (Exposure("onboarding", "delay"),)


def test_earlier_measures_of_the_same_touchpoint_are_held_fixed_and_later_ones_are_not():
    resolved, wait = adjusted("support", "resolved"), adjusted("support", "wait")
    assert Exposure("support", "wait") in resolved.upstream
    assert Exposure("support", "resolved") in wait.carried


def test_ratings_are_never_held_fixed():
    for exposure in EVERYTHING[:6]:
        held = adjusted(exposure.journey, exposure.measure)
        assert not any(e.measure == "rating" for e in (*held.upstream, *held.context, *held.carried))


def test_a_journey_in_a_loop_moves_along_rather_than_being_held_fixed():
    assert Exposure("support", "wait") in adjusted("complaint", "reply").carried
    assert Exposure("complaint", "reply") in adjusted("support", "wait").carried


def test_what_nobody_controls_is_context():
    assert adjusted("support", "wait").context == (Exposure("usage", "outage"),)


def test_the_number_of_journeys_that_follow_moves_along():
    held = adjusted("billing", "error")
    assert held.volumes == ("onboarding", "usage", "billing")
    assert held.carried_volumes == ("support", "complaint")


def test_with_several_moved_measures_what_any_of_them_causes_moves_along():
    both = adjustment_set(STUDY, [Exposure("onboarding", "delay"), Exposure("support", "wait")], EVERYTHING)
    assert both.moved == (Exposure("onboarding", "delay"), Exposure("support", "wait"))
    assert Exposure("support", "resolved") in both.carried


def test_descendants_follow_arrows_however_long_and_end_in_loops():
    assert descendants(STUDY, "billing") == {"support", "complaint"}
    assert descendants(STUDY, "support") == {"support", "complaint"}


def test_the_set_can_be_read():
    assert adjusted("billing", "error").describe() == (
        "onboarding: delay, usage: outage, number of onboarding, number of usage, number of billing, "
        "segment, tenure, season, spend before; moving along: complaint: reply, support: resolved, support: wait, "
        "number of support, number of complaint"
    )
