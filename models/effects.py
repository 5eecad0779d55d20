"""Effect of moving touchpoint quality on churn and revenue over a horizon from go-live.

The estimator works on person-period rows (customer x week). A hazard model and a spend model are cross-fitted by
customer, the moved histories are plugged in, and a one-step correction with a Riesz representer removes the first-order
error of the two models; its terms are also the influence of each customer, hence the standard error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from features.errors import EmptyResultError
from models.paths import Predicted, Runs, paths, plug_in, row_slopes
from models.ridge import expit, fit_logistic, inverse_of, ridge_of, solve

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FOLDS = 5
INTERVAL_LEVEL = 0.90


@dataclass(frozen=True, slots=True)
class PeriodRows:
    """Person-period rows for fitting.

    Attributes
    ----------
    X : float64 array, shape (n, p)
        State at the start of the period; the first column is the intercept.
    penalised : bool array, shape (p,)
        True for exposure columns, which take a light ridge; controls take none.
    before : bool array, shape (p,)
        True for what is settled when the period starts. What happens within the period moves its spend (a wrong bill
        is credited on the spot) but is cut short by leaving: those columns stay out of the hazard.
    churned : float64 array, shape (n,)
        1 where the customer left within the period.
    spend : float64 array, shape (n,)
        Revenue within the period, in the study's currency.
    weight : float64 array, shape (n,)
        Inverse of the probability with which the row was kept.
    customer : int64 array, shape (n,)
        Customer key: the cluster.
    due : float64 array, shape (n,)
        What is charged in the period on average over `scale`, as known at its start, from 0 to 1 (a charge is due).
    scale : float64 array, shape (n,)
        What such a customer is charged; experience moves spend, and luck disturbs it, in proportion.
    """

    X: Array
    penalised: NDArray[np.bool_]
    before: NDArray[np.bool_]
    churned: Array
    spend: Array
    weight: Array
    customer: Index
    due: Array
    scale: Array


@dataclass(frozen=True, slots=True)
class TargetRows:
    """At-risk customers from each go-live on, as observed and as moved.

    Attributes
    ----------
    X : float64 array, shape (m, p)
        Observed states.
    shift : float64 array, shape (m, q)
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
    """

    X: Array
    shift: Array
    shifted: Index
    go_live: Index
    period: Index
    customer: Index
    weight: Array
    due: Array
    scale: Array


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
        return float(stats.norm.ppf(0.5 + INTERVAL_LEVEL / 2))

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
    """

    churn: Estimate
    revenue: Estimate
    spend: Estimate
    base_churn: float
    base_revenue: float
    influence: Array
    customers: int


def estimate_effect(rows: PeriodRows, target: TargetRows, rng: np.random.Generator, *, folds: int = FOLDS) -> Effect:
    """Estimate what a policy does over the horizon.

    Parameters
    ----------
    rows : PeriodRows
        Rows for fitting hazard and spend.
    target : TargetRows
        Rows on which the policy is evaluated.
    rng : numpy.random.Generator
        Deals customers into folds.
    folds : int
        Cross-fitting folds, by customer.

    Returns
    -------
    Effect

    Raises
    ------
    EmptyResultError
        When nobody, or everybody, churned in the rows, or the target is empty.

    Notes
    -----
    With hazard h and spend m per period, S_0 = 1, S_{t+1} = S_t (1 - mean h_t); theta_churn = S_H - S^d_H,
    theta_revenue = sum_t S^d_t m^d_t - S_t m_t, averaged over go-live dates. Customers who survived as observed but
    less likely under the policy are reweighted by the ratio of their survival products. With g the derivative of theta
    by the coefficients and M = E[h (1 - h) X X'] (for spend E[X X']), alpha = X' M^-1 g represents the derivative of
    theta along the model, and theta + E[alpha (Y - h)] has no first-order error in the cross-fitted coefficients; M
    carries the ridge, so the correction does not undo it where the data say little. Assumes no confounder beyond the
    columns of X, and that the moved states lie where the data are. The interval does not include the choice of memory
    lengths.

    References
    ----------
    Diaz, Williams, Hoffman, Schenck (2023), doi:10.1080/01621459.2021.1955691, modified treatment policies.
    Chernozhukov, Newey, Singh (2022), doi:10.3982/ECTA18515, Riesz representation and automatic debiasing.
    """
    (effect,) = estimate_effects(rows, [target], rng, folds=folds)
    return effect


