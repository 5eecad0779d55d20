"""Association: how much of an outcome's variance goes along with each driver.

For reading what leavers and stayers differ in, and for nothing else: a share of R2 says neither what would happen if
the driver were improved (`models.effects` estimates that) nor in which direction it points.

A driver owns a block of columns (a measure and the flag for "does not apply"), journeys are unions of drivers, controls
are in every model. Shares are Owen values, exact over all coalitions; intervals come from drawing customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.raw_moments import RawMoments, moments_of_frame
from models.design_moments import design_moments
from models.driver_game import ORDERS, Game, Shares, added_by_size, game_of, play, quality_parts
from models.driver_tests import chance_r2, holm, score_test
from models.drivers import (
    MIN_CUSTOMERS,
    Driver,
    base_columns,
    drivers_from_features,
    outcome_name,
)
from models.moments import covariance
from models.ranked_drivers import Association, DriverShare
from models.standing import share_in_first, tiers

__all__ = [
    "Association",
    "Driver",
    "DriverShare",
    "Evidence",
    "Question",
    "association",
    "association_of",
    "check_columns",
    "drivers_from_features",
    "rank",
]

FloatArray = NDArray[np.float64]

SIGNIFICANCE = 0.05
REPLICATES, LEVEL = 200, 0.9


def association(
    frame: pd.DataFrame,
    drivers: Sequence[Driver],
    outcome: str,
    *,
    controls: Sequence[str] = (),
    weight: str | None,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    customer: str = "customer_id",
    level: float = LEVEL,
) -> Association:
    """Share out the explained variance of an outcome among drivers, from rows in memory.

    Parameters
    ----------
    frame
        Panel rows; rows without the outcome or without weight are left out.
    drivers
        Players of the game, grouped by their journey.
    outcome
        A numeric column: 0/1 (churn) or an amount (revenue).
    controls
        Columns that are in every model; text is expanded into levels.
    weight
        Column of weights, or None.
    rng
        Draws the customers of the bootstrap.
    replicates
        Bootstrap draws.
    customer
        The column that names the customer: rows of one customer are drawn together.
    level
        Of the intervals.

    Returns
    -------
    Association
        As `association_of`.

    Raises
    ------
    ValueError
        No drivers, a column that `frame` does not have, two drivers with the same first column, a driver or an outcome
        that is not numeric, an infinite weight, or numbers too large to be squared.
    """
    check_columns(frame, drivers, outcome, [*controls, customer, *([] if weight is None else [weight])])
    columns = [*base_columns(drivers), *controls]
    raw = moments_of_frame(frame, columns, [outcome], customer=customer, weight=weight)
    return association_of(raw, drivers, outcome, controls=controls, rng=rng, replicates=replicates, level=level)


def association_of(
    raw: RawMoments,
    drivers: Sequence[Driver],
    outcome: str,
    *,
    controls: Sequence[str] = (),
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Association:
    """Share out the explained variance of an outcome among drivers: exact Owen values of R2.

    Parameters
    ----------
    raw
        Sums of products with the columns of drivers and controls and with the outcome.
    drivers, outcome, controls, rng, replicates, level
        As in `association`.

    Returns
    -------
    Association
        With `refusal` filled and no shares where ranking would be noise: fewer than 200 customers, an outcome that does
        not vary, drivers that together do no better than chance (p not below 0.05), or an R2 that may be chance: the
        lower end of its interval, less twice what is to be expected by chance, is not above 0.

    Raises
    ------
    ValueError
        No drivers, two drivers with the same first column, or a column that was not summed.

    Notes
    -----
    Model: linear; for a 0/1 outcome the linear probability model, whose R2 is the difference between the mean predicted
    risk of leavers and stayers. Missing values are set to the mean of the others; a flag column, where the driver has
    one, carries the difference between "did not apply" and "average".
    R2 and shares are those of the sample, its exact decomposition: with many drivers and few customers R2 is too high
    by about `r2_chance`, and that of a bootstrap draw by as much again, which is why the rule above takes it off twice.
    Intervals, tiers and places are for what holds beyond the sample: Owen values of the draws are moved so that their
    mean is the estimate less its part of `r2_chance` (by columns that vary: with equal variances and no relation all
    coalitions gain in proportion to their columns, so the Owen value of chance does), then divided by their sum. R2 and
    small shares may therefore lie above their intervals, and large shares below: by what chance does. Shares are never
    negative, so an interval that excludes 0 proves nothing: `p_value` of a driver tests whether it adds anything to all
    others, that of the association tests all drivers together (`models.driver_tests.score_test`).
    Where there are too many drivers for an exact answer (other journeys and drivers of one journey together above 20),
    shares are means over 2,000 sampled orders of drivers, journeys kept together, and each warning says with which
    standard error; draws take 200 orders then, and also where all coalitions of all draws would take too long
    (`models.driver_game.MAX_COALITIONS`), so that intervals hold the error of 200 orders besides.
    Cost: nothing depends on the number of rows.

    References
    ----------
    Lindeman, Merenda, Gold (1980); Owen (1977); see `models.lattice`. Efron, Tibshirani (1993), *An introduction to the
    bootstrap*, chapter 10 (bias of an estimate by that of its draws).
    """
    _check_drivers(drivers)
    known = raw.of(outcome)
    question = Question(outcome, tuple(drivers), level, known.n_customers, known.n_rows)
    if known.n_customers < MIN_CUSTOMERS:
        return question.too_few()
    design = design_moments(raw, drivers, controls, outcome)
    C = covariance(design.moments.total())
    if C[-1, -1] <= 0:
        return question.does_not_vary()
    game = game_of(question.drivers, design, C, rng)
    fixed = range(design.n_controls)
    columns = [column for block in design.blocks for column in block]
    return rank(
        question,
        game,
        Evidence(
            C=C,
            drawn=covariance(design.moments.resampled(replicates, rng)),
            chance=chance_r2(design.moments, columns, fixed),
            p_value=score_test(design.moments, columns, fixed),
            p_values=np.array([score_test(design.moments, own, design.others(own)) for own in design.blocks]),
            n_controls=design.n_controls,
        ),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the ranking is made from.

    Parameters
    ----------
    C
        (columns, columns) covariances with the outcome last.
    drawn
        (draws, columns, columns), the same of bootstrap draws of customers.
    chance
        R2 to be expected if drivers add nothing.
    p_value, p_values
        Of the test of all drivers together, and of each.
    n_controls
        Columns, the first ones, that belong to controls.
    """

    C: FloatArray
    drawn: FloatArray
    chance: float
    p_value: float
    p_values: FloatArray
    n_controls: int


