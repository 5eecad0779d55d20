"""An initiatives file is read once, and says all that is in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from features.errors import StudyError
from models.funding import Funding
from models.plans_file import parse_plans
from tests.test_initiative_rules import text
from tests.test_initiatives import STUDY

SCENARIO = "\nscenario: {name: Next year, saved_at: 2026-03-01T09:30:00Z}\n"


def test_every_section_of_a_file_comes_from_one_reading() -> None:
    said = parse_plans(text(portfolio="budget: 5") + SCENARIO, "initiatives.yaml", STUDY)
    assert [one.name for one in said.initiatives] == ["billing", "calls"]
    assert said.portfolio == Funding(budget=5)
    assert said.scenario is not None
    assert (said.scenario.name, said.scenario.saved_at) == ("Next year", datetime(2026, 3, 1, 9, 30, tzinfo=UTC))


def test_sections_that_are_left_out_limit_nothing_and_name_no_scenario() -> None:
    said = parse_plans(text(), "initiatives.yaml", STUDY)
    assert (said.portfolio, said.scenario) == (Funding(), None)


def test_faults_of_all_sections_are_told_together_with_their_lines() -> None:
    wrong = text(calls=", needs: [x]", portfolio="budget: -1") + "\nscenario: {name: Next year}\n"
    with pytest.raises(StudyError, match=r"(?s)yaml:3: .*'x'") as caught:
        parse_plans(wrong, "initiatives.yaml", STUDY)
    told = str(caught.value)
    assert "portfolio.budget" in told
    assert "scenario: 'saved_at' is missing" in told


def test_a_file_without_initiatives_is_refused() -> None:
    with pytest.raises(StudyError, match="initiatives"):
        parse_plans("portfolio: {budget: 5}\n", "initiatives.yaml", STUDY)
