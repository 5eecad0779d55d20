"""What a study says about watching its scores: the section ``monitoring``, all of it optional."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Monitoring"]

_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Monitoring(BaseModel):
    """When a batch of scores is worth a look, and when something has to be done. It changes no result of a model.

    Parameters
    ----------
    false_alarms : float
        Share of undisturbed batches in which drift may be told by mistake.
    broken_promises : float
        Share of matured batches in which a promise that is kept may be called broken.
    psi : float
        Population stability index below which a feature that moved is too small to tell.
    contacted_share : float
        Share of the customers at risk that can be contacted: at this share lift is judged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    false_alarms: _Number = Field(default=0.05, gt=0, lt=1)
    broken_promises: _Number = Field(default=0.01, gt=0, lt=1)
    psi: _Number = Field(default=0.1, ge=0)
    contacted_share: _Number = Field(default=0.1, gt=0, le=1)
