"""What came before a touchpoint in its journey, and in the journeys of that type: order, links and facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = [
    "LOOKS_BACK",
    "NEVER",
    "Labels",
    "Links",
    "Touches",
    "add_facts",
    "decode",
    "in_order",
    "link",
    "split_sessions",
    "total_order",
]

Ints: TypeAlias = NDArray[np.int64]
Positions: TypeAlias = NDArray[np.intp]
Facts: TypeAlias = Mapping[str, Callable[[Any], Any]]

LOOKS_BACK = frozenset({"before", "thread", "earlier", "alike"})
"""The touchpoints before a touchpoint that a fact may look at."""

NEVER = int(np.iinfo(np.int64).max)
"""When a row is replaced that never is; the pause that ends a journey that has an id."""

ABSENT = -1
"""Position of a row that does not exist; code of a label that is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A text column as codes; compares with a text or with another text column, row by row.

    Examples
    --------
    >>> channel = Labels(np.array([0, 1, 0]), ("mail", "phone"))
    >>> (channel == "phone").tolist(), (channel != channel).tolist()
    ([False, True, False], [False, False, False])
    """

    codes: NDArray[Any]
    names: tuple[str, ...]

    def __eq__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        wanted: NDArray[Any] | int = len(self.names)
        if isinstance(other, Labels):
            wanted = other.codes if other.names == self.names else other.recoded(self.names)
        elif other in self.names:
            wanted = self.names.index(str(other))
        return np.asarray(np.equal(self.codes, wanted) & (self.codes != ABSENT), bool)

    def __ne__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        return np.logical_not(self == other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether there is a label."""
        return np.asarray(self.codes != ABSENT, bool)

    def __getitem__(self, at: Positions) -> Labels:
        return Labels(self.codes[at], self.names)

    def recoded(self, names: tuple[str, ...]) -> NDArray[Any]:
        """Return the codes with respect to other names; `ABSENT` where a label is not among them."""
        place = {name: code for code, name in enumerate(names)}
        table = np.array([place.get(name, ABSENT) for name in self.names] + [ABSENT], np.int32)
        return np.asarray(table[self.codes])


Column: TypeAlias = NDArray[Any] | Labels


class Links:
    """Where the predecessors of each touchpoint stand; `ABSENT` for the first. Found when they are first asked for.

    Parameters
    ----------
    customer, thread, journey_key : array of int, shape (n,)
        See `link`.
    cause : Labels, optional
        Why the customer came.

    Attributes
    ----------
    by_journey : array of int, shape (n,)
        All rows ordered by customer, journey type, journey and time.
    before : array of int, shape (n,)
        The touchpoint before it in its journey.
    thread : array of int, shape (n,)
        The one before it in any journey of the same type of the same customer.
    earlier : array of int, shape (n,)
        The one before it in any journey of the same customer.
    alike : array of int, shape (n,)
        The one before it of the same customer with the same cause.
    """

    def __init__(self, customer: Ints, thread: Ints, journey_key: Ints, cause: Labels | None) -> None:
        self._customer, self._thread, self._journey, self._cause = customer, thread, journey_key, cause
        self._by_thread = np.argsort(thread, kind="stable")
        in_turn = self._by_thread
        self.by_journey = in_turn[np.lexsort((journey_key[in_turn], thread[in_turn]))]

    @cached_property
    def before(self) -> Positions:
        """See `Links`."""
        return _previous(self.by_journey, self._thread, self._journey)

    @cached_property
    def thread(self) -> Positions:
        """See `Links`."""
        return _previous(self._by_thread, self._thread)

    @cached_property
    def earlier(self) -> Positions:
        """See `Links`."""
        return _previous(np.arange(len(self._customer)), self._customer)

    def latest(self, is_such: NDArray[np.bool_]) -> Positions:
        """Find the latest touchpoint of the same customer before each that is such and such."""
        own = np.arange(len(self._customer))
        upto = np.maximum.accumulate(np.where(is_such, own, ABSENT))
        found = np.append(ABSENT, upto[:-1])[: len(own)]
        return np.where(self._customer[found] == self._customer, found, ABSENT) if len(own) else found

    @cached_property
    def alike(self) -> Positions:
        """See `Links`."""
        if self._cause is None:
            raise AttributeError("touchpoints have no column 'cause', which 'alike' needs")
        order = np.lexsort((self._cause.codes, self._customer))
        found = _previous(order, self._customer, self._cause.codes)
        return np.where(self._cause.is_known, found, ABSENT)


def decode(table: pa.Table) -> dict[str, Column]:
    """Turn Arrow columns into arrays: text as `Labels`, missing numbers as NaN."""
    return {name: _decode(table[name]) for name in table.column_names}


def in_order(touchpoints: pa.Table) -> pa.Table:
    """Sort touchpoints by customer, time and then everything else, so that equal sets of rows give equal tables.

    The order among touchpoints of the same customer and moment decides which of them comes ``before`` and is ``last``.
    A table whose customers and times already ascend is returned as it is; its order among equals is trusted.
    """
    return touchpoints if _is_sorted(touchpoints) else touchpoints.take(pa.array(total_order(touchpoints)))


def total_order(touchpoints: pa.Table) -> Positions:
    """Say in which order `in_order` puts the rows of an unsorted table: array of int, shape (n,)."""
    leading = ["customer_key", "occurred_at"]
    names = leading + [name for name in ("touchpoint", "channel") if name in touchpoints.column_names]
    names += sorted(set(touchpoints.column_names) - set(names))
    keys = [_sort_key(touchpoints[name]) for name in names]
    return np.lexsort(keys[::-1])


