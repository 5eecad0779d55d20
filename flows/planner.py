"""What a planner tries out: the last simulation opened for questions, and each initiative as it is set now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.contract import existing_contract
from features.errors import JourneyliftError, StudyError
from flows.answers import MOST_KEPT, Answers, answers_of
from flows.documents import read_document
from flows.draws_store import Stored, draws_from
from flows.plannable import simulated_workspace, unreadable_draws
from flows.plans import Plans
from flows.scenarios import FOLDER, Scenario, scenario_file, sized
from flows.storage import Workspace, read_json
from models.combinations import Pair, pair_difference
from models.costs import COST_PARTS, Cost
from models.forecasts import Sampled
from models.funding import Funding
from models.initiatives import Initiative
from models.response_surface import ResponseSurface
from models.simulation import Worth, worth_of

__all__ = ["Bench", "Desk", "Setting", "cost_of", "open_bench"]


@dataclass(frozen=True, slots=True)
class Setting:
    """How an initiative is set: what sliders and fields say, in the units of the initiatives file.

    Attributes
    ----------
    reach : float
        Share of customers, above 0.
    delivery : tuple of float
        Low, likely and high share of the promise.
    size : float
        Share of the change, 0 to 1.
    start_month, ramp_months : int
        Months.
    lasts_months : int or None
        None: for good.
    cost : Cost
        Every part.
    """

    reach: float
    delivery: tuple[float, float, float]
    size: float
    start_month: int
    ramp_months: int
    lasts_months: int | None
    cost: Cost

    @classmethod
    def of(cls, one: Initiative) -> Setting:
        """Read the setting of an initiative as it is written."""
        return cls(one.reach, one.delivery, 1.0, one.start_month, one.ramp_months, one.lasts_months, one.cost)

    @classmethod
    def compared(cls, one: Initiative, simulated: Initiative) -> Setting:
        """Read the setting of a saved initiative; a delivery that is a share of the simulated one is a size."""
        size = one.expected_delivery / simulated.expected_delivery
        is_size = size < 1 and sized(simulated, round(size, 2)).delivery == one.delivery
        told = cls.of(one)
        return replace(told, delivery=simulated.delivery, size=round(size, 2)) if is_size else told

    @property
    def changed(self) -> dict[str, object]:
        """Keys of the initiatives file, all that the response surface answers for but the size."""
        names = ("reach", "delivery", "start_month", "ramp_months", "lasts_months", "cost")
        return {name: getattr(self, name) for name in names}

    def initiative(self, simulated: Initiative) -> Initiative:
        """Write the initiative as it is set."""
        said = simulated.model_dump(by_alias=True) | self.changed
        return sized(Initiative.model_validate(said), self.size)


@dataclass(slots=True)
class Desk:
    """What one tab of the page has set so far.

    Attributes
    ----------
    settings : dict of str to Setting
        By initiative; those not named are as simulated.
    loaded : Scenario or None
        The saved scenario that it began with, or was saved as.
    at : str
        The initiative that was set last.
    notes : tuple of str
        What could not be loaded.
    own : dict of Path to str
        Fingerprint of what this tab loaded or saved last, by file; kept when something else is loaded.
    """

    settings: dict[str, Setting] = field(default_factory=dict)
    loaded: Scenario | None = None
    at: str = ""
    notes: tuple[str, ...] = ()
    own: dict[Path, str] = field(default_factory=dict)

    def put(self, name: str, setting: Setting) -> dict[str, Setting]:
        """Keep a setting and give all of them."""
        self.settings[name] = setting
        self.at = name
        return dict(self.settings)

    def take(self, scenario: Scenario, folder: Path) -> None:
        """Take a scenario for this tab's own: it was loaded from the folder, or is saved there now."""
        self.loaded = scenario
        self.own[scenario_file(folder, scenario.name)] = scenario.fingerprint

    def funding(self, bench: Bench) -> Funding:
        """Limits of what was loaded, or of the initiatives file."""
        return bench.funding if self.loaded is None else self.loaded.funding


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A simulation opened for questions; every answer comes from its draws, exactly or on the response surface.

    Attributes
    ----------
    workspace : Workspace
        Study and store.
    stored : Stored
        The draws.
    funding : Funding
        Limits of the initiatives file.
    rows : mapping of str to mapping
        Of simulate.json by initiative, where it is of the same simulation: what speaks against effects.
    notes : tuple of str
        What has changed since the simulation, a sentence each.
    """

    workspace: Workspace
    stored: Stored
    funding: Funding
    rows: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]
    _answers: Answers = field(default_factory=Answers)

    @property
    def surface(self) -> ResponseSurface:
        """The response surface."""
        return self.stored.surface

    @property
    def currency(self) -> str:
        """Code of the study's currency."""
        return self.workspace.study.currency

    @property
    def months(self) -> int:
        """Months that money is counted over."""
        return self.surface.money.months

    @property
    def folder(self) -> Path:
        """Where scenarios are saved."""
        return self.workspace.base / FOLDER

    @property
    def initiatives(self) -> dict[str, Initiative]:
        """What was simulated, by name, in the order of the file."""
        return {one.name: one.forecast.initiative for one in self.surface.samples.initiatives}

    @property
    def choosable(self) -> dict[str, str]:
        """Names by title of what can be chosen; titles that are not alone get their name behind."""
        labels = [one.label for one in self.initiatives.values()]
        return {
            one.label if labels.count(one.label) == 1 else f"{one.label} ({name})": name
            for name, one in self.initiatives.items()
        }

    def mean_npv(self, name: str) -> float:
        """Mean net present value as simulated, currency; read off simulate.json where that can be."""
        told = self.rows.get(name, {}).get("npv")
        return (
            float(told) if told is not None else float(self.worth(name, Setting.of(self.initiatives[name])).npv.mean())
        )

    def setting(self, name: str, settings: Mapping[str, Setting]) -> Setting:
        """Give the setting of an initiative, or that as simulated."""
        return settings.get(name) or Setting.of(self.initiatives[name])

    def sampled(self, name: str, setting: Setting) -> Sampled:
        """Give forecast and draws as set; errors as `models.response_surface.ResponseSurface.answer`."""
        return self._answers.once(
            ("sampled", name, setting), partial(self.surface.sampled, name, setting.changed, setting.size)
        )

    def worth(self, name: str, setting: Setting) -> Worth:
        """Say what an initiative is worth as it is set; errors as for `sampled`."""
        one, on = self.sampled(name, setting), self.surface
        return self._answers.once(("worth", name, setting), partial(worth_of, one, on.cohort, on.money, on.retention))

    def difference(self, first: tuple[str, Setting], second: tuple[str, Setting]) -> NDArray[np.float64]:
        """Count what two are worth together less the sum of both, draw by draw; currency."""

        def counted() -> NDArray[np.float64]:
            one, other, on = self.sampled(*first), self.sampled(*second), self.surface
            pair = Pair.of(one, other, on.overlap(one, other))
            return pair_difference(pair, on.cohort, on.money, on.retention)

        first, second = sorted((first, second), key=lambda pair: pair[0])
        return self._answers.once(("pair", first, second), counted)

    def overlapping(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Name the pairs among these whose overlap was estimated, in the order of names."""
        kept = set(names)
        return sorted(one.overlap.names for one in self.surface.samples.overlaps if kept.issuperset(one.overlap.names))

    def scenario(self, name: str, settings: Mapping[str, Setting], funding: Funding) -> Scenario:
        """Write what is chosen as a scenario, with the simulation it comes from."""
        chosen = tuple(self.setting(one, settings).initiative(self.initiatives[one]) for one in settings)
        return Scenario(name, chosen, funding, dict(self.stored.made_from))

    def settings_of(self, scenario: Scenario) -> tuple[dict[str, Setting], tuple[str, ...]]:
        """Read the settings of a saved scenario.

        Returns
        -------
        settings : dict of str to Setting
            Of initiatives that were simulated.
        notes : tuple of str
            Which were not, or change something else than they did, and that the simulation is another one.
        """
        known = self.initiatives
        notes = [
            f"“{one.label}” of “{scenario.name}” is not in the last simulation, or changes other contacts than there, "
            f"so it is left out. Simulate the scenario itself: journeylift simulate --initiatives FILE"
            for one in scenario.initiatives
            if one.name not in known or _moved(one) != _moved(known[one.name])
        ]
        kept = [one for one in scenario.initiatives if one.name in known and _moved(one) == _moved(known[one.name])]
        if scenario.made_from and scenario.made_from != self.stored.made_from:
            notes.append(f"“{scenario.name}” was saved from another simulation: its numbers are those of the last one.")
        return {one.name: Setting.compared(one, known[one.name]) for one in kept}, tuple(notes)


def open_bench(study_file: Path | str) -> Bench:
    """Open the last simulation of a study; nothing is written.

    Parameters
    ----------
    study_file : Path or str
        The study.

    Raises
    ------
    StudyError
        The study is missing or wrong.
    UnsupportedError
        It is a flat table, which has no months to count money over.
    EmptyResultError
        Every initiative was refused.
    StoreError
        Nothing has been simulated yet, or it cannot be read.
    """
    workspace = simulated_workspace(study_file)
    path = workspace.store.draws
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable_draws(str(path)) from error
    stored = draws_from(content, str(path))
    if stored is None:
        raise unreadable_draws(str(path))
    plans, fault = _plans(workspace)
    stored = _with_rules(stored, plans)
    notes = [*_changes(workspace, stored, plans), *fault]
    samples = stored.surface.samples
    room = MOST_KEPT + 2 * len(samples.initiatives) + len(samples.overlaps)
    answers = answers_of(path, content, plans.text if plans else "", room)
    funding = plans.funding if plans else Funding()
    return Bench(workspace, stored, funding, _rows(workspace, stored), tuple(notes), answers)


def _plans(workspace: Workspace) -> tuple[Plans | None, tuple[str, ...]]:
    """Read the initiatives file as it is now; the page goes on without it."""
    path = workspace.base / "initiatives.yaml"
    try:
        text = read_document(path)
        return Plans.parse(text, path.name, workspace.study), ()
    except (OSError, UnicodeDecodeError):
        return None, ()
    except StudyError as error:
        return None, (f"initiatives.yaml cannot be read as it is now: {error.faults[0]}",)


def _with_rules(stored: Stored, plans: Plans | None) -> Stored:
    """Take needs, exclusions, use of resources and titles as they are now, as the portfolio does."""
    if plans is None or plans.fingerprint != stored.made_from.get("initiatives_fingerprint"):
        return stored
    rules, samples = {one.name: one for one in plans.initiatives}, stored.surface.samples
    ruled = tuple(one.with_initiative(rules[one.name]) for one in samples.initiatives)
    return replace(stored, surface=replace(stored.surface, samples=replace(samples, initiatives=ruled)))


def _changes(workspace: Workspace, stored: Stored, plans: Plans | None) -> list[str]:
    """Say what is not as it was when the initiatives were simulated."""
    made, notes = stored.made_from, []
    if made.get("study_fingerprint") != workspace.study.fingerprint():
        notes.append("The study has changed since the simulation.")
    try:
        contract = existing_contract(workspace.store.root)
    except JourneyliftError:
        contract = None
    if contract is not None and made.get("data_fingerprint") != contract.layout_fingerprint:
        notes.append("The data have changed since the simulation.")
    if plans is not None and made.get("initiatives_fingerprint") != plans.fingerprint:
        notes.append("initiatives.yaml does not say what was simulated.")
    if made.get("package_version") != version("journeylift"):
        notes.append("Another version of journeylift has simulated.")
    if notes:
        notes.append("Numbers are those of the last simulation. Bring them up to date with: journeylift simulate")
    return notes


def _rows(workspace: Workspace, stored: Stored) -> dict[str, dict[str, Any]]:
    """Take from simulate.json what the draws do not keep, if both are of one simulation."""
    try:
        content = read_json(workspace.store.result("simulate")) or {}
    except JourneyliftError:
        return {}
    names = ("study_fingerprint", "data_fingerprint", "initiatives_fingerprint", "seed")
    if any(content.get(name) != stored.made_from.get(name) for name in names):
        return {}
    return {str(row["name"]): row for row in content.get("initiatives", ())}


def _moved(one: Initiative) -> object:
    """Name what a slider does not change: contacts, measures, customers."""
    return one.changes, sorted(one.where.items())


def cost_of(amounts: Mapping[str, float], simulated: Cost) -> Cost:
    """Write a cost from likely amounts; what was given as a range stays one, in proportion.

    Parameters
    ----------
    amounts : mapping of str to float
        Likely amount by part; parts left out are as simulated.
    simulated : Cost
        As in the initiatives file.

    Raises
    ------
    StudyError
        An amount is no number, or below 0.
    """
    parts: dict[str, object] = {}
    for part in COST_PARTS:
        low, likely, high = simulated.limits(part)
        wanted = amounts.get(part, likely)
        given = getattr(simulated, part)
        if wanted == likely:
            parts[part] = given
        elif likely > 0 and isinstance(given, tuple):
            parts[part] = (low * wanted / likely, wanted, high * wanted / likely)
        else:
            parts[part] = wanted
    try:
        return Cost.model_validate(parts)
    except ValueError as error:
        told = ", ".join(f"{part} {value}" for part, value in amounts.items())
        raise StudyError(f"{told}: not a cost. Expected amounts of 0 or more. Correct the amount.") from error
