"""Effect of moving touchpoint quality on churn and revenue over a horizon from go-live.

The estimator works on person-period rows (customer x week). A hazard model and a spend model are cross-fitted by
customer, the moved histories are plugged in, and a one-step correction with a Riesz representer removes the first-order
error of the two models; its terms are also the influence of each customer, hence the standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from features.errors import EmptyResultError
from models.carried import Carried
from models.paths import Paths, Predicted, RowSlopes, Runs, paths, plug_in, row_slopes, sampling_terms
from models.period_models import PeriodModels, of_fold, spend_blocks
from models.ridge import expit, inverse_of
from models.row_blocks import RowBlocks, Stored
from models.sensitivity import Sensitivity
from models.yardsticks import sensitivity_of

Array = NDArray[np.float64]
Index = NDArray[np.int64]

INTERVAL_LEVEL = 0.90


@dataclass(frozen=True, slots=True)
class TargetRows:
    """At-risk customers from each go-live on, as observed and as moved.

    Attributes
    ----------
    X : float32 or float64 array, shape (m, p)
        Observed states.
    shift : float32 or float64 array, shape (m, q)
        What the rebuilt states differ by, in the columns that the policy moves.
    shifted : int64 array, shape (q,)
        Those columns of X.
    go_live, period : int64 arrays, shape (m,)
        Index of the go-live date and of the period after it, both from 0.
    customer : int64 array, shape (m,)
        Customer key.
    weight : float64 array, shape (m,)
        Sampling weight of the customer.
    due, scale : arrays, shape (m,)
        As in `PeriodRows`.
    carried : tuple of Carried
        What of `shift` rests on links learnt from the touchpoints: their error belongs to the effect's.
    moved : int64 array, optional
        Columns of X that the policy itself moves; those of `shifted` if not given.
    everyone : int64 array, optional
        Customers whose influence is told, ascending: those of the fit, and those from whom links were learnt.
    sampled : float
        Which share of the customers at risk the rows are; below 1 they are a random sample, whose chance belongs to the
        error.
    """

    X: Stored
    shift: Stored
    shifted: Index
    go_live: Index
    period: Index
    customer: Index
    weight: Array
    due: Array
    scale: Array
    carried: tuple[Carried, ...] = ()
    moved: Index | None = None
    everyone: Index | None = None
    sampled: float = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error and 90 % interval.

    Attributes
    ----------
    value, se : float
        Estimate, and standard error from the chance of who left and who spent what.
    form : float
        Relative standard error from what the form of the models cannot follow; widens the interval, not `t`: an effect
        of nothing has no such error.
    """

    value: float
    se: float
    form: float = 0.0

    @property
    def spread(self) -> float:
        """Both errors together."""
        return float(np.hypot(self.se, self.form * self.value))

    @property
    def lo(self) -> float:
        """Lower end of the 90 % interval."""
        return self.value - self.z * self.spread

    @property
    def hi(self) -> float:
        """Upper end of the 90 % interval."""
        return self.value + self.z * self.spread

    @property
    def z(self) -> float:
        """Normal quantile of the interval."""
        return float(ndtri(0.5 + INTERVAL_LEVEL / 2))

    @property
    def t(self) -> float:
        """Estimate over standard error; 0 when nothing moved."""
        return self.value / self.se if self.se > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of one policy on churn and revenue, mean over the customers at risk at go-live.

    Attributes
    ----------
    churn : Estimate
        Change in the probability of leaving within the horizon (-0.004: 0.4 points fewer leave).
    revenue : Estimate
        Change in revenue per customer over the horizon.
    spend : Estimate
        The part of `revenue` that comes from stayers spending differently.
    base_churn, base_revenue : float
        Level without the policy, same units.
    influence : float64 array, shape (customers, 3)
        Influence of each customer on (churn, revenue, spend); inner products give covariances across policies.
    customers : int
        Customers behind the fit.
    sensitivity : Sensitivity or None
        How far hidden causes could move it; None where the effect was not estimated from rows.
    """

    churn: Estimate
    revenue: Estimate
    spend: Estimate
    base_churn: float
    base_revenue: float
    influence: Array
    customers: int
    sensitivity: Sensitivity | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What rows are predicted to do without a policy: the same for all policies of one model.

    Attributes
    ----------
    fold : int64 array, shape (m,)
        Fold of each row's customer.
    logit, hazard, spend : float64 arrays, shape (m,)
        Predicted with the coefficients of the fold; `logit` is that of the hazard.
    runs : Runs
        Order of the rows.
    path : Paths
        Their means.
    """

    fold: Index
    logit: Array
    hazard: Array
    spend: Array
    runs: Runs
    path: Paths

    @classmethod
    def of(cls, models: PeriodModels, target: TargetRows) -> Observed:
        """Predict rows as they are; what `target` shifts is not looked at.

        Raises
        ------
        EmptyResultError
            When the target is empty.
        """
        if not len(target.customer):
            raise EmptyResultError(
                "No customer is at risk at a go-live, so no effect can be estimated. "
                "Use a longer history or another churn rule."
            )
        fold, runs = models.folds_of(target.customer), Runs.of(target)
        logit = of_fold(RowBlocks.of(target.X), models.betas, fold)
        hazard, spend = expit(logit), of_fold(_spend_of(models, target), models.gammas, fold)
        return cls(fold, logit, hazard, spend, runs, paths(target, runs, hazard, spend, hazard))


