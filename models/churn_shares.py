"""Shares of an outcome that happens or not, twice: of the variance of 0 and 1, and of a logistic fit.

The linear answer costs nothing and can be said in plain words, but where events are rare and drivers skewed it is off
by points. By how much is computed on the same rows and columns, a sample where there are many; all rows have their say
through the linear shares, to which the difference is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from features.raw_moments import RawMoments, moments_of_frame
from models.coalition_fits import SeparationError
from models.design_moments import design_moments
from models.driver_game import is_exact, unions
from models.drivers import MISSING_FLAG, Design, Driver, base_columns, design_matrix, outcome_name
from models.event_sample import EventSample, event_sample
from models.lattice import owen
from models.mcfadden import McFadden
from models.mcfadden_journeys import MOST_PLAYERS, mcfadden_owen
from models.moments import covariance
from models.orderings import sample_orders

__all__ = ["ChurnShares", "churn_shares"]

FloatArray = NDArray[np.float64]

MOST_ROWS, FEWEST_ROWS = 20_000, 10_000
"""Rows of the sample: the first with few columns, the second with many."""

FEWEST_EVENTS = 50
"""Customers with the event, and without it, below which shares of a logistic fit would be noise."""

_WEIGHT = "weight in the sample"

_WORK = 4e9
"""Rows x columns^2 x refits that take about ten seconds."""

_REFITS, _ORDERS = 300, 20_000


@dataclass(frozen=True, slots=True)
class ChurnShares:
    """Shares of both decompositions.

    Attributes
    ----------
    outcome : str
        'churn' or the column's name.
    drivers : tuple of Driver
        In the order in which they were passed.
    mcfadden : ndarray of float, shape (drivers,)
        Owen value of McFadden's R2 over its whole, summing to 1; NaN where a driver is left out, or where all are.
    error : ndarray of float, shape (drivers,)
        Its standard error from not looking at all orders of drivers; it knows nothing of which customers were drawn.
    linear : ndarray of float, shape (drivers,)
        Owen value of the linear R2 over its whole, same columns, all rows.
    r2 : float
        McFadden's R2 of all drivers that take part, in the sample; NaN where there is no fit.
    rank_correlation : float
        Kendall's tau-b of both shares; NaN with fewer than two drivers.
    n_customers, n_rows, n_events : int
        Used for the logistic fit; customers among them to whom it happened.
    n_all : int
        Rows that could have been used.
    refits : int
        Logistic regressions.
    notes : tuple of str
        What was left out and why.
    """

    outcome: str
    drivers: tuple[Driver, ...]
    mcfadden: FloatArray
    error: FloatArray
    linear: FloatArray
    r2: float
    rank_correlation: float
    n_customers: int
    n_rows: int
    n_events: int
    n_all: int
    refits: int
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a driver: outcome, feature, share_mcfadden, share_mcfadden_error, share_linear, mcfadden_r2."""
        return pd.DataFrame(
            {
                "outcome": self.outcome,
                "feature": [driver.columns[0] for driver in self.drivers],
                "share_mcfadden": self.mcfadden,
                "share_mcfadden_error": self.error,
                "share_linear": self.linear,
                "mcfadden_r2": self.r2,
                "mcfadden_rows": self.n_rows,
            }
        )


