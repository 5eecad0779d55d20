"""Person-period rows of a study with all states that any model may need: read once, shared by every policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.errors import EmptyResultError
from features.snapshot import DAY, period_starts
from features.study import Study
from models.adjustment import Exposure
from models.cadence import charges_due
from models.contact_kinds import ContactKind
from models.design_rows import Rows, charged, encoded, joined, stacked
from models.exposures import exposure_columns
from models.learnt import Learnt, learn
from models.links import MOST_ROWS as MOST_LINK_ROWS
from models.links import FollowUps, LinkRows, fit_follow_ups, link_rows
from models.people import MOST_CUSTOMERS, Bucket, People, first_customers, pieces
from models.person_period import Histories, Periods, period_grid, periods_at_risk, thin
from models.quality_ties import Tie
from models.references import Reference, with_attempts
from models.row_columns import period_length, rows_of

Tick = Callable[[str], None]

MOST_ROWS = 250_000
MOST_TARGET_ROWS = 300_000
# Memories start empty where the data start; rows before a full window would compare full with empty ones. Where the
# history is short, a third of it is all that is spent on filling them.
MOST_BURN_IN_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Prepared:
    """What every policy of a study needs, read once.

    Attributes
    ----------
    study : Study
        The study.
    go_lives : tuple of int
        Moments from which initiatives act, microseconds.
    references : tuple of Reference
        One per exposure with values.
    kinds : tuple of ContactKind
        Contacts that are counted.
    follow_ups : tuple of FollowUps
        What follows from each reference, in their order.
    support : mapping of Exposure to (low, high)
        Range in which 98 % of the observed values lie.
    fit, target : Rows
        Person-period rows of the past, and those after each go-live.
    seed : int
        Deals customers into folds, the same for every policy.
    everyone : int64 array
        Customers of the fit and those from whom links were learnt, ascending; where a sample is followed, these too.
    followed : tuple of People
        The customers of the target, with all their touchpoints: policies move those.
    sampled : float
        Which share of the customers at risk at a go-live the target holds; 0 where the study has more customers than
        effects are learnt from.
    ties : mapping of Exposure to Tie
        How each measure goes along with the covariates before its reference takes that out.
    """

    study: Study
    go_lives: tuple[int, ...]
    references: tuple[Reference, ...]
    kinds: tuple[ContactKind, ...]
    follow_ups: tuple[FollowUps, ...]
    support: dict[Exposure, tuple[float, float]]
    fit: Rows
    target: Rows
    seed: int
    everyone: NDArray[np.int64]
    followed: tuple[People, ...]
    sampled: float
    ties: dict[Exposure, Tie]

    @property
    def exposures(self) -> frozenset[Exposure]:
        """Measures seen with values, by journey."""
        return frozenset(r.exposure for r in self.references)

    @property
    def at_risk(self) -> int:
        """Customers at risk, summed over go-lives."""
        return int((self.target.periods.index == 0).sum())


def prepare(
    study: Study,
    buckets: Callable[[], Iterable[Bucket]],
    go_lives: Sequence[int],
    span: tuple[int, int],
    rng: np.random.Generator,
    *,
    exposures: Sequence[Exposure],
    tick: Tick = lambda _: None,
) -> Prepared:
    """Read the histories once and lay out the rows that every policy shares.

    Parameters
    ----------
    study : Study
        Journey map, measures and snapshot grid.
    buckets : callable
        Gives the buckets anew each time it is called.
    go_lives : sequence of int
        Moments from which initiatives act, microseconds.
    span : (int, int)
        First and last moment of the data, microseconds.
    rng : numpy.random.Generator
        Thins rows without churn, and deals customers into folds.
    exposures : sequence of Exposure
        Measures with values, by journey.
    tick : callable, optional
        Told what is going on.

    Returns
    -------
    Prepared

    Raises
    ------
    EmptyResultError
        When no go-live has matured.

    Notes
    -----
    Seconds and memory stop growing at `MOST_CUSTOMERS`: the first by key are read, a random sample as keys are hashes.
    """
    if not go_lives:
        raise EmptyResultError(
            "No past cutoff has a whole horizon after it, so no effect can be estimated. "
            f"Expected at least {study.snapshot.horizon_days} days of data after a cutoff. "
            "Shorten snapshot.horizon_days or bring a longer history."
        )
    tick("learning what to expect of each measure")
    with threadpool_limits(1):  # small trees: more threads only fight with whatever else is running
        learnt = learn(study, buckets, exposures, span[0])
    length = period_length(study)
    burn_in = min(study.snapshot.window_days * DAY, int(MOST_BURN_IN_SHARE * (span[1] - span[0])))
    past = period_grid(span[0] + burn_in, span[1], length)
    laid = _LaidOut(study, learnt, tuple(go_lives), past, span[1])
    sizes = [bucket.customers.num_rows for bucket in first_customers(buckets, MOST_CUSTOMERS)]
    for number, bucket in enumerate(first_customers(buckets, MOST_CUSTOMERS)):
        tick(f"rebuilding experience week by week, bucket {number + 1} of {len(sizes)}")
        laid.add(bucket, sizes[number] / max(sum(sizes), 1), rng)
    fit, target = joined(laid.fit), joined(laid.target)
    laid.fit.clear()  # large, and in `fit` now
    laid.target.clear()
    fit, target = charged(*encoded(fit, target))
    follow_ups = tuple(fit_follow_ups(links, parts) for links, parts in zip(learnt.links, laid.links, strict=True))
    sampled = 0.0 if sum(sizes) >= MOST_CUSTOMERS else laid.sampled
    people = [fit.periods.customer_key, *(one.rows.customer for one in follow_ups)]
    if sampled < 1:
        people.append(target.periods.customer_key)
    return Prepared(
        study=study,
        go_lives=tuple(go_lives),
        references=learnt.references,
        kinds=learnt.kinds,
        follow_ups=follow_ups,
        support=learnt.support,
        fit=fit,
        target=target,
        seed=int(rng.integers(2**63)),
        everyone=np.unique(np.concatenate(people)),
        followed=tuple(laid.followed),
        sampled=sampled,
        ties=learnt.ties,
    )


@dataclass(slots=True)
class _LaidOut:
    """Collects, bucket by bucket, the rows of a study; touchpoints get their many columns a few customers at a time."""

    study: Study
    learnt: Learnt
    go_lives: tuple[int, ...]
    past: tuple[int, ...]
    end: int
    fit: list[Rows] = field(default_factory=list)
    target: list[Rows] = field(default_factory=list)
    followed: list[People] = field(default_factory=list)
    at_risk: int = 0
    links: list[list[LinkRows]] = field(init=False)
    linked: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Begin without rows for the links of each measure."""
        self.links = [[] for _ in self.learnt.links]
        self.linked = [0] * len(self.links)

    @property
    def sampled(self) -> float:
        """Share of the customers at risk at a go-live that is followed."""
        return float(sum(one.customers.num_rows for one in self.followed) / max(self.at_risk, 1))

    def add(self, bucket: Bucket, share: float, rng: np.random.Generator) -> None:
        """Lay out a bucket with its share of the rows."""
        length = period_length(self.study)
        every = periods_at_risk(_histories(bucket), self.past, length)
        due = charges_due(self.learnt.charging.cadence, bucket.revenue, every.customer_key, every.start, length)
        fit = thin(every, int(MOST_ROWS * share), rng, due != 0)
        after, go_live = _target(self.study, bucket, self.go_lives, length)
        kept = _sampled_customers(after, bucket, int(MOST_TARGET_ROWS * share), rng)
        self.at_risk += len(np.unique(after.customer_key))
        after, go_live = after.take(kept), go_live[kept]
        self.followed.append(People.of(bucket, np.unique(after.customer_key)))
        for piece in pieces(bucket):
            touchpoints = with_attempts(piece.touchpoints)
            columns = exposure_columns(self.learnt.references, touchpoints, bucket.customers, self.learnt.kinds)
            # Each measure stops by itself: the frequent ones must not leave the rare ones with little.
            wanted = [k for k, n in enumerate(self.linked) if n < MOST_LINK_ROWS]
            found = link_rows([self.learnt.links[k] for k in wanted], touchpoints, columns, self.end)
            for k, rows in zip(wanted, found, strict=True):
                self.links[k].append(rows)
                self.linked[k] += len(rows.customer)
            whole = replace(piece, customers=bucket.customers)  # medians of covariates are those of the bucket
            here = _of_piece(fit, piece)
            nothing = np.zeros(int(here.sum()), np.int64)
            self.fit.append(rows_of(self.study, self.learnt, whole, columns, fit.take(here), nothing))
            here = _of_piece(after, piece)
            self.target.append(rows_of(self.study, self.learnt, whole, columns, after.take(here), go_live[here]))


