"""What two initiatives do together less than the sum of both, estimated by moving both in the same touchpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.study import Study
from models.adjustment import descendants
from models.effects import Effect, Estimate, TargetRows, estimate_effects
from models.forecasts import Overlap
from models.initiatives import Initiative
from models.policy import FORM_ERROR, Moves, PolicyModel
from models.prepared import Bucket, Prepared

__all__ = ["MOST_PAIRS", "estimate_overlaps", "pairs_on_a_path"]

Array = NDArray[np.float64]
Pair = tuple[str, str]

MOST_PAIRS = 66
"""All pairs of twelve initiatives; of more, those that are closest to each other are estimated."""


def pairs_on_a_path(study: Study, initiatives: Sequence[Initiative]) -> tuple[Pair, ...]:
    """Find the pairs that can stand in each other's way: one journey, or one leads to the other by arrows.

    Parameters
    ----------
    study : Study
        Gives the arrows.
    initiatives : sequence of Initiative
        Names differ.

    Returns
    -------
    tuple of (str, str)
        Names sorted within a pair; pairs that move one measure first, then those of one journey, then by name. At most
        `MOST_PAIRS`.
    """
    ordered = sorted(initiatives, key=lambda one: one.name)
    found = [
        (distance, one.name, other.name)
        for one, other in combinations(ordered, 2)
        if (distance := _distance(study, one, other)) is not None
    ]
    return tuple((one, other) for _, one, other in sorted(found)[:MOST_PAIRS])


def _distance(study: Study, one: Initiative, other: Initiative) -> int | None:
    """0: the same measure; 1: the same journey; 2: one journey leads to the other; None: no path."""
    if set(one.moved) & set(other.moved):
        return 0
    first, second = ({e.journey for e in item.moved} for item in (one, other))
    if first & second:
        return 1
    after_first = {j for journey in first for j in descendants(study, journey)}
    after_second = {j for journey in second for j in descendants(study, journey)}
    return 2 if after_first & second or after_second & first else None


def estimate_overlaps(
    prepared: Prepared,
    initiatives: Sequence[Initiative],
    pairs: Sequence[Pair],
    buckets: Callable[[], Iterable[Bucket]],
    rng: np.random.Generator,
    tick: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> tuple[Overlap, ...]:
    """Estimate by how much the effects of pairs fall short of the sum of both.

    Parameters
    ----------
    prepared : Prepared
        From `prepare`.
    initiatives : sequence of Initiative
        Those of the pairs; others are not looked at.
    pairs : sequence of (str, str)
        Names.
    buckets : callable
        Gives the buckets anew.
    rng : numpy.random.Generator
        Deals customers into folds; the same as for the effects.
    tick : callable, optional
        Told how many of how many policies are done.

    Returns
    -------
    tuple of Overlap
        In the order of `pairs`.

    Notes
    -----
    Estimand: effect(a) + effect(b) - effect(a and b), each over the horizon for the customers at risk at go-live, with
    expected delivery; where reach is a share, both are done at reach_a x reach_b of the customers, as reach is random.
    All three come from one model, which holds what any of the pairs moves: what the model leaves out cancels in the
    difference, and so does most of the error. It sees contacts that both improve (the second finds less to improve),
    repeats that do not happen any more, and that of a customer kept by one the other cannot keep. It counts whole
    what one does through the other's measure: where the second mends a share of what the first would have mended by
    the way, that share is counted twice.

    Cost: one fit, and about a second a policy for 300,000 rows. States are sums over touchpoints, so that of two that
    move different measures, none of them a task of a common journey, the shifts add up and nothing is moved again.
    """
    named = {one.name: one for one in initiatives}
    members = [named[name] for name in sorted({name for pair in pairs for name in pair})]
    if not members:
        return ()
    model = PolicyModel.of(prepared, {e for one in members for e in one.moved})
    alone = {one.name: model.moves_of(one.moved) for one in members}
    rebuilt = {
        pair: model.moves_of({*named[pair[0]].moved, *named[pair[1]].moved})
        for pair in pairs
        if _meet(prepared.study, named[pair[0]], named[pair[1]])
    }
    for bucket in buckets():
        for one in members:
            alone[one.name].add((one,), bucket)
        for (first, second), moves in rebuilt.items():
            moves.add((named[first], named[second]), bucket)
    total = len(alone) + len(pairs)

    def targets() -> Iterator[TargetRows]:
        like = model.target(next(iter(alone.values())))
        for done, moves in enumerate(alone.values()):
            tick(done, total)
            yield model.target(moves, like)
        for done, pair in enumerate(pairs, len(alone)):
            tick(done, total)
            yield model.target(rebuilt.get(pair) or _Sum.of(alone[pair[0]], alone[pair[1]]), like)

    with threadpool_limits(1):
        effects = list(estimate_effects(model.rows(), targets(), rng))
    by_name = dict(zip(alone, effects[: len(alone)], strict=True))
    return tuple(
        _overlap(pair, by_name[pair[0]], by_name[pair[1]], both, named[pair[0]].reach * named[pair[1]].reach)
        for pair, both in zip(pairs, effects[len(alone) :], strict=True)
    )


def _meet(study: Study, one: Initiative, other: Initiative) -> bool:
    """Whether two move the same values, or one spares contacts that the other improves."""
    if set(one.moved) & set(other.moved):
        return True
    tasks = {m.name for m in study.measures if m.task}
    shared = {e.journey for e in one.moved} & {e.journey for e in other.moved}
    return any(e.measure in tasks and e.journey in shared for e in (*one.moved, *other.moved))


@dataclass(frozen=True, slots=True)
class _Sum:
    """Shifts of two policies that do not meet, added by column."""

    names: tuple[str, ...]
    shift: Array

    @classmethod
    def of(cls, one: Moves, other: Moves) -> _Sum:
        names = tuple(dict.fromkeys((*one.names, *other.names)))
        shift = np.zeros((len(one.shift), len(names)))
        for moves in (one, other):
            shift[:, [names.index(name) for name in moves.names]] += moves.shift
        return cls(names, shift)


def _overlap(pair: Pair, one: Effect, other: Effect, both: Effect, share: float) -> Overlap:
    influence = share * (one.influence + other.influence - both.influence)
    se = np.sqrt((influence**2).sum(axis=0))

    def less(column: int, name: str) -> Estimate:
        a, b, ab = (getattr(effect, name).value for effect in (one, other, both))
        return Estimate(share * (a + b - ab), float(se[column]), FORM_ERROR)

    return Overlap(pair, less(0, "churn"), less(1, "revenue"), less(2, "spend"), influence)
