"""How often customers met each kind of touchpoint: begun anew, or later in an instance of a journey that was open.

Volume says how often quality could act. What begins anew is mostly the customer's own need; what comes later is mostly
the consequence of what came before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.references import ATTEMPT

__all__ = ["ContactKind", "contact_kinds", "kinds_of_rows"]

MOST_KINDS = 40
LEAST_CONTACTS = 200
OTHER = "other"


@dataclass(frozen=True, slots=True, order=True)
class ContactKind:
    """A touchpoint of a journey, at the beginning of an instance or later in it.

    Attributes
    ----------
    journey, touchpoint : str
        Where; `other` stands for the rare touchpoints of a journey.
    is_later : bool
        Whether the instance of the journey had begun before.
    """

    journey: str
    touchpoint: str
    is_later: bool

    @property
    def column(self) -> str:
        """Name of the column that counts it; touchpoints may hold underscores."""
        return f"{self.journey} / {self.touchpoint} / {'later' if self.is_later else 'began'}"


def contact_kinds(touchpoints: pa.Table) -> tuple[ContactKind, ...]:
    """List the kinds that are there often enough to learn about.

    Parameters
    ----------
    touchpoints : pyarrow.Table
        With `journey`, `attempt` and, where the study has it, `touchpoint`.

    Returns
    -------
    tuple of ContactKind
        By journey and name. Beyond the most frequent ones, and below a least number, the kinds of a journey are one.
    """
    codes, names = _coded(touchpoints)
    present, number = np.unique(codes, return_counts=True)
    counts = {names(code): int(n) for code, n in zip(present, number, strict=True)}
    frequent = sorted(counts, key=lambda kind: (-counts[kind], kind))[:MOST_KINDS]
    kept = {kind for kind in frequent if counts[kind] >= LEAST_CONTACTS}
    rare = {ContactKind(kind.journey, OTHER, kind.is_later) for kind in counts if kind not in kept}
    return tuple(sorted(kept | rare))


def kinds_of_rows(kinds: Sequence[ContactKind], touchpoints: pa.Table) -> NDArray[np.int64]:
    """Say which kind each touchpoint is of.

    Returns
    -------
    int64 array, shape (touchpoints,)
        Position in `kinds`; -1 where there is none.
    """
    place = {kind: number for number, kind in enumerate(kinds)}
    codes, names = _coded(touchpoints)
    number = np.full(codes.max(initial=-1) + 1, -1, np.int64)
    for code in np.unique(codes):
        kind = names(code)
        number[code] = place.get(kind, place.get(ContactKind(kind.journey, OTHER, kind.is_later), -1))
    return number[codes]


def _coded(touchpoints: pa.Table) -> tuple[NDArray[np.int64], Callable[[int], ContactKind]]:
    """Give each touchpoint a number for its kind, and tell which kind a number is."""
    journeys, journey = _levels(touchpoints, "journey")
    names, name = _levels(touchpoints, "touchpoint")
    later = touchpoints[ATTEMPT].to_numpy() > 1

    def kind(code: int) -> ContactKind:
        rest, is_later = divmod(int(code), 2)
        return ContactKind(journeys[rest // len(names)], names[rest % len(names)], bool(is_later))

    return (journey * len(names) + name) * 2 + later, kind


def _levels(touchpoints: pa.Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the levels of a column and the position of each row's; without the column all are the empty text."""
    if column not in touchpoints.column_names:
        return [""], np.zeros(touchpoints.num_rows, np.int64)
    found = touchpoints[column].cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    return found.dictionary.to_pylist() or [""], found.indices.to_numpy(zero_copy_only=False).astype(np.int64)
