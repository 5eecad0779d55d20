"""Scenarios on the planner's page: the one that is set, as it was simulated, and those that are saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import marimo as mo

from features.errors import StudyError
from flows.planner import Bench, Desk, Setting
from flows.planner_saving import saved_scenarios
from flows.planner_sets import MOST, SetWorth, refuse_clashes, set_worth
from flows.scenarios import Scenario
from flows.wording import listed

__all__ = ["NOW", "SIMULATED", "compare_field", "compared", "load_field", "members_of", "of_study", "put"]

NOW: Final = "As set now"
SIMULATED: Final = "As simulated"

Loaded = TypeVar("Loaded")


def put(bench: Bench, scenario: Scenario | None, own: dict[Path, str] | None = None) -> Desk:
    """Give an empty desk, or one with a saved scenario on it.

    Parameters
    ----------
    bench : Bench
        The simulation.
    scenario : Scenario or None
        What to load.
    own : dict of Path to str, optional
        What the tab loaded and saved before (`flows.planner.Desk`); the desk goes on with it.

    Raises
    ------
    StudyError
        None of its initiatives was simulated.
    """
    if scenario is None:
        return Desk(own={} if own is None else own)
    settings, notes = bench.settings_of(scenario)
    if not settings:
        raise StudyError(
            f"No initiative of “{scenario.name}” is in the last simulation. At least one was expected. Simulate the "
            f"scenario itself: journeylift simulate --initiatives FILE. Simulated: {', '.join(bench.initiatives)}."
        )
    desk = Desk(settings, None, next(iter(settings)), notes, {} if own is None else own)
    desk.take(scenario, bench.folder)
    return desk


def load_field(bench: Bench) -> tuple[mo.ui.dropdown, tuple[str, ...]]:
    """Ask which saved scenario is to be loaded, and say why files are not among them."""
    found, faults = saved_scenarios(bench)
    return mo.ui.dropdown(found, label="Saved scenarios", full_width=True), faults


def of_study(path: str, loaded: tuple[str, Loaded] | None) -> Loaded | None:
    """Give what was loaded or saved on the page if it was for this study, whose file is at `path`; else None."""
    return loaded[1] if loaded is not None and loaded[0] == path else None


def compare_field(bench: Bench) -> mo.ui.multiselect:
    """Ask which two to six scenarios are compared; the first is what the others are compared with.

    Notes
    -----
    Chosen at first are those that can be counted: one that cannot would hide all the others.
    """
    found, _ = saved_scenarios(bench)
    saved = [name for name in found if name not in {SIMULATED, NOW}]
    at_first = [SIMULATED, NOW, *(name for name in saved if _counts(bench, found[name]))][:MOST]
    label = f"Two to {MOST} scenarios; the first is what the others are compared with"
    return mo.ui.multiselect([SIMULATED, NOW, *saved], at_first, label=label, max_selections=MOST, full_width=True)


def _counts(bench: Bench, scenario: Scenario) -> bool:
    """Whether the scenario holds anything that was simulated and that can be done together."""
    try:
        refuse_clashes(bench, put(bench, scenario).settings)
    except StudyError:
        return False
    return True


def compared(
    bench: Bench, names: Sequence[str], together: Mapping[str, Setting]
) -> tuple[dict[str, SetWorth], tuple[str, ...]]:
    """Count what scenarios are worth.

    Parameters
    ----------
    bench : Bench
        The simulation.
    names : sequence of str
        Of `compare_field`, in the order wanted.
    together : mapping of str to Setting
        What is set now.

    Returns
    -------
    sets : dict of str to SetWorth
        Those that can be counted, by name.
    notes : tuple of str
        What cannot be counted and why, and what was saved from another simulation; a sentence or more each.
    """
    found, _ = saved_scenarios(bench)
    sets, notes, refused = dict[str, SetWorth](), list[str](), dict[str, list[str]]()
    for name in names:
        try:
            settings, told = _settings(bench, name, found, together)
            sets[name] = set_worth(bench, settings)
            notes += told
        except StudyError as error:
            refused.setdefault(error.message, []).append(f"“{name}”")
    return sets, (*(f"Not counted: {listed(those)}. {why}" for why, those in refused.items()), *notes)


def _settings(
    bench: Bench, name: str, found: Mapping[str, Scenario], together: Mapping[str, Setting]
) -> tuple[Mapping[str, Setting], tuple[str, ...]]:
    """Give what a scenario of `compare_field` consists of, and what to know of it."""
    if name == NOW:
        return together, ()
    if name == SIMULATED:
        return {one: Setting.of(bench.initiatives[one]) for one in together}, ()
    if name not in found:
        raise StudyError(f"No scenario is saved as “{name}” any more. Choose another one.")
    desk = put(bench, replace(found[name], name=name))
    return desk.settings, desk.notes


def members_of(bench: Bench, sets: Mapping[str, SetWorth]) -> dict[str, list[str]]:
    """Name the initiatives of each scenario by their titles."""
    return {name: [bench.initiatives[one].label for one in found.names] for name, found in sets.items()}
