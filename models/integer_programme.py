"""The best set of many initiatives, by integer programming.

Worth is linear in members and pairs; a pair is the product of two members, linearised. The mean of the worst draws is
the lowest of the means over all groups of as many draws: it is approached from above by adding the group that is worst
for the plan at hand, until plan and bound meet.

References
----------
Adams, Sherali (1986), A tight linearization and an algorithm for zero-one quadratic programming problems, Management
Science 32, doi:10.1287/mnsc.32.10.1274 (limits multiplied by members).
Glover, Woolsey (1974), Converting the 0-1 polynomial programming problem to a 0-1 linear program, Operations Research
22, doi:10.1287/opre.22.1.180 (products of members).
Künzi-Bay, Mayer (2006), Computational aspects of minimizing conditional value-at-risk, Computational Management Science
3, doi:10.1007/s10287-005-0042-0 (cuts for the tail).
Huangfu, Hall (2018), Parallelizing the dual revised simplex method, Mathematical Programming Computation 10,
doi:10.1007/s12532-017-0130-5 (HiGHS).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from models.appetite import Appetite
from models.every_set import Found, coefficients, terms
from models.feasibility import allowed, within
from models.proposals import Limits, Proposals

__all__ = ["NODES", "IntegerProgramme"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

NODES = 50_000
"""Branches after which the solver stops with what it has; a count, so that a slow machine finds the same."""

CLOSE = 1e-6
"""Plan and bound this close, over the largest value of an initiative, have met, and worths this close are equal: the
solver's own tolerance."""

ROUNDS = 200
"""Groups of worst draws added at most."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows ``low <= matrix @ x <= high`` over members, pairs and the mean of the worst draws."""

    matrix: sparse.csr_array
    low: Array
    high: Array

    def with_row(self, row: Array, low: float, high: float = np.inf) -> _Rows:
        return _Rows(
            sparse.vstack([self.matrix, sparse.csr_array(row[np.newaxis])], format="csr"),
            np.append(self.low, low),
            np.append(self.high, high),
        )


