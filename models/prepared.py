"""Person-period rows of a study with all states that any model may need: read once, shared by every policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.engine import build
from features.errors import EmptyResultError
from features.folds import CUSTOMER, Plan, total
from features.snapshot import DAY, DAYS_PER_MONTH, n_periods, period_starts
from features.study import Study
from models.adjustment import Exposure
from models.cadence import Charging, charges_due
from models.contact_kinds import ContactKind, contact_kinds
from models.exposures import (
    current,
    current_names,
    exposure_columns,
    state_names,
    states,
    usual,
    usual_names,
    volume_names,
    volumes,
)
from models.links import MOST_ROWS as MOST_LINK_ROWS
from models.links import FollowUps, LinkRows, Links, fit_follow_ups, link_rows, links_of
from models.person_period import Histories, Periods, period_grid, periods_at_risk, thin
from models.quality_ties import Tie, learn_tie
from models.references import Reference, baseline_frame, fit_references, with_attempts
from models.ridge import fit_linear

Array = NDArray[np.float64]
Tick = Callable[[str], None]

MOST_ROWS = 250_000
LEAST_SCALE = 0.1
"""Of the mean charge: nobody counts with less, so that no weight by scale runs away."""
MOST_TARGET_ROWS = 300_000
MOST_REFERENCE_TOUCHPOINTS = 1_000_000
# Memories start empty where the data start; rows before a full window would compare full with empty ones. Where the
# history is short, a third of it is all that is spent on filling them.
MOST_BURN_IN_SHARE = 1 / 3
TENURE_KNOTS = (30.0, 90.0, 365.0)
PAST_SPEND_DAYS = 180
LEAST_PAST_DAYS = 30.0
SUPPORT_QUANTILES = (0.01, 0.99)


class Bucket(Protocol):
    """Whole customers with everything that happened to them."""

    @property
    def touchpoints(self) -> pa.Table:
        """Sorted by customer and time."""

    @property
    def customers(self) -> pa.Table:
        """Sorted by customer."""

    @property
    def revenue(self) -> pa.Table:
        """Amounts with their time."""

    @property
    def churn(self) -> pa.Table:
        """Departures and returns."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of customer and period with everything that may enter a model, column by name.

    Attributes
    ----------
    periods : Periods
        Customer, period, outcome and weight.
    design : pandas.DataFrame
        Everything that may enter a model.
    go_live : int64 array, shape (n,)
        Position of the go-live that the row follows.
    due : float64 array, shape (n,)
        What is charged in the period on average, over `scale`: 1 where a charge is due.
    scale : float64 array, shape (n,)
        What such a customer is charged when a charge is due: experience moves spend in proportion to it.
    """

    periods: Periods
    design: pd.DataFrame
    go_live: NDArray[np.int64]
    due: Array
    scale: Array

    def columns(self, names: Sequence[str]) -> Array:
        """Return some columns side by side."""
        return np.column_stack([self.design[name].to_numpy(np.float64) for name in names])


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
        Customers of the fit and those from whom links were learnt, ascending.
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
    """
    if not go_lives:
        raise EmptyResultError(
            "No past cutoff has a whole horizon after it, so no effect can be estimated. "
            f"Expected at least {study.snapshot.horizon_days} days of data after a cutoff. "
            "Shorten snapshot.horizon_days or bring a longer history."
        )
    tick("learning what to expect of each measure")
    with threadpool_limits(1):  # small trees: more threads only fight with whatever else is running
        learnt = _learn(study, buckets, exposures, span[0])
    length = period_length(study)
    burn_in = min(study.snapshot.window_days * DAY, int(MOST_BURN_IN_SHARE * (span[1] - span[0])))
    past = period_grid(span[0] + burn_in, span[1], length)
    parts_fit, parts_target = [], []
    parts_links: list[tuple[LinkRows, ...]] = []
    most_linked = 0
    shares = _shares(buckets)
    for number, bucket in enumerate(buckets(), 1):
        tick(f"rebuilding experience week by week, bucket {number} of {len(shares)}")
        touchpoints = with_attempts(bucket.touchpoints)
        columns = exposure_columns(learnt.references, touchpoints, bucket.customers, learnt.kinds)
        if most_linked < MOST_LINK_ROWS:
            parts_links.append(link_rows(learnt.links, touchpoints, columns, span[1]))
            most_linked += max((len(one.customer) for one in parts_links[-1]), default=0)
        every = periods_at_risk(_histories(bucket), past, length)
        due = charges_due(learnt.charging.cadence, bucket.revenue, every.customer_key, every.start, length)
        fit = thin(every, int(MOST_ROWS * shares[number - 1]), rng, due != 0)
        parts_fit.append(_rows(study, learnt, bucket, columns, fit, np.zeros(len(fit), np.int64)))
        followed, go_live = _target(study, bucket, go_lives, length, rng, shares[number - 1])
        parts_target.append(_rows(study, learnt, bucket, columns, followed, go_live))
    fitting, target = _charged(*_encoded(_joined(parts_fit), _joined(parts_target)))
    follow_ups = tuple(
        fit_follow_ups(links, [parts[k] for parts in parts_links]) for k, links in enumerate(learnt.links)
    )
    return Prepared(
        study,
        tuple(go_lives),
        learnt.references,
        learnt.kinds,
        follow_ups,
        learnt.support,
        fitting,
        target,
        int(rng.integers(2**63)),
        np.unique(np.concatenate([fitting.periods.customer_key, *(one.rows.customer for one in follow_ups)])),
        learnt.ties,
    )


