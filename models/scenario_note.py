"""The section `scenario` of an initiatives file: what a saved scenario is called, since when, and from what it came."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["MOST_CHARACTERS", "ScenarioNote"]

MOST_CHARACTERS = 80
"""Length of a scenario's name."""


class ScenarioNote(BaseModel):
    """Where the initiatives of a file come from; nothing is computed from it.

    Parameters
    ----------
    name : str
        As people call it.
    saved_at : datetime
        With its offset from UTC.
    made_from : mapping of str to str
        Study, data, features, initiatives and seed of the simulation that was looked at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]+$")]
    saved_at: AwareDatetime
    made_from: dict[str, str] = Field(default_factory=dict)
