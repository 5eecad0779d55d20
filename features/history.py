"""The touchpoints of some customers as arrays: sorted once, read window by window, as they stood at each cutoff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.folds import CUSTOMER, Plan, Slice, run_starts, slice_label
from features.journeys import NEVER, Column, Labels, Links, add_facts, decode, in_order, link, split_sessions
from features.snapshot import DAY

__all__ = ["History", "Moment", "Ordering", "rounds"]

Ints: TypeAlias = NDArray[np.int64]
Positions: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Ordering:
    """The rows of a table, ordered so that each group is one run in time order.

    Attributes
    ----------
    order : array of int, shape (n,)
        Row by place.
    rank : array of int, shape (n,)
        Place by row.
    group : array of int, shape (n,)
        The group of each row, numbered from 0 in this order.
    """

    order: Positions
    rank: Positions
    group: Positions

    @classmethod
    def of(cls, order: Positions, *keys: NDArray[Any]) -> Ordering:
        """Order rows as given; rows that agree in all keys form a group."""
        new = np.zeros(len(order), bool)
        for key in keys:
            in_turn = key[order]
            new[1:] |= in_turn[1:] != in_turn[:-1]
        group, rank = np.empty((2, len(order)), np.intp)
        group[order] = np.cumsum(new)
        rank[order] = np.arange(len(order))
        return cls(order, rank, group)

    def sort(self, rows: Positions) -> Positions:
        """Put some rows into this order, in time linear in the table."""
        marked = np.zeros(len(self.order), bool)
        marked[self.rank[rows]] = True
        return self.order[np.flatnonzero(marked)]


@dataclass(frozen=True, slots=True)
class Moment:
    """One cutoff of each of some customers: the rows in their windows, and where their features go.

    Attributes
    ----------
    rows : array of int
        Rows of the history that count, ascending.
    cutoff, spine : array of int, shape (customers,)
        The cutoff of each customer, and its row in the spine.
    """

    rows: Positions
    cutoff: Ints
    spine: Positions


class History:
    """Touchpoints as arrays, with their facts and their orders by journey and by slice.

    Parameters
    ----------
    plan : Plan
        Its facts are computed here.
    touchpoints : pyarrow.Table
        See `features.engine.build`.
    """

    def __init__(self, plan: Plan, touchpoints: pa.Table) -> None:
        self.plan = plan
        self.columns = decode(in_order(touchpoints))
        key = self.numbers("customer_key")
        self.first = run_starts(key)
        self.keys = key[self.first]
        self.end = np.append(self.first[1:], len(key))
        self.customer = np.repeat(np.arange(len(self.keys)), self.end - self.first)
        self.at = self.numbers("occurred_at")
        self.known_at = self.numbers("known_at")
        is_corrected = "replaced_at" in self.columns
        self.replaced_at = self.numbers("replaced_at") if is_corrected else np.full(len(key), NEVER)
        self.unsettled = np.flatnonzero((self.known_at > self.at) | (self.replaced_at < NEVER))
        self.journey_key = self.numbers("journey_key")
        self._gap = self._session_gap()
        self._labels: dict[Slice, Labels] = {}
        self._sliced: dict[Slice, Ordering] = {}
        self.thread = self._group_key("journey")
        links = self._link(slice(None))
        self.by_journey = Ordering.of(links.by_journey, self.thread, self.journey_key)
        add_facts(self.columns, plan.facts, links)

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a column of numbers."""
        column = self.columns[name]
        if isinstance(column, Labels):
            raise TypeError(f"touchpoint column '{name}' holds text; numbers were expected")
        return column

    def labels(self, by: Slice) -> Labels:
        """Return the text column of a slice; several columns are joined into one."""
        if by not in self._labels:
            self._labels[by] = self._slice_labels(by)
        return self._labels[by]

    def sliced(self, by: Slice) -> Ordering:
        """Order the rows by customer, level of a slice and time."""
        if by not in self._sliced:
            key = self._group_key(by)
            self._sliced[by] = Ordering.of(np.argsort(key, kind="stable"), key)
        return self._sliced[by]

    def is_known(self, rows: Positions, cutoff: Ints) -> NDArray[np.bool_]:
        """Say which rows stood in the books at the cutoffs of their customers: known by then, not corrected by then."""
        now = cutoff[self.customer[rows]]
        return np.asarray((self.known_at[rows] <= now) & (self.replaced_at[rows] > now))

    def journey_starts(self, rows: Positions) -> Positions:
        """Return where each journey begins among rows that stand in the order of `by_journey`.

        A row that is not known yet may be all that joins two sessions: between known rows their pause counts.
        """
        if self._gap is None or not len(self.unsettled):
            return run_starts(self.by_journey.group[rows])
        return np.flatnonzero(split_sessions(rows, (self.by_journey.group,), self.at, self._gap))

    @contextmanager
    def as_known(self, cutoff: Ints) -> Iterator[None]:
        """Let facts stand as they stood: those of customers with rows that are not known are computed without them."""
        rows = self._rows_beside_hidden(cutoff) if self.plan.facts else np.zeros(0, np.intp)
        if not len(rows):
            yield
            return
        links = self._link(rows)
        part = {name: column[rows] for name, column in self.columns.items() if name not in self.plan.facts}
        if self._gap is not None:
            sessions = self._sessions(rows, links)
            part["journey_key"] = sessions
            links = link(self.customer[rows], self.thread[rows], sessions, self._cause(rows))
        add_facts(part, self.plan.facts, links)
        settled = {name: self.numbers(name)[rows] for name in self.plan.facts}
        self._set(rows, part)
        yield
        self._set(rows, settled)

    def _rows_beside_hidden(self, cutoff: Ints) -> Positions:
        """Find the known rows of all customers to whom something has happened that is not known yet, or not so."""
        late = self.unsettled[self.at[self.unsettled] <= cutoff[self.customer[self.unsettled]]]
        hidden = late[~self.is_known(late, cutoff)]
        customers = np.unique(self.customer[hidden])
        rows = _ranges(self.first[customers], self.end[customers])
        rows = rows[self.at[rows] <= cutoff[self.customer[rows]]]
        return rows[self.is_known(rows, cutoff)]

    def _link(self, rows: Positions | slice) -> Links:
        return link(self.customer[rows], self.thread[rows], self.journey_key[rows], self._cause(rows))

    def _cause(self, rows: Positions | slice) -> Labels | None:
        cause = self.columns.get("cause")
        return Labels(cause.codes[rows], cause.names) if isinstance(cause, Labels) else None

    def _sessions(self, rows: Positions, links: Links) -> Ints:
        """Give the journeys of some rows new numbers, cut where a pause between them ends one."""
        if self._gap is None:
            raise ValueError("no row belongs to a session")
        keys = (self.thread[rows], self.journey_key[rows])
        new = split_sessions(links.by_journey, keys, self.at[rows], self._gap[rows])
        numbers = np.empty(len(rows), np.int64)
        numbers[links.by_journey] = np.cumsum(new)
        return numbers

    def _session_gap(self) -> Ints | None:
        """Return the longest pause within the journey of each row; None where every row has an id."""
        if "is_session" not in self.columns:
            return None
        journeys = self.columns["journey"]
        if not isinstance(journeys, Labels):
            raise TypeError("touchpoint column 'journey' holds numbers; text was expected")
        days = [self.plan.session_gap_days.get(name, np.inf) for name in journeys.names]
        gaps = np.array([NEVER if np.isinf(one) else round(one * DAY) for one in [*days, np.inf]], np.int64)
        return np.where(self.numbers("is_session"), gaps[journeys.codes], NEVER)

    def _set(self, rows: Positions, values: Mapping[str, Column]) -> None:
        for name in self.plan.facts:
            self.numbers(name)[rows] = values[name]

    def _group_key(self, by: Slice) -> Ints:
        labels = self.labels(by)
        return np.asarray(self.customer * (len(labels.names) + 1) + labels.codes + 1, np.int64)

    def _slice_labels(self, by: Slice) -> Labels:
        if by == CUSTOMER:
            return Labels(np.zeros(len(self.customer), np.int32), (CUSTOMER,))
        parts = [self.columns[name] for name in ((by,) if isinstance(by, str) else by)]
        labels = [part for part in parts if isinstance(part, Labels)]
        if len(labels) < len(parts):
            raise TypeError(f"slice {by!r} holds numbers; text columns were expected")
        return _joined(labels)


