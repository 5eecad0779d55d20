"""What follows from the quality of a contact: later measures of the same contact, and contacts that it causes.

A longer wait resolves less, what is not resolved comes back, a wrong bill makes people call. These links are learnt
from the touchpoints, which are many, and carry a moved measure on to what it moves; the models of churn and spend can
then hold the consequences apart from the measure itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.snapshot import DAY
from features.study import Study
from models.adjustment import descendants
from models.contact_kinds import ContactKind
from models.exposures import piece_columns, usual_column
from models.references import ATTEMPT, Reference
from models.ridge import inverse_of

__all__ = ["LAG_DAYS", "FollowUps", "LinkRows", "Links", "fit_follow_ups", "link_rows", "links_of"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LAG_BOUNDS = (0.0, 7.0, 14.0, 28.0)
"""Days after a contact between which the contacts that follow are counted."""
LAG_DAYS = (0.0, *((low + high) / 2 for low, high in pairwise(LAG_BOUNDS)))
"""When targets move: at once, then in the middle of each span of days."""
MOST_ROWS = 400_000
_SECOND = 1_000_000
_MOST_SECONDS = 1 << 33


@dataclass(frozen=True, slots=True)
class Links:
    """What may follow from one exposure, by the journey map.

    Attributes
    ----------
    source : Reference
        The exposure.
    same : tuple of str
        Columns of the measures that come later at the same contact.
    kinds : tuple of ContactKind
        Contacts that may follow: later ones of the same journey, and those of journeys to which arrows lead.
    usual : tuple of (str, bool)
        Columns of what is to be expected of such contacts, and whether only later ones of an instance may follow.
    """

    source: Reference
    same: tuple[str, ...]
    kinds: tuple[ContactKind, ...]
    usual: tuple[tuple[str, bool], ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns that move along."""
        return (*self.same, *(kind.column for kind in self.kinds), *(column for column, _ in self.usual))


def links_of(study: Study, references: Sequence[Reference], kinds: Sequence[ContactKind]) -> tuple[Links, ...]:
    """Read from the journey map what may follow from what.

    Parameters
    ----------
    study : Study
        Order of measures and arrows between journeys.
    references : sequence of Reference
        Exposures of the models.
    kinds : sequence of ContactKind
        Contacts that are counted.

    Returns
    -------
    tuple of Links
        One per reference, in their order.
    """
    order = [m.name for m in study.measures]
    found = []
    for one in references:
        journey, measure = one.exposure.journey, one.exposure.measure
        later = [r for r in references if r.exposure.journey == journey and _after(order, r.exposure.measure, measure)]
        behind = descendants(study, journey)
        follow = [k for k in kinds if k.journey in behind or (k.journey == journey and k.is_later)]
        usual = [
            (usual_column(r), r.exposure.journey not in behind)
            for r in references
            if r.exposure.journey in behind or r.exposure.journey == journey
        ]
        found.append(Links(one, tuple(c for r in later for c in piece_columns(r)), tuple(follow), tuple(usual)))
    return tuple(found)


def _after(order: Sequence[str], one: str, other: str) -> bool:
    return order.index(one) > order.index(other)


@dataclass(frozen=True, slots=True)
class LinkRows:
    """Contacts from which the links of one exposure are learnt.

    Attributes
    ----------
    customer : int64 array, shape (n,)
        Customer key: the cluster.
    deviation : float64 array, shape (n, pieces)
        How far each contact was from what was to be expected.
    same : float64 array, shape (n, columns at the same contact)
        Deviations of the later measures; 0 where they were not measured, for there nothing moves.
    followed : float32 array, shape (n, spans of days, kinds and usual columns)
        Contacts that followed, and what was to be expected of them, summed.
    """

    customer: Index
    deviation: Array
    same: Array
    followed: NDArray[np.float32]


def link_rows(links: Sequence[Links], touchpoints: pa.Table, columns: pa.Table, end: int) -> tuple[LinkRows, ...]:
    """Take from a bucket what links are learnt from.

    Parameters
    ----------
    links : sequence of Links
        From `links_of`.
    touchpoints : pyarrow.Table
        Whole customers, sorted by customer.
    columns : pyarrow.Table
        From `exposure_columns` of the same touchpoints.
    end : int
        End of the data in microseconds; contacts whose consequences are not yet seen are left out.

    Returns
    -------
    tuple of LinkRows
        One per links.
    """
    customer, at = touchpoints["customer_key"].to_numpy(), touchpoints["occurred_at"].to_numpy()
    clock = _Clock.of(customer, at)
    is_later = touchpoints[ATTEMPT].to_numpy() > 1
    sums: dict[tuple[str, bool], _Sums] = {}
    for target in {target for one in links for target in _followers(one)}:
        column, later_only = target
        value = columns[column].to_numpy()
        rows = np.flatnonzero(~np.isnan(value) & (is_later | (not later_only)))
        sums[target] = _Sums.of(clock.of_rows(rows), value[rows])
    found = []
    for one in links:
        happened = _is_there(columns, piece_columns(one.source)[0])
        rows = np.flatnonzero(happened & (at + LAG_BOUNDS[-1] * DAY <= end))
        targets = _followers(one)
        followed = np.zeros((len(rows), len(LAG_BOUNDS) - 1, len(targets)), np.float32)
        bounds = [clock.of_rows(rows, days) for days in LAG_BOUNDS]
        for k, target in enumerate(targets):
            until = [sums[target].until(bound) for bound in bounds]
            followed[:, :, k] = np.diff(np.column_stack(until), axis=1)
        deviation = _matrix(columns, piece_columns(one.source), rows)
        found.append(LinkRows(customer[rows], deviation, np.nan_to_num(_matrix(columns, one.same, rows)), followed))
    return tuple(found)


