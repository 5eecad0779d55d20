"""What a manager reads about the portfolio: the set first, with numbers, units and how sure it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.portfolio_section import funding_sentence, pilot_sentence, portfolio_section, read_portfolio, section_of
from flows.report import render_report
from flows.report_data import PortfolioFound, ReportData
from tests.test_report import HEADER, words

EVIL = "<script>alert(1)</script>"


def content(**changes: Any) -> dict[str, Any]:
    members = [
        {
            "initiative": name, "is_funded": name == "a", "cost": 1_000.0, "value_alone": value, "adds": value,
            "by_draw": share, "by_draw_lo": share - 0.1, "by_draw_hi": share + 0.1, "by_sample": share,
        }
        for name, value, share in (("a", 30_000.0, 0.8), ("b", -500.0, 0.2))
    ]  # fmt: skip
    return {
        "portfolio": {"budget": 5_000.0, "tail": 0.1}, "funded": ["a"], "titles": {"a": "Better bills", "b": EVIL},
        "value": 30_000.0, "value_lo": 5_000.0, "value_hi": 57_000.0, "p_positive": 0.98, "worst": 1_000.0,
        "cost": 1_000.0, "gap": 0.0, "cash": 5_000.0, "knowing_everything": 700.0,
        "notes": ["left out: weather, as it is refused."], "members": members,
        "frontier": [{"budget": 0.0, "worth": 0.0, "bound": 0.0, "members": []},
                     {"budget": 1_000.0, "worth": 30_000.0, "bound": 30_000.0, "members": ["a"]}],
        "limits": [{"limit": "budget", "change": "+10 %", "gain": 0.0, "gain_bound": 0.0, "members": ["a"]}],
        "pilots": [{"initiative": "b", "perfect": 650.0, "sample": 300.0, "cost": 0.0, "net": 300.0, "p_change": 0.2}],
        "starts": [{"initiative": "a", "month": 0, "balance": 4_000.0}],
    } | changes  # fmt: skip


def found(is_stale: bool = False, **changes: Any) -> PortfolioFound:
    return read_portfolio(content(**changes), is_stale=is_stale)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_the_set_comes_first_with_value_interval_cost_and_proof() -> None:
    assert plain(funding_sentence(found(), "EUR")) == (
        "Fund “Better bills”: worth €30,000 (90 % interval €5,000 to €57,000) for €1,000, 98 % likely to pay; in the "
        "worst 10 % of the draws €1,000 on average. No set within the limits is worth more."
    )


def test_what_is_not_proved_says_by_how_much_it_can_be_beaten() -> None:
    said = plain(funding_sentence(found(gap=0.013), "EUR"))
    assert said.endswith("It is the best that was found; another could be worth at most 1.3 % more.")


@pytest.mark.parametrize(("is_stale", "told"), [(True, True), (False, False)])
def test_nothing_to_fund_and_a_stale_choice_are_said(is_stale: bool, told: bool) -> None:
    said = funding_sentence(found(is_stale=is_stale, funded=[], gap=None), "EUR")
    assert said.startswith("Nothing should be funded")
    assert ("run journeylift portfolio again" in said) == told


def test_a_pilot_is_named_with_its_worth_and_none_where_none_can_change_anything() -> None:
    assert "Try “B” first: what a trial would tell is worth €300" in pilot_sentence(
        found(titles={"a": "A", "b": "B"}), "EUR"
    )
    nothing = [{"initiative": "a", "perfect": 0.0, "sample": 0.0, "cost": 0.0, "net": 0.0, "p_change": 0.0}]
    assert pilot_sentence(found(pilots=nothing), "EUR").startswith("No trial would be likely to change")


def test_every_question_has_its_block_and_titles_are_text() -> None:
    section = portfolio_section(ReportData(HEADER, portfolio=found()))
    assert [block.title for block in section.blocks] == [
        "What is chosen", "What a budget buys", "What each limit costs", "When to start", "What to try first",
    ]  # fmt: skip
    page = render_report(ReportData(HEADER, portfolio=found()))
    assert "<script>" not in page
    assert "Left out: “weather”, as it is refused." in words(page)


def test_console_and_report_name_the_start_alike() -> None:
    page = words(render_report(ReportData(HEADER, portfolio=found())))
    assert "Start in month" in page
    assert "Decided in month" not in page
    assert "Adds to the set: what it would lose without this one" in page


def test_without_a_choice_the_section_says_what_to_run() -> None:
    assert "Run journeylift portfolio" in portfolio_section(ReportData(HEADER)).lead
    assert "What should be funded together?" not in render_report(ReportData(replace(HEADER, is_flat=True)))


def many(count: int) -> dict[str, Any]:
    names = [f"i{k:02d}" for k in range(count)]
    members = [
        {
            "initiative": name, "is_funded": k < 10, "cost": 1.0, "value_alone": 5.0, "adds": 1.0,
            "by_draw": k / count, "by_draw_lo": k / count, "by_draw_hi": k / count, "by_sample": 0.0,
        }
        for k, name in enumerate(names)
    ]  # fmt: skip
    pilots = [dict.fromkeys(("perfect", "sample", "cost", "net", "p_change"), 1.0) | {"initiative": n} for n in names]
    step = {"budget": 9.0, "worth": 4.0, "bound": 4.0}
    return content(
        funded=names[:10], titles={name: f"Idea {name}" for name in names}, members=members, pilots=pilots,
        starts=[], limits=[],
        frontier=[
            step | {"members": names[:10]}, step | {"members": names[1:10]},
            step | {"members": [*names[:10], *names[20:25]]},
        ],
    )  # fmt: skip


def test_of_many_sets_are_counted_the_unsure_are_drawn_and_the_best_trials_listed() -> None:
    section = section_of(read_portfolio(many(50), is_stale=False), "EUR")
    assert "Fund 10 of 50 initiatives, the first of the table below: worth" in plain(section.lead)
    chosen, budgets, *_, trials = section.blocks
    assert "Drawn are the 30 of 50 initiatives about which the choice is least sure." in chosen.sentences
    assert chosen.figure is not None
    assert "Idea i25" in chosen.figure.svg
    assert "Idea i49" not in chosen.figure.svg
    assert [row[2] for row in budgets.table.rows] == [
        "10 initiatives, as chosen",
        "9 initiatives, without Idea i00",
        "15 initiatives, with Idea i20, Idea i21, Idea i22 and 2 others",
    ]
    assert (len(trials.table.rows), trials.table.note) == (20, "The 20 of 50 that are worth most to try.")
