"""A comparison of plans as one HTML page that opens from disk, needs no network and no mouse, and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import pandas as pd

from flows.compare_charts import difference_chart, outcome_title, writer
from flows.console import count
from flows.report_page import Block, Column, Entry, Figure, Section, Table, figure, page_template, table
from flows.wording import chance, money, span, whole
from models.outlooks import OUTCOMES

__all__ = ["answer_sentence", "difference_sentences", "render_comparison"]

_METHODS: Final = (
    "Paired: both plans are counted under the same 4,000 possible truths (effects, delivery, cost), draw by draw, so "
    "that what they have in common cancels. The interval of a difference is then narrower than those of the plans.",
    "Independent: plans that rest on another study, other data or another seed share no draw. Their difference has the "
    "uncertainty of both.",
    "Better: the 90 % interval of the difference leaves out zero, on the better side. The same: not one draw differs.",
    "A plan is all its initiatives, done as its file says, less what each two would do twice.",
    "Customers who leave: by the end of the months, of those at risk at the decision.",
    "Revenue and cost: present values.",
    "Intervals: 90 % throughout.",
)


def answer_sentence(content: Mapping[str, Any]) -> str:
    """Say in a sentence which plan is worth most, and how sure that is.

    Parameters
    ----------
    content : mapping
        Of ``compare.json``.
    """
    npv = [row for row in content["levels"] if row["outcome"] == "npv"]
    best = max(npv, key=lambda row: (row["value"], -row["plan"]))
    write = partial(money, currency=content["currency"])
    same = [row for row in content["differences"] if row["outcome"] == "npv"]
    if all(row["verdict"] == "the same" for row in same):
        return f"All are worth the same over {content['months']} months: {write(best['value'])}."
    label, sure = content["plans"][best["plan"]]["label"], content["plans"][best["plan"]]["p_best"]
    does = "is worth most" if best["value"] >= 0 else "loses least"
    return (
        f"“{label}” {does} over {content['months']} months: {write(best['value'])} "
        f"({span(best['lo'], best['hi'], write)}). With a chance of {chance(sure)} it is the best of the "
        f"{len(content['plans'])}."
    )


def difference_sentences(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Say of every plan by how much it is worth more or less than the first."""
    write, labels = partial(money, currency=content["currency"]), [one["label"] for one in content["plans"]]
    told = []
    for row in content["differences"]:
        if row["outcome"] != "npv":
            continue
        label = labels[row["plan"]]
        if row["verdict"] == "the same":
            told.append(f"“{label}” is worth the same as “{labels[0]}” in every draw.")
            continue
        more = "more" if row["value"] >= 0 else "less"
        ends = sorted((abs(row["lo"]), abs(row["hi"])))
        within = (
            span(ends[0], ends[1], write)
            if row["verdict"] != "undecided"
            else f"from {write(-row['lo'])} less to {write(row['hi'])} more, so undecided"
        )
        told.append(
            f"“{label}” is worth {write(abs(row['value']))} {more} than “{labels[0]}” ({within}), and is worth more "
            f"with a chance of {chance(row['p_better'])}."
        )
    return tuple(told)


def render_comparison(content: Mapping[str, Any]) -> str:
    """Render the page as text.

    Parameters
    ----------
    content : mapping
        Of ``compare.json``.

    Returns
    -------
    str
        HTML without scripts and without anything to load; names of the user are escaped.
    """
    found, labels = pd.DataFrame(content["differences"]), [one["label"] for one in content["plans"]]
    lead = answer_sentence(content)
    value = Block(
        sentences=tuple(f"Note: {warning}" for warning in content["warnings"]),
        items=difference_sentences(content),
        figure=_drawn(found, labels, "npv", content["currency"]),
    )
    levels = Block("Each plan by itself", table=_levels(content, labels))
    rest = [
        Block(outcome_title(name), figure=_drawn(found, labels, name, content["currency"]))
        for name in OUTCOMES
        if name != "npv"
    ]
    told = Section("answer", "Which plan is worth more?", lead, (value, levels))
    others = "Every plan less the first, in customers, revenue and cost."
    table_ = Block("All differences", table=_all(found, labels, content))
    outcomes = Section("outcomes", "Where the difference comes from", others, (*rest, table_))
    how = (Block(items=_METHODS), _origins(content))
    methods = Section("methods", "How was this worked out?", "Draw by draw, under the same possible truths.", how)
    page = page_template("compare.html.j2")
    return page.render(study=content["study"], facts=_facts(content), sections=(told, outcomes, methods), told=(told,))


