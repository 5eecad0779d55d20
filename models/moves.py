"""By how much a policy shifts the states of the rows after each go-live: touchpoints are moved, memories rebuilt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.snapshot import DAY
from models.adjustment import Exposure
from models.carried import Carried
from models.contact_kinds import ContactKind
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
from models.prepared import Prepared
from models.references import Reference, with_attempts
from models.row_columns import period_length

__all__ = ["Moves", "Shift"]

_ROW = "row"  # number of a touchpoint within its bucket


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


class Moves:
    """Collects, bucket by bucket, by how much a policy shifts the states of the target rows.

    Parameters
    ----------
    moving : sequence of Reference
        Measures that the policy moves.
    retimed : collection of str
        Journeys whose touchpoints happen at other times, or not at all.
    fixed : sequence of Reference
        Measures that are held where they are.
    prepared : Prepared
        The rows.
    held : sequence of Reference
        Measures in the model.
    kinds : sequence of ContactKind
        Contacts counted in the model.

    Attributes
    ----------
    contacts : int
        Moved touchpoints, all go-lives together.
    reached : float
        Customers at risk whom the filter lets pass, all go-lives together.
    """

    def __init__(
        self,
        moving: Sequence[Reference],
        retimed: Collection[str],
        fixed: Sequence[Reference],
        prepared: Prepared,
        held: Sequence[Reference],
        kinds: Sequence[ContactKind],
    ) -> None:
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
        self.reached = 0.0
        self.contacts, self._inside, self._values = 0, 0, 0
        self._change: dict[Exposure, list[float]] = {r.exposure: [0.0, 0.0] for r in self._moving}

    def collect(self, initiatives: Sequence[Initiative], bucket: Bucket) -> None:
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
            self.reached += float(passes[np.searchsorted(keys, starters)].sum())
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
            self.contacts += removed.num_rows

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
        self.contacts += moved.touchpoints.num_rows
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

    @property
    def support_share(self) -> float:
        """Share of moved values inside what was observed; 1 when nothing moved."""
        return self._inside / self._values if self._values else 1.0

    @property
    def mean_change(self) -> dict[Exposure, float]:
        """Mean change of each measure over its moved touchpoints."""
        return {exposure: total / n if n else 0.0 for exposure, (total, n) in self._change.items()}


def _sources(follow_ups: FollowUps) -> int:
    """Count lags times pieces."""
    return int(np.prod(follow_ups.slopes.shape[:2]))


def _of_customers(moved: MovedTouchpoints, customers: NDArray[np.int64]) -> MovedTouchpoints:
    """Leave out moved touchpoints of customers who are not followed."""
    return moved.where(np.isin(moved.touchpoints["customer_key"].to_numpy(), customers))
