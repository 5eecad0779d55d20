"""What compare is given: runs, initiatives of the last simulation, files; and why something is none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import ModelError, StudyError
from features.study import Money
from flows.compared_plans import Compared, differing, find_plans
from flows.draws_store import Stored, draws_bytes, read_draws, write_draws
from flows.storage import Workspace, open_workspace
from flows.tracking import open_tracker
from models.cash import Cohort
from models.forecasts import Refusal, sample
from models.response_surface import ResponseSurface
from models.retention import constant_retention
from tests.worths import a_forecast, an_effect, an_initiative

MADE = {"study_fingerprint": "s", "data_fingerprint": "d", "feature_contract_hash": "f", "package_version": "1"}
COPIED = Callable[[bool], Path]


def stored(seed: str = "0", rng: int = 1, **given: object) -> Stored:
    forecasts = [a_forecast("fast", an_effect(se=0.001), title="Faster"), a_forecast("late", start_month=2, **given)]
    surface = ResponseSurface(
        sample(forecasts, (), np.random.default_rng(rng), 200),
        Cohort(500, 91),
        Money(months=12),
        constant_retention(12),
    )
    refused = (Refusal(an_initiative("storms"), "Nobody controls storms."),)
    return Stored(surface, refused, {**MADE, "initiatives_fingerprint": "i", "seed": seed})


def side(one: Stored, names: tuple[str, ...] = ("fast",)) -> Compared:
    return Compared("x", "initiative", "X", "somewhere", one.surface, names, one.made_from)


@pytest.fixture
def workspace(tmp_path: Path, mlflow_store: Path) -> Workspace:
    """A study that was simulated, with a run of the simulation and one of an initiative."""
    from shutil import copytree  # noqa: PLC0415

    from features.templates import write_templates  # noqa: PLC0415

    write_templates(tmp_path)
    copytree(mlflow_store / "mlflow", tmp_path / "store" / "mlflow")
    found = open_workspace(tmp_path / "study.yaml")
    write_draws(found.store.draws, stored())
    return found


def recorded(workspace: Workspace, *, with_draws: bool = True, step: str = "simulate") -> tuple[str, str, str]:
    """Ids of a simulation's run, and of those of a simulated and a refused initiative."""
    tracker = open_tracker(workspace.study, workspace.store)
    with tracker.run(step, "2 initiatives", {}) as parent:
        if with_draws:
            parent.log_bytes(draws_bytes(stored(seed="3", rng=2)), "draws.npz")
        with tracker.run(step, "Faster", {"initiative": "fast"}, parent) as child:
            pass
        with tracker.run(step, "storms", {"initiative": "storms"}, parent) as refused:
            pass
    return parent.run_id, child.run_id, refused.run_id


def test_initiatives_of_the_last_simulation_share_their_draws(workspace: Workspace) -> None:
    fast, late = find_plans(workspace, ["fast", "late"], None)
    assert (fast.label, late.label, fast.names) == ("Faster", "late", ("fast",))
    assert fast.world == late.world
    assert differing(fast, late) == ()
    assert "simulated before the study file was changed" in fast.notes[0]


def test_a_run_is_all_its_initiatives_and_a_run_below_it_is_one(workspace: Workspace) -> None:
    parent, child, _ = recorded(workspace)
    whole, one, last = find_plans(workspace, [parent, child, "fast"], None)
    assert (whole.names, one.names) == (("fast", "late"), ("fast",))
    assert whole.label.endswith("(2 initiatives)")
    assert one.label.startswith("Faster · run ")  # the last simulation has one of the same title
    assert last.label == "Faster · the last simulation"
    assert whole.world == one.world != last.world
    assert differing(one, last) == ("the seed (3 and 0)",)
    assert len({each.label for each in (whole, one, last)}) == 3


def test_the_same_given_twice_is_told_apart_by_number(workspace: Workspace) -> None:
    labels = [one.label for one in find_plans(workspace, ["fast", "fast"], None)]
    assert labels == ["Faster · the last simulation · 1", "Faster · the last simulation · 2"]


def test_a_run_that_cannot_be_used_ends_in_a_sentence(workspace: Workspace) -> None:
    old, _, _ = recorded(workspace, with_draws=False)
    gone, _, _ = recorded(workspace)
    trained, _, _ = recorded(workspace, step="train")
    open_tracker(workspace.study, workspace.store).client.delete_run(gone)
    expected = {
        old: "holds no draws.*Simulate again",
        gone: "was deleted in MLflow. Restore it",
        trained: "is '2 initiatives' of .*/train. A run of .*/simulate was expected",
        "0" * 32: "There is no run 0{32} in MLflow",
    }
    for run_id, match in expected.items():
        with pytest.raises(ModelError, match=match):
            find_plans(workspace, [run_id, "fast"], None)


