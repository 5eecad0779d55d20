"""Initiatives that remove a touchpoint: whether its absence was ever seen, and what has to be assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.contact_kinds import LEAST_CONTACTS
from models.initiatives import Change, Initiative
from models.people import Bucket

__all__ = ["OCCURS", "removal_refusal", "seen_with"]

OCCURS = (0.02, 0.98)
"""Shares of the journeys that have the touchpoint between which something can be learnt about being without it."""


def seen_with(buckets: Iterable[Bucket], journey: str, touchpoint: str) -> tuple[float, int]:
    """Give the share of the instances of a journey in which a touchpoint occurs, and how many those are.

    Parameters
    ----------
    buckets : iterable of Bucket
        Whole customers.
    journey, touchpoint : str
        Which.

    Returns
    -------
    tuple of float and int
        Share, 0 where the journey never happens, and number.
    """
    every = having = 0
    for bucket in buckets:
        rows = bucket.touchpoints.filter(pc.equal(bucket.touchpoints["journey"].cast(pa.string()), journey))
        here = np.asarray(pc.equal(rows["touchpoint"].cast(pa.string()), touchpoint).fill_null(False), bool)  # noqa: FBT003 - pyarrow takes the value so
        case = rows["journey_key"].to_numpy()
        every += len(np.unique(case))
        having += len(np.unique(case[here]))
    return (having / every if every else 0.0), having


def removal_refusal(initiative: Initiative, buckets: Callable[[], Iterable[Bucket]]) -> str:
    """Say why a touchpoint cannot be removed; empty when nothing is removed, or when it can.

    Parameters
    ----------
    initiative : Initiative
        May remove touchpoints.
    buckets : callable
        Gives the buckets anew.

    Returns
    -------
    str
        Reason for the planner.

    Notes
    -----
    How good a touchpoint was says nothing about what would be without it. That is learnt from journeys that had it and
    journeys that had not, so both have to be there.
    """
    return next((why for change in initiative.changes if (why := _refusal(change, buckets))), "")


def _refusal(change: Change, buckets: Callable[[], Iterable[Bucket]]) -> str:
    if change.way != "remove" or change.touchpoint is None:
        return ""
    share, seen = seen_with(buckets(), change.journey, change.touchpoint)
    told = f"{100 * share:.1f} % of the {change.journey} journeys have {change.touchpoint}"
    if share > OCCURS[1]:
        return f"{told}, so what happens without it was hardly ever seen and cannot be learnt. Improve it instead."
    if share < OCCURS[0]:
        return f"{told}, too few to learn what it does. Name a touchpoint that occurs more often."
    if seen < LEAST_CONTACTS:
        return (
            f"{seen} {change.journey} journeys have {change.touchpoint}; at least {LEAST_CONTACTS} are needed to learn "
            "what it does. Name a touchpoint that occurs more often."
        )
    return ""
