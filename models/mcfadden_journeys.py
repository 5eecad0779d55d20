"""Shares of a logistic fit when drivers belong to journeys: the Owen value of McFadden's R2.

`models.mcfadden` shares out among drivers as if each stood alone. Where a table adds drivers up to journeys its shares
cannot be used: a journey would gain by being measured with more items. Here orders keep journeys together, as in
`models.lattice.owen`. All coalitions that such orders need are refitted where they are few; else some orders are drawn,
with what least squares says of the same orders as control variates.

References
----------
McFadden (1974), Conditional logit analysis of qualitative choice behavior, p. 121 (R2 = 1 - log likelihood ratio).
Owen (1977), Values of games with a priori unions, doi:10.1007/978-3-642-45494-3_7, equation 6.
Castro, Gómez, Tejada (2009), doi:10.1016/j.cor.2008.04.004 (sampled orders). Glasserman (2003), Monte Carlo Methods in
Financial Engineering, section 4.1 (control variates whose mean is known).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import factorial

import numpy as np
from numpy.typing import NDArray

from models.coalition_fits import FullFit, LogisticRows, compressed, full_fit, smallest_losses, working_covariances
from models.driver_game import is_exact
from models.lattice import owen, partial_out
from models.mcfadden import McFadden
from models.orderings import sample_orders

__all__ = ["MOST_PLAYERS", "mcfadden_owen"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]
Blocks = Sequence[Sequence[int]]

MOST_PLAYERS = 60
"""Players beyond which refits would take minutes."""

_FEWEST_PAIRS = 8
"""Orders with their reverses from which a standard error says something."""

_SURROGATE_ORDERS = 20_000


def mcfadden_owen(
    X: FloatArray,
    y: FloatArray,
    blocks: Blocks,
    journeys: Sequence[Sequence[int]],
    *,
    rng: np.random.Generator,
    controls: Sequence[int] = (),
    weight: FloatArray | None = None,
    refits: int = 300,
) -> McFadden:
    """Share out McFadden's R2 of a logistic regression when players belong to journeys.

    Parameters
    ----------
    X
        (n, columns), finite. Columns of no player and no control are ignored.
    y
        (n,), 0 or 1.
    blocks
        The columns owned by each player; no column twice.
    journeys
        The players of each journey; a partition of the players.
    rng
        Draws the orders where not all coalitions are refitted.
    controls
        Columns that are in every model.
    weight
        (n,), non-negative; None counts every row once.
    refits
        About how many coalitions to refit at most. Where the orders need no more, the answer is exact.

    Returns
    -------
    McFadden
        Its values add up over a journey to what the journey as one player gets. Its standard error comes from not
        looking at all orders; 0 where the answer is exact.

    Raises
    ------
    ValueError
        Journeys that are no partition, more than 60 players, refits for fewer than 8 pairs of orders; and what
        `models.coalition_fits.compressed` refuses.
    SeparationError
        Columns that tell the outcome for certain.

    Notes
    -----
    Estimand: the mean of ``R2(controls, before, player) - R2(controls, before)`` over all orders of the players in
    which journeys stay together, with R2 = 1 - l(S) / l(rate) at the maximum of each likelihood.
    Sampled: pairs of an order and its reverse are independent draws. Increments are regressed on the increments of
    three R2 of least squares (at the rate, half way, at the full fit), whose means over all orders are known; the
    standard error is the jackknife's over pairs.
    Cost: refits x rows x columns^2 x about four steps; rows that are alike count once.
    """
    _check(blocks, journeys)
    columns = [*controls, *(column for block in blocks for column in block)]
    rows = compressed(X[:, columns], y, weight, columns)
    full = full_fit(rows)
    owner = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    game = _Refits(rows, full, owner, len(controls))
    everyone = np.ones((1, len(blocks)), dtype=np.bool_)
    lowest = float(game.r2(~everyone)[0])
    highest = 1.0 - full.loss / rows.loss_without_columns
    members, weights = _all_coalitions(journeys, refits)
    if len(members):
        known = np.where(members.all(axis=1), highest, lowest)
        inside = members.any(axis=1) & ~members.all(axis=1)
        known[inside] = game.r2(members[inside])
        return McFadden(weights @ known, np.zeros(len(blocks)), highest, lowest, int(inside.sum()))
    orders = _drawn(journeys, refits, rng)
    gains, n_refits = game.increments(orders, lowest, highest)
    values, error = _controlled(gains, *_surrogates(game, orders, journeys, rng))
    return McFadden(values, error, highest, lowest, n_refits)


def _check(blocks: Blocks, journeys: Sequence[Sequence[int]]) -> None:
    if sorted(player for members in journeys for player in members) != list(range(len(blocks))):
        raise ValueError(
            f"journeys are {list(map(list, journeys))} for {len(blocks)} players. Every player belongs to exactly one "
            "journey. List each player from 0 on once."
        )
    if not blocks or len(blocks) > MOST_PLAYERS:
        raise ValueError(
            f"there are {len(blocks)} players. Between 1 and {MOST_PLAYERS} were expected. Join some in blocks."
        )


class _Refits:
    """The game: R2 of coalitions of players, controls in all of them."""

    def __init__(self, rows: LogisticRows, full: FullFit, owner: IntArray, n_controls: int) -> None:
        self.rows, self.full, self.owner, self.n_controls = rows, full, owner, n_controls

    def columns(self, members: BoolArray) -> BoolArray:
        """Columns (coalitions, columns) of coalitions (coalitions, players)."""
        always = np.ones((len(members), self.n_controls), dtype=np.bool_)
        return np.concatenate([always, members[:, self.owner]], axis=1)

    def r2(self, members: BoolArray) -> FloatArray:
        """McFadden's R2 of coalitions."""
        losses = smallest_losses(self.rows, self.columns(members), self.full)
        return 1.0 - losses / self.rows.loss_without_columns

    def increments(self, orders: IntArray, lowest: float, highest: float) -> tuple[FloatArray, int]:
        """Increase of R2 (orders, players) when each player joins, and how many coalitions were refitted."""
        unique, place = np.unique(_before(orders), axis=0, return_inverse=True)
        at = self.r2(unique)[place.reshape(len(orders), -1)]
        ends = np.full((len(orders), 1), 1.0)
        return _by_player(orders, np.concatenate([lowest * ends, at, highest * ends], axis=1)), len(unique)