def period_length(study: Study) -> int:
    """Return the length of a period in microseconds: about a week, a whole number of them in the horizon."""
    return study.snapshot.horizon_days * DAY // n_periods(study.snapshot.horizon_days)


def _histories(bucket: Bucket) -> Histories:
    return Histories(bucket.customers, bucket.churn, bucket.revenue)


def _shares(buckets: Callable[[], Iterable[Bucket]]) -> list[float]:
    """Return the share of the customers in each bucket: its part of the rows kept."""
    sizes = [bucket.customers.num_rows for bucket in buckets()]
    return [size / max(sum(sizes), 1) for size in sizes]


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What is learnt of a study before its rows are laid out."""

    references: tuple[Reference, ...]
    ties: dict[Exposure, Tie]
    kinds: tuple[ContactKind, ...]
    links: tuple[Links, ...]
    support: dict[Exposure, tuple[float, float]]
    charging: Charging


def _learn(study: Study, buckets: Callable[[], Iterable[Bucket]], exposures: Sequence[Exposure], since: int) -> _Learnt:
    """Fit references, ties and charging on the first buckets; buckets hold customers in no order that matters."""
    touchpoints, customers, revenues, rows = [], [], [], 0
    for bucket in buckets():
        touchpoints.append(with_attempts(bucket.touchpoints))
        customers.append(bucket.customers)
        revenues.append(bucket.revenue)
        rows += bucket.touchpoints.num_rows
        if rows >= MOST_REFERENCE_TOUCHPOINTS:
            break
    # Dictionaries differ between buckets; Arrow joins them.
    touches = pa.concat_tables(touchpoints).unify_dictionaries()
    people = pa.concat_tables(customers).unify_dictionaries()
    known = [e for e in exposures if _is_variable(touches, e)]
    references = fit_references(study, known, touches, people)
    kinds = contact_kinds(touches)
    return _Learnt(
        references=references,
        ties={one.exposure: learn_tie(one, touches, people) for one in references},
        kinds=kinds,
        links=links_of(study, references, kinds),
        support={e: _range(touches, e) for e in known},
        charging=Charging.learn(revenues, since),
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


def _target(
    study: Study, bucket: Bucket, go_lives: Sequence[int], length: int, rng: np.random.Generator, share: float
) -> tuple[Periods, NDArray[np.int64]]:
    """Lay out the customers at risk at each go-live, in each period of the horizon in which they still are."""
    found: list[Periods] = []
    number = []
    for g, moment in enumerate(go_lives):
        periods = periods_at_risk(_histories(bucket), period_starts(moment, study.snapshot), length)
        at_start = periods.customer_key[periods.index == 0]
        found.append(periods.take(np.isin(periods.customer_key, at_start) & _unbroken(periods)))
        number.append(np.full(len(found[-1]), g, np.int64))
    everything = _stack(found)
    kept = _sampled_customers(everything, bucket, int(MOST_TARGET_ROWS * share), rng)
    return everything.take(kept), np.concatenate(number)[kept]


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


def _rows(
    study: Study,
    learnt: _Learnt,
    bucket: Bucket,
    columns: pa.Table,
    periods: Periods,
    go_live: NDArray[np.int64],
) -> Rows:
    spine = pa.table({"customer_key": periods.customer_key, "cutoff": periods.start})
    ends = pa.table({"customer_key": periods.customer_key, "cutoff": periods.start + period_length(study)})
    window = study.snapshot.window_days
    references, kinds, charging = learnt.references, learnt.kinds, learnt.charging
    parts = [
        _baseline(bucket.customers, periods),
        _past_spend(study, bucket, periods, charging),
        pd.DataFrame(volumes(kinds, columns, spine, window), columns=list(volume_names(kinds))),
        pd.DataFrame(states(references, columns, spine, window), columns=list(state_names(references))),
        pd.DataFrame(usual(references, columns, spine, window), columns=list(usual_names(references))),
        pd.DataFrame(
            current(references, columns, ends, period_length(study) / DAY), columns=list(current_names(references))
        ),
    ]
    due = charges_due(charging.cadence, bucket.revenue, periods.customer_key, periods.start, period_length(study))
    return Rows(periods, pd.concat(parts, axis=1), go_live, due, np.ones(len(periods)))


def _baseline(customers: pa.Table, periods: Periods) -> pd.DataFrame:
    """Covariates, tenure, season and trend of each row; levels stay categories until all buckets are joined."""
    row = np.searchsorted(customers["customer_key"].to_numpy(), periods.customer_key)
    frame = baseline_frame(customers).iloc[row].reset_index(drop=True).add_prefix("baseline__")
    tenure = (periods.start - _of_rows(customers, "joined_at", periods)) / DAY
    year = 2 * np.pi * periods.start / (365.25 * DAY)
    return frame.assign(
        time__tenure=np.log1p(np.maximum(tenure, 0.0)),
        **{f"time__tenure_over_{knot:g}": np.log1p(np.maximum(tenure - knot, 0.0)) for knot in TENURE_KNOTS},
        **{f"time__{f.__name__}{k}": f(k * year) for f in (np.sin, np.cos) for k in (1, 2)},
        time__trend=periods.start / (365.25 * DAY) - 50.0,
    )


def _past_spend(study: Study, bucket: Bucket, periods: Periods, charging: Charging) -> pd.DataFrame:
    """Say what each customer spent a day in the half-year that ended a horizon ago, and whether that is known.

    Heavy users meet more touchpoints and spend more. Ending a horizon ago, it lies before every go-live that a row can
    follow: no policy moves it.
    """
    at = bucket.revenue["occurred_at"]
    key = bucket.revenue["customer_key"]
    label = pa.array(["revenue"] * len(at), pa.string()).dictionary_encode()
    columns = {"customer_key": key, "journey": label, "journey_key": key, "occurred_at": at, "known_at": at}
    then = periods.start - study.snapshot.horizon_days * DAY
    spine = pa.table({"customer_key": periods.customer_key, "cutoff": then})
    plan = Plan(touch_features={CUSTOMER: {"spent": total("amount")}}, window_days=PAST_SPEND_DAYS)
    rows = pa.table(columns | {"amount": bucket.revenue["amount"]})
    spent = build(plan, rows, spine, {CUSTOMER: [CUSTOMER]})[f"spent__{CUSTOMER}"].to_numpy()
    joined = _of_rows(bucket.customers, "joined_at", periods)
    began = np.maximum(joined, charging.since)
    days = np.clip((then - began) / DAY, 0, PAST_SPEND_DAYS)
    is_known = days >= LEAST_PAST_DAYS
    daily = np.where(is_known, spent / np.maximum(days, 1.0), 0.0)
    log = np.log1p(DAYS_PER_MONTH * np.maximum(daily, 0.0) / charging.typical)  # the same in any currency
    return pd.DataFrame(
        {"time__spent_before": daily, "time__log_spent_before": log, "time__spent_known": is_known * 1.0}
    )


def _of_rows(customers: pa.Table, column: str, periods: Periods) -> NDArray[np.int64]:
    """Look a column of the customers up for each row."""
    row = np.searchsorted(customers["customer_key"].to_numpy(), periods.customer_key)
    return np.asarray(customers[column].to_numpy()[row], np.int64)


def _stack(parts: Sequence[Periods]) -> Periods:
    names = ("customer_key", "start", "index", "churned", "spend", "weight")
    return Periods(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _joined(parts: Sequence[Rows]) -> Rows:
    design = pd.concat([part.design for part in parts], ignore_index=True)
    # Levels that only some buckets have turn categories into objects when joined.
    one = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("go_live", "due", "scale")}
    return Rows(_stack([part.periods for part in parts]), design, **one)


def _encoded(fit: Rows, target: Rows) -> tuple[Rows, Rows]:
    """Lay levels out as columns, the same in both, the intercept first; what never varies in the fit is left out."""
    both = pd.concat([fit.design, target.design], ignore_index=True)
    baseline = [name for name in map(str, both) if name.startswith("baseline__")]
    # The intercept goes in first: get_dummies refuses a table without columns, which a study without covariates gives.
    encoded = pd.get_dummies(both[baseline].assign(baseline__intercept=1.0), drop_first=True, dtype=float)
    n = len(fit.design)
    varies = [name for name in encoded if np.ptp(encoded[name].to_numpy()[:n]) > 0 or name == "baseline__intercept"]
    design = pd.concat([encoded[varies], both.drop(columns=baseline)], axis=1)
    rest = design.iloc[n:].reset_index(drop=True)
    return replace(fit, design=design.iloc[:n]), replace(target, design=rest)


def _charged(fit: Rows, target: Rows) -> tuple[Rows, Rows]:
    """Predict what is charged when due from what no policy moves, and the share of it that comes without being due.

    Bills that are late, second contracts and first bills come when none was due: there, and for customers not charged
    before, `due` is what is charged on average over what would be if one was due.
    """
    spend, weight, is_due, is_first = fit.periods.spend, fit.periods.weight, fit.due == 1, np.isnan(fit.due)
    mean = float(np.average(spend[is_due], weights=weight[is_due])) if is_due.any() else 0.0
    scale, of_target = np.ones(len(spend)), np.ones(len(target.due))
    if mean > 0:
        names = [str(name) for name in fit.design if str(name).startswith(("baseline__", "time__"))]
        X = fit.columns(names)
        slopes = fit_linear(X[is_due], spend[is_due], weight[is_due], np.zeros(len(names), bool))
        scale = np.clip(X @ slopes, LEAST_SCALE * mean, None)
        of_target = np.clip(target.columns(names) @ slopes, LEAST_SCALE * mean, None)

    def share(rows: NDArray[np.bool_]) -> float:
        total = float(weight[rows] @ scale[rows])
        return min(max(float(weight[rows] @ spend[rows]) / total, 0.0), 1.0) if total > 0 else 0.0

    without, first = share(fit.due == 0), share(is_first)

    def known(due: Array) -> Array:
        return np.where(np.isnan(due), first, np.where(due == 0, without, due))

    return replace(fit, due=known(fit.due), scale=scale), replace(target, due=known(target.due), scale=of_target)
