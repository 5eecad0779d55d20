"""Who the synthetic company's customers are, and the environment that they live in.

Nothing here can be moved by an initiative: covariates, the latent loyalty and need, the weather, the season, the load
of the support centre, the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from features.luck import normal, uniform
from features.snapshot import DAY

__all__ = ["AGES", "REGIONS", "SEGMENTS", "WEEK", "People", "World", "make_people", "make_world"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEK = 7 * DAY
SEGMENTS = ("basic", "plus", "premium")
REGIONS = ("coast", "hills", "lakes", "plains")
AGES = ("under 35", "35 to 59", "60 and over")

_INITIAL_SHARE = 0.65
"""Share of customers who are there at the start: with 2 % churn a month the stock stays level for 30 months."""
_TENURE_DAYS = 900.0
_FEES = np.array([19.0, 32.0, 55.0])


@dataclass(frozen=True, slots=True)
class People:
    """Customers side by side; every array has shape (n,).

    Attributes
    ----------
    index : int64
        The customer's place in the company: the key to their luck.
    segment, region, age : int64
        Positions in `SEGMENTS`, `REGIONS`, `AGES`.
    fee : float64
        Monthly price of the plan.
    bill_day : int64
        Day of the month of the invoice, 1 to 28.
    joined_at : int64
        Microseconds; before the first week for the initial stock.
    first_week, visit_week : int64
        First week at risk; week of the installation visit. Negative before the world begins.
    loyalty, need : float64
        Latent, standard normal, in no table.
    disfavour : float64
        How much worse quality is for them because of what nobody observes; zero without hidden confounding.
    """

    index: Ints
    segment: Ints
    region: Ints
    age: Ints
    fee: Floats
    bill_day: Ints
    joined_at: Ints
    first_week: Ints
    visit_week: Ints
    loyalty: Floats
    need: Floats
    disfavour: Floats

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.index)

    def take(self, rows: NDArray[np.intp]) -> People:
        """Return some of the customers; they keep their luck."""
        return People(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class World:
    """The environment, week by week.

    Attributes
    ----------
    seed, customers, weeks : int
        What the world was made from.
    start : int
        Beginning of week 0 in microseconds, midnight UTC.
    season : float64 array, shape (weeks,)
        1 in mid-winter, -1 in mid-summer.
    load, billing, outage : float64 arrays, shape (weeks, regions)
        Congestion of the support centre (log wait), quality of the billing runs (log odds of an error), hours of power
        cut by storms.
    bill_offset : int64 array, shape (weeks, 32)
        Day of the week on which a day of the month falls, -1 where it does not fall into the week.
    """

    seed: int
    customers: int
    weeks: int
    start: int
    season: Floats
    load: Floats
    billing: Floats
    outage: Floats
    bill_offset: Ints

    def week_start(self, week: int) -> int:
        """Return the first moment of a week in microseconds."""
        return self.start + week * WEEK

    def first_week_from(self, moment: int) -> int:
        """Return the first week that begins at or after a moment."""
        return -((self.start - moment) // WEEK)


def make_world(seed: int, customers: int, weeks: int, start: int) -> World:
    """Draw the environment for `weeks` weeks and a few beyond, which truth needs after the last go-live date."""
    grid = np.arange(weeks + 3, dtype=np.int64)
    places = np.arange(len(REGIONS), dtype=np.int64)
    days = (start // DAY + 7 * grid[:, None] + np.arange(7)).astype("datetime64[D]")
    midwinter = np.cos(2 * np.pi * ((days[:, 3] - days[:, 3].astype("datetime64[Y]")).astype(np.float64) - 15) / 365.25)
    storm = uniform(seed, "storm", grid[:, None], places) < 0.05 + 0.03 * midwinter[:, None]
    hours = 2 + 14 * uniform(seed, "storm hours", grid[:, None], places) ** 2
    return World(
        seed=seed,
        customers=customers,
        weeks=weeks,
        start=start,
        season=midwinter,
        load=0.25 * midwinter[:, None] + 0.4 * _smooth(seed, "load", grid, places),
        billing=0.6 * _smooth(seed, "billing", grid, places),
        outage=np.where(storm, hours, 0.0),
        bill_offset=_bill_offsets(days),
    )


def _smooth(seed: int, purpose: str, grid: Ints, places: Ints) -> Floats:
    """Draw standard normal series that move slowly: averages of five neighbouring weeks."""
    around = grid[:, None, None] + np.arange(5)
    return np.asarray(normal(seed, purpose, around, places[None, :, None]).sum(axis=2) / np.sqrt(5))


def _bill_offsets(days: NDArray[np.datetime64]) -> Ints:
    """Tabulate on which day of each week each day of the month falls."""
    offsets = np.full((len(days), 32), -1, dtype=np.int64)
    day_of_month = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    for offset in range(7):
        offsets[np.arange(len(days)), day_of_month[:, offset]] = offset
    return offsets


def make_people(world: World, hidden_confounding: float) -> People:
    """Draw the customers, numbered in the order in which they joined."""
    index = np.arange(world.customers, dtype=np.int64)
    segment = _choice(world.seed, "segment", index, (0.5, 0.32, 0.18))
    joined_at = _joining(world, index)
    first_week = -((world.start - joined_at) // WEEK)
    loyalty, need = normal(world.seed, "loyalty", index), normal(world.seed, "need", index)
    return People(
        index=index,
        segment=segment,
        region=_choice(world.seed, "region", index, (0.32, 0.22, 0.2, 0.26)),
        age=_choice(world.seed, "age", index, (0.35, 0.4, 0.25)),
        fee=np.round(_FEES[segment] * (0.9 + 0.2 * uniform(world.seed, "fee", index)), 2),
        bill_day=1 + np.floor(28 * uniform(world.seed, "bill day", index)).astype(np.int64),
        joined_at=joined_at,
        first_week=first_week,
        visit_week=first_week + np.floor(4 * uniform(world.seed, "visit week", index)).astype(np.int64),
        loyalty=loyalty,
        need=need,
        disfavour=hidden_confounding * (-0.5 * loyalty - 0.3 * need),
    )


def _choice(seed: int, purpose: str, index: Ints, shares: tuple[float, ...]) -> Ints:
    """Draw a position for each customer with the given shares."""
    return np.searchsorted(np.cumsum(shares)[:-1], uniform(seed, purpose, index)).astype(np.int64)


def _joining(world: World, index: Ints) -> Ints:
    """Draw when customers joined, ascending: the initial stock long ago, the others while the world runs."""
    initial = round(_INITIAL_SHARE * len(index))
    luck = uniform(world.seed, "joining", index)
    tenure = 30 * DAY - _TENURE_DAYS * DAY * np.log(luck[:initial])
    offsets = np.concatenate([-tenure, luck[initial:] * (world.weeks - 1) * WEEK])
    seconds = np.sort(np.floor(offsets / 1_000_000).astype(np.int64))
    return world.start + seconds * 1_000_000
