"""The result of sharing out R2 among drivers: one row a driver, each with its interval, test and warning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.drivers import Driver

__all__ = ["Association", "DriverShare"]


@dataclass(frozen=True, slots=True)
class DriverShare:
    """One driver's share of the explained variance, in [0, 1], with its interval; NaN where it is not ranked.

    Parameters
    ----------
    driver
        Which.
    share, lo, hi
        Owen value over R2 in the sample, and the interval of that without what chance adds; `share` may lie outside.
    quality, reach
        The parts of `share` that belong to the values (how good it was) and to the flag "did not apply" (whether it was
        used at all); they sum to it.
    alone_r2, last_r2
        R2 of this driver alone, and what it adds to all others.
    tier
        1 for those that cannot be told from the largest, and so on (`models.standing.tiers`); 0 where not ranked.
    in_top_3
        Share of the bootstrap draws in which it is among the three largest.
    p_value, p_adjusted
        Of the cluster-robust test that it adds nothing to all other drivers and the controls, and the same adjusted for
        testing every driver (Holm). 1 where the others say all that it could.
    by_size
        R2 that it adds to coalitions of 0, 1, 2, ... other drivers, on average over all of them, whatever their journey
        (conditional dominance). Empty where drivers are too many for all coalitions.
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
    p_value: float = np.nan
    p_adjusted: float = np.nan
    by_size: tuple[float, ...] = ()
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
        Share of the outcome's variance that all drivers explain on top of the controls, in the sample; the
        interval is that of R2 without what chance adds, and may lie below it.
    r2_chance
        What of it is to be expected by chance if drivers add nothing to the controls.
    r2_controls
        Share of the outcome's variance that the controls explain.
    p_value
        Of the cluster-robust test that no driver goes along with the outcome.
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
    r2_chance: float
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
                "p_value": np.array([share.p_value for share in self.shares], dtype=np.float64),
                "p_adjusted": np.array([share.p_adjusted for share in self.shares], dtype=np.float64),
                "r2": self.r2,
                "n": self.n_customers,
                "warning": [share.warning for share in self.shares],
            }
        )

    def by_size_frame(self) -> pd.DataFrame:
        """One row a driver and number of others already in: outcome, journey, driver, feature, others, added_r2."""
        rows = [
            (self.outcome, share.driver.journey, share.driver.name, share.driver.columns[0], others, added)
            for share in self.shares
            for others, added in enumerate(share.by_size)
        ]
        return pd.DataFrame(rows, columns=["outcome", "journey", "driver", "feature", "others", "added_r2"])
