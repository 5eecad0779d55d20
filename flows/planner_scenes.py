"""Scenarios on the planner's page: the one that is set, as it was simulated, and those that are saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import marimo as mo

from features.errors import StudyError
from flows.planner import Bench, Desk, Setting
from flows.planner_saving import saved_scenarios
from flows.planner_sets import MOST, SetWorth, set_worth
from flows.scenarios import Scenario

__all__ = ["NOW", "SIMULATED", "compare_field", "compared", "load_field", "members_of", "put"]

NOW: Final = "As set now"
SIMULATED: Final = "As simulated"


def put(bench: Bench, scenario: Scenario | None) -> Desk:
    """Give an empty desk, or one with a saved scenario on it.

    Raises
    ------
    StudyError
        None of its initiatives was simulated.
    """
    if scenario is None:
        return Desk()
    settings, notes = bench.settings_of(scenario)
    if not settings:
        raise StudyError(
            f"No initiative of “{scenario.name}” is in the last simulation. At least one was expected. Simulate the "
            f"scenario itself: journeylift simulate --initiatives FILE. Simulated: {', '.join(bench.initiatives)}."
        )
    return Desk(settings, scenario, next(iter(settings)), notes)


def load_field(bench: Bench) -> mo.ui.dropdown:
    """Ask which saved scenario is to be loaded."""
    found, _ = saved_scenarios(bench)
    return mo.ui.dropdown(found, label="Saved scenarios", full_width=True)


def compare_field(bench: Bench) -> mo.ui.multiselect:
    """Ask which two to six scenarios are compared; the first is what the others are compared with."""
    found, _ = saved_scenarios(bench)
    names = [SIMULATED, NOW, *(name for name in found if name not in {SIMULATED, NOW})]
    label = f"Two to {MOST} scenarios; the first is what the others are compared with"
    return mo.ui.multiselect(names, names[:MOST], label=label, max_selections=MOST, full_width=True)


def compared(bench: Bench, names: Sequence[str], together: Mapping[str, Setting]) -> dict[str, SetWorth]:
    """Count what scenarios are worth.

    Parameters
    ----------
    bench : Bench
        The simulation.
    names : sequence of str
        Of `compare_field`, in the order wanted.
    together : mapping of str to Setting
        What is set now.

    Raises
    ------
    StudyError
        A scenario is gone, holds nothing that was simulated, or cannot be done together.
    """
    found, _ = saved_scenarios(bench)
    sets = dict[str, SetWorth]()
    for name in names:
        if name in {NOW, SIMULATED}:
            now = {one: Setting.of(bench.initiatives[one]) if name == SIMULATED else together[one] for one in together}
            sets[name] = set_worth(bench, now)
        elif name in found:
            sets[name] = set_worth(bench, put(bench, found[name]).settings)
        else:
            raise StudyError(f"No scenario is saved as “{name}” any more. Choose another one.")
    return sets


def members_of(bench: Bench, sets: Mapping[str, SetWorth]) -> dict[str, list[str]]:
    """Name the initiatives of each scenario by their titles."""
    return {name: [bench.initiatives[one].label for one in found.names] for name, found in sets.items()}
