"""Hazard and spend by period, cross-fitted by customer: what every effect of a study's policies rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import EmptyResultError
from models.ridge import expit, fit_logistic, ridge_of, solve
from models.row_blocks import RowBlocks, Stored
from models.yardsticks import Benchmark, Regression

__all__ = ["FOLDS", "PeriodModels", "PeriodRows", "fit_models", "of_fold", "spend_blocks", "spend_columns"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FOLDS = 5


@dataclass(frozen=True, slots=True)
class PeriodRows:
    """Person-period rows for fitting.

    Attributes
    ----------
    X : float32 or float64 array, shape (n, p)
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
    benchmarks : tuple of Benchmark
        Covariates with which hidden causes are compared.
    """

    X: Stored
    penalised: NDArray[np.bool_]
    before: NDArray[np.bool_]
    churned: Array
    spend: Array
    weight: Array
    customer: Index
    due: Array
    scale: Array
    benchmarks: tuple[Benchmark, ...] = ()


@dataclass(frozen=True, slots=True)
class PeriodModels:
    """Both models, fitted without each fold; the rows they were fitted on, which are large, are not kept.

    Attributes
    ----------
    penalised, before : bool arrays, shape (p,)
        As in `PeriodRows`.
    benchmarks : tuple of Benchmark
        As there.
    charge : float
        Mean scale of the rows, each weighted as in the fit of spend.
    customers, fold : int64 arrays, shape (customers,)
        Customer keys, ascending, and the fold of each.
    hazard_scores, spend_scores : float64 arrays, shapes (customers, p) and (customers, p + 2)
        Weighted residual times columns, summed over the rows of each customer, per unit of weight: predictions are
        those of the models that have not seen the customer.
    betas : float64 array, shape (p, folds)
        Coefficients of the hazard.
    gammas : float64 array, shape (p + 2, folds)
        Coefficients of spend; columns as `spend_columns` lays them out.
    hazard_information, spend_information : float64 arrays, shapes (p, p) and (p + 2, p + 2)
        Second derivative of the penalised loss, per unit of weight.
    hazard_fit, spend_fit : Regression
        Both fits on all rows, as far as bounds of hidden causes need them.
    """

    penalised: NDArray[np.bool_]
    before: NDArray[np.bool_]
    benchmarks: tuple[Benchmark, ...]
    charge: float
    customers: Index
    fold: Index
    hazard_scores: Array
    spend_scores: Array
    betas: Array
    gammas: Array
    hazard_information: Array
    spend_information: Array
    hazard_fit: Regression
    spend_fit: Regression

    def folds_of(self, customer: Index) -> Index:
        """Return the fold of each customer; whoever is in none has been seen by no model, and takes the first."""
        place = np.minimum(np.searchsorted(self.customers, customer), len(self.customers) - 1)
        return np.where(self.customers[place] == customer, self.fold[place], 0)


def fit_models(rows: PeriodRows, rng: np.random.Generator, *, folds: int = FOLDS) -> PeriodModels:
    """Fit hazard and spend without each fold.

    Parameters
    ----------
    rows : PeriodRows
        Rows for fitting.
    rng : numpy.random.Generator
        Deals customers into folds.
    folds : int
        How many, by customer.

    Returns
    -------
    PeriodModels

    Raises
    ------
    EmptyResultError
        When nobody, or everybody, churned in the rows.

    Notes
    -----
    The fits without a fold are one Newton step away from the fit on all rows: exact to second order in the share of a
    fold's information, and a tenth of the time of fitting anew.
    """
    events = float(rows.churned.sum())
    if events == 0 or events == len(rows.churned):
        raise EmptyResultError(
            f"An effect needs customers who left and customers who stayed: {events:.0f} of {len(rows.churned)} "
            "person-periods end in churn. Use a longer history or another churn rule."
        )
    customers, position = np.unique(rows.customer, return_inverse=True)
    fold = rng.permutation(np.arange(len(customers)) % folds).astype(np.int64)
    weight = rows.weight / rows.scale**2
    parts = [np.flatnonzero(fold[position] == k) for k in range(folds)]
    beta = fit_logistic(rows.X, rows.churned, rows.weight, rows.penalised, rows.before)
    X, Z = RowBlocks.of(rows.X), spend_blocks(rows.X, rows.penalised, rows.due, rows.scale)
    hazard = expit(X.times(beta))
    moments = [_moments(rows, weight, hazard, part) for part in parts]
    curvature, information = _sum(moments, "curvature"), _sum(moments, "information")
    hazard_ridge = ridge_of(curvature, rows.penalised)
    spend_ridge = ridge_of(information, np.append(rows.penalised, [False, False]))
    slope, against = _sum(moments, "slope") - hazard_ridge * beta, _sum(moments, "spend")
    betas, gammas = np.zeros((len(beta), folds)), np.zeros((len(against), folds))
    for k, m in enumerate(moments):
        betas[:, k] = beta + solve(curvature - m.curvature + np.diag(hazard_ridge), slope - m.slope, rows.before)
        gammas[:, k] = solve(information - m.information + np.diag(spend_ridge), against - m.spend)
    total = rows.weight.sum()
    out_of_fold, spent = expit(of_fold(X, betas, fold[position])), of_fold(Z, gammas, fold[position])
    # Squared residuals in units of their variance: about 1.
    of_hazard = float(
        rows.weight @ (rows.churned - out_of_fold) ** 2 / (rows.weight @ (out_of_fold * (1 - out_of_fold)))
    )
    of_spend = float(weight @ (rows.spend - spent) ** 2 / total)
    gamma, every = solve(information + np.diag(spend_ridge), against), np.ones(len(spend_ridge), bool)
    return PeriodModels(
        penalised=rows.penalised,
        before=rows.before,
        benchmarks=rows.benchmarks,
        charge=float(np.average(rows.scale, weights=weight)),
        customers=customers,
        fold=fold,
        hazard_scores=X.by_group(position, len(customers), rows.weight * (rows.churned - out_of_fold) / total),
        spend_scores=Z.by_group(position, len(customers), weight * (rows.spend - spent) / total),
        betas=betas,
        gammas=gammas,
        hazard_information=(curvature + np.diag(hazard_ridge)) / total,
        spend_information=(information + np.diag(spend_ridge)) / total,
        hazard_fit=Regression(curvature / total, hazard_ridge / total, beta, rows.before, of_hazard),
        spend_fit=Regression(information / total, spend_ridge / total, gamma, every, of_spend),
    )


def spend_columns(X: Array, penalised: NDArray[np.bool_], due: Array, scale: Array) -> Array:
    """Lay out the columns from which spend is predicted.

    Parameters
    ----------
    X : float64 array, shape (n, p)
        Columns of the hazard.
    penalised : bool array, shape (p,)
        Experience, which moves spend in proportion to its scale.
    due, scale : float64 arrays, shape (n,)
        As in `PeriodRows`.

    Returns
    -------
    float64 array, shape (n, p + 2)
        The columns of the hazard as far as a charge is due; behind them the scale itself, and a column for periods
        without a charge due.
    """
    factor = np.where(penalised, scale[:, None], 1.0) * due[:, None]
    return np.column_stack([X * factor, due * scale, due < 1])


def spend_blocks(X: Stored, penalised: NDArray[np.bool_], due: Array, scale: Array) -> RowBlocks:
    """Lay out what `spend_columns` does, block by block."""

    def block(rows: slice) -> Array:
        return spend_columns(np.asarray(X[rows], np.float64), penalised, due[rows], scale[rows])

    return RowBlocks(len(X), block)


def of_fold(rows: RowBlocks, coefficients: Array, fold: Index) -> Array:
    """Predict each row with the coefficients of its fold; shapes (n, p), (p, folds), (n,)."""
    return np.asarray(np.take_along_axis(rows.times(coefficients), fold[:, None], axis=1)[:, 0])


@dataclass(frozen=True, slots=True)
class _Moments:
    """Sums over rows from which both models follow; the last two have two columns more."""

    curvature: Array
    slope: Array
    information: Array
    spend: Array


def _moments(rows: PeriodRows, weight: Array, hazard: Array, part: NDArray[np.intp]) -> _Moments:
    h, kept = hazard[part], rows.X[part]
    X, Z = RowBlocks.of(kept), spend_blocks(kept, rows.penalised, rows.due[part], rows.scale[part])
    return _Moments(
        X.moments(rows.weight[part] * h * (1 - h)),
        X.summed(rows.weight[part] * (rows.churned[part] - h)),
        Z.moments(weight[part]),
        Z.summed(weight[part] * rows.spend[part]),
    )


def _sum(moments: Sequence[_Moments], name: str) -> Array:
    return np.asarray(sum(getattr(m, name) for m in moments))