def rounds(history: History, spine: pa.Table) -> Iterator[Moment]:
    """Yield the rows in the windows of the first cutoff of every customer, then of the second, and so on.

    While a moment is being looked at, the facts in the history are those known at its cutoffs.
    """
    if not len(history.keys):
        return
    key, cutoff = spine["customer_key"].to_numpy(), spine["cutoff"].to_numpy()
    customer = np.minimum(np.searchsorted(history.keys, key), len(history.keys) - 1)
    spine_rows = np.flatnonzero(history.keys[customer] == key)
    spine_rows = spine_rows[np.lexsort((cutoff[spine_rows], customer[spine_rows]))]
    customer, cutoff = customer[spine_rows], cutoff[spine_rows]
    low, high = history.first[customer], history.end[customer]
    begin = _first_after(history.at, low, high, cutoff - history.plan.window_days * DAY)
    end = _first_after(history.at, begin, high, cutoff)
    for turn in _turns(customer):
        rows = _ranges(begin[turn], end[turn])
        if len(rows):
            yield from _moment(history, rows, customer[turn], cutoff[turn], spine_rows[turn])


def _turns(customer: Positions) -> Iterator[Positions]:
    """Yield the positions of the first cutoff of every customer, then of the second, and so on."""
    starts = run_starts(customer)
    turn = np.arange(len(customer)) - np.repeat(starts, np.diff(starts, append=len(customer)))
    by_turn = np.argsort(turn, kind="stable")
    for first, last in pairwise(np.append(run_starts(turn[by_turn]), len(turn))):
        yield by_turn[first:last]


