"""What could be funded: initiatives with their draws of value, costs, capacities, needs and exclusions.

Names are put in order here, so that nothing after it depends on the order in which initiatives were given. Whether a
plan can be kept at all is answered in words by `models.feasibility`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from features.errors import StudyError, closest
from models.needs import circle

__all__ = ["Limits", "Proposal", "Proposals", "present_value", "spending"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pairs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One initiative as a line of the plan.

    Parameters
    ----------
    name : str
        Its name.
    value : float64 array, shape (draws,)
        Net present value when it is done alone, cost taken off, in currency. Draws are joint: draw k of every
        initiative is one and the same possible truth.
    cost : float
        What it takes from the budget: present value of what is spent, in currency, not below 0.
    capacity : mapping of str to float
        What it takes of each named resource, in that resource's unit, not below 0.
    needs, excludes : tuple of str
        Initiatives without which it cannot be done, and with which it cannot be done.
    """

    name: str
    value: Array
    cost: float
    capacity: Mapping[str, float] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan may take, and what has been decided already.

    Parameters
    ----------
    budget : float
        Largest sum of costs, in currency.
    capacity : mapping of str to float
        Largest sum by resource; a resource that is not named here has no limit.
    must, never : tuple of str
        Initiatives that are done, or not done, whatever they are worth.
    """

    budget: float = inf
    capacity: Mapping[str, float] = field(default_factory=dict)
    must: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposals:
    """Initiatives as arrays, in the order of their names.

    Attributes
    ----------
    names : tuple of str
        Sorted; m of them.
    value : float64 array, shape (draws, m)
        Net value alone, currency.
    pairs : int64 array, shape (p, 2)
        Pairs of initiatives with an interaction, first below second.
    interaction : float64 array, shape (draws, p)
        Value of both, less the values of each alone, currency; below 0 where they do the same work twice.
    cost : float64 array, shape (m,)
        Currency.
    resources : tuple of str
        Sorted; r of them.
    use : float64 array, shape (r, m)
        What each initiative takes of each resource.
    needs, excludes : int64 arrays, shapes (n, 2)
        First needs second; first and second never together.
    """

    names: tuple[str, ...]
    value: Array
    pairs: Pairs
    interaction: Array
    cost: Array
    resources: tuple[str, ...]
    use: Array
    needs: Pairs
    excludes: Pairs

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, items: Sequence[Proposal], interactions: Mapping[tuple[str, str], Array] | None = None) -> Proposals:
        """Check and sort.

        Parameters
        ----------
        items : sequence of Proposal
            At least one.
        interactions : mapping of pairs of names to float64 arrays, shape (draws,)
            Value of both less the values of each alone. A pair that is left out has none.

        Raises
        ------
        StudyError
            With every fault: no initiative, a name given twice, unknown names, circular needs, an initiative that
            excludes what it needs.
        ValueError
            Draws that are not finite or not equally many; a cost or capacity that is negative or not finite.
        """
        ordered = sorted(items, key=lambda item: item.name)
        names = tuple(item.name for item in ordered)
        _raise(_name_faults(ordered, names))
        value = _draws(ordered)
        pairs, interaction = _interactions(interactions or {}, names, len(value))
        resources = tuple(sorted({resource for item in ordered for resource in item.capacity}))
        use = [[_amount(f"{r} of '{i.name}'", i.capacity.get(r, 0.0)) for i in ordered] for r in resources]
        at = {name: position for position, name in enumerate(names)}
        excludes = {tuple(sorted((at[i.name], at[other]))) for i in ordered for other in i.excludes}
        made = cls(
            names=names,
            value=value,
            pairs=pairs,
            interaction=interaction,
            cost=np.array([_amount(f"the cost of '{item.name}'", item.cost) for item in ordered]),
            resources=resources,
            use=np.array(use).reshape(len(resources), len(names)),
            needs=_pairs({(at[item.name], at[other]) for item in ordered for other in item.needs}),
            excludes=_pairs(excludes),
        )
        _raise(_contradictions(made))
        return made

    def flags(self, members: Sequence[str]) -> Flags:
        """Members as True, shape (m,)."""
        return np.isin(np.array(self.names, dtype=str), np.array(list(members), dtype=str))

    def members(self, flags: Flags) -> tuple[str, ...]:
        """Names of what is True."""
        return tuple(name for name, is_in in zip(self.names, flags, strict=True) if is_in)

    def draws(self, flags: Flags) -> Array:
        """Value of one set, shape (draws,): sum of its members and of the interactions within it."""
        both = flags[self.pairs].all(axis=1)
        summed: Array = self.value[:, flags].sum(axis=1) + self.interaction[:, both].sum(axis=1)
        return summed

    def closure(self, flags: Flags) -> Flags:
        """Return the set with everything that its members need, and what that needs."""
        grown = flags.copy()
        for _ in range(len(self)):
            grown[self.needs[grown[self.needs[:, 0]], 1]] = True
        return grown


def present_value(by_month: Array, discount_rate: float) -> float:
    """Discount a sum by month to the decision.

    Parameters
    ----------
    by_month : float64 array, shape (months + 1,)
        Currency in month 0 (the decision), 1, ...
    discount_rate : float
        Per year.

    Returns
    -------
    float

    Examples
    --------
    >>> round(present_value(np.array([100.0] + [0.0] * 11 + [110.0]), 0.10), 6)
    200.0
    """
    return float(by_month @ (1 + discount_rate) ** (-np.arange(len(by_month)) / 12))


def spending(once: float, monthly: float, months: int, start_month: int = 0, lasts_months: int | None = None) -> Array:
    """Money spent by month: once at the decision, monthly from the month after the start.

    Parameters
    ----------
    once, monthly : float
        Currency, not below 0.
    months : int
        Months looked ahead.
    start_month, lasts_months : int
        As in the initiatives file; the same months as in `models.simulation`.

    Returns
    -------
    float64 array, shape (months + 1,)

    Examples
    --------
    >>> spending(10.0, 2.0, 4, start_month=1, lasts_months=2).tolist()
    [10.0, 0.0, 2.0, 2.0, 0.0]
    """
    since = np.arange(months + 1) - start_month
    last = inf if lasts_months is None else lasts_months
    spent = np.where((since > 0) & (since <= last), _amount("the monthly cost", monthly), 0.0)
    spent[0] += _amount("the cost once", once)
    return spent


def _raise(faults: Sequence[str]) -> None:
    if faults:
        raise StudyError.collect(faults)


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    return f"no {what} is called '{name}'.{closest(name, known)} Known: {', '.join(known) or 'none'}."


def _name_faults(items: Sequence[Proposal], names: tuple[str, ...]) -> list[str]:
    if not items:
        return ["there is no initiative to choose from. At least one was expected. Add one to the initiatives file."]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults = [f"'{name}' is given twice. Give each initiative a name of its own." for name in twice]
    for item in items:
        faults += [
            f"in '{item.name}': {_unknown('initiative', other, names)}"
            for other in (*item.needs, *item.excludes)
            if other not in names
        ]
        if item.name in item.excludes:
            faults.append(f"'{item.name}' excludes itself. Name another initiative, or leave it out of the file.")
    return faults


def _contradictions(proposals: Proposals) -> list[str]:
    """Needs that go round in a circle, and initiatives that exclude what they need."""
    needs: dict[str, list[str]] = {}
    for i, j in proposals.needs:
        needs.setdefault(proposals.names[i], []).append(proposals.names[j])
    found = circle(needs)
    if found:
        path = " needs ".join(f"'{name}'" for name in found)
        return [f"{path}: a circle. None of them could come first. Take one of these needs out."]
    faults = []
    for i, name in enumerate(proposals.names):
        wanted = proposals.closure(np.arange(len(proposals)) == i)
        for a, b in proposals.excludes:
            if wanted[a] and wanted[b]:
                one, other = proposals.names[a], proposals.names[b]
                faults.append(
                    f"'{name}' can never be done: with all it needs it holds '{one}' and '{other}', which exclude each "
                    "other. Take the need or the exclusion out."
                )
    return faults


def _draws(items: Sequence[Proposal]) -> Array:
    lengths = sorted({np.shape(item.value) for item in items})
    if len(lengths) > 1 or len(lengths[0]) != 1 or lengths[0][0] == 0:
        raise ValueError(f"draws have the shapes {lengths}. Expected one shape (draws,). Draw all initiatives jointly.")
    for item in items:
        _finite(f"the draws of '{item.name}'", item.value)
    return np.column_stack([np.asarray(item.value, dtype=np.float64) for item in items])


def _interactions(given: Mapping[tuple[str, str], Array], names: tuple[str, ...], draws: int) -> tuple[Pairs, Array]:
    by_pair: dict[tuple[int, int], Array] = {}
    for (one, other), values in given.items():
        _raise([_unknown("initiative", name, names) for name in (one, other) if name not in names])
        pair = (min(names.index(one), names.index(other)), max(names.index(one), names.index(other)))
        if pair in by_pair or one == other:
            raise ValueError(f"the interaction of '{one}' and '{other}' is given twice or with itself. Give it once.")
        if np.shape(values) != (draws,):
            raise ValueError(
                f"'{one}' with '{other}' has shape {np.shape(values)}. Expected ({draws},), as each alone."
            )
        _finite(f"the interaction of '{one}' and '{other}'", values)
        by_pair[pair] = np.asarray(values, dtype=np.float64)
    ordered = sorted(by_pair)
    columns = np.array([by_pair[pair] for pair in ordered]).reshape(len(ordered), draws).T
    return _pairs(set(ordered)), columns


def _pairs(found: set[tuple[int, ...]] | set[tuple[int, int]]) -> Pairs:
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def _finite(what: str, values: Array) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"{what}: {bad} of {len(values)} are not finite. Expected numbers. Repair the simulation.")


def _amount(what: str, amount: float) -> float:
    if not 0 <= amount < inf:
        raise ValueError(f"{what} is {amount}. Expected a number, 0 or more. State savings in the value instead.")
    return float(amount)
