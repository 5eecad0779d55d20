"""What runs of train and explain found, in two sentences each: MLflow shows them above everything else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from flows.charts import effect_name
from flows.wording import decimal, label, percent, points, short_name, span, whole
from models.evaluation import Evaluation

__all__ = ["candidate_note", "drivers_note", "training_note"]

_SHOWN = {"churn": ("auc", "AUC"), "revenue": ("r2", "R²")}


def training_note(evaluations: Sequence[Evaluation], rows: int) -> str:
    """Say how well each outcome is predicted.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        One an outcome.
    rows : int
        Rows that the models were fitted on.

    Returns
    -------
    str
        Markdown: a paragraph an outcome, then on what it was fitted.
    """
    told = [f"**{one.outcome.capitalize()}**: {_figure(one, one.winner)}. {one.sentence}" for one in evaluations]
    return "\n\n".join([*told, f"Fitted on {whole(rows)} rows whose outcome is known; intervals are 90 % intervals."])


def candidate_note(evaluation: Evaluation, candidate: str) -> str:
    """Say how good one candidate is on rows it has not learned from, and whether it was chosen."""
    chosen = "It was chosen" if candidate == evaluation.winner else f"Chosen was {evaluation.winner}"
    return f"{_figure(evaluation, candidate)}; 90 % interval. {chosen} for {evaluation.outcome}."


def _figure(evaluation: Evaluation, candidate: str) -> str:
    """Write the metric that people know, with its interval and n."""
    metric, name = _SHOWN[evaluation.outcome]
    rows = evaluation.metrics
    found = rows.loc[rows["candidate"].eq(candidate) & rows["metric"].eq(metric) & rows["fold"].eq("all")]
    if found.empty or math.isnan(found["value"].iloc[0]):
        return f"{candidate}: no {name} can be counted"
    value, lo, hi = (float(found[column].iloc[0]) for column in ("value", "lo", "hi"))
    ends = span(lo, hi, lambda one: decimal(one, 3))
    return f"{candidate}, {name} {decimal(value, 3)} ({ends}) on {whole(found['n'].iloc[0])} rows not learned from"


def drivers_note(table: pd.DataFrame, effects: pd.DataFrame, horizon_days: int) -> str:
    """Say what goes along with churn most, and which improvement would change it most.

    Parameters
    ----------
    table : DataFrame
        From `flows.driver_table.driver_table`.
    effects : DataFrame
        From `models.levers.to_frame`.
    horizon_days : int
        Over which churn is counted.

    Returns
    -------
    str
        Markdown; association and effect in a sentence each.
    """
    return f"{_association(table)} {_effect(effects, horizon_days)} Intervals are 90 % intervals."


def _association(table: pd.DataFrame) -> str:
    rows = table.loc[table["outcome"].eq("churn") & table["driver"].ne("") & table["share"].notna()]
    if rows.empty:
        return "No **association** of drivers with churn is ranked."
    top = rows.sort_values(["share", "journey", "driver"], ascending=[False, True, True], kind="stable").iloc[0]
    name = label(top["journey"], short_name(top["driver"]))
    of = f"of the R² of {decimal(float(top['r2']), 3)}, n = {whole(top['n'])}"
    ends = span(float(top["share_lo"]), float(top["share_hi"]), percent)
    return f"**Association**: {name} goes along with churn most, with {percent(float(top['share']))} ({ends}) {of}."


def _effect(effects: pd.DataFrame, horizon_days: int) -> str:
    rows = effects.loc[effects["churn_effect"].notna()] if len(effects) else effects
    if rows.empty:
        return "No **effect** could be estimated."
    best = rows.sort_values(["churn_effect", "journey", "measure"], kind="stable").iloc[0]
    ends = span(float(best["churn_lo"]), float(best["churn_hi"]), points)
    return (
        f"**Effect**: of {len(rows)} improvements {effect_name(best)} does most for churn, which it changes by "
        f"{points(float(best['churn_effect']))} points over {horizon_days} days ({ends}; {best['verdict']}), "
        f"n = {whole(best['n'])}."
    )
