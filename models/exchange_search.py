"""A good set among hundreds: climbed to by exchanges, looked at closer by branch and bound, held against a bound.

For answers in seconds where proving a set best takes minutes. The bound says how much better another could be.

References
----------
Glover, Kochenberger, Alidaee (1998), Adaptive memory tabu search for binary quadratic programs, Management Science 44,
doi:10.1287/mnsc.44.3.336 (gains of single moves of all members at once; here only up, and without a memory of moves).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.appetite import Appetite
from models.climbing import ROUNDS, Rules, Slope, by_yield, climbed, next_to
from models.every_set import Found, coefficients
from models.integer_programme import IntegerProgramme
from models.proposals import Limits, Proposals

__all__ = ["GAP", "MOST_PAIRS", "ExchangeSearch"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

GAP = 1e-3
"""Branch and bound stops within this of the bound, over the worth: estimates of value are not as good as that."""

MOST_PAIRS = 5_000
"""Pairs up to which branch and bound is asked at all; with more it takes minutes to begin."""

NODES = 20
"""Branches after which it stops; the bound hardly moves after them."""


@dataclass(frozen=True, slots=True, eq=False)
class ExchangeSearch:
    """Finds a good set by exchanges, with a bound on what any set is worth.

    Parameters
    ----------
    proposals : Proposals
        m of them; worth is the sum of members and pairwise interactions.
    appetite : Appetite
        What draws are worth.

    Notes
    -----
    What was settled is where later questions begin too, so that a limit that is relaxed never seems to cost anything.
    """

    proposals: Proposals
    appetite: Appetite
    _added: Array = field(init=False)
    _programme: IntegerProgramme = field(init=False)
    _rules: dict[str, Rules] = field(init=False, default_factory=dict)
    _found: dict[str, Found] = field(init=False, default_factory=dict)
    _by_draw: dict[str, Flags] = field(init=False, default_factory=dict)
    _settled: list[Flags] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_added", coefficients(self.proposals))
        object.__setattr__(self, "_programme", IntegerProgramme(self.proposals, self.appetite, NODES, GAP))

    def best(self, limits: Limits, besides: Sequence[Flags] = ()) -> Found | None:
        """Find a good set within limits; with `besides`, the best of those next to the first of them, none of them."""
        if len(besides):
            return self._beside(limits, besides)
        key = repr(limits)
        if key not in self._found:
            rules = self._rules_of(limits)
            starts = [rules.must, by_yield(self._slope(self._weights(rules.must)), rules)]
            starts += [one for one in self._settled if rules.keeps(one)]
            better = max((self._climb(one, rules) for one in starts), key=self._worth)
            self._found[key] = self._with_bound(better, self._programme.relaxed_bound(limits))
        return self._found[key]

    def best_weighted(self, weights: Array, limits: Limits) -> Found:
        """Find a good set when draws are summed with these weights, shape (draws,).

        Returns
        -------
        Found
            Climbed to from what `best` gives; no bound is looked for, so it is the worth.
        """
        start, slope = self.best(limits), self._slope(weights)
        if start is None:
            raise ValueError("no set keeps the limits. One at least was expected. Check the limits first.")
        rules = self._rules_of(limits)
        flags = max((climbed(one, slope, rules) for one in (start.flags, by_yield(slope, rules))), key=slope.worth)
        return Found(flags, slope.worth(flags), slope.worth(flags))

    def best_by_draw(self, limits: Limits) -> Flags:
        """Find a good set in each draw on its own: bool array, shape (draws, m)."""
        key = repr(limits)
        if key not in self._by_draw:  # asked for by stability and by what a trial is worth
            draws = np.eye(len(self._added))
            self._by_draw[key] = np.array([self.best_weighted(draw, limits).flags for draw in draws])
        return self._by_draw[key]

    def draws(self, flags: Flags) -> Array:
        """Value of one set, shape (draws,)."""
        return self.proposals.draws(flags)

    def settle(self, found: Found, limits: Limits) -> Found:
        """Look closer by branch and bound, then by exchanges from there; the better one, and the lower bound."""
        if len(self.proposals.pairs) > MOST_PAIRS:
            return found
        if any((found.flags == one).all() for one in self._settled):
            return found
        closer = self._programme.best_weighted_near(self._weights(found.flags), limits)
        if closer is None:
            return found
        chosen = max((found.flags, self._climb(closer.flags, self._rules_of(limits))), key=self._worth)
        # The sum at one set's weights lies nowhere below the worth, so that a bound on it is one on the worth.
        better = self._with_bound(chosen, min(found.bound, closer.bound))
        self._settled.append(better.flags)
        self._found[repr(limits)] = better
        return better

    def _rules_of(self, limits: Limits) -> Rules:
        key = repr(limits)
        if key not in self._rules:
            self._rules[key] = Rules.of(self.proposals, limits)
        return self._rules[key]

    def _with_bound(self, flags: Flags, bound: float) -> Found:
        worth = self._worth(flags)
        return Found(flags, worth, max(worth, bound))

    def _worth(self, flags: Flags) -> float:
        return float(self.appetite.worth(self.draws(flags)))

    def _weights(self, flags: Flags) -> Array:
        """Weights of the draws at a set: the sum with them is the worth there and nowhere below it."""
        aversion, even = self.appetite.aversion, np.full(len(self._added), 1 / len(self._added))
        if aversion == 0:
            return even
        return (1 - aversion) * even + aversion * self.appetite.worst_weights(self.draws(flags))

    def _slope(self, weights: Array) -> Slope:
        return Slope.of(self.proposals, weights @ self._added)

    def _climb(self, flags: Flags, rules: Rules) -> Flags:
        """Climb while the worth itself rises; where one slope leads too far, a single move along it."""
        for _ in range(ROUNDS):
            slope, worth = self._slope(self._weights(flags)), self._worth(flags)
            reached = (climbed(flags, slope, rules, most) for most in (ROUNDS, 1))
            higher = next((one for one in reached if self._worth(one) > worth + slope.least), None)
            if higher is None:
                return flags
            flags = higher
        return flags

    def _beside(self, limits: Limits, besides: Sequence[Flags]) -> Found | None:
        centre, seen = besides[0], {one.tobytes() for one in besides}
        slope = self._slope(self._weights(centre))
        ranked = next_to(centre, slope, self._rules_of(limits), len(besides) + 1)
        flags = next((one for one in ranked if one.tobytes() not in seen), None)
        return None if flags is None else self._with_bound(flags, -np.inf)