def estimate_effect(models: PeriodModels, target: TargetRows, observed: Observed | None = None) -> Effect:
    """Estimate what a policy does over the horizon.

    Parameters
    ----------
    models : PeriodModels
        Hazard and spend, from `fit_models`.
    target : TargetRows
        Rows on which the policy is evaluated.
    observed : Observed, optional
        Of these models and rows, where several policies are evaluated on them.

    Returns
    -------
    Effect

    Raises
    ------
    EmptyResultError
        When the target is empty.

    Notes
    -----
    With hazard h and spend m per period, S_0 = 1, S_{t+1} = S_t (1 - mean h_t); theta_churn = S_H - S^d_H,
    theta_revenue = sum_t S^d_t m^d_t - S_t m_t, averaged over go-live dates. Customers who survived as observed but
    less likely under the policy are reweighted by the ratio of their survival products. With g the derivative of theta
    by the coefficients and M = E[h (1 - h) X X'] (for spend E[X X']), alpha = X' M^-1 g represents the derivative of
    theta along the model, and theta + E[alpha (Y - h)] has no first-order error in the cross-fitted coefficients; M
    carries the ridge, so the correction does not undo it where the data say little. Assumes no confounder beyond the
    columns of X, and that the moved states lie where the data are. The interval does not include the choice of memory
    lengths. Where the rows are a sample of a share s of the customers at risk, each of them adds root(1 - s) times its
    distance from the means to its influence: simple random sampling without replacement, no error at s = 1.

    References
    ----------
    Diaz, Williams, Hoffman, Schenck (2023), doi:10.1080/01621459.2021.1955691, modified treatment policies.
    Chernozhukov, Newey, Singh (2022), doi:10.3982/ECTA18515, Riesz representation and automatic debiasing.
    """
    known = Observed.of(models, target) if observed is None else observed
    runs, base, predicted = known.runs, known.path, _predicted(models, target, known)
    moved = paths(target, runs, predicted.moved_hazard, predicted.moved_spend, predicted.base_hazard)
    slopes = row_slopes(target, runs, predicted, base, moved)
    pulls = _pulls(models, target, slopes)
    everyone = models.customers if target.everyone is None else target.everyone
    terms = _correction(models, everyone, *pulls)
    value = plug_in(base, moved) + terms.sum(axis=0)
    influence = terms + _of_links(models, everyone, target, slopes)
    if target.sampled < 1:
        influence += _of_sample(everyone, target, sampling_terms(target, predicted, base, moved))
    churn, revenue, stayers = (
        Estimate(float(v), float(s)) for v, s in zip(value, np.sqrt((influence**2).sum(axis=0)), strict=True)
    )
    return Effect(
        churn=churn,
        revenue=revenue,
        spend=stayers,
        base_churn=float(1 - base.survival[:, -1].mean()),
        base_revenue=float((base.survival[:, :-1] * base.spend).sum(axis=1).mean()),
        influence=influence,
        customers=len(models.customers),
        sensitivity=sensitivity_of(
            models.hazard_fit,
            models.spend_fit,
            *pulls,
            models.benchmarks,
            target.shifted if target.moved is None else target.moved,
            charge=models.charge,
        ),
    )


