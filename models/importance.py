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
from scipy.special import fdtrc

from models.driver_game import ORDERS, Game, Shares, game_of, play, quality_parts
from models.drivers import MIN_CUSTOMERS, MISSING_FLAG, Driver, design_matrix, drivers_from_features, outcome_name
from models.moments import GroupMoments, covariance, group_moments
from models.standing import share_in_first, tiers

__all__ = ["Association", "Driver", "DriverShare", "association", "drivers_from_features"]

FloatArray = NDArray[np.float64]

SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class DriverShare:
    """One driver's share of the explained variance, in [0, 1], with its interval; NaN where it is not ranked.

    Parameters
    ----------
    driver
        Which.
    share, lo, hi
        Owen value over R2, with its interval.
    quality, reach
        The parts of `share` that belong to the values (how good it was) and to the flag "did not apply" (whether it was
        used at all); they sum to it.
    alone_r2, last_r2
        R2 of this driver alone, and what it adds to all others.
    tier
        1 for those that cannot be told from the largest, and so on (`models.standing.tiers`); 0 where not ranked.
    in_top_3
        Share of the bootstrap draws in which it is among the three largest.
    warning
        A sentence, or empty.
    """

    driver: Driver
    share: float = np.nan
    lo: float = np.nan
    hi: float = np.nan
    quality: float = np.nan
    reach: float = np.nan
    alone_r2: float = np.nan
    last_r2: float = np.nan
    tier: int = 0
    in_top_3: float = np.nan
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Association:
    """What goes along with one outcome.

    Parameters
    ----------
    outcome
        'churn', 'revenue' or the column's name.
    shares
        Largest first; they sum to 1 unless `refusal` says why nothing is ranked (then every share is NaN).
    r2, r2_lo, r2_hi
        Share of the outcome's variance that all drivers explain on top of the controls, in the sample, with interval.
    r2_controls
        Share of the outcome's variance that the controls explain.
    p_value
        Of the cluster-robust score test that no driver goes along with the outcome.
    level
        Of all intervals.
    n_customers, n_rows
        Customers and rows used.
    refusal
        Why drivers are not ranked, or empty.
    """

    outcome: str
    shares: tuple[DriverShare, ...]
    r2: float
    r2_lo: float
    r2_hi: float
    r2_controls: float
    p_value: float
    level: float
    n_customers: int
    n_rows: int
    refusal: str

    def to_frame(self) -> pd.DataFrame:
        """One row a driver, largest share first; `n` counts customers."""
        return pd.DataFrame(
            {
                "outcome": self.outcome,
                "journey": [share.driver.journey for share in self.shares],
                "driver": [share.driver.name for share in self.shares],
                "feature": [share.driver.columns[0] for share in self.shares],
                "share": np.array([share.share for share in self.shares], dtype=np.float64),
                "share_lo": np.array([share.lo for share in self.shares], dtype=np.float64),
                "share_hi": np.array([share.hi for share in self.shares], dtype=np.float64),
                "tier": [share.tier for share in self.shares],
                "in_top_3": np.array([share.in_top_3 for share in self.shares], dtype=np.float64),
                "quality": np.array([share.quality for share in self.shares], dtype=np.float64),
                "reach": np.array([share.reach for share in self.shares], dtype=np.float64),
                "alone_r2": np.array([share.alone_r2 for share in self.shares], dtype=np.float64),
                "last_r2": np.array([share.last_r2 for share in self.shares], dtype=np.float64),
                "r2": self.r2,
                "n": self.n_customers,
                "warning": [share.warning for share in self.shares],
            }
        )


def association(
    frame: pd.DataFrame,
    drivers: Sequence[Driver],
    outcome: str,
    *,
    controls: Sequence[str] = (),
    weight: str | None,
    rng: np.random.Generator,
    replicates: int = 200,
    customer: str = "customer_id",
    level: float = 0.9,
) -> Association:
    """Share out the explained variance of an outcome among drivers: exact Owen values of R2.

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
        Of the percentile intervals.

    Returns
    -------
    Association
        With `refusal` filled and no shares where ranking would be noise: fewer than 200 customers, an outcome that
        does not vary, or an R2 that is not distinguishable from 0.

    Raises
    ------
    ValueError
        No drivers, a column that `frame` does not have, or two drivers with the same first column.

    Notes
    -----
    Model: linear; for a 0/1 outcome the linear probability model, whose R2 is the difference between the mean predicted
    risk of leavers and stayers. Missing values are set to the mean of the others; a flag column, where the driver has
    one, carries the difference between "did not apply" and "average".
    R2 and shares are those of the sample: with many drivers and few customers R2 is too high. Shares are never
    negative, so an interval that excludes 0 proves nothing; `p_value` tests all drivers together.
    Where there are too many drivers for an exact answer (other journeys and drivers of one journey together above 20),
    shares are means over 2,000 sampled orders of drivers, journeys kept together, and each warning says with which
    standard error; intervals hold the error of 200 orders besides.
    Cost: one pass over the rows (rows x columns^2), then nothing depends on the number of rows.

    References
    ----------
    Lindeman, Merenda, Gold (1980); Owen (1977); see `models.lattice`.
    """
    _check(frame, drivers, [outcome, *controls, customer, *([] if weight is None else [weight])])
    rows = _usable(frame, outcome, weight)
    n_customers = int(rows[customer].nunique())
    sample = _Sample(outcome, tuple(drivers), level, n_customers, len(rows))
    if n_customers < MIN_CUSTOMERS:
        return sample.refused(f"not ranked: {n_customers} customers; at least {MIN_CUSTOMERS} are needed")
    design = design_matrix(rows, drivers, controls, outcome, weight)
    moments = group_moments(design.values, rows[customer], design.weight)
    C = covariance(moments.total())
    if C[-1, -1] <= 0:
        return sample.refused("not ranked: the outcome does not vary")
    game = game_of(drivers, design, C, rng)
    point = play(C[np.newaxis], design.n_controls, game, orders=ORDERS)
    p_value = _score_test(moments, design.n_controls)
    if not p_value < SIGNIFICANCE:
        reason = f"not ranked: together the drivers do no better than chance (p = {p_value:.2f})"
        return sample.refused(reason, point, p_value)
    drawn = play(covariance(moments.resampled(replicates, rng)), design.n_controls, game)
    quality = quality_parts(C, design.n_controls, game, point)
    error = point.error[0] / point.r2[0]
    told = [_sampled(text, one) for text, one in zip(game.warnings, error.tolist(), strict=True)]
    return sample.ranked(replace(game, warnings=tuple(told)), point, drawn, quality, p_value)