def link(customer: Ints, thread: Ints, journey_key: Ints, cause: Labels | None = None) -> Links:
    """Find the predecessors of touchpoints that are sorted by customer and time.

    Parameters
    ----------
    customer : array of int, shape (n,)
        Ascending.
    thread : array of int, shape (n,)
        One number per customer and journey type, ascending with the customer.
    journey_key : array of int, shape (n,)
        The journey instance.
    cause : Labels, optional
        Why the customer came, shape (n,).
    """
    return Links(customer, thread, journey_key, cause)


def split_sessions(order: Positions, keys: Sequence[Ints], moment: Ints, gap: Ints) -> NDArray[np.bool_]:
    """Mark the rows, in their order, with which a journey begins: other keys, or a pause longer than its gap.

    Parameters
    ----------
    order : array of int, shape (k,)
        Rows so that those of a journey follow each other in time order.
    keys : sequence of array of int
        What the rows of a journey share.
    moment, gap : array of int
        Time of each row, and the longest pause before it that does not end its journey; microseconds.
    """
    new = np.ones(len(order), bool)
    is_same = np.ones(max(len(order) - 1, 0), bool)
    for key in keys:
        in_turn = key[order]
        is_same &= in_turn[1:] == in_turn[:-1]
    at = moment[order]
    new[1:] = ~is_same | (at[1:] - at[:-1] > gap[order][1:])
    return new


def _previous(order: Positions, *keys: NDArray[Any]) -> Positions:
    """Return, for each row, the one before it in an order if it agrees in all keys."""
    found = np.full(len(order), ABSENT, np.intp)
    is_same = np.ones(max(len(order) - 1, 0), bool)
    for key in keys:
        in_turn = key[order]
        is_same &= in_turn[1:] == in_turn[:-1]
    found[order[1:][is_same]] = order[:-1][is_same]
    return found


class Touches:
    """What a fact function sees of all touchpoints at once: a column per attribute, and the touchpoints before them."""

    __slots__ = ("_at", "_columns", "_links", "_looked")

    def __init__(
        self,
        columns: Mapping[str, Column],
        links: Links,
        at: Positions | None = None,
        looked: list[Positions] | None = None,
    ) -> None:
        self._columns, self._links, self._at = columns, links, at
        self._looked: list[Positions] = [] if looked is None else looked

    def __getattr__(self, name: str) -> Any:
        if name in LOOKS_BACK:
            return self._look_back(getattr(self._links, name))
        if name == "is_first":
            first = self._links.before == ABSENT
            return first if self._at is None else first[self._at]
        if name not in self._columns:
            raise AttributeError(f"touchpoints have no column '{name}'; there are {', '.join(sorted(self._columns))}")
        column = self._columns[name]
        return column if self._at is None else column[self._at]

    def latest(self, is_such: NDArray[np.bool_]) -> Touches:
        """Look back at the latest touchpoint of the customer, in any journey, that is such and such."""
        return self._look_back(self._links.latest(is_such))

    def absent(self) -> NDArray[np.bool_]:
        """Say for each touchpoint whether a predecessor that was asked for does not exist."""
        missing = np.zeros(len(self._links.by_journey), bool)
        for at in self._looked:
            missing |= at == ABSENT
        return missing

    def _look_back(self, to: Positions) -> Touches:
        at = to if self._at is None else np.where(self._at == ABSENT, ABSENT, to[self._at])
        self._looked.append(at)
        return Touches(self._columns, self._links, at, self._looked)


def add_facts(columns: dict[str, Column], facts: Facts, links: Links) -> None:
    """Compute facts one after the other and add each to the columns, where the next one can read it."""
    for name, fact in facts.items():
        touches = Touches(columns, links)
        values = np.broadcast_to(np.asarray(fact(touches)), links.by_journey.shape)
        absent = touches.absent()
        columns[name] = values & ~absent if values.dtype == bool else np.where(absent, np.nan, values)


def _decode(column: pa.ChunkedArray) -> Column:
    kind = column.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _labels(column)
    if column.null_count:
        return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    return np.asarray(column.to_numpy())


def _labels(column: pa.ChunkedArray) -> Labels:
    """Encode text with sorted names, so that codes do not depend on the order of the rows."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    array = encoded.unify_dictionaries().combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) and array.num_chunks else array
    if len(array) == 0:
        return Labels(np.zeros(0, np.int32), ())
    names = sorted(name for name in array.dictionary.to_pylist() if name is not None)
    place = pc.index_in(array.dictionary, pa.array(names, array.dictionary.type)).fill_null(ABSENT)
    table = np.append(np.asarray(place, np.int32), np.int32(ABSENT))
    return Labels(table[np.asarray(array.indices.fill_null(len(table) - 1))], tuple(names))


def _is_sorted(touchpoints: pa.Table) -> bool:
    customer = touchpoints["customer_key"].to_numpy()
    at = touchpoints["occurred_at"].to_numpy()
    later = (customer[1:] > customer[:-1]) | ((customer[1:] == customer[:-1]) & (at[1:] >= at[:-1]))
    return bool(later.all())


def _sort_key(column: pa.ChunkedArray) -> NDArray[Any]:
    decoded = _decode(column)
    return decoded.codes if isinstance(decoded, Labels) else decoded
