"""In which order to start what is funded, so that early wins pay for the rest.

For expected cash, month by month. Not for choosing what is funded (`models.portfolio`), and not a plan of work: an
initiative starts whole, in one month.

References
----------
Doersch, Patterson (1977), Scheduling a project to maximize its present value: a zero-one programming approach,
Management Science 23, doi:10.1287/mnsc.23.8.882 (starts by month under a limit on cash).
Christofides, Alvarez-Valdes, Tamarit (1987), Project scheduling with resource constraints: a branch and bound approach,
European Journal of Operational Research 29, doi:10.1016/0377-2217(87)90240-2 (needs written month by month).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from features.errors import StudyError, closest, in_full, rounded_up
from models.purse import Purse, Rollout

__all__ = ["NODES", "Schedule", "Start", "order_starts"]

Array = NDArray[np.float64]

NODES = 200
"""Branches after which the solver stops with what it has; a count, so that a slow machine finds the same."""

LET_THROUGH = 20
"""Orders that only the solver's tolerance lets through, excluded at most."""

ROUNDING = 1e-12
"""Overdraft over the largest amount that is rounding of sums."""

MOST_PROVED = 25
"""Initiatives up to which branch and bound is asked; of more, one by one is held against a linear programme."""

CLOSE = 1e-6
"""Values closer than this, over the largest, are equal: the solver's own tolerance."""


