"""What churn and revenue would do if a measure improved: one standard improvement for each that the firm controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import EmptyResultError
from features.measures import Feature
from features.study import Measure, Study
from models.adjustment import AdjustmentSet, Exposure, adjustment_set
from models.baseline import rare_together
from models.doubts import COLUMNS as DOUBTS
from models.doubts import doubts
from models.effects import Effect, TargetRows, estimate_effect
from models.initiatives import Change, Initiative
from models.period_models import PeriodRows, fit_models
from models.placebo import Placebo
from models.policy import PolicyEffect, policy_effect
from models.quality_ties import covariate_columns
from models.shared_fits import SharedFits
from models.splits import cluster_column
from models.verdicts import Evidence, Ruling, judge
from models.yardsticks import Benchmark

Array = NDArray[np.float64]

STEP = 0.2
COLUMNS = (
    "journey", "touchpoint", "measure", "unit", "change", "churn_effect", "churn_lo", "churn_hi",
    "revenue_effect", "revenue_lo", "revenue_hi", "raw_churn_effect", "raw_revenue_effect", "support_share",
    "robustness_value", "adjustment", "n", "n_contacts", "verdict", *DOUBTS[1:],
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lever:
    """The effect of improving one measure, with what is shown beside it.

    Attributes
    ----------
    exposure : Exposure
        Journey and measure.
    unit, change : str
        Unit of the measure, and the improvement in words.
    effect : Effect
        On churn and revenue, mean over all customers at risk.
    raw_churn, raw_revenue : float
        What the univariate slope times the same change would have said; NaN where it cannot be computed.
    support_share : float
        Share of improved values inside what was observed.
    adjustment : AdjustmentSet
        What was held fixed.
    contacts : int
        Moved touchpoints on which the effect rests, of a large study those of a sample (flat table: rows).
    placebo : Placebo or None
        The same on the past; None for a flat table.
    """

    exposure: Exposure
    touchpoint: str
    unit: str
    change: str
    effect: Effect
    raw_churn: float
    raw_revenue: float
    support_share: float
    adjustment: AdjustmentSet
    contacts: int
    placebo: Placebo | None = None


def to_frame(levers: Sequence[Lever], rng: np.random.Generator) -> pd.DataFrame:
    """Lay levers out as a table, the strongest effect on churn first.

    Parameters
    ----------
    levers : sequence of Lever
        All that are looked at together: their verdicts share one chance of error.
    rng : numpy.random.Generator
        For `models.verdicts.judge`.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; effects in probability and in currency per customer over the horizon.
    """
    evidence = [Evidence(lever.effect, lever.support_share, lever.placebo) for lever in levers]
    rulings = judge(evidence, rng)
    rows = [_row(lever, ruling) for lever, ruling in zip(levers, rulings, strict=True)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values("churn_effect", kind="stable").reset_index(drop=True)


def _row(lever: Lever, ruling: Ruling) -> tuple[object, ...]:
    churn, revenue = lever.effect.churn, lever.effect.revenue
    has_revenue = lever.effect.base_revenue != 0 or revenue.se > 0
    money = (revenue.value, revenue.lo, revenue.hi) if has_revenue else (np.nan,) * 3
    beside = doubts(lever.effect, ruling, lever.placebo)
    return (
        lever.exposure.journey, lever.touchpoint, lever.exposure.measure, lever.unit, lever.change,
        churn.value, churn.lo, churn.hi, *money, lever.raw_churn, lever.raw_revenue, lever.support_share,
        beside["churn_robustness_value"], lever.adjustment.describe(), lever.effect.customers, lever.contacts,
        ruling.verdict, *(beside[column] for column in DOUBTS[1:]),
    )  # fmt: skip


def standard_improvement(measure: Measure, journey: str) -> Change:
    """Say what "a fifth better" means for a measure.

    Parameters
    ----------
    measure : Measure
        Kind and direction decide.
    journey : str
        Where it is improved.

    Returns
    -------
    Change
        A share: a fifth of the failures mended. Anything else: a fifth less where lower is better, a fifth more where
        higher is better.

    Examples
    --------
    >>> wait = Measure(name="wait", unit="min", kind="duration", direction="lower")
    >>> standard_improvement(wait, "support").describe()
    'support wait x 0.8'
    """
    if measure.kind == "share":
        return Change(journey=journey, measure=measure.name, convert=STEP)
    return Change(journey=journey, measure=measure.name, scale=1 - STEP if measure.direction == "lower" else 1 + STEP)


def levers(
    fits: SharedFits,
    panel: pd.DataFrame,
    features: Sequence[Feature],
    *,
    tick: Callable[[str], None] = lambda _: None,
) -> tuple[Lever, ...]:
    """Estimate the effect of improving each measure that the firm controls.

    Parameters
    ----------
    fits : SharedFits
        Models of a prepared study.
    panel : pandas.DataFrame
        Mature rows, for the raw contrast.
    features : sequence of Feature
        Columns of the panel.
    tick : callable, optional
        Told which measure is being estimated.

    Returns
    -------
    tuple of Lever
    """
    measures = {m.name: m for m in fits.prepared.study.measures}
    out = []
    for exposure in sorted(fits.prepared.exposures):
        measure = measures[exposure.measure]
        if measure.is_controllable:
            tick(f"effect of {exposure}")
            change = standard_improvement(measure, exposure.journey)
            policy = policy_effect(fits, Initiative(name="lever", changes=(change,)))
            out.append(_lever(measure, change, policy, _mean_column(exposure, features), panel))
    return tuple(out)


def _lever(measure: Measure, change: Change, policy: PolicyEffect, column: str | None, panel: pd.DataFrame) -> Lever:
    moved = policy.mean_change[change.exposure]
    return Lever(
        exposure=change.exposure,
        touchpoint="",
        unit=measure.unit,
        change=change.describe().removeprefix(f"{change.journey} "),
        effect=policy.effect,
        raw_churn=raw_contrast(panel, column, "is_churned", moved),
        raw_revenue=raw_contrast(panel, column, "revenue", moved),
        support_share=policy.support_share,
        adjustment=policy.adjustment,
        contacts=policy.followed_contacts,
        placebo=policy.placebo,
    )


def _mean_column(exposure: Exposure, features: Sequence[Feature]) -> str | None:
    """Name the panel's mean of a measure in a journey."""
    return next(
        (
            f.name
            for f in features
            if (f.journey, f.measure, f.level) == (exposure.journey, exposure.measure, "journey")
            and f.name.endswith("__mean")
        ),
        None,
    )


