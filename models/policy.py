"""From an initiative to its effect: move raw touchpoints after each go-live, rebuild the states, estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.snapshot import DAY, DAYS_PER_MONTH
from models.adjustment import AdjustmentSet, Exposure, adjustment_set
from models.carried import Carried
from models.contact_kinds import ContactKind
from models.effects import Effect, Estimate, TargetRows, estimate_effect
from models.exposures import (
    MEMORIES,
    current,
    current_names,
    joined_columns,
    lagged,
    lagged_columns,
    moved_columns,
    state_names,
    states,
    vanished_columns,
    volume_names,
    volumes,
)
from models.initiatives import Initiative, MovedTouchpoints, in_filter, move_touchpoints
from models.links import FollowUps
from models.mechanisms import without_needless
from models.placebo import GAP_DAYS, Placebo, placebo_effect
from models.prepared import Bucket, Prepared, period_length
from models.references import Reference, with_attempts
from models.shared_fits import SharedFit, SharedFits

FORM_ERROR = 0.08
"""Relative: what sums of pieces and memories miss of how experience acts. Twelve synthetic companies (seeds 401 to
412, six initiatives, two outcomes) were missed by so much beyond chance; with it 92 % of the 90 % intervals held the
truth, 68 % without (docs/explanation/effects.md)."""


@dataclass(frozen=True, slots=True)
class PolicyEffect:
    """An effect with what is shown beside it.

    Attributes
    ----------
    effect : Effect
        Reach and expected delivery included.
    adjustment : AdjustmentSet
        What was held fixed.
    support_share : float
        Share of moved values inside what was observed; 1 when nothing moved.
    contacts : int
        Moved touchpoints, all go-lives together.
    contacts_per_month : float
        Moved touchpoints per customer at risk and month, reach included.
    reached_share : float
        Share of the customers at risk who are reached.
    mean_change : mapping of Exposure to float
        Mean change of the measure over its moved touchpoints.
    placebo : Placebo or None
        What the same would have done to spend before, which is nothing; None where too little of the past is known.
    """

    effect: Effect
    adjustment: AdjustmentSet
    support_share: float
    contacts: int
    contacts_per_month: float
    reached_share: float
    mean_change: dict[Exposure, float]
    placebo: Placebo | None = None


def policy_effect(fits: SharedFits, initiative: Initiative, buckets: Callable[[], Iterable[Bucket]]) -> PolicyEffect:
    """Estimate what an initiative does over the horizon after go-live.

    Parameters
    ----------
    fits : SharedFits
        Models of a prepared study; policies that move the same kinds of things share one fit.
    initiative : Initiative
        Moves exposures that are among `prepared.exposures`.
    buckets : callable
        Gives the buckets anew.

    Returns
    -------
    PolicyEffect

    Notes
    -----
    Estimand: mean change over the horizon for the customers at risk at go-live, averaged over the go-live dates, with
    reach and expected delivery, fully active from go-live.
    """
    prepared = fits.prepared
    adjustment = adjustment_set(prepared.study, initiative.moved, prepared.exposures)
    held = [r for r in prepared.references if r.exposure in set(adjustment.exposures)]
    counted = {*adjustment.volumes, *adjustment.carried_volumes}
    kinds = [k for k in prepared.kinds if k.journey in counted]
    moves = _Moves(adjustment, held, kinds, prepared)
    for bucket in buckets():
        moves.add(initiative, bucket)
    fit, after = fits.of(kinds, held), prepared.target
    shift, shifted, carried = moves.shift(fit.names)
    own = moves.moved(fit.names)
    target = TargetRows(
        fit.target, shift, shifted, after.go_live, after.periods.index, after.periods.customer_key,
        after.periods.weight, after.due, after.scale, carried, own,
    )  # fmt: skip
    # Small dense systems: more threads only fight with whatever else is running.
    with threadpool_limits(1):
        effect = estimate_effect(fit.models, target)
        placebo = _placebo(prepared, fit, target, own)
    found = moves.result(_scaled(effect, initiative.reach), adjustment, initiative)
    return replace(found, placebo=placebo.scaled(initiative.reach) if placebo else None)


def _placebo(prepared: Prepared, fit: SharedFit, target: TargetRows, own: NDArray[np.int64]) -> Placebo | None:
    """Estimate the effect on what was spent before the oldest touchpoint that is remembered.

    By way of the moved exposures alone: how often customers come goes along with what they spend.
    """
    grid, rows = prepared.study.snapshot, fit.models.rows
    lag = max(grid.window_days - grid.horizon_days, 0) + GAP_DAYS
    days = period_length(prepared.study) / DAY
    names = [name for name, before in zip(fit.names, rows.before, strict=True) if before]
    remembered = np.flatnonzero(rows.before[target.shifted] & np.isin(target.shifted, own))
    moved = [fit.names[column] for column in target.shifted[remembered]]
    return placebo_effect(
        prepared.fit, prepared.target, names, rows.penalised[rows.before], moved, target.shift[:, remembered], lag, days
    )


def _scaled(effect: Effect, reach: float) -> Effect:
    """Give the effect when only a random share is reached, with the error of the models' form."""

    def scaled(estimate: Estimate) -> Estimate:
        return Estimate(estimate.value * reach, estimate.se * reach, FORM_ERROR)

    return replace(
        effect,
        churn=scaled(effect.churn),
        revenue=scaled(effect.revenue),
        spend=scaled(effect.spend),
        influence=effect.influence * reach,
        sensitivity=effect.sensitivity.scaled(reach) if effect.sensitivity else None,
    )


