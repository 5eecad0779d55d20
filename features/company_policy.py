"""What an initiative does to the touchpoints of the synthetic company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.company_people import AGES, REGIONS, SEGMENTS, People
from features.luck import uniform

__all__ = ["CHANNELS", "CompanyInitiative", "Cost", "Move", "Policy"]

Operation = Literal["shift", "scale", "cap", "floor", "convert"]
Kind = Literal["good", "useless", "harmful", "uncontrolled"]

CHANNELS = ("phone", "chat", "web", "app", "mail", "home")
_LEVELS = {"segment": SEGMENTS, "region": REGIONS, "age_band": AGES}
_SUCCESS = {"resolved": 1.0, "bill_error": 0.0}


@dataclass(frozen=True, slots=True)
class Move:
    """One change to one measure.

    Attributes
    ----------
    journey, measure : str
        Where and what.
    operation, amount : str, float
        `shift` adds, `scale` multiplies, `cap` and `floor` bound, `convert` turns that share of
        failures into successes.
    touchpoint, channel : str or None
        Only there; None is everywhere.
    """

    journey: str
    measure: str
    operation: Operation
    amount: float
    touchpoint: str | None = None
    channel: str | None = None

    def promised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the values would be if all was delivered; not for `convert`, which needs luck."""
        match self.operation:
            case "shift":
                return values + self.amount
            case "scale":
                return values * self.amount
            case "cap":
                return np.minimum(values, self.amount)
            case "floor":
                return np.maximum(values, self.amount)
            case "convert":
                raise ValueError("A conversion has no promised value for each touchpoint. Use Policy.move.")


@dataclass(frozen=True, slots=True)
class Cost:
    """What an initiative costs, in the company's currency."""

    once: float = 0.0
    monthly: float = 0.0
    per_customer: float = 0.0
    per_contact: float = 0.0


@dataclass(frozen=True, slots=True)
class CompanyInitiative:
    """An initiative as the company would write it, with the kind that its truth should have.

    Attributes
    ----------
    name, title, owner : str
        As in initiatives.yaml.
    moves : tuple of Move
        What changes.
    kind : str
        good, useless, harmful, or uncontrolled (nobody can do it).
    reach : float
        Share of the customers reached, drawn at random by `uniform(seed, "reach:" + name, customer)`.
    where : tuple of (covariate, levels)
        Only customers with one of these levels of segment, region or age_band.
    delivery : tuple of float
        Low, likely, high share of the promise that is delivered.
    cost : Cost
        For a company of 20,000 customers.
    """

    name: str
    title: str
    owner: str
    moves: tuple[Move, ...]
    kind: Kind
    reach: float = 1.0
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    delivery: tuple[float, float, float] = (0.6, 0.8, 1.0)
    cost: Cost = field(default_factory=Cost)
    start_month: int = 1
    ramp_months: int = 3

    @property
    def delivered(self) -> float:
        """Mean of the PERT distribution of delivery."""
        low, likely, high = self.delivery
        return (low + 4 * likely + high) / 6


class Policy:
    """Initiatives at work on certain customers; none of them: the world as it is.

    Parameters
    ----------
    seed : int
        The world's seed.
    people : People
        The customers, in the order in which `move` will address them.
    initiatives : sequence of CompanyInitiative
        Applied one after the other.

    Attributes
    ----------
    affected : bool array, shape (n,)
        Customers of whom at least one touchpoint has been changed so far.
    """

    __slots__ = ("_people", "_seed", "_strengths", "affected")

    def __init__(self, seed: int, people: People, initiatives: Sequence[CompanyInitiative] = ()) -> None:
        self._seed = seed
        self._people = people
        self._strengths = [
            (move, _strength(seed, people, initiative)) for initiative in initiatives for move in initiative.moves
        ]
        self.affected = np.zeros(len(people), dtype=np.bool_)

    def move(
        self,
        place: tuple[str, str],
        measure: str,
        values: NDArray[np.float64],
        *,
        rows: NDArray[np.intp],
        channel: NDArray[np.int64],
        week: int,
    ) -> NDArray[np.float64]:
        """Return the values of a measure as they come out under the initiatives.

        Parameters
        ----------
        place : (journey, touchpoint)
            Where the values were measured.
        measure : str
            Which measure they are.
        values, rows, channel : arrays, shape (k,)
            The values, the positions of their customers in `people`, the positions of their channels in `CHANNELS`.
        week : int
            For the luck of conversions.
        """
        for move, strength in self._strengths:
            if (move.journey, move.measure) != (place[0], measure) or move.touchpoint not in (None, place[1]):
                continue
            here = strength[rows]
            if move.channel is not None:
                here = np.where(channel == CHANNELS.index(move.channel), here, 0.0)
            if move.operation == "convert":
                luck = uniform(self._seed, f"convert:{measure}", week, self._people.index[rows])
                moved = np.where(luck < move.amount * here, _SUCCESS[measure], values)
            else:
                moved = values + here * (move.promised(values) - values)
            self.affected[rows[moved != values]] = True
            values = moved
        return values


def _strength(seed: int, people: People, initiative: CompanyInitiative) -> NDArray[np.float64]:
    """Return the delivered share for each customer, zero for those not reached."""
    reached = uniform(seed, f"reach:{initiative.name}", people.index) < initiative.reach
    codes = {"segment": people.segment, "region": people.region, "age_band": people.age}
    for covariate, levels in initiative.where:
        reached &= np.isin(codes[covariate], [_LEVELS[covariate].index(level) for level in levels])
    return np.where(reached, initiative.delivered, 0.0)
