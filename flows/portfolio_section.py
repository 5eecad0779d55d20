"""The report's section on the portfolio: what to fund, how sure that is, when to start, what to try first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final

import pandas as pd

from flows.portfolio_charts import frontier_chart, stability_chart
from flows.report_data import PortfolioFound, ReportData
from flows.report_page import Block, Column, Section, Table, figure, table
from flows.wording import chance, dash, money, money_short, percent, percent_up, span, whole
from models.funding_plan import LEAST_CHANGE

__all__ = ["funding_sentence", "pilot_sentence", "portfolio_section", "read_portfolio", "section_of"]

_NAMED: Final = 8
"""Initiatives of a set that are named; more are counted."""
_FEW: Final = 3
"""Names of what a set has more or less than the chosen one."""
_MOST_DRAWN: Final = 30
"""Initiatives that fit one screen as a chart."""
_MOST_TRIALS: Final = 20

_TITLE = "What should be funded together?"
_MEMBERS = (
    "Initiatives, the funded ones first. Adds to the set: what it would lose without this one, or gain with it. In the "
    "best set: share of the draws in which it belongs there, with a 90 % interval"
)


def read_portfolio(content: Mapping[str, Any], *, is_stale: bool) -> PortfolioFound:
    """Read what ``journeylift portfolio`` has written.

    Parameters
    ----------
    content : mapping
        Of ``portfolio.json``.
    is_stale : bool
        The initiatives were simulated anew since, or data or features have changed.

    Returns
    -------
    PortfolioFound
        For sentences, charts and tables.
    """
    budget = content["portfolio"]["budget"]

    def number(name: str) -> float:
        # What is infinite is null in JSON: a gap beside a set that is worth nothing.
        return inf if content[name] is None else float(content[name])

    return PortfolioFound(
        funded=tuple(content["funded"]),
        titles=dict(content["titles"]),
        value=number("value"),
        value_lo=number("value_lo"),
        value_hi=number("value_hi"),
        p_positive=number("p_positive"),
        worst=number("worst"),
        cost=number("cost"),
        gap=number("gap"),
        budget=inf if budget is None else float(budget),
        tail=float(content["portfolio"]["tail"]),
        cash=number("cash"),
        members=pd.DataFrame(content["members"]),
        frontier=pd.DataFrame(content["frontier"]),
        limits=pd.DataFrame(content["limits"]),
        pilots=pd.DataFrame(content["pilots"]),
        starts=pd.DataFrame(content["starts"]),
        knowing_everything=number("knowing_everything"),
        notes=tuple(content["notes"]),
        is_stale=is_stale,
    )


def portfolio_section(data: ReportData) -> Section:
    """Answer with the chosen set, then what it rests on."""
    found = data.portfolio
    if found is None:
        return Section("portfolio", _TITLE, "No portfolio has been chosen yet. Run journeylift portfolio.")
    return section_of(found, data.header.currency)


def section_of(found: PortfolioFound, currency: str) -> Section:
    """Lay out a portfolio; amounts in `currency`."""
    lead = funding_sentence(found, currency)
    told = _Words(found, partial(money_short, currency=currency))
    budgets = figure(
        frontier_chart(found.frontier, found.budget, currency),
        "frontier",
        "Worth of the best set for every budget; numbers in the table.",
    )
    drawn, only = _undecided(found.members)
    certain = figure(stability_chart(drawn, found.titles), "stability", "How often each initiative is in the best set.")
    notes = (*(_titled(note, found.titles) for note in found.notes), *only)
    blocks = [
        Block("What is chosen", notes, figure=certain, table=told.members()),
        Block("What a budget buys", figure=budgets, table=told.frontier()),
    ]
    if len(found.limits):
        blocks.append(Block("What each limit costs", table=told.limits()))
    if len(found.starts):
        cash = f"In this order the balance stays above zero with {money(found.cash, currency)} at hand."
        blocks.append(Block("When to start", (cash,), table=told.starts()))
    blocks.append(Block("What to try first", (pilot_sentence(found, currency),), table=told.pilots()))
    return Section("portfolio", _TITLE, lead, tuple(blocks))


def funding_sentence(found: PortfolioFound, currency: str) -> str:
    """Say what to fund, what it is worth, and how far it can be from the best."""
    stale = " Initiatives or data have changed since: run journeylift portfolio again." if found.is_stale else ""
    if not found.funded:
        return f"Nothing should be funded: no set of initiatives earns its cost within the limits.{stale}"
    write = partial(money, currency=currency)
    names = " and ".join(filter(None, [", ".join(found.quoted(found.funded[:-1])), *found.quoted(found.funded[-1:])]))
    if len(found.funded) > _NAMED:
        names = f"{len(found.funded)} of {len(found.members)} initiatives, the first of the table below"
    proof = "No set within the limits is worth more" if found.gap == 0 else "It is the best that was found; another"
    rest = "." if found.gap == 0 else f" could be worth at most {percent_up(found.gap)} more."
    return (
        f"Fund {names}: worth {write(found.value)} (90 % interval {span(found.value_lo, found.value_hi, write)}) for "
        f"{write(found.cost)}, {chance(found.p_positive)} likely to pay; in the worst {percent(found.tail)} of the "
        f"draws {write(found.worst)} on average. {proof}{rest}{stale}"
    )


def pilot_sentence(found: PortfolioFound, currency: str) -> str:
    """Say which initiative to try first, or that no trial could change the choice."""
    write = partial(money, currency=currency)
    able = found.pilots[found.pilots["p_change"] >= LEAST_CHANGE]
    if able.empty:
        unsure = found.pilots.sort_values(["perfect", "initiative"]).iloc[-1]
        return (
            "No trial would be likely to change the choice, so none is worth its cost. Knowing the value of "
            f"{found.quoted((unsure['initiative'],))[0]} exactly would be worth {write(unsure['perfect'])}."
        )
    first = able.iloc[0]
    return (
        f"Try {found.quoted((first['initiative'],))[0]} first: what a trial would tell is worth "
        f"{write(first['sample'])} before its cost, and no trial of it can be worth more than "
        f"{write(first['perfect'])}. Knowing everything would be worth {write(found.knowing_everything)}."
    )


def _undecided(members: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Take those that can be drawn on one screen, the least sure ones, and say so."""
    if len(members) <= _MOST_DRAWN:
        return members, ()
    unsure = members.assign(far=(members["by_draw"] - 0.5).abs()).sort_values(["far", "initiative"])
    return unsure.head(_MOST_DRAWN), (
        f"Drawn are the {_MOST_DRAWN} of {len(members)} initiatives about which the choice is least sure.",
    )


