"""How sure the choice is: in which share of the draws, and of samples of draws, each initiative is in the best set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.estimates import wilson
from models.feasibility import check_limits
from models.portfolio import Search
from models.proposals import Limits

__all__ = ["Stability", "stability"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Shares by initiative, in the order of names.

    Attributes
    ----------
    names : tuple of str
        m of them.
    by_draw : float64 array, shape (m,)
        Share of the draws in which it is in the set that is best in that draw: what is not known.
    lo, hi : float64 arrays, shape (m,)
        90 % interval of `by_draw` (Wilson): a finite number of draws was looked at.
    by_sample : float64 array, shape (m,)
        Share of bootstrap samples of the draws in which it is in the set with the best mean: what more draws would
        settle.
    draws, samples : int
        How many of each.
    """

    names: tuple[str, ...]
    by_draw: Array
    lo: Array
    hi: Array
    by_sample: Array
    draws: int
    samples: int

    def to_frame(self) -> pd.DataFrame:
        """One row per initiative: initiative, by_draw, by_draw_lo, by_draw_hi, by_sample; shares."""
        return pd.DataFrame(
            {
                "initiative": self.names,
                "by_draw": self.by_draw,
                "by_draw_lo": self.lo,
                "by_draw_hi": self.hi,
                "by_sample": self.by_sample,
            }
        )


def stability(searched: Search, limits: Limits, rng: np.random.Generator, samples: int = 200) -> Stability:
    """Count how often each initiative is in the best set.

    Parameters
    ----------
    searched : Search
        From `models.portfolio.search`.
    limits : Limits
        As for `models.portfolio.choose`.
    rng : numpy.random.Generator
        Draws the bootstrap samples.
    samples : int
        Bootstrap samples, at least 1.

    Returns
    -------
    Stability

    Raises
    ------
    StudyError
        As `models.portfolio.choose`.

    Notes
    -----
    `by_draw` is the posterior probability that the initiative belongs to the best set, were the truth known; the risk
    appetite plays no part in it, as nothing is uncertain within a draw. `by_sample` is about the number of draws alone
    and is for the mean; it is near 0 or 1 when draws suffice.

    Cost: an integer programme solves two for each draw and sample, the second settles equals; give fewer draws there.
    """
    check_limits(searched.proposals, limits)
    chosen = searched.best_by_draw(limits)
    n = len(chosen)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=samples)
    resampled = np.array([searched.best_weighted(weights, limits).flags for weights in counts / n])
    by_draw = chosen.mean(axis=0)
    lo, hi = np.array([wilson(share, np.arange(n), np.ones(n)) for share in by_draw]).T
    return Stability(searched.proposals.names, by_draw, lo, hi, resampled.mean(axis=0), n, samples)
