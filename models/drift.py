"""Whether a batch has moved away from what the model has learned from, more than batches move anyway.

Each feature is described at every cutoff by three things: how its values are spread over bins, how large they are, and
which share is missing. How far the batch is from the reference in each is compared with how far earlier cutoffs were
from theirs, the same number of cutoffs ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.bins import Bins, expected_psi, psi, smoothed
from models.counted import Counted
from models.prediction_limits import FEWEST, Limits, limits, look_back, overlap

__all__ = ["Design", "Drift", "Profile", "Profiler", "drift", "joined", "share_of"]

FloatArray = NDArray[np.float64]

_COLUMNS: Final = (
    "feature", "psi", "psi_limit", "p_psi", "mean", "reference_mean", "factor", "p_level", "missing_share",
    "reference_missing_share", "missing_lo", "missing_hi", "p_missing", "p", "n",
)  # fmt: skip
_ASPECTS: Final = 3
_LEAST_REFERENCE: Final = 3
"""Cutoffs that an earlier cutoff is compared with at least."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the columns of one cutoff look like.

    Attributes
    ----------
    n : int
        Rows.
    counts : mapping of str to ndarray
        Rows in each bin, by column.
    size : ndarray of float, shape (columns,)
        Mean of ``log(1 + |value| / scale)``: how large values are, with no single one counting much.
    mean : ndarray of float, shape (columns,)
        Mean of the values; NaN for categories and where all are missing.
    missing : ndarray of float, shape (columns,)
        Share without a value.
    """

    n: int
    counts: Mapping[str, NDArray[np.int64]]
    size: FloatArray
    mean: FloatArray
    missing: FloatArray


@dataclass(frozen=True, slots=True)
class Profiler:
    """How the columns of any cutoff are described: fixed by rows of the reference.

    Attributes
    ----------
    bins : mapping of str to Bins
        By column, in order.
    scale : mapping of str to float
        Median size of the values other than zero; 1 where there are none.
    """

    bins: Mapping[str, Bins]
    scale: Mapping[str, float]

    @classmethod
    def of(cls, reference: Mapping[str, Counted]) -> Profiler:
        """Fix bins and scales by the columns of the reference, all of its cutoffs together."""
        return cls(
            {name: Bins.of(column) for name, column in reference.items()},
            {name: _scale(column) for name, column in reference.items()},
        )

    def profile(self, columns: Mapping[str, Counted]) -> Profile:
        """Describe the columns of one cutoff."""
        described = [_described(columns[name], self.scale[name]) for name in self.bins]
        size, mean, missing = np.array(described, np.float64).reshape(-1, 3).T
        counts = {name: bins.counts(columns[name]) for name, bins in self.bins.items()}
        return Profile(max((columns[name].rows for name in self.bins), default=0), counts, size, mean, missing)


@dataclass(frozen=True, slots=True)
class Design:
    """How the comparison is made.

    Attributes
    ----------
    lag : int
        Cutoffs from the last of the reference to the batch, at least 1.
    window_steps : float
        Over how many cutoffs the window of a feature reaches: neighbouring cutoffs share what happened.
    alpha : float
        Chance that any column of an undisturbed batch is told as moved.
    """

    lag: int
    window_steps: float
    alpha: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a batch is from the reference, column by column.

    Attributes
    ----------
    table : DataFrame
        feature; psi, psi_limit; mean, reference_mean, factor (mean size over that of the reference); missing_share,
        reference_missing_share, missing_lo, missing_hi, the reference being the latest `back` cutoffs of it; p_psi,
        p_level, p_missing, and p: the smallest times the number of tests, at most 1 (Bonferroni); n rows. The largest
        psi first, ties by name. Without limits p is NaN.
    compared : int
        Earlier cutoffs whose distance from their past gave the limits; 0: too few, nothing is judged.
    worth : float
        How many independent ones they are worth.
    lag : int
        Over how many cutoffs they were compared.
    back : int
        With how many cutoffs, the latest of the reference, the batch is compared.
    alpha : float
        Chance that any column of an undisturbed batch has p below it.
    """

    table: pd.DataFrame
    compared: int
    worth: float
    lag: int
    back: int
    alpha: float

    @property
    def is_judged(self) -> bool:
        """Whether there was enough history to say what is out of the ordinary."""
        return self.compared > 0


def share_of(angle: FloatArray) -> FloatArray:
    """Bring shares back from the arcsine of their root; what lies beyond that scale is 0 or 1."""
    back: FloatArray = np.sin(np.clip(angle, 0.0, np.pi / 2)) ** 2
    return back


def joined(first: Profile, second: Profile) -> Profile:
    """Describe the columns of both; rows are those of the first."""
    parts = {name: np.append(getattr(first, name), getattr(second, name)) for name in ("size", "mean", "missing")}
    return Profile(first.n, {**first.counts, **second.counts}, **parts)


