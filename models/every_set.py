"""The best set of few initiatives, by looking at every set.

Exact, with any value function. What is equal in worth is decided by fewest initiatives, then lowest cost, then names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.appetite import Appetite
from models.feasibility import allowed, within
from models.proposals import Limits, Proposals

__all__ = ["MOST", "TIE", "EverySet", "Found", "Valuation"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Valuation = Callable[[tuple[str, ...]], Array]
"""Gives the draws of value of a set of names (sorted, not empty), shape (draws,)."""

MOST = 15
"""Initiatives up to which every set is looked at: 32,768 sets."""

TIE = 1e-9
"""Worths closer than this, over the largest worth in size, are equal: sums differ by rounding."""

BLOCK = 1024
"""Sets valued at once; bounds memory to 8 MB at 1,000 draws."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A set, what it is worth, and what no set exceeds.

    Attributes
    ----------
    flags : bool array, shape (m,)
        Members as True.
    worth, bound : float
        Currency; equal where the search was exhaustive.
    """

    flags: Flags
    worth: float
    bound: float


@dataclass(frozen=True, slots=True, eq=False)
class EverySet:
    """All sets that keep needs and exclusions, ordered so that of equals the first is preferred.

    Attributes
    ----------
    proposals : Proposals
        m of them.
    sets : bool array, shape (n, m)
        Fewest members first, then lowest cost, then names in order.
    worth : float64 array, shape (n,)
        Currency.
    appetite : Appetite
        What draws are worth.
    values : float64 array, shape (n, draws), optional
        What the valuation said; None where values are sums of members and pairs, which are cheaper summed again.
    """

    proposals: Proposals
    sets: Flags
    worth: Array
    appetite: Appetite
    values: Array | None = None

    @classmethod
    def of(cls, proposals: Proposals, appetite: Appetite, valuation: Valuation | None = None) -> EverySet:
        """Value all sets.

        Parameters
        ----------
        proposals : Proposals
            At most `MOST`.
        appetite : Appetite
            What draws are worth.
        valuation : callable, optional
            Exact value of a set; called once for every set that keeps needs and exclusions.

        Raises
        ------
        ValueError
            More than `MOST` initiatives; a valuation that gives another shape or values that are not finite.
        """
        m = len(proposals)
        if m > MOST:
            raise ValueError(f"{m} initiatives were given. Expected at most {MOST} to look at every set. Choose fewer.")
        # The first name is the highest bit: of two sets of one size the larger code has the earlier names.
        codes = np.arange(1 << m)
        sets = (codes[:, np.newaxis] >> np.arange(m)[::-1] & 1).astype(bool)
        cost = np.round(sets @ proposals.cost / max(proposals.cost.sum(), 1.0), 12)
        order = np.lexsort((-codes, cost, sets.sum(axis=1)))
        sets = sets[order][allowed(proposals, sets[order])]
        values = None if valuation is None else np.array([_valued(proposals, flags, valuation) for flags in sets])
        if values is None and appetite.aversion == 0:
            worth = terms(proposals, sets) @ coefficients(proposals).mean(axis=0)
        else:
            worth = np.concatenate([appetite.worth(block.T) for block in _blocks(proposals, sets, values)])
        return cls(proposals, sets, worth, appetite, values)

    def tie(self, rows: NDArray[np.int64]) -> float:
        """Worths of these sets that are closer than this are equal, currency."""
        return _tie(self.worth[rows])

    def best(self, limits: Limits, besides: Sequence[Flags] = ()) -> Found | None:
        """Find the best set within limits that is none of `besides`; None where there is none."""
        return self._first(self.worth, limits, besides)

    def best_weighted(self, weights: Array, limits: Limits) -> Found:
        """Find the best set when draws are summed with these weights, shape (draws,); worth is that sum."""
        if self.values is None:
            worth = terms(self.proposals, self.sets) @ (weights @ coefficients(self.proposals))
        else:
            worth = self.values @ weights
        found = self._first(worth, limits)
        if found is None:
            raise ValueError("no set keeps the limits. One at least was expected. Check the limits first.")
        return found

    def best_by_draw(self, limits: Limits) -> Flags:
        """Find the best set in each draw on its own: bool array, shape (draws, m)."""
        rows = within(self.proposals, limits, self.sets)
        kept, known = self.sets[rows], None if self.values is None else self.values[rows]
        highest, size = np.full(len(self.proposals.value), -np.inf), np.zeros(len(self.proposals.value))
        for values in _blocks(self.proposals, kept, known):
            highest, size = np.maximum(highest, values.max(axis=0)), np.maximum(size, np.abs(values).max(axis=0))
        # Only the highest of all tells what is equal to it: a second look takes the first of its equals.
        first, start = np.full(len(highest), len(kept)), 0
        for values in _blocks(self.proposals, kept, known):
            is_equal = values >= highest - TIE * size
            found = is_equal.any(axis=0) & (first == len(kept))
            first[found] = start + is_equal.argmax(axis=0)[found]
            start += len(values)
        chosen: Flags = kept[first]
        return chosen

    def draws(self, flags: Flags) -> Array:
        """Value of one set that keeps needs and exclusions, shape (draws,)."""
        if self.values is None:
            return self.proposals.draws(flags)
        same: Array = self.values[(self.sets == flags).all(axis=1)][0]
        return same

    def settle(self, found: Found, limits: Limits) -> Found:  # noqa: ARG002 - equals are settled by the order of sets
        """Return what was found: it is the preferred one of its equals."""
        return found

    def _first(self, worth: Array, limits: Limits, besides: Sequence[Flags] = ()) -> Found | None:
        kept = within(self.proposals, limits, self.sets)
        for flags in besides:
            kept &= (self.sets != flags).any(axis=1)
        rows = np.flatnonzero(kept)
        if not len(rows):
            return None
        # Over the sets within the limits: one far beyond them makes no others equal.
        at = rows[worth[rows] >= worth[rows].max() - _tie(worth[rows])][0]
        return Found(self.sets[at], float(worth[at]), float(worth[at]))


def _tie(worth: Array) -> float:
    return float(TIE * np.abs(worth).max())


def terms(proposals: Proposals, sets: Flags) -> Array:
    """Members and pairs within each set as 0 and 1: shape (n, m + p)."""
    both = sets[:, proposals.pairs[:, 0]] & sets[:, proposals.pairs[:, 1]]
    return np.concatenate([sets, both], axis=1).astype(np.float64)


def coefficients(proposals: Proposals) -> Array:
    """Put together what each member and each pair adds, by draw: shape (draws, m + p)."""
    return np.concatenate([proposals.value, proposals.interaction], axis=1)


def _blocks(proposals: Proposals, sets: Flags, values: Array | None) -> Iterator[Array]:
    """Draws of the sets, in blocks of shape (sets, draws)."""
    added = coefficients(proposals).T
    for start in range(0, len(sets), BLOCK):
        block = slice(start, start + BLOCK)
        yield terms(proposals, sets[block]) @ added if values is None else values[block]


def _valued(proposals: Proposals, flags: Flags, valuation: Valuation) -> Array:
    names = proposals.members(flags)
    draws = len(proposals.value)
    values = np.asarray(valuation(names), dtype=np.float64) if names else np.zeros(draws)
    if values.shape != (draws,) or not np.isfinite(values).all():
        raise ValueError(
            f"the value of {', '.join(names)} has shape {values.shape}, or is not finite. Expected ({draws},) numbers, "
            "draw by draw as for each initiative alone."
        )
    return values
