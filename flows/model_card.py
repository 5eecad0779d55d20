"""A page about one model version: what it predicts, from which data, how well, where it is weak, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.measures import Feature
from features.snapshot import iso
from features.study import Study
from flows.succession import Promotion
from flows.wording import percent, plain, span, whole
from models.evaluation import Evaluation
from models.splits import cutoff_microseconds

__all__ = ["CardFacts", "model_card"]

_WEAKEST = 5
_MEASURED = {
    "churn": ("log_loss", "auc", "average_precision", "brier", "calibration_intercept", "calibration_slope", "lift_10"),
    "revenue": ("rmse", "mae", "r2", "mean_calibration"),
}
_WORDS = {
    "log_loss": "log loss",
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "calibration_intercept": "calibration intercept (0 is right)",
    "calibration_slope": "calibration slope (1 is right)",
    "lift_10": "lift of the riskiest tenth",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "r2": "R²",
    "mean_calibration": "predicted over observed (1 is right)",
}


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says beside the evaluation.

    Attributes
    ----------
    study : Study
        The study.
    contract : PanelContract
        Of the panel that the version was fitted on.
    tags : mapping of str to str
        Fingerprints, seed, version of the code.
    meaning : str
        What the winning candidate is, one sentence.
    most_rows : int
        Rows that a fit takes at most.
    """

    study: Study
    contract: PanelContract
    tags: Mapping[str, str]
    meaning: str
    most_rows: int


def model_card(facts: CardFacts, frame: pd.DataFrame, evaluation: Evaluation, found: Promotion, number: str) -> str:
    """Write the card of a version as Markdown.

    Parameters
    ----------
    facts : CardFacts
        Study, contract, tags.
    frame : DataFrame
        The mature rows that the version was fitted on.
    evaluation : Evaluation
        Its out-of-time tests.
    found : Promotion
        What it became, and why.
    number : str
        The version.

    Returns
    -------
    str
        Headings: What it predicts, Data, How good it is, Where it is weak, What it was not given, What it is not for,
        Where it comes from.
    """
    outcome = evaluation.outcome
    parts = [
        f"# {facts.study.name}-{outcome}, version {number}",
        f"{found.alias.capitalize()}: {found.reason}",
        "## What it predicts",
        _estimand(facts.study, outcome),
        f"It is `{evaluation.winner}`. {facts.meaning}",
        "## Data",
        _data(facts, frame, evaluation.features, outcome),
        "## How good it is",
        evaluation.sentence,
        _table(evaluation),
        _how_tested(facts, frame, evaluation),
        "## Where it is weak",
        _weak(evaluation),
        "## What it was not given",
        _left_out(evaluation),
        "## What it is not for",
        _not_for(facts.study, outcome),
        "## Where it comes from",
        "\n".join(f"- {name.replace('_', ' ')}: `{value}`" for name, value in facts.tags.items() if value),
    ]
    return "\n\n".join(parts) + "\n"


def _estimand(study: Study, outcome: str) -> str:
    grid = study.snapshot
    gap = f", from {grid.gap_days} days after it on" if grid.gap_days else ""
    when = f"within {grid.horizon_days} days after a cutoff{gap}"
    if outcome == "churn":
        return f"The probability that a customer at risk at a cutoff leaves {when}, if nothing is done."
    return (
        f"What a customer at risk at a cutoff pays {when}, in {study.currency}: the mean over customers like this one."
    )


def _how_tested(facts: CardFacts, frame: pd.DataFrame, evaluation: Evaluation) -> str:
    """Say on which rows the numbers were measured, and on which ones the stored version was fitted."""
    is_timed = evaluation.predictions["fold"].isin({iso(int(at)) for at in cutoff_microseconds(frame)}).all()
    learned = "the tested model had"
    where = f"cutoffs after everything that {learned} learned from" if is_timed else f"customers {learned} not seen"
    known = int(frame["is_churned" if evaluation.outcome == "churn" else "revenue"].notna().sum())
    rows = "all rows" if known <= facts.most_rows else f"{whole(facts.most_rows)} of the {whole(known)} rows, drawn,"
    return (
        f"Every number with its 90 % interval, rows of one customer counted as one, on {where}; "
        f"the stored version was then fitted on {rows}."
    )


