"""Which pairs of initiatives can stand in each other's way; what they do together is held to truth in test_policy."""

from __future__ import annotations

from features.study import parse_study
from models import overlaps
from models.initiatives import Change, Initiative
from models.overlaps import pairs_on_a_path
from tests.test_adjustment import STUDY as TEXT

STUDY = parse_study(TEXT, "study.yaml")


def moving(name: str, journey: str, measure: str) -> Initiative:
    return Initiative(name=name, changes=(Change(journey=journey, measure=measure, scale=0.5),))


PHONE, CHAT = moving("phone", "support", "wait"), moving("chat", "support", "wait")
SOLVE, BILLS = moving("solve", "support", "resolved"), moving("bills", "billing", "error")
VISIT, REPLY = moving("visit", "onboarding", "delay"), moving("reply", "complaint", "reply")


def test_pairs_are_those_of_one_journey_or_on_a_way_by_arrows():
    assert pairs_on_a_path(STUDY, [PHONE, BILLS]) == (("bills", "phone"),)
    assert pairs_on_a_path(STUDY, [VISIT, REPLY]) == (("reply", "visit"),)
    assert pairs_on_a_path(STUDY, [VISIT, BILLS]) == ()
    assert pairs_on_a_path(STUDY, [PHONE]) == ()


def test_the_closest_come_first_and_the_order_of_the_file_plays_no_part():
    found = pairs_on_a_path(STUDY, [SOLVE, BILLS, PHONE, CHAT])
    assert found[:3] == (("chat", "phone"), ("chat", "solve"), ("phone", "solve"))
    assert found == pairs_on_a_path(STUDY, [CHAT, PHONE, BILLS, SOLVE])
    assert len(found) == 6


def test_of_many_only_the_closest_are_kept(monkeypatch):
    monkeypatch.setattr(overlaps, "MOST_PAIRS", 2)
    assert pairs_on_a_path(STUDY, [SOLVE, BILLS, PHONE, CHAT]) == (("chat", "phone"), ("chat", "solve"))
