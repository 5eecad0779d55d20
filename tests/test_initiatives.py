"""Initiatives: read strictly, and moved touchpoints counted by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.errors import StudyError
from models.adjustment import Exposure
from models.initiatives import Initiative, move_touchpoints, refusal
from models.plans_file import parse_plans
from tests.studies import study_of

STUDY = study_of(
    """
journeys: [{name: billing, stage: use}, {name: support, stage: use}]
measures:
  - {name: outage, unit: h, kind: duration, direction: lower, control: none}
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: resolved, unit: share, kind: share, direction: higher, journeys: [support]}
  - {name: done, unit: share, kind: share, direction: higher, task: true, journeys: [support]}
  - {name: late, unit: days, kind: duration, direction: lower, known: after}
  - {name: rating, unit: points, kind: rating, direction: higher}
""",
    covariates="segment",
)
CUSTOMERS = pa.table({"customer_key": [0, 1], "segment": ["basic", "premium"]})
TOUCHPOINTS = pa.table(
    {
        "customer_key": [0, 0, 0, 1, 1],
        "journey": ["support", "support", "billing", "support", "support"],
        "touchpoint": ["call", "chat", "invoice", "call", "call"],
        "channel": ["phone", "web", "mail", "phone", None],
        "occurred_at": [10, 20, 30, 10, 40],
        "wait": [10.0, 20.0, np.nan, 30.0, 40.0],
        "resolved": [0.0, 1.0, np.nan, 0.0, 0.0],
    }
)
EVERYTHING = frozenset({Exposure("support", "wait"), Exposure("support", "resolved"), Exposure("billing", "outage")})


def text(change: str = "{journey: support, measure: wait, scale: 0.5}", extra: str = "") -> str:
    return f"initiatives:\n  - name: one\n    changes:\n      - {change}\n{extra}"


def read(change: str = "{journey: support, measure: wait, scale: 0.5}", extra: str = "") -> Initiative:
    return parse_plans(text(change, extra), "initiatives.yaml", STUDY).initiatives[0]


def moved(initiative: Initiative, after: int = 0, until: int = 100) -> dict[tuple[int, int], float]:
    found = move_touchpoints(initiative, STUDY, TOUCHPOINTS, CUSTOMERS, after, until)
    (values,) = found.delivered.values()
    keys = zip(found.touchpoints["customer_key"].to_pylist(), found.touchpoints["occurred_at"].to_pylist(), strict=True)
    return dict(zip(keys, values.tolist(), strict=True))


def test_every_contact_of_the_journey_is_moved():
    assert moved(read()) == {(0, 10): 5.0, (0, 20): 10.0, (1, 10): 15.0, (1, 40): 20.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [("scale: 0.5", 5.0), ("shift: -2", 8.0), ("cap: 4", 4.0), ("floor: 12", 12.0)],
)
def test_ways_of_moving(change, expected):
    assert moved(read(f"{{journey: support, measure: wait, {change}}}"))[0, 10] == expected


def test_only_contacts_after_go_live_and_within_the_horizon_are_moved():
    assert set(moved(read(), after=10, until=20)) == {(0, 20)}


def test_touchpoint_and_channel_narrow_the_change():
    assert set(moved(read("{journey: support, touchpoint: call, measure: wait, scale: 0.5}"))) == {
        (0, 10),
        (1, 10),
        (1, 40),
    }
    assert set(moved(read("{journey: support, channel: phone, measure: wait, scale: 0.5}"))) == {(0, 10), (1, 10)}


def test_a_filter_narrows_the_customers():
    assert set(moved(read(extra="    where: {segment: [premium]}\n"))) == {(1, 10), (1, 40)}


def test_half_of_the_promise_moves_half_of_the_way():
    assert moved(read(extra="    delivery: [0.5, 0.5, 0.5]\n"))[0, 10] == 7.5


def test_expected_delivery_is_the_pert_mean():
    assert read(extra="    delivery: [0.5, 0.8, 1.0]\n").expected_delivery == pytest.approx((0.5 + 3.2 + 1.0) / 6)


def test_converting_everything_mends_every_failure_and_touches_no_success():
    assert set(moved(read("{journey: support, measure: resolved, convert: 1}")).values()) == {1.0}


def test_converting_a_share_mends_that_share_whole():
    n = 20_000
    many = pa.table(
        {
            "customer_key": np.arange(n), "journey": ["support"] * n, "touchpoint": ["call"] * n,
            "channel": ["phone"] * n, "occurred_at": np.full(n, 10), "wait": np.zeros(n), "resolved": np.zeros(n),
        }
    )  # fmt: skip
    people = pa.table({"customer_key": np.arange(n), "segment": ["basic"] * n})
    found = move_touchpoints(read("{journey: support, measure: resolved, convert: 0.3}"), STUDY, many, people, 0, 100)
    values = found.delivered["resolved"]
    assert set(values) == {0.0, 1.0}
    assert values.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / n))


def test_identity_moves_no_value():
    observed = {(0, 10): 10.0, (0, 20): 20.0, (1, 10): 30.0, (1, 40): 40.0}
    assert moved(read("{journey: support, measure: wait, scale: 1}")) == observed


def test_two_changes_of_one_measure_act_one_after_the_other():
    both = "{journey: support, measure: wait, scale: 0.5}\n      - {journey: support, measure: wait, shift: 1}"
    assert moved(read(both))[0, 10] == 6.0


@pytest.mark.parametrize(
    ("change", "extra", "message"),
    [
        ("{journey: suport, measure: wait, scale: 0.5}", "", r"yaml:4: .*no journey is called 'suport'.*support"),
        ("{journey: support, measure: weight, scale: 0.5}", "", r"no measure is called 'weight'.*wait"),
        ("{journey: billing, measure: wait, scale: 0.5}", "", r"'wait' is not measured in 'billing'"),
        ("{journey: support, measure: wait, convert: 0.5}", "", r"'wait' is a duration; only a share"),
        ("{journey: support, measure: done, scale: 0.5}", "", r"'done' says whether a task was done"),
        ("{journey: support, measure: wait}", "", r"none of shift, scale.* Expected exactly one"),
        ("{journey: support, measure: wait, scale: 0.5, cap: 3}", "", r"scale, cap of shift.* Expected exactly one"),
        ("{journey: support, measure: wait, scal: 0.5}", "", r"unknown key.*scale"),
        ("{journey: support, measure: wait, scale: .nan}", "", r"initiatives.yaml:4"),
        ("{journey: support, measure: wait, scale: 0.5}", "    reach: 0\n", r"initiatives.yaml:5: .*reach"),
        ("{journey: support, measure: wait, scale: 0.5}", "    reach: 1.5\n", r"initiatives.yaml:5: .*reach"),
        ("{journey: support, measure: wait, scale: 0.5}", "    delivery: [0.9, 0.5, 1]\n", r"low <= likely <= high"),
        ("{journey: support, measure: wait, scale: 0.5}", "    cost: {once: -5}\n", r"once"),
        ("{journey: support, measure: wait, scale: 0.5}", "    where: {segmnt: [a]}\n", r"called 'segmnt'"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line(change, extra, message):
    with pytest.raises(StudyError, match=message):
        read(change, extra)


def test_all_faults_are_listed_at_once():
    with pytest.raises(StudyError, match=r"(?s)suport.*reach"):
        read("{journey: suport, measure: wait, scale: 0.5}", "    reach: 2\n")


def test_the_same_name_twice_is_refused():
    twice = text() + text().removeprefix("initiatives:\n")
    with pytest.raises(StudyError, match="'one' is given twice"):
        parse_plans(twice, "initiatives.yaml", STUDY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("{journey: billing, measure: outage, scale: 0.5}", "Nobody controls outage"),
        ("{journey: support, measure: rating, shift: 1}", "what customers answer"),
        ("{journey: support, measure: late, scale: 0.5}", "only after the outcome"),
    ],
)
def test_what_nobody_can_carry_out_is_refused_with_the_reason(change, reason):
    assert reason in refusal(read(change), STUDY, EVERYTHING)


def test_a_measure_without_values_is_refused():
    assert "no values in support" in refusal(read(), STUDY, frozenset())


def test_what_can_be_done_is_not_refused():
    assert refusal(read(), STUDY, EVERYTHING) == ""


def test_a_change_can_be_read():
    assert read().changes[0].describe() == "support wait x 0.5"
    mended = read("{journey: support, touchpoint: call, measure: resolved, convert: 0.2}").changes[0]
    assert mended.describe() == "support call resolved: 20 % of failures mended"
