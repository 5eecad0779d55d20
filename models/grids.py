"""Which settings of each candidate are tried: a few, stated here, fewer where there is little to learn from.

A setting is chosen on the test rows that also judge the candidate, so every further one makes the judged loss a little
too good. Three or four, and the rule of `models.search` that a simpler one stays unless it is shown to be worse, keep
that small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Grid", "Setting", "churn_grids", "revenue_grids"]

FEW_EVENTS = 200
"""Below this many churners (or rows with an amount) nothing more flexible than the default is tried."""

CHEAP_CELLS = 2_000_000
"""Rows times features up to which every setting is tried; above, the default and the next simpler one: the time of
training stays about twice that of the defaults alone."""

LARGE_ROWS = 10_000
"""Rows from which amounts are boosted with trees of 15 leaves instead of 6."""

RATES: Mapping[int, float] = {6: 0.06, 15: 0.08}
"""Learning rate by leaves of a tree."""


_NUMBERS = (40, 100, 200)
"""Trees; fewer than the most are the beginning of the same fit, so that they cost nothing."""


class Setting(NamedTuple):
    """One way to set a candidate: words for people, parameters for scikit-learn."""

    label: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grid:
    """Settings of one candidate.

    Attributes
    ----------
    settings : tuple of Setting
        From the simplest to the most flexible.
    default : Setting
        One of them: always tried, and used without an evaluation.
    """

    settings: tuple[Setting, ...]
    default: Setting

    @property
    def order(self) -> tuple[Setting, ...]:
        """In the order in which they are tried: the default first."""
        return (self.default, *(one for one in self.settings if one != self.default))

    def named(self, label: str) -> Setting:
        """Find a setting by its label."""
        return next(one for one in self.settings if one.label == label)


def churn_grids(churners: int, cells: int) -> dict[str, Grid]:
    """Give the grids of the candidates for churn.

    Parameters
    ----------
    churners : int
        Rows that churned, among all that may be learned from.
    cells : int
        Rows of a fit times features.

    Returns
    -------
    dict of str to Grid
        By candidate.

    Examples
    --------
    >>> [one.label for one in churn_grids(150, 10**6)["logistic"].settings]
    ['C = 0.003', 'C = 0.03']
    """
    boosting = _shrunk([_trees(number, 6) for number in _NUMBERS], 1, churners, cells)
    logistic = [Setting(f"C = {c:g}", {"C": c}) for c in (0.003, 0.03, 0.3)]
    return {
        "logistic": _shrunk(logistic, 1, churners, cells),
        "boosting": boosting,
        "additive boosting": boosting,
    }


def revenue_grids(paying: int, rows: int, cells: int) -> dict[str, Grid]:
    """Give the grids of the candidates for revenue.

    Parameters
    ----------
    paying : int
        Rows with an amount other than zero.
    rows : int
        Rows of a fit.
    cells : int
        Rows of a fit times features.

    Returns
    -------
    dict of str to Grid
        By candidate; ``alpha`` of the generalised linear models is divided by the rows of the fit there.
    """
    penalties = [Setting(f"alpha = {alpha:g}", {"alpha": alpha}) for alpha in (300.0, 100.0, 30.0)]
    linked = _shrunk(penalties, 2, paying, cells)
    leaves = 15 if rows >= LARGE_ROWS else 6
    return {
        "ridge": _shrunk(penalties, 1, paying, cells),
        "Tweedie": linked,
        "two-part": linked,
        "boosting": _shrunk([_trees(number, leaves) for number in _NUMBERS], 1, paying, cells),
    }


def _trees(number: int, leaves: int) -> Setting:
    """Boosting with this many trees of this many leaves."""
    params = {"max_iter": number, "max_leaf_nodes": leaves, "learning_rate": RATES[leaves]}
    return Setting(f"{number} trees of {leaves} leaves", params)


def _shrunk(settings: list[Setting], default: int, events: int, cells: int) -> Grid:
    """Leave out what is more flexible than the default where events are few, and more where fits are dear."""
    is_dear = cells > CHEAP_CELLS
    first = max(0, default - 1) if is_dear else 0
    last = default if is_dear or events < FEW_EVENTS else len(settings) - 1
    return Grid(tuple(settings[first : last + 1]), settings[default])