def _sampled(warning: str, error: float) -> str:
    """Add how far a share from sampled orders may be off."""
    if error == 0:
        return warning
    told = f"from {ORDERS:,} sampled orders, standard error {100 * error:.1f} points"
    return "; ".join(filter(None, [warning, told]))


@dataclass(frozen=True, slots=True)
class _Sample:
    """What every result says about the rows it comes from."""

    outcome: str
    drivers: tuple[Driver, ...]
    level: float
    n_customers: int
    n_rows: int

    def refused(self, reason: str, point: Shares | None = None, p_value: float = np.nan) -> Association:
        """Drivers in their order, no shares."""
        return Association(
            outcome=outcome_name(self.outcome),
            shares=tuple(DriverShare(driver, warning=reason) for driver in self.drivers),
            r2=np.nan if point is None else float(point.r2[0]),
            r2_lo=np.nan,
            r2_hi=np.nan,
            r2_controls=np.nan if point is None else float(point.r2_controls[0]),
            p_value=p_value,
            level=self.level,
            n_customers=self.n_customers,
            n_rows=self.n_rows,
            refusal=reason,
        )

    def ranked(self, game: Game, point: Shares, drawn: Shares, quality: FloatArray, p_value: float) -> Association:
        """Shares with percentile intervals, largest first."""
        tails = [0.5 - self.level / 2, 0.5 + self.level / 2]
        usable = drawn.r2 > 0
        share = point.owen[0] / point.r2[0]
        relative = drawn.owen[usable] / drawn.r2[usable, np.newaxis]
        lo, hi = np.quantile(relative, tails, axis=0)
        tier, first = tiers(share, relative, level=self.level), share_in_first(relative)
        shares = [
            DriverShare(
                driver,
                share=float(share[k]),
                lo=float(lo[k]),
                hi=float(hi[k]),
                quality=float(quality[k] / point.r2[0]),
                reach=float(share[k] - quality[k] / point.r2[0]),
                alone_r2=float(game.alone[k]),
                last_r2=float(game.last[k]),
                tier=int(tier[k]),
                in_top_3=float(first[k]),
                warning=game.warnings[k],
            )
            for k, driver in enumerate(self.drivers)
        ]
        shares.sort(key=lambda one: -one.share)
        r2_lo, r2_hi = np.quantile(drawn.r2, tails)
        return replace(self.refused("", point, p_value), shares=tuple(shares), r2_lo=float(r2_lo), r2_hi=float(r2_hi))


def _check(frame: pd.DataFrame, drivers: Sequence[Driver], others: Sequence[str]) -> None:
    """Refuse drivers and columns that cannot be computed with."""
    if not drivers:
        raise ValueError("drivers is empty. At least one driver was expected. Pass drivers_from_features(...).")
    first = [driver.columns[0] for driver in drivers]
    twice = sorted({column for column in first if first.count(column) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} stands for two drivers. Each driver needs its own first column. Drop one.")
    named = [column.removeprefix(MISSING_FLAG) for driver in drivers for column in driver.columns]
    missing = [column for column in [*others, *named] if column not in frame.columns]
    if missing:
        raise ValueError(f"{missing[0]!r} is not a column of the frame. Name one of its {frame.shape[1]} columns.")


def _usable(frame: pd.DataFrame, outcome: str, weight: str | None) -> pd.DataFrame:
    """Rows whose outcome is known and whose weight is positive."""
    usable = frame[outcome].notna()
    if weight is not None:
        usable &= frame[weight] > 0
    return frame if bool(usable.all()) else frame[usable]


def _score_test(moments: GroupMoments, n_controls: int) -> float:
    """P-value that no driver goes along with the outcome: cluster-robust scores as Hotelling's T2, F reference.

    The scores of the drivers at the model with controls only need nothing but the groups' moments and, unlike the
    Wald form, do not reject too often when drivers are many and customers few.
    """
    known = n_controls + 1
    total = moments.total()
    slopes = np.linalg.pinv(total[:known, :known], rcond=1e-10, hermitian=True) @ total[:known, known:]
    residual = np.vstack([-slopes, np.eye(len(total) - known)])
    U = np.einsum("gij,ik,j->gk", moments.sums, residual[:, :-1], residual[:, -1], optimize=True)
    length = np.sqrt((U**2).sum(axis=0))
    U = U / np.where(length > 0, length, 1.0)
    ones = np.ones(len(U))
    solution, _, rank, _ = np.linalg.lstsq(U, ones, rcond=1e-10)
    groups, T = len(U), float(ones @ (U @ solution))
    if rank == 0 or groups <= rank:
        return 1.0
    return float(fdtrc(rank, groups - rank, T / rank / max((groups - T) / (groups - rank), 1e-300)))
