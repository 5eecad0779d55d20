"""How far coefficients of one exposure are held to a common form, chosen by what the data say of all exposures.

A rare touchpoint says little about how fast it is forgotten and how its scale bends. All exposures together say more:
the mix of memories is held to one that they share, and pieces of a scale to a line, as strongly as the marginal
likelihood wants it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from models.ridge import inverse_of, ridge_of

__all__ = ["Piece", "penalty_of"]

Array = NDArray[np.float64]

STRENGTHS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Prior precision over the data's own precision; 1 moves half-way."""
ANGLES = 91


@dataclass(frozen=True, slots=True)
class Piece:
    """The columns in which one piece of the scale of an exposure is remembered.

    Attributes
    ----------
    exposure : str
        Pieces of one exposure follow each other, in the order of the scale.
    columns : tuple of int
        One per memory, the same memories in all pieces.
    """

    exposure: str
    columns: tuple[int, int]


def penalty_of(coefficients: Array, information: Array, penalised: NDArray[np.bool_], pieces: Sequence[Piece]) -> Array:
    """Choose the penalty of a fit.

    Parameters
    ----------
    coefficients : float64 array, shape (p,)
        Fitted with the light ridge alone.
    information : float64 array, shape (p, p)
        Second derivative of the loss there, without the ridge.
    penalised : bool array, shape (p,)
        Columns that take the light ridge.
    pieces : sequence of Piece
        Which columns belong together.

    Returns
    -------
    float64 array, shape (p, p)
        Positive semidefinite, to be added to the information.

    Notes
    -----
    With u the direction of the common mix and v across it, the prior says v'b ~ N(0, s / a) for each piece, s its
    sampling variance, and u'(b_next - b) ~ N(0, s / c) for neighbouring pieces; u minimises the sum of (v'b)^2 / s, and
    a, c maximise the marginal likelihood of the coefficients, taken as normal (type II maximum likelihood; Efron and
    Morris 1973, doi:10.1080/01621459.1973.10481350). Both memories act in one direction: u has no negative part.
    """
    ridge = np.diag(ridge_of(information, penalised))
    used = [piece for piece in pieces if all(information[c, c] > 0 for c in piece.columns)]
    if len(used) <= 1:  # one piece has nothing to share with
        return ridge
    at = np.array(sorted({c for piece in used for c in piece.columns}))
    profiled, estimate = _profiled(information, ridge, at), coefficients[at]
    covariance = inverse_of(profiled, np.ones(len(at), bool))
    place = {column: k for k, column in enumerate(at)}
    blocks = [(piece.exposure, [place[c] for c in piece.columns]) for piece in used]
    mix = _common_mix(estimate, covariance, [columns for _, columns in blocks])
    across = _quadratic(_across(blocks, mix, len(at)), covariance)
    bends = _quadratic(_bends(blocks, mix, len(at)), covariance)
    base = ridge[np.ix_(at, at)]
    best = max(
        product(STRENGTHS, STRENGTHS),
        key=lambda s: _evidence(estimate, profiled, base + s[0] * across + s[1] * bends),
    )
    penalty = ridge.copy()
    penalty[np.ix_(at, at)] += best[0] * across + best[1] * bends
    return penalty


def _profiled(information: Array, ridge: Array, at: NDArray[np.intp]) -> Array:
    """Information on some columns when all others are free."""
    rest = np.setdiff1d(np.arange(len(information)), at)
    others = inverse_of((information + ridge)[np.ix_(rest, rest)], np.ones(len(rest), bool))
    between = information[np.ix_(at, rest)]
    return np.asarray(information[np.ix_(at, at)] - between @ others @ between.T)


def _common_mix(estimate: Array, covariance: Array, blocks: Sequence[Sequence[int]]) -> Array:
    """Direction on which the pieces agree best."""

    def disagreement(angle: float) -> float:
        v = np.array([-np.sin(angle), np.cos(angle)])
        return sum(float((v @ estimate[b]) ** 2 / max(v @ covariance[np.ix_(b, b)] @ v, 1e-300)) for b in blocks)

    angle = min(np.linspace(0, np.pi / 2, ANGLES), key=disagreement)
    return np.array([np.cos(angle), np.sin(angle)])


def _across(blocks: Sequence[tuple[str, list[int]]], mix: Array, size: int) -> Iterator[Array]:
    for _, columns in blocks:
        row = np.zeros(size)
        row[columns] = -mix[1], mix[0]
        yield row


def _bends(blocks: Sequence[tuple[str, list[int]]], mix: Array, size: int) -> Iterator[Array]:
    for (one, here), (other, following) in pairwise(blocks):
        if one == other:
            row = np.zeros(size)
            row[following], row[here] = mix, -mix
            yield row


def _quadratic(rows: Iterator[Array], covariance: Array) -> Array:
    """Sum the squares of linear forms, each over its sampling variance."""
    total = np.zeros_like(covariance)
    for row in rows:
        variance = float(row @ covariance @ row)
        if variance > 0:
            total += np.outer(row, row) / variance
    return total


def _evidence(estimate: Array, information: Array, penalty: Array) -> float:
    """Log marginal likelihood of normal coefficients, up to a constant."""
    size = np.sqrt(np.diag(information + penalty))
    prior = penalty / np.outer(size, size)
    both = (information + penalty) / np.outer(size, size)
    pull = (penalty @ estimate) / size
    fit = estimate @ penalty @ estimate - pull @ np.linalg.lstsq(both, pull, rcond=1e-12)[0]
    return 0.5 * float(np.linalg.slogdet(prior)[1] - np.linalg.slogdet(both)[1] - fit)
