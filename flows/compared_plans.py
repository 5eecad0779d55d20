"""What `journeylift compare` is given: runs, initiatives and files, each found with its draws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Final, Literal

from features.errors import ModelError, StudyError, closest
from features.layout import Layout
from flows import console
from flows.build_features import ensure_layout, ensure_panel
from flows.draws_store import Stored, draws_from, read_draws, write_draws
from flows.plans import Plans, made_from, read_plans
from flows.simulate import estimated
from flows.storage import Workspace
from flows.tracking import Recorded, open_tracker
from models.combinations import counts_every_pair
from models.initiatives import Initiative
from models.outlooks import Outlook, outlook
from models.response_surface import ResponseSurface

__all__ = ["Compared", "differing", "find_plans"]

Kind = Literal["run", "initiative", "file"]

_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_KEPT: Final = 10
"""Plans whose draws are kept besides the last simulation; the oldest goes."""

_WORLD: Final = {
    "study_fingerprint": "the study file",
    "data_fingerprint": "the data",
    "feature_contract_hash": "the features",
    "seed": "the seed",
    "package_version": "the version of journeylift",
    "git_commit": "the code",
}
"""What two simulations must have in common for their draws to be the same possible truths."""


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One side of a comparison.

    Attributes
    ----------
    given : str
        As it was written on the command line.
    kind : str
        ``run``, ``initiative`` or ``file``.
    label : str
        For people, short.
    origin : str
        Where the numbers come from, for people.
    surface : ResponseSurface
        Draws, customers, money.
    names : tuple of str
        Initiatives that belong to it.
    made_from : mapping of str to str
        As `flows.plans.made_from` gave it when it was simulated.
    notes : tuple of str
        What to know of it.
    """

    given: str
    kind: Kind
    label: str
    origin: str
    surface: ResponseSurface
    names: tuple[str, ...]
    made_from: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def world(self) -> str:
        """Of what its draws are: equal for those whose draws are paired."""
        samples = self.surface.samples
        return "|".join([*(self.made_from.get(key, "") for key in _WORLD), str(samples.seed), str(samples.draws)])

    @property
    def counts_every_pair(self) -> bool:
        """Whether its simulation counts what every two initiatives do together."""
        return counts_every_pair(self.surface.samples)

    def outlook(self, *, is_every: bool | None = None) -> Outlook:
        """Count what it does over the study's months; pairs as its simulation does, or as all sides of a comparison."""
        on = self.surface
        return outlook(on.samples, on.cohort, on.money, on.retention, self.names, is_every=is_every)


def differing(first: Compared, other: Compared) -> tuple[str, ...]:
    """Say what two simulations do not have in common, for people; nothing where their draws are paired."""
    told = []
    for key, what in _WORLD.items():
        one, two = first.made_from.get(key, ""), other.made_from.get(key, "")
        if one != two:
            told.append(f"{what} ({one} and {two})" if key in {"seed", "package_version"} else what)
    return tuple(told) if told or first.world == other.world else ("the random numbers",)


def find_plans(workspace: Workspace, given: Sequence[str], seed: int | None) -> tuple[Compared, ...]:
    """Find what is to be compared; files that were not simulated are.

    Parameters
    ----------
    workspace : Workspace
        The study.
    given : sequence of str
        Each a path of an initiatives file, the id of a run in MLflow, or the name of an initiative that was simulated
        last; looked for in this order.
    seed : int or None
        For files; that of the last simulation, or 0, when None.

    Returns
    -------
    tuple of Compared
        In the order given, labels all different.

    Raises
    ------
    StudyError
        Something is none of the three, or a file is wrong. All that is unknown is listed.
    ModelError
        A run that is deleted, of another kind, or without draws.
    """
    last = read_draws(workspace.store.draws)
    kinds = [_kind(one, last) for one in given]
    faults = [_fault(one, kind, last) for one, kind in zip(given, kinds, strict=True)]
    if any(faults):
        raise StudyError.collect(fault for fault in faults if fault)
    # Runs first: what is wrong with them is told before minutes go into files.
    runs = {one: _run(workspace, one) for one, kind in zip(given, kinds, strict=True) if kind == "run"}
    found = []
    for one, kind in zip(given, kinds, strict=True):
        if kind == "run":
            found.append(runs[one])
        elif kind == "initiative":
            assert last is not None  # noqa: S101 (its initiatives were just looked up)
            found.append(_initiative(one, last, workspace))
        else:
            found.append(_file(workspace, one, last, seed))
    return _distinct(found)