def _titled(note: str, titles: Mapping[str, str]) -> str:
    """Write what was left out by its title."""
    name = note.removeprefix("left out: ").partition(",")[0]
    return note.replace(f"left out: {name},", f"Left out: “{titles.get(name, name)}”,", 1)


def _share(share: float, low: float, high: float) -> str:
    """Write a share with its interval, which is left out where it reads as the share does."""
    same = chance(low) == chance(share) == chance(high)
    return chance(share) if same else f"{chance(share)}\n{span(low, high, chance)}"


@dataclass(frozen=True, slots=True)
class _Words:
    """Tables of a portfolio in words."""

    found: PortfolioFound
    write: partial[str]

    def _title(self, row: pd.Series) -> str:
        return self.found.titles[str(row["initiative"])]

    def _set(self, row: pd.Series) -> str:
        members, funded = set(row["members"]), set(self.found.funded)
        if len(members) <= _NAMED:
            return ", ".join(self.found.titles[name] for name in row["members"]) or "nothing"
        told = [f"{len(members)} initiatives", "as chosen" if members == funded else ""]
        for word, names in (("with", members - funded), ("without", funded - members)):
            told.append(f"{word} {self._few(sorted(names))}" if names else "")
        return ", ".join(filter(None, told))

    def _few(self, names: Sequence[str]) -> str:
        rest = f" and {len(names) - _FEW} others" if len(names) > _FEW else ""
        return ", ".join(self.found.titles[name] for name in names[:_FEW]) + rest

    def members(self) -> Table:
        rows = self.found.members.sort_values(
            ["is_funded", "value_alone", "initiative"], ascending=[False, False, True]
        )
        columns = [
            Column("Initiative", self._title),
            Column("Funded", lambda row: "yes" if row["is_funded"] else "no"),
            Column("Cost", lambda row: self.write(row["cost"]), "number"),
            Column("Value alone", lambda row: self.write(row["value_alone"]), "number"),
            Column("Adds to the set", lambda row: dash if pd.isna(row["adds"]) else self.write(row["adds"]), "number"),
            Column(
                "In the best set",
                lambda row: _share(row["by_draw"], row["by_draw_lo"], row["by_draw_hi"]),
                "number",
            ),
        ]
        return table(_MEMBERS, columns, rows)

    def frontier(self) -> Table:
        columns = [
            Column("From a budget of", lambda row: self.write(row["budget"]), "number"),
            Column("Worth", lambda row: self.write(row["worth"]), "number"),
            Column("Best set", self._set),
        ]
        return table("The best set for every budget", columns, self.found.frontier)

    def limits(self) -> Table:
        columns = [
            Column("Limit", lambda row: f"{row['limit']}, {row['change']}"),
            Column("Would bring", lambda row: self.write(row["gain"]), "number"),
            Column("Best set then", self._set),
        ]
        return table("What more of each limit would bring, one at a time", columns, self.found.limits)

    def starts(self) -> Table:
        columns = [
            Column("Initiative", self._title),
            Column("Start in month", lambda row: whole(row["month"]), "number"),
            Column("Balance then", lambda row: self.write(row["balance"]), "number"),
        ]
        return table("Order of starts, by expected cash; month 0 is the decision", columns, self.found.starts)

    def pilots(self) -> Table:
        columns = [
            Column("Initiative", self._title),
            Column("A trial is worth", lambda row: self.write(row["sample"]), "number"),
            Column("At most", lambda row: self.write(row["perfect"]), "number"),
            Column("Changes the choice", lambda row: chance(row["p_change"]), "number"),
        ]
        shown, count = self.found.pilots.head(_MOST_TRIALS), len(self.found.pilots)
        note = f"The {len(shown)} of {count} that are worth most to try." if len(shown) < count else ""
        return table("What trying first is worth, before the cost of the trial", columns, shown, note)
