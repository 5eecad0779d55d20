"""The game that shares out R2 among drivers: who plays, what each player adds, and what to warn of.

Players are drivers, journeys are unions of players, controls are in every coalition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.drivers import MISSING_FLAG, Design, Driver
from models.lattice import coalition_r2, owen, partial_out

__all__ = ["Game", "Shares", "game_of", "play", "quality_parts"]

FloatArray = NDArray[np.float64]

MAX_BITS = 20
"""Other journeys + drivers of one journey: 2 ** 20 coalitions are still exact within a second."""

TOO_GOOD_R2 = 0.5
TWIN_CORRELATION = 0.98


@dataclass(frozen=True, slots=True)
class Game:
    """The players: drivers that take part, what they add last, and for all drivers what they explain alone."""

    alone: FloatArray
    last: FloatArray
    warnings: tuple[str, ...]
    played: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    flags: tuple[tuple[int, ...], ...]
    journeys: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Shares:
    """Owen values (stack, players) of the outcome's variance, and the R2 of the controls (stack,)."""

    owen: FloatArray
    r2_controls: FloatArray

    @property
    def r2(self) -> FloatArray:
        """R2 of all players on top of the controls: (stack,)."""
        total: FloatArray = self.owen.sum(axis=1)
        return total


def game_of(drivers: Sequence[Driver], design: Design, C: FloatArray) -> Game:
    """Look at each driver alone, then choose the players that an exact answer can hold."""
    alone = np.array([float(coalition_r2(C[np.newaxis], [block])[1, 0]) for block in design.blocks])
    played = _affordable([driver.journey for driver in drivers], alone)
    names = [drivers[k].journey for k in played]
    blocks = tuple(tuple(c - design.n_controls for c in design.blocks[k]) for k in played)
    return Game(
        alone=alone,
        last=_last(C, design.n_controls, blocks),
        warnings=_warnings(drivers, design, C, alone, played),
        played=played,
        blocks=blocks,
        flags=tuple(
            tuple(c for c, name in zip(block, drivers[k].columns, strict=True) if name.startswith(MISSING_FLAG))
            for k, block in zip(played, blocks, strict=True)
        ),
        journeys=tuple(tuple(i for i, name in enumerate(names) if name == own) for own in dict.fromkeys(names)),
    )


def _affordable(journeys: Sequence[str], alone: FloatArray) -> tuple[int, ...]:
    """Keep so many drivers that every journey's lattice stays within MAX_BITS: the strongest alone, in their order."""
    room = max(1, MAX_BITS + 1 - len(set(journeys)))
    kept: list[int] = []
    for own in dict.fromkeys(journeys):
        members = [k for k, journey in enumerate(journeys) if journey == own]
        kept += sorted(members, key=lambda k: (-alone[k], k))[:room]
    return tuple(sorted(kept))


def _warnings(
    drivers: Sequence[Driver], design: Design, C: FloatArray, alone: FloatArray, played: tuple[int, ...]
) -> tuple[str, ...]:
    """Say for each driver what a reader has to know before believing its share."""
    varies = np.diagonal(C) > 0
    twins = _twins(drivers, design, C)
    texts = []
    for k, block in enumerate(design.blocks):
        parts = [
            "" if varies[list(block)].any() else "does not vary, so it explains nothing",
            "" if k in played else "left out: too many drivers in this journey for an exact answer",
            "too good to be a driver: check that it is known before the outcome" if alone[k] > TOO_GOOD_R2 else "",
            f"moves in step with {twins[k]}: the two share what either explains" if twins[k] else "",
        ]
        texts.append("; ".join(part for part in parts if part))
    return tuple(texts)


def _twins(drivers: Sequence[Driver], design: Design, C: FloatArray) -> tuple[str, ...]:
    """For each driver, the name of another one that goes in step with it, or nothing."""
    first = [block[0] for block in design.blocks]
    variance = np.diagonal(C)[first]
    deviation = np.sqrt(np.where(variance > 0, variance, np.inf))
    correlation = np.abs(C[np.ix_(first, first)] / np.outer(deviation, deviation))
    np.fill_diagonal(correlation, 0.0)
    best = correlation.argmax(axis=1)
    names = [f"{driver.journey} {driver.name}" for driver in drivers]
    return tuple(names[j] if correlation[i, j] > TWIN_CORRELATION else "" for i, j in enumerate(best))


def play(C: FloatArray, n_controls: int, game: Game) -> Shares:
    """Owen values on top of the controls, in units of the outcome's whole variance."""
    partial = partial_out(C, range(n_controls))
    values = owen(partial, game.blocks, game.journeys)
    whole = C[:, -1, -1]
    left = partial[:, -1, -1] / np.where(whole > 0, whole, np.inf)
    return Shares(owen=np.maximum(values, 0.0) * left[:, np.newaxis], r2_controls=1.0 - left)


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
    parts: FloatArray = point.owen[0].copy()
    for k, flags in enumerate(game.flags):
        if not flags:
            continue
        values = tuple(column for column in game.blocks[k] if column not in flags)
        alone = []
        for columns in (values, flags):
            blocks = (*game.blocks[:k], columns, *game.blocks[k + 1 :])
            alone.append(float(play(C[np.newaxis], n_controls, replace(game, blocks=blocks)).owen[0, k]))
        parts[k] = (alone[0] + point.owen[0, k] - alone[1]) / 2
    return parts
