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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, milp

from models.appetite import Appetite
from models.every_set import Found, coefficients, terms
from models.exchanges import neighbours
from models.feasibility import SLACK, allowed, within
from models.programme_rows import Rows, constraint, limit_without, products, pulled, two_each
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

LET_THROUGH = 20
"""Sets that only the solver's tolerance lets through, excluded at most before limits are narrowed."""

TOLERANCE = 1e-6
"""How far from 0 or 1 the solver leaves a member, and how far beyond a row of amounts up to 1 it goes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Aim:
    """Weights of members, pairs and the mean of the worst draws, in units of `scale`, and the worth of a set."""

    weights: Array
    scale: float
    worth: Callable[[Flags], float]
    has_tail: bool


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
    gap : float
        It also stops when no set can be better than what it has by more than this, over the worth.
    """

    proposals: Proposals
    appetite: Appetite
    nodes: int = NODES
    gap: float = 0.0
    _added: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_added", coefficients(self.proposals))

    def best(self, limits: Limits, besides: Sequence[Flags] = ()) -> Found | None:
        """Find the best set within limits that is none of `besides`; None where there is none."""
        if self.appetite.aversion == 0:
            return self._linear(self._added.mean(axis=0), limits, besides)
        return self._with_tail(limits, besides)

    def best_weighted(self, weights: Array, limits: Limits) -> Found:
        """Find the best set when draws are summed with these weights, shape (draws,); worth is that sum."""
        added = weights @ self._added
        found = self._linear(added, limits)
        if found is None:
            raise ValueError("no set keeps the limits. One at least was expected. Check the limits first.")
        return self._preferred_equal(found, limits, self._linear_aim(added, limits))

    def best_weighted_near(self, weights: Array, limits: Limits) -> Found | None:
        """Find a set as `best_weighted`, within `gap` of its bound and without settling equals; None where none is."""
        return self._linear(weights @ self._added, limits)

    def relaxed_bound(self, limits: Limits) -> float:
        """Find what no set within limits exceeds, by a linear programme: parts of initiatives count as well."""
        aim, rows = self._aim(limits), self._start(limits, (), is_tight=False)
        done = self._relaxed(aim.weights, rows, limits)
        return np.inf if done is None else float(aim.weights @ done) * aim.scale

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
        return self._preferred_equal(found, limits, self._aim(limits))

    def _preferred_equal(self, found: Found, limits: Limits, aim: _Aim) -> Found:
        slack = CLOSE * aim.scale
        found = self._fewest(found, limits, aim, slack)
        while (other := self._preferred_neighbour(found, limits, aim, slack)) is not None:
            found = other
        return found

    def _fewest(self, found: Found, limits: Limits, aim: _Aim, slack: float) -> Found:
        rows = self._start(limits, ()) if aim.has_tail else self._rows(limits, (), weights=aim.weights[:-1])
        rows = rows.with_row(aim.weights, (found.worth - slack) / aim.scale)
        cost = self.proposals.cost
        fewest = np.append(-(1 + cost / (2 * max(cost.sum(), 1e-300))), np.zeros(len(self.proposals.pairs) + 1))
        for _ in range(ROUNDS):
            flags, _ = self._solve(fewest, rows, limits)
            if flags is None or not self._keeps(flags, limits):
                return found
            worth = aim.worth(flags)
            if worth >= found.worth - 2 * slack:
                return Found(flags, worth, max(found.bound, worth))
            if not aim.has_tail:
                return found
            rows = rows.with_row(self._tail_row(self.draws(flags), aim.scale), 0.0)
        return found

    def _preferred_neighbour(self, found: Found, limits: Limits, aim: _Aim, slack: float) -> Found | None:
        weights = None if aim.has_tail else aim.scale * aim.weights[:-1]
        for flags in neighbours(self.proposals, found.flags, weights, slack):
            if self._preferred(flags, found.flags) and self._keeps(flags, limits):
                worth = aim.worth(flags)
                if worth >= found.worth - slack:
                    return Found(flags, worth, max(found.bound, worth))
        return None

    def _preferred(self, one: Flags, other: Flags) -> bool:
        def rank(flags: Flags) -> tuple[int, float, list[int]]:
            cost = round(float(self.proposals.cost[flags].sum() / max(self.proposals.cost.sum(), 1.0)), 12)
            return int(flags.sum()), cost, np.flatnonzero(flags).tolist()

        return rank(one) < rank(other)

    def _keeps(self, flags: Flags, limits: Limits) -> bool:
        one = flags[np.newaxis]
        return bool(allowed(self.proposals, one)[0] and within(self.proposals, limits, one)[0])

    def _linear(
        self, weights: Array, limits: Limits, besides: Sequence[Flags] = (), margin: float = 0.0
    ) -> Found | None:
        """Solve until a set keeps the limits exactly; where rounds run out, once more with limits that are narrower."""
        aim, rows, ceiling = self._linear_aim(weights, limits), self._rows(limits, besides, margin, weights), np.inf
        for _ in range(LET_THROUGH):
            flags, bound = self._solve(aim.weights, rows, limits)
            if flags is None:
                return None
            ceiling = min(ceiling, bound * aim.scale)
            if self._keeps(flags, limits):
                worth = aim.worth(flags)
                return Found(flags, worth, max(worth, ceiling))
            rows = rows.with_row(*self._not_let_through(flags, limits))
        found = None if margin else self._linear(weights, limits, besides, self._margin)
        return None if found is None else replace(found, bound=max(found.worth, ceiling))

    @property
    def _margin(self) -> float:
        """Share of a limit that sets leave free, so that no tolerance carries them beyond it."""
        return (len(self.proposals) + 1) * TOLERANCE

    def _possible(self, limits: Limits) -> Flags:
        """Tell which initiatives, each alone with what must be done, stay within the limits: shape (m,)."""
        alone = np.eye(len(self.proposals), dtype=bool)
        return within(self.proposals, limits, self.proposals.flags(limits.must) | alone)

    def _scale(self, weights: Array, limits: Limits) -> float:
        """Find the largest weight, in size, of what is not decided: one that must or cannot be done hides no other."""
        possible, must = self._possible(limits), self.proposals.flags(limits.must)
        pairs = self.proposals.pairs
        is_open = np.append(possible & ~must, possible[pairs].all(axis=1) & ~must[pairs].all(axis=1))
        size = np.abs(weights)
        # Decided weights stay below 1e9 in the unit, far from what the solver reads as infinite.
        return max(float(size[is_open].max(initial=0.0)), 1e-9 * float(size.max(initial=0.0)), 1e-300)

    def _linear_aim(self, weights: Array, limits: Limits) -> _Aim:
        """Aim at a weighted sum of the draws, from what each member and each pair adds to it."""
        scale = self._scale(weights, limits)

        def worth(flags: Flags) -> float:
            return float((terms(self.proposals, flags[np.newaxis]) @ weights)[0])

        return _Aim(np.append(weights / scale, 0.0), scale, worth, has_tail=False)

    def _aim(self, limits: Limits) -> _Aim:
        """Aim at what the appetite says."""
        mean = self._added.mean(axis=0)
        # Draws can be large where their mean is nothing.
        scale = self._scale(mean if self.appetite.aversion == 0 else np.abs(self._added).mean(axis=0), limits)
        weights = np.append((1 - self.appetite.aversion) * mean / scale, self.appetite.aversion)

        def worth(flags: Flags) -> float:
            return float(self.appetite.worth(self.draws(flags)))

        return _Aim(weights, scale, worth, has_tail=self.appetite.aversion > 0)

    def _start(self, limits: Limits, besides: Sequence[Flags], margin: float = 0.0, *, is_tight: bool = True) -> Rows:
        """Limits, and what the mean of the worst draws cannot exceed."""
        rows = self._rows(limits, besides, margin, is_tight=is_tight)
        if self.appetite.aversion == 0:
            return rows
        aim = self._aim(limits)
        rows = rows.with_row(np.append(self._added.mean(axis=0) / aim.scale, -1.0), 0.0)
        return self._relaxed_cuts(aim.weights, rows, limits, aim.scale)

    def _with_tail(self, limits: Limits, besides: Sequence[Flags], margin: float = 0.0) -> Found | None:
        aim, rows = self._aim(limits), self._start(limits, besides, margin)
        best, ceiling, seen = None, np.inf, set[bytes]()
        for _ in range(ROUNDS):
            flags, bound = self._solve(aim.weights, rows, limits)
            if flags is None:
                return best
            ceiling = min(ceiling, bound * aim.scale)
            if not self._keeps(flags, limits):
                rows = rows.with_row(*self._not_let_through(flags, limits))
                continue
            worth = aim.worth(flags)
            if best is None or worth > best.worth:
                best = Found(flags, worth, max(worth, ceiling))
            if ceiling - best.worth <= CLOSE * aim.scale or flags.tobytes() in seen:
                break
            seen.add(flags.tobytes())
            rows = rows.with_row(self._tail_row(self.draws(flags), aim.scale), 0.0)
        if best is None and not margin:
            best = self._with_tail(limits, besides, self._margin)
        return None if best is None else replace(best, bound=max(best.worth, ceiling))

    def _relaxed_cuts(self, weights: Array, rows: Rows, limits: Limits, scale: float) -> Rows:
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

    def _not_let_through(self, flags: Flags, limits: Limits) -> tuple[Array, float]:
        """Row and lower limit that exclude a set beyond a limit, and with it all that take as much by their largest."""
        for taken, limit in self._takes(limits):
            members = np.flatnonzero(flags)
            members = members[np.argsort(-taken[members], kind="stable")]
            beyond = np.flatnonzero(np.cumsum(taken[members]) > limit * (1 + SLACK))
            if len(beyond):
                cover = members[: beyond[0] + 1]
                as_much = (taken >= taken[cover[0]]) | np.isin(np.arange(len(taken)), cover)
                return np.append(-as_much.astype(np.float64), np.zeros(len(self.proposals.pairs) + 1)), 1.0 - len(cover)
        return self._not_this(flags)

    def _takes(self, limits: Limits) -> list[tuple[Array, float]]:
        """List what each initiative takes of each limit, and the limit."""
        p = self.proposals
        amounts = [(p.cost, limits.budget)]
        amounts += [(p.use[p.resources.index(resource)], limit) for resource, limit in limits.capacity.items()]
        return [(taken, limit) for taken, limit in amounts if np.isfinite(limit)]

    def _rows(
        self,
        limits: Limits,
        besides: Sequence[Flags],
        margin: float = 0.0,
        weights: Array | None = None,
        *,
        is_tight: bool = True,
    ) -> Rows:
        p, m = self.proposals, len(self.proposals)
        width = m + len(p.pairs) + 1
        blocks, low, high = [products(p, width)], [np.full(3 * len(p.pairs), -np.inf)], [np.zeros(3 * len(p.pairs))]
        high[0][2::3] = 1.0
        if weights is not None:
            pull = pulled(weights[m:])
            blocks, low, high = [blocks[0][pull]], [low[0][pull]], [high[0][pull]]
        for pairs, sign, most in ((p.needs, -1.0, 0.0), (p.excludes, 1.0, 1.0)):
            blocks.append(two_each(pairs, sign, width))
            low.append(np.full(len(pairs), -np.inf))
            high.append(np.full(len(pairs), most))
        rows = Rows(sparse.vstack(blocks, format="csr"), np.concatenate(low), np.concatenate(high))
        must, possible = p.flags(limits.must), self._possible(limits)
        for taken, limit in self._takes(limits):
            # Amounts that are decided are no part of the row: one of them, far larger, would hide the others.
            left, rest = np.where(possible & ~must, taken, 0.0), max(limit - float(taken[must].sum()), 0.0)
            if left.sum() > rest:
                unit, most = left.max(), (1 - margin) * rest
                rows = rows.with_row(np.append(left / unit, np.zeros(width - m)), -np.inf, most / unit)
                for row in limit_without(p, left, most) if is_tight else ():
                    rows = rows.with_row(row / unit, -np.inf, most / unit)
        for flags in besides:
            rows = rows.with_row(*self._not_this(flags))
        return rows

    def _bounds(self, limits: Limits) -> Bounds:
        others = len(self.proposals.pairs)
        tail = np.inf if self.appetite.aversion else 0.0
        low = np.concatenate([self.proposals.flags(limits.must), np.zeros(others), [-tail]])
        high = np.concatenate([self._possible(limits), np.ones(others), [tail]])
        return Bounds(low, high)

    def _solve(self, weights: Array, rows: Rows, limits: Limits) -> tuple[Flags | None, float]:
        """Members of the best set, None where there is none, and the bound, in the unit of the weights."""
        integral = np.zeros(len(weights), dtype=np.int64)
        integral[: len(self.proposals)] = 1
        done = milp(
            -weights,
            integrality=integral,
            bounds=self._bounds(limits),
            constraints=constraint(rows),
            options={"node_limit": self.nodes, "mip_rel_gap": self.gap},
        )
        if done.x is None:
            return None, np.inf
        return np.asarray(done.x[: len(self.proposals)] > 0.5), -float(done.mip_dual_bound)

    def _relaxed(self, weights: Array, rows: Rows, limits: Limits) -> Array | None:
        done = milp(-weights, bounds=self._bounds(limits), constraints=constraint(rows))
        return None if done.x is None else np.asarray(done.x)
