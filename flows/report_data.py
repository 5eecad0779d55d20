"""What the report is made of: the result tables of the other flows, any of which may not be there yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from features.manifest import LayoutManifest

__all__ = [
    "Counter",
    "DataHealth",
    "MonitorFound",
    "PortfolioFound",
    "PremiumFound",
    "ReportData",
    "ReportHeader",
    "health_of",
]


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """What every number in the report refers to.

    Attributes
    ----------
    study, currency : str
        Name of the study and code of its currency.
    data_start, data_end : str
        First and last day of the data, ``YYYY-MM-DD``.
    customers, rows : int
        Customers of the study and rows of the panel.
    cutoffs : tuple of str
        Cutoffs of the panel, ``YYYY-MM-DD``, ascending.
    horizon_days : int
        How far ahead churn and revenue are counted.
    months : int
        Over how many months money is counted.
    churn_rate : float
        Share of the customers at risk who leave within the horizon; NaN where unknown.
    is_survey : bool
        The study names outcomes of its own and no churn: there is nothing to predict or to simulate.
    is_flat : bool
        The study is a flat table: it knows no journeys made of touchpoints.
    churn_model, revenue_model : str
        Names and versions of the champions; empty where there is none.
    seed : int
        Of every random draw.
    version : str
        Of the code; empty: not shown.
    made_at : str
        When the report was made; empty: not shown, so that the same results give the same bytes.
    """

    study: str
    currency: str
    data_start: str
    data_end: str
    customers: int
    rows: int
    cutoffs: tuple[str, ...]
    horizon_days: int
    months: int
    churn_rate: float = float("nan")
    is_survey: bool = False
    is_flat: bool = False
    churn_model: str = ""
    revenue_model: str = ""
    seed: int = 0
    version: str = ""
    made_at: str = ""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counted thing: what it is, and how many."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class DataHealth:
    """What was found in the data.

    Attributes
    ----------
    counters : tuple of Counter
        Such as rows read, rows used and duplicates dropped, in the order of the work.
    quarantined : DataFrame
        table, reason, rows: what was put aside.
    missing : DataFrame
        measure, n, missing_share: values per measure.
    volumes : DataFrame
        month (``YYYY-MM``), journey, touchpoints.
    notes : tuple of str
        Sentences about what was assumed, such as the time zone.
    """

    counters: tuple[Counter, ...]
    quarantined: pd.DataFrame
    missing: pd.DataFrame
    volumes: pd.DataFrame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PremiumFound:
    """Whether the journey view predicts more, as ``journeylift premium`` leaves it.

    Attributes
    ----------
    verdict : str
        See :class:`models.premium.Premium`.
    gains : DataFrame
        metric, touchpoints, journeys, gain, lo, hi: mcfadden_r2, log_loss, auc, expected_max_profit (currency a
        customer at risk).
    rivals : DataFrame
        model, touchpoints, journeys, gain, lo, hi: McFadden's R2 against every touchpoint-only model, the best first.
    matters : float
        Smallest gain in R2 that matters.
    n_rows, n_customers : int
        Tested rows, and their customers.
    tested : tuple of str
        Cutoffs that tested, ``YYYY-MM-DD``.
    n_touchpoint_terms, n_terms : int
        Features of touchpoints, and those that only the journey view has.
    value, incentive, contact : float
        In currency: what a customer is taken to be worth, what an offer and what reaching a customer costs.
    n_train : int
        Rows that the latest test may learn from.
    most_rows : int
        Rows that a model was given at most.
    is_thorough : bool
        Whole journeys, too, were tried in every kind of model.
    is_stale : bool
        Data or features have changed since.
    """

    verdict: str
    gains: pd.DataFrame
    rivals: pd.DataFrame
    matters: float
    n_rows: int
    n_customers: int
    tested: tuple[str, ...]
    n_touchpoint_terms: int
    n_terms: int
    value: float
    incentive: float
    contact: float
    n_train: int
    most_rows: int
    is_thorough: bool
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class PortfolioFound:
    """What to fund, as ``journeylift portfolio`` leaves it.

    Attributes
    ----------
    funded : tuple of str
        Names of the chosen set.
    titles : mapping of str to str
        Title of each initiative by name.
    value, value_lo, value_hi, worst, cost : float
        Of the set: mean net value with its 90 % interval, mean of the worst draws, present value of cost; currency.
    p_positive, gap : float
        Share of the draws in which it earns more than it costs; how much more the best set could be worth at most.
    budget, tail, cash : float
        Budget (infinite: none) and money at hand in currency; share of the draws that are the worst.
    members, frontier, limits, pilots, starts : DataFrame
        As in ``portfolio.json``.
    knowing_everything : float
        Worth of knowing every value, currency.
    notes : tuple of str
        What was left out and why.
    is_stale : bool
        Initiatives, data or features have changed since.
    """

    funded: tuple[str, ...]
    titles: Mapping[str, str]
    value: float
    value_lo: float
    value_hi: float
    p_positive: float
    worst: float
    cost: float
    gap: float
    budget: float
    tail: float
    cash: float
    members: pd.DataFrame
    frontier: pd.DataFrame
    limits: pd.DataFrame
    pilots: pd.DataFrame
    starts: pd.DataFrame
    knowing_everything: float
    notes: tuple[str, ...] = ()
    is_stale: bool = False

    def quoted(self, names: Sequence[str]) -> list[str]:
        """Titles in quotation marks."""
        return [f"“{self.titles[name]}”" for name in names]


@dataclass(frozen=True, slots=True)
class MonitorFound:
    """What ``journeylift monitor`` has found.

    Attributes
    ----------
    cutoff, verdict : str
        Of the batch that was looked at.
    reasons : sequence of mapping
        kind, verdict and text; the gravest first.
    features : DataFrame
        feature, psi, psi_limit, mean, reference_mean, missing_share, reference_missing_share, aspect (empty: as usual).
    outcomes, batches : sequence of mapping
        What came true by cutoff; verdicts by cutoff. Ascending.
    notes : sequence of str
        What the limits rest on.
    """

    cutoff: str
    verdict: str
    reasons: Sequence[Mapping[str, Any]]
    features: pd.DataFrame
    outcomes: Sequence[Mapping[str, Any]]
    batches: Sequence[Mapping[str, Any]]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything the report shows; a part that is None says which command makes it.

    Attributes
    ----------
    header : ReportHeader
        What the numbers refer to.
    drivers, effects : DataFrame or None
        ``driver_table`` and ``effects`` as ``journeylift explain`` leaves them.
    initiatives : DataFrame or None
        As ``journeylift simulate`` leaves it.
    metrics, reliability : DataFrame or None
        As ``journeylift train`` leaves them.
    health : DataHealth or None
        As ``journeylift features`` leaves it.
    premium : PremiumFound or None
        As ``journeylift premium`` leaves it.
    driver_notes : DataFrame or None
        What to know before believing `drivers`: outcome (empty: all), note.
    paths, tornado, pairs : DataFrame or None
        As ``journeylift simulate`` leaves them: by month, by input, by pair of initiatives.
    retention : str
        What is assumed of those who stay, in a sentence.
    portfolio : PortfolioFound or None
        As ``journeylift portfolio`` leaves it.
    monitor : MonitorFound or None
        As ``journeylift monitor`` leaves it; without it the section is left out.
    """

    header: ReportHeader
    drivers: pd.DataFrame | None = None
    effects: pd.DataFrame | None = None
    initiatives: pd.DataFrame | None = None
    metrics: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None
    health: DataHealth | None = None
    driver_notes: pd.DataFrame | None = None
    premium: PremiumFound | None = None
    paths: pd.DataFrame | None = None
    tornado: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    retention: str = ""
    portfolio: PortfolioFound | None = None
    monitor: MonitorFound | None = None


