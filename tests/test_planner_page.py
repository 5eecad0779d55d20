"""What the page shows: the numbers of the simulation, reasons beside what is grey, and no text that could run."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flows.planner import Bench, Setting
from flows.planner_page import comparison_html, heading_html, one_html, overview_html, said_html, together_html
from flows.planner_scenes import members_of
from flows.planner_sets import compare_sets, set_worth
from flows.wording import money_short, unbroken
from models.forecasts import Forecast
from tests.benches import a_bench, forecasts

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"quoted\" 'names' {{ 7 * 7 }}"


def hostile() -> list[Forecast]:
    return [
        replace(one, initiative=one.initiative.model_copy(update={"title": f"{one.initiative.name} {HOSTILE}"}))
        for one in forecasts()
    ]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return a_bench(tmp_path_factory.mktemp("bench"), hostile())


def of(bench: Bench, name: str = "good") -> Setting:
    return Setting.of(bench.initiatives[name])


def pages(bench: Bench) -> list[str]:
    sets = {name: set_worth(bench, {"good": of(bench), "poor": of(bench, "poor")}) for name in ("a", HOSTILE)}
    rows = compare_sets(sets, "EUR")
    return [
        heading_html(bench).text,
        one_html(bench, "good", replace(of(bench), reach=0.2)).text,
        together_html(bench, sets["a"]).text,
        overview_html(bench, ["good"]).text,
        comparison_html(rows, members_of(bench, sets), "EUR", 24).text,
        said_html(HOSTILE, warnings=(HOSTILE,)).text,
    ]


def test_no_name_can_run_and_nothing_is_asked_of_another_machine(bench: Bench) -> None:
    for page in pages(bench):
        assert not re.search(r"<(script|img|link|iframe|object)", page)
        assert not re.search(r"<[^>]+\son\w+=", page)
        assert "http" not in page
        assert "49" not in re.sub(r"\d[\d.,]*49|49[\d.,]*\d", "", page) or "{{ 7 * 7 }}" in page
    assert "&lt;script&gt;" in pages(bench)[1]


def test_one_initiative_shows_value_chance_churn_revenue_and_what_was_simulated(bench: Bench) -> None:
    now, before = bench.worth("good", replace(of(bench), reach=0.2)), bench.worth("good", of(bench))
    page = one_html(bench, "good", replace(of(bench), reach=0.2)).text
    for wanted in (now.npv.mean(), before.npv.mean(), (now.npv + now.cost).mean() / 0.6):
        assert money_short(float(wanted), "EUR") in page
    assert "−0.50" in page, "a quarter of the reach is a quarter of the effect on churn"
    assert "as simulated −2.00" in page
    assert "Changed: reach 80\u00a0% → 20\u00a0%." in page
    assert "Exact: reach, start" in page
    assert page.count('class="bar"') == len(now.bars)
    untouched = one_html(bench, "good", of(bench)).text
    assert "as simulated" not in untouched
    assert "Changed" not in untouched


def test_bars_and_meters_stay_within_their_place(bench: Bench) -> None:
    for page in pages(bench):
        for left, width in re.findall(r"left:([\d.-]+)%;width:([\d.-]+)%", page):
            assert -0.01 <= float(left) <= 100
            assert float(left) + float(width) <= 100.02


def test_the_line_of_money_ends_where_the_balance_does(bench: Bench) -> None:
    one = bench.worth("good", of(bench))
    page = one_html(bench, "good", of(bench)).text
    (points,) = re.findall(r'points="([^"]+)"', page)
    assert len(points.split()) == bench.months + 1
    assert money_short(float(one.path.balance.sum()), "EUR") in page
    ys = [float(point.split(",")[1]) for point in points.split()]
    assert ys.index(max(ys)) == one.path.balance.cumsum().argmin(), "down is less money"


def test_what_is_refused_or_out_of_support_is_grey_with_its_reason_and_last(bench: Bench) -> None:
    page = overview_html(bench, ["good"]).text
    rows = re.findall(r'<tr class="(\w*)"><th scope="row">(.*?)</th>(.*?)</tr>', page, re.DOTALL)
    assert [(tone, name.split(" ")[0]) for tone, name, _ in rows] == [
        ("chosen", "good"), ("", "poor"), ("out", "far"), ("out", "weather"),
    ]  # fmt: skip
    assert "Only 12 % of it lies within what was observed." in rows[2][2]
    assert "Nobody controls it" in rows[3][2]
    assert "Nobody in the firm controls: outage." in page


def test_overlap_is_told_where_two_are_together(bench: Bench) -> None:
    both = set_worth(bench, {"good": of(bench), "poor": of(bench, "poor")})
    page = together_html(bench, both).text
    assert "2 initiatives together" in page
    assert unbroken(money_short(float(both.lost.mean()), "EUR")) in page
    assert "Together less the sum" not in together_html(bench, set_worth(bench, {"good": of(bench)})).text


def test_a_comparison_names_the_best_and_by_how_much(bench: Bench) -> None:
    sets = {
        "small": set_worth(bench, {"good": replace(of(bench), reach=0.2)}),
        "all": set_worth(bench, {"good": of(bench)}),
    }
    page = comparison_html(compare_sets(sets, "EUR"), members_of(bench, sets), "EUR", 24).text
    assert "“all” is worth most on average" in page
    assert "It beats “small” by €" in page
    same = {"one": sets["all"], "two": sets["all"]}
    assert (
        "All of them are worth the same."
        in comparison_html(compare_sets(same, "EUR"), members_of(bench, same), "EUR", 24).text
    )
    worse = {name: set_worth(bench, {"poor": of(bench, "poor")}) for name in ("one", "two")}
    assert (
        "None of them pays on average."
        in comparison_html(compare_sets(worse, "EUR"), members_of(bench, worse), "EUR", 24).text
    )


def test_an_answer_is_drawn_in_a_tenth_of_a_second_of_processor_time_with_two_hundred_initiatives(
    tmp_path: Path,
) -> None:
    found = forecasts()[:1]
    many = [
        replace(found[0], initiative=found[0].initiative.model_copy(update={"name": f"i{number}"}))
        for number in range(200)
    ]
    crowd = a_bench(tmp_path, many)
    setting = of(crowd, "i7")
    one_html(crowd, "i7", setting)
    started = time.process_time()
    for reach in (0.2, 0.3, 0.4):
        one_html(crowd, "i7", replace(setting, reach=reach))
    assert (time.process_time() - started) / 3 < 0.1
    page = overview_html(crowd, ["i7"]).text
    assert page.count('scope="row"') == 201
    assert "scrolled" in page
