"""Observed covariates as yardsticks for hidden causes, from the moments of the regressions behind an effect.

Nothing is fitted anew: what a regression would be without some of its columns follows from its second moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ridge import inverse_of, solve
from models.sensitivity import Bound, Sensitivity, Way

__all__ = ["Benchmark", "Regression", "sensitivity_of"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """An observed covariate: a yardstick for causes that are not observed.

    Attributes
    ----------
    name : str
        The covariate; empty for what else is known of the customer (past spend): it is no yardstick, but would say
        much of what the covariates say.
    columns : int64 array, shape (q,)
        Its columns of the regressions.
    ties : float64 array, shape (q, p)
        By how much each column of the regression would be larger for one unit more in each of the covariate's columns,
        had nobody known the covariate: exposures are deviations from what was to be expected of such customers, so
        the tie is taken out of them before. Zero where a column is as it was measured.
    """

    name: str
    columns: Index
    ties: Array


@dataclass(frozen=True, slots=True)
class Regression:
    """One of the two regressions behind an effect, as far as its sensitivity needs it.

    Attributes
    ----------
    information : float64 array, shape (p, p)
        E[v x x'] without ridge, v the weight of a row (hazard: h (1 - h); spend: one over squared scale).
    ridge : float64 array, shape (p,)
        Added to its diagonal.
    coefficients : float64 array, shape (p,)
        Fitted.
    used : bool array, shape (p,)
        Columns that take part.
    residual : float
        E of the squared residual, in units of its variance given the row: about 1 for the hazard.
    """

    information: Array
    ridge: Array
    coefficients: Array
    used: NDArray[np.bool_]
    residual: float


def sensitivity_of(
    hazard: Regression,
    spend: Regression,
    on_hazard: Array,
    on_spend: Array,
    benchmarks: Sequence[Benchmark],
    moved: Index,
    charge: float,
) -> Sensitivity:
    """Bound the bias from what is in no column.

    Parameters
    ----------
    hazard : Regression
        Of p columns.
    spend : Regression
        Of p + 2 columns: those of the hazard as far as a charge is due (exposures times the scale), the scale, and a
        column for periods without a charge.
    on_hazard : float64 array, shape (3, p)
        Derivatives of (churn, revenue, spend) by the coefficients of the hazard.
    on_spend : float64 array, shape (3, p + 2)
        The same by those of spend.
    benchmarks : sequence of Benchmark
        Observed covariates.
    moved : int64 array, shape (q,)
        Columns of exposures that the policy moves.
    charge : float
        Typical scale, by which ties are brought to the size of the columns of spend.

    Returns
    -------
    Sensitivity

    Notes
    -----
    With g the regression on everything, g_s the one without the hidden cause, alpha and alpha_s their representers:
    theta_s - theta = E[(g_s - g)(alpha_s - alpha)], so |bias| <= S C_Y C_D, S^2 = E[(Y - g_s)^2] E[alpha_s^2],
    C_Y^2 = R2_Y, C_D^2 = R2_D / (1 - R2_D). R2_Y: share of the variance that g_s leaves which the cause explains;
    R2_D = 1 - R2(alpha ~ alpha_s). All moments are weighted by v (for the hazard h (1 - h), the variance of a yes or
    no), which is the same inequality for (g_s - g) / sqrt(v) and (alpha_s - alpha) sqrt(v) and takes the shares as of
    standardised outcomes. Revenue has two representers, along the hazard and along spend; their bounds add up.

    Benchmarks: without all covariates, and with their ties left in what exposures are compared with, the columns are
    T' x with T known; so moments T' M T and derivatives T' g, and nothing is fitted anew. Then each covariate comes in
    alone: what it explains of the outcome, and its largest squared canonical correlation with the moved exposures (a
    hidden cause as strong may go along with just the mix that the policy moves). Differs from the sources, which take
    covariates out one at a time and keep their direction: a covariate that others repeat would count for nothing there,
    and a hidden cause is repeated by none.

    References
    ----------
    Chernozhukov, Cinelli, Newey, Sharma, Syrgkanis (2022), Long story short, doi:10.3386/w30302, theorems 1 and 2.
    Cinelli and Hazlett (2020), doi:10.1111/rssb.12348, section 4.4, for causes as strong as a covariate.
    """
    names = tuple(one.name for one in benchmarks if one.name)
    by_hazard = _ways(hazard, on_hazard, benchmarks, moved)
    by_spend = _ways(spend, on_spend, [_in_spend(one, spend, charge) for one in benchmarks], moved)
    pairs = zip(by_hazard, by_spend, strict=True)
    return Sensitivity(*(Bound(names, tuple(way for way in pair if way.scale > 0)) for pair in pairs))


@dataclass(frozen=True, slots=True)
class _Without:
    """What the columns x become had nobody known a covariate: turn' x, of the columns that are kept."""

    turn: Array  # (p, kept)
    kept: Index

    @classmethod
    def of(cls, unknown: Sequence[Benchmark], p: int) -> _Without:
        whole = np.eye(p)
        for one in unknown:
            whole[one.columns] += one.ties
        gone = np.concatenate([one.columns for one in unknown]) if unknown else np.zeros(0, np.int64)
        kept = np.delete(np.arange(p), gone)
        return cls(whole[:, kept], kept)

    def regression(self, full: Regression) -> Regression:
        """Take the same regression on what is kept; its coefficients are those of the nearest fit."""
        moments = self.turn.T @ full.information @ self.turn
        towards = self.turn.T @ (full.information @ full.coefficients)
        used = full.used[self.kept]
        return Regression(moments, full.ridge[self.kept], inverse_of(moments, used) @ towards, used, full.residual)


def _in_spend(benchmark: Benchmark, spend: Regression, charge: float) -> Benchmark:
    """Bring ties to the columns of spend; the scale was predicted from the covariate too, and does without it."""
    p = benchmark.ties.shape[1]
    controls = (np.arange(p + 2) < p) & (spend.ridge == 0)
    slopes = solve(spend.information, spend.information[p], controls)
    ties = np.zeros((len(benchmark.columns), p + 2))
    ties[:, :p] = benchmark.ties * charge
    ties[:, p] = -slopes[benchmark.columns]
    return Benchmark(benchmark.name, benchmark.columns, ties)


def _ways(regression: Regression, pulls: Array, benchmarks: Sequence[Benchmark], moved: Index) -> list[Way]:
    """Scale of the bias along one regression, and what each covariate explains of outcome and exposures; by pull."""
    p = len(regression.coefficients)
    blind = _Without.of(benchmarks, p)
    none = blind.regression(regression)
    exposures = moved[regression.used[moved]]
    outcome, quality = [], []
    for known in (one for one in benchmarks if one.name):
        others = _Without.of([one for one in benchmarks if one is not known], p)
        alone = others.regression(regression)
        gain, left = _explained(alone) - _explained(none), _explained(regression) - _explained(alone)
        unexplained = regression.residual + max(left, 0.0)  # nothing where nothing is spent
        outcome.append(max(gain, 0.0) / unexplained if unexplained > 0 else 0.0)
        quality.append(_lost(_spread(alone, others, exposures), _spread(none, blind, exposures)))
    of_outcome, of_quality = np.array(outcome, np.float64), np.clip(np.array(quality, np.float64), 0.0, 1.0)
    along = pulls @ inverse_of(regression.information + np.diag(regression.ridge), regression.used)
    scales = np.sqrt(((along @ regression.information) * along).sum(axis=1) * regression.residual)
    return [Way(float(scale), of_outcome, of_quality) for scale in scales]


def _spread(regression: Regression, without: _Without, exposures: Index) -> Array:
    """Inverse of the second moments of exposures beyond all other columns; shape (exposures, exposures)."""
    at = np.searchsorted(without.kept, exposures)
    inverse = inverse_of(regression.information + np.diag(regression.ridge), regression.used)
    return np.asarray(inverse[np.ix_(at, at)])


def _lost(known: Array, unknown: Array) -> float:
    """Largest share of variance, over mixes of exposures, that goes once a covariate is known."""
    if not len(known):
        return 0.0
    values, vectors = np.linalg.eigh(known)
    some = values > 1e-10 * max(float(values[-1]), 1e-300)
    root = vectors[:, some] / np.sqrt(values[some])
    return 1 - float(np.linalg.eigvalsh(root.T @ unknown @ root)[0]) if some.any() else 0.0


def _explained(regression: Regression) -> float:
    """Weighted second moment of what is fitted."""
    return float(regression.coefficients @ regression.information @ regression.coefficients)
