"""Association where some ratings were not answered: shares from expected moments instead of means filled in.

The same question and the same result as `models.importance`; what differs is how moments come about (`models.answers`).
Needs rows in memory, so that of many customers a sample is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.customer_groups import hashed
from features.raw_moments import finite_weights, refuse_too_large
from models.answers import AnswerModel, expected_moments, fit_answers, refitted_moments
from models.design_moments import DesignMoments
from models.driver_game import game_of
from models.driver_tests import chance_r2, drawn_test, score_test
from models.drivers import MIN_CUSTOMERS, MISSING_FLAG, Driver, design_matrix
from models.importance import LEVEL, REPLICATES, Evidence, Question, check_columns, rank
from models.lattice import partial_out
from models.moments import GroupMoments, covariance
from models.ranked_drivers import Association

__all__ = ["MAX_ROWS", "association_with_answers"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MAX_ROWS = 200_000
"""Rows that are used at most."""

_FEWEST_DRAWS, _FEWEST_ROWS = 50, 2_000
"""With less an interval from draws fitted anew is not worth having."""

_TOLERANCE = 1e-6
_WORK = 2e8
"""Multiplications that fitting draws anew may take: about ten seconds."""


def association_with_answers(
    frame: pd.DataFrame,
    drivers: Sequence[Driver],
    not_answered: BoolArray,
    outcome: str,
    *,
    controls: Sequence[str] = (),
    weight: str | None,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    customer: str = "customer_id",
    level: float = LEVEL,
    max_rows: int = MAX_ROWS,
) -> Association:
    """Share out the explained variance of an outcome among drivers that some did not answer.

    Parameters
    ----------
    frame : DataFrame
        Panel rows; rows without the outcome or without weight are left out.
    drivers : sequence of Driver
        The first column of each is used; a flag joins it where it does not apply to some rows.
    not_answered : ndarray of bool, shape (rows, drivers)
        Where a missing first column means that nobody answered (`models.answers.unanswered_cells`); elsewhere it means
        that it does not apply.
    outcome, controls, weight, rng, replicates, customer, level
        As in :func:`models.importance.association`.
    max_rows : int
        Of more rows those of the customers with the smallest hashes are used, whole customers, up to this number;
        customers with more rows than are left are passed over.

    Returns
    -------
    Association
        `n_customers` and `n_rows` are those used. Drivers with unanswered rows say so in their warning.

    Raises
    ------
    ValueError
        As :func:`models.importance.association`.

    Notes
    -----
    Answers are taken as missing at random given all drivers, controls and the outcome, see
    :func:`models.answers.fit_answers`. Intervals and tests come from draws of customers with the model fitted anew to
    each, at least 50 in about ten seconds. Where that is too much for all rows, half of them are drawn from, or a
    quarter, and so on down to 2,000, whole customers, and deviations from their own estimate are scaled by the root of
    the share of rows (m out of n bootstrap). Tests are Wald's with the covariance of the slopes over draws. Where even
    that is too much (answers so rare that the fit takes many steps), moments are drawn with the model held fixed, and
    tests are those of :func:`models.driver_tests.score_test`: for drivers that were not answered intervals are too
    narrow and p-values too small then, and warnings say so.
    What is to be expected of R2 by chance is the mean of the draws' R2 less that of the sample.

    References
    ----------
    Efron (1994), doi:10.1080/01621459.1994.10476768 (bootstrap with missing data). Bickel, Götze, van Zwet (1997),
    Resampling fewer than n observations, Statistica Sinica 7 (m out of n).
    """
    check_columns(frame, drivers, outcome, [*controls, customer, *([] if weight is None else [weight])])
    usable = np.isfinite(frame[outcome].to_numpy(dtype=np.float64, na_value=np.nan))
    if weight is not None:
        usable &= finite_weights(frame[weight].to_numpy(dtype=np.float64, na_value=np.nan), weight) > 0
    usable[usable] = _sampled(frame.loc[usable, customer], max_rows)
    rows = frame[usable].reset_index(drop=True)
    question = Question(outcome, tuple(drivers), level, int(rows[customer].nunique()), len(rows))
    if question.n_customers < MIN_CUSTOMERS:
        return question.too_few()
    _check_sizes(rows, [*(driver.columns[0] for driver in drivers), *controls, outcome])
    fixed = design_matrix(rows, (), controls, outcome, weight)
    known, w = fixed.values[:, : fixed.n_controls], fixed.weight  # noqa: PD011
    first = rows[[*(driver.columns[0] for driver in drivers), outcome]].to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.column_stack([known, _standardised(first)])
    if not np.ptp(values[:, -1]) > 0:
        return question.does_not_vary()
    blank = np.zeros(values.shape, dtype=bool)
    blank[:, known.shape[1] : -1] = not_answered[usable]
    fitted = _Fitted.to(values, blank, rows[customer], w)
    design = fitted.design(known.shape[1])
    told = replace(question, drivers=_flagged(drivers, design.blocks))
    anew = fitted.anew(replicates, rng)
    evidence = fitted.held_fixed(design, replicates, rng) if anew is None else _evidence(fitted, design, anew)
    game = game_of(told.drivers, design, evidence.C, rng)
    unanswered = fitted.model.unanswered[known.shape[1] : -1].tolist()
    texts = [
        _told(text, share, is_refitted=anew is not None) for text, share in zip(game.warnings, unanswered, strict=True)
    ]
    return rank(told, replace(game, warnings=tuple(texts)), evidence)


def _sampled(customers: pd.Series, most: int) -> BoolArray:
    """Choose whole customers in the order of their hashes, up to a number of rows; who does not fit is passed over."""
    if len(customers) <= most:
        return np.ones(len(customers), dtype=bool)
    codes, names = pd.factorize(customers, sort=True)
    rows = np.bincount(codes, minlength=len(names)).tolist()
    chosen = np.zeros(len(names), dtype=bool)
    for one in np.argsort(hashed(pa.array(names)), kind="stable").tolist():
        chosen[one] = rows[one] <= most
        most -= rows[one] if chosen[one] else 0
    return chosen[codes]


def _check_sizes(rows: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse numbers too large to be squared."""
    for name in columns:
        if pd.api.types.is_numeric_dtype(rows[name]):
            values = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
            with np.errstate(over="ignore"):
                refuse_too_large([name], (values[np.isfinite(values)] ** 2).sum(keepdims=True))


