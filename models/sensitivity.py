"""How far something unseen could move an effect, measured by what the covariates that are seen do.

A cause that is in no table moves an estimate only as far as it moves two things: who leaves or spends (beyond what the
models see), and the quality that customers meet. Both are shares of variance between 0 and 1. What each observed
covariate explains of both is the yardstick: *as strong as segment*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.ridge import inverse_of, solve

if TYPE_CHECKING:
    from models.effects import Estimate

__all__ = [
    "Band", "Benchmark", "Bound", "Regression", "Sensitivity", "Way", "bias_bound", "robustness_value", "sensitivity_of",
]  # fmt: skip

Array = NDArray[np.float64]
Index = NDArray[np.int64]

HALVINGS = 80


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


@dataclass(frozen=True, slots=True)
class Way:
    """One way by which a hidden cause can bend an estimate: by who leaves, or by what stayers spend.

    Attributes
    ----------
    scale : float
        S = sqrt(E[alpha^2] E[residual^2]), in units of the estimate.
    outcome : float64 array, shape (benchmarks,)
        What each covariate explains of the outcome when nothing else is known of customers, over what is left then
        (partial f2).
    quality : float64 array, shape (benchmarks,)
        Share of the variance of the moved exposures that it explains (partial R2), of the mix of them of which it
        explains most.
    """

    scale: float
    outcome: Array
    quality: Array

    def bound(self, benchmark: int, times: float) -> float:
        """Bend by a cause that is so many times as strong; infinite when it would explain all of the quality.

        Cinelli and Hazlett 2020, section 4.4: beside an outcome that depends on both, a hidden cause goes along with
        the covariate once the exposure is given, which makes it stronger than the covariate looks.
        """
        known = self.quality[benchmark]
        if times * known >= 1 - known:
            return np.inf
        quality = times * known / (1 - known)
        together = np.sqrt(times * known**2 / ((1 - times * known) * (1 - known)))
        outcome = self.outcome[benchmark] * (np.sqrt(times) + together) ** 2 / (1 - together**2)
        return bias_bound(self.scale, min(float(outcome), 1.0), float(quality))


@dataclass(frozen=True, slots=True)
class Band:
    """An interval widened by what a hidden cause of a stated strength could add or take away."""

    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How far hidden causes of any strength could move one estimate.

    Attributes
    ----------
    names : tuple of str
        Covariates to compare with.
    ways : tuple of Way
        The bends of all ways add up at worst.
    """

    names: tuple[str, ...]
    ways: tuple[Way, ...]

    @property
    def strongest(self) -> str:
        """The covariate as strong as which a hidden cause would bend the estimate most; empty without covariates."""
        return max(self.names, key=self.of, default="")

    def of(self, name: str, times: float = 1.0) -> float:
        """Largest bend by a cause so many times as strong as a covariate.

        Parameters
        ----------
        name : str
            One of `names`; empty without covariates.
        times : float
            Both f2, of outcome and of quality, are multiplied by it.

        Returns
        -------
        float
            In units of the estimate; infinite where such a cause would explain all of the quality, NaN where there is
            no covariate to compare with.
        """
        if not name:
            return float("nan")
        number = self.names.index(name)
        return sum(way.bound(number, times) for way in self.ways)

    def band(self, estimate: Estimate, name: str, times: float = 1.0) -> Band:
        """Widen the 90 % interval of an estimate by the bend; NaN without covariates."""
        bend = self.of(name, times)
        return Band(estimate.lo - bend, estimate.hi + bend)

    def robustness(self, distance: float) -> float:
        """Share of variance, equal for outcome and quality, at which the bend is as large as a distance.

        Parameters
        ----------
        distance : float
            From the estimate, or from the near end of its interval, to zero; at most 0 gives 0.

        Returns
        -------
        float
            In [0, 1]; 0 where nothing moved.
        """
        scale = sum(way.scale for way in self.ways)
        return robustness_value(distance / scale) if scale > 0 and distance > 0 else 0.0

    def times(self, distance: float, name: str) -> float:
        """How many times as strong as a covariate a cause must be to bend the estimate by a distance.

        Returns
        -------
        float
            0 for a distance of at most 0; infinite where the covariate moves nothing; NaN without covariates.
        """
        if not name or distance <= 0:
            return 0.0 if name else float("nan")
        number = self.names.index(name)
        active = [way for way in self.ways if way.scale * way.outcome[number] * way.quality[number] > 0]
        if not active:
            return np.inf
        # The bend rises with the strength and is infinite where a way has no quality left, so there is one solution.
        most = max(way.quality[number] for way in active)
        low, high = 0.0, float((1 - most) / most)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if sum(way.bound(number, middle) for way in active) < distance else (low, middle)
        return (low + high) / 2

    def scaled(self, factor: float) -> Bound:
        """Bound of a multiple of the estimate."""
        return Bound(self.names, tuple(Way(abs(factor) * w.scale, w.outcome, w.quality) for w in self.ways))


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Bounds for the effects on churn, on revenue, and on its part from stayers."""

    churn: Bound
    revenue: Bound
    spend: Bound

    def scaled(self, factor: float) -> Sensitivity:
        """Bounds of a multiple of the effect."""
        return Sensitivity(self.churn.scaled(factor), self.revenue.scaled(factor), self.spend.scaled(factor))


def bias_bound(scale: float, outcome: float, quality: float) -> float:
    """Largest bias by a hidden cause.

    Parameters
    ----------
    scale : float
        S = sqrt(E[alpha^2] E[residual^2]).
    outcome, quality : float
        R2_Y: share of the residual variance of the outcome that the cause explains; R2_D: share of the variance of the
        long representer that is not in the short one; below 1.

    Returns
    -------
    float
        S sqrt(R2_Y R2_D / (1 - R2_D)); attained by one omitted variable in a linear model.
    """
    return float(scale * np.sqrt(outcome * quality / (1 - quality)))


def robustness_value(f: float) -> float:
    """Equal strength with outcome and exposure at which a hidden cause explains an estimate away.

    Parameters
    ----------
    f : float
        Distance to zero over S, the scale of the bias. In a linear model of one exposure: t / sqrt(degrees of
        freedom); for the near end of an interval, (|t| - critical value) / sqrt(degrees of freedom). Not negative.

    Returns
    -------
    float
        In [0, 1]. Solves RV / sqrt(1 - RV) = f.

    References
    ----------
    Cinelli and Hazlett (2020), Making sense of sensitivity, doi:10.1111/rssb.12348, section 4.2.

    Examples
    --------
    >>> round(robustness_value(4.18 / 783**0.5), 3)  # their Darfur example: 13.9 %
    0.139
    """
    return float(0.5 * (np.sqrt(f**4 + 4 * f**2) - f**2))


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
        outcome.append(max(gain, 0.0) / (regression.residual + max(left, 0.0)))
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
