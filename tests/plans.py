"""Made-up initiatives, and the plainest way to choose among them: every subset in a loop."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from models.appetite import Appetite
from models.proposals import Limits, Proposal, Proposals


def some_proposals(seed: int, m: int, draws: int = 60, *, density: float = 0.5, rules: int = 0) -> Proposals:
    """Correlated values around a cost, overlaps of some pairs, and `rules` random needs and exclusions."""
    rng = np.random.default_rng(seed)
    names = [f"i{k:02d}" for k in range(m)]
    value = (
        rng.normal(30, 50, m) + 25 * rng.normal(size=(draws, 1)) + rng.uniform(10, 60, m) * rng.normal(size=(draws, m))
    )
    needs: dict[str, tuple[str, ...]] = {}
    excludes: dict[str, tuple[str, ...]] = {}
    for _ in range(rules):
        # A need points to an earlier name, an exclusion to a later one that needs nothing: no contradictions.
        i, j = sorted(rng.choice(m, 2, replace=False).tolist())
        if rng.random() < 0.5 and names[i] not in excludes and not any(names[i] in e for e in excludes.values()):
            needs[names[j]] = (names[i],)
        elif names[j] not in needs and not any({names[i], names[j]} & set(n) for n in needs.values()):
            excludes[names[i]] = (names[j],)
    items = [
        Proposal(
            name,
            value[:, k],
            cost=float(rng.integers(1, 20)),
            capacity={"analysts": float(rng.integers(0, 5)), "it": float(rng.integers(0, 5))},
            needs=needs.get(name, ()),
            excludes=excludes.get(name, ()),
        )
        for k, name in enumerate(names)
    ]
    pairs = [pair for pair in combinations(range(m), 2) if rng.random() < density]
    clash = {
        (names[i], names[j]): rng.normal(-0.2, 0.2) * np.minimum(np.abs(value[:, i]), np.abs(value[:, j]))
        for i, j in pairs
    }
    return Proposals.of(items, clash)


def worst_mean(draws: np.ndarray, tail: float) -> float:
    """Rockafellar and Uryasev's formula: the maximum over t of t - mean(max(t - v, 0)) / tail, which a draw attains."""
    beyond = np.maximum(draws[:, np.newaxis] - draws, 0).mean(axis=1)
    return float((draws - beyond / tail).max())


def worth_of(p: Proposals, members: tuple[int, ...], appetite: Appetite) -> float:
    value = sum((p.value[:, i] for i in members), np.zeros(len(p.value)))
    for k, (i, j) in enumerate(p.pairs.tolist()):
        if i in members and j in members:
            value = value + p.interaction[:, k]
    return float((1 - appetite.aversion) * value.mean() + appetite.aversion * worst_mean(value, appetite.tail))


def keeps(p: Proposals, members: tuple[int, ...], limits: Limits) -> bool:
    names = {p.names[i] for i in members}
    taken = {r: sum(p.use[k, i] for i in members) for k, r in enumerate(p.resources)}
    return (
        sum(p.cost[i] for i in members) <= limits.budget + 1e-9
        and all(taken[r] <= limit + 1e-9 for r, limit in limits.capacity.items())
        and all(j in members for i, j in p.needs.tolist() if i in members)
        and not any(i in members and j in members for i, j in p.excludes.tolist())
        and set(limits.must) <= names
        and not set(limits.never) & names
    )


def by_hand(p: Proposals, limits: Limits, appetite: Appetite) -> list[tuple[float, tuple[str, ...]]]:
    """Worth and names of every allowed set, best first; equals by size, cost, names."""
    sets = [s for size in range(len(p) + 1) for s in combinations(range(len(p)), size) if keeps(p, s, limits)]
    valued = [(worth_of(p, s, appetite), s) for s in sets]
    valued.sort(key=lambda one: (-round(one[0], 7), len(one[1]), sum(p.cost[i] for i in one[1]), one[1]))
    return [(worth, tuple(p.names[i] for i in members)) for worth, members in valued]
