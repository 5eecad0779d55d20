"""Which measures to hold fixed when one is moved: those upstream in the journey, never those that follow from it.

Controlling for the calls that a bad onboarding causes hides the onboarding. The order of journeys in the study, their
`leads_to` arrows and the order of measures within a touchpoint say what comes first. Where the user knows better, the
section `adjustment` of the study overrules it, with a reason that stays beside the effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from features.study import Overrule, Study


@dataclass(frozen=True, slots=True, order=True)
class Exposure:
    """A measure in a journey, as a customer meets it."""

    journey: str
    measure: str

    def __str__(self) -> str:
        """Readable form, `journey: measure`."""
        return f"{self.journey}: {self.measure}"


@dataclass(frozen=True, slots=True)
class AdjustmentSet:
    """What is held fixed, and what is deliberately left free, when some exposures are moved.

    Attributes
    ----------
    moved : tuple of Exposure
        What the policy changes.
    upstream : tuple of Exposure
        Measures held fixed.
    volumes : tuple of str
        Journeys whose number is held fixed: how often a customer came says how often quality could act.
    context : tuple of Exposure
        Measures that nobody controls (weather, outages): held fixed.
    carried : tuple of Exposure
        Consequences of what is moved that move along, as far as the touchpoints show that they do; empty for a flat
        table.
    carried_volumes : tuple of str
        Journeys whose number moves along: arrows lead to them from what is moved.
    left_out : tuple of Exposure
        What may be a consequence of what is moved and is not followed, ratings included; holding it fixed would hide
        part of the effect.
    covariates : tuple of str
        Baseline columns held fixed.
    time : tuple of str
        What else is held fixed: where there are event times tenure, season and spend before; in a flat table the wave,
        if it has any.
    overruled : tuple of str
        What the user changed, and why; empty where the order of the study holds.
    """

    moved: tuple[Exposure, ...]
    upstream: tuple[Exposure, ...]
    volumes: tuple[str, ...]
    context: tuple[Exposure, ...]
    carried: tuple[Exposure, ...]
    carried_volumes: tuple[str, ...]
    left_out: tuple[Exposure, ...]
    covariates: tuple[str, ...]
    time: tuple[str, ...] = ("tenure", "season", "spend before")
    overruled: tuple[str, ...] = ()

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """Every exposure in the models."""
        return (*self.moved, *self.upstream, *self.context, *self.carried)

    def describe(self) -> str:
        """One readable line of what is held fixed, and what moves along."""
        held = [
            *map(str, self.upstream),
            *map(str, self.context),
            *_numbers(self.volumes),
            *self.covariates,
            *self.time,
        ]
        along = [*map(str, self.carried), *_numbers(self.carried_volumes)]
        line = ", ".join(held) + (f"; moving along: {', '.join(along)}" if along else "")
        return f"{line} (overruled: {'; '.join(self.overruled)})" if self.overruled else line


def _numbers(journeys: Iterable[str]) -> list[str]:
    return [f"number of {journey}" for journey in journeys]


def adjustment_set(study: Study, moved: Iterable[Exposure], observed: Iterable[Exposure]) -> AdjustmentSet:
    """Order the observed exposures around the moved ones.

    Parameters
    ----------
    study : Study
        Gives the order of journeys, their arrows, the order and the nature of measures.
    moved : iterable of Exposure
        What the policy changes.
    observed : iterable of Exposure
        Measures seen with values, by journey.

    Returns
    -------
    AdjustmentSet

    Notes
    -----
    A measure is upstream when its journey comes earlier in the lifecycle or leads to the moved one, or when it stands
    earlier in the study's list within the same journey; it is a consequence when its journey can be reached from the
    moved one by arrows. A journey that is both (a loop) counts as a consequence. Where there are event times,
    consequences move along as far as the touchpoints show that they do (`models.links`); in a flat table they are
    left out, for holding a consequence fixed costs more than leaving out part of a cause. Assumes that the study's
    order is right; a wrong arrow shows as an effect that changes when the arrow is drawn.
    """
    targets = tuple(sorted(set(moved)))
    everything = sorted(set(observed))
    measures = {m.name: m for m in study.measures}
    context = tuple(e for e in everything if measures[e.measure].control == "none" and e not in targets)
    candidates = [e for e in everything if e not in targets and e not in context]
    free = [e for e in candidates if measures[e.measure].is_rating or measures[e.measure].known == "after"]
    consequences = {e for e in candidates if any(_follows(study, e, t) for t in targets)}
    upstream = {e for e in candidates if any(_precedes(study, e, t) for t in targets)} - consequences - set(free)
    behind = {j for t in targets for j in descendants(study, t.journey)} - {t.journey for t in targets}
    carried = set() if study.is_flat else consequences - set(free)
    ordered = AdjustmentSet(
        moved=targets,
        upstream=tuple(sorted(upstream)),
        volumes=(),
        context=context,
        carried=tuple(sorted(carried)),
        carried_volumes=() if study.is_flat else _of(study, behind),
        left_out=tuple(sorted(set(candidates) - upstream - carried)),
        covariates=covariates_of(study),
        time=_time(study),
    )
    found = _overruled(ordered, study, everything)
    volumes = {t.journey for t in targets} | {e.journey for e in (*found.upstream, *found.context)}
    return found if study.is_flat else replace(found, volumes=_of(study, volumes - behind))


def _time(study: Study) -> tuple[str, ...]:
    if study.flat is None:
        return ("tenure", "season", "spend before")
    return ("wave",) if study.flat.wave else ()


def _overruled(ordered: AdjustmentSet, study: Study, observed: Iterable[Exposure]) -> AdjustmentSet:
    """Apply what the user says of the moved measures; what is moved, or was never seen, cannot be held fixed."""
    found, known = ordered, {str(e): e for e in observed if e not in ordered.moved}
    for rule in study.adjustment:
        if Exposure(rule.journey, rule.measure) not in ordered.moved:
            continue
        held = {str(e) for e in (*found.upstream, *found.context)}
        along = {str(e) for e in found.carried}
        add = [name for name in rule.add if name in known and name not in held]
        remove = [name for name in rule.remove if name in held or name in along or name in found.covariates]
        if not add and not remove:
            continue
        upstream = [e for e in found.upstream if str(e) not in remove] + [known[name] for name in add]
        carried = tuple(e for e in found.carried if str(e) not in {*add, *remove})
        context = tuple(e for e in found.context if str(e) not in remove)
        left_out = [e for e in found.left_out if str(e) not in add] + [known[n] for n in remove if n in known]
        found = replace(
            found,
            upstream=tuple(sorted(upstream)),
            context=context,
            carried=carried,
            left_out=tuple(sorted(left_out)),
            covariates=tuple(name for name in found.covariates if name not in remove),
            overruled=(*found.overruled, _told(rule, add, remove)),
        )
    return found


def _told(rule: Overrule, add: list[str], remove: list[str]) -> str:
    parts = [f"added {', '.join(add)}"] if add else []
    parts += [f"left out {', '.join(remove)}"] if remove else []
    return f"{' and '.join(parts)} when {rule.journey}: {rule.measure} moves, because {rule.reason.rstrip('.')}"


def _of(study: Study, journeys: set[str]) -> tuple[str, ...]:
    """Put journeys into the order of the study."""
    return tuple(j.name for j in study.journeys if j.name in journeys)


def _precedes(study: Study, exposure: Exposure, moved: Exposure) -> bool:
    if exposure.journey == moved.journey:
        return _measure_order(study, exposure) < _measure_order(study, moved)
    order = [j.name for j in study.journeys]
    earlier = order.index(exposure.journey) < order.index(moved.journey)
    return earlier or moved.journey in descendants(study, exposure.journey)


def _follows(study: Study, exposure: Exposure, moved: Exposure) -> bool:
    if exposure.journey == moved.journey:
        return _measure_order(study, exposure) > _measure_order(study, moved)
    return exposure.journey in descendants(study, moved.journey)


def _measure_order(study: Study, exposure: Exposure) -> int:
    return [m.name for m in study.measures].index(exposure.measure)


def descendants(study: Study, journey: str) -> frozenset[str]:
    """Journeys that can be reached from one by `leads_to` arrows, however long the way.

    Parameters
    ----------
    study : Study
        Gives the arrows.
    journey : str
        Where to start.

    Returns
    -------
    frozenset of str
        Contains `journey` itself only when a loop leads back to it.
    """
    arrows = {j.name: j.leads_to for j in study.journeys}
    found: set[str] = set()
    waiting = list(arrows.get(journey, ()))
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting.extend(arrows.get(here, ()))
    return frozenset(found)


def covariates_of(study: Study) -> tuple[str, ...]:
    """Name the baseline columns of either form of input."""
    if study.flat:
        return study.flat.covariates
    return study.customers.covariates if study.customers else ()