def _spend_of(models: PeriodModels, target: TargetRows) -> RowBlocks:
    """Columns from which the spend of the target rows is predicted."""
    return spend_blocks(target.X, models.penalised, target.due, target.scale)


def _predicted(models: PeriodModels, target: TargetRows, known: Observed) -> Predicted:
    """Predict each target row with the coefficients of its fold, as observed and as moved."""
    shift = RowBlocks.of(target.shift)
    more_spend = target.due * target.scale * of_fold(shift, models.gammas[target.shifted], known.fold)
    return Predicted(
        base_hazard=known.hazard,
        base_spend=known.spend,
        moved_hazard=expit(known.logit + of_fold(shift, models.betas[target.shifted], known.fold)),
        moved_spend=known.spend + more_spend,
    )


def _pulls(models: PeriodModels, target: TargetRows, slopes: RowSlopes) -> tuple[Array, Array]:
    """Differentiate by the coefficients of hazard and spend, shapes (3, p) and (3, p + 2); mean over go-lives."""
    go_lives = int(target.go_live.max()) + 1
    shift = RowBlocks.of(target.shift)
    on_hazard = RowBlocks.of(target.X).summed(slopes.base_hazard + slopes.moved_hazard)
    on_hazard[:, target.shifted] += shift.summed(slopes.moved_hazard)
    on_spend = _spend_of(models, target).summed(slopes.base_spend + slopes.moved_spend)
    on_spend[:, target.shifted] += shift.summed(slopes.moved_spend * (target.due * target.scale))
    return on_hazard / go_lives, on_spend / go_lives


def _correction(models: PeriodModels, everyone: Index, on_hazard: Array, on_spend: Array) -> Array:
    """First-order error of both models, by customer; shape (customers, 3)."""
    of_hazard = inverse_of(models.hazard_information, models.before)
    of_spend = inverse_of(models.spend_information, np.ones(len(models.spend_information), bool))
    terms = np.zeros((len(everyone), 3))
    place = np.searchsorted(everyone, models.customers)
    terms[place] = models.hazard_scores @ (of_hazard @ on_hazard.T)
    terms[place] += models.spend_scores @ (of_spend @ on_spend.T)
    return terms


def _of_sample(everyone: Index, target: TargetRows, terms: Array) -> Array:
    """Error of having followed a part of the customers at risk only, by customer; shape (customers, 3)."""
    position, go_lives = np.searchsorted(everyone, target.customer), int(target.go_live.max()) + 1
    by_customer = np.column_stack([np.bincount(position, one, len(everyone)) for one in terms])
    return np.asarray(np.sqrt(1 - target.sampled) / go_lives * by_customer)


def _of_links(models: PeriodModels, everyone: Index, target: TargetRows, slopes: RowSlopes) -> Array:
    """Error of the learnt links, by customer; shape (customers, 3)."""
    go_lives = int(target.go_live.max()) + 1
    terms = np.zeros((len(everyone), 3))
    for carried in target.carried:
        for at_moved, coefficients in (
            (slopes.moved_hazard / go_lives, models.betas.mean(axis=1)),
            (slopes.moved_spend * (target.due * target.scale / go_lives), models.gammas.mean(axis=1)),
        ):
            keys, added = carried.influence(at_moved, coefficients)
            terms[np.searchsorted(everyone, keys)] += added
    return terms
