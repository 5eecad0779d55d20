"""Initiatives in the planner's words, and the touchpoints as they would have been under one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.luck import uniform
from features.study import Study
from models.adjustment import Exposure
from models.costs import Cost
from models.funding import Amount, Resource
from models.retiming import sooner

Array = NDArray[np.float64]
Number = Annotated[float, Field(allow_inf_nan=False)]
Change_ = Literal["shift", "scale", "cap", "floor", "convert", "speed_up", "remove"]
_WAYS: tuple[Change_, ...] = get_args(Change_)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Change(_Declared):
    """One thing that an initiative moves: which contacts, which measure, how.

    Parameters
    ----------
    journey, touchpoint, channel : str
        Which contacts; touchpoint and channel are optional.
    measure : str
        What is moved; empty where touchpoints are removed.
    shift, scale, cap, floor, convert, speed_up, remove : float
        Exactly one: add; multiply; no more than; no less than; turn this share of failures into successes; let the time
        between the steps of a journey, and the duration named, shrink by this share; let this share of a touchpoint not
        happen.
    """

    journey: str
    measure: str = ""
    touchpoint: str | None = None
    channel: str | None = None
    shift: Number | None = None
    scale: Annotated[Number, Field(ge=0)] | None = None
    cap: Number | None = None
    floor: Number | None = None
    convert: Annotated[Number, Field(gt=0, le=1)] | None = None
    speed_up: Annotated[Number, Field(ge=0, lt=1)] | None = None
    remove: Annotated[Number, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if len(self._ways()) != 1:
            given, known = ", ".join(self._ways()) or "none", f"{', '.join(_WAYS[:-1])} and {_WAYS[-1]}"
            raise ValueError(f"{given} of {known} given. Expected exactly one.")
        return self

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.way == "remove" and (self.touchpoint is None or self.measure):
            raise ValueError(
                "a touchpoint is removed with all that is measured there. Expected touchpoint, no measure."
            )
        if self.way != "remove" and not self.measure:
            raise ValueError(f"{self.way} does not say of what. Expected measure: NAME. Add it.")
        if self.way == "speed_up" and (self.touchpoint is not None or self.channel is not None):
            raise ValueError(
                "a journey is sped up as a whole. Expected neither touchpoint nor channel. Leave them out."
            )
        return self

    def _ways(self) -> list[Change_]:
        return [way for way in _WAYS if getattr(self, way) is not None]

    @property
    def way(self) -> Change_:
        """How the measure is moved."""
        return self._ways()[0]

    @property
    def amount(self) -> float:
        """The number that goes with the way."""
        return float(getattr(self, self.way))

    @property
    def exposure(self) -> Exposure:
        """What is moved, as the effect models know it."""
        return Exposure(self.journey, self.measure)

    def describe(self) -> str:
        """Readable form, such as `support wait x 0.6`."""
        where = " ".join(part for part in (self.journey, self.touchpoint, self.channel) if part)
        texts = {
            "shift": f" {self.amount:+g}",
            "scale": f" x {self.amount:g}",
            "cap": f" at most {self.amount:g}",
            "floor": f" at least {self.amount:g}",
            "convert": f": {100 * self.amount:g} % of failures mended",
            "speed_up": f": {100 * self.amount:g} % less time between steps",
            "remove": f"{100 * self.amount:g} % of them removed",
        }
        return f"{where} {self.measure}{texts[self.way]}"

    def delivered(self, value: Array, delivery: float, luck: Array, *, lower_is_better: bool) -> Array:
        """Give the measure as it would have been.

        Parameters
        ----------
        value : float64 array
            Measured values; NaN stays NaN.
        delivery : float
            Share of the promise that is delivered.
        luck : float64 array
            Uniform numbers; a failure is mended where they are below the converted share times delivery.
        lower_is_better : bool
            For `convert`: whether 1 or 0 is the failure.

        Returns
        -------
        float64 array

        Notes
        -----
        Failures are mended whole, by luck, and not each by a part: half of the customers spared a failure gain less
        than all of them spared half a failure, because hazards are convex in what was felt.
        """
        if self.way == "convert":
            best = 0.0 if lower_is_better else 1.0
            return np.where((luck < self.amount * delivery) & ~np.isnan(value), best, value)
        return np.asarray(value + delivery * (self._promised(value) - value))

    def _promised(self, value: Array) -> Array:
        if self.way == "shift":
            return value + self.amount
        if self.way in ("scale", "speed_up"):
            return value * (self.amount if self.way == "scale" else 1.0 - self.amount)
        if self.way == "cap":
            return np.minimum(value, self.amount)
        return np.maximum(value, self.amount)


class Initiative(_Declared):
    """A proposed improvement: what it changes, whom it reaches, how much of it is delivered, when, at what cost.

    Parameters
    ----------
    name : str
        Letters, digits, '-' and '_'.
    changes : tuple of Change
        At least one.
    reach : float
        Share of (filtered) customers reached, chosen at random; above 0, at most 1.
    where : mapping of str to tuple of str
        Customer covariates and the values reached.
    delivery : tuple of float
        Low, likely and high share of the promise that is really delivered.
    start_month, ramp_months, lasts_months : int
        Months from the decision to the start, from the start to full delivery, and of duration. Money only.
    capacity : mapping of str to float
        What it takes of each named resource, in that resource's unit.
    needs, excludes : tuple of str
        Initiatives without which it cannot be done, and with which it cannot be done.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    title: str = ""
    owner: str = ""
    changes: tuple[Change, ...] = Field(min_length=1)
    reach: Annotated[Number, Field(gt=0, le=1)] = 1.0
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    delivery: tuple[Number, Number, Number] = (1.0, 1.0, 1.0)
    start_month: Annotated[int, Field(ge=0)] = 0
    ramp_months: Annotated[int, Field(ge=0)] = 0
    lasts_months: Annotated[int, Field(ge=1)] | None = None
    cost: Cost = Cost()
    capacity: dict[Resource, Amount] = Field(default_factory=dict)
    needs: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ordered_delivery(self) -> Self:
        low, likely, high = self.delivery
        if not 0 <= low <= likely <= high <= 1 or high == 0:
            raise ValueError(
                f"delivery {[low, likely, high]} is not low <= likely <= high within [0, 1] and above 0. "
                "Write shares such as [0.5, 0.8, 1.0]."
            )
        return self

    @property
    def label(self) -> str:
        """Title, or name where there is none."""
        return self.title or self.name

    @property
    def expected_delivery(self) -> float:
        """Mean of the PERT distribution of the delivered share."""
        low, likely, high = self.delivery
        return (low + 4 * likely + high) / 6

    def resized(self, size: float) -> Initiative:
        """Give the same initiative with this share, above 0 and at most 1, of its change."""
        return self.model_copy(update={"delivery": tuple(size * share for share in self.delivery)})

    @property
    def moved(self) -> tuple[Exposure, ...]:
        """Every exposure that is moved, once; those of removed touchpoints are known with the data only."""
        return tuple(sorted({change.exposure for change in self.changes if change.way != "remove"}))

    def moved_among(self, observed: Iterable[Exposure]) -> tuple[Exposure, ...]:
        """Every exposure that is moved: with a touchpoint goes whatever is measured in its journey."""
        gone = {change.journey for change in self.changes if change.way == "remove"}
        return tuple(sorted({*self.moved, *(e for e in observed if e.journey in gone)}))


