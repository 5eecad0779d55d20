"""The game that shares out R2 among drivers: who plays, what each player adds, and what to warn of.

Players are drivers, journeys are unions of players, controls are in every coalition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.design_moments import DesignMoments
from models.dominance import dominance
from models.drivers import MISSING_FLAG, Driver
from models.lattice import coalition_r2, owen, partial_out
from models.orderings import sample_orders

__all__ = ["ORDERS", "Game", "Shares", "added_by_size", "game_of", "is_exact", "play", "quality_parts", "unions"]

FloatArray = NDArray[np.float64]

MAX_BITS = 20
"""Other journeys + drivers of one journey: up to 2 ** 20 coalitions are all computed, beyond it orders are sampled."""

MAX_COALITIONS = 2**28
"""Coalitions times matrices of a stack; beyond it is sampled. 20 drivers in one journey, 200 draws: 17 seconds."""

ORDERS, ORDERS_OF_A_DRAW = 2_000, 200
"""Sampled orders for the shares themselves, and for each draw of their intervals and for parts of a share."""

TOO_GOOD_R2 = 0.5
TWIN_CORRELATION = 0.98


@dataclass(frozen=True, slots=True)
class Game:
    """The players: what each explains alone and adds last, its columns, those of them that are flags, its journey.

    `seed` decides which orders are sampled where all coalitions are too many: the same for every matrix, so that
    differences between them are none of the sample.
    """

    alone: FloatArray
    last: FloatArray
    warnings: tuple[str, ...]
    seed: int
    blocks: tuple[tuple[int, ...], ...]
    flags: tuple[tuple[int, ...], ...]
    journeys: tuple[tuple[int, ...], ...]

    @property
    def is_exact(self) -> bool:
        """Whether every coalition is computed, for one matrix."""
        return is_exact(self.journeys)

    @property
    def coalitions(self) -> int:
        """How many are computed for a matrix, over all journeys."""
        return sum(1 << len(self.journeys) - 1 + len(members) for members in self.journeys)


@dataclass(frozen=True, slots=True)
class Shares:
    """Owen values (stack, players) of the outcome's variance, and the R2 of the controls (stack,).

    `error` is the standard error of the values from sampling orders, zero where all coalitions are computed.
    """

    owen: FloatArray
    error: FloatArray
    r2_controls: FloatArray

    @property
    def r2(self) -> FloatArray:
        """R2 of all players on top of the controls: (stack,)."""
        total: FloatArray = self.owen.sum(axis=1)
        return total


def unions(journeys: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Group players by the name of their journey, in the order of the names."""
    return tuple(tuple(k for k, name in enumerate(journeys) if name == own) for own in dict.fromkeys(journeys))


def is_exact(journeys: Sequence[Sequence[int]]) -> bool:
    """Say whether the lattice of every journey is small enough for all coalitions."""
    return max(len(journeys) - 1 + len(members) for members in journeys) <= MAX_BITS


def game_of(drivers: Sequence[Driver], design: DesignMoments, C: FloatArray, rng: np.random.Generator) -> Game:
    """Look at each driver alone and last, and say who belongs together."""
    alone = np.array([float(coalition_r2(C[np.newaxis], [block])[1, 0]) for block in design.blocks])
    blocks = tuple(tuple(c - design.n_controls for c in block) for block in design.blocks)
    return Game(
        alone=alone,
        last=_last(C, design.n_controls, blocks),
        warnings=_warnings(drivers, design, C, alone),
        seed=int(rng.integers(2**32)),
        blocks=blocks,
        flags=tuple(
            tuple(c for c, name in zip(block, driver.columns, strict=True) if name.startswith(MISSING_FLAG))
            for driver, block in zip(drivers, blocks, strict=True)
        ),
        journeys=unions([driver.journey for driver in drivers]),
    )


def _warnings(drivers: Sequence[Driver], design: DesignMoments, C: FloatArray, alone: FloatArray) -> tuple[str, ...]:
    """Say for each driver what a reader has to know before believing its share."""
    varies = np.diagonal(C) > 0
    twins = _twins(drivers, design, C)
    texts = []
    for k, block in enumerate(design.blocks):
        parts = [
            "" if varies[list(block)].any() else "does not vary, so it explains nothing",
            "too good to be a driver: check that it is known before the outcome" if alone[k] > TOO_GOOD_R2 else "",
            f"moves in step with {twins[k]}: the two share what either explains" if twins[k] else "",
        ]
        texts.append("; ".join(part for part in parts if part))
    return tuple(texts)


