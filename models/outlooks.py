"""What a whole plan does to customers, revenue, cost and value over the study's months, draw by draw.

For holding plans against each other (`models.differences`). Not for choosing among the initiatives of one plan: that is
`models.portfolio`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.study import Money
from models.cash import Baseline, Cohort, Stake, discounts, roll_forward
from models.combinations import Pair, counted_pairs
from models.forecasts import Samples
from models.retention import Retention

__all__ = ["OUTCOMES", "Outcome", "Outlook", "outlook"]

Array = NDArray[np.float64]

Outcome = Literal["churn", "revenue", "cost", "npv"]

OUTCOMES: Final[tuple[Outcome, ...]] = ("npv", "churn", "revenue", "cost")
"""What is told of a plan, in the order in which it is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What a plan does, draw by draw; without it everything is as it was.

    Attributes
    ----------
    members : tuple of str
        Names of its initiatives, sorted; of none, nothing changes.
    months : int
        Months looked ahead.
    customers : int
        At risk at the decision.
    draws : mapping of outcome to float64 array, shape (draws,)
        churn: change of the share of today's customers who have left when the months are over, in [-1, 1]; revenue and
        cost (savings taken off): present values in currency, of the change; npv: margin on that revenue less that cost.
    """

    members: tuple[str, ...]
    months: int
    customers: int
    draws: dict[Outcome, Array]


def outlook(
    samples: Samples,
    cohort: Cohort,
    money: Money,
    retention: Retention,
    names: Sequence[str] | None = None,
    *,
    is_every: bool | None = None,
) -> Outlook:
    """Add up what the initiatives of a plan do, each by itself, and what each two do together besides.

    Parameters
    ----------
    samples : Samples
        Joint draws of the initiatives.
    cohort, money, retention
        As for `models.simulation.compare`.
    names : sequence of str, optional
        Those of the plan; all that were drawn when left out.
    is_every : bool, optional
        As for `models.combinations.counted_pairs`; one answer for all plans that are held against each other.

    Returns
    -------
    Outlook
        The same to the bit for every order of the initiatives.

    Notes
    -----
    sum_i f(i) + sum_{i<j} (f(i and j) - f(i) - f(j)), with f from `models.cash.roll_forward` and the pairs of
    `models.combinations.counted_pairs`; so npv is the sum of values and differences that a simulation tells. Three
    together do what their pairs say. All of a plan is done: exclusions, needs and budgets are not looked at.
    """
    wanted = {one.name for one in samples.initiatives} if names is None else set(names)
    chosen = sorted((one for one in samples.initiatives if one.name in wanted), key=lambda one: one.name)
    overlaps = {one.overlap.names: one for one in samples.overlaps}

    def counted(done: list[Stake], baseline: Baseline, less: Array | None = None) -> Array:
        return _counted(done, baseline, cohort, money, retention, less)

    total = np.zeros((samples.draws, len(OUTCOMES)))
    for one in chosen:
        total += counted([one.stake], one.forecast.baseline)
    for one, other in counted_pairs(samples, is_every=is_every):
        if not {one.name, other.name} <= wanted:
            continue
        pair = Pair.of(one, other, overlaps.get((one.name, other.name)))
        total += counted([pair.one, pair.other], pair.baseline, pair.less)
        total -= counted([pair.one], pair.baseline) + counted([pair.other], pair.baseline)
    columns = {name: np.ascontiguousarray(total[:, i]) for i, name in enumerate(OUTCOMES)}
    return Outlook(tuple(one.name for one in chosen), money.months, cohort.customers, columns)


def _counted(
    stakes: list[Stake],
    baseline: Baseline,
    cohort: Cohort,
    money: Money,
    retention: Retention,
    less: Array | None,
) -> Array:
    """Count the outcomes of what is done together, shape (draws, 4), in the order of `OUTCOMES`."""
    cash, discount = roll_forward(stakes, baseline, cohort, money, retention, less), discounts(money)
    left = (cash.customers_without[-1] - cash.customers[:, -1]) / cohort.customers
    revenue = (cash.revenue - cash.revenue_without) @ discount
    return np.column_stack([cash.balance @ discount, left, revenue, (cash.spent - cash.saved) @ discount])