def churn_shares(
    frame: pd.DataFrame,
    drivers: Sequence[Driver],
    outcome: str,
    *,
    rng: np.random.Generator,
    weight: str | None = None,
    customer: str = "customer_id",
    most_rows: int | None = None,
    raw: RawMoments | None = None,
) -> ChurnShares:
    """Share out McFadden's R2 of a logistic regression among drivers of journeys, the linear R2 beside it.

    Parameters
    ----------
    frame : DataFrame
        Panel rows; rows without the outcome or without weight are left out.
    drivers : sequence of Driver
        Players; journeys are unions of them.
    outcome : str
        A column of 0 and 1.
    rng : numpy.random.Generator
        Draws customers where there are too many rows, and orders where there are too many drivers.
    weight, customer : str
        Columns; no weight is None. Rows of one customer are drawn together.
    most_rows : int, optional
        Rows of the sample. None: between 10,000 and 20,000, fewer where there are many columns.
    raw : RawMoments, optional
        Sums of products over all rows, for the linear shares. None: they are summed where a sample is used.

    Returns
    -------
    ChurnShares
        Without a fit (all NaN, and a note) where no driver is left, where it happened to fewer than 50 customers of the
        sample, or did not to fewer than 50, and where more than 60 drivers vary.

    Raises
    ------
    ValueError
        No drivers, or an outcome that is not 0 or 1.

    Notes
    -----
    Estimand and estimator: :func:`models.mcfadden_journeys.mcfadden_owen`. Columns are those of
    :func:`models.importance.association`: values with the mean in place of what is missing, and flags.

    Where not all rows are used, customers with the event are drawn first and weighed back (`models.event_sample`), and
    a share is the linear share of all rows plus what the logistic and the linear share of the sample differ by; below
    0 it is set to 0 and the others are scaled. What the sample does to both shares cancels, which is most of it where
    events are rare: the linear share is a control variate whose value in all rows is known (Glasserman 2003).

    A column that tells the outcome for certain (all of its customers left, say) has no logistic fit. A flag is then
    dropped, so that those it marks count as average; a value takes its driver with it. Both are told in `notes`, and
    the linear shares are of the same columns.

    References
    ----------
    McFadden (1974), Conditional logit analysis of qualitative choice behavior, p. 121. Owen (1977),
    doi:10.1007/978-3-642-45494-3_7. Glasserman (2003), Monte Carlo Methods in Financial Engineering, section 4.1.
    Kendall (1945), doi:10.1093/biomet/33.3.239 (tau-b). Albert, Anderson (1984), doi:10.1093/biomet/71.1.1
    (separation).
    """
    if not drivers:
        raise ValueError("drivers is empty. At least one driver was expected. Pass drivers_from_features(...).")
    usable = frame[frame[outcome].notna() & (True if weight is None else frame[weight] > 0)]
    if not usable[outcome].isin([0, 1]).all():
        raise ValueError(f"{outcome!r} holds other values than 0 and 1. An outcome that happened or not was expected.")
    width = sum(len(driver.columns) for driver in drivers)
    asked = _rows_for(width, _refits(len(drivers))) if most_rows is None else most_rows
    sample = event_sample(usable, outcome, weight=weight, customer=customer, most=asked, rng=rng)
    fit, design = _fit_of(sample, drivers, outcome, rng)
    found = {name: np.full(len(drivers), np.nan) for name in ("mcfadden", "error", "linear")}
    if fit.shares is not None:
        C, seed = np.cov(design.values.T, aweights=design.weight, ddof=0), int(rng.integers(2**32))  # noqa: PD011
        logistic, linear = fit.shares.shares, _linear(C, fit, drivers, seed)
        if len(sample.rows) < len(usable):
            if raw is None:
                raw = moments_of_frame(usable, base_columns(drivers), [outcome], customer=customer, weight=weight)
            known = covariance(design_moments(raw, drivers, (), outcome).moments.total())
            logistic, linear = _moved(logistic, linear, _linear(known, fit, drivers, seed))
        found["mcfadden"][fit.players], found["linear"][fit.players] = logistic, linear
        found["error"][fit.players] = fit.shares.share_error
    both = [found[name][fit.players] for name in ("mcfadden", "linear")]
    return ChurnShares(
        outcome=outcome_name(outcome),
        drivers=tuple(drivers),
        r2=np.nan if fit.shares is None else fit.shares.r2,
        rank_correlation=float(kendalltau(*both).statistic) if len(fit.players) > 1 else np.nan,
        n_customers=sample.n_customers,
        n_rows=len(sample.rows),
        n_events=sample.n_events,
        n_all=len(usable),
        refits=0 if fit.shares is None else fit.shares.refits,
        notes=fit.notes,
        **found,
    )


def _refits(players: int) -> int:
    """Ask for enough refits for eight pairs of orders."""
    return max(_REFITS, 16 * players)


def _rows_for(width: int, refits: int) -> int:
    """Rows that take about ten seconds."""
    return int(np.clip(_WORK / (width**2 * refits), FEWEST_ROWS, MOST_ROWS))


