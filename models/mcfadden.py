"""Shares of a logistic fit: McFadden's R2 of churn, shared out among drivers from a few hundred refits.

For an outcome that happens or not, where events are rare or drivers skewed: there the shares of the linear R2
(`models.lattice`) can be off by several points. R2 of least squares, which cost nothing for every coalition, tell most
of what a refit would; sampled refits tell the rest, with an error that is stated.

References
----------
McFadden (1974), Conditional logit analysis of qualitative choice behavior, p. 121 (R2 = 1 - log likelihood ratio).
Lundberg, Lee (2017), A unified approach to interpreting model predictions, theorem 2 (Shapley values as weighted least
squares). Covert, Lee (2021), Improving KernelSHAP, arXiv:2012.01536 (coalitions in complement pairs). Särndal,
Swensson, Wretman (1992), Model assisted survey sampling, chapter 6 (regression estimator and its variance).
Differences: coalitions are drawn by size without replacement, and the regression has control variates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from models.coalition_fits import (
    FullFit,
    LogisticRows,
    compressed,
    full_fit,
    smallest_losses,
    working_covariances,
)
from models.lattice import coalition_r2, partial_out, shapley

__all__ = ["McFadden", "mcfadden"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Blocks = Sequence[Sequence[int]]

_SURROGATE_PLAYERS = 20
"""With more players the R2 of every coalition would not fit; refits alone then decide, with a larger error."""


@dataclass(frozen=True, slots=True)
class McFadden:
    """McFadden's R2 shared out among players.

    Parameters
    ----------
    values
        (players,): the mean increase of R2 when the player joins, over all orders; they sum to ``r2 - r2_controls``.
    standard_error
        (players,): of the sampling of coalitions alone; 0 where all were refitted.
    r2, r2_controls
        Of all columns, and of the controls alone: 1 - log likelihood / log likelihood of the rate.
    refits
        Logistic regressions of coalitions (the full one and the controls' come on top).
    """

    values: FloatArray
    standard_error: FloatArray
    r2: float
    r2_controls: float
    refits: int

    @property
    def shares(self) -> FloatArray:
        """Of what players explain on top of the controls: (players,), summing to 1; NaN where that is nothing."""
        return self._relative(self.values)

    @property
    def share_error(self) -> FloatArray:
        """Standard error of the shares: (players,)."""
        return self._relative(self.standard_error)

    def _relative(self, amounts: FloatArray) -> FloatArray:
        explained = self.r2 - self.r2_controls
        return amounts / explained if explained > 0 else np.full(len(amounts), np.nan)


def mcfadden(
    X: FloatArray,
    y: FloatArray,
    blocks: Blocks,
    *,
    rng: np.random.Generator,
    controls: Sequence[int] = (),
    weight: FloatArray | None = None,
    refits: int | None = None,
) -> McFadden:
    """Share out McFadden's R2 of a logistic regression: its Shapley value, from sampled refits.

    Parameters
    ----------
    X
        (n, columns), finite. Columns of no player and no control are ignored.
    y
        (n,), 0 or 1.
    blocks
        The columns owned by each player; no column twice.
    rng
        Draws the coalitions.
    controls
        Columns that are in every model.
    weight
        (n,), non-negative; None counts every row once.
    refits
        How many coalitions to refit, an even number. From ``2 ** players - 2`` on all are, and the answer is exact.
        None: 14 for each player, at least 96.

    Returns
    -------
    McFadden
        With the standard error that comes from not refitting all coalitions.

    Raises
    ------
    ValueError
        No players, or more than 60; too few refits; missing values; an outcome that is not 0 or 1 or never varies; a
        column that does not vary; columns that tell the outcome for certain, so that the fit has no solution.

    Notes
    -----
    Estimand: the mean over all orders of the players of ``R2(controls, before, player) - R2(controls, before)``, with
    R2 = 1 - l(S) / l(rate) at the maximum of each likelihood.
    Estimator: weighted least squares of the refits on membership (Lundberg and Lee), with powers of three R2 of
    least squares as control variates: less their own additive part, so that they take out noise and move no share.
    Coalitions come with their complement, sizes in proportion to the kernel; small ones are all looked at.
    Assumption of the standard error: enough refits for the regression, 12 and more for each player; it knows nothing
    of which customers were drawn.
    Cost: refits x rows x columns^2 x about four steps, rows that are alike counted once, and 2 ** players.
    """
    _check_players(blocks)
    columns = [*controls, *(column for block in blocks for column in block)]
    rows = compressed(X[:, columns], y, weight, columns)
    full = full_fit(rows)
    owner = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    design = _drawn(len(blocks), _asked(refits, len(blocks)), rng)
    everyone = np.ones((1, len(blocks)), dtype=np.bool_)
    losses = _losses(rows, full, np.concatenate([~everyone, design.members]), owner, len(controls))
    r2 = 1.0 - np.append(losses, full.loss) / rows.loss_without_columns
    surrogates = _surrogates(rows, full, np.bincount(owner, minlength=len(blocks)).tolist(), len(controls))
    values, error = _regressed(design, r2[1:-1] - r2[0], r2[-1] - r2[0], surrogates)
    return McFadden(values, error, float(r2[-1]), float(r2[0]), len(design.members))


def _check_players(blocks: Blocks) -> None:
    if not blocks or len(blocks) > 60:
        raise ValueError(f"there are {len(blocks)} players. Between 1 and 60 were expected. Join some in blocks.")


def _asked(refits: int | None, players: int) -> int:
    """Return how many coalitions to look at."""
    everything = (1 << players) - 2
    asked = max(96, 14 * players) if refits is None else refits
    if asked < min(everything, 4 * players + 16):
        raise ValueError(
            f"refits is {asked} for {players} players. At least {4 * players + 16} were expected. Ask more."
        )
    return min(everything, asked)


def _losses(
    rows: LogisticRows, full: FullFit, members: BoolArray, owner: NDArray[np.intp], n_controls: int
) -> FloatArray:
    """Refit coalitions (coalitions, players), controls in all of them."""
    always = np.ones((len(members), n_controls), dtype=np.bool_)
    return smallest_losses(rows, np.concatenate([always, members[:, owner]], axis=1), full)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Coalitions in complement pairs.

    Parameters
    ----------
    members
        (2 x pairs, players): rows 2j and 2j + 1 are complements.
    weight
        (2 x pairs,): Shapley kernel times the coalitions each stands for.
    stratum
        (pairs,): the size of the smaller of the two.
    unseen
        (strata,): share of a stratum's pairs that were not drawn; its first entry is for size 1.
    """

    members: BoolArray
    weight: FloatArray
    stratum: NDArray[np.intp]
    unseen: FloatArray


def _drawn(players: int, refits: int, rng: np.random.Generator) -> _Drawn:
    """Draw coalitions size by size, without replacement."""
    sizes = range(1, players // 2 + 1)
    there = [comb(players, size) // (2 if 2 * size == players else 1) for size in sizes]
    kernel = [(players - 1) / (comb(players, size) * size * (players - size)) for size in sizes]
    counts = _allotted([k * n for k, n in zip(kernel, there, strict=True)], there, refits // 2)
    members, weights = [np.empty((0, 2, players), dtype=np.bool_)], []
    for size, count, n in zip(sizes, counts, there, strict=True):
        some = _coalitions(players, size, count, n, rng)
        members.append(np.stack([some, ~some], axis=1))
        weights.append(np.full(2 * count, kernel[size - 1] * n / count))
    return _Drawn(
        np.concatenate(members).reshape(-1, players),
        np.concatenate([np.empty(0), *weights]),
        np.repeat(np.arange(len(counts)), counts),
        1.0 - np.array(counts, dtype=np.float64) / np.array(there, dtype=np.float64),
    )


def _allotted(mass: Sequence[float], there: Sequence[int], pairs: int) -> list[int]:
    """Split pairs among strata by their mass, at least two each, never more than there are; small strata first."""
    counts, left, heaviest = [0] * len(mass), pairs, float(sum(mass))
    for stratum in sorted(range(len(mass)), key=lambda one: there[one] / mass[one]):
        wanted = max(2, round(left * mass[stratum] / heaviest))
        counts[stratum] = min(there[stratum], wanted)
        left, heaviest = left - counts[stratum], heaviest - mass[stratum]
    return counts


def _coalitions(players: int, size: int, count: int, there: int, rng: np.random.Generator) -> BoolArray:
    """Draw different coalitions of a size: (count, players); of two complements of the same size, one with player 0."""
    half = 2 * size == players
    found: dict[bytes, BoolArray] = {}
    if count == there:
        others = range(1, players) if half else range(players)
        chosen = [(0, *rest) for rest in combinations(others, size - 1)] if half else list(combinations(others, size))
        result = np.zeros((count, players), dtype=np.bool_)
        np.put_along_axis(result, np.array(chosen, dtype=np.intp), np.ones((count, size), dtype=np.bool_), axis=1)
        return result
    while len(found) < count:
        drawn = rng.permuted(np.tile(np.arange(players) < size, (count, 1)), axis=1)
        drawn ^= half & ~drawn[:, :1]
        for one in drawn:
            if len(found) < count:
                found.setdefault(one.tobytes(), one)
    return np.array(list(found.values()))


def _surrogates(rows: LogisticRows, full: FullFit, sizes: list[int], n_controls: int) -> FloatArray:
    """(3, 2 ** players) R2 over the controls of weighted least squares: at the rate, half way, at the full fit."""
    if len(sizes) > _SURROGATE_PLAYERS:
        return np.empty((0, 0))
    stops = np.cumsum([0, *sizes])
    blocks = [list(range(start, start + size)) for start, size in zip(stops, sizes, strict=False)]
    found = []
    for C in working_covariances(rows, full):
        v = coalition_r2(partial_out(C, range(n_controls))[np.newaxis], blocks)[:, 0]
        found.append(v / v[-1] if v[-1] > 0 else v)
    return np.array(found)


def _regressed(
    design: _Drawn, gains: FloatArray, total: float, surrogates: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Shapley values from gains (coalitions,) over the controls, with their standard error."""
    players = design.members.shape[1]
    share = design.members.sum(axis=1) / players
    centred = design.members - share[:, np.newaxis]
    design_matrix = np.column_stack([centred, *_variates(surrogates, design.members)])
    root = np.sqrt(design.weight)[:, np.newaxis]
    Q = design_matrix * root
    size = np.sqrt((Q**2).sum(axis=0))
    Q /= np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv(Q, rcond=1e-10)
    target = (gains - share * total) * root[:, 0]
    # membership adds up to nothing, so does its solution but for rounding
    effect = inverse[:players] / size[:players, np.newaxis]
    effect = effect - effect.mean(axis=0)
    residual = (target - Q @ (inverse @ target)).reshape(-1, 2, 1)
    hat = np.einsum("jak,kjb->jab", Q.reshape(-1, 2, Q.shape[1]), inverse.reshape(len(inverse), -1, 2))
    unleveraged = np.linalg.solve(np.eye(2) * (1 + 1e-9) - hat, residual)
    scores = (effect.T.reshape(-1, 2, players) * unleveraged).sum(axis=1)
    return total / players + effect @ target, np.sqrt(_variance(scores, design))


def _variance(scores: FloatArray, design: _Drawn) -> FloatArray:
    """Variance of a sum over strata drawn without replacement: (players,) from (pairs, players)."""
    variance = np.zeros(scores.shape[1])
    for stratum, unseen in enumerate(design.unseen):
        own = scores[design.stratum == stratum]
        if unseen > 0:
            variance += unseen * len(own) * own.var(axis=0, ddof=1)
    return variance


def _variates(surrogates: FloatArray, members: BoolArray) -> list[FloatArray]:
    """Return control variates (coalitions,): games of the surrogates, each less its own Shapley values."""
    if len(surrogates) == 0:
        return []
    v, h, w = surrogates
    at = members @ (1 << np.arange(members.shape[1]))
    found = []
    for game in (v, v**2, v**3, h, h**2, w, w**2, v * w):
        additive = shapley(game[:, np.newaxis])[0]
        found.append(game[at] - members @ additive)
    return found
