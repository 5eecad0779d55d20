"""The portfolio section as limits and appetite."""

from __future__ import annotations

from math import inf

from models.appetite import Appetite
from models.plans_file import parse_plans
from models.proposals import Limits
from tests.test_initiative_rules import text
from tests.test_initiatives import STUDY


def test_a_section_becomes_limits_and_appetite() -> None:
    section = "budget: 100000, capacity: {analysts: 3}, must: [calls], never: [billing], aversion: 0.25, tail: 0.05"
    funding = parse_plans(
        text(billing=", capacity: {analysts: 1}", portfolio=section), "initiatives.yaml", STUDY
    ).portfolio
    assert funding.limits == Limits(100_000.0, {"analysts": 3.0}, ("calls",), ("billing",))
    assert funding.appetite == Appetite(0.25, 0.05)


def test_without_a_section_nothing_is_limited_and_the_mean_counts() -> None:
    funding = parse_plans(text(), "initiatives.yaml", STUDY).portfolio
    assert funding.limits == Limits(inf, {}, (), ())
    assert funding.appetite == Appetite(0.0, 0.1)