def rank(question: Question, game: Game, evidence: Evidence) -> Association:
    """Share out R2, or say why not.

    Parameters
    ----------
    question
        Whom it is about.
    game
        The drivers as players.
    evidence
        Covariances, draws and tests.
    """
    point = play(evidence.C[np.newaxis], evidence.n_controls, game, orders=ORDERS)
    if not evidence.p_value < SIGNIFICANCE:
        reason = f"not ranked: together the drivers do no better than chance (p = {evidence.p_value:.2f})"
        return question.refused(reason, point, evidence)
    drawn = play(evidence.drawn, evidence.n_controls, game)
    lowest = np.quantile(drawn.r2, 0.5 - question.level / 2)
    if not (lowest > 2 * evidence.chance and point.r2[0] > evidence.chance):
        reason = (
            f"not ranked: drivers explain {point.r2[0]:.2%}, of which {evidence.chance:.2%} is to be expected by "
            "chance, and the interval of the rest includes 0"
        )
        return question.refused(reason, point, evidence)
    error = point.error[0] / point.r2[0]
    told = [_sampled(text, one) for text, one in zip(game.warnings, error.tolist(), strict=True)]
    shown = replace(game, warnings=tuple(told))
    parts = _Parts(
        quality=quality_parts(evidence.C, evidence.n_controls, game, point),
        by_size=added_by_size(evidence.C, evidence.n_controls, game),
    )
    return question.ranked(shown, point, drawn, parts, evidence)


def _sampled(warning: str, error: float) -> str:
    """Add how far a share from sampled orders may be off."""
    if error == 0:
        return warning
    told = f"from {ORDERS:,} sampled orders, standard error {100 * error:.1f} points"
    return "; ".join(filter(None, [warning, told]))


@dataclass(frozen=True, slots=True)
class _Draws:
    """Draws without what chance adds: `shares` (draws, players) within 0 and 1, `r2` (draws,) not below 0."""

    shares: FloatArray
    r2: FloatArray

    @classmethod
    def of(cls, point: Shares, drawn: Shares, chance: FloatArray) -> _Draws:
        """Move draws to the estimate less its chance part: a draw has that of the sample and one of its own besides."""
        owen = drawn.owen - drawn.owen.mean(axis=0) + point.owen[0] - chance
        r2 = owen.sum(axis=1)
        usable = r2 > 0
        return cls(np.clip(owen[usable] / r2[usable, np.newaxis], 0.0, 1.0), np.maximum(r2, 0.0))