def drift(reference: Sequence[Profile], batch: Profile, design: Design) -> Drift:
    """Compare a batch with a reference, and with how reference cutoffs compared with their own past.

    Parameters
    ----------
    reference : sequence of Profile
        Of the cutoffs that the model has learned from, ascending, by one profiler.
    batch : Profile
        By the same profiler.
    design : Design
        Lag, overlap and false-alarm rate.

    Returns
    -------
    Drift
        Independent of the order of rows.

    Notes
    -----
    The batch is compared with the mean of the latest `back` cutoffs of the reference, and each reference cutoff with
    the mean of as many that lie as far before it (:func:`models.prediction_limits.look_back`; at most as many as a
    window reaches over). A trend that goes on adds the same to all these distances, so it neither widens the limits nor
    is told as a change. PSI enters by the sixth root of itself plus what sampling alone brings; size as it is; the
    share missing by arcsine of its root. Limits of each aspect: :func:`models.prediction_limits.limits`, for ``alpha``
    over all columns and the three aspects.

    Where the batch is further from the reference than half of the reference is long, the lag is cut to that; what grows
    with distance is then found out of the ordinary sooner.

    What it takes for granted: the reference shows how cutoffs differ from each other. With less than a year of it the
    next season is news, and is told as such.
    """
    names = list(batch.counts)
    on = look_back(len(reference), design.lag, _LEAST_REFERENCE, round(design.window_steps))
    every, lag, back, latest = _stacked([*reference, batch]), on.lag, on.back, on.latest
    past = [_apart(every, target, on.past(target)) for target in on.targets]
    new = _apart(every, len(reference), latest)
    table = _described_batch(names, batch, reference[latest], _psi(every, len(reference), latest))
    if len(past) < FEWEST or not names:
        return Drift(_ordered(table), 0, 0.0, lag, back, design.alpha)
    each, worth = design.alpha / (_ASPECTS * len(names)), overlap(len(past), design.window_steps, lag, back)
    found = [
        limits(
            np.column_stack([one[aspect] for one in past]),
            new[aspect],
            each,
            worth,
            only_growth=aspect == 0,
        )
        for aspect in range(_ASPECTS)
    ]
    sampling = _sampling(every, len(reference), latest)
    table = _with_limits(table, found, sampling, every.missing[latest].mean(axis=0))
    return Drift(_ordered(table), len(past), found[0].worth, lag, back, design.alpha)


class _Stack(NamedTuple):
    """Profiles as arrays: shares (cutoffs, columns, cells), size and missing (cutoffs, columns), rows (cutoffs,)."""

    shares: FloatArray
    cells: FloatArray
    size: FloatArray
    missing: FloatArray
    n: FloatArray


def _stacked(profiles: Sequence[Profile]) -> _Stack:
    cells = np.array([len(counts) for counts in profiles[0].counts.values()], np.int64)
    shares = np.ones((len(profiles), len(cells), cells.max(initial=1)))  # what is beyond a column's cells is alike
    for at, profile in enumerate(profiles):
        for column, counts in enumerate(profile.counts.values()):
            shares[at, column, : len(counts)] = smoothed(counts)
    size, missing = (np.array([getattr(one, name) for one in profiles]) for name in ("size", "missing"))
    return _Stack(
        shares,
        cells.astype(np.float64),
        size,
        np.arcsin(np.sqrt(missing)),
        np.array([one.n for one in profiles], float),
    )


def _apart(every: _Stack, one: int, past: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distance of a cutoff from the mean of others: sixth root of PSI, size, arcsine of the root of missing."""
    # On this scale columns that follow a trend vary a little less than those that wander, so they can share a spread.
    spread = (_psi(every, one, past) + _sampling(every, one, past)) ** (1 / 6)
    size = every.size[one] - every.size[past].mean(axis=0)
    return spread, size, every.missing[one] - every.missing[past].mean(axis=0)


def _psi(every: _Stack, one: int, past: slice) -> FloatArray:
    return psi(every.shares[one], every.shares[past].mean(axis=0))


def _sampling(every: _Stack, one: int, past: slice) -> FloatArray:
    """Expect what sampling brings; rows of the past are largely the same customers and count once."""
    return (every.cells - 1) * expected_psi(2, every.n[one], every.n[past].max())


def _described_batch(
    names: list[str], batch: Profile, reference: Sequence[Profile], distance: FloatArray
) -> pd.DataFrame:
    usual = np.mean([one.size for one in reference], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.expm1(batch.size) / np.expm1(usual)
    columns = {
        "feature": names,
        "psi": distance,
        "mean": batch.mean,
        "reference_mean": _mean_of([one.mean for one in reference]),
        "factor": np.where(np.isfinite(factor) & (factor > 0), factor, np.nan),
        "missing_share": batch.missing,
        "reference_missing_share": np.mean([one.missing for one in reference], axis=0),
        "n": batch.n,
    }
    return pd.DataFrame(columns).reindex(columns=list(_COLUMNS))


def _with_limits(table: pd.DataFrame, found: Sequence[Limits], sampling: FloatArray, usual: FloatArray) -> pd.DataFrame:
    spread, size, missing = found
    smallest = np.minimum(np.minimum(spread.p, size.p), missing.p)
    return table.assign(
        psi_limit=np.maximum(spread.hi**6 - sampling, 0.0),
        p_psi=spread.p,
        p_level=size.p,
        p_missing=missing.p,
        missing_lo=share_of(usual + missing.lo),
        missing_hi=share_of(usual + missing.hi),
        p=np.minimum(smallest * _ASPECTS * len(table), 1.0),
    )


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["psi", "feature"], ascending=[False, True], kind="stable").reset_index(drop=True)


def _mean_of(rows: Sequence[FloatArray]) -> FloatArray:
    """Mean over cutoffs of what is known; NaN where nothing is."""
    stacked = np.array(rows)
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _scale(column: Counted) -> float:
    """Median size of the values other than zero."""
    size, is_there = np.abs(column.numbers), column.numbers != 0
    if not is_there.any():
        return 1.0
    order = np.argsort(size[is_there], kind="stable")
    reached = np.cumsum(column.counts[is_there][order])
    return float(size[is_there][order][np.searchsorted(reached, reached[-1] / 2)])


def _described(column: Counted, scale: float) -> tuple[float, float, float]:
    missing = column.missing / column.rows if column.rows else np.nan
    if column.levels is not None or column.known == 0:
        return 0.0, np.nan, missing
    size = np.log1p(np.abs(column.numbers) / scale) @ column.counts
    return float(size) / column.known, column.total / column.known, missing