def _standardised(values: FloatArray) -> FloatArray:
    """Centre and scale what is there; a column without any value is 0."""
    there = np.isfinite(values)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, values, 0.0).sum(axis=0) / count
    centred = np.where(there, values - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    varies = deviation > 1e-10 * np.abs(mean)
    result = centred / np.where(varies, deviation, np.inf)
    result[~there & there.any(axis=0)] = np.nan
    return result


def _flagged(drivers: Sequence[Driver], blocks: Sequence[tuple[int, ...]]) -> tuple[Driver, ...]:
    """Let drivers own a flag where the model has one."""
    return tuple(
        replace(driver, columns=(driver.columns[0], MISSING_FLAG + driver.columns[0])[: len(block)])
        for driver, block in zip(drivers, blocks, strict=True)
    )


def _told(warning: str, unanswered: float, *, is_refitted: bool) -> str:
    """Add how much was not answered, and what that does to the interval."""
    if not unanswered:
        return warning
    held = "" if is_refitted else "; interval and test hold that estimate fixed: too narrow, and p too small"
    told = f"{unanswered:.0%} did not answer, estimated from all other columns{held}"
    return "; ".join(filter(None, [warning, told]))


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Rows with gaps, and the model fitted to them."""

    values: FloatArray
    blank: BoolArray
    customers: pd.Series
    weight: FloatArray
    model: AnswerModel
    moments: GroupMoments

    @classmethod
    def to(cls, values: FloatArray, blank: BoolArray, customers: pd.Series, weight: FloatArray) -> _Fitted:
        model = fit_answers(values, blank, weight, tolerance=_TOLERANCE)
        moments = expected_moments(values, blank, model, customers, weight)
        return cls(values, blank, customers, weight, model, moments)

    def work(self, rows: int) -> float:
        """Multiplications of fitting a draw of some rows anew, as measured: looking at rows, steps over patterns."""
        normal = self.model.normal
        step = float(min(normal.n_patterns, rows)) * float(len(normal.mean)) ** 3
        return float(26.0 * rows * self.values.shape[1] + step * max(normal.iterations / 5, 1.0))

    def design(self, controls: int) -> DesignMoments:
        """Say which columns of the moments belong to whom."""
        blocks = self.model.blocks
        return DesignMoments(self.moments, blocks[controls][0], blocks[controls:-1])

    def anew(self, most: int, rng: np.random.Generator) -> FloatArray | None:
        """Draw customers, fit the model anew to each draw, and give covariances; None where that is too much work."""
        rows = len(self.values)
        while (draws := min(most, int(_WORK / self.work(rows)))) < min(_FEWEST_DRAWS, most):
            rows //= 2
            if rows < _FEWEST_ROWS:
                return None
        few = self.part(rows)
        if few.model.flagged != self.model.flagged:
            return None
        drawn = refitted_moments(
            few.values, few.blank, few.model, few.customers, rng, few.weight, replicates=draws, tolerance=_TOLERANCE
        )
        off = covariance(drawn) - covariance(few.moments.total())
        scaled: FloatArray = covariance(self.moments.total()) + np.sqrt(len(few.values) / len(self.values)) * off
        return scaled

    def part(self, rows: int) -> _Fitted:
        """Fit to some of the customers."""
        if rows == len(self.values):
            return self
        chosen = _sampled(self.customers, rows)
        customers = self.customers[chosen].reset_index(drop=True)
        return _Fitted.to(self.values[chosen], self.blank[chosen], customers, self.weight[chosen])

    def held_fixed(self, design: DesignMoments, draws: int, rng: np.random.Generator) -> Evidence:
        """Draw moments and test by their groups: the uncertainty of the model is missing."""
        everything, fixed = _columns(design)
        return Evidence(
            C=covariance(self.moments.total()),
            drawn=covariance(self.moments.resampled(draws, rng)),
            chance=chance_r2(self.moments, everything, fixed),
            p_value=score_test(self.moments, everything, fixed),
            p_values=np.array([score_test(self.moments, own, design.others(own)) for own in design.blocks]),
            n_controls=design.n_controls,
        )


def _evidence(fitted: _Fitted, design: DesignMoments, drawn: FloatArray) -> Evidence:
    """Judge by draws that have all uncertainty."""
    C, (everything, fixed) = covariance(fitted.moments.total()), _columns(design)
    r2 = _added_r2(np.concatenate([C[np.newaxis], drawn]), everything, fixed)
    return Evidence(
        C=C,
        drawn=drawn,
        chance=max(float(r2[1:].mean() - r2[0]), 0.0),
        p_value=drawn_test(C, drawn, everything, fixed),
        p_values=np.array([drawn_test(C, drawn, own, design.others(own)) for own in design.blocks]),
        n_controls=design.n_controls,
    )


def _columns(design: DesignMoments) -> tuple[list[int], list[int]]:
    """List the columns of all drivers, and those of the controls."""
    return [column for block in design.blocks for column in block], list(range(design.n_controls))


def _added_r2(C: FloatArray, tested: Sequence[int], known: Sequence[int]) -> FloatArray:
    """R2 of some columns on top of others, for each matrix of a stack."""
    everyone = partial_out(C, [*known, *tested])[:, -1, -1]
    left: FloatArray = partial_out(C, known)[:, -1, -1] - everyone
    return left / C[:, -1, -1]