@dataclass(frozen=True, slots=True)
class _Parts:
    """Of each driver: the part of its value that is quality, and what it adds by number of others (players, sizes)."""

    quality: FloatArray
    by_size: FloatArray


@dataclass(frozen=True, slots=True)
class Question:
    """What every result says about the rows it comes from: outcome, drivers, level of intervals, customers and rows."""

    outcome: str
    drivers: tuple[Driver, ...]
    level: float
    n_customers: int
    n_rows: int

    def too_few(self) -> Association:
        """Refuse because of too few customers."""
        return self.refused(f"not ranked: {self.n_customers} customers; at least {MIN_CUSTOMERS} are needed")

    def does_not_vary(self) -> Association:
        """Refuse because there is nothing to explain."""
        return self.refused("not ranked: the outcome does not vary")

    def refused(self, reason: str, point: Shares | None = None, evidence: Evidence | None = None) -> Association:
        """Drivers in their order, no shares."""
        return Association(
            outcome=outcome_name(self.outcome),
            shares=tuple(DriverShare(driver, warning=reason) for driver in self.drivers),
            r2=np.nan if point is None else float(point.r2[0]),
            r2_lo=np.nan,
            r2_hi=np.nan,
            r2_chance=np.nan if evidence is None else evidence.chance,
            r2_controls=np.nan if point is None else float(point.r2_controls[0]),
            p_value=np.nan if evidence is None else evidence.p_value,
            level=self.level,
            n_customers=self.n_customers,
            n_rows=self.n_rows,
            refusal=reason,
        )

    def ranked(self, game: Game, point: Shares, drawn: Shares, parts: _Parts, evidence: Evidence) -> Association:
        """Shares with intervals, largest first."""
        tails = [0.5 - self.level / 2, 0.5 + self.level / 2]
        varies = np.diagonal(evidence.C)[evidence.n_controls :] > 0
        columns = np.array([varies[list(block)].sum() for block in game.blocks])
        draws = _Draws.of(point, drawn, evidence.chance * columns / columns.sum())
        share, relative = point.owen[0] / point.r2[0], draws.shares
        lo, hi = np.quantile(relative, tails, axis=0)
        tier, first = tiers(share, relative, level=self.level), share_in_first(relative)
        adjusted = holm(evidence.p_values)
        shares = [
            DriverShare(
                driver,
                share=float(share[k]),
                lo=float(lo[k]),
                hi=float(hi[k]),
                quality=float(parts.quality[k] / point.r2[0]),
                reach=float(share[k] - parts.quality[k] / point.r2[0]),
                alone_r2=float(game.alone[k]),
                last_r2=float(game.last[k]),
                tier=int(tier[k]),
                in_top_3=float(first[k]),
                p_value=float(evidence.p_values[k]),
                p_adjusted=float(adjusted[k]),
                by_size=tuple(parts.by_size[k].tolist()),
                warning=game.warnings[k],
            )
            for k, driver in enumerate(self.drivers)
        ]
        shares.sort(key=lambda one: -one.share)
        r2_lo, r2_hi = np.quantile(draws.r2, tails)
        told = self.refused("", point, evidence)
        return replace(told, shares=tuple(shares), r2_lo=float(r2_lo), r2_hi=float(r2_hi))


def _check_drivers(drivers: Sequence[Driver]) -> None:
    """Refuse drivers that cannot be told apart."""
    if not drivers:
        raise ValueError("drivers is empty. At least one driver was expected. Pass drivers_from_features(...).")
    first = [driver.columns[0] for driver in drivers]
    twice = sorted({column for column in first if first.count(column) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} stands for two drivers. Each driver needs its own first column. Drop one.")


def check_columns(frame: pd.DataFrame, drivers: Sequence[Driver], outcome: str, others: Sequence[str]) -> None:
    """Refuse drivers, an outcome and other columns that cannot be computed with."""
    _check_drivers(drivers)
    numbers = [outcome, *base_columns(drivers)]
    missing = [column for column in [*others, *numbers] if column not in frame.columns]
    if missing:
        raise ValueError(f"{missing[0]!r} is not a column of the frame. Name one of its {frame.shape[1]} columns.")
    texts = [column for column in numbers if not pd.api.types.is_numeric_dtype(frame[column])]
    if texts:
        raise ValueError(
            f"{texts[0]!r} holds {frame[texts[0]].dtype} values. Numbers were expected of drivers and outcomes. "
            "Turn it into numbers, 0 and 1 for no and yes, or make it a control."
        )