def raw_contrast(panel: pd.DataFrame, column: str | None, outcome: str, change: float) -> float:
    """Say what correlation would have promised: the univariate slope times the change.

    Parameters
    ----------
    panel : pandas.DataFrame
        Mature rows with `weight`.
    column : str or None
        Mean of the measure; rows without it are left out of the slope.
    outcome : str
        `is_churned` or `revenue`.
    change : float
        Mean change of the measure where it applies.

    Returns
    -------
    float
        Mean over all rows; NaN when nothing can be computed.
    """
    if column is None or outcome not in panel or column not in panel:
        return float("nan")
    known = panel[[column, outcome, "weight"]].dropna()
    if len(known) < 3 or known[column].nunique() < 2:
        return float("nan")
    x, y, w = (known[name].to_numpy(float) for name in (column, outcome, "weight"))
    centred = x - np.average(x, weights=w)
    slope = float((w * centred) @ y / ((w * centred) @ centred))
    return slope * change * float(panel[column].notna().mean())


def flat_levers(
    study: Study, panel: pd.DataFrame, features: Sequence[Feature], rng: np.random.Generator
) -> tuple[Lever, ...]:
    """Estimate the same on a flat table, where the horizon is one period and nothing is rebuilt.

    Parameters
    ----------
    study : Study
        A flat study; journeys in lifecycle order and measures in causal order say what to hold fixed.
    panel : pandas.DataFrame
        Rows with `is_churned`, `weight`, perhaps `revenue`.
    features : sequence of Feature
        Columns of the panel.
    rng : numpy.random.Generator
        Deals customers into folds.

    Returns
    -------
    tuple of Lever
        Estimand: change in the outcome, mean over all rows, if each row's own value improved by a fifth, covariates and
        upstream measures as they are.

    Raises
    ------
    EmptyResultError
        When only one class of churn is there.
    """
    column = {(f.journey, f.measure): f.name for f in features if f.measure is not None and f.kind == "number"}
    known = [Exposure(m.journey, m.name) for m in study.measures if m.journey and (m.journey, m.name) in column]
    varying = [e for e in known if _is_varying(panel[column[e.journey, e.measure]])]
    if not _is_varying(panel["is_churned"]):
        raise EmptyResultError("All rows have the same churn, so nothing can be learnt. Bring stayers and leavers.")
    measures = {m.name: m for m in study.measures}
    out = []
    for exposure in varying:
        if measures[exposure.measure].is_controllable:
            held = adjustment_set(study, [exposure], varying)
            out.append(_flat_lever(study, measures[exposure.measure], held, panel, column, rng))
    return tuple(out)


def _is_varying(values: pd.Series) -> bool:
    known = values.dropna()
    return len(known) > 0 and bool((known != known.iloc[0]).any())


