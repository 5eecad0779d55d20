"""Scenarios on the page: as set, as simulated, saved; what is gone is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from features.errors import StudyError
from flows.planner import Bench, Desk, Setting
from flows.planner_page import alone_html
from flows.planner_scenes import NOW, SIMULATED, compare_field, compared, load_field, members_of, of_study, put
from flows.planner_sets import set_worth
from flows.scenarios import Scenario, write_scenario
from models.funding import Funding
from tests.benches import a_bench
from tests.worths import a_forecast, an_initiative


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return a_bench(tmp_path)


def moved(bench: Bench) -> dict[str, Setting]:
    return {"good": replace(Setting.of(bench.initiatives["good"]), reach=0.4)}


def test_what_is_set_stands_beside_what_was_simulated_and_what_was_saved(bench: Bench) -> None:
    write_scenario(bench.folder, bench.scenario("mine", moved(bench), Funding()))
    names = compare_field(bench).value
    assert names == [SIMULATED, NOW, "mine"]
    sets, notes = compared(bench, names, moved(bench))
    assert notes == ()
    assert (sets[NOW].npv == set_worth(bench, moved(bench)).npv).all()
    assert sets["mine"].npv == pytest.approx(sets[NOW].npv)
    assert (sets[SIMULATED].npv == bench.surface.answer("good").npv).all()
    assert members_of(bench, sets)["mine"] == ["good"]


def test_what_is_not_counted_of_a_saved_scenario_is_told(bench: Bench) -> None:
    good, gone = bench.initiatives["good"], bench.initiatives["good"].model_copy(update={"name": "gone"})
    write_scenario(bench.folder, Scenario("old", (good, gone), made_from={"seed": "9"}))
    sets, notes = compared(bench, [NOW, "old"], moved(bench))
    assert sets["old"].names == ("good",)
    left_out, other = notes
    assert left_out.startswith("“gone” of “old” is not in the last simulation")
    assert other.startswith("“old” was saved from another simulation")


def test_only_what_can_be_counted_is_chosen_at_first(tmp_path: Path) -> None:
    found = [a_forecast("good"), a_forecast("poor", excludes=("good",)), a_forecast("far", needs=("good",))]
    bench = a_bench(tmp_path, found)
    one = bench.initiatives["good"]
    alone = bench.initiatives["far"].model_copy(update={"needs": ()})
    clash = bench.initiatives["poor"].model_copy(update={"excludes": ()})
    for name, chosen in {
        "fine": (one,), "gone": (one.model_copy(update={"name": "gone"}),), "needs": (alone,), "clash": (one, clash),
    }.items():  # fmt: skip
        write_scenario(bench.folder, Scenario(name, chosen))
    field = compare_field(bench)
    assert field.value == [SIMULATED, NOW, "fine"]
    assert {"gone", "needs", "clash"} <= set(field.options), "they can be chosen, and then say what is wrong"
    compared(bench, ["fine", NOW], {"good": Setting.of(one)})


def test_what_clashes_as_it_is_set_is_told_and_the_others_are_counted(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, [a_forecast("good"), a_forecast("poor", excludes=("good",))])
    both = {name: Setting.of(one) for name, one in bench.initiatives.items()}
    one = {"good": both["good"]}
    for name in ("mine", "other"):
        write_scenario(bench.folder, bench.scenario(name, one, Funding()))
    sets, (told,) = compared(bench, [SIMULATED, NOW, "mine", "other"], both)
    assert list(sets) == ["mine", "other"]
    assert told == (
        f"Not counted: “{SIMULATED}” and “{NOW}”. “poor” and “good” exclude each other. Take one of them out."
    )
    alone = alone_html(bench, {"mine": sets["mine"]}, (told,)).text
    assert "exclude each other" in alone
    assert "Only “mine” is left, with nothing to compare it with" in alone
    assert "likely to pay" in alone
    assert "Nothing that is chosen can be counted" in alone_html(bench, {}, (told,)).text


def test_at_most_six_are_chosen_at_first(bench: Bench) -> None:
    for number in range(8):
        write_scenario(bench.folder, bench.scenario(f"s{number}", moved(bench), Funding()))
    assert len(compare_field(bench).value) == 6
    assert len(load_field(bench)[0].options) == 8


def test_a_scenario_that_is_gone_is_told(bench: Bench) -> None:
    path = write_scenario(bench.folder, bench.scenario("mine", moved(bench), Funding()))
    path.unlink()
    sets, (told,) = compared(bench, [NOW, "mine"], moved(bench))
    assert list(sets) == [NOW]
    assert told == "Not counted: “mine”. No scenario is saved as “mine” any more. Choose another one."


def test_a_loaded_scenario_lies_on_the_desk(bench: Bench) -> None:
    saved = bench.scenario("mine", moved(bench), Funding(budget=5.0))
    desk = put(bench, saved)
    assert (desk.settings, desk.loaded, desk.at, desk.notes) == (moved(bench), saved, "good", ())
    assert desk.own == {bench.folder / "mine.yaml": saved.fingerprint}
    assert desk.funding(bench).budget == 5.0
    assert put(bench, None) == Desk()


def test_a_scenario_of_which_nothing_was_simulated_is_refused(bench: Bench) -> None:
    with pytest.raises(
        StudyError, match=r"No initiative of “old” is in the last simulation.*Simulated: good, poor, far"
    ):
        put(bench, Scenario("old", (an_initiative("gone"),)))


def test_a_file_that_cannot_be_loaded_is_told_beside_the_others(bench: Bench) -> None:
    write_scenario(bench.folder, bench.scenario("mine", moved(bench), Funding()))
    (bench.folder / "broken.yaml").write_text("initiatives: [{name: x}]\n", encoding="utf-8")
    field, (fault,) = load_field(bench)
    assert list(field.options) == ["mine"]
    assert "broken.yaml" in fault


def test_what_was_loaded_for_one_study_is_not_taken_for_another() -> None:
    assert of_study("a.yaml", ("a.yaml", 1)) == 1
    assert of_study("b.yaml", ("a.yaml", 1)) is None
    assert of_study("a.yaml", None) is None