def _drawn(found: pd.DataFrame, labels: Sequence[str], outcome: str, currency: str) -> Figure:
    chart = difference_chart(found, labels, outcome, currency)
    return figure(chart, outcome, f"{outcome_title(outcome)}: difference to {labels[0]}; numbers in the table.")


def _facts(content: Mapping[str, Any]) -> tuple[Entry, ...]:
    first = content["plans"][0]
    return (
        Entry("Plans", whole(len(content["plans"]))),
        Entry("Customers at risk", whole(first["customers"])),
        Entry("Months", whole(content["months"])),
        Entry("Draws", whole(content["draws"])),
    )


def _levels(content: Mapping[str, Any], labels: Sequence[str]) -> Table:
    """One row a plan, worth most first, each outcome with its interval."""
    levels = pd.DataFrame(content["levels"])
    rows = pd.DataFrame({"label": labels, "p_best": [one["p_best"] for one in content["plans"]]})
    for name in OUTCOMES:
        of = levels[levels["outcome"] == name].set_index("plan")
        for column in ("value", "lo", "hi"):
            rows[f"{name}_{column}"] = of[column]
    rows = rows.sort_values("npv_value", ascending=False, kind="stable")
    columns = [Column("Plan", lambda row: str(row["label"])), *(_with_ends(name, content) for name in OUTCOMES)]
    columns.append(Column("Best of all", lambda row: chance(row["p_best"]), "number"))
    return table(f"Over {content['months']} months, means with 90 % intervals, worth most first", columns, rows)


def _with_ends(outcome: str, content: Mapping[str, Any]) -> Column:
    def cell(row: pd.Series) -> str:
        value, lo, hi = (float(row[f"{outcome}_{name}"]) for name in ("value", "lo", "hi"))
        return _told(value, lo, hi, outcome, content["currency"])

    return Column(outcome_title(outcome), cell, "number")


def _all(found: pd.DataFrame, labels: Sequence[str], content: Mapping[str, Any]) -> Table:
    """One row a plan and outcome."""
    columns = [
        Column("Plan", lambda row: labels[int(row["plan"])]),
        Column("Outcome", lambda row: outcome_title(row["outcome"])),
        Column("Difference", lambda row: _ended(row, content["currency"]), "number"),
        Column("Chance to be better", lambda row: chance(row["p_better"]), "number"),
        Column("Verdict", lambda row: str(row["verdict"]), "verdict"),
        Column("Draws", lambda row: "paired" if row["is_paired"] else "independent"),
    ]
    return table(f"Less “{labels[0]}”, with 90 % intervals; {count(content['draws'], 'draw')}", columns, found)


def _ended(row: pd.Series, currency: str) -> str:
    return _told(row["value"], row["lo"], row["hi"], row["outcome"], currency)


def _told(value: float, lo: float, hi: float, outcome: str, currency: str) -> str:
    """Write a value with its interval below; what is known for sure has none."""
    write = writer(outcome, currency)
    return write(value) if lo == hi else f"{write(value)}\n{span(lo, hi, write).replace(' points to', ' to')}"


def _origins(content: Mapping[str, Any]) -> Block:
    columns = [
        Column("Plan", lambda row: str(row["label"])),
        Column("Numbers from", lambda row: str(row["origin"])),
        Column("Seed", lambda row: str(row["seed"]), "number"),
        Column("Customers", lambda row: whole(row["customers"]), "number"),
        Column("Initiatives", lambda row: ", ".join(row["initiatives"])),
    ]
    return Block("What was compared", table=table("In the order given", columns, pd.DataFrame(content["plans"])))
