"""Needs, exclusions and the portfolio section: names are held against the file, with their lines."""

from __future__ import annotations

import pytest

from features.errors import StudyError
from models.initiatives import Initiative
from models.plans_file import parse_plans
from tests.test_initiatives import STUDY


def text(billing: str = "", calls: str = "", portfolio: str = "") -> str:
    change = "changes: [{journey: support, measure: wait, scale: 0.5}]"
    lines = [
        "initiatives:",
        f"  - {{name: billing, {change}{billing}}}",
        f"  - {{name: calls, {change}{calls}}}",
        *([f"portfolio: {{{portfolio}}}"] if portfolio else []),
    ]
    return "\n".join(lines)


def read(**parts: str) -> tuple[Initiative, ...]:
    return parse_plans(text(**parts), "initiatives.yaml", STUDY).initiatives


def test_what_an_initiative_takes_needs_and_excludes_is_read() -> None:
    billing, calls = read(billing=", capacity: {analysts: 2, it: 0.5}, owner: Finance", calls=", needs: [billing]")
    assert (billing.capacity, billing.owner, billing.needs, billing.excludes) == (
        {"analysts": 2.0, "it": 0.5},
        "Finance",
        (),
        (),
    )
    assert calls.needs == ("billing",)
    assert read(calls=", excludes: [billing]")[1].excludes == ("billing",)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            {"calls": ", needs: [biling]"},
            r"yaml:3: .*needs.*no initiative .* 'biling'\. Did you mean 'billing'\?",
        ),
        ({"calls": ", excludes: [biling]"}, r"yaml:3: .*excludes.*'biling'\. Did you mean 'billing'\?"),
        ({"calls": ", needs: [calls]"}, r"yaml:3: .*'calls' needs itself"),
        ({"calls": ", excludes: [calls]"}, r"yaml:3: .*'calls' excludes itself"),
        ({"calls": ", needs: [billing], excludes: [billing]"}, r"yaml:3: .*both needs and excludes 'billing'"),
        (
            {"billing": ", needs: [calls]", "calls": ", needs: [billing]"},
            r"yaml:2: .*'billing' needs 'calls' needs 'billing': a circle",
        ),
        ({"calls": ", capacity: {it: -1}"}, r"yaml:3: .*capacity"),
        ({"calls": ", capacity: {it: .inf}"}, r"yaml:3: .*capacity"),
        ({"calls": ", capacity: {it (EUR): 1}"}, r"yaml:3: .*capacity"),
        ({"calls": ", needs: billing"}, r"yaml:3: .*needs"),
        ({"portfolio": "budget: -1"}, r"yaml:4: .*budget"),
        ({"portfolio": "budgt: 1"}, r"yaml:4: .*unknown key.*budget"),
        ({"portfolio": "aversion: 2"}, r"yaml:4: .*aversion"),
        ({"portfolio": "tail: 0"}, r"yaml:4: .*tail"),
        ({"portfolio": "must: [biling]"}, r"yaml:4: .*must.*'biling'\. Did you mean 'billing'\?"),
        ({"portfolio": "never: [biling]"}, r"yaml:4: .*never.*'biling'\. Did you mean 'billing'\?"),
        ({"portfolio": "must: [calls], never: [calls]"}, r"yaml:4: .*'calls' is in must and in never"),
        (
            {"billing": ", capacity: {analysts: 1}", "portfolio": "capacity: {analyst: 3}"},
            r"yaml:4: .*no resource is called 'analyst'\. Did you mean 'analysts'\?",
        ),
    ],
)
def test_a_fault_is_named_with_its_line(parts: dict[str, str], told: str) -> None:
    with pytest.raises(StudyError, match=told):
        read(**parts)


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(StudyError, match=r"(?s)'x'.*'y'.*'z'"):
        read(billing=", needs: [x]", calls=", excludes: [y]", portfolio="must: [z]")