def estimate_effects(
    rows: PeriodRows, targets: Iterable[TargetRows], rng: np.random.Generator, *, folds: int = FOLDS
) -> Iterator[Effect]:
    """Estimate what several policies do, each as `estimate_effect` would, from one fit of the models.

    Parameters
    ----------
    rows, rng, folds
        As for `estimate_effect`.
    targets : iterable of TargetRows
        Asked for one by one; they differ in `shift` and `shifted` alone.

    Yields
    ------
    Effect
    """
    spend: _Spend | None = None
    for target in targets:
        if spend is None:
            _check(rows, target)
            fold_of_row, fold_of_target = _folds(rows.customer, target.customer, folds, rng)
            spend = _Spend.of(rows, target)
            fitted = _cross_fit(rows, target, spend, fold_of_row, fold_of_target, folds)
        else:
            spend = replace(spend, shift=target.shift * (target.due * target.scale)[:, None])
            predicted = _predicted(target, spend, fold_of_target, fitted.betas, fitted.gammas)
            fitted = replace(fitted, predicted=predicted)
        yield _one_step(rows, target, spend, fitted)


def _check(rows: PeriodRows, target: TargetRows) -> None:
    events = float(rows.churned.sum())
    if events == 0 or events == len(rows.churned) or not len(target.customer):
        raise EmptyResultError(
            f"An effect needs customers who left and customers who stayed: {events:.0f} of {len(rows.churned)} "
            f"person-periods end in churn and {len(target.customer)} rows follow a go-live. "
            "Use a longer history or another churn rule."
        )