@dataclass(frozen=True, slots=True)
class _Fit:
    """Drivers that take part (their numbers), the columns of each, shares if there are any, and what was left out."""

    players: list[int]
    blocks: list[list[int]]
    shares: McFadden | None
    notes: tuple[str, ...]


def _fit_of(
    sample: EventSample, drivers: Sequence[Driver], outcome: str, rng: np.random.Generator
) -> tuple[_Fit, Design]:
    """Fit the sample, or say that too few of its customers have the event, or too few have not."""
    name, rows = outcome_name(outcome), sample.rows.assign(**{_WEIGHT: sample.weight})
    design = design_matrix(rows, drivers, (), outcome, _WEIGHT)
    if min(sample.n_events, sample.n_others) >= FEWEST_EVENTS:
        return _fitted(name, drivers, design, rows[outcome].to_numpy(np.float64), rng), design
    note = (
        f"No shares of a logistic fit of {name}: of {sample.n_customers:,} customers {sample.n_events:,} have rows "
        f"with it and {sample.n_others:,} rows without; at least {FEWEST_EVENTS} of each are needed."
    )
    return _Fit([], [], None, (note,)), design


def _fitted(outcome: str, drivers: Sequence[Driver], design: Design, y: FloatArray, rng: np.random.Generator) -> _Fit:
    """Fit, leaving out one column after the other that tells the outcome for certain."""
    X = design.values[:, :-1]  # noqa: PD011
    varies = np.any(X != 0, axis=0).tolist()
    left = {k: [c for c in block if varies[c]] for k, block in enumerate(design.blocks)}
    left = {k: columns for k, columns in left.items() if columns}
    if len(left) > MOST_PLAYERS:
        note = f"No shares of a logistic fit of {outcome}: {len(left)} drivers; at most {MOST_PLAYERS} can be refitted."
        return _Fit([], [], None, (note,))
    notes: list[str] = []
    while left:
        players, blocks = list(left), list(left.values())
        together = unions([drivers[k].journey for k in players])
        try:
            shares = mcfadden_owen(X, y, blocks, together, rng=rng, weight=design.weight, refits=_refits(len(players)))
        except SeparationError as error:
            notes.append(_left_out(outcome, drivers, design, left, error.column))
        else:
            return _Fit(players, blocks, shares, tuple(notes))
    return _Fit([], [], None, (*notes, f"No driver is left that leaves {outcome} open."))


def _left_out(outcome: str, drivers: Sequence[Driver], design: Design, left: dict[int, list[int]], column: int) -> str:
    """Take a column out of its driver, or the driver with it; say so."""
    (place,) = (k for k, columns in left.items() if column in columns)
    driver = drivers[place]
    named = f"{driver.journey}: {driver.name}"
    if driver.columns[design.blocks[place].index(column)].startswith(MISSING_FLAG) and len(left[place]) > 1:
        left[place].remove(column)
        return f"Whether '{named}' applied tells {outcome} for certain in some rows: there it counts as average."
    del left[place]
    return f"'{named}' tells {outcome} for certain in some rows, so a logistic fit has no solution: left out of it."


def _linear(C: FloatArray, fit: _Fit, drivers: Sequence[Driver], seed: int) -> FloatArray:
    """Owen shares of the linear R2 of the columns of a fit, from covariances with the outcome last."""
    own = [column for block in fit.blocks for column in block]
    stops = np.cumsum([0, *map(len, fit.blocks)])
    blocks = [list(range(start, start + len(block))) for start, block in zip(stops, fit.blocks, strict=False)]
    together = unions([drivers[k].journey for k in fit.players])
    used = C[np.ix_([*own, -1], [*own, -1])]
    if is_exact(together):
        values = owen(used, blocks, together)
    else:
        orders = np.random.default_rng(seed)
        values = sample_orders(used, blocks, rng=orders, orders=_ORDERS, journeys=together).values  # noqa: PD011
    shares: FloatArray = values / values.sum()
    return shares


def _moved(logistic: FloatArray, linear: FloatArray, of_all: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Add the difference of both shares in the sample to the linear shares of all rows."""
    moved = np.maximum(of_all + logistic - linear, 0.0)
    return moved / moved.sum(), of_all