@dataclass(frozen=True, slots=True, eq=False)
class IntegerProgramme:
    """Finds the best set by branch and bound, with a bound on what any set is worth.

    Parameters
    ----------
    proposals : Proposals
        m of them; worth is the sum of members and pairwise interactions.
    appetite : Appetite
        What draws are worth.
    nodes : int
        Branches after which the search stops.
    """

    proposals: Proposals
    appetite: Appetite
    nodes: int = NODES
    _added: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_added", coefficients(self.proposals))

    def best(self, limits: Limits, besides: Sequence[Flags] = ()) -> Found | None:
        """Find the best set within limits that is none of `besides`; None where there is none."""
        rows = self._start(limits, besides)
        if self.appetite.aversion == 0:
            return self._linear(self._added.mean(axis=0), limits, rows)
        return self._with_tail(limits, rows)

    def best_weighted(self, weights: Array, limits: Limits) -> Found:
        """Find the best set when draws are summed with these weights, shape (draws,); worth is that sum."""
        found = self._linear(weights @ self._added, limits, self._rows(limits, ()))
        if found is None:
            raise ValueError("no set keeps the limits. One at least was expected. Check the limits first.")
        return found

    def best_by_draw(self, limits: Limits) -> Flags:
        """Find the best set in each draw on its own: bool array, shape (draws, m)."""
        return np.array([self.best_weighted(draw, limits).flags for draw in np.eye(len(self._added))])

    def draws(self, flags: Flags) -> Array:
        """Value of one set, shape (draws,)."""
        return self.proposals.draws(flags)

    def settle(self, found: Found, limits: Limits) -> Found:
        """Of the sets that are worth as much, take the one with fewest initiatives, then lowest cost, then names.

        Notes
        -----
        Equal means closer than `CLOSE` times the scale, which is as fine as the solver tells. Names are settled by
        exchanges of one member for another.
        """
        slack = CLOSE * self._objective()[1]
        found = self._fewest(found, limits, slack)
        while (other := self._preferred_neighbour(found, limits, slack)) is not None:
            found = other
        return found

    def _fewest(self, found: Found, limits: Limits, slack: float) -> Found:
        weights, scale = self._objective()
        rows = self._start(limits, ()).with_row(weights, (found.worth - slack) / scale)
        cost = self.proposals.cost
        fewest = np.append(-(1 + cost / (2 * max(cost.sum(), 1e-300))), np.zeros(len(self.proposals.pairs) + 1))
        for _ in range(ROUNDS):
            flags, _ = self._solve(fewest, rows, limits)
            if flags is None or not self._keeps(flags, limits):
                return found
            draws = self.draws(flags)
            worth = float(self.appetite.worth(draws))
            if worth >= found.worth - 2 * slack:
                return Found(flags, worth, max(found.bound, worth))
            if self.appetite.aversion == 0:
                return found
            rows = rows.with_row(self._tail_row(draws, scale), 0.0)
        return found

    def _preferred_neighbour(self, found: Found, limits: Limits, slack: float) -> Found | None:
        for flags in self._neighbours(found.flags):
            if self._preferred(flags, found.flags) and self._keeps(flags, limits):
                worth = float(self.appetite.worth(self.draws(flags)))
                if worth >= found.worth - slack:
                    return Found(flags, worth, max(found.bound, worth))
        return None

    def _neighbours(self, flags: Flags) -> list[Flags]:
        """List the sets with one member less, or one exchanged."""
        inside, outside = np.flatnonzero(flags), np.flatnonzero(~flags)
        near = [flags & (np.arange(len(flags)) != i) for i in inside]
        return near + [less | (np.arange(len(flags)) == j) for less in near for j in outside]

    def _preferred(self, one: Flags, other: Flags) -> bool:
        def rank(flags: Flags) -> tuple[int, float, list[int]]:
            cost = round(float(self.proposals.cost[flags].sum() / max(self.proposals.cost.sum(), 1.0)), 12)
            return int(flags.sum()), cost, np.flatnonzero(flags).tolist()

        return rank(one) < rank(other)

    def _keeps(self, flags: Flags, limits: Limits) -> bool:
        one = flags[np.newaxis]
        return bool(allowed(self.proposals, one)[0] and within(self.proposals, limits, one)[0])

    def _linear(self, weights: Array, limits: Limits, rows: _Rows) -> Found | None:
        scale = _scale(weights)
        while True:
            flags, bound = self._solve(np.append(weights / scale, 0.0), rows, limits)
            if flags is None:
                return None
            if self._keeps(flags, limits):
                worth = float((terms(self.proposals, flags[np.newaxis]) @ weights)[0])
                return Found(flags, worth, max(worth, bound * scale))
            # Let through by the tolerance of the solver alone.
            rows = rows.with_row(*self._not_this(flags))

    def _objective(self) -> tuple[Array, float]:
        """Weights of members, pairs and the mean of the worst draws, and the currency that one of them stands for."""
        mean = self._added.mean(axis=0)
        # Draws can be large where their mean is nothing.
        scale = _scale(mean if self.appetite.aversion == 0 else np.abs(self._added).mean(axis=0))
        return np.append((1 - self.appetite.aversion) * mean / scale, self.appetite.aversion), scale

    def _start(self, limits: Limits, besides: Sequence[Flags]) -> _Rows:
        """Limits, and what the mean of the worst draws cannot exceed."""
        rows = self._rows(limits, besides)
        if self.appetite.aversion == 0:
            return rows
        weights, scale = self._objective()
        rows = rows.with_row(np.append(self._added.mean(axis=0) / scale, -1.0), 0.0)
        return self._relaxed_cuts(weights, rows, limits, scale)

    def _with_tail(self, limits: Limits, rows: _Rows) -> Found | None:
        weights, scale = self._objective()
        best, ceiling, seen = None, np.inf, set[bytes]()
        for _ in range(ROUNDS):
            flags, bound = self._solve(weights, rows, limits)
            if flags is None:
                return best
            if not self._keeps(flags, limits):
                rows = rows.with_row(*self._not_this(flags))
                continue
            ceiling = min(ceiling, bound * scale)
            draws = self.draws(flags)
            worth = float(self.appetite.worth(draws))
            if best is None or worth > best.worth:
                best = Found(flags, worth, max(worth, ceiling))
            if ceiling - best.worth <= CLOSE * scale or flags.tobytes() in seen:
                break
            seen.add(flags.tobytes())
            rows = rows.with_row(self._tail_row(draws, scale), 0.0)
        return None if best is None else Found(best.flags, best.worth, max(best.worth, ceiling))

    def _relaxed_cuts(self, weights: Array, rows: _Rows, limits: Limits, scale: float) -> _Rows:
        """Cuts that hold for plans with parts of initiatives: they cost little and save rounds."""
        for _ in range(ROUNDS):
            x = self._relaxed(weights, rows, limits)
            if x is None:
                return rows
            draws = self._added @ x[:-1]
            if x[-1] * scale - float(self.appetite.worst(draws)) <= 1e-4 * scale:
                return rows
            rows = rows.with_row(self._tail_row(draws, scale), 0.0)
        return rows

    def _tail_row(self, draws: Array, scale: float) -> Array:
        return np.append(self.appetite.worst_weights(draws) @ self._added / scale, -1.0)

    def _not_this(self, flags: Flags) -> tuple[Array, float]:
        """Row and lower limit that exclude one set."""
        row = np.append(np.where(flags, -1.0, 1.0), np.zeros(len(self.proposals.pairs) + 1))
        return row, 1.0 - float(flags.sum())

    def _rows(self, limits: Limits, besides: Sequence[Flags]) -> _Rows:
        p, m = self.proposals, len(self.proposals)
        width = m + len(p.pairs) + 1
        blocks, low, high = [_products(p, width)], [np.full(3 * len(p.pairs), -np.inf)], [np.zeros(3 * len(p.pairs))]
        high[0][2::3] = 1.0
        for pairs, sign, most in ((p.needs, -1.0, 0.0), (p.excludes, 1.0, 1.0)):
            blocks.append(_two_each(pairs, sign, width))
            low.append(np.full(len(pairs), -np.inf))
            high.append(np.full(len(pairs), most))
        rows = _Rows(sparse.vstack(blocks, format="csr"), np.concatenate(low), np.concatenate(high))
        takes = [(p.cost, limits.budget)] + [
            (p.use[p.resources.index(r)], limit) for r, limit in limits.capacity.items()
        ]
        for taken, limit in takes:
            if np.isfinite(limit) and taken.any():
                unit = taken.max()
                rows = rows.with_row(np.append(taken / unit, np.zeros(width - m)), -np.inf, limit / unit)
                for row in _limit_without(p, taken, limit):
                    rows = rows.with_row(row / unit, -np.inf, limit / unit)
        for flags in besides:
            rows = rows.with_row(*self._not_this(flags))
        return rows

    def _bounds(self, limits: Limits) -> Bounds:
        others = len(self.proposals.pairs)
        tail = np.inf if self.appetite.aversion else 0.0
        low = np.concatenate([self.proposals.flags(limits.must), np.zeros(others), [-tail]])
        high = np.concatenate([~self.proposals.flags(limits.never), np.ones(others), [tail]])
        return Bounds(low, high)

    def _solve(self, weights: Array, rows: _Rows, limits: Limits) -> tuple[Flags | None, float]:
        """Members of the best set, None where there is none, and the bound, in the unit of the weights."""
        integral = np.zeros(len(weights), dtype=np.int64)
        integral[: len(self.proposals)] = 1
        done = milp(
            -weights,
            integrality=integral,
            bounds=self._bounds(limits),
            constraints=_constraint(rows),
            options={"node_limit": self.nodes, "mip_rel_gap": 0.0},
        )
        if done.x is None:
            return None, np.inf
        return np.asarray(done.x[: len(self.proposals)] > 0.5), -float(done.mip_dual_bound)

    def _relaxed(self, weights: Array, rows: _Rows, limits: Limits) -> Array | None:
        done = milp(-weights, bounds=self._bounds(limits), constraints=_constraint(rows))
        return None if done.x is None else np.asarray(done.x)


