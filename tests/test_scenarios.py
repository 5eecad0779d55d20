"""Saved scenarios: the same back, accepted by the command line's reader, never overwritten unasked, safe names."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from features.errors import StoreError, StudyError
from features.study import Study, parse_study
from features.templates import write_templates
from flows.plans import read_plans
from flows.scenarios import Scenario, list_scenarios, read_scenario, scenario_file, sized, write_scenario
from flows.storage import open_workspace
from models.costs import Cost
from models.forecasts import sample
from models.funding import Funding
from models.initiatives import Change, Initiative
from models.response_surface import ResponseSurface
from models.retention import constant_retention
from tests.test_response_surface import COHORT, MONEY
from tests.worths import a_forecast, an_effect

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOSTILE = '<script>alert(1)</script> "it\'s" & {{x}} \u202e: [a]\\'


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("templates")
    write_templates(folder)
    return parse_study((folder / "study.yaml").read_text(encoding="utf-8"), "study.yaml")


def an_initiative(study: Study, name: str = "quicker", **given: object) -> Initiative:
    measure = next(m for m in study.measures if m.kind == "duration" and m.control != "none")
    journey = measure.journey or (measure.journeys or study.journey_names)[0]
    return Initiative.model_validate(
        {"name": name, "changes": [Change(journey=journey, measure=measure.name, scale=0.5)], **given}
    )


def a_scenario(study: Study, name: str = "Autumn plan", **given: object) -> Scenario:
    one = an_initiative(study, reach=0.4, delivery=(0.1, 0.2, 0.3), cost=Cost(once=(1, 2, 9), monthly=3), title=HOSTILE)
    return replace(Scenario(name, (one,), Funding(budget=9.5), {"seed": "3", "study_fingerprint": "ab"}, NOW), **given)


def test_what_is_saved_comes_back_equal(study: Study, tmp_path: Path) -> None:
    wanted = a_scenario(study, HOSTILE)
    path = write_scenario(tmp_path, wanted)
    assert read_scenario(path, study) == wanted
    assert path.parent == tmp_path
    assert write_scenario(tmp_path, replace(wanted, saved_at=datetime(2027, 1, 1, tzinfo=UTC))) == path
    assert read_scenario(path, study).saved_at == NOW, "saying the same again writes nothing"


def test_the_command_line_reads_it_as_an_initiatives_file(tmp_path: Path) -> None:
    write_templates(tmp_path)
    workspace = open_workspace(tmp_path / "study.yaml")
    wanted = a_scenario(workspace.study)
    path = write_scenario(tmp_path / "scenarios", wanted)
    plans = read_plans(workspace, str(path))
    assert plans.initiatives == wanted.initiatives
    assert plans.funding == wanted.funding


def test_a_name_that_is_taken_is_refused_unless_its_scenario_was_loaded(study: Study, tmp_path: Path) -> None:
    first = a_scenario(study)
    path = write_scenario(tmp_path, first)
    before = path.read_bytes()
    other = replace(first, funding=Funding(budget=1.0))
    with pytest.raises(StudyError, match=r"saved as 'autumn-plan\.yaml' already .* another name than 'Autumn plan'"):
        write_scenario(tmp_path, other)
    assert path.read_bytes() == before
    write_scenario(tmp_path, other, replaces=first.fingerprint)
    assert read_scenario(path, study).funding.budget == 1.0
    with pytest.raises(StudyError, match="another tab"):
        write_scenario(tmp_path, replace(first, funding=Funding(budget=2.0)), replaces=first.fingerprint)


def test_of_tabs_that_save_one_name_at_once_one_succeeds_and_the_others_are_told(study: Study, tmp_path: Path) -> None:
    told: list[str] = []
    ready = threading.Barrier(8)

    def save(budget: float) -> None:
        ready.wait()
        try:
            write_scenario(tmp_path, a_scenario(study, funding=Funding(budget=budget)))
        except StudyError as error:
            told.append(error.message)

    tabs = [threading.Thread(target=save, args=(float(i),)) for i in range(8)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert len(told) == 7
    (found,), faults = list_scenarios(tmp_path, study)
    assert found.funding.budget in range(8)
    assert faults == ()


def test_a_file_of_somebody_else_is_not_overwritten(study: Study, tmp_path: Path) -> None:
    path = scenario_file(tmp_path, "Autumn plan")
    path.write_text("notes: mine\n", encoding="utf-8")
    with pytest.raises(StudyError, match="says something else"):
        write_scenario(tmp_path, a_scenario(study), replaces=a_scenario(study).fingerprint)
    assert path.read_text(encoding="utf-8") == "notes: mine\n"


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 81, "tab\there"])
def test_a_name_that_is_none_is_refused(name: str, study: Study, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"is no name for a scenario\. Expected one line of 1 to 80"):
        write_scenario(tmp_path / "scenarios", a_scenario(study, name))
    assert not (tmp_path / "scenarios").exists()


@given(st.text(min_size=1, max_size=80))
def test_every_name_gives_a_plain_file_inside_the_folder(name: str) -> None:
    path = scenario_file(Path("scenarios"), name)
    assert path.parent == Path("scenarios")
    assert set(path.stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert path.stem.strip("-") == path.stem != ""


def test_names_of_other_scripts_keep_apart() -> None:
    files = [scenario_file(Path(), name).name for name in ("秋", "春", "Herbst", "Müller", "../../etc/passwd")]
    assert len(set(files)) == 5
    assert files[2:] == ["herbst.yaml", "muller.yaml", "etc-passwd.yaml"]


def test_needs_must_be_in_and_exclusions_of_others_are_left_out(study: Study, tmp_path: Path) -> None:
    one = an_initiative(study, "one", needs=("two",), excludes=("three",))
    with pytest.raises(StudyError, match="'one' needs 'two', which is left out"):
        write_scenario(tmp_path, a_scenario(study, initiatives=(one,)))
    limits = Funding(must=("two", "gone"), never=("three",), capacity={"people": 3.0})
    both = a_scenario(study, initiatives=(one, an_initiative(study, "two")), funding=limits)
    found = read_scenario(write_scenario(tmp_path, both), study)
    assert found.initiatives[0].excludes == ()
    assert found.funding == Funding(must=("two",))


def test_a_scenario_of_a_study_that_has_changed_is_told_with_its_lines(study: Study, tmp_path: Path) -> None:
    path = write_scenario(tmp_path, a_scenario(study))
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["initiatives"][0]["changes"][0]["measure"] = "gone"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(StudyError, match=r"autumn-plan\.yaml:\d+: .*no measure is called 'gone'"):
        read_scenario(path, study)
    found, faults = list_scenarios(tmp_path, study)
    assert found == ()
    assert len(faults) == 1


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_left(study: Study, tmp_path: Path) -> None:
    (tmp_path / "scenarios").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be written"):
        write_scenario(tmp_path / "scenarios", a_scenario(study))


def test_a_smaller_size_is_the_same_effect_as_a_smaller_delivery() -> None:
    forecast = a_forecast(
        "one", an_effect(churn=-0.01, se=0.002), half=an_effect(churn=-0.006, se=0.001), delivery=(0.5, 0.8, 1.0)
    )
    surface = ResponseSurface(sample([forecast], (), np.random.default_rng(1)), COHORT, MONEY, constant_retention(12))
    by_size = surface.answer("one", size=0.37)
    by_delivery = surface.answer("one", {"delivery": sized(forecast.initiative, 0.37).delivery})
    assert by_delivery.npv == pytest.approx(by_size.npv, rel=1e-4)
    assert by_delivery.churn.value == pytest.approx(by_size.churn.value, rel=1e-4)
