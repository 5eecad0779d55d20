"""What the table of drivers needs beyond the ranking: whole journeys with intervals, reach, and churn by McFadden."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from features.raw_moments import RawMoments
from flows.wording import decimal, label, percent, short_name
from models.churn_shares import ChurnShares, churn_shares
from models.drivers import Driver, outcome_name
from models.importance import association_of
from models.reach import reach_of, whole_journeys
from models.splits import cluster_column

__all__ = ["journey_shares", "mcfadden_notes", "mcfadden_shares", "reaches"]


def journey_shares(raw: RawMoments, drivers: Sequence[Driver], outcomes: Sequence[str], seed: int) -> pd.DataFrame:
    """Rank whole journeys: what their drivers' shares add up to, with interval and tier.

    Parameters
    ----------
    raw : RawMoments
        Sums of products that the drivers were ranked from: no row is looked at again.
    drivers : sequence of Driver
        As ranked.
    outcomes : sequence of str
        Columns with a ranking.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        As :meth:`models.importance.Association.to_frame`, one row a journey.
    """
    journeys = whole_journeys(drivers)
    found = []
    for number, column in enumerate(outcomes):
        rng = np.random.default_rng([seed, 30 + number])
        found.append(association_of(raw, journeys, column, rng=rng).to_frame())
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def reaches(frame: pd.DataFrame, drivers: Sequence[Driver], outcomes: Sequence[str]) -> pd.DataFrame:
    """Count to whom drivers and whole journeys applied, for every outcome.

    Returns
    -------
    DataFrame
        ``outcome``, ``level`` (driver or journey), and the columns of :func:`models.reach.reach_of`.
    """
    found = []
    for column in outcomes:
        for level, players in {"driver": drivers, "journey": whole_journeys(drivers)}.items():
            one = reach_of(frame, players, column, weight="weight", customer=cluster_column(frame))
            found.append(one.assign(outcome=outcome_name(column), level=level))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def mcfadden_shares(
    frame: pd.DataFrame, drivers: Sequence[Driver], outcomes: Sequence[str], seed: int, raw: RawMoments | None
) -> tuple[ChurnShares, ...]:
    """Share out the logistic fit of every outcome that happens or not.

    Parameters
    ----------
    frame : DataFrame
        Mature rows of the panel.
    drivers : sequence of Driver
        As ranked.
    outcomes : sequence of str
        Columns with a ranking; amounts are passed over.
    seed : int
        Draws customers and orders.
    raw : RawMoments or None
        Sums of products over the same rows; None has them summed where a sample of the rows is used.
    """
    return tuple(
        churn_shares(
            frame,
            drivers,
            column,
            rng=np.random.default_rng([seed, 40 + number]),
            weight="weight",
            customer=cluster_column(frame),
            raw=raw,
        )
        for number, column in enumerate(outcomes)
        if frame[column].dropna().isin([0, 1]).all()
    )


def mcfadden_notes(found: ChurnShares, shares: pd.DataFrame) -> tuple[str, ...]:
    """Say what the logistic shares rest on, and where they disagree with the linear ones by more than the intervals.

    Parameters
    ----------
    found : ChurnShares
        Of one outcome.
    shares : DataFrame
        Linear shares of the same outcome with intervals: feature, share, share_lo, share_hi.

    Notes
    -----
    Both shares printed belong together: the logistic one is the linear one of all rows plus what the two differ by in
    the same rows, so that who was drawn plays little part in the difference. It is held against the distance of the
    linear share from the end of its interval (in proportion, where drivers were left out), plus 1.645 standard errors
    of the sampled orders.
    """
    if not np.isfinite(found.r2):
        return found.notes
    drawn = f"{found.n_rows:,} of {found.n_all:,} rows" if found.n_rows < found.n_all else f"all {found.n_rows:,} rows"
    error = float(np.nanmax(found.error))
    exact = f"standard error of a share at most {100 * error:.2f} points" if error > 0 else "every order of the drivers"
    from_rows = f"{drawn}, {found.n_customers:,} customers, {found.n_events:,} of them with {found.outcome}, {exact}"
    basis = [f"McFadden's R² of a logistic fit is {percent(found.r2, 1)} ({from_rows})."]
    if found.n_rows < found.n_all:
        basis.append("Shares are linear shares of all rows plus what both kinds of share differ by in these rows.")
    return (" ".join([*basis, *_agreement(found, shares)]), *found.notes)


def _agreement(found: ChurnShares, shares: pd.DataFrame) -> Iterator[str]:
    """Compare both rankings."""
    if np.isfinite(found.rank_correlation):
        yield f"Kendall's tau of the logistic and the linear ranking is {decimal(found.rank_correlation, 2)}."
    apart = list(_apart(found, shares))
    if apart:
        yield f"By more than its interval the share differs for {'; '.join(apart)}."
    else:
        yield "No share differs by more than its interval."


def _apart(found: ChurnShares, shares: pd.DataFrame) -> Iterator[str]:
    """Drivers whose two shares differ by more than the interval of the linear one, the largest difference first."""
    known = shares.set_index("feature")
    difference = found.mcfadden - found.linear
    for k in np.argsort(-np.abs(difference), kind="stable"):
        one = known.loc[found.drivers[k].columns[0]]
        # The printed share need not lie within its interval, from which chance is taken out: half the width counts.
        room = (one["share_hi"] - one["share_lo"]) / 2
        # where drivers were left out the shares of the others are larger, and so are their intervals
        room *= found.linear[k] / one["share"] if one["share"] > 0 else 1.0
        if abs(difference[k]) > room + 1.645 * found.error[k]:
            name = label(found.drivers[k].journey, short_name(found.drivers[k].name))
            yield f"{name} (linear {percent(found.linear[k])}, logistic {percent(found.mcfadden[k])})"