def _constraint(rows: _Rows) -> list[LinearConstraint]:
    return [LinearConstraint(rows.matrix, rows.low, rows.high)] if rows.matrix.shape[0] else []


def _products(proposals: Proposals, width: int) -> sparse.csr_array:
    """Rows ``y <= x_i``, ``y <= x_j``, ``x_i + x_j - y <= 1`` for every pair."""
    k = np.arange(len(proposals.pairs))
    y, (i, j) = len(proposals) + k, proposals.pairs.T
    row = np.concatenate([3 * k, 3 * k, 3 * k + 1, 3 * k + 1, 3 * k + 2, 3 * k + 2, 3 * k + 2])
    column = np.concatenate([y, i, y, j, i, j, y])
    sign = np.repeat([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0], len(k))
    return sparse.csr_array((sign, (row, column)), shape=(3 * len(k), width))


def _limit_without(proposals: Proposals, taken: Array, limit: float) -> Array:
    """Rows that say of each initiative in a pair: where it is not done, all others keep the limit.

    ``sum over partners j of taken_j (x_j - y_ij) <= limit (1 - x_i)`` holds for every set and not for the parts of
    initiatives that a linear programme would do: thirteen seconds became half a one with 780 pairs (Adams, Sherali
    1986).
    """
    m = len(proposals)
    rows = np.zeros((m, m + len(proposals.pairs) + 1))
    for k, (i, j) in enumerate(proposals.pairs):
        rows[[i, j], [j, i]] = taken[[j, i]]
        rows[[i, j], m + k] = -taken[[j, i]]
    partnered = np.unique(proposals.pairs)
    rows[partnered, partnered] = limit
    return rows[partnered]


def _two_each(pairs: NDArray[np.int64], sign: float, width: int) -> sparse.csr_array:
    """Rows ``x_first + sign * x_second``."""
    k = np.arange(len(pairs))
    values = np.repeat([1.0, sign], len(k))
    where = (np.concatenate([k, k]), np.concatenate([pairs[:, 0], pairs[:, 1]]))
    return sparse.csr_array((values, where), shape=(len(k), width))


def _scale(weights: Array) -> float:
    return max(float(np.abs(weights).max(initial=0.0)), 1e-300)