@dataclass(frozen=True, slots=True)
class _Spend:
    """Columns from which spend is predicted: those of the hazard as far as a charge is due, exposures times the scale.

    Behind them stand the scale itself, and a column for periods without a charge due. Weights fall with the square of
    the scale, as the variance of spend rises with it.
    """

    X: Array  # (n, p + 2)
    weight: Array  # (n,)
    target: Array  # (m, p + 2)
    shift: Array  # (m, q)

    @classmethod
    def of(cls, rows: PeriodRows, target: TargetRows) -> _Spend:
        def columns(X: Array, due: Array, scale: Array) -> Array:
            factor = np.where(rows.penalised, scale[:, None], 1.0) * due[:, None]
            return np.column_stack([X * factor, due * scale, due < 1])

        return cls(
            columns(rows.X, rows.due, rows.scale),
            rows.weight / rows.scale**2,
            columns(target.X, target.due, target.scale),
            target.shift * (target.due * target.scale)[:, None],
        )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Out-of-fold predictions on the fitting rows and on both versions of the target."""

    hazard: Array
    spend: Array
    predicted: Predicted
    hazard_information: Array  # (p, p), ridge included, per unit of weight
    spend_information: Array
    betas: Array  # (p, folds)
    gammas: Array


def _folds(row_customer: Index, target_customer: Index, folds: int, rng: np.random.Generator) -> tuple[Index, Index]:
    """Deal every customer into one fold, the same in both tables."""
    everyone = np.union1d(row_customer, target_customer)
    fold = rng.permutation(np.arange(len(everyone)) % folds).astype(np.int64)
    return fold[np.searchsorted(everyone, row_customer)], fold[np.searchsorted(everyone, target_customer)]


def _cross_fit(
    rows: PeriodRows, target: TargetRows, spend: _Spend, fold_of_row: Index, fold_of_target: Index, folds: int
) -> _Fitted:
    """Fit without each fold, predict on it.

    The logistic fits without a fold are one Newton step away from the fit on all rows: exact to second order in the
    share of a fold's information, and a tenth of the time of fitting anew.
    """
    beta = fit_logistic(rows.X, rows.churned, rows.weight, rows.penalised, rows.before)
    hazard = expit(rows.X @ beta)
    parts = [np.flatnonzero(fold_of_row == k) for k in range(folds)]
    moments = [_moments(rows, spend, hazard, part) for part in parts]
    total = _Moments(*(sum(getattr(m, name) for m in moments) for name in _Moments.__slots__))
    hazard_ridge = ridge_of(total.curvature, rows.penalised)
    spend_ridge = ridge_of(total.information, np.append(rows.penalised, [False, False]))
    betas = np.zeros((len(beta), folds))
    gammas = np.zeros((len(spend_ridge), folds))
    for k, m in enumerate(moments):
        slope = total.slope - m.slope - hazard_ridge * beta
        betas[:, k] = beta + solve(total.curvature - m.curvature + np.diag(hazard_ridge), slope, rows.before)
        gammas[:, k] = solve(total.information - m.information + np.diag(spend_ridge), total.spend - m.spend)
    weight = rows.weight.sum()
    return _Fitted(
        hazard=expit(_of_fold(rows.X, betas, fold_of_row)),
        spend=_of_fold(spend.X, gammas, fold_of_row),
        predicted=_predicted(target, spend, fold_of_target, betas, gammas),
        hazard_information=(total.curvature + np.diag(hazard_ridge)) / weight,
        spend_information=(total.information + np.diag(spend_ridge)) / weight,
        betas=betas,
        gammas=gammas,
    )


@dataclass(frozen=True, slots=True)
class _Moments:
    """Sums over rows from which both models follow; the last two have two columns more."""

    curvature: Array
    slope: Array
    information: Array
    spend: Array


def _moments(rows: PeriodRows, spend: _Spend, hazard: Array, part: NDArray[np.intp]) -> _Moments:
    X, Z, h = rows.X[part], spend.X[part], hazard[part]
    weighted, weighted_spend = X * rows.weight[part, None], Z * spend.weight[part, None]
    slope = weighted.T @ (rows.churned[part] - h)
    weighted *= (h * (1 - h))[:, None]
    return _Moments(weighted.T @ X, slope, weighted_spend.T @ Z, weighted_spend.T @ rows.spend[part])


def _predicted(target: TargetRows, spend: _Spend, fold: Index, betas: Array, gammas: Array) -> Predicted:
    """Predict each target row with the coefficients of its fold, as observed and as moved."""
    base = _of_fold(target.X, betas, fold)
    base_spend = _of_fold(spend.target, gammas, fold)
    return Predicted(
        base_hazard=expit(base),
        base_spend=base_spend,
        moved_hazard=expit(base + _of_fold(target.shift, betas[target.shifted], fold)),
        moved_spend=base_spend + _of_fold(spend.shift, gammas[target.shifted], fold),
    )


def _of_fold(X: Array, coefficients: Array, fold: Index) -> Array:
    return np.take_along_axis(X @ coefficients, fold[:, None], axis=1)[:, 0]


def _one_step(rows: PeriodRows, target: TargetRows, spend: _Spend, fitted: _Fitted) -> Effect:
    """Plug-in plus correction, for churn, revenue and the spend part of revenue."""
    predicted = fitted.predicted
    runs = Runs.of(target)
    base = paths(target, runs, predicted.base_hazard, predicted.base_spend, predicted.base_hazard)
    moved = paths(target, runs, predicted.moved_hazard, predicted.moved_spend, predicted.base_hazard)
    go_lives = len(base.hazard)
    slopes = row_slopes(target, runs, predicted, base, moved)

    def pull(X: Array, shift: Array, at_base: Array, at_moved: Array) -> Array:
        """Differentiate by each coefficient, shape (3, columns); mean over go-lives."""
        out = (at_base + at_moved) @ X
        out[:, target.shifted] += at_moved @ shift
        return np.asarray(out / go_lives)

    on_hazard = pull(target.X, target.shift, slopes.base_hazard, slopes.moved_hazard)
    on_spend = pull(spend.target, spend.shift, slopes.base_spend, slopes.moved_spend)
    by_customer, position = np.unique(rows.customer, return_inverse=True)
    total = rows.weight.sum()
    of_hazard = inverse_of(fitted.hazard_information, rows.before)
    of_spend = inverse_of(fitted.spend_information, np.ones(spend.X.shape[1], bool))
    churn_residual = rows.weight * (rows.churned - fitted.hazard) / total
    spend_residual = spend.weight * (rows.spend - fitted.spend) / total
    value = (rows.X @ (of_hazard @ on_hazard.T)) * churn_residual[:, None]
    value += (spend.X @ (of_spend @ on_spend.T)) * spend_residual[:, None]
    terms = np.column_stack([np.bincount(position, one, len(by_customer)) for one in value.T]).astype(np.float64)
    se = np.sqrt((terms**2).sum(axis=0))
    churn, revenue, stayers = (
        Estimate(float(v), float(s)) for v, s in zip(plug_in(base, moved) + terms.sum(axis=0), se, strict=True)
    )
    return Effect(
        churn=churn,
        revenue=revenue,
        spend=stayers,
        base_churn=float(1 - base.survival[:, -1].mean()),
        base_revenue=float((base.survival[:, :-1] * base.spend).sum(axis=1).mean()),
        influence=terms,
        customers=len(by_customer),
    )