def health_of(manifest: LayoutManifest) -> DataHealth:
    """Read the health of the data from the record of its layout."""
    counters = [count for row in manifest.rows for count in _row_counters(row.table, row.read, row.kept)]
    counters.append(Counter("Customers with touchpoints", manifest.with_touchpoints))
    counters.append(Counter("Touchpoints before their customer joined (kept)", manifest.before_joining))
    notes = []
    if manifest.zoneless:
        notes.append(f"Times without a zone were read as UTC: {', '.join(manifest.zoneless)}.")
    if manifest.undeclared:
        notes.append(f"Journeys that the study does not name, among others: {', '.join(manifest.undeclared)}.")
    quarantined = [(one.table, one.reason, one.rows) for one in manifest.quarantined]
    missing = [(one.name, one.n, one.missing_share) for one in manifest.measures]
    volumes = [(one.month, one.journey, one.touchpoints) for one in manifest.volumes]
    return DataHealth(
        counters=tuple(counters),
        quarantined=pd.DataFrame(quarantined, columns=["table", "reason", "rows"]),
        missing=pd.DataFrame(missing, columns=["measure", "n", "missing_share"]),
        volumes=pd.DataFrame(volumes, columns=["month", "journey", "touchpoints"]),
        notes=tuple(notes),
    )


def _row_counters(table: str, read: int, kept: int) -> tuple[Counter, Counter]:
    """Count a table's rows before and after the checks."""
    name = table.replace("_", " ").capitalize()
    return Counter(f"{name}: rows read", read), Counter(f"{name}: rows used", kept)