def refusal(initiative: Initiative, study: Study, observed: frozenset[Exposure]) -> str:
    """Say why an initiative cannot be simulated; empty when it can.

    Parameters
    ----------
    initiative : Initiative
        Names known to the study.
    study : Study
        Says what the firm controls.
    observed : frozenset of Exposure
        Measures seen with values, by journey.

    Returns
    -------
    str
        Reason for the planner.
    """
    for change in initiative.changes:
        if change.way == "remove":
            if change.journey not in {e.journey for e in observed}:
                return (
                    f"Nothing is measured in {change.journey}, so no model knows how often its touchpoints came. "
                    "Bring a measure of that journey to learn what removing one would do."
                )
            continue  # whether it was ever absent is asked of the data: models.removal
        measure = next(m for m in study.measures if m.name == change.measure)
        if measure.control == "none":
            return f"Nobody controls {measure.name} (control: none in the study); it can be used as context only."
        if measure.is_rating:
            return f"{measure.name} is what customers answer, a consequence: name what would make them answer better."
        if measure.known == "after":
            return f"{measure.name} is known only after the outcome; moving it cannot change what has happened."
        if change.exposure not in observed:
            return f"{measure.name} has no values in {change.journey} that differ, so nothing can be learnt about it."
    return ""


@dataclass(frozen=True, slots=True)
class MovedTouchpoints:
    """Touchpoints that an initiative moves, with what they would have been.

    Attributes
    ----------
    touchpoints : pyarrow.Table
        The moved rows as observed, in their order.
    delivered : mapping of str to float64 array
        Per moved measure, its values on those rows as the initiative would have them.
    moments : int64 array, shape (rows,), optional
        When they would happen, microseconds; left out: when they did.
    removed : bool array, shape (rows,), optional
        Which of them would not happen at all; left out: none.
    """

    touchpoints: pa.Table
    delivered: Mapping[str, Array]
    moments: NDArray[np.int64] | None = None
    removed: NDArray[np.bool_] | None = None

    @property
    def at(self) -> NDArray[np.int64]:
        """When they would happen, microseconds; shape (rows,)."""
        return self.touchpoints["occurred_at"].to_numpy() if self.moments is None else self.moments

    @property
    def gone(self) -> NDArray[np.bool_]:
        """Which of them would not happen at all; shape (rows,)."""
        return np.zeros(self.touchpoints.num_rows, bool) if self.removed is None else self.removed

    def where(self, rows: NDArray[np.bool_]) -> MovedTouchpoints:
        """Keep some of the rows."""
        kept = self.touchpoints.filter(pa.array(rows))
        delivered = {name: value[rows] for name, value in self.delivered.items()}
        moments = None if self.moments is None else self.moments[rows]
        return MovedTouchpoints(kept, delivered, moments, None if self.removed is None else self.removed[rows])


