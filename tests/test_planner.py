"""The simulation behind the planner's page: opened or one sentence why not, and initiatives as they are set."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import StoreError, StudyError, UnsupportedError
from features.templates import write_templates
from flows.planner import Bench, Desk, Setting, cost_of, open_bench
from flows.scenarios import Scenario
from models.cash import Cohort
from models.costs import Cost
from models.funding import Funding
from tests.benches import COHORT, a_bench, write_simulation
from tests.worths import an_initiative


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return a_bench(tmp_path_factory.mktemp("bench"))


def of(bench: Bench, name: str) -> Setting:
    return Setting.of(bench.initiatives[name])


def test_an_untouched_setting_is_worth_what_was_simulated(bench: Bench) -> None:
    for name in bench.initiatives:
        assert (bench.worth(name, of(bench, name)).npv == bench.surface.answer(name).npv).all()
    assert bench.surface.cohort == COHORT


def test_a_slider_answers_as_the_response_surface(bench: Bench) -> None:
    moved = replace(of(bench, "good"), reach=0.3, size=0.6, start_month=5, delivery=(0.2, 0.5, 0.7))
    wanted = bench.surface.answer("good", {"reach": 0.3, "start_month": 5, "delivery": (0.2, 0.5, 0.7)}, 0.6)
    assert (bench.worth("good", moved).npv == wanted.npv).all()


@pytest.mark.parametrize("changed", [{"reach": 1.4}, {"delivery": (0.9, 0.2, 1.0)}, {"size": 2.0}], ids=str)
def test_a_setting_out_of_range_is_one_sentence_with_its_value(changed: dict[str, object], bench: Bench) -> None:
    shown = str(next(iter(changed.values()))).strip("()")
    with pytest.raises(StudyError, match=shown):
        bench.worth("good", replace(of(bench, "good"), **changed))


def test_what_is_saved_is_set_again_exactly(bench: Bench) -> None:
    cost = Cost(once=(1.0, 2.0, 3.0), monthly=7.0)
    wanted = {
        "good": replace(of(bench, "good"), reach=0.33, size=0.45, lasts_months=9, cost=cost),
        "poor": replace(of(bench, "poor"), delivery=(0.1, 0.2, 0.3), size=1.0),
    }
    found, notes = bench.settings_of(bench.scenario("x", wanted, Funding()))
    assert notes == ()
    assert found["good"] == wanted["good"]
    by_delivery = bench.worth("poor", found["poor"]).npv
    assert by_delivery == pytest.approx(bench.worth("poor", wanted["poor"]).npv, rel=1e-9)


def test_of_a_saved_scenario_what_was_not_simulated_is_told_and_left_out(bench: Bench) -> None:
    good = bench.initiatives["good"]
    elsewhere = bench.initiatives["poor"].model_copy(update={"where": {"segment": ("basic",)}})
    scenario = Scenario("old", (good, an_initiative("gone", title="Gone"), elsewhere), made_from={"seed": "9"})
    found, notes = bench.settings_of(scenario)
    assert list(found) == ["good"]
    assert [note.split(" ")[0] for note in notes] == ["“Gone”", "“poor”", "“old”"]
    assert "another simulation" in notes[-1]


def test_answers_are_kept_for_all_tabs_of_one_simulation(bench: Bench) -> None:
    first = bench.worth("good", of(bench, "good"))
    assert bench.worth("good", of(bench, "good")) is first
    path = bench.workspace.study_file
    assert open_bench(path).worth("good", of(bench, "good")) is first, "tabs share them"
    write_templates(path.parent / "other")
    shutil.copy(path.parent / "other" / "initiatives.yaml", path.parent)
    assert open_bench(path).worth("good", of(bench, "good")) is not first, "rules may be others"


def test_a_million_customers_are_the_same_draws_and_a_thousand_times_the_money(tmp_path: Path, bench: Bench) -> None:
    many = open_bench(write_simulation(tmp_path / "many", cohort=Cohort(1_000_000, 91)))
    sizes = [one.workspace.store.draws.stat().st_size for one in (bench, many)]
    assert sizes[1] - sizes[0] < 100, "nothing is kept of a customer"
    setting = replace(of(bench, "good"), reach=0.5)
    few, all_of_them = bench.worth("good", setting), many.worth("good", setting)
    assert all_of_them.npv + all_of_them.cost == pytest.approx(1_000 * (few.npv + few.cost), rel=1e-9)
    assert all_of_them.cost == pytest.approx(few.cost), "this one costs the same for everybody"


def test_titles_that_are_not_alone_get_their_names(tmp_path: Path) -> None:
    from tests.worths import a_forecast  # noqa: PLC0415

    found = a_bench(tmp_path, [a_forecast("one", title="Same"), a_forecast("two", title="Same"), a_forecast("three")])
    assert found.choosable == {"Same (one)": "one", "Same (two)": "two", "three": "three"}


def test_a_cost_that_was_a_range_stays_one_in_proportion() -> None:
    simulated = Cost(once=(100.0, 200.0, 400.0), monthly=5.0)
    assert cost_of({"once": 100.0}, simulated) == Cost(once=(50.0, 100.0, 200.0), monthly=5.0)
    assert cost_of({"once": 200.0, "monthly": 0.0}, simulated) == Cost(once=(100.0, 200.0, 400.0), monthly=0.0)
    with pytest.raises(StudyError, match=r"monthly -3.*Expected amounts of 0 or more"):
        cost_of({"monthly": -3.0}, simulated)


def test_a_desk_keeps_what_was_set_and_where(bench: Bench) -> None:
    desk = Desk()
    moved = replace(of(bench, "poor"), reach=0.2)
    assert desk.put("poor", moved) == {"poor": moved}
    assert desk.at == "poor"
    assert bench.setting("good", desk.settings) == of(bench, "good")
    assert desk.funding(bench) == Funding()


def test_nothing_simulated_names_the_command(tmp_path: Path) -> None:
    write_templates(tmp_path)
    with pytest.raises(StoreError, match=r"Nothing has been simulated .* journeylift simulate --study .*study\.yaml"):
        open_bench(tmp_path / "study.yaml")
    assert not (tmp_path / "store").exists(), "opening writes nothing"


def test_no_study_a_flat_one_and_a_broken_store_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="There is no study at"):
        open_bench(tmp_path / "nowhere.yaml")
    path = write_simulation(tmp_path)
    (tmp_path / "store" / "draws.npz").write_bytes(b"PK half a file")
    with pytest.raises(StoreError, match="Delete it and simulate again"):
        open_bench(path)
    flat = tmp_path / "flat.yaml"
    flat.write_text(
        "study: s\ncurrency: EUR\nsources: {t: t.csv}\nflat: {from: t, columns: {customer_id: id}, churned: left}\n"
        "journeys: [{name: support, stage: use}]\n"
        "measures: [{name: wait, unit: min, kind: duration, direction: lower, journey: support}]\n",
        encoding="utf-8",
    )
    with pytest.raises(UnsupportedError, match=r"flat\.yaml' is a flat table"):
        open_bench(flat)


def test_what_has_changed_since_the_simulation_is_told(tmp_path: Path) -> None:
    path = write_simulation(tmp_path)
    assert open_bench(path).notes == ()
    path.write_text(path.read_text(encoding="utf-8").replace("margin: 0.6", "margin: 0.5"), encoding="utf-8")
    (tmp_path / "initiatives.yaml").write_text("initiatives: [{name: x}]\n", encoding="utf-8")
    notes = " ".join(open_bench(path).notes)
    assert "The study has changed" in notes
    assert "initiatives.yaml cannot be read as it is now: initiatives.yaml:1" in notes
    assert notes.index("journeylift simulate") > 0


def test_a_registry_that_is_empty_or_a_run_that_is_deleted_does_not_matter(tmp_path: Path) -> None:
    path = write_simulation(tmp_path)
    results = tmp_path / "store" / "results" / "simulate.json"
    results.parent.mkdir()
    made = {"study_fingerprint": "x", "data_fingerprint": "d", "initiatives_fingerprint": "i", "seed": "0"}
    results.write_text(json.dumps({"run_id": "deleted", "initiatives": [{"name": "good", "npv": 1}], **made}))
    assert open_bench(path).rows == {}, "of another simulation"
    made["study_fingerprint"] = open_bench(path).stored.made_from["study_fingerprint"]
    results.write_text(json.dumps({"run_id": "deleted", "initiatives": [{"name": "good", "npv": 1}], **made}))
    assert open_bench(path).mean_npv("good") == 1
    assert np.isfinite(open_bench(path).mean_npv("poor"))
