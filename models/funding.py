"""The section `portfolio` of the initiatives file: what the chosen initiatives may take together."""

from __future__ import annotations

from math import inf
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.appetite import Appetite
from models.proposals import Limits

__all__ = ["Amount", "Funding", "Resource"]

Number = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[Number, Field(ge=0)]
Resource = Annotated[str, Field(pattern=r"^[\w-]+$")]


class Funding(BaseModel):
    """Budget, capacities, what is decided already, and risk appetite.

    Parameters
    ----------
    budget : float
        Largest present value of all costs, in the study's currency; None for no limit.
    capacity : mapping of str to float
        Largest sum of each resource that initiatives use.
    must, never : tuple of str
        Initiatives that are done, or not done, whatever they are worth.
    cash : float
        Money at hand when initiatives are started; None for the budget.
    aversion, tail : float
        As in `models.appetite.Appetite`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: Amount | None = None
    capacity: dict[Resource, Amount] = Field(default_factory=dict)
    must: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    cash: Amount | None = None
    aversion: Annotated[Number, Field(ge=0, le=1)] = 0.0
    tail: Annotated[Number, Field(gt=0, le=1)] = 0.1

    @property
    def limits(self) -> Limits:
        """What a plan may take."""
        return Limits(inf if self.budget is None else self.budget, self.capacity, self.must, self.never)

    @property
    def appetite(self) -> Appetite:
        """What draws are worth."""
        return Appetite(self.aversion, self.tail)
