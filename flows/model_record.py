"""What is kept of a trained model in MLflow beside the model: metrics by fold, tables, figures, its card."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from features.measures import Feature
from flows.charts import BASELINES, reliability_chart
from flows.model_charts import coefficient_chart, fold_chart, gains_chart, partial_chart
from flows.run_notes import candidate_note
from flows.theme import to_svg
from flows.tracking import Run
from models.evaluation import Evaluation, model_inputs
from models.partial_effects import partial_effects
from models.ranking import gains
from models.segments import sample_of
from models.splits import AnyFold, Fold

__all__ = ["example_rows", "log_candidates", "log_coefficients", "log_figures"]

_QUANTILES: Final = (0.25, 0.5, 0.75)


def log_candidates(parent: Run, evaluation: Evaluation) -> None:
    """Record a run for each candidate, with its metrics over all rows and, as steps, fold by fold; and the tables."""
    metrics = evaluation.metrics
    for candidate, rows in metrics.groupby("candidate", sort=False):
        title, note = f"{evaluation.outcome}: {candidate}", candidate_note(evaluation, str(candidate))
        with parent.tracker.run("train", title, {"outcome": evaluation.outcome}, parent, note) as child:
            folds = [fold for fold in dict.fromkeys(rows["fold"]) if fold != "all"]
            child.log_metrics(_values(rows, "all"))
            child.log_params({"folds": folds})
            for step, fold in enumerate(folds, start=1):
                child.log_metrics({f"fold.{name}": value for name, value in _values(rows, fold).items()}, step)
    winner = metrics.loc[metrics["candidate"].eq(evaluation.winner)]
    parent.log_metrics({f"{evaluation.outcome}.{name}": value for name, value in _values(winner, "all").items()})
    for name, table in (
        ("metrics", metrics),
        ("segments", evaluation.segments),
        ("reliability", evaluation.reliability),
        ("settings", evaluation.settings),
        ("comparisons", evaluation.comparisons),
    ):
        if table.empty:
            continue
        parent.log_table(table, f"{evaluation.outcome}/{name}.csv")


def log_figures(
    run: Run,
    evaluation: Evaluation,
    model: Pipeline,
    frame: pd.DataFrame,
    folds: Sequence[AnyFold],
    matured: Sequence[int],
    currency: str,
    rng: np.random.Generator,
) -> None:
    """Draw when the model was tested, whether its numbers mean what they say, how it ranks, and what it has learned."""
    outcome = evaluation.outcome
    if any(isinstance(fold, Fold) for fold in folds):
        run.log_text(to_svg(fold_chart(folds, matured)), f"{outcome}/folds.svg")
    if outcome == "churn":
        run.log_text(to_svg(reliability_chart(evaluation.reliability)), f"{outcome}/calibration.svg")
        found = [
            gains(sample_of(rows), candidate=str(name))
            for name, rows in evaluation.predictions.groupby("candidate", sort=False)
            if name == evaluation.winner or name in BASELINES
        ]
        run.log_text(to_svg(gains_chart(pd.concat(found), evaluation.winner)), f"{outcome}/gains.svg")
    effects = partial_effects(model, frame, evaluation.features, rng)
    if len(effects):
        run.log_table(effects, f"{outcome}/partial_effects.csv")
        run.log_text(to_svg(partial_chart(effects, outcome, currency)), f"{outcome}/partial_effects.svg")


def log_coefficients(run: Run, coefficients: pd.DataFrame) -> None:
    """Keep the coefficients of the logistic regression, whichever candidate has won: it is the one that can be read."""
    run.log_table(coefficients, "churn/coefficients.csv")
    slopes = coefficients.loc[coefficients["feature"].ne("")]
    run.log_text(to_svg(coefficient_chart(slopes)), "churn/coefficients.svg")


def example_rows(model: Pipeline, frame: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """Make rows that a model takes and that are nobody's: the quartiles of every number, the commonest categories."""
    table = model_inputs(list(model.feature_names_in_), frame, features)
    columns = {
        name: _common(column) if column.dtype == object else column.quantile(list(_QUANTILES)).to_list()
        for name, column in table.items()
    }
    return pd.DataFrame(columns)


def _common(column: pd.Series) -> list[str]:
    known = column.dropna().value_counts().index.astype(str).to_list() or [""]
    return [known[at % len(known)] for at in range(len(_QUANTILES))]


def _values(rows: pd.DataFrame, fold: str) -> dict[str, float]:
    part = rows.loc[rows["fold"].eq(fold)]
    return dict(zip(part["metric"], part["value"].astype(float), strict=True))
