"""From one set of initiatives to a better one: what single exchanges gain and whether limits allow them, all at once.

Not a search by itself: `models.exchange_search` decides where to begin and what is worth what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.feasibility import SLACK
from models.proposals import Limits, Proposals

__all__ = ["ROUNDS", "Rules", "Slope", "by_yield", "climbed", "next_to"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROUNDS = 1_000
"""Exchanges at most; each gains, so that none comes twice."""

FAR = 1e-12
"""Gains smaller than this, over the size of all weights, are rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """What limits, needs and exclusions allow, as arrays over m initiatives.

    Attributes
    ----------
    takes, most : float64 arrays, shapes (limits, m) and (limits,)
        What each takes of each limit that is finite, and the limit.
    needs, excludes : bool arrays, shape (m, m)
        Row needs column; row and column never together.
    must, barred : bool arrays, shape (m,)
        Done in any case with all that is needed for it; can never be done.
    closures : bool array, shape (m, m)
        Row with all that it needs.
    """

    takes: Array
    most: Array
    needs: Flags
    excludes: Flags
    must: Flags
    barred: Flags
    closures: Flags

    @classmethod
    def of(cls, proposals: Proposals, limits: Limits) -> Rules:
        """Write proposals and limits, which were checked, as arrays."""
        m = len(proposals)
        amounts = [(proposals.cost, limits.budget)]
        amounts += [(proposals.use[proposals.resources.index(name)], most) for name, most in limits.capacity.items()]
        amounts = [(taken, most) for taken, most in amounts if np.isfinite(most)]
        needs, excludes = np.zeros((m, m), dtype=bool), np.zeros((m, m), dtype=bool)
        needs[proposals.needs[:, 0], proposals.needs[:, 1]] = True
        excludes[proposals.excludes[:, 0], proposals.excludes[:, 1]] = True
        excludes |= excludes.T
        closures = _reached(needs)
        must = proposals.closure(proposals.flags(limits.must))
        out = proposals.flags(limits.never) | excludes[must].any(axis=0)
        return cls(
            takes=np.array([taken for taken, _ in amounts]).reshape(len(amounts), m),
            most=np.array([most * (1 + SLACK) for _, most in amounts]),
            needs=needs,
            excludes=excludes,
            must=must,
            barred=np.asarray(closures[:, out].any(axis=1)),
            closures=closures,
        )

    def keeps(self, flags: Flags) -> bool:
        """Whether a set is possible."""
        return bool(
            flags[self.must].all()
            and not flags[self.barred].any()
            and (self.takes @ flags <= self.most).all()
            and not self.needs[np.ix_(flags, ~flags)].any()
            and not self.excludes[np.ix_(flags, flags)].any()
        )

    def comes(self, flags: Flags) -> Flags:
        """Tell which can come into a possible set alone: bool array, shape (m,)."""
        left = self.most - self.takes @ flags
        fits = (self.takes <= left[:, np.newaxis]).all(axis=0)
        return self._stands(flags) & fits & ~self.excludes[flags].any(axis=0)

    def goes(self, flags: Flags) -> Flags:
        """Tell which can go out of a possible set alone: bool array, shape (m,)."""
        return flags & ~self.must & ~self.needs[flags].any(axis=0)

    def exchanges(self, goes: NDArray[np.int64], comes: NDArray[np.int64], flags: Flags) -> Flags:
        """Tell which can be exchanged: bool array, shape (goes, comes); both as places, those of `goes` from `goes`."""
        left, pair = self.most - self.takes @ flags, np.ix_(goes, comes)
        clashes = self.excludes[flags].sum(axis=0)[comes]
        exchanged = self._stands(flags)[comes] & ~self.needs.T[pair] & (clashes <= self.excludes[pair])
        for taken, rest in zip(self.takes, left, strict=True):
            exchanged &= taken[comes] - taken[goes, np.newaxis] <= rest
        return np.asarray(exchanged)

    def _stands(self, flags: Flags) -> Flags:
        """Tell which are out and could be in, as far as what they need goes."""
        return ~flags & ~self.barred & ~self.needs[:, ~flags].any(axis=1)

    def bundles(self, flags: Flags) -> Iterator[Flags]:
        """Give who is turned when one comes with what it needs, or goes with all that need it, whatever the limits."""
        for i in np.flatnonzero(~flags & ~self.barred & (self.needs & ~flags).any(axis=1)):
            yield self.closures[i] & ~flags
        for i in np.flatnonzero(flags & ~self.must & (self.needs & flags[:, np.newaxis]).any(axis=0)):
            yield self.closures[:, i] & flags


