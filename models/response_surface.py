"""What an initiative would be worth with another reach, delivery, start, cost or size, without estimating again.

For a planner's sliders. Not for other customers, contacts or measures: those move other touchpoints and need an
estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from features.errors import StudyError, closest
from features.study import Money
from models.cash import Cohort
from models.effects import Effect, Estimate
from models.forecasts import Sampled, SampledOverlap, Samples
from models.initiatives import Initiative
from models.retention import Retention
from models.simulation import Worth, worth_of

__all__ = ["ANSWERED", "ResponseSurface"]

Array = NDArray[np.float64]

ANSWERED = ("reach", "delivery", "start_month", "ramp_months", "lasts_months", "cost")
"""Keys of an initiative that can be changed without a new estimate."""

_NOT_SIMULATED: Final = ("title", "owner", "capacity", "needs", "excludes")
"""Keys that move nothing at all."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseSurface:
    """Stored draws of all initiatives, and for whom money is counted.

    Attributes
    ----------
    samples : Samples
        With effects of the whole change and of half of it.
    cohort : Cohort
        For whom.
    money : Money
        Margin, rate, months.
    retention : Retention
        How many stay if nothing is done.
    """

    samples: Samples
    cohort: Cohort
    money: Money
    retention: Retention

    def answer(self, name: str, changed: Mapping[str, object] | None = None, size: float = 1.0) -> Worth:
        """Say what an initiative is worth with some of its keys changed.

        Parameters
        ----------
        name : str
            Of an initiative that was simulated.
        changed : mapping of str to object, optional
            New values of keys among `ANSWERED`, as in the initiatives file.
        size : float
            Share of the change, from 0 (nothing is moved) to 1 (as written).

        Returns
        -------
        Worth
            With the same luck as the stored simulation: differences are about what was changed.

        Raises
        ------
        StudyError
            An unknown initiative, a key that needs a new estimate, a value out of range.

        Notes
        -----
        With x the size times the expected delivery, over the stored one, effect, standard error and every draw follow
        the parabola through 0 and the estimates at 1/2 and 1; exact there. Reach is a random share, so effects are
        proportional to it: exact. Start, ramp, duration and cost are counted again: exact. Beyond x = 1, where more is
        delivered than was expected, the parabola is extended, to at most 1 over the expected delivery.
        """
        return worth_of(self.sampled(name, changed, size), self.cohort, self.money, self.retention)

    def sampled(self, name: str, changed: Mapping[str, object] | None = None, size: float = 1.0) -> Sampled:
        """Give the forecast and draws that `answer` counts the money of; arguments and errors as there."""
        stored = self._stored(name)
        initiative = _changed(stored.forecast.initiative, dict(changed or {}), size)
        if initiative == stored.forecast.initiative and size == 1:
            return stored
        return _resized(stored, initiative, size)

    def overlap(self, one: Sampled, other: Sampled) -> SampledOverlap | None:
        """Say what two initiatives do twice, as they are now.

        Parameters
        ----------
        one, other : Sampled
            From `sampled`; both at the same draws.

        Returns
        -------
        SampledOverlap or None
            None where the overlap of this pair was not estimated: their hazards add up.

        Notes
        -----
        The stored overlap times reach, expected delivery and size of each over those as simulated. In reach that is
        exact, as both are done at the product of the two shares of customers. In delivery and size it is the first
        term: what both do twice vanishes with either of them. No overlap is estimated at a smaller size; the error
        that was measured is in docs/explanation/simulation.md. Effects play no part: a ratio of estimates has no limit
        where the effect is next to nothing.
        """
        names = (min(one.name, other.name), max(one.name, other.name))
        found = next((pair for pair in self.samples.overlaps if pair.overlap.names == names), None)
        share = self._share(one) * self._share(other)
        if found is None or share == 1:
            return found
        churn, revenue, spend = (_scaled(getattr(found.overlap, name), share) for name in ("churn", "revenue", "spend"))
        return SampledOverlap(replace(found.overlap, churn=churn, revenue=revenue, spend=spend), share * found.noise)

    def _share(self, one: Sampled) -> float:
        """How much of an initiative is done, over that as simulated: reach times expected delivery times size."""
        before = self._stored(one.name)
        was, now = before.forecast.initiative, one.forecast.initiative
        delivered = one.size * now.expected_delivery / (before.size * was.expected_delivery)
        return now.reach / was.reach * delivered

    def _stored(self, name: str) -> Sampled:
        found = {one.name: one for one in self.samples.initiatives}
        if name not in found:
            raise StudyError(
                f"no initiative called '{name}' was simulated.{closest(name, tuple(found))} "
                f"Simulated: {', '.join(sorted(found)) or 'none'}."
            )
        return found[name]

    def revised(self, initiatives: Sequence[Initiative]) -> ResponseSurface | None:
        """Give what is known of other versions of the initiatives, with the same luck.

        Parameters
        ----------
        initiatives : sequence of Initiative
            Names differ.

        Returns
        -------
        ResponseSurface or None
            Of these initiatives only; None where one was not simulated, or differs in more than the keys among
            `ANSWERED` and those that move nothing, so that a new estimate is needed.

        Notes
        -----
        Each initiative as in `answer`, pairs as in `overlap`; which pairs are counted stays as in the simulation.
        """
        stored = {one.name: one for one in self.samples.initiatives}
        if not all(one.name in stored and _moves_alike(one, stored[one.name]) for one in initiatives):
            return None
        sampled = {one.name: _revised(stored[one.name], one) for one in initiatives}
        pairs = [one.overlap.names for one in self.samples.overlaps if set(one.overlap.names) <= set(sampled)]
        found = [self.overlap(sampled[one], sampled[other]) for one, other in pairs]
        overlaps = tuple(one for one in found if one is not None)
        among = max(self.samples.among, len(self.samples.initiatives))
        kept = replace(self.samples, initiatives=tuple(sampled.values()), overlaps=overlaps, among=among)
        return replace(self, samples=kept)


