"""Rows that are near copies of rows of other customers: pseudo-replication, which makes cross-validation look perfect.

A table can hold more rows than customers were ever observed: a block copied again and again with a little noise, rows
resampled to enlarge a class, the same survey entered twice. A model that is tested on random rows then meets what it
has learned by heart. Copies cannot be told from the originals, and need not be: they are kept together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.likeness import Likeness
from features.recurrence import Recurrence, candidate_lags, recurrences
from features.twins import Twins, components, find_twins

__all__ = ["GROUP", "Replicas", "Replication", "find_replicas"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

GROUP = "replica_group"
"""Column that names the group of a row: the first customer among those whose rows are near copies of each other."""

_SHOWN_LAGS = 4


@dataclass(frozen=True, slots=True)
class Replication:
    """What is known of near copies in a table.

    Parameters
    ----------
    n : int
        Rows of the table.
    rows : int
        Rows that are near copies of a row of another customer.
    groups : int
        Groups that hold several customers.
    largest : int
        Rows of the largest of them.
    lags : tuple of int
        Distances, in rows of the user's table, at which copies stand; strongest first, empty where they stand anywhere.
    agreement, chance : float
        Share of the pairs of copies with the same churn, and what it would be for pairs of strangers; NaN without
        copies or without churn.
    """

    n: int
    rows: int
    groups: int
    largest: int
    lags: tuple[int, ...]
    agreement: float
    chance: float

    @property
    def share(self) -> float:
        """Share of the rows that are near copies."""
        return self.rows / self.n if self.n else 0.0

    def notes(self) -> tuple[str, ...]:
        """Say what was found, what it does and what happens now: one sentence for people, none without copies."""
        if not self.groups:
            return ()
        return (
            f"{self.rows:,} of {self.n:,} rows ({self.share:.0%}) are near copies of rows of other customers, in "
            f"{self.groups:,} groups of up to {self.largest:,} rows{self._where()}. A model tested on random rows "
            f"would meet what it has learned by heart and look better than it is{self._agreeing()}. Each group now "
            "trains or tests as a whole, and intervals count it once.",
        )

    def _agreeing(self) -> str:
        if np.isnan(self.chance):
            return ""
        return f": {self.agreement:.0%} of such pairs agree on churn, {self.chance:.0%} would by chance"

    def _where(self) -> str:
        if not self.lags:
            return ", standing anywhere in the table"
        shown = ", ".join(f"{lag:,}" for lag in sorted(self.lags[:_SHOWN_LAGS]))
        return f", standing {shown}{' ...' if len(self.lags) > _SHOWN_LAGS else ''} rows apart"


@dataclass(frozen=True, slots=True, eq=False)
class Replicas:
    """Which rows belong together.

    Parameters
    ----------
    group : ndarray of str, shape (rows,)
        For each row the first customer of its group; the customer itself where there are no copies.
    found : Replication
        The same in numbers.
    """

    group: NDArray[np.object_]
    found: Replication


def find_replicas(
    columns: pd.DataFrame, customer: pd.Series, is_churned: Floats, place: Ints, rng: np.random.Generator
) -> Replicas:
    """Find near copies among the rows of a flat table.

    Parameters
    ----------
    columns : DataFrame
        What describes a row, without identifiers and outcomes: numbers or text, missing values allowed.
    customer : Series of str, shape (rows,)
        Rows of one customer belong together and are not copies.
    is_churned : ndarray of float64, shape (rows,)
        Only to say how many copies share it, NaN where nothing is known of it; copies are found without it.
    place : ndarray of int64, shape (rows,)
        Where each row stands in the user's table.
    rng : numpy.random.Generator
        Chooses columns and borders of the hashes.

    Returns
    -------
    Replicas
        Groups are the connected components of the pairs found at fixed distances (`features.recurrence`) and anywhere
        (`features.twins`). Pairs found anywhere do not depend on the order of the rows, distances do.

    Notes
    -----
    Cost: a few passes over the table, about 1 s for 10,000 rows of 40 columns; memory: twice the table, and the
    pairs, at most 64 a row.

    References
    ----------
    Kapoor, Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science, Patterns 4,
    doi:10.1016/j.patter.2023.100804 (duplicates, dependence between train and test). Broder (1997), On the resemblance
    and containment of documents, and Charikar (2002), doi:10.1145/509907.509965 (hashing what is alike).
    """
    code, names = pd.factorize(customer, sort=True)
    likeness, codes = Likeness.of(columns), code.astype(np.int64)
    order = np.argsort(place, kind="stable")
    in_table = likeness.take(order)
    lags = recurrences(in_table, candidate_lags(in_table), codes[order])
    twins = find_twins(likeness, codes, rng)
    first, second = _pairs(lags, twins, order)
    group = components(codes[first], codes[second], len(names))[codes]
    lead = pd.Series(codes).groupby(group).transform("min").to_numpy()
    found = _replication(group, codes, lags, (is_churned[first], is_churned[second]), is_churned)
    return Replicas(np.asarray(names, object)[lead], found)


def _pairs(lags: tuple[Recurrence, ...], twins: Twins, order: Ints) -> tuple[Ints, Ints]:
    """All pairs, as rows of the frame."""
    first = np.concatenate([*(order[lag.first] for lag in lags), twins.first])
    second = np.concatenate([*(order[lag.second] for lag in lags), twins.second])
    return first, second


def _replication(
    group: Ints, code: Ints, lags: tuple[Recurrence, ...], outcomes: tuple[Floats, Floats], is_churned: Floats
) -> Replication:
    customers = pd.Series(code).groupby(group).nunique().to_numpy()
    is_copy = customers[group] > 1
    sizes = np.bincount(group[is_copy]) if is_copy.any() else np.zeros(1, np.int64)
    rate = float(is_churned[is_copy].mean()) if is_copy.any() else float("nan")
    return Replication(
        n=len(group),
        rows=int(is_copy.sum()),
        groups=int((customers > 1).sum()),
        largest=int(sizes.max()),
        lags=tuple(lag.lag for lag in lags),
        agreement=float("nan") if np.isnan(rate) else float(np.mean(outcomes[0] == outcomes[1])),
        chance=rate**2 + (1 - rate) ** 2,
    )