def _twins(drivers: Sequence[Driver], design: DesignMoments, C: FloatArray) -> tuple[str, ...]:
    """For each driver, the name of another one that goes in step with it, or nothing."""
    first = [block[0] for block in design.blocks]
    variance = np.diagonal(C)[first]
    deviation = np.sqrt(np.where(variance > 0, variance, np.inf))
    correlation = np.abs(C[np.ix_(first, first)] / np.outer(deviation, deviation))
    np.fill_diagonal(correlation, 0.0)
    best = correlation.argmax(axis=1)
    names = [f"{driver.journey} {driver.name}" for driver in drivers]
    return tuple(names[j] if correlation[i, j] > TWIN_CORRELATION else "" for i, j in enumerate(best))


def play(C: FloatArray, n_controls: int, game: Game, *, orders: int = ORDERS_OF_A_DRAW) -> Shares:
    """Owen values on top of the controls, in units of the outcome's whole variance; `orders` where not exact.

    Stacks of many matrices are sampled where a single one would not be: see `MAX_COALITIONS`.
    """
    partial = partial_out(C, range(n_controls))
    if game.is_exact and len(C) * game.coalitions <= MAX_COALITIONS:
        values = owen(partial, game.blocks, game.journeys)
        error = np.zeros_like(values)
    else:
        values, error = _sampled(partial, game, orders)
    whole = C[:, -1, -1]
    left = partial[:, -1, -1] / np.where(whole > 0, whole, np.inf)
    scale = left[:, np.newaxis]
    return Shares(owen=np.maximum(values, 0.0) * scale, error=error * scale, r2_controls=1.0 - left)


def _sampled(C: FloatArray, game: Game, orders: int) -> tuple[FloatArray, FloatArray]:
    """Estimate Owen values from the same orders for every matrix of a stack, and their errors: (stack, players)."""
    found = [
        sample_orders(one, game.blocks, rng=np.random.default_rng(game.seed), orders=orders, journeys=game.journeys)
        for one in C
    ]
    return np.stack([one.values for one in found]), np.stack([one.standard_error for one in found])


def added_by_size(C: FloatArray, n_controls: int, game: Game) -> FloatArray:
    """R2 that each player adds to the controls and 0, 1, 2, ... others, whatever their journey: (players, players).

    No sizes, (players, 0), where players are too many for all coalitions.
    """
    if len(game.blocks) > MAX_BITS:
        return np.empty((len(game.blocks), 0))
    partial = partial_out(C, range(n_controls))
    added: FloatArray = dominance(partial, game.blocks).by_size * (partial[-1, -1] / C[-1, -1])
    return added


def _last(C: FloatArray, n_controls: int, blocks: Sequence[Sequence[int]]) -> FloatArray:
    """R2 that each player adds to the controls and all other players, (players,)."""
    partial = partial_out(C, range(n_controls))
    added = []
    for k, block in enumerate(blocks):
        others = [column for number, other in enumerate(blocks) if number != k for column in other]
        left = partial_out(partial, others)
        places = [column for column in range(len(partial)) if column not in set(others)]
        mine = [places.index(column) for column in block]
        added.append(float(left[-1, -1] - partial_out(left, mine)[-1, -1]) if left[-1, -1] > 0 else 0.0)
    return np.asarray(np.array(added) / C[-1, -1], dtype=np.float64)


def quality_parts(C: FloatArray, n_controls: int, game: Game, point: Shares) -> FloatArray:
    """Compute the part of each Owen value that belongs to a driver's values and not to its flags: (players,).

    A driver is a union of two: its values and its flags. What the values add to those before, averaged over the flags
    standing before or after them, is their value with three levels (Winter 1989): half of what they add without the
    flags, and half of what is missing from the whole when only the flags join.
    """
    whole = point.owen[0] if game.is_exact else play(C[np.newaxis], n_controls, game).owen[0]
    parts: FloatArray = point.owen[0].copy()
    for k, flags in enumerate(game.flags):
        if not flags:
            continue
        values = tuple(column for column in game.blocks[k] if column not in flags)
        alone = []
        for columns in (values, flags):
            blocks = (*game.blocks[:k], columns, *game.blocks[k + 1 :])
            alone.append(float(play(C[np.newaxis], n_controls, replace(game, blocks=blocks)).owen[0, k]))
        parts[k] *= (alone[0] + whole[k] - alone[1]) / 2 / whole[k] if whole[k] > 0 else 0.0
    return parts