def move_touchpoints(
    initiative: Initiative, study: Study, touchpoints: pa.Table, customers: pa.Table, after: int, until: int
) -> MovedTouchpoints:
    """Change the touchpoints that happen within a span, as the initiative would.

    Parameters
    ----------
    initiative : Initiative
        Its `reach` is not applied here: it scales the effect.
    study : Study
        Gives the direction of measures.
    touchpoints, customers : pyarrow.Table
        A bucket of whole customers, sorted by `customer_key`.
    after, until : int
        Only rows with `after < occurred_at <= until` (microseconds) are moved.

    Returns
    -------
    MovedTouchpoints
        Rows moved by at least one change; where a journey goes faster also those that come into the span. Which
        failures are mended, and which touchpoints do not happen, is a pure function of customer and time, so that two
        initiatives that mend the same failures mend the same ones.
    """
    return move_together((initiative,), study, touchpoints, customers, after, until)


def move_together(
    initiatives: Sequence[Initiative], study: Study, touchpoints: pa.Table, customers: pa.Table, after: int, until: int
) -> MovedTouchpoints:
    """Change touchpoints as initiatives would that reach the same customers, one after the other.

    Parameters
    ----------
    initiatives : sequence of Initiative
        Each moves what the ones before it have left.
    study, touchpoints, customers, after, until
        As for `move_touchpoints`.

    Returns
    -------
    MovedTouchpoints
    """
    at = touchpoints["occurred_at"].to_numpy()
    reached = [(at > after) & _reached(one, touchpoints, customers) for one in initiatives]
    new_at = at
    for one, here in zip(initiatives, reached, strict=True):
        for change in one.changes:
            if change.way == "speed_up":
                share = change.amount * one.expected_delivery
                new_at = np.where(here, sooner(touchpoints, new_at, change.journey, share, after), new_at)
    eligible = [here & (new_at <= until) for here in reached]
    steps = [
        (one.expected_delivery, change, here & matches(change, touchpoints))
        for one, here in zip(initiatives, eligible, strict=True)
        for change in one.changes
    ]
    is_retimed = np.logical_or.reduce(eligible) & (new_at != at)
    rows = np.flatnonzero(np.logical_or.reduce([*(touched for _, _, touched in steps), is_retimed]))
    luck = uniform(0, "mended", touchpoints["customer_key"].to_numpy()[rows], at[rows])
    values: dict[str, Array] = {}
    gone = np.zeros(len(rows), bool)
    for delivery, change, touched in steps:
        if change.way == "remove":
            gone |= touched[rows] & (luck < change.amount * delivery)
            continue
        now = values.get(change.measure)
        observed = touchpoints[change.measure].to_numpy()[rows] if now is None else now
        lower = next(m for m in study.measures if m.name == change.measure).direction == "lower"
        moved = change.delivered(observed, delivery, luck, lower_is_better=lower)
        values[change.measure] = np.where(touched[rows], moved, observed)
    otherwise = np.logical_or.reduce([is_retimed, *(touched for _, change, touched in steps if change.way != "remove")])
    moved_at_all = MovedTouchpoints(touchpoints.take(pa.array(rows)), values, new_at[rows], gone)
    return moved_at_all.where(gone | otherwise[rows])


def _reached(initiative: Initiative, touchpoints: pa.Table, customers: pa.Table) -> NDArray[np.bool_]:
    """Whether each touchpoint belongs to a customer whom the filter lets through."""
    passes = in_filter(initiative, customers)
    position = np.searchsorted(customers["customer_key"].to_numpy(), touchpoints["customer_key"].to_numpy())
    return np.asarray(passes[position])


def in_filter(initiative: Initiative, customers: pa.Table) -> NDArray[np.bool_]:
    """Whether each customer passes the `where` filter of an initiative; shape (customers,)."""
    passes = np.ones(customers.num_rows, bool)
    for covariate, values in initiative.where.items():
        column = customers[covariate].cast(pa.string())
        passes &= np.asarray(pc.is_in(column, pa.array(values)), bool)
    return passes


def matches(change: Change, touchpoints: pa.Table) -> NDArray[np.bool_]:
    """Whether a change names each touchpoint, and the measure applies there; shape (touchpoints,)."""
    has = np.ones(touchpoints.num_rows, bool)
    match = ~np.isnan(touchpoints[change.measure].to_numpy()) if change.measure else has
    for column, value in (("journey", change.journey), ("touchpoint", change.touchpoint), ("channel", change.channel)):
        if value is not None:
            match &= (
                np.asarray(pc.equal(touchpoints[column].cast(pa.string()), value).fill_null(False), bool)  # noqa: FBT003 - pyarrow takes the value so
            )
    return np.asarray(match)
