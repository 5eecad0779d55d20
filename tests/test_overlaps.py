"""Which pairs of initiatives can stand in each other's way; what they do together is held to truth in test_policy."""

from __future__ import annotations

from models import overlaps
from models.initiatives import Change, Initiative
from models.overlaps import _meet, pairs_on_a_path
from tests.test_adjustment import STUDY


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


def changing(name: str, **change: object) -> Initiative:
    return Initiative(name=name, changes=(Change.model_validate(change),))


def test_what_is_removed_or_moved_in_time_meets_all_that_changes_its_journey():
    fewer = changing("fewer", journey="support", touchpoint="call", remove=0.5)
    none = changing("none", journey="support", touchpoint="call", remove=1.0)
    sooner = changing("sooner", journey="support", measure="wait", speed_up=0.5)
    for one, other in ((fewer, PHONE), (fewer, none), (sooner, SOLVE)):
        assert pairs_on_a_path(STUDY, [one, other]) == (tuple(sorted((one.name, other.name))),)
        assert _meet(STUDY, one, other)
    assert not _meet(STUDY, fewer, BILLS)
