"""Initiatives in flat tables: true effects, what is held fixed, who moves, segments, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.study import parse_study
from models.adjustment import Exposure
from models.double_ml import fit_outcome
from models.effects import Estimate
from models.flat_effects import FlatRuling, flat_effects, moved_values, outcomes_of
from models.initiatives import Change, Initiative
from tests.flat_worlds import NAMES, STUDY, TEXT, data_of, panel

FASTER = Change(journey="support", measure="wait", shift=-2.0)
QUICK = ("linear",)


def effects(frame: pd.DataFrame, *changes: Change, study=STUDY, **given):
    found, refused = flat_effects(
        data_of(frame, study), [Initiative(name="one", changes=changes, **given)], learners=QUICK
    )
    assert refused == {}
    return {one.outcome: one for one in found}


def refusal_of(*changes: Change, frame: pd.DataFrame | None = None) -> str:
    data = data_of(panel(600) if frame is None else frame)
    found, refused = flat_effects(data, [Initiative(name="one", changes=changes)], learners=QUICK)
    assert found == ()
    return refused["one"]


def test_the_total_effect_of_a_confounded_world_is_found_and_correlation_misses_it():
    found = effects(panel(), FASTER)["revenue"]
    # -0.5 a minute by itself, and as much again by half a call a minute at -1 a call; a tenth has no wait.
    truth = -2.0 * -1.0 * 0.9
    assert abs(found.estimate.value - truth) < 3 * found.estimate.se
    assert found.estimate.se < 0.15
    assert found.raw > truth + 5 * found.estimate.se
    assert "support: calls" not in found.adjustment.describe()


def test_without_a_past_to_test_on_the_surest_effect_is_only_possible():
    found = effects(panel(), FASTER)["revenue"]
    assert abs(found.estimate.t) > 10
    assert found.ruling(2) == FlatRuling(
        "possible", "Beyond chance, but a flat table has no past to test it on (no placebo)."
    )


@pytest.mark.parametrize(
    ("outcome", "value", "expected"),
    [
        ("is_churned", 1.0, FlatRuling("harmful", "Beyond chance more customers leave.")),
        ("is_churned", 0.1, FlatRuling("undecided", "Chance alone could explain it.")),
        ("revenue", -1.0, FlatRuling("harmful", "Beyond chance less is spent.")),
    ],
)
def test_what_surely_harms_is_called_harmful_whichever_way_is_worse(outcome, value, expected):
    found = replace(effects(panel(600), FASTER)["revenue"], outcome=outcome, estimate=Estimate(value, 0.1))
    assert found.ruling(2) == expected


def test_of_other_outcomes_nobody_knows_which_way_is_worse():
    found = effects(panel(600), FASTER)["revenue"]
    for value in (1.0, -1.0):
        assert replace(found, outcome="rating", estimate=Estimate(value, 0.1)).ruling(2).verdict == "possible"


def test_holding_everything_fixed_hides_what_works_through_calls():
    data = data_of(panel())
    wait, calls = Exposure("support", "wait"), Exposure("support", "calls")
    moved, _ = moved_values(data, Initiative(name="one", changes=(FASTER,)))
    ordered = data.held_fixed([wait])
    everything = type(ordered)(
        (wait,), (Exposure("billing", "error"), calls), (), (), (), (), (), ordered.covariates, ()
    )
    truth = 1.8
    estimate = {
        name: fit_outcome(data.rows(held, "revenue"), learners=QUICK).moved(moved).effect(np.ones(3_000, bool)).estimate
        for name, held in (("ordered", ordered), ("everything", everything))
    }
    assert estimate["ordered"].lo < truth < estimate["ordered"].hi
    assert estimate["everything"].value < 0.75 * truth
    assert estimate["everything"].hi < truth


def test_ratings_and_consequences_are_never_held_fixed():
    data = data_of(panel(600))
    order = ["error", "wait", "calls"]
    for place, name in enumerate(order):
        exposure = next(e for e in data.observed if e.measure == name)
        held = data.held_fixed([exposure])
        assert {e.measure for e in (*held.upstream, *held.context)} == set(order[:place])


def test_a_policy_that_changes_nothing_has_exactly_no_effect():
    found = effects(panel(600), Change(journey="support", measure="wait", scale=1.0))
    for one in found.values():
        assert (one.estimate.value, one.estimate.se, one.raw) == (0.0, 0.0, 0.0)
        assert one.support.moved == 0
        assert one.ruling(2) == FlatRuling("undecided", "Chance alone could explain it.")


def test_the_order_of_rows_does_not_matter():
    frame = panel(800)
    first = effects(frame, FASTER)["revenue"]
    shuffled = effects(frame.sample(frac=1.0, random_state=3), FASTER)["revenue"]
    assert (first.estimate, first.support) == (shuffled.estimate, shuffled.support)


def test_who_is_not_reached_or_has_no_value_does_not_move():
    data = data_of(panel(600))
    one = Initiative(name="one", changes=(FASTER,), where={"segment": ("plus",)})
    moved, reached = moved_values(data, one)
    before = data.value(Exposure("support", "wait"))
    applies = ~np.isnan(before)
    assert moved[~reached, 0] == pytest.approx(before[~reached], nan_ok=True)
    assert moved[reached & applies, 0] == pytest.approx(np.maximum(before[reached & applies] - 2.0, 0.0))
    assert np.isnan(moved[~applies, 0]).all()


def test_half_of_the_reach_has_half_of_the_effect():
    whole, half = (effects(panel(800), FASTER, reach=reach)["revenue"] for reach in (1.0, 0.5))
    assert half.estimate.value == pytest.approx(whole.estimate.value / 2)
    assert half.influence == pytest.approx(whole.influence / 2)


def test_initiatives_are_told_together_by_their_influence():
    data = data_of(panel(1_500))
    plans = [
        Initiative(name=f"x{i}", changes=(Change(journey="support", measure="wait", shift=-s),))
        for i, s in ((1, 1), (2, 2))
    ]
    found, _ = flat_effects(data, plans, learners=QUICK)
    one, two = [e for e in found if e.outcome == "revenue"]
    assert np.sqrt((one.influence**2).sum()) == pytest.approx(one.estimate.se)
    correlation = one.influence @ two.influence / (one.estimate.se * two.estimate.se)
    assert correlation > 0.95


def test_segments_are_told_apart_with_their_own_intervals():
    frame = panel(4_000)
    plus = frame["segment"].eq("plus") & frame[NAMES["wait"]].notna()
    frame.loc[plus, "revenue"] -= 1.0 * frame.loc[plus, NAMES["wait"]]  # a minute costs twice as much there
    found = {one.level: one for one in effects(frame, FASTER)["revenue"].segments}
    assert found["basic"].estimate.lo < 1.8 < found["basic"].estimate.hi
    assert found["plus"].estimate.lo < 3.6 < found["plus"].estimate.hi
    assert found["plus"].p_adjusted < 0.001
    assert found["plus"].rows + found["basic"].rows == 4_000


def test_segments_that_are_alike_are_not_called_different():
    found = effects(panel(4_000, seed=5), FASTER)["revenue"].segments
    assert min(one.p_adjusted for one in found) > 0.05


def test_what_lies_outside_of_everything_observed_is_refused_without_a_number():
    found = effects(panel(800), Change(journey="support", measure="wait", shift=-60.0))["revenue"]
    assert found.reason.startswith("Only 0 % of the moved values lie within what was observed")
    assert np.isnan([found.estimate.value, found.estimate.se, found.plug_in]).all()
    assert np.isnan(found.influence).all()
    assert found.ruling(2) == FlatRuling("refused", found.reason)


def test_few_customers_and_few_events_are_refused():
    few = effects(panel(150), FASTER)
    assert few["revenue"].reason == "Only 150 customers have the outcome; at least 200 are needed."
    frame = panel(800).assign(is_churned=lambda f: (f.index < 10).astype(float))
    assert effects(frame, FASTER)["is_churned"].reason == (
        "Only 10 rows have the rarer outcome; at least 30 are needed."
    )


def test_what_a_flat_table_cannot_tell_is_refused_in_a_sentence():
    chat = Change(journey="support", measure="wait", shift=-1.0, channel="chat")
    assert "no channels, so 'chat'" in refusal_of(chat)
    desk = Change(journey="support", measure="wait", shift=-1.0, touchpoint="desk")
    assert refusal_of(desk).startswith("wait is measured at no named touchpoint, not at 'desk'")
    rating = Change(journey="support", measure="score", shift=1.0)
    assert "a consequence" in refusal_of(rating)
    constant = panel(600).assign(**{NAMES["calls"]: 1.0})
    assert "nothing can be learnt" in refusal_of(Change(journey="support", measure="calls", scale=0.5), frame=constant)


def test_values_stay_within_the_bounds_of_the_measure():
    data = data_of(panel(600))
    moved, _ = moved_values(
        data, Initiative(name="one", changes=(Change(journey="support", measure="wait", shift=-20.0),))
    )
    assert np.nanmin(moved) == 0.0


def test_outcomes_that_are_never_known_are_left_out():
    assert outcomes_of(STUDY, panel(50).assign(revenue=np.nan)) == ("is_churned",)


def test_waves_are_held_fixed():
    study = parse_study(TEXT.replace("churned: left", "churned: left, wave: year"), "study.yaml")
    frame = panel(1_200, seed=6)
    late = np.arange(1_200) % 2 == 1
    # The second wave is slower and better paid for reasons of its own.
    frame = frame.assign(cutoff=late.astype(int), revenue=frame["revenue"] + 50 * late)
    frame[NAMES["wait"]] += 5.0 * late
    found = effects(frame, FASTER, study=study)["revenue"]
    assert abs(found.estimate.value - 1.8) < 3 * found.estimate.se
    assert found.adjustment.describe().endswith("wave")