def _flat_lever(
    study: Study,
    measure: Measure,
    held: AdjustmentSet,
    panel: pd.DataFrame,
    column: Mapping[tuple[str | None, str], str],
    rng: np.random.Generator,
) -> Lever:
    exposure = held.moved[0]
    name = column[exposure.journey, exposure.measure]
    change = standard_improvement(measure, exposure.journey)
    value = panel[name].to_numpy(float)
    mended = np.where(np.isnan(value), np.nan, _improved(change, value, measure, rng))
    fixed = _flat_controls(
        study, panel, held.covariates, [column[e.journey, e.measure] for e in (*held.upstream, *held.context)]
    )
    centre = float(np.nanmedian(value))
    own = _pieces(value, centre)
    X = np.column_stack([fixed, own])
    shifted = fixed.shape[1] + np.arange(own.shape[1])
    n = len(panel)
    spend = panel["revenue"].fillna(0.0).to_numpy(float) if "revenue" in panel else np.zeros(n)
    weight, key = panel["weight"].to_numpy(float), pd.factorize(panel[cluster_column(panel)], sort=True)[0]
    penalised = np.arange(X.shape[1]) >= fixed.shape[1]
    churned = panel["is_churned"].to_numpy(float)
    one = np.ones(n)
    known = _flat_benchmarks(held.covariates, panel, X.shape[1])
    rows = PeriodRows(X, penalised, np.ones(X.shape[1], bool), churned, spend, weight, key, one, one, known)
    zeros = np.zeros(n, np.int64)
    target = TargetRows(X, _pieces(mended, centre) - own, shifted, zeros, zeros, key, weight, one, one)
    low, high = np.nanquantile(value, [0.01, 0.99])
    touched = ~np.isnan(value) & (mended != value)
    inside = (mended[touched] >= low) & (mended[touched] <= high)
    mean_change = float(np.nanmean(mended - value))
    return Lever(
        exposure=exposure,
        touchpoint=measure.touchpoint or "",
        unit=measure.unit,
        change=change.describe().removeprefix(f"{change.journey} "),
        effect=estimate_effect(fit_models(rows, rng), target),
        raw_churn=raw_contrast(panel, name, "is_churned", mean_change),
        raw_revenue=raw_contrast(panel, name, "revenue", mean_change),
        support_share=float(inside.mean()) if len(inside) else 1.0,
        adjustment=held,
        contacts=int(touched.sum()),
    )


def _improved(change: Change, value: Array, measure: Measure, rng: np.random.Generator) -> Array:
    return change.delivered(value, 1.0, rng.random(len(value)), lower_is_better=measure.direction == "lower")


def _flat_controls(study: Study, panel: pd.DataFrame, covariates: Sequence[str], upstream: Sequence[str]) -> Array:
    """Intercept, covariates and waves with levels laid out, upstream measures with a flag where they do not apply."""
    encoded = _encoded(panel, covariates)
    waves = np.zeros((len(panel), 0))
    if study.flat is not None and study.flat.wave:
        waves = pd.get_dummies(panel["cutoff"].astype(str), drop_first=True, dtype=float).to_numpy()
    numbers = panel[[*_numeric(panel, covariates), *upstream]].astype(float)
    flags = numbers.isna().astype(float)
    filled = numbers.fillna(numbers.median()).fillna(0.0)
    return np.column_stack([encoded, filled, flags, waves])


def _flat_benchmarks(covariates: Sequence[str], panel: pd.DataFrame, columns: int) -> tuple[Benchmark, ...]:
    """Make each covariate a yardstick; measures are as they were measured, so they have no ties taken out."""
    laid_out = [*_encoded(panel, covariates), *_numeric(panel, covariates)]
    names = [f"baseline__{name}" for name in laid_out]
    return tuple(
        Benchmark(covariate, np.array([names.index(c) for c in own], np.int64), np.zeros((len(own), columns)))
        for covariate, own in covariate_columns(names, covariates).items()
    )


def _numeric(panel: pd.DataFrame, covariates: Sequence[str]) -> list[str]:
    return [c for c in covariates if pd.api.types.is_numeric_dtype(panel[c])]


def _encoded(panel: pd.DataFrame, covariates: Sequence[str]) -> pd.DataFrame:
    """Intercept first, then the levels of covariates that are text, all but the first of each; rare ones are one."""
    levels = {c: rare_together(panel[c]) for c in covariates if c not in _numeric(panel, covariates)}
    named = pd.DataFrame(levels, index=panel.index).assign(intercept=1.0)
    return pd.get_dummies(named, drop_first=True, dtype=float)


def _pieces(value: Array, centre: float) -> Array:
    """Return the value below and above its median, and whether it applies: the two sides may act differently."""
    known = ~np.isnan(value)
    away = np.where(known, value - centre, 0.0)
    return np.column_stack([np.minimum(away, 0.0), np.maximum(away, 0.0), ~known])