def _kind(given: str, last: Stored | None) -> Kind | None:
    path = Path(given).expanduser()
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return "file"
    if _RUN_ID.fullmatch(given):
        return "run"
    return "initiative" if last is not None and given in _simulated(last) else None


def _simulated(stored: Stored) -> dict[str, Initiative]:
    """All initiatives of a simulation by name, the refused ones among them."""
    drawn = [one.forecast.initiative for one in stored.surface.samples.initiatives]
    return {one.name: one for one in [*drawn, *(one.initiative for one in stored.refusals)]}


def _fault(given: str, kind: Kind | None, last: Stored | None) -> str:
    """Say why something is none of the three; empty where it is one."""
    if kind == "file" and not Path(given).expanduser().is_file():
        return f"There is no file '{given}'. An initiatives file was expected. Check the path."
    if kind is not None:
        return ""
    known = sorted(_simulated(last)) if last is not None else []
    simulated = f"Simulated last: {', '.join(known)}." if known else "Nothing has been simulated yet."
    return (
        f"'{given}' cannot be compared: it is no initiatives file (.yaml), no id of a run in MLflow (32 signs) and no "
        f"initiative of the last simulation.{closest(given, known)} {simulated}"
    )


def _initiative(name: str, last: Stored, workspace: Workspace) -> Compared:
    label = _simulated(last)[name].label
    _refuse_refused(name, last)
    is_old = last.made_from.get("study_fingerprint") != workspace.study.fingerprint()
    notes = (f"{label}: simulated before the study file was changed. Simulate again: journeylift simulate",)
    told = "the last simulation"
    return Compared(name, "initiative", label, told, last.surface, (name,), last.made_from, notes if is_old else ())


def _refuse_refused(name: str, stored: Stored) -> None:
    for one in stored.refusals:
        if one.initiative.name == name:
            raise StudyError(f"'{name}' was refused, so there is nothing to compare: {one.reason}")


def _run(workspace: Workspace, run_id: str) -> Compared:
    """Find the draws of a run, or of the run it belongs to."""
    tracker = open_tracker(workspace.study, workspace.store)
    tracker.require()
    found = tracker.recorded(run_id)
    if found is None:
        raise ModelError(
            f"There is no run {run_id} in MLflow. The id of a simulation was expected, as MLflow and simulate.json "
            "show it. Copy it from there."
        )
    if found.is_deleted:
        raise ModelError(f"The run {run_id} was deleted in MLflow. Restore it there, or simulate again.")
    wanted = f"{workspace.study.name}/simulate"
    if found.experiment != wanted:
        raise ModelError(
            f"The run {run_id} is '{found.name}' of {found.experiment}. A run of {wanted} was expected. Take the id of "
            "a simulation of this study or of one of its initiatives."
        )
    content = tracker.artifact(found.parent or run_id, "draws.npz")
    stored = None if content is None else draws_from(content, f"draws.npz of the run {run_id}")
    if stored is None:
        raise ModelError(
            f"The run {run_id} of {found.day} holds no draws: it was recorded by an earlier version, or its artefacts "
            "were moved. A file draws.npz was expected. Simulate again: journeylift simulate"
        )
    return _of_run(found, stored)


def _of_run(found: Recorded, stored: Stored) -> Compared:
    origin = f"run {found.run_id[:8]} of {found.day}"
    if not found.parent:
        names = _all_of(stored)
        notes = _exclusions(stored, origin)
        label = f"Simulation of {found.day} ({console.count(len(names), 'initiative')})"
        return Compared(found.run_id, "run", label, origin, stored.surface, names, stored.made_from, notes)
    name = found.tags.get("initiative", found.name)
    _refuse_refused(name, stored)
    label = _simulated(stored)[name].label
    return Compared(found.run_id, "run", label, origin, stored.surface, (name,), stored.made_from)


def _all_of(stored: Stored) -> tuple[str, ...]:
    return tuple(sorted(one.name for one in stored.surface.samples.initiatives))


