"""Which sets of initiatives the limits allow, and, where there is none, which limit is to blame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from features.errors import StudyError, closest, in_full, rounded_up
from models.proposals import Limits, Proposals

__all__ = ["SLACK", "allowed", "check_limits", "within"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

SLACK = 1e-9
"""Overshoot over the limit that is rounding and no breach."""


def within(proposals: Proposals, limits: Limits, sets: Flags) -> Flags:
    """Whether sets stay within budget and capacities and hold what is decided; needs and exclusions are not looked at.

    Parameters
    ----------
    proposals : Proposals
        Costs and use.
    limits : Limits
        Names known to the proposals.
    sets : bool array, shape (n, m)
        Members as True.

    Returns
    -------
    bool array, shape (n,)
    """
    kept = _at_most(sets, proposals.cost, limits.budget)
    for resource, limit in limits.capacity.items():
        kept &= _at_most(sets, proposals.use[proposals.resources.index(resource)], limit)
    kept &= sets[:, proposals.flags(limits.must)].all(axis=1)
    kept &= ~sets[:, proposals.flags(limits.never)].any(axis=1)
    return kept


def allowed(proposals: Proposals, sets: Flags) -> Flags:
    """Whether sets keep needs and exclusions: bool array, shape (n,), for sets of shape (n, m)."""
    kept = np.ones(len(sets), dtype=bool)
    for i, j in proposals.needs:
        kept &= ~sets[:, i] | sets[:, j]
    for i, j in proposals.excludes:
        kept &= ~(sets[:, i] & sets[:, j])
    return kept


def check_limits(proposals: Proposals, limits: Limits) -> None:
    """Refuse limits that name what nobody knows, contradict each other, or let nothing be funded.

    Parameters
    ----------
    proposals : Proposals
        What could be funded.
    limits : Limits
        What it may take.

    Raises
    ------
    StudyError
        With every fault. Afterwards at least one set is possible: what must be done with all that it needs, or, where
        nothing must, one initiative with all that it needs.
    ValueError
        A budget or capacity that is negative or not a number.
    """
    for what, limit in (("the budget", limits.budget), *limits.capacity.items()):
        if not limit >= 0:
            raise ValueError(f"{what} is {limit}. Expected 0 or more. Leave it out where there is no limit.")
    for faults in (_unknown_names(proposals, limits), _decided(proposals, limits), _too_little(proposals, limits)):
        found = list(faults)
        if found:
            raise StudyError.collect(found)


def _at_most(sets: Flags, taken: Array, limit: float) -> Flags:
    # Over the limit, not over the sum of all: one initiative far beyond it would let others overdraw.
    kept: Flags = sets @ taken <= limit * (1 + SLACK)
    return kept


def _unknown_names(proposals: Proposals, limits: Limits) -> Iterator[str]:
    known = proposals.names
    for key, names in (("must", limits.must), ("never", limits.never)):
        for name in names:
            if name not in known:
                yield (
                    f"{key}: no initiative is called '{name}'.{closest(name, known)} Expected one of: "
                    f"{', '.join(known)}. Correct the name."
                )
    for name in limits.capacity:
        if name not in proposals.resources:
            yield (
                f"capacity: no initiative uses a resource called '{name}'.{closest(name, proposals.resources)} "
                f"Expected one of: {', '.join(proposals.resources) or 'none'}. Correct the name, or take the limit out."
            )


def _decided(proposals: Proposals, limits: Limits) -> Iterator[str]:
    """Hold what must be done against what is never done and what excludes it."""
    never = proposals.flags(limits.never)
    wanted = proposals.closure(proposals.flags(limits.must))
    for i in np.flatnonzero(wanted & never):
        yield (
            f"'{proposals.names[i]}' is in never and {_why_wanted(proposals, limits, int(i))}. Expected one or the "
            "other. Take it out of one of them."
        )
    for i, j in proposals.excludes:
        if wanted[i] and wanted[j]:
            yield (
                f"'{proposals.names[i]}' excludes '{proposals.names[j]}', yet {_why_wanted(proposals, limits, int(i))} "
                f"and {_why_wanted(proposals, limits, int(j))}. Expected at most one of them. Take one out of must."
            )


def _why_wanted(proposals: Proposals, limits: Limits, at: int) -> str:
    name = proposals.names[at]
    if name in limits.must:
        return f"'{name}' is in must"
    asking = next(m for m in sorted(limits.must) if proposals.closure(proposals.flags([m]))[at])
    return f"'{asking}', which is in must, needs '{name}'"


def _too_little(proposals: Proposals, limits: Limits) -> Iterator[str]:
    """Budget and capacities against what must be done, or against every initiative with what it needs."""
    amounts = [("budget", proposals.cost, limits.budget)] + [
        (f"capacity of {resource}", proposals.use[proposals.resources.index(resource)], limit)
        for resource, limit in limits.capacity.items()
    ]
    wanted = proposals.closure(proposals.flags(limits.must))
    if wanted.any():
        for what, taken, limit in amounts:
            if not _at_most(wanted[np.newaxis], taken, limit)[0]:
                yield (
                    f"the {what} is {in_full(limit)}, and {_listed(proposals, wanted)} must be done and take "
                    f"{rounded_up(taken[wanted].sum())}. Expected at least that. Raise the {what}, or shorten must."
                )
        return
    closures = np.array([proposals.closure(np.arange(len(proposals)) == i) for i in range(len(proposals))])
    open_ones = closures[~closures[:, proposals.flags(limits.never)].any(axis=1)]
    if not len(open_ones):
        yield "every initiative is in never, or needs one that is. Expected one to choose. Shorten never."
    elif not within(proposals, limits, open_ones).any():
        yield from _nothing_fits(proposals, open_ones, amounts)


def _nothing_fits(proposals: Proposals, sets: Flags, amounts: list[tuple[str, Array, float]]) -> Iterator[str]:
    blamed = False
    for what, taken, limit in amounts:
        if not _at_most(sets, taken, limit).any():
            blamed = True
            least = sets[int(np.argmin(sets @ taken))]
            yield (
                f"the {what} is {in_full(limit)}, below every initiative with what it needs: the least is "
                f"{rounded_up(taken[least].sum())}, for {_listed(proposals, least)}. Expected at least that. "
                f"Raise the {what}."
            )
    if not blamed:
        limits = ", ".join(f"{what} {in_full(limit)}" for what, _, limit in amounts if np.isfinite(limit))
        yield (
            f"no initiative keeps all limits at once ({limits}), though each limit alone is kept by one. Expected room "
            "for one at least. Raise one of them."
        )


def _listed(proposals: Proposals, flags: Flags) -> str:
    return ", ".join(f"'{name}'" for name in proposals.members(flags))
