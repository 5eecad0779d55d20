"""The portfolio on the planner's page: limits as they are typed, and the plan as the report shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any, Final

import marimo as mo

from features.errors import StudyError
from flows.cells import show
from flows.planner import Bench, Setting
from flows.planner_sets import Range, fund, overlap_lost
from flows.report_data import PortfolioFound
from flows.wording import money, span
from models.funding import Funding

if TYPE_CHECKING:
    from models.funding_plan import FundingPlan

__all__ = ["AT_ONCE", "asking", "funded_html", "portfolio_found", "read_limits"]

AT_ONCE = 12
"""Initiatives up to which a portfolio is chosen whenever a limit moves; of more, when asked."""

_QUICK: Final = 40


def asking(count: int) -> str:
    """Label the button that chooses among so many; among hundreds it takes up to a minute."""
    return "Choose what to fund" if count <= _QUICK else f"Choose among {count}"


def read_limits(given: Mapping[str, Any], before: Funding) -> Funding:
    """Read the limits that the page asks for.

    Parameters
    ----------
    given : mapping of str to object
        budget, cash and ``capacity NAME`` (None: no limit), aversion in per cent, must and never.
    before : Funding
        For what the page does not ask.

    Raises
    ------
    StudyError
        A limit is no amount, or an initiative is both demanded and forbidden.
    """
    both = sorted(set(given.get("must") or ()) & set(given.get("never") or ()))
    if both:
        raise StudyError(f"'{both[0]}' must be done and must not be done. Expected one of the two. Take one out.")
    amounts = {key: _amount(key, given.get(key)) for key in ("budget", "cash")}
    limits = {key: _amount(key, value) for key, value in given.items() if key.startswith("capacity ")}
    return Funding(
        **amounts,
        capacity={key.removeprefix("capacity "): value for key, value in limits.items() if value is not None},
        must=tuple(given.get("must") or ()),
        never=tuple(given.get("never") or ()),
        aversion=min(max(float(given.get("aversion") or 0) / 100, 0.0), 1.0),
        tail=before.tail,
    )


def _amount(key: str, value: object) -> float | None:
    """Read an amount as people type it: 200000, 200,000 or 200 000; None where nothing is typed."""
    text = "" if value is None else re.sub(r"[\s,'’]", "", str(value))
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < inf:
        raise StudyError(
            f"{key} is '{str(value)[:40]}'. Expected an amount of 0 or more, such as 200,000, or nothing. Correct it."
        )
    return found


def funded_html(
    bench: Bench, settings: Mapping[str, Setting], funding: Funding, tell: Callable[[str], object] = str
) -> mo.Html:
    """Say what to fund within the limits, what overlap costs, in which order to start, what to try first.

    Parameters
    ----------
    bench : Bench
        The simulation.
    settings : mapping of str to Setting
        Those that were changed; the others are as simulated.
    funding : Funding
        Budget, capacities, must, never, cash, appetite.
    tell : callable, optional
        Told how far it is, in a few words.

    Raises
    ------
    StudyError
        The limits contradict each other or let nothing be funded.
    """
    from flows.portfolio_section import section_of  # noqa: PLC0415 (draws charts, which only this part needs)
    from models.funding_plan import QUESTIONS  # noqa: PLC0415 (a solver that only this part of the page needs)

    steps = count(1)
    plan = fund(bench, settings, funding, lambda what: tell(f"Step {next(steps)} of {1 + len(QUESTIONS)}: {what}"))
    found = portfolio_found(bench, settings, plan, funding)
    moved = sum(bench.setting(name, settings) != Setting.of(one) for name, one in bench.initiatives.items())
    said = "as simulated" if not moved else f"{moved} of them as set under Try, the others as simulated"
    told = f"Chosen among all {len(bench.initiatives)} initiatives of the simulation, {said}."
    return show(told, *_overlap(bench, settings, plan), section_of(found, bench.currency))


def _overlap(bench: Bench, settings: Mapping[str, Setting], plan: FundingPlan) -> tuple[str, ...]:
    if len(plan.portfolio.members) < 2:
        return ()
    lost: Range = overlap_lost(bench, settings, plan.portfolio.members)

    def write(amount: float) -> str:
        return money(amount, bench.currency)

    return (
        f"Done together these are worth {write(lost.value)} ({span(lost.lo, lost.hi, write)}) more than the sum of "
        "each alone; below zero, because two of them improve the same for the same customers.",
    )


def portfolio_found(
    bench: Bench, settings: Mapping[str, Setting], plan: FundingPlan, funding: Funding
) -> PortfolioFound:
    """Put a plan, chosen as initiatives are set, into the form that the report shows."""
    chosen = plan.portfolio
    low, high = chosen.interval
    titles = {name: one.label for name, one in bench.initiatives.items()}
    titles |= {one.initiative.name: one.initiative.label for one in bench.stored.refusals}
    waits = {name: bench.setting(name, settings).start_month for name in bench.initiatives}
    return PortfolioFound(
        funded=chosen.members,
        titles=titles,
        value=chosen.mean,
        value_lo=low,
        value_hi=high,
        p_positive=chosen.p_positive,
        worst=chosen.worst,
        cost=chosen.cost,
        gap=chosen.gap,
        budget=inf if funding.budget is None else funding.budget,
        tail=funding.tail,
        cash=plan.cash,
        members=chosen.to_frame().merge(plan.stability.to_frame(), on="initiative"),
        frontier=plan.frontier.to_frame(),
        limits=plan.costs.to_frame(),
        pilots=plan.pilots.to_frame(),
        starts=plan.starts(waits),
        knowing_everything=plan.pilots.everything,
        notes=plan.notes,
    )