def _file(workspace: Workspace, given: str, last: Stored | None, seed: int | None) -> Compared:
    """Take the numbers from the last simulation where that is possible, else estimate."""
    plans = read_plans(workspace, given)
    contract = ensure_panel(workspace)
    seeded = 0 if last is None else int(last.made_from["seed"])
    wanted = made_from(workspace.study, contract, plans, seeded if seed is None else seed)
    stored, origin = _known(last, plans, wanted), "the last simulation"
    if stored is None:
        stored, origin = _estimated(workspace, plans, wanted), "a simulation of the file"
    elif _is_resized(last, plans):
        origin = "the last simulation, at another reach or delivery"
    label, names = Path(given).stem if plans.note is None else plans.note.name, _all_of(stored)
    notes = [f"{label}: {one.initiative.name} is refused and left out. {one.reason}" for one in stored.refusals]
    if not names:
        raise StudyError(f"Every initiative of '{given}' is refused, so there is nothing to compare: {notes[0]}")
    notes += _exclusions(stored, label)
    title = f"{label} ({console.count(len(names), 'initiative')})"
    return Compared(given, "file", title, origin, stored.surface, names, stored.made_from, tuple(notes))


def _known(last: Stored | None, plans: Plans, wanted: dict[str, str]) -> Stored | None:
    """Answer from the last simulation; None where one of the initiatives needs a new estimate."""
    if last is None or any(last.made_from.get(key) != wanted[key] for key in _WORLD):
        return None
    before = {one.initiative.name: one for one in last.refusals}
    still = [before[one.name] for one in plans.initiatives if one.name in before]
    if any(one.initiative.changes != _named(plans, one.initiative.name).changes for one in still):
        return None
    surface = last.surface.revised([one for one in plans.initiatives if one.name not in before])
    return None if surface is None else Stored(surface, tuple(still), wanted)


def _named(plans: Plans, name: str) -> Initiative:
    return next(one for one in plans.initiatives if one.name == name)


def _is_resized(last: Stored | None, plans: Plans) -> bool:
    before = {} if last is None else _simulated(last)
    return any(
        (one.reach, one.delivery) != (before[one.name].reach, before[one.name].delivery)
        for one in plans.initiatives
        if one.name in before
    )


def _estimated(workspace: Workspace, plans: Plans, wanted: dict[str, str]) -> Stored:
    """Estimate what a file does, and keep its draws; the last simulation stays what it is."""
    kept = workspace.store.compared / f"{sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]}.npz"
    stored = read_draws(kept)
    if stored is not None:
        kept.touch()
        return stored
    contract, layout = ensure_panel(workspace), ensure_layout(workspace)
    assert isinstance(layout, Layout)  # noqa: S101 (flat studies are refused before)
    console.say("compare: a file has not been simulated as it is now, so that is done first")
    stored = estimated(workspace, layout, contract, plans, int(wanted["seed"]))
    write_draws(kept, stored)
    folder = workspace.store.compared
    ours: Iterable[Path] = () if folder.is_symlink() else folder.glob(f"{'[0-9a-f]' * 16}.npz")
    for old in sorted(ours, key=lambda one: one.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
    return stored


def _exclusions(stored: Stored, label: str) -> tuple[str, ...]:
    """Say which initiatives of a plan cannot both be done."""
    ordered = sorted((one.forecast.initiative for one in stored.surface.samples.initiatives), key=lambda one: one.name)
    return tuple(
        f"{label}: {one.name} and {other.name} exclude each other, and both are counted. Leave one out of the file."
        for one, other in combinations(ordered, 2)
        if other.name in one.excludes or one.name in other.excludes
    )


def _distinct(found: Sequence[Compared]) -> tuple[Compared, ...]:
    """Tell labels apart that are the same: by where they come from, then by number."""

    def told(labels: list[str], more: list[str]) -> list[str]:
        return [f"{one} · {extra}" if labels.count(one) > 1 else one for one, extra in zip(labels, more, strict=True)]

    labels = told([one.label for one in found], [one.origin for one in found])
    labels = told(labels, [str(number) for number in range(1, len(found) + 1)])
    return tuple(replace(one, label=label) for one, label in zip(found, labels, strict=True))
