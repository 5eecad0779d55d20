"""What is known of initiatives before money is counted: effects, overlaps of pairs, and joint draws of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.cash import Baseline, Stake
from models.costs import pert
from models.doubts import doubts
from models.draws import DRAWS, Luck, luck_of, noises
from models.effects import Effect, Estimate
from models.initiatives import Initiative
from models.placebo import Placebo
from models.verdicts import Evidence, Ruling, judge

__all__ = ["Forecast", "Overlap", "Refusal", "Sampled", "SampledOverlap", "Samples", "ruled", "sample"]

Array = NDArray[np.float64]

_CHURN_AND_SPEND = [0, 2]
"""Columns of an influence; revenue follows from both."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What goes into the money of one initiative.

    Attributes
    ----------
    initiative : Initiative
        Timing, delivery and cost.
    effect : Effect
        Over the horizon, reach and expected delivery included.
    support_share : float
        Share of moved values inside what was observed.
    reached_share : float
        Share of the cohort that is reached.
    contacts_per_month : float
        Moved contacts per customer of the cohort and month.
    half : Effect, optional
        The same with half of the change.
    placebo : Placebo or None
        The same effect on the past.
    ruling : Ruling or None
        Verdict on the effect; None where nothing was judged.
    doubts : mapping of str to object
        What is shown beside the effect: `models.doubts.COLUMNS`.
    """

    initiative: Initiative
    effect: Effect
    support_share: float
    reached_share: float
    contacts_per_month: float
    half: Effect | None = None
    placebo: Placebo | None = None
    ruling: Ruling | None = None
    doubts: dict[str, object] = field(default_factory=dict)

    @property
    def baseline(self) -> Baseline:
        """What customers do without it."""
        return Baseline(self.effect.base_churn, self.effect.base_revenue)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An initiative that is not simulated, and why."""

    initiative: Initiative
    reason: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two initiatives together do less than the sum of both: effect(a) + effect(b) - effect(a and b).

    Attributes
    ----------
    names : tuple of str
        Of the two, sorted.
    churn, revenue, spend : Estimate
        As in `models.effects.Effect`, reach of both included. A churn overlap below zero: fewer are kept than the sum
        says.
    influence : float64 array, shape (customers, 3)
        On (churn, revenue, spend), for the same customers as that of the effects.
    """

    names: tuple[str, str]
    churn: Estimate
    revenue: Estimate
    spend: Estimate
    influence: Array


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A forecast with draws of its errors.

    Attributes
    ----------
    forecast : Forecast
        Means.
    noise, half_noise : float64 arrays, shape (draws, 2)
        Errors of (churn, spend), of the change as stated and of half of it.
    luck : Luck
        Delivery, cost, and error of the form.
    size : float
        Share of the change that was drawn, 0 to 1.
    """

    forecast: Forecast
    noise: Array
    half_noise: Array
    luck: Luck
    size: float = 1.0

    @property
    def name(self) -> str:
        """Of the initiative."""
        return self.forecast.initiative.name

    def with_initiative(self, initiative: Initiative) -> Sampled:
        """Give the same draws for an initiative of which nothing was written anew that moves its effect."""
        return replace(self, forecast=replace(self.forecast, initiative=initiative))

    @property
    def effect(self) -> Array:
        """Draws of (churn, spend) over the horizon, shape (draws, 2)."""
        return self._drawn(self.forecast.effect, self.noise)

    @property
    def half(self) -> Array:
        """Draws with half of the change; half of the effect where that was not estimated."""
        if self.forecast.half is None:
            return self.effect / 2
        return self._drawn(self.forecast.half, self.half_noise)

    def _drawn(self, effect: Effect, noise: Array) -> Array:
        mean = np.array([effect.churn.value, effect.spend.value])
        return np.asarray((mean + noise) * (1 + effect.churn.form * self.luck.form[:, None]))

    @property
    def stake(self) -> Stake:
        """What money needs, draw by draw."""
        one = self.forecast
        return Stake(
            initiative=one.initiative,
            reached_share=one.reached_share,
            contacts_per_month=one.contacts_per_month,
            effect=self.effect,
            delivered=pert(one.initiative.delivery, self.luck.delivery) / one.initiative.expected_delivery,
            cost=one.initiative.cost.drawn(self.luck.cost),
        )

    @property
    def mean_stake(self) -> Stake:
        """The same with every input at its mean: one draw."""
        one = self.forecast
        return Stake(
            initiative=one.initiative,
            reached_share=one.reached_share,
            contacts_per_month=one.contacts_per_month,
            effect=np.array([[one.effect.churn.value, one.effect.spend.value]]),
            delivered=np.ones(1),
            cost=one.initiative.cost.expected[None, :],
        )


