"""The initiatives file: read, checked, and known again. Knows no Prefect, so mistakes are told before that starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

from features.contract import PanelContract
from features.errors import StudyError
from features.study import Study
from flows.documents import read_document
from flows.identity import git_commit
from flows.storage import Workspace
from models.funding import Funding
from models.initiatives import Initiative
from models.plans_file import parse_plans
from models.scenario_note import ScenarioNote

__all__ = ["HALF", "Plans", "made_from", "overridden", "read_plans", "same_estimates"]

_FILE: Final = "initiatives.yaml"

HALF: Final = 0.5
"""Share of the change of which the effect is stored as well, for other sizes."""


@dataclass(frozen=True, slots=True)
class Plans:
    """The text of an initiatives file and what it says."""

    text: str
    initiatives: tuple[Initiative, ...]
    funding: Funding
    note: ScenarioNote | None = None

    @classmethod
    def parse(cls, text: str, origin: str, study: Study) -> Plans:
        """Read and check a text; `origin` names its file in messages."""
        said = parse_plans(text, origin, study)
        return cls(text, said.initiatives, said.portfolio, said.scenario)

    @property
    def fingerprint(self) -> str:
        """Of what is simulated: the initiatives, without what only chooses among them and comments."""
        return _hashed(one.model_dump_json(exclude=_CHOOSES) for one in self.initiatives)

    @property
    def estimates_fingerprint(self) -> str:
        """Of what moves the effects: without timing and cost, and of the delivery its mean alone."""
        return _hashed(_moves(one) for one in self.initiatives)


_CHOOSES: Final = {"capacity", "needs", "excludes", "title", "owner"}
_COUNTED: Final = {"start_month", "ramp_months", "lasts_months", "cost", "delivery"}


def _moves(one: Initiative) -> str:
    # The effect of half of the change is estimated too; where both means are the same numbers, so are the estimates.
    means = (one.expected_delivery, one.resized(HALF).expected_delivery)
    return f"{one.model_dump_json(exclude=_CHOOSES | _COUNTED)}{means}"


def _hashed(said: Iterable[str]) -> str:
    return sha256("\n".join(said).encode()).hexdigest()[:16]


def made_from(study: Study, contract: PanelContract, plans: Plans, seed: int) -> dict[str, str]:
    """Say what a simulation rests on: it is run again when any of this differs."""
    return {
        "study_fingerprint": study.fingerprint(),
        "data_fingerprint": contract.layout_fingerprint,
        "feature_contract_hash": contract.feature_contract_hash,
        "initiatives_fingerprint": plans.fingerprint,
        "estimates_fingerprint": plans.estimates_fingerprint,
        "seed": str(seed),
        "package_version": version("journeylift"),
        "git_commit": git_commit(),
    }


def same_estimates(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether two simulations rest on the same effects, so that only money has to be counted again."""
    counted = "initiatives_fingerprint"
    return {**one, counted: ""} == {**other, counted: ""}


def read_plans(workspace: Workspace, given: str | None) -> Plans:
    """Read and check the initiatives file.

    Parameters
    ----------
    workspace : Workspace
        Its study names journeys, measures and covariates.
    given : str, optional
        The file; ``initiatives.yaml`` beside the study when left out.

    Raises
    ------
    StudyError
        The file is missing or wrong; every fault is listed.
    """
    path = workspace.base / _FILE if given is None else Path(given).expanduser().resolve()
    return Plans.parse(_read(path), path.name, workspace.study)


def overridden(funding: Funding, given: Mapping[str, float | None]) -> Funding:
    """Put what was given on the command line in place of what the file says.

    Parameters
    ----------
    funding : Funding
        The section `portfolio` of the file.
    given : mapping of str to float or None
        `budget`, `cash`, `aversion`; None leaves what the file says.

    Returns
    -------
    Funding

    Raises
    ------
    StudyError
        A number is out of range; every one is listed.
    """
    changed = {name: value for name, value in given.items() if value is not None}
    faults = [
        f"--{name} {value:g} is out of range. Expected {'0 to 1' if name == 'aversion' else 'an amount, 0 or more'}."
        for name, value in changed.items()
        if not 0 <= value <= (1 if name == "aversion" else 1e300)
    ]
    if faults:
        raise StudyError.collect(faults)
    return funding.model_copy(update=changed)


def _read(path: Path) -> str:
    try:
        return read_document(path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise StudyError(
            f"The initiatives file '{path}' cannot be read: {why}. A YAML file was expected. Name one with "
            "--initiatives FILE, or see how one is written: journeylift init DIR"
        ) from error