def _all_coalitions(journeys: Sequence[Sequence[int]], most: int) -> tuple[BoolArray, FloatArray]:
    """Coalitions (n, players) that orders with journeys together need, and their weights (players, n) in the values.

    None where there are more than `most`: whole journeys, and some of the players of one journey more.
    """
    players = sum(map(len, journeys))
    needed = (1 << len(journeys)) - 2 + (1 << len(journeys) - 1) * sum((1 << len(own)) - 2 for own in journeys)
    if needed > most:
        return np.empty((0, players), dtype=np.bool_), np.empty((players, 0))
    found, weights = [], []
    for number, own in enumerate(journeys):
        others = [members for place, members in enumerate(journeys) if place != number]
        outside, inside = _subsets(len(others)), _subsets(len(own))
        grid = np.zeros((len(outside), len(inside), players), dtype=np.bool_)
        for bit, members in zip(outside.T, others, strict=True):
            grid[:, :, list(members)] = bit[:, np.newaxis, np.newaxis]
        grid[:, :, list(own)] = inside
        joined = np.zeros((players, *grid.shape[:2]))
        # a player joins after others of its own journey, and after whole other journeys
        joins = [_chance(inside.sum(axis=1) - is_in, len(own)) * (2.0 * is_in - 1.0) for is_in in inside.T]
        joined[list(own)] = _chance(outside.sum(axis=1), len(journeys))[:, np.newaxis] * np.array(joins)[:, np.newaxis]
        found.append(grid.reshape(-1, players))
        weights.append(joined.reshape(players, -1))
    members, place = np.unique(np.concatenate(found), axis=0, return_inverse=True)
    total = np.zeros((len(members), players))
    np.add.at(total, place.reshape(-1), np.concatenate(weights, axis=1).T)
    return members, total.T


def _subsets(n: int) -> BoolArray:
    """All subsets: (2 ** n, n)."""
    return np.asarray(np.arange(1 << n)[:, np.newaxis] >> np.arange(n) & 1, dtype=np.bool_)


def _chance(before: IntArray, n: int) -> FloatArray:
    """Chance that, of n in random order, exactly these `before` stand before one of the others."""
    table = [factorial(k) * factorial(n - k - 1) / factorial(n) for k in range(n)]
    return np.array(table)[np.minimum(before, n - 1)]