@dataclass(frozen=True, slots=True, eq=False)
class SampledOverlap:
    """An overlap with draws of its errors, shape (draws, 2), on (churn, spend)."""

    overlap: Overlap
    noise: Array

    def drawn(self, one: Luck, other: Luck) -> Array:
        """Draws of (churn, spend); the error of the form is the mean of those of the two."""
        mean = np.array([self.overlap.churn.value, self.overlap.spend.value])
        form = self.overlap.churn.form * (one.form + other.form) / 2
        return np.asarray((mean + self.noise) * (1 + form[:, None]))


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """All that money and portfolio need: draw k of everything is one and the same possible truth.

    Attributes
    ----------
    initiatives : tuple of Sampled
        In the order given.
    overlaps : tuple of SampledOverlap
        Of pairs for which they were estimated; the others add up in their hazards.
    seed, draws : int
        Of the random numbers.
    among : int
        How many initiatives were simulated together, where these are some of them; 0 where these are all.
    """

    initiatives: tuple[Sampled, ...]
    overlaps: tuple[SampledOverlap, ...]
    seed: int
    draws: int
    among: int = 0


def ruled(forecasts: Sequence[Forecast], rng: np.random.Generator, failed_control: str = "") -> tuple[Forecast, ...]:
    """Judge the effects of all initiatives that are looked at together.

    Parameters
    ----------
    forecasts : sequence of Forecast
        With their influence functions.
    rng : numpy.random.Generator
        For `models.verdicts.judge`.
    failed_control : str
        What is said of a negative control that failed; empty when none did.

    Returns
    -------
    tuple of Forecast
        With `ruling` and `doubts`.
    """
    evidence = [Evidence(one.effect, one.support_share, one.placebo) for one in forecasts]
    rulings = judge(evidence, rng, failed_control=failed_control)
    return tuple(
        replace(one, ruling=ruling, doubts=doubts(one.effect, ruling, one.placebo))
        for one, ruling in zip(forecasts, rulings, strict=True)
    )


def sample(
    forecasts: Sequence[Forecast], overlaps: Sequence[Overlap], rng: np.random.Generator, draws: int = DRAWS
) -> Samples:
    """Draw effects, overlaps, delivery and cost jointly.

    Parameters
    ----------
    forecasts : sequence of Forecast
        With their influence functions, of the same customers.
    overlaps : sequence of Overlap
        Of some of their pairs.
    rng : numpy.random.Generator
        Gives one number, from which all others follow with the names: initiatives can be added, left out or put in
        another order, and the others keep their draws.
    draws : int
        How many.

    Returns
    -------
    Samples
        Keeps no influence of customers: `influence` of its effects is empty.
    """
    seed = int(rng.integers(2**63))
    halves = [one.effect if one.half is None else one.half for one in forecasts]
    influences = [one.influence for one in (*(one.effect for one in forecasts), *halves)]
    influences += [one.influence for one in overlaps]
    drawn = noises([one[:, _CHURN_AND_SPEND] for one in influences], seed, draws)
    n = len(forecasts)
    initiatives = tuple(
        Sampled(_without_customers(one), drawn[i], drawn[n + i], luck_of(one.initiative.name, seed, draws))
        for i, one in enumerate(forecasts)
    )
    kept = tuple(
        SampledOverlap(replace(one, influence=np.zeros((0, 3))), drawn[2 * n + i]) for i, one in enumerate(overlaps)
    )
    return Samples(initiatives, kept, seed, draws)


def _without_customers(forecast: Forecast) -> Forecast:
    nobody = np.zeros((0, 3))
    half = None if forecast.half is None else replace(forecast.half, influence=nobody)
    return replace(forecast, effect=replace(forecast.effect, influence=nobody), half=half)
