"""The report's section on association: for each outcome R2 first, then journeys, ratings and the table of drivers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pandas as pd

from flows.driver_charts import drawings
from flows.driver_table import LINEAR
from flows.report_data import ReportData
from flows.report_page import Block, Column, Section, Table, figure, table
from flows.wording import dash, decimal, label, listed, p_value, percent, short_name, span, whole

__all__ = ["association_section", "report_table"]

_ASSOCIATION = "An association is not an effect: these shares say where to look, not what an improvement would do."
_RATINGS = (
    "Of ratings it is also told what one point better goes along with, all other ratings held fixed, and what low and "
    "very good ones do beside the middle of the scale."
)
_SIGNED = frozenset({"point", "penalty", "reward"})
"""Columns of differences."""

_FIGURES = {
    "journeys": "Share of each journey, made of its drivers",
    "ratings": "What a point better goes along with, against performance",
    "penalty_reward": "Low and very good ratings beside the middle",
}


def association_section(data: ReportData) -> Section:
    """Show what goes along with the outcomes, R2 first."""
    title, found = "Association: what goes along with churn and revenue", data.drivers
    if found is None or found.empty:
        return Section("association", title, "Associations have not been computed yet. Run journeylift explain.")
    outcomes = list(dict.fromkeys(found["outcome"]))
    title = f"Association: what goes along with {listed(outcomes)}"
    notes = pd.DataFrame(columns=["outcome", "note"]) if data.driver_notes is None else data.driver_notes
    blocks = [_block(found[found["outcome"] == name], name, _notes(notes, name)) for name in outcomes]
    general = Block(sentences=_notes(notes, ""))
    return Section("association", title, _ASSOCIATION, (general, *blocks) if general.sentences else tuple(blocks))


def _notes(notes: pd.DataFrame, outcome: str) -> tuple[str, ...]:
    return tuple(notes.loc[notes["outcome"] == outcome, "note"])


def _block(rows: pd.DataFrame, outcome: str, notes: tuple[str, ...]) -> Block:
    """One outcome: sentences, charts and table, or only a sentence where there is nothing to show."""
    is_ranked, is_rated = bool(rows["share"].notna().any()), "kind" in rows and bool((rows["kind"] != "").any())
    title = f"Association with {outcome}"
    sentence = _explained(rows) if is_ranked else f"The drivers of {outcome} are not ranked."
    is_event = "share_mcfadden" in rows and bool(rows["share_mcfadden"].notna().any())
    told = (sentence, *([LINEAR] if is_event else []), *([_RATINGS] if is_rated else []))
    if not (is_ranked or is_rated):
        return Block(title, (*told, *notes))
    figures = [
        figure(chart, name.replace("_", "-"), f"{_FIGURES[name.removesuffix(f'_{outcome}')]}. {sentence}")
        for name, chart in drawings(rows).items()
    ]
    found = report_table(rows, outcome)
    found = replace(found, note=" ".join([found.note, *notes]))
    return Block(title, told, figure=figures[0], more=tuple(figures[1:]), table=found)


def _explained(rows: pd.DataFrame) -> str:
    """Say R2 first, then which journey goes along with the outcome most."""
    outcome, first = rows["outcome"].iloc[0], rows[rows["level"] == "journey"].iloc[0]
    return (
        f"All drivers together explain {percent(float(first['r2']), 1)} of the variance of {outcome} (R²). Of that "
        f"part, {percent(float(first['share']))} goes along with the journey {label(first['journey'])}."
    )


def report_table(rows: pd.DataFrame, outcome: str) -> Table:
    """One row a driver under its journey; columns that nothing is known of are left out.

    Parameters
    ----------
    rows : DataFrame
        Of one outcome, from :func:`flows.driver_table.driver_table`.
    outcome : str
        What it is called.
    """
    known = _columns(_writer(rows, outcome))
    columns = [column for name, column in known.items() if name in rows and rows[name].notna().any()]
    if "kind" in rows and (rows["kind"] != "").any():
        columns.append(Column("Class", lambda row: row["kind"]))
    r2 = float(rows["r2"].max())
    explained = f": shares of the {percent(r2, 1)} of variance explained" if r2 > 0 else ""
    caption = f"Association with {outcome}{explained}"
    found = table(caption, [Column("Journey and driver", _name), *columns], rows, _legend(rows, outcome))
    heads = frozenset(place for place, level in enumerate(rows["level"]) if level == "journey")
    return replace(found, heads=heads)


def _writer(rows: pd.DataFrame, outcome: str) -> Callable[[float], str]:
    """Write differences of an outcome, all with the decimals that show half of a usual interval."""
    factor = 100.0 if outcome == "churn" else 1.0
    widths = [rows[f"{name}_hi"] - rows[f"{name}_lo"] for name in ("point", "penalty", "reward") if name in rows]
    usual = factor * min((float(one.median()) for one in widths if one.notna().any()), default=1.0)
    digits = min(max(0, math.ceil(0.5 - math.log10(usual))), 4) if usual > 0 else 2
    return lambda value: decimal(factor * value, digits)


def _columns(write: Callable[[float], str]) -> dict[str, Column]:
    """Columns by what has to be known for them; `write` writes differences of the outcome."""
    return {
        "reach": Column("Applied to", _reach, "number"),
        "performance": Column("Perform\u00adance", partial(_cell, "performance", whole), "number"),
        "share": Column("Share of R²", partial(_cell, "share", percent), "number"),
        "tier": Column("Tier", lambda row: f"{row['tier']:.0f}" if row["tier"] > 0 else dash, "number"),
        "quality_part": Column("Quality + use", _parts, "number"),
        "p_adjusted": Column("p, adjusted", lambda row: p_value(row["p_adjusted"]), "number"),
        "share_mcfadden": Column("Share by McFadden", _mcfadden, "number"),
        "point": Column("+1 point goes along with", partial(_cell, "point", write), "number"),
        "penalty": Column("Penalty: low third", partial(_cell, "penalty", write), "number"),
        "reward": Column("Reward: top third", partial(_cell, "reward", write), "number"),
    }


def _name(row: pd.Series) -> str:
    """Name the row, and below it what to know before believing it."""
    name = label(row["journey"]) if row["level"] == "journey" else label(short_name(row["driver"]))
    return f"{name}\n{row['warning']}" if row["warning"] else name


def _cell(column: str, write: Callable[[float], str], row: pd.Series) -> str:
    """Write a number with its interval below; nothing where there is none, as in the row of a journey."""
    if pd.isna(row[column]):
        return "" if row["level"] == "journey" else dash
    lo, hi, value = row[f"{column}_lo"], row[f"{column}_hi"], write(row[column])
    sign = "+" if column in _SIGNED and row[column] > 0 and value.strip("0.") else ""
    interval = "" if pd.isna(lo) else f"\n{span(lo, hi, write)}".replace("\u00a0% to", " to")
    return f"{sign}{value}{interval}"


def _reach(row: pd.Series) -> str:
    return f"{percent(row['reach'])}\nn {whole(row['n'])}"


def _parts(row: pd.Series) -> str:
    """Write how much of the share is about how good it was, and how much about whether it was used."""
    if pd.isna(row["quality_part"]):
        return dash
    return f"{100 * row['quality_part']:.0f} + {percent(max(row['reach_part'], 0.0))}"


def _mcfadden(row: pd.Series) -> str:
    if pd.isna(row["share_mcfadden"]):
        return dash
    error = row["share_mcfadden_error"]
    return percent(row["share_mcfadden"]) + (f"\n± {100 * error:.1f}" if error > 0 else "")


def _legend(rows: pd.DataFrame, outcome: str) -> str:
    """Explain the columns that are there."""
    unit = "percentage points of churn" if outcome == "churn" else outcome
    told = {
        "reach": "Applied to: share of the customers with a value.",
        "performance": "Performance: mean rating, 0 for the worst and 100 for the best answer.",
        "share": "Below a number: 90 % interval. Drivers of one tier cannot be told apart.",
        "quality_part": "Quality + use: how much is about how good it was, and how much about whether it applied.",
        "p_adjusted": "p: that a driver adds nothing to all others, adjusted for their number.",
        "share_mcfadden": "Share by McFadden: of a logistic fit; ±: standard error of sampled orders.",
        "point": f"+1 point, penalty and reward: {unit}, all other ratings held fixed, beside the middle third.",
    }
    return " ".join(text for name, text in told.items() if name in rows and rows[name].notna().any())
