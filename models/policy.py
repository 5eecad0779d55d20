"""From an initiative to its effect: move raw touchpoints after each go-live, rebuild the states, estimate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.snapshot import DAY, DAYS_PER_MONTH
from models.adjustment import AdjustmentSet, Exposure, adjustment_set, covariates_of
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
    pieces_of,
    remembered,
    remembered_names,
    retimed_columns,
    usual_column,
    vanished_columns,
)
from models.initiatives import Initiative, MovedTouchpoints, in_filter, move_together
from models.links import LAG_DAYS, FollowUps
from models.mechanisms import without_needless
from models.people import Bucket
from models.placebo import GAP_DAYS, Placebo, placebo_effect
from models.prepared import Prepared, period_length
from models.references import Reference, with_attempts
from models.shared_fits import SharedFit, SharedFits

_ROW = "row"  # number of a touchpoint within its bucket

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
    followed_contacts : int
        Moved touchpoints on which the estimate rests, all go-lives together: those of `Prepared.followed`, who are a
        sample of a large study. For all customers see `contacts_per_month`.
    contacts_per_month : float
        Moved touchpoints per customer at risk and month, reach included.
    reached_share : float
        Share of the customers at risk who are reached.
    mean_change : mapping of Exposure to float
        Mean change of the measure over its moved touchpoints.
    placebo : Placebo or None
        What the same would have done to spend before, which is nothing; None where too little of the past is known.
    resized : tuple of Effect
        Effects of the sizes asked for.
    """

    effect: Effect
    adjustment: AdjustmentSet
    support_share: float
    followed_contacts: int
    contacts_per_month: float
    reached_share: float
    mean_change: dict[Exposure, float]
    placebo: Placebo | None = None
    resized: tuple[Effect, ...] = ()


