"""What sliders and fields say: untouched to the last digit, in order, numbers only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import marimo as mo
import pytest

from features.errors import StudyError
from flows.planner import Bench, Desk, Setting
from flows.planner_controls import (
    MOST_AT_FIRST,
    choice_field,
    is_choice,
    limit_fields,
    numbers_of,
    read_setting,
    set_field,
    setting_fields,
)
from flows.planner_sets import set_worth
from models.costs import Cost
from models.forecasts import Forecast
from models.funding import Funding
from tests.benches import a_bench
from tests.worths import a_forecast, an_effect

BEFORE = Setting(1 / 3, (0.5, 0.8, 1.0), 1.0, 2, 3, None, Cost(once=(1.0, 2.0, 4.0), monthly=5.0))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return a_bench(tmp_path_factory.mktemp("bench"))


def read(**moved: object) -> Setting:
    return read_setting(numbers_of(BEFORE) | moved, BEFORE, BEFORE.cost)


def test_what_is_not_touched_stays_to_the_last_digit() -> None:
    assert read() == BEFORE
    assert read(start=7).reach == 1 / 3


def test_each_field_is_read_in_its_unit() -> None:
    found = read(reach=25, size=40.0, start=1, ramp=0, lasts=12, monthly=9.0, once=4.0)
    assert (found.reach, found.size, found.start_month, found.ramp_months, found.lasts_months) == (0.25, 0.4, 1, 0, 12)
    assert found.cost == Cost(once=(2.0, 4.0, 8.0), monthly=9.0)


def test_a_cost_that_was_changed_before_stays_when_another_moves() -> None:
    before = replace(BEFORE, cost=Cost(once=(2.0, 4.0, 8.0), monthly=5.0))
    found = read_setting(numbers_of(before) | {"monthly": 6.0}, before, BEFORE.cost)
    assert found.cost == Cost(once=(2.0, 4.0, 8.0), monthly=6.0)


def test_touching_one_cost_leaves_the_ranges_of_the_others() -> None:
    kept = Cost(once=(2.0, 3.0, 9.0), per_contact=(0.1, 0.2, 0.6), monthly=5.0)
    found = read_setting(numbers_of(replace(BEFORE, cost=kept)) | {"monthly": 6.0}, replace(BEFORE, cost=kept),
                         BEFORE.cost)  # fmt: skip
    assert found.cost == Cost(once=(2.0, 3.0, 9.0), per_contact=(0.1, 0.2, 0.6), monthly=6.0)


@pytest.mark.parametrize(
    "small",
    [
        {"reach": 0.005}, {"reach": 1e-8}, {"delivery": (0.0, 0.004, 0.006)}, {"size": 0.03}, {"start_month": 700},
        {"lasts_months": 1_000},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_file_may_say_can_be_shown_and_read_and_moved(small: dict[str, Any], bench: Bench) -> None:
    setting = replace(Setting.of(bench.initiatives["good"]), **small)
    told = setting_fields(bench, setting).value
    assert read_setting(told, setting, setting.cost) == setting
    moved = read_setting(told | {"monthly": 60.0}, setting, setting.cost)
    assert moved == replace(setting, cost=setting.cost.model_copy(update={"monthly": 60.0}))


def test_less_than_was_set_is_still_out_of_range() -> None:
    before = replace(BEFORE, reach=0.005)
    with pytest.raises(StudyError, match=r"reach is '0\.2'\. Expected 0\.5 to 100 %"):
        read_setting(numbers_of(before) | {"reach": 0.2}, before, before.cost)


def test_the_likely_share_takes_the_ends_along_and_ends_that_cross_are_told() -> None:
    assert read(likely=30).delivery == (0.3, 0.3, 1.0)
    assert read(low=20, high=90, likely=90).delivery == (0.2, 0.9, 0.9)
    with pytest.raises(StudyError, match=r"low 90 %, likely 80 %, high 100 %\. Expected low, then likely, then high"):
        read(low=90)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("reach", "ninety", r"reach is 'ninety'\. Expected 1 to 100 %"),
        ("reach", 0, r"reach is '0'\. Expected 1 to 100 %"),
        ("size", "nan", r"size is 'nan'\. Expected 5 to 100 %"),
        ("monthly", None, r"monthly is 'None'\. Expected an amount of 0 or more"),
        ("once", "<script>", r"once is '<script>'"),
    ],
)
def test_a_text_where_a_number_was_expected_is_one_sentence(key: str, value: object, expected: str) -> None:
    with pytest.raises(StudyError, match=expected):
        read(**{key: value})


def test_every_fault_is_listed_at_once() -> None:
    with pytest.raises(StudyError, match=r"reach is 'a'[\s\S]*size is 'b'"):
        read(reach="a", size="b")


def test_fields_say_what_was_simulated(bench: Bench) -> None:
    for one in bench.initiatives.values():
        setting = Setting.of(one)
        assert read_setting(setting_fields(bench, setting).value, setting, one.cost) == setting


def test_at_first_what_pays_is_chosen_then_what_was_loaded(bench: Bench) -> None:
    assert choice_field(bench, Desk()).value == ["good"]
    desk = Desk({"poor": Setting.of(bench.initiatives["poor"])}, at="poor")
    assert choice_field(bench, desk).value == ["poor"]
    assert set_field(bench, desk, ["good", "poor"]).value == "poor"
    assert set_field(bench, desk, ["good"]).value == "good"
    assert set_field(bench, desk, []).value is None


def test_where_nothing_pays_the_best_is_chosen(tmp_path: Path) -> None:
    from tests.benches import forecasts  # noqa: PLC0415

    only = a_bench(tmp_path, [forecasts()[1]])
    assert choice_field(only, Desk()).value == ["poor"]


def test_at_first_the_better_of_two_that_exclude_each_other_is_chosen_and_needs_come_along(tmp_path: Path) -> None:
    def of(name: str, churn: float, **given: Any) -> Forecast:
        return a_forecast(name, an_effect(churn=churn), **given)

    found = [
        of("best", -0.03, excludes=("good",)), of("good", -0.02), of("fair", -0.01, needs=("small",)),
        of("small", -0.005), of("base", 0.01), of("lacks", -0.04, needs=("base",)),
        of("gone", -0.04, needs=("weather",)),
    ]  # fmt: skip
    bench = a_bench(tmp_path, found)
    chosen = choice_field(bench, Desk()).value
    assert sorted(chosen) == ["best", "fair", "small"]
    set_worth(bench, {name: Setting.of(bench.initiatives[name]) for name in chosen})


def test_where_nothing_pays_by_itself_the_best_comes_with_what_it_needs(tmp_path: Path) -> None:
    found = [a_forecast("one", needs=("two",)), a_forecast("two", an_effect(churn=0.01)),
             a_forecast("gone", an_effect(churn=-0.02), needs=("weather",))]  # fmt: skip
    assert sorted(choice_field(a_bench(tmp_path / "a", found), Desk()).value) == ["one", "two"]
    assert choice_field(a_bench(tmp_path / "b", found[2:]), Desk()).value == []


def test_limits_are_those_of_the_file_or_of_what_was_loaded(bench: Bench) -> None:
    assert limit_fields(bench, Desk()).value == {
        "budget": "", "cash": "", "aversion": 0, "must": [], "never": [], "capacity people": ""
    }  # fmt: skip
    loaded = Desk(loaded=bench.scenario("x", {}, Funding(budget=200_000.0, aversion=0.5, must=("good",))))
    found = limit_fields(bench, loaded).value
    assert (found["budget"], found["aversion"], found["must"]) == ("200,000", 50, ["good"])


def test_of_hundreds_that_pay_the_best_twelve_are_chosen_at_first(tmp_path: Path) -> None:
    found = [a_forecast(f"i{at:03}", an_effect(churn=-0.001 * (at + 1), se=1e-5)) for at in range(40)]
    chosen = choice_field(a_bench(tmp_path, found), Desk()).value
    assert chosen == [f"i{at:03}" for at in range(40 - MOST_AT_FIRST, 40)]


def test_one_study_that_is_served_needs_no_field_and_a_path_does() -> None:
    assert not is_choice(mo.ui.dropdown(["a.yaml"], "a.yaml"))
    assert is_choice(mo.ui.dropdown(["a.yaml", "b.yaml"], "a.yaml"))
    assert is_choice(mo.ui.text("a.yaml"))
