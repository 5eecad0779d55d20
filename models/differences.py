"""Plans against the first of them: differences draw by draw, so that what both have in common cancels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.outlooks import OUTCOMES, Outcome, Outlook

__all__ = ["BETTER", "Difference", "Differences", "differences"]

Array = NDArray[np.float64]

LOW, HIGH = 5.0, 95.0  # percentiles: the 90 % interval

BETTER: Final[dict[Outcome, Literal["lower", "higher"]]] = {
    "npv": "higher", "churn": "lower", "revenue": "higher", "cost": "lower",
}  # fmt: skip
"""Which side of zero is the better one."""

Verdict = Literal["better", "worse", "the same", "undecided"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One outcome of a plan less that of the first plan.

    Attributes
    ----------
    outcome : str
        Of `models.outlooks.OUTCOMES`.
    plan : int
        Position of the plan; the first is 0.
    value, lo, hi : float
        Mean and 90 % interval over the draws, in the unit of the outcome.
    p_better : float
        Share of the draws in which the plan does better than the first; draws in which both do the same count half.
    verdict : str
        ``better`` or ``worse`` where the interval leaves out zero, ``the same`` where no draw differs.
    is_paired : bool
        Both rest on the same draws, so that what they have in common has cancelled.
    n : int
        Draws.
    """

    outcome: Outcome
    plan: int
    value: float
    lo: float
    hi: float
    p_better: float
    verdict: Verdict
    is_paired: bool
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Every plan against the first.

    Attributes
    ----------
    levels : DataFrame
        One row per plan and outcome: plan, outcome, value, lo, hi, n; what each does by itself, 90 % intervals.
    found : tuple of Difference
        Outcome by outcome, plan by plan; none of the first.
    p_best : tuple of float
        Per plan, the share of draws in which its net present value is the largest; equal ones share a draw. Sums to 1.
    """

    levels: pd.DataFrame
    found: tuple[Difference, ...]
    p_best: tuple[float, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per difference: the attributes of `Difference`."""
        columns = list(Difference.__slots__)
        return pd.DataFrame([[getattr(one, name) for name in columns] for one in self.found], columns=columns)


def differences(plans: Sequence[Outlook], worlds: Sequence[str], rng: np.random.Generator) -> Differences:
    """Hold plans against the first.

    Parameters
    ----------
    plans : sequence of Outlook
        At least two.
    worlds : sequence of str
        Per plan, what its draws rest on. Draw k of plans of one world is one and the same possible truth; draws of
        different worlds are taken as independent.
    rng : numpy.random.Generator
        Shuffles the draws of every world but the first.

    Returns
    -------
    Differences

    Notes
    -----
    Estimand: outcome(plan) - outcome(first plan), for the customers, months and money of each. Common random numbers
    (Glasserman and Yao 1992, doi:10.1287/mnsc.38.6.884): var(a - b) = var a + var b - 2 cov(a, b), with the covariance
    in the paired draws. Where worlds differ they have no draw in common; a shuffle takes out what chance numbers of the
    same seed would feign. Two extracts of one company err alike in truth, so that such an interval is rather too wide.
    Of different numbers of draws, as many as the smallest has are used.
    """
    n = min(len(one.draws["npv"]) for one in plans)
    shuffles = {worlds[0]: np.arange(n)}
    for world in worlds[1:]:
        if world not in shuffles:
            shuffles[world] = rng.permutation(n)
    drawn = [
        {name: one.draws[name][:n][shuffles[world]] for name in OUTCOMES}
        for one, world in zip(plans, worlds, strict=True)
    ]
    found = tuple(
        _difference(outcome, plan, drawn[plan][outcome], drawn[0][outcome], is_paired=worlds[plan] == worlds[0])
        for outcome in OUTCOMES
        for plan in range(1, len(plans))
    )
    rows = [[plan, name, *_spread(one[name]), n] for plan, one in enumerate(drawn) for name in OUTCOMES]
    levels = pd.DataFrame(rows, columns=["plan", "outcome", "value", "lo", "hi", "n"])
    return Differences(levels, found, _best(np.column_stack([one["npv"] for one in drawn])))


def _difference(outcome: Outcome, plan: int, own: Array, first: Array, *, is_paired: bool) -> Difference:
    change = own - first
    value, lo, hi = _spread(change)
    gain = change if BETTER[outcome] == "higher" else -change
    p_better = float(np.mean(gain > 0) + np.mean(gain == 0) / 2)
    return Difference(outcome, plan, value, lo, hi, p_better, _verdict(gain), is_paired, len(change))


def _verdict(gain: Array) -> Verdict:
    if not gain.any():
        return "the same"
    low, high = np.percentile(gain, [LOW, HIGH])
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def _best(npv: Array) -> tuple[float, ...]:
    """Share of the draws in which each column is the largest."""
    is_top = npv == npv.max(axis=1, keepdims=True)
    return tuple((is_top / is_top.sum(axis=1, keepdims=True)).mean(axis=0).tolist())


def _spread(values: Array) -> tuple[float, float, float]:
    """Mean and 90 % interval."""
    low, high = np.percentile(values, [LOW, HIGH])
    return float(values.mean()), float(low), float(high)
