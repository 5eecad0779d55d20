"""Scenarios that a planner has saved: initiatives with the settings that were tried, as files of the study's folder.

Each file is an initiatives file that ``journeylift simulate`` and ``portfolio`` accept, with one more section that says
what the scenario is called and which simulation it came from.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from features.errors import StudyError
from features.marked import compose
from features.publish import store_error
from features.study import Study
from flows.documents import read_document
from flows.storage import write_bytes
from models.funding import Funding
from models.initiatives import Initiative
from models.plans_file import parse_plans
from models.scenario_note import MOST_CHARACTERS, ScenarioNote

__all__ = [
    "FOLDER", "Scenario", "completed", "list_scenarios", "read_scenario", "scenario_file", "sized", "write_scenario",
]  # fmt: skip

FOLDER: Final = "scenarios"
"""Name of the folder beside the study file."""

_DIGITS: Final = 6
"""Decimals of a delivered share: a size in hundredths times a share in hundredths, and rounding of floats left out."""

_TURN: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Scenario:
    """Initiatives as a planner wants to see them together.

    Attributes
    ----------
    name : str
        As people call it: 1 to 80 characters of one line.
    initiatives : tuple of Initiative
        With the settings that were tried; a smaller size of a change is a smaller delivery.
    funding : Funding
        Budget and other limits.
    made_from : dict of str to str
        Fingerprints of study, data, features and initiatives of the simulation that was looked at, and its seed.
    saved_at : datetime
        UTC, whole seconds.
    """

    name: str
    initiatives: tuple[Initiative, ...]
    funding: Funding = field(default_factory=Funding)
    made_from: dict[str, str] = field(default_factory=dict)
    saved_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def fingerprint(self) -> str:
        """Of what it says; not of when it was saved."""
        return sha256(_document(replace(self, saved_at=datetime(1970, 1, 1, tzinfo=UTC)), "").encode()).hexdigest()[:16]


def sized(initiative: Initiative, size: float) -> Initiative:
    """Write another size of a change as a delivery: the same effect in `models.response_surface`.

    Parameters
    ----------
    initiative : Initiative
        As simulated, or with another delivery.
    size : float
        Share of the change, above 0 and at most 1.

    Returns
    -------
    Initiative

    Examples
    --------
    >>> from models.initiatives import Change
    >>> one = Initiative(name="a", changes=(Change(journey="j", measure="m", scale=0.5),), delivery=(0.5, 0.8, 1.0))
    >>> sized(one, 0.5).delivery
    (0.25, 0.4, 0.5)
    """
    return initiative.model_copy(update={"delivery": tuple(round(size * one, _DIGITS) for one in initiative.delivery)})


def scenario_file(folder: Path, name: str) -> Path:
    """Name the file of a scenario.

    Parameters
    ----------
    folder : Path
        Of all scenarios.
    name : str
        Any text.

    Returns
    -------
    Path
        Plain letters, digits and ``-``; where that drops letters of another script, six digits of a hash as well.

    Examples
    --------
    >>> scenario_file(Path("scenarios"), "Autumn: phone & bills").as_posix()
    'scenarios/autumn-phone-bills.yaml'
    """
    folded = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(one for one in folded if one.isascii() or one.isalnum())
    plain = re.sub(r"[^a-z0-9]+", "-", kept).strip("-")
    if not kept.isascii() or not plain:
        plain = f"{plain or 'scenario'}-{sha256(name.encode()).hexdigest()[:6]}"
    return folder / f"{plain}.yaml"


def completed(scenario: Scenario) -> Scenario:
    """Give a scenario as `write_scenario` writes it.

    Parameters
    ----------
    scenario : Scenario
        What is to be saved.

    Returns
    -------
    Scenario
        Name without spaces around it; without exclusions, limits and demands about what is not in the scenario.

    Raises
    ------
    StudyError
        The name is empty, too long or more than one line, or an initiative needs one that is left out.
    """
    name = scenario.name.strip()
    try:
        ScenarioNote(name=name, saved_at=scenario.saved_at)
    except ValidationError as error:
        shown = f"'{name[:MOST_CHARACTERS]}'" if name else "An empty name"
        raise StudyError(
            f"{shown} is no name for a scenario. Expected one line of 1 to {MOST_CHARACTERS} characters. Name it anew."
        ) from error
    if not scenario.initiatives:
        raise StudyError("The scenario holds no initiative. Expected at least one. Choose one.")
    names = {one.name for one in scenario.initiatives}
    left = [
        f"'{one.name}' needs '{other}', which is left out. Choose '{other}' as well."
        for one in scenario.initiatives
        for other in one.needs
        if other not in names
    ]
    if left:
        raise StudyError.collect(left)
    return replace(scenario, name=name, initiatives=_within(scenario.initiatives), funding=_limits(scenario))


def write_scenario(folder: Path, scenario: Scenario, *, replaces: str = "") -> Path:
    """Write a scenario whole or not at all.

    Parameters
    ----------
    folder : Path
        Of all scenarios; made when missing.
    scenario : Scenario
        What to save.
    replaces : str, optional
        Fingerprint of the scenario that was loaded: a file that still says just that may be written anew.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StudyError
        The name is empty, too long or more than one line; an initiative needs one that is left out; or a scenario of
        that name says something else and is not the one that was loaded.
    StoreError
        The folder cannot be written.
    """
    kept = completed(scenario)
    path = scenario_file(folder, kept.name)
    with _alone(folder):
        if path.exists():
            there = _stored_fingerprint(path)
            if there == kept.fingerprint:
                return path
            if not replaces or there != replaces:
                raise StudyError(
                    f"A scenario is saved as '{path.name}' already and says something else. It may have been saved in "
                    f"another tab. Choose another name than '{kept.name}', or load it first and change it then."
                )
        write_bytes(path, _document(kept, f"# {FOLDER}/{path.name}").encode())
    return path


def read_scenario(path: Path, study: Study) -> Scenario:
    """Read what `write_scenario` wrote, or any other initiatives file.

    Parameters
    ----------
    path : Path
        The file; without a section `scenario` it is called like the file.
    study : Study
        What its journeys, measures and covariates are held against.

    Returns
    -------
    Scenario

    Raises
    ------
    StudyError
        The file cannot be read, or does not fit the study (any more); every fault is listed.
    """
    try:
        text = read_document(path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise StudyError(f"The scenario '{path}' cannot be read: {why}. A YAML file was expected.") from error
    said = parse_plans(text, path.name, study)
    note = said.scenario
    if note is None:
        return Scenario(path.stem, said.initiatives, said.portfolio)
    return Scenario(note.name, said.initiatives, said.portfolio, note.made_from, note.saved_at.astimezone(UTC))


def list_scenarios(folder: Path, study: Study) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    """Read every scenario of a folder.

    Parameters
    ----------
    folder, study
        As for `write_scenario` and `read_scenario`.

    Returns
    -------
    scenarios : tuple of Scenario
        By name.
    faults : tuple of str
        Why files could not be read, one sentence or more each; nothing else stops for them.
    """
    found, faults = list[Scenario](), list[str]()
    for path in sorted(folder.glob("*.yaml")):
        try:
            found.append(read_scenario(path, study))
        except StudyError as error:
            faults.append(error.message)
    return tuple(sorted(found, key=lambda one: (one.name.casefold(), one.name))), tuple(faults)


def _within(initiatives: Sequence[Initiative]) -> tuple[Initiative, ...]:
    names = {one.name for one in initiatives}
    return tuple(
        one.model_copy(update={"excludes": tuple(other for other in one.excludes if other in names)})
        for one in initiatives
    )


def _limits(scenario: Scenario) -> Funding:
    """Keep of the limits what the scenario's initiatives have to do with; the file would be refused otherwise."""
    names = {one.name for one in scenario.initiatives}
    used = {resource for one in scenario.initiatives for resource in one.capacity}
    funding = scenario.funding
    kept: dict[str, object] = {
        "capacity": {name: limit for name, limit in funding.capacity.items() if name in used},
        "must": tuple(name for name in funding.must if name in names),
        "never": tuple(name for name in funding.never if name in names),
    }
    return funding.model_copy(update=kept)


