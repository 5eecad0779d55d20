"""Limits as they are typed, and the portfolio as the report shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.errors import StudyError
from flows.planner import Bench, Setting
from flows.planner_funds import funded_html, portfolio_found, read_limits
from flows.planner_sets import fund
from models.funding import Funding
from tests.benches import a_bench

EMPTY = {"budget": "", "cash": None, "aversion": 0, "must": [], "never": [], "capacity people": ""}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return a_bench(tmp_path_factory.mktemp("bench"))


def test_nothing_typed_is_no_limit() -> None:
    assert read_limits(EMPTY, Funding(tail=0.2)) == Funding(tail=0.2)


@pytest.mark.parametrize("typed", ["200000", "200,000", " 200 000 ", "2e5", "200’000"])
def test_an_amount_is_read_as_people_type_it(typed: str) -> None:
    assert read_limits(EMPTY | {"budget": typed, "capacity people": "3"}, Funding()) == Funding(
        budget=200_000.0, capacity={"people": 3.0}
    )


@pytest.mark.parametrize("typed", ["much", "-1", "nan", "inf", "<b>"])
def test_what_is_no_amount_is_one_sentence_with_its_value(typed: str) -> None:
    with pytest.raises(StudyError, match=rf"budget is '{typed}'\. Expected an amount of 0 or more"):
        read_limits(EMPTY | {"budget": typed}, Funding())


def test_what_is_demanded_and_forbidden_is_told() -> None:
    with pytest.raises(StudyError, match="'good' must be done and must not be done"):
        read_limits(EMPTY | {"must": ["good"], "never": ["good"]}, Funding())


def test_the_plan_is_shown_with_overlap_and_how_it_was_chosen(bench: Bench) -> None:
    page = funded_html(bench, {}, read_limits(EMPTY | {"must": ["poor"]}, Funding())).text
    assert "Fund “good” and “poor”" in page
    assert "Done together these are worth −\u2060€" in page
    assert "Chosen among all 3 initiatives of the simulation, as simulated." in page
    assert "Left out: “far”, as its change hardly lies within what was observed." in page
    assert "When to start" in page
    set_now = {"good": replace(Setting.of(bench.initiatives["good"]), reach=0.5)}
    assert "1 of them as set under Try" in funded_html(bench, set_now, Funding()).text


def test_limits_that_let_nothing_be_chosen_are_one_sentence(bench: Bench) -> None:
    with pytest.raises(StudyError, match="far"):
        funded_html(bench, {}, Funding(must=("far",)))


def test_the_plan_is_the_one_that_was_found(bench: Bench) -> None:
    funding = Funding(budget=5_000.0)
    plan = fund(bench, {}, funding)
    found = portfolio_found(bench, {}, plan, funding)
    assert found.funded == plan.portfolio.members == ("good",)
    assert (found.value, found.cost, found.budget) == (plan.portfolio.mean, plan.portfolio.cost, 5_000.0)
    assert len(found.members) == 2


@pytest.mark.parametrize("month", [1, 7])
def test_an_initiative_starts_in_the_month_that_is_set(month: int, bench: Bench) -> None:
    settings = {"good": replace(Setting.of(bench.initiatives["good"]), start_month=month)}
    plan = fund(bench, settings, Funding())
    assert plan.schedule is not None
    (start,) = plan.schedule.starts
    found = portfolio_found(bench, settings, plan, Funding()).starts
    assert found[["initiative", "month"]].to_numpy().tolist() == [["good", start.month + month]]
    assert found["balance"].tolist() == [plan.schedule.balance[start.month + month]]
