"""Which groups of features are reasons for a row, and which feature speaks for each: one compiled pass over rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.tree_lookup import compiled

__all__ = ["Groups", "Picks", "Sides"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """When a value lies on the worse side of what is typical, for each feature.

    Attributes
    ----------
    middle, spread : ndarray of float, shape (features,)
        What is typical (NaN where nothing is), and the distance in which one lies beside it.
    sign : ndarray of float, shape (features,)
        1 where more is worse, -1 where less is, 0 where both are.
    is_plain : ndarray of bool, shape (features,)
        False for remembered sums, which speak only where nothing plainer is bad.
    """

    middle: FloatArray
    spread: FloatArray
    sign: FloatArray
    is_plain: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Picks:
    """The reasons of each row, most important first.

    Attributes
    ----------
    speaker : ndarray of int64, shape (rows, places)
        Feature that speaks; -1 where there is no further reason.
    total : ndarray of float, shape (rows,)
        Sum of the amounts of all groups.
    """

    speaker: IntArray
    total: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Features that are one reason together.

    Attributes
    ----------
    order : ndarray of int64, shape (features,)
        Positions of the features, group by group.
    starts : ndarray of int64, shape (groups + 1,)
        Where each group begins in ``order``, and the end.
    """

    order: IntArray
    starts: IntArray

    @classmethod
    def of(cls, groups: Sequence[IntArray]) -> Groups:
        """Lay groups behind one another."""
        starts = np.concatenate([[0], np.cumsum([len(group) for group in groups])])
        return cls(np.concatenate(groups).astype(np.int64), starts.astype(np.int64))

    def sums(self, amounts: FloatArray) -> FloatArray:
        """Add up amounts by feature, shape (rows, features), to amounts by group; in the same order for every row."""
        found = np.zeros((len(amounts), len(self.starts) - 1))
        _sums(np.ascontiguousarray(amounts), self.order, self.starts, found)
        return found

    def pick(
        self,
        amounts: FloatArray,
        values: FloatArray,
        sides: Sides,
        least: float,
        places: int,
        by_feature: FloatArray | None = None,
    ) -> Picks:
        """Choose the groups that add most, and who speaks for each.

        Parameters
        ----------
        amounts : ndarray of float, shape (rows, groups)
            What each group adds.
        values : ndarray of float, shape (rows, features)
            NaN where missing; for a category 1 where it is not the commonest one, else 0.
        sides : Sides
        least : float
            Smaller amounts are no reason.
        places : int
            Reasons a row.
        by_feature : ndarray of float, shape (rows, features), optional
            What each feature adds, if that is known: of the values on the worse side the one that adds most speaks.

        Returns
        -------
        Picks
            Of equal amounts the first group, of equal features the first in its group.
        """
        speaker = np.full((len(values), places), -1, dtype=np.int64)
        total = np.zeros(len(values))
        is_exact = by_feature is not None
        added = np.zeros((1, values.shape[1])) if by_feature is None else by_feature
        _pick(
            np.ascontiguousarray(amounts), np.ascontiguousarray(values), np.ascontiguousarray(added), is_exact,
            self.order, self.starts, sides.middle, sides.spread, sides.sign, sides.is_plain, least, speaker, total,
        )  # fmt: skip
        return Picks(speaker, total)


@compiled
def _sums(amounts: FloatArray, order: IntArray, starts: IntArray, found: FloatArray) -> None:
    for row in range(len(amounts)):
        for group in range(len(starts) - 1):
            total = 0.0
            for place in range(starts[group], starts[group + 1]):
                total += amounts[row, order[place]]
            found[row, group] = total


@compiled
def _pick(
    amounts: FloatArray,
    values: FloatArray,
    by_feature: FloatArray,
    is_exact: bool,  # noqa: FBT001 (compiled code has no keywords)
    order: IntArray,
    starts: IntArray,
    middle: FloatArray,
    spread: FloatArray,
    sign: FloatArray,
    is_plain: NDArray[np.bool_],
    least: float,
    speaker: IntArray,
    total: FloatArray,
) -> None:
    """Keep the largest groups of a row while its amounts are added up, then let the worst feature of each speak."""
    places = speaker.shape[1]
    best, chosen = np.zeros(places), np.zeros(places, np.int64)
    for row in range(len(values)):
        filled = 0
        sum_of_all = 0.0
        for group in range(len(starts) - 1):
            amount = amounts[row, group]
            sum_of_all += amount
            if amount > least and (filled < places or amount > best[places - 1]):
                place = min(filled, places - 1)
                while place > 0 and amount > best[place - 1]:
                    best[place], chosen[place] = best[place - 1], chosen[place - 1]
                    place -= 1
                best[place], chosen[place] = amount, group
                filled = min(filled + 1, places)
        total[row] = sum_of_all
        for place in range(filled):
            group = chosen[place]
            first = order[starts[group]]
            worst, plainest, most, plain_most = first, first, -np.inf, -np.inf
            for at in range(starts[group], starts[group + 1]):
                feature = order[at]
                away = (values[row, feature] - middle[feature]) / spread[feature]
                if sign[feature] == 0:
                    away = abs(away)
                else:
                    away *= sign[feature]
                if np.isnan(away):
                    away = -np.inf
                elif is_exact:
                    away = by_feature[row, feature] if away > 0 else min(away, 0.0)
                if away > most:
                    worst, most = feature, away
                if is_plain[feature] and away > plain_most:
                    plainest, plain_most = feature, away
            speaker[row, place] = plainest if plain_most > 0 else worst