def _reached(needs: Flags) -> Flags:
    """Mark for each initiative itself and all that it needs, directly or not."""
    reached = needs | np.eye(len(needs), dtype=bool)
    while True:
        # Counts in floating point are exact here, and a product of them is quick.
        further = reached.astype(np.float64) @ reached > 0
        if (further == reached).all():
            return reached
        reached = further


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """What members and pairs add to a weighted sum of the draws.

    Attributes
    ----------
    alone, pairs : float64 arrays, shapes (m,) and (m, m)
        Currency; pairs symmetric.
    least : float
        Gains up to it are rounding.
    """

    alone: Array
    pairs: Array
    least: float

    @classmethod
    def of(cls, proposals: Proposals, added: Array) -> Slope:
        """Lay out what is added by m members and p pairs, shape (m + p,)."""
        m = len(proposals)
        pairs = np.zeros((m, m))
        first, second = proposals.pairs.T
        pairs[first, second] = pairs[second, first] = added[m:]
        return cls(added[:m], pairs, FAR * float(np.abs(added).sum()))

    def worth(self, flags: Flags) -> float:
        """Sum over one set."""
        return float(self.alone[flags].sum() + self.pairs[np.ix_(flags, flags)].sum() / 2)

    def adds(self, flags: Flags) -> Array:
        """Say what each adds to the set, or would be missed of it: shape (m,)."""
        return self.alone + self.pairs @ flags

    def turned(self, adds: Array, turned: Flags, *, is_in: bool) -> float:
        """Gain when these all come, or, where they are in, all go."""
        alone, among = float(adds[turned].sum()), float(self.pairs[np.ix_(turned, turned)].sum()) / 2
        return among - alone if is_in else alone + among


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """All moves from a set and what each gains: one comes, one goes, one goes for another."""

    gains: Array
    goes: NDArray[np.int64]
    comes: NDArray[np.int64]

    @classmethod
    def of(cls, flags: Flags, adds: Array, slope: Slope, rules: Rules) -> _Moves:
        goes, outside = np.flatnonzero(rules.goes(flags)), np.flatnonzero(~flags)
        for_another = adds[outside] - adds[goes, np.newaxis] - slope.pairs[np.ix_(goes, outside)]
        gains = [
            np.where(rules.comes(flags), adds, -np.inf)[outside],
            -adds[goes],
            np.where(rules.exchanges(goes, outside, flags), for_another, -np.inf).ravel(),
        ]
        return cls(np.concatenate(gains), goes, outside)

    def after(self, flags: Flags, at: int) -> Flags:
        """Do one of the moves."""
        moved, width = flags.copy(), len(self.comes)
        if at < width:
            moved[self.comes[at]] = True
        elif at < width + len(self.goes):
            moved[self.goes[at - width]] = False
        else:
            row, column = divmod(at - width - len(self.goes), width)
            moved[self.goes[row]], moved[self.comes[column]] = False, True
        return moved


def climbed(flags: Flags, slope: Slope, rules: Rules, most: int = ROUNDS) -> Flags:
    """Do what gains most, again and again, until nothing gains.

    Parameters
    ----------
    flags : bool array, shape (m,)
        A possible set.
    slope : Slope
        What is to rise.
    rules : Rules
        What is possible.
    most : int
        Moves at most.

    Returns
    -------
    bool array, shape (m,)
        A possible set that no single move makes better, if `most` allowed it. Of moves that gain the same: one that
        comes before one that goes before an exchange, then the first names.
    """
    for _ in range(most):
        adds = slope.adds(flags)
        moves = _Moves.of(flags, adds, slope, rules)
        if not len(moves.gains):
            return flags
        at = int(moves.gains.argmax())
        best, after = float(moves.gains[at]), moves.after(flags, at)
        for turned in rules.bundles(flags):
            gain = slope.turned(adds, turned, is_in=bool(flags[turned.argmax()]))
            if gain > best + slope.least and rules.keeps(flags ^ turned):
                best, after = gain, flags ^ turned
        if best <= slope.least:
            return flags
        flags = after
    return flags


def by_yield(slope: Slope, rules: Rules) -> Flags:
    """Take in, one after the other, what gains most for the share of the limits that it takes; what must be done first.

    Returns
    -------
    bool array, shape (m,)
    """
    flags = rules.must.copy()
    share = (rules.takes / np.maximum(rules.most, 1e-300)[:, np.newaxis]).sum(axis=0)
    while True:
        gains = np.where(rules.comes(flags), slope.adds(flags), -np.inf)
        if not (gains > slope.least).any():
            return flags
        flags[int(np.where(gains > slope.least, gains / np.maximum(share, 1e-12), -np.inf).argmax())] = True


def next_to(flags: Flags, slope: Slope, rules: Rules, most: int) -> list[Flags]:
    """List the sets one move away, highest sum first.

    Parameters
    ----------
    flags : bool array, shape (m,)
        A possible set.
    slope, rules
        As for `climbed`.
    most : int
        Sets at most, of single moves; those with what is needed come on top.

    Returns
    -------
    list of bool array, shape (m,)
    """
    moves = _Moves.of(flags, slope.adds(flags), slope, rules)
    order = np.argsort(-moves.gains, kind="stable")[:most]
    found = [moves.after(flags, int(at)) for at in order if np.isfinite(moves.gains[at])]
    bundled = [flags ^ turned for turned in rules.bundles(flags) if rules.keeps(flags ^ turned)]
    return sorted([*found, *bundled], key=lambda one: -slope.worth(one))