def _drawn(journeys: Sequence[Sequence[int]], refits: int, rng: np.random.Generator) -> IntArray:
    """Draw orders (orders, players), each followed by its reverse."""
    players = sum(map(len, journeys))
    pairs = refits // (2 * (players - 1))
    if pairs < _FEWEST_PAIRS:
        raise ValueError(
            f"refits is {refits} for {players} players. At least {2 * _FEWEST_PAIRS * (players - 1)} were expected. "
            "Ask more."
        )
    orders = []
    for _ in range(pairs):
        turn = rng.permutation(len(journeys))
        order = np.concatenate([rng.permutation(journeys[place]) for place in turn])
        orders += [order, order[::-1]]
    return np.array(orders, dtype=np.intp)


def _before(orders: IntArray) -> BoolArray:
    """Coalitions of those at the first 1, 2, ... places, but not of all: (orders x (players - 1), players)."""
    players = orders.shape[1]
    rank = np.argsort(orders, axis=1)
    return np.asarray(rank[:, np.newaxis, :] < np.arange(1, players)[:, np.newaxis]).reshape(-1, players)


def _by_player(orders: IntArray, path: FloatArray) -> FloatArray:
    """Turn R2 along the orders (orders, players + 1) into increases by player (orders, players)."""
    found = np.empty(orders.shape)
    np.put_along_axis(found, orders, np.diff(path, axis=1), axis=1)
    return found


def _surrogates(
    game: _Refits, orders: IntArray, journeys: Sequence[Sequence[int]], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """R2 of least squares: increases (3, orders, players) along the orders, and their means (3, players)."""
    stops = np.cumsum([0, *np.bincount(game.owner).tolist()])
    blocks = [list(range(start, stop)) for start, stop in pairwise(stops)]
    unique, place = np.unique(_before(orders), axis=0, return_inverse=True)
    ends = np.ones((len(orders), 1))
    gains, means = [], []
    for C in working_covariances(game.rows, game.full):
        partial = partial_out(C, range(game.n_controls))
        at = np.array([_r2(partial, np.flatnonzero(used)) for used in unique[:, game.owner]])
        whole = _r2(partial, np.arange(len(game.owner)))
        path = np.concatenate([0.0 * ends, at[place.reshape(len(orders), -1)], whole * ends], axis=1)
        gains.append(_by_player(orders, path))
        if is_exact(journeys):
            means.append(owen(partial, blocks, journeys))
        else:
            drawn = sample_orders(partial, blocks, rng=rng, orders=_SURROGATE_ORDERS, journeys=journeys)
            means.append(drawn.values)
    return np.array(gains), np.array(means)


def _r2(C: FloatArray, columns: IntArray) -> float:
    """R2 of some columns from covariances with the outcome last."""
    slopes = np.linalg.lstsq(C[np.ix_(columns, columns)], C[columns, -1], rcond=1e-10)[0]
    return float(slopes @ C[columns, -1] / C[-1, -1])


def _controlled(gains: FloatArray, variates: FloatArray, means: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means over all orders (players,) from gains (orders, players) and control variates, with standard errors.

    The errors are those of the jackknife over pairs: slopes fitted to few orders are uncertain too.
    """
    y = gains.reshape(-1, 2, gains.shape[1]).mean(axis=1)
    away = variates - means[:, np.newaxis]
    z = away.reshape(len(variates), -1, 2, gains.shape[1]).mean(axis=2)
    pairs = len(y)
    without = [_mean(np.delete(y, k, axis=0), np.delete(z, k, axis=1)) for k in range(pairs)]
    spread = np.array(without).std(axis=0, ddof=0)
    return _mean(y, z), np.asarray(spread * np.sqrt(pairs - 1))


def _mean(y: FloatArray, z: FloatArray) -> FloatArray:
    """Mean of y (pairs, players) less what its deviations have in common with those of z (variates, pairs, players)."""
    spread = (z - z.mean(axis=1, keepdims=True)).reshape(len(z), -1)
    slopes = np.linalg.lstsq(spread.T, (y - y.mean(axis=0)).reshape(-1), rcond=1e-10)[0]
    found: FloatArray = y.mean(axis=0) - slopes @ z.mean(axis=1)
    return found