def policy_effect(
    fits: SharedFits,
    initiative: Initiative,
    *,
    sizes: Sequence[float] = (),
) -> PolicyEffect:
    """Estimate what an initiative does over the horizon after go-live.

    Parameters
    ----------
    fits : SharedFits
        Models of a prepared study; policies that move the same kinds of things share one fit.
    initiative : Initiative
        Moves exposures that are among `prepared.exposures`.
    sizes : sequence of float
        Shares of the change of which the effect is wanted, too; above 0, at most 1.

    Returns
    -------
    PolicyEffect

    Notes
    -----
    Estimand: mean change over the horizon for the customers at risk at go-live, averaged over the go-live dates, with
    reach and expected delivery, fully active from go-live.
    """
    moved = initiative.moved_among(fits.prepared.exposures)
    model = PolicyModel.of(fits, moved)
    variants = [initiative, *(initiative.resized(size) for size in sizes)]
    moves = [model.moves_of((variant,)) for variant in variants]
    whole, *smaller = (one.shift(model.fit.names) for one in moves)
    effect, others = model.effect(whole), [model.effect(one) for one in smaller]
    with threadpool_limits(1):
        placebo = _placebo(model, model.target(whole))
    found = moves[0].result(scaled_effect(effect, initiative.reach), model.adjustment, initiative)
    return replace(
        found,
        placebo=placebo.scaled(initiative.reach) if placebo else None,
        resized=tuple(scaled_effect(one, initiative.reach) for one in others),
    )


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the states of the target rows differ under a policy.

    Attributes
    ----------
    columns : int64 array, shape (q,)
        Columns of the model, ascending.
    values : float32 array, shape (target rows, q)
        Differences.
    carried : tuple of Carried
        What of it rests on learnt links.
    own : int64 array
        Columns of what the policy itself moves.
    """

    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    carried: tuple[Carried, ...]
    own: NDArray[np.int64]

    def plus(self, other: Shift) -> Shift:
        """Add what another policy shifts."""
        columns = np.union1d(self.columns, other.columns)
        values = np.zeros((len(self.values), len(columns)), np.float32)
        for one in (self, other):
            values[:, np.searchsorted(columns, one.columns)] += one.values
        return Shift(columns, values, (*self.carried, *other.carried), np.union1d(self.own, other.own))


@dataclass(frozen=True, slots=True)
class PolicyModel:
    """The models for policies that move some exposures: what is held, what moves, and the fit.

    Attributes
    ----------
    prepared : Prepared
        The rows.
    adjustment : AdjustmentSet
        What is held fixed, and what moves along.
    held : tuple of Reference
        Exposures in the models.
    kinds : tuple of ContactKind
        Contacts counted in the models.
    fit : SharedFit
        The models.
    """

    prepared: Prepared
    adjustment: AdjustmentSet
    held: tuple[Reference, ...]
    kinds: tuple[ContactKind, ...]
    fit: SharedFit

    @classmethod
    def of(cls, fits: SharedFits, moved: Iterable[Exposure]) -> PolicyModel:
        """Order what is known around the moved exposures."""
        prepared = fits.prepared
        adjustment = adjustment_set(prepared.study, moved, prepared.exposures)
        held = tuple(r for r in prepared.references if r.exposure in set(adjustment.exposures))
        counted = {*adjustment.volumes, *adjustment.carried_volumes}
        kinds = tuple(k for k in prepared.kinds if k.journey in counted)
        left_out = set(covariates_of(prepared.study)) - set(adjustment.covariates)
        return cls(prepared, adjustment, held, kinds, fits.of(kinds, held, left_out))

    def moves_of(self, initiatives: Sequence[Initiative]) -> Moves:
        """Collect what some initiatives, moving exposures of this model, shift together for those who are followed."""
        wanted = {e for one in initiatives for e in one.moved_among(self.prepared.exposures)}
        retimed = {c.journey for one in initiatives for c in one.changes if c.way in ("speed_up", "remove")}
        moving = [r for r in self.held if r.exposure in wanted]
        fixed = {*self.adjustment.upstream, *self.adjustment.context}
        moves = Moves(moving, retimed, [r for r in self.held if r.exposure in fixed], self)
        for people in self.prepared.followed:
            moves.add(initiatives, people)
        return moves

    def target(self, shift: Shift) -> TargetRows:
        """Rows after each go-live with what a policy shifts."""
        return replace(
            self.fit.unmoved, shift=shift.values, shifted=shift.columns, carried=shift.carried, moved=shift.own
        )

    def effect(self, shift: Shift) -> Effect:
        """Estimate what a policy does that shifts so much."""
        # Small dense systems: more threads only fight with whatever else is running.
        with threadpool_limits(1):
            return estimate_effect(self.fit.models, self.target(shift), self.fit.observed)


def _placebo(model: PolicyModel, target: TargetRows) -> Placebo | None:
    """Estimate the effect on what was spent before the oldest touchpoint that is remembered.

    By way of the moved exposures alone: how often customers come goes along with what they spend.
    """
    prepared, rows, names = model.prepared, model.fit.models, model.fit.names
    grid = prepared.study.snapshot
    lag = max(grid.window_days - grid.horizon_days, 0) + GAP_DAYS
    days = period_length(prepared.study) / DAY
    settled = [name for name, before in zip(names, rows.before, strict=True) if before]
    own = target.shifted if target.moved is None else target.moved
    remembered = np.flatnonzero(rows.before[target.shifted] & np.isin(target.shifted, own))
    moved = [names[column] for column in target.shifted[remembered]]
    return placebo_effect(
        prepared.fit,
        prepared.target,
        settled,
        rows.penalised[rows.before],
        moved,
        target.shift[:, remembered],
        lag,
        days,
    )


def scaled_effect(effect: Effect, reach: float) -> Effect:
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


class Moves:
    """Collects, bucket by bucket, by how much the policy shifts the states of the target rows."""

    def __init__(
        self,
        moving: Sequence[Reference],
        retimed: Collection[str],
        fixed: Sequence[Reference],
        model: PolicyModel,
    ) -> None:
        prepared, held, kinds = model.prepared, model.held, model.kinds
        self._prepared, self._moving = prepared, moving
        # What is usual for a held measure still moves where contacts move.
        self._fixed = set(pieces_of(fixed))
        tasks = {m.name for m in prepared.study.measures if m.task}
        ended = {r.exposure.journey for r in moving if r.exposure.measure in tasks} | set(retimed)
        self._shifting = [r for r in held if r in moving or r.exposure.journey in ended]
        self._spared = [k for k in kinds if k.journey in ended]
        m = len(prepared.target.periods)
        self._remembered = (
            *pieces_of(self._shifting),
            *map(usual_column, self._shifting),
            *(kind.column for kind in self._spared),
        )
        self._names = (*remembered_names(self._remembered), *current_names(self._shifting))
        self._shift = np.zeros((m, len(self._names)), np.float32)
        self._follow_ups = [f for f in prepared.follow_ups if f.links.source in moving and f.links.targets]
        self._lagged = [np.zeros((m, _sources(f), len(MEMORIES)), np.float32) for f in self._follow_ups]
        self._reached = 0.0
        self._contacts, self._inside, self._values = 0, 0, 0
        self._change: dict[Exposure, list[float]] = {r.exposure: [0.0, 0.0] for r in self._moving}

    def add(self, initiatives: Sequence[Initiative], bucket: Bucket) -> None:
        """Move the touchpoints of a bucket after each go-live, by one initiative after the other."""
        study, target = self._prepared.study, self._prepared.target
        keys = bucket.customers["customer_key"].to_numpy()
        if not len(keys):
            return
        here = (target.periods.customer_key >= keys[0]) & (target.periods.customer_key <= keys[-1])
        passes = np.logical_or.reduce([in_filter(one, bucket.customers) for one in initiatives])
        touchpoints = with_attempts(bucket.touchpoints)
        touchpoints = touchpoints.append_column(_ROW, pa.array(np.arange(touchpoints.num_rows)))
        for g, go_live in enumerate(self._prepared.go_lives):
            rows = np.flatnonzero(here & (target.go_live == g))
            people = target.periods.customer_key[rows]
            starters = people[target.periods.index[rows] == 0]
            self._reached += float(passes[np.searchsorted(keys, starters)].sum())
            until = go_live + study.snapshot.horizon_days * DAY
            moved = move_together(initiatives, study, touchpoints, bucket.customers, go_live, until)
            moved = _of_customers(moved, starters)
            removed, moved = moved.touchpoints.filter(pa.array(moved.gone)), moved.where(~moved.gone)
            happening, vanished = without_needless(study, moved, touchpoints, until)
            # An attempt that is both removed and not needed is taken back once.
            once = ~np.isin(vanished[_ROW].to_numpy(), removed[_ROW].to_numpy())
            gone = pa.concat_tables([vanished.filter(pa.array(once)), removed]).unify_dictionaries()
            self._shift_states(rows, happening, gone, bucket)
            self._count(happening)
            self._contacts += removed.num_rows

    def _shift_states(
        self, rows: NDArray[np.intp], happening: MovedTouchpoints, vanished: pa.Table, bucket: Bucket
    ) -> None:
        """Fold what changes into the states of some target rows."""
        study, periods = self._prepared.study, self._prepared.target.periods
        length, window = period_length(study), study.snapshot.window_days
        people, start = periods.customer_key[rows], periods.start[rows]
        spine = pa.table({"customer_key": people, "cutoff": start})
        ends = pa.table({"customer_key": people, "cutoff": start + length})
        is_retimed = happening.at != happening.touchpoints["occurred_at"].to_numpy()
        changed = moved_columns(self._moving, happening.touchpoints, dict(happening.delivered))
        parts = [
            changed.filter(pa.array(~is_retimed)),
            vanished_columns(self._shifting, vanished, bucket.customers, self._spared),
        ]
        if is_retimed.any():
            retimed = happening.where(is_retimed)
            parts.append(retimed_columns(self._shifting, retimed, bucket.customers, self._spared))
        columns = joined_columns(parts)
        self._shift[rows] = np.column_stack(
            [
                remembered(self._remembered, columns, spine, window),
                current(self._shifting, columns, ends, length / DAY),
            ]
        )
        delayed = lagged_columns(changed, LAG_DAYS) if self._follow_ups else changed
        for follow_ups, found in zip(self._follow_ups, self._lagged, strict=True):
            found[rows] = lagged(follow_ups.links.source, len(LAG_DAYS), delayed, spine, window)

    def shift(self, names: Sequence[str]) -> Shift:
        """Return by how much the policy shifts which columns of a model."""
        carried = []
        for follow_ups, found in zip(self._follow_ups, self._lagged, strict=True):
            one = Carried.of(follow_ups, found, names, self._is_followed)
            if one is not None:
                carried.append(one)
        place = {name: number for number, name in enumerate(names)}
        direct = [(k, place[name]) for k, name in enumerate(self._names) if name in place]
        columns = sorted({column for _, column in direct} | {int(c) for one in carried for c in one.columns.ravel()})
        where = {column: k for k, column in enumerate(columns)}
        values = np.zeros((len(self._shift), len(columns)), np.float32)
        for k, column in direct:
            values[:, where[column]] += self._shift[:, k]
        for one in carried:
            for moving, by in one.shifts():
                values[:, [where[int(c)] for c in moving]] += by
        mine = {*remembered_names(pieces_of(self._moving)), *current_names(self._moving)}
        own = [number for number, name in enumerate(names) if name in mine]
        return Shift(np.array(columns, np.int64), values, tuple(carried), np.array(own, np.int64))

    def _is_followed(self, follow_ups: FollowUps, column: str) -> bool:
        """Say whether a target moves by a learnt link.

        What is held fixed does not; and repeats that a mended failure spares are counted one by one.
        """
        source = follow_ups.links.source.exposure
        if column in self._fixed:
            return False
        spares = any(m.task and m.name == source.measure for m in self._prepared.study.measures)
        own = {k.column for k in self._spared if k.journey == source.journey}
        own |= {usual_column(r) for r in self._shifting if r.exposure.journey == source.journey}
        return not (spares and column in own)

    def _count(self, moved: MovedTouchpoints) -> None:
        """Keep what the diagnostics need."""
        self._contacts += moved.touchpoints.num_rows
        journey = moved.touchpoints["journey"].cast(pa.string()).to_pandas().to_numpy()
        for reference in (r for r in self._moving if r.exposure.measure in moved.delivered):
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
            followed_contacts=self._contacts,
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
