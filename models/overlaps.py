"""What two initiatives do together less than the sum of both, estimated by moving both in the same touchpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from features.study import Study
from models.adjustment import descendants
from models.effects import Effect, Estimate
from models.forecasts import Overlap
from models.initiatives import Initiative
from models.moves import Shift
from models.policy import FORM_ERROR, PolicyModel
from models.shared_fits import SharedFits

__all__ = ["MOST_PAIRS", "estimate_overlaps", "pairs_on_a_path"]

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
    first, second = _journeys(one), _journeys(other)
    if first & second:
        return 1
    after_first = {j for journey in first for j in descendants(study, journey)}
    after_second = {j for journey in second for j in descendants(study, journey)}
    return 2 if after_first & second or after_second & first else None


def estimate_overlaps(
    fits: SharedFits,
    initiatives: Sequence[Initiative],
    pairs: Sequence[Pair],
    tick: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> tuple[Overlap, ...]:
    """Estimate by how much the effects of pairs fall short of the sum of both.

    Parameters
    ----------
    fits : SharedFits
        Models of a prepared study.
    initiatives : sequence of Initiative
        Those of the pairs; others are not looked at.
    pairs : sequence of (str, str)
        Names.
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
    observed = fits.prepared.exposures
    model = PolicyModel.of(fits, {e for one in members for e in one.moved_among(observed)})
    total, done = len(members) + len(pairs), 0

    def shifted(*together: Initiative) -> Shift:
        return model.moves_of(together).shift(model.fit.names)

    def estimated(shift: Shift) -> Effect:
        nonlocal done
        tick(done, total)
        done += 1
        return model.effect(shift)

    meeting = {(a, b) for a, b in pairs if _meet(fits.prepared.study, named[a], named[b])}
    added = [pair for pair in pairs if pair not in meeting]
    alone: dict[str, Shift] = {}
    effects: dict[str, Effect] = {}
    for one in members:
        shift = shifted(one)
        effects[one.name] = estimated(shift)
        if any(one.name in pair for pair in added):
            alone[one.name] = shift
    found: dict[Pair, Overlap] = {}
    # Sorted, so that shifts, which are large, can go as soon as no later pair needs them.
    for place, pair in enumerate(ordered := [*sorted(added), *meeting]):
        one, other = (named[name] for name in pair)
        both = estimated(shifted(one, other) if pair in meeting else alone[one.name].plus(alone[other.name]))
        found[pair] = _overlap(pair, effects[one.name], effects[other.name], both, one.reach * other.reach)
        later = {name for rest in ordered[place + 1 :] if rest not in meeting for name in rest}
        alone = {name: shift for name, shift in alone.items() if name in later}
    return tuple(found[pair] for pair in pairs)


def _meet(study: Study, one: Initiative, other: Initiative) -> bool:
    """Whether two move the same values, or one spares contacts that the other improves."""
    if set(one.moved) & set(other.moved):
        return True
    tasks = {m.name for m in study.measures if m.task}
    shared = _journeys(one) & _journeys(other)
    changes = [change for change in (*one.changes, *other.changes) if change.journey in shared]
    return any(change.way in ("remove", "speed_up") or change.measure in tasks for change in changes)


def _journeys(initiative: Initiative) -> set[str]:
    return {change.journey for change in initiative.changes}


def _overlap(pair: Pair, one: Effect, other: Effect, both: Effect, share: float) -> Overlap:
    influence = share * (one.influence + other.influence - both.influence)
    se = np.sqrt((influence**2).sum(axis=0))

    def less(column: int, name: str) -> Estimate:
        a, b, ab = (getattr(effect, name).value for effect in (one, other, both))
        return Estimate(share * (a + b - ab), float(se[column]), FORM_ERROR)

    return Overlap(pair, less(0, "churn"), less(1, "revenue"), less(2, "spend"), influence)