@dataclass(frozen=True, slots=True)
class Start:
    """When one initiative starts.

    Attributes
    ----------
    name : str
        The initiative.
    month : int
        From the decision, month 0.
    """

    name: str
    month: int


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The order of starts and the balance under it.

    Attributes
    ----------
    starts : tuple of Start
        By month, then name.
    balance : float64 array, shape (months + longest cash - 1,)
        At the end of each month, currency; not discounted.
    value, bound : float
        Discounted cash of all initiatives, and what no order exceeds; currency.
    """

    starts: tuple[Start, ...]
    balance: Array
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """What the best order could bring more at most, over the value; 0 where the order is proved best."""
        rest = self.bound - self.value
        return 0.0 if rest <= 0 else rest / abs(self.value) if self.value else float("inf")

    @property
    def lowest(self) -> float:
        """The lowest balance, currency."""
        return float(self.balance.min())

    def to_frame(self, waits: Mapping[str, int]) -> pd.DataFrame:
        """Lay out when each initiative starts, in months from the decision.

        Parameters
        ----------
        waits : mapping of str to int
            Months that each initiative takes of itself before it starts (`start_month`); by name, all of them.

        Returns
        -------
        DataFrame
            By month, then name: initiative, month, and the balance at the end of that month, currency; after the last
            month of the balance nothing moves it any more.
        """
        rows = [(one.name, one.month + waits[one.name]) for one in self.starts]
        found = pd.DataFrame(rows, columns=["initiative", "month"]).sort_values(
            ["month", "initiative"], ignore_index=True
        )
        return found.assign(balance=self.balance[found["month"].clip(upper=len(self.balance) - 1)])


def order_starts(rollouts: Sequence[Rollout], purse: Purse, nodes: int = NODES) -> Schedule:
    """Find the months of start that bring most, early money counting more, and never overdraw the purse.

    Parameters
    ----------
    rollouts : sequence of Rollout
        All of them start.
    purse : Purse
        Money at hand, floor, months.
    nodes : int
        Branches after which the search stops; `Schedule.gap` then says what may be missing.

    Returns
    -------
    Schedule

    Raises
    ------
    StudyError
        No initiative, unknown needs, too few months, or no order that keeps the floor: with the least balance that
        would do.
    ValueError
        Cash that is not finite; the search stopped before it found an order.

    Notes
    -----
    Maximises ``sum_i pv_i (1 + rate)^(-start_i / 12)``, with pv the present value of the cash at the start, subject to
    ``balance + sum of all cash up to month t >= floor`` for every month, at most so many starts a month, and needs.
    Waiting is allowed: what is dear starts when early wins have paid for it. Of equals: the earliest starts, then the
    first names earlier. Exact when `gap` is 0, by branch and bound. Where that is stopped, the better is taken of what
    it has and of starting one by one, each time what can start first, then the most valuable; beyond `MOST_PROVED`
    initiatives that is the order, unless it gets stuck. Cash is expected cash:
    half of the draws lie below it, so keep a floor.

    Examples
    --------
    >>> quick = Rollout("quick", np.array([-10.0, 15.0, 15.0]))
    >>> dear = Rollout("dear", np.array([-25.0, 20.0, 20.0]))
    >>> [(one.name, one.month) for one in order_starts([dear, quick], Purse(10, months=6, discount_rate=0.1)).starts]
    [('quick', 0), ('dear', 2)]
    """
    ordered = sorted(rollouts, key=lambda one: one.name)
    faults = list(_faults(ordered, purse))
    if faults:
        raise StudyError.collect(faults)
    programme = _Programme.of(ordered, purse)
    greedy = _one_by_one(ordered, purse, programme)
    is_many = len(ordered) > MOST_PROVED and greedy is not None
    found, bound = (None, programme.relaxed_bound()) if is_many else programme.solve(programme.value, nodes)
    chosen = max((one for one in (found, greedy) if one is not None), key=programme.worth, default=None)
    if chosen is None:
        chosen = _cheapest(programme, purse, nodes)
    if not is_many and bound - programme.worth(chosen) <= CLOSE * programme.size:
        settled, _ = programme.solve(-programme.lateness, nodes, least=programme.worth(chosen))
        chosen = chosen if settled is None else settled
    month = programme.months_of(chosen)
    starts = [Start(one.name, at) for one, at in zip(ordered, month, strict=True)]
    value = float(programme.value @ chosen)
    starts.sort(key=lambda one: (one.month, one.name))
    return Schedule(tuple(starts), purse.balance + programme.cash @ chosen, value, max(value, bound))


@dataclass(frozen=True, slots=True, eq=False)
class _Programme:
    """Start of initiative i in month s as 0 or 1, at position ``i * months + s``."""

    value: Array
    lateness: Array
    cash: Array
    room: float
    once_and_before: Array
    low: Array
    high: Array
    months: int

    @classmethod
    def of(cls, rollouts: Sequence[Rollout], purse: Purse) -> _Programme:
        m, months = len(rollouts), purse.months
        length = months + max(len(one.cash) for one in rollouts) - 1
        factor = (1 + purse.discount_rate) ** (-np.arange(length) / 12)
        flow = np.zeros((length, m, months))
        for i, one in enumerate(rollouts):
            for s in range(months):
                flow[s : s + len(one.cash), i, s] = one.cash
        flat = flow.reshape(length, m * months)
        # Later starts of earlier names weigh more, by less than a month in all.
        names_first = 1 - np.arange(m) / (2 * m * m * months)
        matrix, low, high = _rows(rollouts, purse)
        return cls(
            value=factor @ flat,
            lateness=(names_first[:, np.newaxis] * np.arange(months)).ravel(),
            cash=np.cumsum(flat, axis=0),
            room=purse.balance - purse.floor,
            once_and_before=matrix,
            low=low,
            high=high,
            months=months,
        )

    @property
    def size(self) -> float:
        """The largest value of one initiative, in size."""
        return max(float(np.abs(self.value).max()), 1e-300)

    def worth(self, chosen: Array) -> float:
        """Discounted cash of the starts."""
        return float(self.value @ chosen)

    @property
    def slack(self) -> float:
        """Overdraft that is rounding, currency."""
        return ROUNDING * max(float(np.abs(self.cash).max()), abs(self.room))

    def keeps(self, chosen: Array) -> bool:
        """Whether the balance never falls below the floor."""
        return bool((self.cash @ chosen).min() >= -self.room - self.slack)

    def solve(self, gain: Array, nodes: int, least: float | None = None) -> tuple[Array | None, float]:
        """Find the starts with the highest gain, None where none are found, and the bound on the gain."""
        purse, low = self._purse_rows()
        constraints = [LinearConstraint(sparse.csr_array(self.once_and_before), self.low, self.high)]
        if least is not None:
            constraints.append(LinearConstraint(self.value[np.newaxis] / self.size, lb=least / self.size - CLOSE))
        scale = max(float(np.abs(gain).max()), 1e-300)
        # Without limits each would start in its best month: that bound holds where the solver has none.
        bound = float(gain.reshape(-1, self.months).max(axis=1).sum())
        for _ in range(LET_THROUGH):
            done = milp(
                -gain / scale,
                integrality=np.ones(len(gain), dtype=np.int64),
                bounds=Bounds(0, 1),
                constraints=[*constraints, LinearConstraint(purse, lb=low)] if len(low) else constraints,
                options={"node_limit": nodes, "mip_rel_gap": 0.0},
            )
            if done.mip_dual_bound is not None:
                bound = min(bound, -float(done.mip_dual_bound) * scale)
            if done.x is None:
                return None, bound
            chosen = np.round(done.x)
            if self.keeps(chosen):
                return chosen, bound
            # One initiative at least has to start where more is left in the month that is overdrawn.
            month = int((self.cash @ chosen).argmin())
            here = self.cash[month].reshape(-1, self.months)
            is_better = here > (here * chosen.reshape(-1, self.months)).sum(axis=1, keepdims=True)
            purse, low = np.vstack([purse, is_better.reshape(1, -1).astype(np.float64)]), np.append(low, 1.0)
        return None, bound

    def relaxed_bound(self) -> float:
        """Find what no order exceeds, by a linear programme in which an initiative may start in parts."""
        purse, low = self._purse_rows()
        constraints = [LinearConstraint(sparse.csr_array(self.once_and_before), self.low, self.high)]
        constraints += [LinearConstraint(purse, lb=low)] if len(low) else []
        done = milp(-self.value / self.size, bounds=Bounds(0, 1), constraints=constraints)
        # Each in its best month, where the solver says nothing.
        best_months = float(self.value.reshape(-1, self.months).max(axis=1).sum())
        return best_months if done.x is None else min(best_months, -float(done.fun) * self.size)

    def _purse_rows(self) -> tuple[Array, Array]:
        """Write what has to be left above the worst starts, month by month, as a share of what is needed."""
        above, short = self._above(self.room)
        # Looser by the solver's tolerance, which else may find an order infeasible that keeps the floor to the cent.
        return np.minimum(above / short[:, np.newaxis], 1.0), np.full(len(short), 1 - CLOSE)

    def _above(self, room: float) -> tuple[Array, Array]:
        """Count what each start leaves above the worst of its initiative, and the sum needed, in months that need any.

        Each initiative starts once, so that the worst starts can be taken off. What alone is enough can then count as
        just enough: no amount, however large, hides the others.
        """
        by_start = self.cash.reshape(len(self.cash), -1, self.months)
        worst = by_start.min(axis=2, keepdims=True)
        short = -room - worst.sum(axis=(1, 2))
        needing = short > 0
        return (by_start - worst).reshape(self.cash.shape)[needing], short[needing]

    def least_room(self, nodes: int) -> tuple[Array | None, bool]:
        """Find the starts that need the smallest balance above the floor, None where there are none; if proved."""
        # By itself each initiative needs its lowest sum, less all that others could bring: no order needs less.
        by_start = self.cash.reshape(len(self.cash), -1, self.months)
        dip, brought = -by_start[:, :, 0].min(axis=0), np.maximum(by_start[:, :, 0].max(axis=0), 0.0)
        surely = max(float((dip - (brought.sum() - brought)).max()), 0.0)
        above, short = self._above(surely)
        unit = float(short.max(initial=1e-300))
        wide = np.hstack([np.minimum(above, short[:, np.newaxis]) / unit, np.ones((len(short), 1))])
        rows = np.hstack([self.once_and_before, np.zeros((len(self.low), 1))])
        constraints = [LinearConstraint(sparse.csr_array(rows), self.low, self.high)]
        done = milp(
            np.append(np.zeros(len(self.value)), 1.0),
            integrality=np.append(np.ones(len(self.value), dtype=np.int64), 0),
            bounds=Bounds(0, np.append(np.ones(len(self.value)), np.inf)),
            constraints=[*constraints, LinearConstraint(wide, lb=short / unit)] if len(short) else constraints,
            options={"node_limit": nodes, "mip_rel_gap": 0.0},
        )
        return (None if done.x is None else np.round(done.x[:-1])), bool(done.status == 0)

    def months_of(self, chosen: Array) -> list[int]:
        months: list[int] = chosen.reshape(-1, self.months).argmax(axis=1).tolist()
        return months


def _one_by_one(rollouts: Sequence[Rollout], purse: Purse, programme: _Programme) -> Array | None:
    """Start next what can start first, of those the most valuable, then the first name; None where that is stuck."""
    months, waiting = purse.months, list(range(len(rollouts)))
    month: dict[str, int] = {}
    balance = np.full(len(programme.cash), programme.room)
    chosen = np.zeros(len(programme.value))
    while waiting:
        offers = []
        for i in waiting:
            if all(name in month for name in rollouts[i].needs):
                first = max((month[name] + 1 for name in rollouts[i].needs), default=0)
                for s in range(first, months):
                    full = list(month.values()).count(s) >= purse.starts_a_month
                    if not full and (balance + programme.cash[:, i * months + s]).min() >= -programme.slack:
                        offers.append((s, -programme.value[i * months + s], i))
                        break
        if not offers:
            return None
        s, _, i = min(offers)
        waiting.remove(i)
        month[rollouts[i].name] = s
        chosen[i * months + s] = 1.0
        balance = balance + programme.cash[:, i * months + s]
    return chosen


def _rows(rollouts: Sequence[Rollout], purse: Purse) -> tuple[Array, Array, Array]:
    """Write rows, lows and highs: each starts once; not too many a month; what is needed starts before."""
    m, months = len(rollouts), purse.months
    once = np.kron(np.eye(m), np.ones(months))
    a_month = np.kron(np.ones(m), np.eye(months))
    at = {one.name: i for i, one in enumerate(rollouts)}
    before = []
    for i, one in enumerate(rollouts):
        for other in one.needs:
            for s in range(months):
                row = np.zeros((m, months))
                row[i, : s + 1] = 1.0
                row[at[other], :s] = -1.0
                before.append(row.ravel())
    matrix = np.vstack([once, a_month, *before])
    low = np.concatenate([np.ones(m), np.full(months + len(before), -np.inf)])
    high = np.concatenate([np.ones(m), np.full(months, float(purse.starts_a_month)), np.zeros(len(before))])
    return matrix, low, high


def _faults(rollouts: Sequence[Rollout], purse: Purse) -> Iterator[str]:
    names = [one.name for one in rollouts]
    if not names:
        yield "there is no initiative to start. At least one was expected. Choose some first."
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"'{name}' is given twice. Give each initiative once."
    for one in rollouts:
        if not len(one.cash) or not np.isfinite(one.cash).all():
            raise ValueError(f"the cash of '{one.name}' is empty or not finite. Expected a number for each month.")
        for other in one.needs:
            if other not in names:
                yield (
                    f"'{one.name}' needs '{other}', which does not start.{closest(other, names)} Expected one of: "
                    f"{', '.join(names)}. Fund it as well, or take the need out."
                )
    slots = purse.months * purse.starts_a_month
    if len(names) > slots:
        yield (
            f"{len(names)} initiatives cannot start within {purse.months} months at {purse.starts_a_month} a month. "
            f"Expected at most {slots}. Give more months."
        )


def _cheapest(programme: _Programme, purse: Purse, nodes: int) -> Array:
    """Give the starts that need the least at hand, where that is at hand; refuse otherwise, with the amount."""
    chosen, is_least = programme.least_room(nodes)
    if chosen is None:
        raise StudyError(
            f"no order of starts keeps the needs within {purse.months} months at {purse.starts_a_month} a month. "
            "Expected a month for each step of a chain, and no circle. Give more months, or take a need out."
        )
    if programme.keeps(chosen):
        return chosen
    if not is_least:
        raise ValueError(f"the search stopped at {nodes} branches without an order. Raise the number of branches.")
    least = purse.floor - float((programme.cash @ chosen).min())
    raise StudyError(
        f"with {in_full(purse.balance)} at hand, no order of starts keeps the balance at {in_full(purse.floor)} or "
        f"above within {purse.months} months. Expected at least {rounded_up(least)} at hand. Give more cash, lower "
        "the floor, allow more months, or fund less."
    )