def _moves_alike(initiative: Initiative, stored: Sampled) -> bool:
    """Whether the same is moved for the same customers, in whatever size."""
    left_out = {*ANSWERED, *_NOT_SIMULATED}
    return initiative.model_dump(exclude=left_out) == stored.forecast.initiative.model_dump(exclude=left_out)


def _revised(stored: Sampled, initiative: Initiative) -> Sampled:
    before = stored.forecast.initiative
    is_same_size = (initiative.reach, initiative.delivery) == (before.reach, before.delivery)
    return stored.with_initiative(initiative) if is_same_size else _resized(stored, initiative, 1.0)


def _changed(initiative: Initiative, changed: dict[str, object], size: float) -> Initiative:
    for key in changed:
        if key not in ANSWERED:
            raise StudyError(
                f"'{key}' cannot be changed without a new estimate.{closest(key, ANSWERED)} "
                f"Changed at once can be: {', '.join(ANSWERED)}, and the size. Write it into the file and simulate."
            )
    if not 0 <= size <= 1:
        raise StudyError(f"size is {size}. Expected a share of the change, from 0 to 1. Write a larger change instead.")
    kept = initiative.model_dump(by_alias=True)
    try:
        return Initiative.model_validate(kept | changed)
    except ValueError as error:
        told = "; ".join(f"{key} {value}" for key, value in changed.items())
        raise StudyError(f"{told}: out of range for '{initiative.name}'. {_first_line(error)}") from error


def _first_line(error: ValueError) -> str:
    """Take what pydantic says of the first fault, without its own heading."""
    if not isinstance(error, ValidationError):
        return str(error)
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


def _resized(stored: Sampled, initiative: Initiative, size: float) -> Sampled:
    """Move a forecast along the parabola, and scale it by reach."""
    one = stored.forecast
    x = size * initiative.expected_delivery / one.initiative.expected_delivery
    reach = initiative.reach / one.initiative.reach
    # Lagrange weights of the nodes 1/2 and 1; the third node, 0, has no effect.
    at_half, at_whole = reach * 4 * x * (1 - x), reach * x * (2 * x - 1)
    half = one.effect if one.half is None else one.half
    if one.half is None:
        at_half, at_whole = 0.0, reach * x
    noise = at_half * stored.half_noise + at_whole * stored.noise
    moved = replace(
        one,
        initiative=initiative,
        effect=_between(one.effect, half, at_whole, at_half, reach * x),
        half=None,
        reached_share=one.reached_share * reach,
        contacts_per_month=one.contacts_per_month * reach,
    )
    return Sampled(moved, noise, noise / 2, stored.luck, size)


def _scaled(estimate: Estimate, share: float) -> Estimate:
    return replace(estimate, value=share * estimate.value, se=abs(share) * estimate.se)


def _between(whole: Effect, half: Effect, at_whole: float, at_half: float, along: float) -> Effect:
    def mixed(name: str) -> Estimate:
        one, other = getattr(whole, name), getattr(half, name)
        # The errors of both nodes are almost one: that of the whole change, in proportion, is their scale.
        return Estimate(at_whole * one.value + at_half * other.value, abs(along) * one.se, one.form)

    return replace(whole, churn=mixed("churn"), revenue=mixed("revenue"), spend=mixed("spend"))