def test_a_simulation_of_another_study_is_no_plan_of_this_one(workspace: Workspace) -> None:
    name = workspace.study.name
    other = replace(workspace, study=workspace.study.model_copy(update={"name": f"not-{name}"}))
    run_id, _, _ = recorded(other)
    match = rf"of not-{name}/simulate\. A run of {name}/simulate was expected"
    with pytest.raises(ModelError, match=match):
        find_plans(workspace, [run_id, "fast"], None)


def test_a_refused_initiative_has_nothing_to_compare(workspace: Workspace) -> None:
    _, _, refused = recorded(workspace)
    for given in ("storms", refused):
        with pytest.raises(StudyError, match="'storms' was refused, so there is nothing to compare: Nobody controls"):
            find_plans(workspace, ["fast", given], None)


def test_all_that_is_unknown_is_told_at_once(workspace: Workspace) -> None:
    with pytest.raises(StudyError) as caught:
        find_plans(workspace, ["fats", "nowhere.yaml", "fast"], None)
    first, second = caught.value.faults
    assert "'fats' cannot be compared" in first
    assert "Did you mean 'fast'?" in first
    assert "Simulated last: fast, late, storms." in first
    assert second == "There is no file 'nowhere.yaml'. An initiatives file was expected. Check the path."


def test_before_any_simulation_it_says_so(workspace: Workspace) -> None:
    workspace.store.draws.unlink()
    with pytest.raises(StudyError, match="Nothing has been simulated yet"):
        find_plans(workspace, ["fast", "late"], None)


def test_every_thing_that_unpairs_is_named() -> None:
    one = stored()
    for key, told in [("study_fingerprint", "the study file"), ("data_fingerprint", "the data")]:
        other = replace(one, made_from={**one.made_from, key: "other"})
        assert differing(side(one), side(other)) == (told,)
        assert side(one).world != side(other).world
    # What initiatives stand in the file changes no draw.
    other = replace(one, made_from={**one.made_from, "initiatives_fingerprint": "other"})
    assert side(one).world == side(other).world
    assert differing(side(one), side(stored(rng=9))) == ("the random numbers",)


def test_a_file_with_another_start_is_answered_from_the_last_simulation_and_one_that_moves_more_is_estimated(
    copied: COPIED,
) -> None:
    study = copied(True)
    workspace = open_workspace(study)
    before = workspace.store.draws.read_bytes()
    text = (study.parent / "initiatives.yaml").read_text("utf-8")
    later, larger = study.parent / "later.yaml", study.parent / "larger.yaml"
    later.write_text(text.replace("start_month: 1", "start_month: 5"), encoding="utf-8")
    one = "initiatives:\n  - name: faster-phone-support\n    changes: [{journey: support, measure: wait, scale: 0.3}]\n"
    larger.write_text(f"{one}scenario: {{name: Much faster, saved_at: 2026-01-01T00:00:00Z}}\n", encoding="utf-8")
    written = str(study.parent / "initiatives.yaml")
    same, moved, estimated = find_plans(workspace, [written, str(later), str(larger)], None)
    last = read_draws(workspace.store.draws)
    assert last is not None
    assert (same.origin, moved.origin, estimated.origin) == (
        "the last simulation", "the last simulation", "a simulation of the file",
    )  # fmt: skip
    assert same.world == moved.world == estimated.world
    assert any("fewer-storm-outages is refused and left out" in note for note in same.notes)
    assert estimated.label == "Much faster (1 initiative)"
    told, own = last.surface.answer("faster-app").npv, same.outlook().draws["npv"]
    assert len(same.names) == 9
    assert own.shape == told.shape
    # The luck of an initiative is that of the last simulation: a wait of 0.3 is worth about what 0.6 is, and more.
    noise = {k.forecast.initiative.name: k.noise[:, 0] for k in last.surface.samples.initiatives}
    (again,) = estimated.surface.samples.initiatives
    assert np.corrcoef(noise["faster-phone-support"], again.noise[:, 0])[0, 1] > 0.7
    # Nothing that was simulated last has been replaced, and the estimate is found again.
    assert workspace.store.draws.read_bytes() == before
    kept = list(workspace.store.compared.iterdir())
    (twice,) = find_plans(workspace, [str(larger)], None)
    assert (twice.outlook().draws["npv"] == estimated.outlook().draws["npv"]).all()
    assert list(workspace.store.compared.iterdir()) == kept