def _of_piece(periods: Periods, piece: People) -> NDArray[np.bool_]:
    """Say which rows are about customers of a piece."""
    keys = piece.customers["customer_key"].to_numpy()
    if not len(keys):
        return np.zeros(len(periods), bool)
    return np.asarray((periods.customer_key >= keys[0]) & (periods.customer_key <= keys[-1]))


def _histories(bucket: Bucket) -> Histories:
    return Histories(bucket.customers, bucket.churn, bucket.revenue)


def _target(study: Study, bucket: Bucket, go_lives: Sequence[int], length: int) -> tuple[Periods, NDArray[np.int64]]:
    """Lay out the customers at risk at each go-live, in each period of the horizon in which they still are."""
    found: list[Periods] = []
    number = []
    for g, moment in enumerate(go_lives):
        periods = periods_at_risk(_histories(bucket), period_starts(moment, study.snapshot), length)
        at_start = periods.customer_key[periods.index == 0]
        found.append(periods.take(np.isin(periods.customer_key, at_start) & _unbroken(periods)))
        number.append(np.full(len(found[-1]), g, np.int64))
    return stacked(found), np.concatenate(number)


def _unbroken(periods: Periods) -> NDArray[np.bool_]:
    """Rows before the first gap: those who leave and return within the horizon have left."""
    order = np.lexsort((periods.index, periods.customer_key))
    key, index = periods.customer_key[order], periods.index[order]
    new = np.ones(len(order), bool)
    new[1:] = np.diff(key) != 0
    since = np.arange(len(order)) - np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    out = np.empty(len(order), bool)
    out[order] = since == index
    return out


def _sampled_customers(periods: Periods, bucket: Bucket, most: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Evaluate on a random part of the customers where there are more than precision needs."""
    keys = bucket.customers["customer_key"].to_numpy()
    chosen = rng.random(len(keys)) < most / max(len(periods), 1)
    return np.asarray(chosen[np.searchsorted(keys, periods.customer_key)])