def _data(facts: CardFacts, frame: pd.DataFrame, used: Sequence[Feature], outcome: str) -> str:
    at = cutoff_microseconds(frame)
    customers = frame["customer_id"].nunique()
    outcomes = frame["is_churned" if outcome == "churn" else "revenue"]
    mean = float(np.average(outcomes.dropna(), weights=frame.loc[outcomes.notna(), "weight"]))
    base = f"{percent(mean, 1)} of them left" if outcome == "churn" else f"mean {plain(mean)} {facts.study.currency}"
    days = facts.study.snapshot.window_days
    known = "" if facts.study.is_flat else f" from the {days} days before each cutoff, as they were known then"
    lines = [
        f"{whole(len(frame))} rows of {whole(customers)} customers at {len(np.unique(at))} cutoffs from "
        f"{iso(int(at.min()))} to {iso(int(at.max()))}; {base}.",
        f"{len(used)} features{known}; `store/dictionary.csv` lists them.",
    ]
    return " ".join(lines)


def _table(evaluation: Evaluation) -> str:
    wanted = [name for name in _MEASURED[evaluation.outcome] if name in set(evaluation.metrics["metric"])]
    rows = evaluation.metrics.loc[lambda one: one["fold"].eq("all")].set_index(["candidate", "metric"])
    candidates = list(dict.fromkeys(rows.index.get_level_values(0)))
    ordered = [evaluation.winner, *(name for name in candidates if name != evaluation.winner)]
    head = ["", *(f"**{name}**" if name == evaluation.winner else name for name in ordered)]
    body = [[_WORDS[metric], *(_cell(rows.loc[(name, metric)]) for name in ordered)] for metric in wanted]
    return _markdown(head, body)


def _cell(row: pd.Series) -> str:
    return f"{plain(row['value'])} ({span(row['lo'], row['hi'], plain)})"


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _weak(evaluation: Evaluation) -> str:
    """Name the test cutoffs and segments with the highest loss and those whose totals are furthest off."""
    metric = "log_loss" if evaluation.outcome == "churn" else "rmse"
    folds = evaluation.metrics.loc[lambda one: one["fold"].ne("all") & one["candidate"].eq(evaluation.winner)]
    worst = folds.loc[folds["metric"].eq(metric)].nlargest(1, "value")
    lines = [
        f"- Of the test cutoffs {fold} is the worst: {_WORDS[metric]} {plain(value)}."
        for fold, value in zip(worst["fold"], worst["value"].astype(float), strict=True)
    ]
    lines += [_off(row) for _, row in _furthest_off(evaluation.segments, evaluation.winner).iterrows()]
    if not evaluation.beats_baseline:
        lines.insert(0, "- **It does not beat the best baseline.** Use the baseline, or look for better measures.")
    return "\n".join(lines) or "No segment or test cutoff stands out."


def _furthest_off(segments: pd.DataFrame, winner: str) -> pd.DataFrame:
    """Give the segments whose totals are off beyond their interval, the furthest first."""
    if segments.empty:
        return segments
    rows = segments.loc[segments["candidate"].eq(winner) & segments["metric"].eq("mean_calibration")]
    rows = rows.loc[rows["segment"].ne("all") & ((rows["lo"] > 1) | (rows["hi"] < 1))]
    return rows.assign(size=np.abs(np.log(rows["value"].clip(lower=1e-9)))).nlargest(_WEAKEST, "size")


def _off(row: pd.Series) -> str:
    value = float(row["value"])
    how = "too high" if value > 1 else "too low"
    interval = f"90 % interval {span(float(row['lo']), float(row['hi']), plain)}, {whole(float(row['n']))} rows"
    return f"- {row['segment']}: predictions are {how}, {plain(value)} of what was observed ({interval})."


def _left_out(evaluation: Evaluation) -> str:
    if not evaluation.leaks:
        return "No feature was left out for knowing too much."
    used = {feature.name for feature in evaluation.features}
    return "\n".join(
        f"- {'allowed by hand' if leak.feature in used else 'left out'}: {leak.reason}" for leak in evaluation.leaks
    )


def _not_for(study: Study, outcome: str) -> str:
    lines = [
        "- To say what an improvement would change: a prediction holds nothing fixed. Use `journeylift simulate`.",
        f"- For horizons other than {study.snapshot.horizon_days} days, or customers who joined after the cutoff.",
        "- To decide about single people on its own (credit, price, dismissal of a complaint): it was made to set "
        "priorities among many, and its reasons describe the model, not the person.",
        "- Once somebody acts on its scores, later churn is what is left after the action; leave some customers alone.",
    ]
    if outcome == "revenue":
        lines.append("- As a forecast of the company's total: new customers are not in it.")
    return "\n".join(lines)
