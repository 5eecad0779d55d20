"""What is learnt of a study before its rows are laid out: what contacts are like, what follows, who pays when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.study import Study
from models.adjustment import Exposure
from models.baseline import known_levels
from models.cadence import Charging
from models.contact_kinds import ContactKind, contact_kinds
from models.links import Links, links_of
from models.people import Bucket
from models.quality_ties import Tie, learn_tie
from models.references import Reference, fit_references, with_attempts

__all__ = ["Learnt", "learn"]

Array = NDArray[np.float64]

MOST_TOUCHPOINTS = 1_000_000
SUPPORT_QUANTILES = (0.01, 0.99)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is learnt of a study before its rows are laid out.

    Attributes
    ----------
    references : tuple of Reference
        One per exposure with values that vary.
    ties : mapping of Exposure to Tie
        How each measure goes along with the covariates before its reference takes that out.
    kinds : tuple of ContactKind
        Contacts that are counted.
    links : tuple of Links
        What may follow from each reference, in their order.
    support : mapping of Exposure to (low, high)
        Range in which 98 % of the observed values lie.
    charging : Charging
        When customers are charged, and how much is typical.
    levels : mapping of str to frozenset of str
        Levels of text covariates that have a column of their own.
    """

    references: tuple[Reference, ...]
    ties: dict[Exposure, Tie]
    kinds: tuple[ContactKind, ...]
    links: tuple[Links, ...]
    support: dict[Exposure, tuple[float, float]]
    charging: Charging
    levels: dict[str, frozenset[str]]


def learn(study: Study, buckets: Callable[[], Iterable[Bucket]], exposures: Sequence[Exposure], since: int) -> Learnt:
    """Learn from the first buckets; buckets hold customers in no order that matters.

    Parameters
    ----------
    study : Study
        Journey map and measures.
    buckets : callable
        Gives the buckets anew; read until there are `MOST_TOUCHPOINTS`.
    exposures : sequence of Exposure
        Measures with values, by journey.
    since : int
        First moment of the data, microseconds.

    Returns
    -------
    Learnt
    """
    touchpoints, customers, revenues, rows = [], [], [], 0
    for bucket in buckets():
        touchpoints.append(with_attempts(bucket.touchpoints))
        customers.append(bucket.customers)
        revenues.append(bucket.revenue)
        rows += bucket.touchpoints.num_rows
        if rows >= MOST_TOUCHPOINTS:
            break
    # Dictionaries differ between buckets; Arrow joins them.
    touches = pa.concat_tables(touchpoints).unify_dictionaries()
    people = pa.concat_tables(customers).unify_dictionaries()
    known = [e for e in exposures if _is_variable(touches, e)]
    references = fit_references(study, known, touches, people)
    kinds, levels = contact_kinds(touches), known_levels(people)
    return Learnt(
        references=references,
        ties={one.exposure: learn_tie(one, touches, people, levels) for one in references},
        kinds=kinds,
        links=links_of(study, references, kinds),
        support={e: _range(touches, e) for e in known},
        charging=Charging.learn(revenues, since),
        levels=levels,
    )


def _values(touchpoints: pa.Table, exposure: Exposure) -> Array:
    in_journey = (touchpoints["journey"].cast(pa.string()).to_pandas() == exposure.journey).to_numpy()
    value = touchpoints[exposure.measure].to_numpy()[in_journey]
    return np.asarray(value[~np.isnan(value)], np.float64)


def _is_variable(touchpoints: pa.Table, exposure: Exposure) -> bool:
    """Say whether a measure varies; one that never does says nothing about what moving it would do."""
    value = _values(touchpoints, exposure)
    return len(value) > 0 and bool(np.ptp(value) > 0)


def _range(touchpoints: pa.Table, exposure: Exposure) -> tuple[float, float]:
    low, high = np.quantile(_values(touchpoints, exposure), SUPPORT_QUANTILES)
    return float(low), float(high)