def _document(scenario: Scenario, heading: str) -> str:
    """Write the scenario as YAML; the same content gives the same bytes."""
    content: dict[str, Any] = {
        "scenario": {
            "name": scenario.name,
            "saved_at": scenario.saved_at.astimezone(UTC).isoformat(timespec="seconds"),
            "made_from": dict(sorted(scenario.made_from.items())),
        },
        "initiatives": [_told(one) for one in scenario.initiatives],
        "portfolio": scenario.funding.model_dump(mode="json", exclude_defaults=True),
    }
    kept = {key: value for key, value in content.items() if value}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120)
    note = f"{heading}: saved by journeylift app. Simulate it with --initiatives.\n" if heading else ""
    return f"{note}{text}"


def _told(initiative: Initiative) -> dict[str, Any]:
    """Say what differs from the defaults, and name and changes."""
    said = initiative.model_dump(mode="json", exclude_defaults=True)
    return {
        "name": initiative.name,
        **said,
        "changes": [one.model_dump(exclude_none=True) for one in initiative.changes],
    }


def _stored_fingerprint(path: Path) -> str:
    """Fingerprint of what a file says; empty where it is no scenario of ours."""
    try:
        content: Any = compose(read_document(path), path.name).value
        note = ScenarioNote.model_validate(content["scenario"])
        initiatives = tuple(Initiative.model_validate(one) for one in content["initiatives"])
        funding = Funding.model_validate(content.get("portfolio", {}))
    except (OSError, ValueError, StudyError, KeyError, TypeError):
        return ""
    return Scenario(note.name, initiatives, funding, note.made_from).fingerprint


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one tab at a time look whether a name is taken and write."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _TURN, (folder / ".lock").open("wb") as file:
            _lock(file.fileno())
            yield
    except OSError as error:
        raise store_error(folder, error) from error


def _lock(descriptor: int) -> None:
    """Wait for other processes; closing the file lets them go on. Systems without such locks do without."""
    try:
        import fcntl  # noqa: PLC0415 (not on Windows)
    except ImportError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
