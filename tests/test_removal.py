"""Removing a touchpoint: which do not happen, how often they were, and when that cannot be learnt."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from features.errors import StudyError
from models.adjustment import Exposure
from models.initiatives import move_touchpoints, refusal
from models.removal import removal_refusal, seen_with
from tests.test_initiatives import CUSTOMERS, EVERYTHING, STUDY, TOUCHPOINTS, read

CALLS = "{journey: support, touchpoint: call, remove: 1}"


def buckets(having: int, of: int = 200):
    """Support cases that begin with a chat, and some that have a call."""
    every = [(case, "chat") for case in range(of)] + [(case, "call") for case in range(having)]
    table = pa.table(
        {
            "journey": ["support"] * len(every), "touchpoint": [name for _, name in every],
            "journey_key": [case for case, _ in every],
        }
    )  # fmt: skip
    return lambda: [SimpleNamespace(touchpoints=table)]


def test_all_of_a_touchpoint_or_none_of_it_is_gone():
    found = move_touchpoints(read(CALLS), STUDY, TOUCHPOINTS, CUSTOMERS, 0, 100)
    assert found.touchpoints["touchpoint"].to_pylist() == ["call"] * 3
    assert found.gone.all()
    assert found.delivered == {}
    none = move_touchpoints(read(CALLS.replace("1}", "0}")), STUDY, TOUCHPOINTS, CUSTOMERS, 0, 100)
    assert not none.gone.any()


def test_a_share_is_gone_by_luck_and_more_of_it_when_more_is_delivered():
    many = pa.concat_tables([TOUCHPOINTS] * 400)
    many = many.set_column(0, "customer_key", pa.array(np.repeat([0, 1], [1_000, 1_000])))
    many = many.set_column(4, "occurred_at", pa.array(np.arange(1, 2_001)))
    plans = [CALLS, CALLS.replace("1}", "0.5}"), CALLS.replace("1}", "0.5}")]
    extras = ["", "", "    delivery: [0.5, 0.5, 0.5]\n"]
    found = [
        move_touchpoints(read(plan, extra), STUDY, many, CUSTOMERS, 0, 3_000)
        for plan, extra in zip(plans, extras, strict=True)
    ]
    assert all(one.gone.all() for one in found)  # what stays is not among the moved
    every, half, less = (set(one.touchpoints["occurred_at"].to_pylist()) for one in found)
    assert len(half) == pytest.approx(0.5 * len(every), rel=0.1)
    assert len(less) == pytest.approx(0.25 * len(every), rel=0.2)
    assert less < half < every


def test_with_a_touchpoint_goes_all_that_is_measured_in_its_journey():
    one = read(CALLS)
    assert one.moved == ()
    assert one.moved_among(EVERYTHING) == (Exposure("support", "resolved"), Exposure("support", "wait"))
    assert one.changes[0].describe() == "support call 100 % of them removed"


@pytest.mark.parametrize(
    ("having", "said"), [(600, "hardly ever seen"), (3, "too few to learn"), (150, "at least 200 are"), (300, "")]
)
def test_what_was_never_absent_or_hardly_there_is_refused(having, said):
    reason = removal_refusal(read(CALLS), buckets(having, 600))
    assert said in reason
    assert bool(reason) == bool(said)
    assert seen_with(buckets(having, 600)(), "support", "call") == (having / 600, having)


def test_where_nothing_is_measured_in_a_journey_nothing_can_be_removed_from_it():
    assert "Nothing is measured in support" in refusal(read(CALLS), STUDY, frozenset({Exposure("billing", "error")}))
    assert refusal(read(CALLS), STUDY, frozenset({Exposure("support", "wait")})) == ""


def test_a_journey_that_never_happens_has_no_touchpoints():
    assert seen_with(buckets(10)(), "billing", "invoice") == (0.0, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{journey: support, remove: 1}", "Expected touchpoint, no measure"),
        ("{journey: support, touchpoint: call, measure: wait, remove: 1}", "Expected touchpoint, no measure"),
        ("{journey: support, touchpoint: call, remove: 2}", "initiatives.yaml:4"),
        ("{journey: support, scale: 0.5}", "scale does not say of what. Expected measure: NAME"),
        ("{journey: support, measure: wait, touchpoint: call, speed_up: 0.3}", "sped up as a whole"),
        ("{journey: support, measure: wait, speed_up: 1}", "initiatives.yaml:4"),
        ("{journey: support, measure: resolved, speed_up: 0.3}", "'resolved' is a share; only a duration"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(change, said):
    with pytest.raises(StudyError, match=said):
        read(change)
