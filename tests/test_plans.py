"""The initiatives file known again: what leads to a new estimate, what to counting money anew, and what to nothing."""

from __future__ import annotations

import pytest

from features.errors import StudyError
from flows.plans import Plans, overridden, same_estimates
from models.costs import Cost
from models.funding import Funding
from models.initiatives import Change
from tests.worths import an_initiative


def plans(**given) -> Plans:
    one = an_initiative("one", reach=0.8, delivery=(0.25, 0.5, 0.75))
    return Plans("text", (one.model_copy(update=given),), Funding())


BEFORE = plans()


@pytest.mark.parametrize(
    "given",
    [
        {"cost": Cost(once=5)}, {"start_month": 2}, {"ramp_months": 3}, {"lasts_months": 9},
        {"delivery": (0.0, 0.5, 1.0)},  # another spread, the same mean
    ],
    ids=str,
)  # fmt: skip
def test_timing_cost_and_spread_are_counted_anew_from_the_same_estimates(given):
    now = plans(**given)
    assert now.fingerprint != BEFORE.fingerprint
    assert now.estimates_fingerprint == BEFORE.estimates_fingerprint


@pytest.mark.parametrize(
    "given",
    [
        {"reach": 0.7}, {"delivery": (0.25, 0.5, 0.8)}, {"where": {"segment": ("plus",)}},
        {"changes": (Change(journey="support", measure="wait", scale=0.6),)},
    ],
    ids=str,
)  # fmt: skip
def test_what_moves_the_effect_is_estimated_anew(given):
    assert plans(**given).estimates_fingerprint != BEFORE.estimates_fingerprint


@pytest.mark.parametrize("given", [{"title": "One"}, {"owner": "x"}, {"capacity": {"a": 1.0}}, {"needs": ("b",)}])
def test_words_and_rules_of_choice_change_neither(given):
    now = plans(**given)
    assert (now.fingerprint, now.estimates_fingerprint) == (BEFORE.fingerprint, BEFORE.estimates_fingerprint)


def test_another_name_or_order_is_another_estimate():
    one, two = an_initiative("one"), an_initiative("two")
    known = {Plans("", given, Funding()).estimates_fingerprint for given in ((one, two), (two, one), (one,), (two,))}
    assert len(known) == 4


def test_estimates_are_the_same_whatever_only_the_money_rests_on():
    last = {"seed": "7", "initiatives_fingerprint": "a", "estimates_fingerprint": "x"}
    assert same_estimates(last, last | {"initiatives_fingerprint": "b"})
    assert not same_estimates(last, last | {"seed": "8"})
    assert not same_estimates({"seed": "7", "initiatives_fingerprint": "a"}, last)


def test_the_command_line_overrides_the_file_within_bounds():
    assert overridden(Funding(budget=10, aversion=0.2), {"budget": 20.0, "cash": None}) == Funding(
        budget=20, aversion=0.2
    )
    with pytest.raises(StudyError, match=r"--cash -1 is out of range[\s\S]*--aversion 2 is out of range"):
        overridden(Funding(), {"cash": -1.0, "aversion": 2.0})