def _followers(links: Links) -> tuple[tuple[str, bool], ...]:
    """Columns that are summed over the contacts that follow, and whether only later ones of an instance count."""
    return (*((kind.column, False) for kind in links.kinds), *links.usual)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Values by moment, added up."""

    moment: Index
    total: Array

    @classmethod
    def of(cls, moment: Index, value: Array) -> _Sums:
        order = np.argsort(moment, kind="stable")
        return cls(moment[order], np.concatenate([[0.0], np.cumsum(value[order])]))

    def until(self, moments: Index) -> Array:
        """Add up what happened until each moment, itself included."""
        return self.total[np.searchsorted(self.moment, moments, side="right")]


@dataclass(frozen=True, slots=True)
class _Clock:
    """Customer and second in one number that sorts by both."""

    place: Index
    second: Index

    @classmethod
    def of(cls, customer: Index, at: Index) -> _Clock:
        new = np.diff(customer, prepend=customer[:1]) != 0
        return cls(np.cumsum(new) * _MOST_SECONDS, (at - at.min(initial=0)) // _SECOND)

    def of_rows(self, rows: NDArray[np.intp], days: float = 0.0) -> Index:
        """Return the moments of some rows, so many days later."""
        return np.asarray(self.place[rows] + self.second[rows] + round(days * DAY / _SECOND))


def _is_there(columns: pa.Table, name: str) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(columns[name].to_numpy()))


def _matrix(columns: pa.Table, names: Sequence[str], rows: NDArray[np.intp]) -> Array:
    if not names:
        return np.zeros((len(rows), 0))
    return np.column_stack([columns[name].to_numpy()[rows].astype(np.float64) for name in names])


@dataclass(frozen=True, slots=True)
class FollowUps:
    """How strongly what follows moves with an exposure.

    Attributes
    ----------
    links : Links
        What may follow.
    slopes : float64 array, shape (lags, pieces, targets)
        Change of each target per unit of each piece, by lag: the later measures move at once, the contacts later.
    rows : LinkRows
        Behind the slopes.
    """

    links: Links
    slopes: Array
    rows: LinkRows

    def influence(self, weights: Array) -> tuple[Index, Array]:
        """Say what each customer adds to a weighted sum of the slopes.

        Parameters
        ----------
        weights : float64 array, shape (sums, lags, pieces, targets)
            Weight of each slope in each sum.

        Returns
        -------
        tuple of int64 array, shape (customers,), and float64 array, shape (customers, sums)
            Customer keys, ascending, and their influence: the sums' errors are sums of independent terms.
        """
        keys, place = np.unique(self.rows.customer, return_inverse=True)
        total = np.zeros((len(keys), len(weights)))
        if not len(keys):
            return keys, total
        centred, inverse = _centred(self.rows.deviation)
        score = centred @ inverse
        for lag, targets, outcome in _equations(self.links, self.rows):
            residual = outcome - outcome.mean(axis=0) - centred @ self.slopes[lag][:, targets]
            for k, weight in enumerate(weights[:, lag][:, :, targets]):
                total[:, k] += np.bincount(place, ((score @ weight) * residual).sum(axis=1), len(keys))
        return keys, total


def fit_follow_ups(links: Links, parts: Iterable[LinkRows]) -> FollowUps:
    """Learn the slopes of one exposure's links.

    Parameters
    ----------
    links : Links
        What may follow.
    parts : iterable of LinkRows
        One per bucket.

    Returns
    -------
    FollowUps

    Notes
    -----
    Estimand: mean change of a later measure, over all contacts, also those where it is not measured, or of the number
    of contacts that follow within four weeks, when a contact's value moves by one unit. Least squares of what
    followed on the deviations of the contact. The deviation is what is left of the value after setting, so regressing
    on it alone is enough (Robinson 1988, doi:10.2307/1912705). Counts are total: a contact that follows may cause
    another. Customers who leave meanwhile are followed less far, which makes counts smaller by about the share who
    leave within four weeks.
    """
    found = list(parts)
    rows = LinkRows(*(np.concatenate([getattr(part, name) for part in found]) for name in LinkRows.__slots__))
    slopes = np.zeros((len(LAG_DAYS), rows.deviation.shape[1], len(links.targets)))
    if len(rows.customer):
        centred, inverse = _centred(rows.deviation)
        for lag, targets, outcome in _equations(links, rows):
            slopes[lag][:, targets] = inverse @ (centred.T @ (outcome - outcome.mean(axis=0)))
    return FollowUps(links, slopes, rows)


def _equations(links: Links, rows: LinkRows) -> Iterable[tuple[int, slice, Array]]:
    """Yield lag, targets and outcomes of each least-squares fit."""
    if not len(rows.customer):
        return
    split = len(links.same)
    if split:
        yield 0, slice(0, split), rows.same
    if len(links.targets) > split:
        for span in range(rows.followed.shape[1]):
            yield span + 1, slice(split, len(links.targets)), rows.followed[:, span].astype(np.float64)


def _centred(deviation: Array) -> tuple[Array, Array]:
    """Take the means out, and invert the second moments."""
    centred = deviation - deviation.mean(axis=0)
    return centred, inverse_of(centred.T @ centred, np.ones(deviation.shape[1], bool))