def _moment(history: History, rows: Positions, customer: Positions, cutoff: Ints, spine: Positions) -> Iterator[Moment]:
    """Leave out what was not known yet; nothing to yield if nothing remains."""
    cutoff_of = np.full(len(history.keys), np.iinfo(np.int64).min)
    spine_of = np.zeros(len(history.keys), np.intp)
    cutoff_of[customer], spine_of[customer] = cutoff, spine
    if len(history.unsettled):
        rows = rows[history.is_known(rows, cutoff_of)]
    if len(rows):
        with history.as_known(cutoff_of):
            yield Moment(rows, cutoff_of, spine_of)


def _first_after(at: Ints, low: Positions, high: Positions, moment: Ints) -> Positions:
    """Return the first position in [low, high) whose time is after a moment; `high` if none. Bisects all at once."""
    low, high = low.copy(), high.copy()
    while (low < high).any():
        middle = (low + high) // 2
        is_open = low < high
        is_after = at[np.minimum(middle, len(at) - 1)] > moment
        high = np.where(is_open & is_after, middle, high)
        low = np.where(is_open & ~is_after, middle + 1, low)
    return low


def _ranges(begin: Positions, end: Positions) -> Positions:
    """Join the ranges [begin, end)."""
    size = end - begin
    offset = np.repeat(begin - (np.cumsum(size) - size), size)
    return np.asarray(offset + np.arange(size.sum()), np.intp)


def _joined(parts: Sequence[Labels]) -> Labels:
    """Join text columns into one whose labels are ``first__second``; missing where any is missing."""
    joined = parts[0]
    for part in parts[1:]:
        codes = np.where((joined.codes < 0) | (part.codes < 0), -1, joined.codes * len(part.names) + part.codes)
        joined = Labels(codes, tuple(slice_label((a, b)) for a in joined.names for b in part.names))
    return joined
