"""The user overrules what is held fixed: what may be said, and what it does."""

from __future__ import annotations

import pytest

from features.errors import StudyError
from features.study import parse_study
from models.adjustment import Exposure, adjustment_set
from tests.test_adjustment import EVERYTHING, TEXT


def with_rule(rule: str) -> str:
    return f"{TEXT}adjustment:\n  - {rule}\n"


def adjusted(rule: str, journey: str = "support", measure: str = "wait"):
    return adjustment_set(parse_study(with_rule(rule), "study.yaml"), [Exposure(journey, measure)], EVERYTHING)


def test_what_is_added_is_held_fixed_and_what_is_removed_is_not_with_the_reason_beside_it():
    held = adjusted(
        "{journey: support, measure: wait, add: [complaint: reply], remove: [billing: error, segment], "
        "reason: complaints come first here.}"
    )
    assert Exposure("complaint", "reply") in held.upstream
    assert Exposure("complaint", "reply") not in held.left_out
    assert Exposure("billing", "error") in held.left_out
    assert held.covariates == ()
    assert "billing" not in held.volumes
    assert held.describe().endswith(
        "(overruled: added complaint: reply and left out billing: error, segment when support: wait moves, "
        "because complaints come first here)"
    )


def test_other_measures_keep_the_order_of_the_study():
    rule = "{journey: support, measure: wait, remove: [segment], reason: it follows}"
    assert adjusted(rule, "support", "resolved").overruled == ()
    assert adjusted(rule, "support", "resolved").covariates == ("segment",)


def test_what_was_never_seen_cannot_be_held_fixed():
    study = parse_study(
        with_rule("{journey: support, measure: wait, add: [complaint: reply], reason: why not}"), "study.yaml"
    )
    held = adjustment_set(study, [Exposure("support", "wait")], EVERYTHING[:5])
    assert held.overruled == ()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{journey: support, measure: wait, add: [complaint: reply]}", "reason"),
        ("{journey: support, measure: wait, add: [complaint: reply], reason: ' '}", "the reason is empty"),
        ("{journey: support, measure: wait, reason: x}", "nothing is overruled"),
        ("{journey: support, measure: wat, add: [complaint: reply], reason: x}", "'support: wat'.*Did you mean"),
        ("{journey: support, measure: wait, add: [complaint: replies], reason: x}", "no measure or baseline column"),
        ("{journey: support, measure: wait, add: [support: rating], reason: x}", "is a rating"),
        ("{journey: support, measure: wait, add: [support: wait], reason: x}", "is what is moved"),
        ("{journey: support, measure: wait, add: [segment], reason: x}", "is held fixed anyway"),
        (
            "{journey: support, measure: wait, add: [billing: error], remove: [billing: error], reason: x}",
            "is in add and in remove",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_with_its_line(rule, said):
    with pytest.raises(StudyError, match=said) as caught:
        parse_study(with_rule(rule), "study.yaml")
    assert "study.yaml:2" in str(caught.value)


def test_one_measure_is_overruled_once():
    rule = "{journey: support, measure: wait, remove: [segment], reason: x}"
    with pytest.raises(StudyError, match="overruled twice"):
        parse_study(f"{with_rule(rule)}  - {rule}\n", "study.yaml")


def test_no_row_of_the_panel_depends_on_an_overrule():
    rule = "{journey: support, measure: wait, remove: [segment], reason: x}"
    before, after = parse_study(TEXT, "study.yaml"), parse_study(with_rule(rule), "study.yaml")
    assert before.panel_fingerprint() == after.panel_fingerprint()
    assert before.fingerprint() != after.fingerprint()