class _Moves:
    """Collects, bucket by bucket, by how much the policy shifts the states of the target rows."""

    def __init__(
        self, adjustment: AdjustmentSet, held: Sequence[Reference], kinds: Sequence[ContactKind], prepared: Prepared
    ) -> None:
        self._prepared, self._kinds = prepared, kinds
        self._moving = [r for r in held if r.exposure in set(adjustment.moved)]
        tasks = {m.name for m in prepared.study.measures if m.task}
        self._ended = {r.exposure.journey for r in self._moving if r.exposure.measure in tasks}
        self._shifting = [r for r in held if r in self._moving or r.exposure.journey in self._ended]
        self._spared = [k for k in kinds if k.journey in self._ended]
        m = len(prepared.target.periods)
        self._names = (*state_names(self._shifting), *volume_names(self._spared), *current_names(self._shifting))
        self._shift = np.zeros((m, len(self._names)))
        self._follow_ups = [f for f in prepared.follow_ups if f.links.source in self._moving and f.links.targets]
        self._lagged = [np.zeros((m, _sources(f), len(MEMORIES))) for f in self._follow_ups]
        self._reached = 0.0
        self._contacts, self._inside, self._values = 0, 0, 0
        self._change: dict[Exposure, list[float]] = {r.exposure: [0.0, 0.0] for r in self._moving}

    def add(self, initiative: Initiative, bucket: Bucket) -> None:
        """Move the touchpoints of a bucket after each go-live."""
        study, target = self._prepared.study, self._prepared.target
        keys = bucket.customers["customer_key"].to_numpy()
        if not len(keys):
            return
        here = (target.periods.customer_key >= keys[0]) & (target.periods.customer_key <= keys[-1])
        passes = in_filter(initiative, bucket.customers)
        touchpoints = with_attempts(bucket.touchpoints)
        for g, go_live in enumerate(self._prepared.go_lives):
            rows = np.flatnonzero(here & (target.go_live == g))
            people = target.periods.customer_key[rows]
            starters = people[target.periods.index[rows] == 0]
            self._reached += float(passes[np.searchsorted(keys, starters)].sum())
            until = go_live + study.snapshot.horizon_days * DAY
            moved = move_touchpoints(initiative, study, touchpoints, bucket.customers, go_live, until)
            moved = _of_customers(moved, starters)
            happening, vanished = without_needless(study, moved, touchpoints, until)
            self._shift_states(rows, happening, vanished, bucket)
            self._count(happening)

    def _shift_states(
        self, rows: NDArray[np.intp], happening: MovedTouchpoints, vanished: pa.Table, bucket: Bucket
    ) -> None:
        """Fold what changes into the states of some target rows."""
        study, periods = self._prepared.study, self._prepared.target.periods
        length, window = period_length(study), study.snapshot.window_days
        people, start = periods.customer_key[rows], periods.start[rows]
        spine = pa.table({"customer_key": people, "cutoff": start})
        ends = pa.table({"customer_key": people, "cutoff": start + length})
        moved = moved_columns(self._moving, happening.touchpoints, dict(happening.delivered))
        gone = vanished_columns(self._shifting, vanished, bucket.customers, self._spared)
        columns = joined_columns([moved, gone])
        self._shift[rows] = np.column_stack(
            [
                states(self._shifting, columns, spine, window),
                volumes(self._spared, columns, spine, window),
                current(self._shifting, columns, ends, length / DAY),
            ]
        )
        for follow_ups, found in zip(self._follow_ups, self._lagged, strict=True):
            lags = follow_ups.links.lag_days
            found[rows] = lagged(follow_ups.links.source, len(lags), lagged_columns(moved, lags), spine, window)

    def shift(self, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[Carried, ...]]:
        """Return by how much the policy shifts which columns of a model, and what of it rests on learnt links."""
        carried = []
        for follow_ups, found in zip(self._follow_ups, self._lagged, strict=True):
            one = Carried.of(follow_ups, found, names, self._is_followed)
            if one is not None:
                carried.append(one)
        place = {name: number for number, name in enumerate(names)}
        direct = [(k, place[name]) for k, name in enumerate(self._names) if name in place]
        shifted = sorted({column for _, column in direct} | {c for one in carried for c in one.columns.ravel()})
        where = {column: k for k, column in enumerate(shifted)}
        shift = np.zeros((len(self._shift), len(shifted)))
        for k, column in direct:
            shift[:, where[column]] += self._shift[:, k]
        for one in carried:
            shift[:, [where[c] for c in one.columns.ravel()]] += one.shift().reshape(len(shift), -1)
        return shift, np.array(shifted, np.int64), tuple(carried)

    def moved(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the columns of what the policy itself moves."""
        own = {*state_names(self._moving), *current_names(self._moving)}
        return np.array([number for number, name in enumerate(names) if name in own], np.int64)

    def _is_followed(self, follow_ups: FollowUps, column: str) -> bool:
        """Say whether a target moves by a learnt link: repeats that a mended failure spares are counted one by one."""
        source = follow_ups.links.source.exposure
        spares = any(m.task and m.name == source.measure for m in self._prepared.study.measures)
        return not (spares and column in {k.column for k in self._spared})

    def _count(self, moved: MovedTouchpoints) -> None:
        """Keep what the diagnostics need."""
        self._contacts += moved.touchpoints.num_rows
        journey = moved.touchpoints["journey"].cast(pa.string()).to_pandas().to_numpy()
        for reference in self._moving:
            exposure, (low, high) = reference.exposure, self._prepared.support[reference.exposure]
            rows = journey == exposure.journey
            after = moved.delivered[exposure.measure][rows]
            change = after - moved.touchpoints[exposure.measure].to_numpy()[rows]
            touched = ~np.isnan(change) & (change != 0)
            self._values += int(touched.sum())
            self._inside += int(((after[touched] >= low) & (after[touched] <= high)).sum())
            self._change[exposure][0] += float(np.nansum(change))
            self._change[exposure][1] += float((~np.isnan(change)).sum())

    def result(self, effect: Effect, adjustment: AdjustmentSet, initiative: Initiative) -> PolicyEffect:
        """Put effect and diagnostics together."""
        at_risk = max(self._prepared.at_risk, 1)
        months = self._prepared.study.snapshot.horizon_days / DAYS_PER_MONTH
        return PolicyEffect(
            effect=effect,
            adjustment=adjustment,
            support_share=self._inside / self._values if self._values else 1.0,
            contacts=self._contacts,
            contacts_per_month=initiative.reach * self._contacts / at_risk / months,
            reached_share=initiative.reach * self._reached / at_risk,
            mean_change={e: total / n if n else 0.0 for e, (total, n) in self._change.items()},
        )


def _sources(follow_ups: FollowUps) -> int:
    """Count lags times pieces."""
    return int(np.prod(follow_ups.slopes.shape[:2]))


def _of_customers(moved: MovedTouchpoints, customers: NDArray[np.int64]) -> MovedTouchpoints:
    """Leave out moved touchpoints of customers who are not followed."""
    return moved.where(np.isin(moved.touchpoints["customer_key"].to_numpy(), customers))
