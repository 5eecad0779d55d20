"""Verdicts on effects: stated rules, one chance of error for a list, checks that must not fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.effects import Effect, Estimate
from models.placebo import Placebo
from models.sensitivity import Bound, Sensitivity, Way
from models.verdicts import Evidence, critical_value, judge, placebo_checks

N = 400


def bound(bend: float) -> Bound:
    """A hidden cause as strong as region bends by so much: it explains all that is left of the outcome."""
    return Bound(("region",), (Way(2 * bend, np.array([9.0]), np.array([1 / 6])),))


def effect(churn_t: float, revenue_t: float = 0.0, bend: float = 0.5, customers: int = N, at: int = 0) -> Effect:
    """Standard errors of 1; good effects on churn have a negative t."""
    influence = np.zeros((N, 3))
    influence[at, 0] = influence[at + 1, 1] = 1.0
    known = Sensitivity(bound(bend), bound(bend), bound(bend))
    churn, revenue = Estimate(churn_t, 1.0), Estimate(revenue_t, 1.0)
    return Effect(churn, revenue, revenue, 0.1, 1.0, influence, customers, known)


PASSES = Placebo(Estimate(0.0, 1.0), N)


def rule(one: Effect, support: float = 1.0, placebo: Placebo | None = PASSES, **given):
    return judge([Evidence(one, support, placebo)], np.random.default_rng(1), **given)[0]


def test_the_bend_of_the_stand_in_is_what_it_says():
    assert bound(0.5).of("region") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("given", "support", "expected", "reason"),
    [
        (effect(-4.0), 1.0, "likely", "beyond what a hidden cause as strong as region could do"),
        (effect(0.0, 4.0), 1.0, "likely", "Beyond chance"),
        (effect(-4.0, bend=3.0), 1.0, "possible", "as strong as region could explain it"),
        (effect(-1.5), 1.0, "undecided", "Chance alone"),
        (effect(4.0), 1.0, "harmful", "Beyond chance more customers leave."),
        (effect(0.0, -4.0), 1.0, "harmful", "Beyond chance less is spent."),
        (effect(4.0, -4.0), 1.0, "harmful", "Beyond chance more customers leave and less is spent."),
        (effect(4.0, bend=3.0), 1.0, "harmful", "leave; a hidden cause as strong as region could explain it."),
        (effect(-4.0, -4.0), 1.0, "mixed", "Beyond chance fewer customers leave, but less is spent."),
        (effect(4.0, 4.0), 1.0, "mixed", "Beyond chance more is spent, but more customers leave."),
        (effect(1.5, -1.5), 1.0, "undecided", "Chance alone"),
        (effect(4.0), 0.3, "unsupported", "Only 30 %"),
        (effect(4.0, customers=150), 1.0, "undecided", "Only 150 customers"),
        (effect(-4.0), 0.3, "unsupported", "Only 30 %"),
        (effect(-4.0, customers=150), 1.0, "undecided", "Only 150 customers"),
    ],
)
def test_the_verdict_follows_the_stated_rules(given, support, expected, reason):
    found = rule(given, support)
    assert found.verdict == expected
    assert reason in found.reason


def test_a_failing_check_leaves_at_most_possible():
    assert rule(effect(-4.0), placebo=Placebo(Estimate(3.0, 1.0), N)).verdict == "possible"
    assert rule(effect(-4.0), placebo=Placebo(Estimate(1.0, 1.0), N)).verdict == "likely"
    assert rule(effect(-4.0), failed_control="the negative control fails").verdict == "possible"


def test_what_no_placebo_can_test_is_at_most_possible_and_says_so():
    untested = rule(effect(-4.0), placebo=None)
    assert (untested.verdict, untested.placebo) == ("possible", "not known")
    assert untested.reason == ("Beyond chance, but too little of the past is known to test it there (no placebo).")
    assert rule(effect(-1.5), placebo=None).verdict == "undecided"


def test_harm_stays_harm_under_a_failing_placebo_which_is_told():
    found = rule(effect(4.0), placebo=Placebo(Estimate(4.0, 1.0), N))
    assert found.verdict == "harmful"
    assert found.reason == "Beyond chance more customers leave; it seems to have moved past spend too (placebo)."


def test_without_covariates_nothing_is_likely():
    none = Bound((), (Way(1.0, np.zeros(0), np.zeros(0)),))
    bare = effect(-9.0)
    bare = Effect(bare.churn, bare.revenue, bare.spend, 0.1, 1.0, bare.influence, N, Sensitivity(none, none, none))
    assert rule(bare).verdict == "possible"


def test_what_is_harmful_alone_is_not_among_nine():
    # The useless initiative that was called harmful at t = 2.35 among nine with two outcomes each.
    listed = [effect(2.35, at=0), *(effect(0.0, at=2 * i) for i in range(1, 9))]
    found = judge([Evidence(one, 1.0) for one in listed], np.random.default_rng(1))
    assert {one.verdict for one in found} == {"undecided"}
    assert rule(effect(2.35)).verdict == "harmful"


@pytest.mark.parametrize("number", [1, 9])
def test_independent_effects_have_the_critical_value_of_their_number(number):
    found = critical_value([effect(0.0, at=2 * i) for i in range(number)], np.random.default_rng(2))
    expected = stats.norm.ppf(0.95 ** (1 / (2 * number)))
    assert found == pytest.approx(expected, abs=0.03)  # 20,000 draws: standard error 0.008


def test_effects_that_are_one_and_the_same_count_once():
    found = critical_value([effect(0.0)] * 9, np.random.default_rng(3))
    assert found == pytest.approx(stats.norm.ppf(0.95**0.5), abs=0.03)


def test_nothing_that_moves_has_the_value_of_a_single_normal():
    still = Effect(Estimate(0, 0), Estimate(0, 0), Estimate(0, 0), 0.1, 1.0, np.zeros((N, 3)), N)
    assert critical_value([still], np.random.default_rng(4)) == pytest.approx(1.6449, abs=1e-3)


@pytest.mark.parametrize(
    ("common", "outcomes"),
    [
        (0.0, 0.0),  # twelve independent effects
        (1.0, 0.0),  # the same customers decide all of them
        (0.0, 2.0),  # who stays spends less: the best and the worst are large together
        (0.0, -2.0),  # who stays spends more
    ],
)
def test_of_lists_of_twelve_useless_initiatives_one_in_twenty_holds_a_good_one_and_one_in_twenty_a_harmful_one(
    common, outcomes
):
    rng = np.random.default_rng(5)
    influence = rng.standard_normal((100, 12, 2)) + common * rng.standard_normal((100, 1, 1))
    influence[:, :, 1] += outcomes * influence[:, :, 0]
    influence /= np.sqrt((influence**2).sum(axis=0))
    one = Estimate(0.0, 1.0)
    three = np.concatenate([influence, np.zeros((100, 12, 1))], axis=2)
    effects = [Effect(one, one, one, 0.1, 1.0, three[:, i], 100) for i in range(12)]
    critical = critical_value(effects, np.random.default_rng(6))
    t = (rng.standard_normal((40_000, 100)) @ influence.reshape(100, 24)).reshape(-1, 12, 2)
    gain = t * [-1.0, 1.0]
    for side in (gain, -gain):
        found = (side > critical).any(axis=(1, 2)).mean()
        # Standard error 0.0011, and 0.0015 from the draws of the critical value. By |t| it would be 0.065 for some.
        assert found == pytest.approx(0.05, abs=0.006)


def test_placebos_fail_together_by_holm():
    def of(t: float) -> Placebo:
        return Placebo(Estimate(t, 1.0), N)

    # Two-sided p 0.0124, 0.0278, 0.32; times 3, 2, 1: the second is not rejected.
    assert placebo_checks([of(2.5), None, of(-2.2), of(1.0)]) == ("fails", "not known", "passes", "passes")
    assert placebo_checks([of(-2.2)]) == ("fails",)
    assert placebo_checks([]) == ()
