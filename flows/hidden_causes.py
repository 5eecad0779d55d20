"""What speaks against an effect, in words and in a table: hidden causes, the placebo, negative controls."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd

from flows.report_data import ReportHeader
from flows.report_page import Block, Column, table
from flows.wording import dash, decimal, label, money, percent, points, span, whole

__all__ = ["control_sentence", "doubts_block", "hidden_cause_sentence", "placebo_sentence", "undone_by"]

_MEANING = (
    "A hidden cause is something in no column that moves both the quality that customers meet and whether they leave "
    "or spend. Bands are the intervals widened by what one as strong as the named covariate could do at worst. Undone "
    "by: how strong one had to be to explain the change of churn away; the less, the weaker the evidence."
)
_PLACEBO = (
    "Placebo: quality cannot change what was spent before it was met. Where the same change seems to have moved past "
    "spend beyond chance, something else moves both: the effect is at most possible, and the band of revenue reaches "
    "at least as far as past spend seems to have moved."
)

_TOLD = frozenset({"likely", "possible", "harmful", "mixed"})
"""Verdicts on effects that chance alone cannot explain."""


def hidden_cause_sentence(row: pd.Series) -> str:
    """Say how far a hidden cause could move the effect on churn, and how strong it had to be to undo it."""
    name = label(row["churn_as_strong_as"])
    if not name:
        return f"“{row['title']}”: no covariate says how strong a hidden cause might be."
    bend, times = float(row["churn_bend"]), float(row["churn_times_as_strong"])
    effect = f"{points(row['churn_effect'])} points (90 % interval {span(row['churn_lo'], row['churn_hi'], points)})"
    could = f"A hidden cause as strong as {name} could move this by at most {decimal(100 * bend, 2)} points"
    if not math.isfinite(bend):
        could = f"A hidden cause as strong as {name} could explain all of it"
    undone = (
        f"; it would take one {decimal(times, 1)} times as strong to bring it to zero" if math.isfinite(times) else ""
    )
    return f"“{row['title']}” changes churn by {effect}. {could}{undone}."


def undone_by(row: pd.Series) -> str:
    """Write how strong a hidden cause had to be to bring the effect on churn to zero: 2.6 x segment.

    A dash where chance alone could explain the effect, so that there is nothing to undo.
    """
    times, verdict = float(row["churn_times_as_strong"]), row.get("effect_verdict", row.get("verdict"))
    by_chance = float(row["churn_lo"]) < 0 < float(row["churn_hi"])
    if not math.isfinite(times) or by_chance or verdict not in _TOLD:
        return dash
    return f"{decimal(times, 1)} x {label(row['churn_as_strong_as'])}"


def placebo_sentence(row: pd.Series, currency: str) -> str:
    """Say what the same change seems to have done to the past; empty where too little of the past is known."""
    if math.isnan(float(row["placebo_effect"])):
        return ""
    write = partial(money, currency=currency)
    interval = span(row["placebo_lo"], row["placebo_hi"], write)
    return (
        f"Placebo of “{row['title']}” {row['placebo']}: it seems to have moved earlier spend by "
        f"{write(row['placebo_effect'])} per customer (90 % interval {interval}; {whole(row['placebo_n'])} customers)."
    )


def control_sentence(row: pd.Series, currency: str) -> str:
    """Say what a negative control seems to do."""
    write = partial(money, currency=currency)
    return (
        f"Negative control {row['change']} {row['check']}: churn {points(row['churn_effect'])} points "
        f"(90 % interval {span(row['churn_lo'], row['churn_hi'], points)}), revenue {write(row['revenue_effect'])} "
        f"({span(row['revenue_lo'], row['revenue_hi'], write)}); {whole(row['n'])} customers."
    )


def doubts_block(found: pd.DataFrame, header: ReportHeader) -> Block:
    """Show what speaks against each simulated initiative, the strongest effect on churn first."""
    rows = found[found["churn_effect"].notna()].sort_values("churn_effect")
    write = partial(money, currency=header.currency)
    columns = [
        Column("Initiative", lambda row: str(row["title"])),
        Column("Verdict on effect", lambda row: str(row["effect_verdict"]), "verdict"),
        Column("Churn, points: band", _churn_band, "number"),
        Column("Undone by", undone_by, "number"),
        Column("Robustness value", lambda row: percent(row["churn_robustness_value"], 1), "number"),
        Column("Past spend (placebo)", lambda row: _placebo_cell(row, header.currency), "number"),
        Column("Revenue: band", lambda row: span(row["revenue_band_lo"], row["revenue_band_hi"], write), "number"),
    ]
    likely = rows["effect_verdict"] == "likely"
    told = (
        *(hidden_cause_sentence(row) for _, row in rows[likely].iterrows()),
        *(
            f"“{row['title']}” is {row['effect_verdict']}. {row['effect_reason']}"
            for _, row in rows[~likely].iterrows()
        ),
    )
    failing = (placebo_sentence(row, header.currency) for _, row in rows[rows["placebo"] == "fails"].iterrows())
    caption = f"Effects over {header.horizon_days} days against hidden causes, and the effect on spend before"
    said = (_MEANING, _PLACEBO, *failing)
    return Block("Could something hidden explain it?", said, told, table=table(caption, columns, rows))


def _churn_band(row: pd.Series) -> str:
    band = span(row["churn_band_lo"], row["churn_band_hi"], points)
    name = label(row["churn_as_strong_as"])
    return f"{band}\nas strong as {name}" if name else band


def _placebo_cell(row: pd.Series, currency: str) -> str:
    if math.isnan(float(row["placebo_effect"])):
        return dash
    write = partial(money, currency=currency)
    return f"{write(row['placebo_effect'])}, {row['placebo']}\n{span(row['placebo_lo'], row['placebo_hi'], write)}"
