"""Shares of an outcome that happens or not, twice: of the variance of 0 and 1, and of a logistic fit.

The linear answer costs nothing and can be said in plain words, but where events are rare and drivers skewed it is off
by points. Here both are computed on the same rows and columns, so that what differs between them is the model alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from models.coalition_fits import SeparationError
from models.driver_game import is_exact, unions
from models.drivers import MISSING_FLAG, Design, Driver, design_matrix, outcome_name
from models.lattice import owen
from models.mcfadden import McFadden
from models.mcfadden_journeys import mcfadden_owen
from models.orderings import sample_orders

__all__ = ["ChurnShares", "churn_shares"]

FloatArray = NDArray[np.float64]

MOST_ROWS, FEWEST_ROWS = 20_000, 10_000
"""Rows of the sample: the first with few columns, the second with many."""

_WORK = 4e9
"""Rows x columns^2 x refits that take about ten seconds."""

_REFITS, _ORDERS = 300, 20_000


@dataclass(frozen=True, slots=True)
class ChurnShares:
    """Shares of both decompositions, on the same rows.

    Attributes
    ----------
    outcome : str
        'churn' or the column's name.
    drivers : tuple of Driver
        In the order in which they were passed.
    mcfadden : ndarray of float, shape (drivers,)
        Owen value of McFadden's R2 over `r2`, summing to 1; NaN where a driver is left out, or where all are.
    error : ndarray of float, shape (drivers,)
        Its standard error from not looking at all orders of drivers; it knows nothing of which customers were drawn.
    linear : ndarray of float, shape (drivers,)
        Owen value of the linear R2 over its whole, same rows and columns.
    r2 : float
        McFadden's R2 of all drivers that take part; NaN where there is no fit.
    rank_correlation : float
        Kendall's tau-b of both shares; NaN with fewer than two drivers.
    n_customers, n_rows : int
        Used.
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

    Returns
    -------
    ChurnShares
        Without a fit (all NaN, and a note) where no driver is left.

    Raises
    ------
    ValueError
        No drivers, or an outcome that is not 0 or 1 or never varies.

    Notes
    -----
    Estimand and estimator: :func:`models.mcfadden_journeys.mcfadden_owen`. Columns are those of
    :func:`models.importance.association`: values with the mean in place of what is missing, and flags.

    A column that tells the outcome for certain (all of its customers left, say) has no logistic fit. A flag is then
    dropped, so that those it marks count as average; a value takes its driver with it. Both are told in `notes`, and
    the linear shares are of the same columns.

    References
    ----------
    McFadden (1974), Conditional logit analysis of qualitative choice behavior, p. 121. Owen (1977),
    doi:10.1007/978-3-642-45494-3_7. Kendall (1945), doi:10.1093/biomet/33.3.239 (tau-b). Albert, Anderson (1984),
    doi:10.1093/biomet/71.1.1 (separation).
    """
    if not drivers:
        raise ValueError("drivers is empty. At least one driver was expected. Pass drivers_from_features(...).")
    usable = frame[frame[outcome].notna() & (True if weight is None else frame[weight] > 0)]
    width = sum(len(driver.columns) for driver in drivers)
    asked = _rows_for(width, _refits(len(drivers))) if most_rows is None else most_rows
    rows = _sample(usable, customer, asked, rng)
    design = design_matrix(rows, drivers, (), outcome, weight)
    fit = _fitted(outcome_name(outcome), drivers, design, rows[outcome].to_numpy(np.float64), rng)
    found = {name: np.full(len(drivers), np.nan) for name in ("mcfadden", "error", "linear")}
    if fit.shares is not None:
        found["mcfadden"][fit.players] = fit.shares.shares
        found["error"][fit.players] = fit.shares.share_error
        found["linear"][fit.players] = _linear(design, fit, [drivers[k].journey for k in fit.players], rng)
    both = [found[name][fit.players] for name in ("mcfadden", "linear")]
    return ChurnShares(
        outcome=outcome_name(outcome),
        drivers=tuple(drivers),
        r2=np.nan if fit.shares is None else fit.shares.r2,
        rank_correlation=float(kendalltau(*both).statistic) if len(fit.players) > 1 else np.nan,
        n_customers=int(rows[customer].nunique()),
        n_rows=len(rows),
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


def _sample(rows: pd.DataFrame, customer: str, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw whole customers until their rows would be too many; the draw does not depend on the order of rows."""
    if len(rows) <= most:
        return rows
    sizes = rows[customer].value_counts().sort_index()
    drawn = sizes.iloc[rng.permutation(len(sizes))]
    kept = drawn.index[drawn.cumsum().to_numpy() <= most]
    return rows[rows[customer].isin(kept)]


@dataclass(frozen=True, slots=True)
class _Fit:
    """Drivers that take part (their numbers), the columns of each, shares if there are any, and what was left out."""

    players: list[int]
    blocks: list[list[int]]
    shares: McFadden | None
    notes: tuple[str, ...]


def _fitted(outcome: str, drivers: Sequence[Driver], design: Design, y: FloatArray, rng: np.random.Generator) -> _Fit:
    """Fit, leaving out one column after the other that tells the outcome for certain."""
    X = design.values[:, :-1]  # noqa: PD011
    varies = np.any(X != 0, axis=0).tolist()
    left = {k: [c for c in block if varies[c]] for k, block in enumerate(design.blocks)}
    left = {k: columns for k, columns in left.items() if columns}
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


def _linear(design: Design, fit: _Fit, journeys: Sequence[str], rng: np.random.Generator) -> FloatArray:
    """Owen shares of the linear R2 of the same columns."""
    own = [column for block in fit.blocks for column in block]
    C = np.cov(design.values[:, [*own, -1]].T, aweights=design.weight, ddof=0)  # noqa: PD011
    stops = np.cumsum([0, *map(len, fit.blocks)])
    blocks = [list(range(start, start + len(block))) for start, block in zip(stops, fit.blocks, strict=False)]
    together = unions(journeys)
    if is_exact(together):
        values = owen(C, blocks, together)
    else:
        values = sample_orders(C, blocks, rng=rng, orders=_ORDERS, journeys=together).values  # noqa: PD011
    shares: FloatArray = values / values.sum()
    return shares
