"""An initiatives file, read and checked once: initiatives, what may be funded, and where a saved scenario came from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from features.marked import compose, validated
from features.study import Study
from models.funding import Funding
from models.initiative_rules import rules_for
from models.initiatives import Initiative
from models.scenario_note import ScenarioNote

__all__ = ["PlansFile", "parse_plans"]


class PlansFile(BaseModel):
    """What an initiatives file says.

    Parameters
    ----------
    initiatives : tuple of Initiative
        In the order of the file. Initiatives that nobody can carry out are kept: see `models.initiatives.refusal`.
    portfolio : Funding
        Without limits where the section is left out.
    scenario : ScenarioNote, optional
        None where the file was written by hand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    initiatives: tuple[Initiative, ...] = Field(min_length=1)
    portfolio: Funding = Funding()
    scenario: ScenarioNote | None = None


def parse_plans(text: str, origin: str, study: Study) -> PlansFile:
    """Read the text of an initiatives file and hold it against the study.

    Parameters
    ----------
    text : str
        YAML.
    origin : str
        Name of the file, as shown in messages.
    study : Study
        Gives journeys, measures and covariates.

    Returns
    -------
    PlansFile

    Raises
    ------
    StudyError
        With every fault and its line: unknown keys, journeys, measures, covariates, initiatives; needs that go round
        in a circle; numbers out of range.
    """
    return validated(PlansFile, compose(text, origin), rules_for(study))
